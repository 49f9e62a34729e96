// Package enroltest is the suite that every enrol.Store passes.
//
// It owns the contract's meaning in tests. Stores run it on themselves.
package enroltest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/tunnel/enrol"
)

var epoch = time.Date(2026, 3, 1, 8, 0, 0, 123456000, time.UTC)

const most = 5

// Conform runs the suite; open gives an empty store each time.
func Conform(t *testing.T, open func(*testing.T) enrol.Store) {
	for name, test := range map[string]func(*testing.T, enrol.Store){
		"whole": whole, "absent": absent, "waiting": waiting, "too many tokens": tooManyTokens, "redeem": redeem, "one of many redeems": oneOfMany,
		"renew": renew, "too many certificates": tooManyCertificates, "list": list, "longest list": longestList,
		"revoke": revoke, "revoke while others add": revokeMeanwhile, "sweep": sweep, "strange names": strange,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// token has no field without a value but Used.
func token(name, cluster string) enrol.Token {
	return enrol.Token{
		ID: "id-" + name, Hash: sha256.Sum256([]byte(name)), Cluster: cluster, Created: epoch, Expires: epoch.Add(15 * time.Minute),
		By: enrol.Person{Issuer: "https://login.example", Subject: "ada", Email: "ada@example.com"},
	}
}

// certificate has no field without a value but Revoked.
func certificate(serial, cluster string) enrol.Certificate {
	return enrol.Certificate{
		Serial: serial, Fingerprint: sha256.Sum256([]byte(serial)), Cluster: cluster, Issued: epoch.Add(time.Minute), Expires: epoch.Add(24 * time.Hour), Registered: epoch.Add(time.Second),
		By: enrol.Person{Issuer: "https://login.example", Subject: "ada", Email: "ada@example.com"}, Address: "192.0.2.1", Renews: "before",
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func addToken(t *testing.T, s enrol.Store, tk enrol.Token) {
	t.Helper()
	must(t, s.AddToken(t.Context(), tk, most))
}

// register adds a certificate by a token of its own.
func register(t *testing.T, s enrol.Store, c enrol.Certificate) {
	t.Helper()
	tk := token("for-"+c.Serial, c.Cluster)
	must(t, s.AddToken(t.Context(), tk, 1<<20))
	if ok, err := s.Redeem(t.Context(), tk.Hash, c, 1<<20); !ok || err != nil {
		t.Fatalf("%s was not registered: %v", c.Serial, err)
	}
}

func find(t *testing.T, s enrol.Store, serial string) (enrol.Certificate, bool) {
	t.Helper()
	c, ok, err := s.Certificate(t.Context(), serial)
	must(t, err)
	return c, ok
}

func findToken(t *testing.T, s enrol.Store, h enrol.Hash) (enrol.Token, bool) {
	t.Helper()
	tk, ok, err := s.Token(t.Context(), h)
	must(t, err)
	return tk, ok
}

func listed(t *testing.T, s enrol.Store) string {
	t.Helper()
	all, err := s.List(t.Context())
	must(t, err)
	var words []string
	for _, c := range all {
		words = append(words, fmt.Sprintf("%s:%s/%d", c.Cluster, c.Serial, c.Count))
	}
	return strings.Join(words, " ")
}

func whole(t *testing.T, s enrol.Store) {
	tk, c := token("a", "prod"), certificate("01", "prod")
	for _, v := range []reflect.Value{reflect.ValueOf(tk), reflect.ValueOf(c), reflect.ValueOf(tk.By)} {
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "Used" && name != "Revoked" {
				t.Fatalf("the suite's value has no %s", name)
			}
		}
	}
	addToken(t, s, tk)
	if got, ok := findToken(t, s, tk.Hash); !ok || !reflect.DeepEqual(got, tk) {
		t.Errorf("kept  %+v\nfound %+v (%v)", tk, got, ok)
	}
	if ok, err := s.Redeem(t.Context(), tk.Hash, c, most); !ok || err != nil {
		t.Fatalf("not redeemed: %v", err)
	}
	if got, ok := find(t, s, c.Serial); !ok || !reflect.DeepEqual(got, c) {
		t.Errorf("kept  %+v\nfound %+v (%v)", c, got, ok)
	}
	tk.Used = c.Issued
	if got, ok := findToken(t, s, tk.Hash); !ok || !reflect.DeepEqual(got, tk) {
		t.Errorf("a used one: %+v (%v)", got, ok)
	}
	all, err := s.List(t.Context())
	if want := (enrol.Current{Certificate: c, Count: 1}); err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], want) {
		t.Errorf("listed %+v, %v", all, err)
	}
}

func absent(t *testing.T, s enrol.Store) {
	if _, ok := findToken(t, s, enrol.Hash{}); ok {
		t.Error("found what is not there")
	}
	if _, ok := find(t, s, "none"); ok {
		t.Error("found what is not there")
	}
	if ok, err := s.Burn(t.Context(), enrol.Hash{}, epoch); ok || err != nil {
		t.Errorf("burnt what is not there: %v", err)
	}
	if ok, err := s.Redeem(t.Context(), enrol.Hash{}, certificate("01", "prod"), most); ok || err != nil {
		t.Errorf("redeemed what is not there: %v", err)
	}
	if ok, err := s.Renew(t.Context(), certificate("01", "prod"), most); ok || err != nil {
		t.Errorf("renewed what is not there: %v", err)
	}
	if _, ok := find(t, s, "01"); ok {
		t.Error("a certificate of nothing is there")
	}
	if c, n, err := s.Revoke(t.Context(), "none", epoch); c+n > 0 || err != nil {
		t.Errorf("revoked what is not there: %v", err)
	}
	if all, err := s.List(t.Context()); len(all) > 0 || all == nil || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	must(t, s.Sweep(t.Context(), epoch, epoch))
}

func waiting(t *testing.T, s enrol.Store) {
	add := func(name string, minutes int) enrol.Token {
		tk := token(name, "prod")
		tk.Expires = epoch.Add(time.Duration(minutes) * time.Minute)
		must(t, s.AddToken(t.Context(), tk, 1<<20))
		return tk
	}
	ids := func() string {
		all, err := s.Waiting(t.Context(), epoch.Add(10*time.Minute))
		must(t, err)
		if all == nil {
			t.Error("none are nil")
		}
		var words []string
		for _, tk := range all {
			words = append(words, tk.ID)
		}
		return strings.Join(words, " ")
	}
	if got := ids(); got != "" {
		t.Errorf("%q wait", got)
	}
	used, last, first := add("used", 12), add("last", 11), add("at-the-last", 10)
	add("over", 9)
	add("b", 11)
	if ok, err := s.Burn(t.Context(), used.Hash, epoch); !ok || err != nil {
		t.Fatalf("not burnt: %v", err)
	}
	if got := ids(); got != "id-at-the-last id-b id-last" {
		t.Errorf("%q wait", got)
	}
	if all, err := s.Waiting(t.Context(), first.Expires.Add(time.Microsecond)); err != nil || len(all) != 2 || !reflect.DeepEqual(all[1], last) {
		t.Errorf("%+v, %v", all, err)
	}
	for i := range enrol.MostListed {
		add(fmt.Sprint("more-", i), 20)
	}
	if got := strings.Fields(ids()); len(got) != enrol.MostListed || got[0] != "id-at-the-last" {
		t.Errorf("%d wait, first %q", len(got), got[0])
	}
}

func tooManyTokens(t *testing.T, s enrol.Store) {
	for i := range most {
		addToken(t, s, token(fmt.Sprint(i), fmt.Sprint("c", i)))
	}
	if err := s.AddToken(t.Context(), token("more", "prod"), most); !errors.Is(err, enrol.ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
	if _, ok := findToken(t, s, token("more", "prod").Hash); ok {
		t.Error("it was added all the same")
	}
	if ok, err := s.Burn(t.Context(), token("0", "").Hash, epoch); !ok || err != nil {
		t.Fatalf("not burnt: %v", err)
	}
	addToken(t, s, token("more", "prod"))
	later := token("later", "prod")
	later.Created, later.Expires = epoch.Add(time.Hour), epoch.Add(2*time.Hour)
	addToken(t, s, later) // the others have expired by then

	var wg sync.WaitGroup
	var added atomic.Int64
	for i := range 4 * most {
		wg.Go(func() {
			tk := token(fmt.Sprint("at-once-", i), "prod")
			tk.Created, tk.Expires = epoch.Add(3*time.Hour), epoch.Add(4*time.Hour)
			switch err := s.AddToken(context.Background(), tk, most); {
			case err == nil:
				added.Add(1)
			case !errors.Is(err, enrol.ErrTooMany):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if added.Load() != most {
		t.Errorf("%d were added at once, want %d", added.Load(), most)
	}
}

func redeem(t *testing.T, s enrol.Store) {
	for name, c := range map[string]struct {
		change func(*enrol.Token, *enrol.Certificate)
		want   bool
	}{
		"in time":         {func(*enrol.Token, *enrol.Certificate) {}, true},
		"at the last":     {func(tk *enrol.Token, c *enrol.Certificate) { c.Issued = tk.Expires }, true},
		"too late":        {func(tk *enrol.Token, c *enrol.Certificate) { c.Issued = tk.Expires.Add(time.Microsecond) }, false},
		"another cluster": {func(_ *enrol.Token, c *enrol.Certificate) { c.Cluster = "test" }, false},
	} {
		tk, cert := token(name, "prod"), certificate(name, "prod")
		c.change(&tk, &cert)
		addToken(t, s, tk)
		ok, err := s.Redeem(t.Context(), tk.Hash, cert, most)
		if ok != c.want || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
		if _, there := find(t, s, name); there != c.want {
			t.Errorf("%s: the certificate is there: %v", name, there)
		}
		if got, _ := findToken(t, s, tk.Hash); got.Used.IsZero() == c.want {
			t.Errorf("%s: used %v", name, got.Used)
		}
	}
	burnt := token("burnt", "prod")
	addToken(t, s, burnt)
	for i, want := range []bool{true, false} {
		if ok, err := s.Burn(t.Context(), burnt.Hash, epoch.Add(time.Duration(i)*time.Second)); ok != want || err != nil {
			t.Errorf("burnt for the %dth time: %v, %v", i+1, ok, err)
		}
	}
	if ok, err := s.Redeem(t.Context(), burnt.Hash, certificate("burnt", "prod"), most); ok || err != nil {
		t.Errorf("a burnt one was redeemed: %v", err)
	}
	if got, _ := findToken(t, s, burnt.Hash); !got.Used.Equal(epoch) {
		t.Errorf("burnt at %v", got.Used)
	}
}

// oneOfMany: a token makes one certificate, whoever asks at the same time.
func oneOfMany(t *testing.T, s enrol.Store) {
	for round := range 5 {
		tk := token(fmt.Sprint("round-", round), "prod")
		must(t, s.AddToken(t.Context(), tk, 100))
		var wg sync.WaitGroup
		var won atomic.Int64
		for i := range 8 {
			wg.Go(func() {
				ok, err := s.Redeem(context.Background(), tk.Hash, certificate(fmt.Sprint(round, "-", i), "prod"), 100)
				if err != nil {
					t.Error(err)
				}
				if ok {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		there := 0
		for i := range 8 {
			if _, ok := find(t, s, fmt.Sprint(round, "-", i)); ok {
				there++
			}
		}
		if won.Load() != 1 || there != 1 {
			t.Fatalf("%d have redeemed one token, %d certificates are there", won.Load(), there)
		}
	}
}

func renew(t *testing.T, s enrol.Store) {
	register(t, s, certificate("01", "prod"))
	next := certificate("02", "prod")
	next.Renews, next.Issued, next.Expires = "01", epoch.Add(24*time.Hour), epoch.Add(48*time.Hour)
	if ok, err := s.Renew(t.Context(), next, most); !ok || err != nil {
		t.Fatalf("not renewed: %v", err)
	}
	if got, ok := find(t, s, "02"); !ok || !reflect.DeepEqual(got, next) {
		t.Errorf("kept  %+v\nfound %+v (%v)", next, got, ok)
	}
	for name, change := range map[string]func(*enrol.Certificate){
		"of another cluster": func(c *enrol.Certificate) { c.Cluster = "test" },
		"too late":           func(c *enrol.Certificate) { c.Issued = epoch.Add(24*time.Hour + time.Microsecond) },
		"of nothing":         func(c *enrol.Certificate) { c.Renews = "none" },
	} {
		c := certificate("03", "prod")
		c.Renews = "01"
		change(&c)
		if ok, err := s.Renew(t.Context(), c, most); ok || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	if _, _, err := s.Revoke(t.Context(), "prod", epoch); err != nil {
		t.Fatal(err)
	}
	c := certificate("03", "prod")
	c.Renews = "02"
	if ok, err := s.Renew(t.Context(), c, most); ok || err != nil {
		t.Errorf("a revoked one was renewed: %v", err)
	}
	if _, ok := find(t, s, "03"); ok {
		t.Error("it is there all the same")
	}
}

func tooManyCertificates(t *testing.T, s enrol.Store) {
	for i := range most {
		register(t, s, certificate(fmt.Sprint(i), "prod"))
	}
	tk := token("more", "prod")
	must(t, s.AddToken(t.Context(), tk, 100))
	if ok, err := s.Redeem(t.Context(), tk.Hash, certificate("more", "prod"), most); ok || !errors.Is(err, enrol.ErrTooMany) {
		t.Errorf("one too many: %v, %v", ok, err)
	}
	if got, _ := findToken(t, s, tk.Hash); !got.Used.IsZero() {
		t.Error("its token is used up")
	}
	c := certificate("more", "prod")
	c.Renews = "0"
	if ok, err := s.Renew(t.Context(), c, most); ok || !errors.Is(err, enrol.ErrTooMany) {
		t.Errorf("a renewal too many: %v, %v", ok, err)
	}
	register(t, s, certificate("other", "test"))
	if _, _, err := s.Revoke(t.Context(), "prod", epoch); err != nil {
		t.Fatal(err)
	}
	tk = token("again", "prod")
	must(t, s.AddToken(t.Context(), tk, 100))
	if ok, err := s.Redeem(t.Context(), tk.Hash, certificate("again", "prod"), most); !ok || err != nil {
		t.Errorf("after a revocation: %v, %v", ok, err)
	}
}

func list(t *testing.T, s enrol.Store) {
	for serial, c := range map[string]struct {
		cluster string
		days    int
	}{"01": {"prod", 1}, "02": {"prod", 3}, "03": {"prod", 2}, "04": {"test", 1}, "05": {"test", 1}, "06": {"a", 1}} {
		cert := certificate(serial, c.cluster)
		cert.Expires = epoch.Add(time.Duration(c.days) * 24 * time.Hour)
		register(t, s, cert)
	}
	if got := listed(t, s); got != "a:06/1 prod:02/3 test:05/2" {
		t.Errorf("%q", got)
	}
	if _, _, err := s.Revoke(t.Context(), "prod", epoch); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, s); got != "a:06/1 test:05/2" {
		t.Errorf("after a revocation %q", got)
	}
}

func longestList(t *testing.T, s enrol.Store) {
	for i := range enrol.MostListed + 1 {
		register(t, s, certificate(fmt.Sprint(i), fmt.Sprintf("c%05d", i)))
	}
	all, err := s.List(t.Context())
	if err != nil || len(all) != enrol.MostListed || all[0].Cluster != "c00000" {
		t.Errorf("%d listed: %v", len(all), err)
	}
}

func revoke(t *testing.T, s enrol.Store) {
	register(t, s, certificate("01", "prod"))
	register(t, s, certificate("02", "prod"))
	register(t, s, certificate("03", "test"))
	addToken(t, s, token("waits", "prod"))
	addToken(t, s, token("others", "test"))
	at := epoch.Add(time.Hour)
	for i, want := range []int{2, 0} {
		certificates, tokens, err := s.Revoke(t.Context(), "prod", at.Add(time.Duration(i)*time.Minute))
		if certificates != want || tokens != want/2 || err != nil {
			t.Errorf("revoked for the %dth time: %d certificates, %d tokens, %v", i+1, certificates, tokens, err)
		}
	}
	for serial, want := range map[string]time.Time{"01": at, "02": at, "03": {}} {
		if got, ok := find(t, s, serial); !ok || !got.Revoked.Equal(want) {
			t.Errorf("%s: %v (%v)", serial, got.Revoked, ok)
		}
	}
	for name, want := range map[string]time.Time{"waits": at, "others": {}} {
		if got, ok := findToken(t, s, token(name, "").Hash); !ok || !got.Used.Equal(want) {
			t.Errorf("%s: %v (%v)", name, got.Used, ok)
		}
	}
}

// revokeMeanwhile: nothing of the cluster holds once a revocation is confirmed,
// whatever was under way; but for what was registered by a token made later.
func revokeMeanwhile(t *testing.T, s enrol.Store) {
	for round := range 10 {
		cluster := fmt.Sprint("c", round)
		first := certificate(cluster+"-first", cluster)
		register(t, s, first)
		var wg sync.WaitGroup
		for i := range 4 {
			tk := token(fmt.Sprint(cluster, "-", i), cluster)
			must(t, s.AddToken(t.Context(), tk, 1<<20))
			wg.Go(func() {
				if _, err := s.Redeem(context.Background(), tk.Hash, certificate(fmt.Sprint(cluster, "-redeemed-", i), cluster), 100); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				c := certificate(fmt.Sprint(cluster, "-renewed-", i), cluster)
				c.Renews = first.Serial
				if _, err := s.Renew(context.Background(), c, 100); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if _, _, err := s.Revoke(context.Background(), cluster, epoch); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if got := listed(t, s); got != "" {
			t.Fatalf("left of what was revoked: %s", got)
		}
	}
}

func sweep(t *testing.T, s enrol.Store) {
	register(t, s, certificate("old", "prod"))
	fresh := certificate("fresh", "prod")
	fresh.Expires = epoch.Add(48 * time.Hour)
	register(t, s, fresh)
	addToken(t, s, token("old", "prod"))
	later := token("fresh", "prod")
	later.Expires = epoch.Add(time.Hour)
	addToken(t, s, later)
	must(t, s.Sweep(t.Context(), later.Expires, fresh.Expires))
	for name, want := range map[string]bool{"old": false, "fresh": true} {
		if _, ok := find(t, s, name); ok != want {
			t.Errorf("the certificate %s is there: %v", name, ok)
		}
		if _, ok := findToken(t, s, token(name, "").Hash); ok != want {
			t.Errorf("the token %s is there: %v", name, ok)
		}
	}
}

func strange(t *testing.T, s enrol.Store) {
	for i, name := range []string{"a'; DROP TABLE agent_tokens; --", "line\nbreak", "日本 🚀", strings.Repeat("x", 1024), "%", ""} {
		tk := token(fmt.Sprint(i), name)
		tk.By = enrol.Person{Issuer: name, Subject: name, Email: name}
		must(t, s.AddToken(t.Context(), tk, 100))
		c := certificate(fmt.Sprint("s", i), name)
		c.By, c.Address = tk.By, name
		if ok, err := s.Redeem(t.Context(), tk.Hash, c, most); !ok || err != nil {
			t.Errorf("%q: %v, %v", name, ok, err)
		}
		if got, ok := find(t, s, c.Serial); !ok || !reflect.DeepEqual(got, c) {
			t.Errorf("%q was kept as %+v", name, got)
		}
	}
}
