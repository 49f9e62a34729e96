// Package tokentest is the suite that every token.Store passes.
//
// It owns the contract's meaning in tests. Stores run it on themselves.
package tokentest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/token"
)

var epoch = time.Date(2026, 3, 1, 8, 0, 0, 123456000, time.UTC)

const most = 5

// Conform runs the suite; open gives an empty store each time.
func Conform(t *testing.T, open func(*testing.T) token.Store) {
	for name, test := range map[string]func(*testing.T, token.Store){
		"whole":         whole,
		"absent":        absent,
		"see":           see,
		"a clock ahead": ahead,
		"unique name":   uniqueName,
		"too many":      tooMany,
		"many at once":  atOnce,
		"lists":         lists,
		"longest list":  longestList,
		"use":           use,
		"revoke":        revoke,
		"sweep":         sweep,
		"strange names": strange,
		"cancelled":     cancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func alice() token.Person {
	return token.Person{Issuer: "https://login.example", Subject: "alice", Email: "alice@example.com", Name: "al", Groups: []string{"sre", "prod"}, Seen: epoch}
}

func someone(subject string) token.Person {
	p := alice()
	p.Subject = subject
	return p
}

// made has no field without a value but Revoked.
func made(p token.Person, name string) token.Token {
	return token.Token{
		ID: token.ID("id-" + p.Subject + name), Hash: sha256.Sum256([]byte(p.Issuer + p.Subject + name)),
		Issuer: p.Issuer, Subject: p.Subject, Name: name, Scopes: []token.Scope{token.Read, token.Exec}, Clusters: []string{"prod", "test"},
		Created: epoch, Expires: epoch.Add(time.Hour), Used: epoch.Add(time.Minute),
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func add(t *testing.T, s token.Store, all ...token.Token) {
	t.Helper()
	for _, one := range all {
		must(t, s.Add(t.Context(), one, most))
	}
}

func byID(t *testing.T, s token.Store, id token.ID) (token.Held, bool) {
	t.Helper()
	h, ok, err := s.ByID(t.Context(), id)
	must(t, err)
	return h, ok
}

func names(t *testing.T, held []token.Held, err error) string {
	t.Helper()
	must(t, err)
	var all []string
	for _, h := range held {
		all = append(all, h.Token.Name)
	}
	return strings.Join(all, " ")
}

func ofPerson(t *testing.T, s token.Store, p token.Person) string {
	t.Helper()
	held, err := s.OfPerson(t.Context(), p.Issuer, p.Subject)
	return names(t, held, err)
}

func whole(t *testing.T, s token.Store) {
	want := token.Held{Token: made(alice(), "ci"), Owner: alice()}
	for _, v := range []reflect.Value{reflect.ValueOf(want.Token), reflect.ValueOf(want.Owner)} {
		for i := range v.NumField() {
			if v.Field(i).IsZero() && v.Type().Field(i).Name != "Revoked" {
				t.Fatalf("the suite's value has no %s", v.Type().Field(i).Name)
			}
		}
	}
	must(t, s.See(t.Context(), want.Owner))
	add(t, s, want.Token)
	got, ok, err := s.ByHash(t.Context(), want.Token.Hash)
	must(t, err)
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("kept  %+v\nfound %+v (%v)", want, got, ok)
	}
	if again, ok := byID(t, s, want.Token.ID); !ok || !reflect.DeepEqual(again, want) {
		t.Errorf("by id %+v (%v)", again, ok)
	}
	plain := token.Token{ID: "plain", Hash: token.Hash{1}, Issuer: want.Owner.Issuer, Subject: "alice", Name: "plain", Created: epoch}
	add(t, s, plain)
	if got, _ := byID(t, s, "plain"); !reflect.DeepEqual(got.Token, plain) {
		t.Errorf("kept  %+v\nfound %+v", plain, got.Token)
	}
}

func absent(t *testing.T, s token.Store) {
	if err := s.Add(t.Context(), made(alice(), "ci"), most); !errors.Is(err, token.ErrNoPerson) {
		t.Errorf("a token of nobody: %v", err)
	}
	if h, ok, err := s.ByHash(t.Context(), token.Hash{}); ok || err != nil {
		t.Errorf("found %+v, %v", h, err)
	}
	if _, ok := byID(t, s, "none"); ok {
		t.Error("found what is not there")
	}
	must(t, s.Use(t.Context(), "none", epoch))
	if ok, err := s.Revoke(t.Context(), "none", epoch); ok || err != nil {
		t.Errorf("revoked what is not there: %v", err)
	}
	must(t, s.Sweep(t.Context(), epoch, epoch))
}

func see(t *testing.T, s token.Store) {
	p := alice()
	must(t, s.See(t.Context(), p))
	add(t, s, made(p, "ci"))
	p.Email, p.Name, p.Groups, p.Seen = "new@example.com", "newname", []string{"new"}, epoch.Add(time.Hour)
	must(t, s.See(t.Context(), p))
	slower := alice()
	slower.Seen = p.Seen.Add(-time.Minute)
	must(t, s.See(t.Context(), slower))
	if got, _ := byID(t, s, made(p, "ci").ID); !reflect.DeepEqual(got.Owner, p) {
		t.Errorf("seen %+v, found %+v", p, got.Owner)
	}
	p.Groups, p.Seen = nil, p.Seen.Add(time.Hour)
	must(t, s.See(t.Context(), p))
	if got, _ := byID(t, s, made(p, "ci").ID); len(got.Owner.Groups) != 0 {
		t.Errorf("groups that were taken away are still there: %v", got.Owner.Groups)
	}
}

// ahead: what a clock that was wrong has said gives way to what is said now; clocks
// that differ a little are as good as each other.
func ahead(t *testing.T, s token.Store) {
	for name, c := range map[string]struct {
		by    time.Duration
		holds bool
	}{
		"a year": {365 * 24 * time.Hour, false},
		"bound":  {identity.MaxAhead, false},
		"less":   {identity.MaxAhead - time.Microsecond, true},
	} {
		was, want := someone(name), someone(name)
		was.Seen, want.Groups = epoch.Add(c.by), nil
		must(t, s.See(t.Context(), was))
		add(t, s, made(was, "ci"))
		must(t, s.See(t.Context(), want))
		if c.holds {
			want = was
		}
		if got, _ := byID(t, s, made(was, "ci").ID); !reflect.DeepEqual(got.Owner, want) {
			t.Errorf("%s: found %+v, want %+v", name, got.Owner, want)
		}
	}
}

func uniqueName(t *testing.T, s token.Store) {
	bob := someone("bob")
	must(t, s.See(t.Context(), alice()))
	must(t, s.See(t.Context(), bob))
	add(t, s, made(alice(), "ci"), made(bob, "ci"))
	again := made(alice(), "ci")
	again.ID, again.Hash = "again", token.Hash{1}
	if err := s.Add(t.Context(), again, most); !errors.Is(err, token.ErrTaken) {
		t.Errorf("two of one name: %v", err)
	}
	if ok, err := s.Revoke(t.Context(), made(alice(), "ci").ID, epoch); !ok || err != nil {
		t.Fatalf("not revoked: %v", err)
	}
	add(t, s, again) // the name is free again
}

func tooMany(t *testing.T, s token.Store) {
	must(t, s.See(t.Context(), alice()))
	for i := range most {
		add(t, s, made(alice(), fmt.Sprint(i)))
	}
	if err := s.Add(t.Context(), made(alice(), "more"), most); !errors.Is(err, token.ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
	if _, err := s.Revoke(t.Context(), made(alice(), "0").ID, epoch); err != nil {
		t.Fatal(err)
	}
	add(t, s, made(alice(), "more"))
}

// atOnce: the bounds hold for those who add at the same time.
func atOnce(t *testing.T, s token.Store) {
	must(t, s.See(t.Context(), alice()))
	var wg sync.WaitGroup
	errs := make(chan error, 4*most)
	for i := range cap(errs) {
		wg.Go(func() {
			one := made(alice(), fmt.Sprint(i%(2*most)))
			one.ID, one.Hash = token.ID(fmt.Sprint("at-once-", i)), token.Hash{byte(i + 1)}
			errs <- s.Add(context.Background(), one, most)
		})
	}
	wg.Wait()
	close(errs)
	added := 0
	for err := range errs {
		switch {
		case err == nil:
			added++
		case !errors.Is(err, token.ErrTaken) && !errors.Is(err, token.ErrTooMany):
			t.Error(err)
		}
	}
	held := strings.Fields(ofPerson(t, s, alice()))
	if added != most || len(held) != most {
		t.Errorf("%d were added, %d are held, want %d", added, len(held), most)
	}
}

func lists(t *testing.T, s token.Store) {
	bob, elsewhere := someone("bob"), alice()
	elsewhere.Issuer += "/"
	for i, p := range []token.Person{alice(), bob, elsewhere} {
		must(t, s.See(t.Context(), p))
		one := made(p, fmt.Sprint("of-", i))
		one.Created, one.ID = epoch.Add(time.Duration(i)*time.Second), token.ID(fmt.Sprint(i))
		add(t, s, one)
	}
	second := made(alice(), "second")
	second.Created = epoch.Add(time.Hour)
	add(t, s, second)
	if got := ofPerson(t, s, alice()); got != "second of-0" {
		t.Errorf("alice has %q", got)
	}
	if got := ofPerson(t, s, token.Person{Subject: "alice"}); got != "" {
		t.Errorf("an alice of no issuer has %q", got)
	}
	held, err := s.All(t.Context())
	if got := names(t, held, err); got != "second of-2 of-1 of-0" {
		t.Errorf("there are %q", got)
	}
	if held[2].Owner.Subject != "bob" || held[2].Owner.Email == "" {
		t.Errorf("the owner of bob's is %+v", held[2].Owner)
	}
}

func longestList(t *testing.T, s token.Store) {
	for i := range token.MostListed/most + 1 {
		p := someone(fmt.Sprint("p", i))
		must(t, s.See(t.Context(), p))
		for j := range most {
			add(t, s, made(p, fmt.Sprint(j)))
		}
	}
	if held, err := s.All(t.Context()); len(held) != token.MostListed || err != nil {
		t.Errorf("%d listed: %v", len(held), err)
	}
}

func use(t *testing.T, s token.Store) {
	must(t, s.See(t.Context(), alice()))
	one, two := made(alice(), "one"), made(alice(), "two")
	add(t, s, one, two)
	later := epoch.Add(time.Hour)
	must(t, s.Use(t.Context(), one.ID, later))
	must(t, s.Use(t.Context(), one.ID, epoch)) // a slower process
	first, _ := byID(t, s, one.ID)
	other, _ := byID(t, s, two.ID)
	if !first.Token.Used.Equal(later) || !other.Token.Used.Equal(two.Used) {
		t.Errorf("used %v and %v", first.Token.Used, other.Token.Used)
	}
}

func revoke(t *testing.T, s token.Store) {
	must(t, s.See(t.Context(), alice()))
	add(t, s, made(alice(), "one"), made(alice(), "two"))
	id := made(alice(), "one").ID
	if ok, err := s.Revoke(t.Context(), id, epoch.Add(time.Minute)); !ok || err != nil {
		t.Fatalf("not revoked: %v", err)
	}
	if ok, err := s.Revoke(t.Context(), id, epoch.Add(time.Hour)); ok || err != nil {
		t.Errorf("revoked twice: %v", err)
	}
	got, ok := byID(t, s, id)
	if !ok || !got.Token.Revoked.Equal(epoch.Add(time.Minute)) {
		t.Errorf("revoked %+v (%v)", got.Token, ok)
	}
	if got := ofPerson(t, s, alice()); got != "two" {
		t.Errorf("left: %q", got)
	}
	held, err := s.All(t.Context())
	if got := names(t, held, err); got != "two" {
		t.Errorf("left of all: %q", got)
	}
}

func sweep(t *testing.T, s token.Store) {
	bob, gone := someone("bob"), someone("gone")
	gone.Seen, bob.Seen = epoch.Add(-time.Hour), epoch.Add(-time.Hour)
	for _, p := range []token.Person{alice(), bob, gone} {
		must(t, s.See(t.Context(), p))
	}
	expired, good, forever := made(alice(), "expired"), made(bob, "good"), made(alice(), "forever")
	expired.Expires, forever.Expires = epoch.Add(-time.Second), time.Time{}
	add(t, s, expired, good, forever, made(alice(), "old"), made(alice(), "fresh"))
	for name, at := range map[string]time.Time{"old": epoch.Add(-time.Second), "fresh": epoch} {
		if _, err := s.Revoke(t.Context(), made(alice(), name).ID, at); err != nil {
			t.Fatal(err)
		}
	}
	must(t, s.Sweep(t.Context(), epoch, epoch))
	for name, want := range map[string]bool{"expired": false, "old": false, "fresh": true, "forever": true} {
		if _, ok := byID(t, s, made(alice(), name).ID); ok != want {
			t.Errorf("%s is there: %v", name, ok)
		}
	}
	if got := ofPerson(t, s, bob); got != "good" {
		t.Errorf("a person with a token was forgotten: %q", got)
	}
	if err := s.Add(t.Context(), made(gone, "ci"), most); !errors.Is(err, token.ErrNoPerson) {
		t.Errorf("a person without a token was not forgotten: %v", err)
	}
	add(t, s, made(alice(), "more"))
}

func strange(t *testing.T, s token.Store) {
	for _, name := range []string{"", "a'; DROP TABLE tokens; --", "line\nbreak", "日本 🚀", strings.Repeat("x", 1024), "%", "Alice"} {
		p := someone(name)
		p.Groups = []string{name, `"]`}
		must(t, s.See(t.Context(), p))
		one := made(p, name)
		one.ID = token.ID(fmt.Sprintf("%x", sha256.Sum256([]byte(name))))
		add(t, s, one)
		got, ok := byID(t, s, one.ID)
		if !ok || got.Token.Name != name || got.Token.Subject != name || !reflect.DeepEqual(got.Owner.Groups, p.Groups) {
			t.Errorf("%q was kept as %+v", name, got)
		}
		if got := ofPerson(t, s, p); got != name {
			t.Errorf("%q has %q", name, got)
		}
	}
}

// cancelled: an answer that nobody waits for is an error, where there is waiting.
func cancelled(t *testing.T, s token.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, memory := s.(*token.Memory); memory {
		return
	}
	if _, _, err := s.ByHash(ctx, token.Hash{}); err == nil {
		t.Error("an answer after the caller has gone")
	}
}
