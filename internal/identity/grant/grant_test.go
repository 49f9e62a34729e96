package grant_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/grant"
	"github.com/periscope-console/periscope/internal/identity/grant/granttest"
	"github.com/periscope-console/periscope/internal/identity/websession"
	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestMemoryConforms(t *testing.T) {
	granttest.Conform(t, func(*testing.T) grant.Store { return grant.NewMemory() })
}

const (
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	// challenge is that of RFC 7636, appendix B.
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	echo      = "0123456789abcdef"
)

var (
	asker = grant.Asker{Host: "laptop", Agent: "periscope/1", Address: netip.MustParseAddr("192.0.2.1")}
	ada   = identity.Actor{Issuer: "i", Subject: "ada"}
)

func begin(t *testing.T, k *grant.Keeper) grant.Grant {
	t.Helper()
	g, err := k.Browser(t.Context(), asker, challenge, echo, 4711)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func find(t *testing.T, k *grant.Keeper, userCode string) {
	t.Helper()
	if _, err := k.Find(t.Context(), ada, "login", userCode); err != nil {
		t.Fatal(err)
	}
}

func codeIn(t *testing.T, redirect string) string {
	t.Helper()
	u, err := url.Parse(redirect)
	if err != nil || u.Scheme != "http" || u.Host != "127.0.0.1:4711" || u.Path != "/" || u.Query().Get("state") != echo {
		t.Fatalf("redirect %q", redirect)
	}
	return u.Query().Get("code")
}

func wantNone(t *testing.T, what string, err error) {
	t.Helper()
	if fault.KindOf(err) != fault.NotFound || !strings.HasPrefix(fault.PublicOf(err), "This login of a command line was used, refused or has expired") {
		t.Errorf("%s: %v", what, err)
	}
}

func TestBrowser(t *testing.T) {
	k := grant.New(grant.NewMemory())
	g := begin(t, k)
	seen, err := k.Look(t.Context(), g.ID, "login")
	if err != nil || seen.Host != "laptop" || seen.Agent != "periscope/1" || seen.Address != "192.0.2.1" {
		t.Errorf("%+v, %v", seen, err)
	}
	redirect, err := k.Allow(t.Context(), g.ID, "login")
	if err != nil {
		t.Fatal(err)
	}
	code := codeIn(t, redirect)
	_, err = k.Allow(t.Context(), g.ID, "another")
	wantNone(t, "allowed twice", err)
	_, err = k.Look(t.Context(), g.ID, "login")
	wantNone(t, "looked at afterwards", err)
	got, err := k.Redeem(t.Context(), code, verifier)
	if err != nil || got.Login != "login" {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = k.Redeem(t.Context(), code, verifier)
	wantNone(t, "redeemed twice", err)
}

// TestOneOfManyRedeems: a code is good once, whoever comes at the same time.
func TestOneOfManyRedeems(t *testing.T) {
	k := grant.New(grant.NewMemory())
	redirect, err := k.Allow(t.Context(), begin(t, k).ID, "login")
	if err != nil {
		t.Fatal(err)
	}
	var good atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := k.Redeem(context.Background(), codeIn(t, redirect), verifier); err == nil {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 {
		t.Errorf("redeemed %d times", good.Load())
	}
}

func TestAWrongVerifierVoidsTheCode(t *testing.T) {
	k := grant.New(grant.NewMemory())
	redirect, err := k.Allow(t.Context(), begin(t, k).ID, "login")
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.Redeem(t.Context(), codeIn(t, redirect), strings.Repeat("x", 43))
	wantNone(t, "another verifier", err)
	_, err = k.Redeem(t.Context(), codeIn(t, redirect), verifier)
	wantNone(t, "the right one after it", err)
}

func TestRefused(t *testing.T) {
	k := grant.New(grant.NewMemory())
	g := begin(t, k)
	redirect, err := k.Refuse(t.Context(), g.ID, "login")
	if err != nil || codeIn(t, redirect) != "" || !strings.Contains(redirect, "error=access_denied") {
		t.Errorf("%q, %v", redirect, err)
	}
	_, err = k.Allow(t.Context(), g.ID, "login")
	wantNone(t, "allowed after a no", err)
}

func TestNothingThatIsNotAllowedIsRedeemed(t *testing.T) {
	k := grant.New(grant.NewMemory())
	g := begin(t, k)
	device, deviceCode, userCode, err := k.Device(t.Context(), asker)
	if err != nil {
		t.Fatal(err)
	}
	find(t, k, userCode)
	if _, err := k.Allow(t.Context(), device.ID, "login"); err != nil {
		t.Fatal(err)
	}
	for name, code := range map[string]string{
		"not answered": g.ID + ".", "a guess": g.ID + "." + strings.Repeat("A", 26), "a device's": deviceCode,
		"nothing": "", "no secret": g.ID, "unknown": strings.Repeat("A", 26) + ".x", "long": strings.Repeat("A", 100_000),
	} {
		_, err := k.Redeem(t.Context(), code, verifier)
		wantNone(t, name, err)
		if name != "a device's" {
			_, _, err = k.Poll(t.Context(), code)
			wantNone(t, "poll: "+name, err)
		}
	}
}

func TestForms(t *testing.T) {
	k := grant.New(grant.NewMemory())
	for name, c := range map[string]struct {
		challenge, echo string
		port            int
	}{
		"no challenge": {"", echo, 1}, "a plain one": {"short", echo, 1}, "padding": {challenge + "=", echo, 1},
		"an echo that is an address": {challenge, "x&code=y/0123456789", 1}, "a short echo": {challenge, "x", 1},
		"port 0": {challenge, echo, 0}, "port 65536": {challenge, echo, 65536}, "port -1": {challenge, echo, -1},
	} {
		if _, err := k.Browser(t.Context(), asker, c.challenge, c.echo, c.port); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	sum := sha256.Sum256([]byte(verifier))
	if base64.RawURLEncoding.EncodeToString(sum[:]) != challenge {
		t.Error("the RFC's challenge is another")
	}
	g, err := k.Browser(t.Context(), grant.Asker{Host: " \x1b[2Jlap\u202etop\n" + strings.Repeat("ü", 500)}, challenge, echo, 1)
	if err != nil || strings.ContainsAny(g.Host, "\x1b\u202e\n") || len([]rune(g.Host)) > 64 || !strings.HasPrefix(g.Host, "[2Jlaptop") {
		t.Errorf("host %q, %v", g.Host, err)
	}
}

func TestDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := grant.New(grant.NewMemory())
		_, deviceCode, userCode, err := k.Device(t.Context(), asker)
		if err != nil || !regexp.MustCompile(`^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$`).MatchString(userCode) {
			t.Fatalf("%q, %v", userCode, err)
		}
		g, slow, err := k.Poll(t.Context(), deviceCode)
		if err != nil || slow || g.State != grant.Asking || g.Interval != 5*time.Second {
			t.Errorf("the first poll: %+v, %v, %v", g, slow, err)
		}
		for want := 10 * time.Second; want < 80*time.Second; want += 5 * time.Second {
			g, slow, err = k.Poll(t.Context(), deviceCode)
			if err != nil || !slow || g.Interval != min(want, time.Minute) {
				t.Errorf("too soon: %v, %v, %v", g.Interval, slow, err)
			}
		}
		time.Sleep(g.Interval)
		if _, slow, err = k.Poll(t.Context(), deviceCode); err != nil || slow {
			t.Errorf("in time: %v, %v", slow, err)
		}
		found, err := k.Find(t.Context(), ada, "login", strings.ToLower(strings.ReplaceAll(userCode, "-", " ")))
		if err != nil || found.Host != "laptop" {
			t.Fatal(found, err)
		}
		if redirect, err := k.Allow(t.Context(), found.ID, "login"); err != nil || redirect != "" {
			t.Errorf("%q, %v", redirect, err)
		}
		if g, _, err = k.Poll(t.Context(), deviceCode); err != nil || g.State != grant.Allowed || g.Login != "login" {
			t.Errorf("allowed: %+v, %v", g, err)
		}
		_, _, err = k.Poll(t.Context(), deviceCode)
		wantNone(t, "polled after the answer", err)
		if _, err := k.Find(t.Context(), ada, "login", userCode); fault.KindOf(err) != fault.NotFound {
			t.Errorf("found after the answer: %v", err)
		}
	})
}

func TestADeviceIsRefused(t *testing.T) {
	k := grant.New(grant.NewMemory())
	g, deviceCode, userCode, err := k.Device(t.Context(), asker)
	if err != nil {
		t.Fatal(err)
	}
	find(t, k, userCode)
	if _, err := k.Refuse(t.Context(), g.ID, "login"); err != nil {
		t.Fatal(err)
	}
	if g, _, err = k.Poll(t.Context(), deviceCode); err != nil || g.State != grant.Refused {
		t.Errorf("%+v, %v", g, err)
	}
}

// TestADeviceIsAnsweredByWhoTypedItsCode: whoever asked can tell the ID from the
// device code, but whom they send it to can do nothing by it.
func TestADeviceIsAnsweredByWhoTypedItsCode(t *testing.T) {
	k := grant.New(grant.NewMemory())
	_, deviceCode, userCode, err := k.Device(t.Context(), asker)
	if err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(deviceCode, ".")
	none := func(what string, login websession.ID) {
		t.Helper()
		_, err := k.Look(t.Context(), id, login)
		wantNone(t, what+": looked at", err)
		_, err = k.Allow(t.Context(), id, login)
		wantNone(t, what+": allowed", err)
		_, err = k.Refuse(t.Context(), id, login)
		wantNone(t, what+": refused", err)
	}
	none("before the code was typed", "login")
	none("nobody", "")
	find(t, k, userCode)
	none("another login", "another")
	none("nobody", "")
	if _, err := k.Look(t.Context(), id, "login"); err != nil {
		t.Error(err)
	}
	if _, err := k.Allow(t.Context(), id, "login"); err != nil {
		t.Error(err)
	}
}

// polled is a store in which a device polls whenever a person is about to change
// something, as often as times says.
type polled struct {
	grant.Store
	times int
}

func (p *polled) Put(ctx context.Context, g grant.Grant) (bool, error) {
	if p.times > 0 {
		p.times--
		meanwhile, _, err := p.Get(ctx, g.ID)
		if err != nil {
			return false, err
		}
		if ok, err := p.Store.Put(ctx, meanwhile); !ok {
			return ok, err
		}
	}
	return p.Store.Put(ctx, g)
}

// TestAPollTakesNoAnswerAway: an answer holds though the device polls meanwhile.
func TestAPollTakesNoAnswerAway(t *testing.T) {
	s := &polled{Store: grant.NewMemory()}
	k := grant.New(s)
	g, deviceCode, userCode, err := k.Device(t.Context(), asker)
	if err != nil {
		t.Fatal(err)
	}
	s.times = 2
	find(t, k, userCode)
	s.times = 2
	if _, err := k.Allow(t.Context(), g.ID, "login"); err != nil {
		t.Fatal(err)
	}
	if g, _, err = k.Poll(t.Context(), deviceCode); err != nil || g.State != grant.Allowed {
		t.Errorf("%+v, %v", g, err)
	}
}

func TestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := grant.New(grant.NewMemory())
		late := begin(t, k)
		_, deviceCode, userCode, err := k.Device(t.Context(), asker)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Minute)
		redirect, err := k.Allow(t.Context(), begin(t, k).ID, "login")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		_, err = k.Redeem(t.Context(), codeIn(t, redirect), verifier)
		wantNone(t, "a code after a minute", err)
		_, err = k.Allow(t.Context(), late.ID, "login")
		wantNone(t, "allowed after ten minutes", err)
		_, _, err = k.Poll(t.Context(), deviceCode)
		wantNone(t, "polled after ten minutes", err)
		if _, err := k.Find(t.Context(), ada, "login", userCode); fault.KindOf(err) != fault.NotFound {
			t.Errorf("found after ten minutes: %v", err)
		}
	})
}

// TestAnIPv6ClientAsksAsOne: whoever has a network of addresses does not take the room
// of all; the person is shown the address itself.
func TestAnIPv6ClientAsksAsOne(t *testing.T) {
	k := grant.New(grant.NewMemory())
	from := func(address string) (grant.Grant, error) {
		return k.Browser(t.Context(), grant.Asker{Address: netip.MustParseAddr(address)}, challenge, echo, 1)
	}
	for i := range grant.MaxOfClient {
		address := fmt.Sprintf("2001:db8::%x:1", i)
		g, err := from(address)
		if err != nil {
			t.Fatal(err)
		}
		if seen, err := k.Look(t.Context(), g.ID, "login"); err != nil || seen.Address != netip.MustParseAddr(address).String() {
			t.Errorf("%s is shown as %q, %v", address, seen.Address, err)
		}
	}
	if _, err := from("2001:db8::ffff:1"); fault.KindOf(err) != fault.RateLimited {
		t.Errorf("one more address of the same network: %v", err)
	}
	if _, err := from("2001:db8:0:1::1"); err != nil {
		t.Errorf("the next network: %v", err)
	}
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := grant.New(grant.NewMemory())
		for range grant.MaxOfClient {
			begin(t, k)
		}
		if _, err := k.Browser(t.Context(), asker, challenge, echo, 1); fault.KindOf(err) != fault.RateLimited {
			t.Errorf("one more from an address: %v", err)
		}
		if _, _, _, err := k.Device(t.Context(), grant.Asker{Address: netip.MustParseAddr("192.0.2.2")}); err != nil {
			t.Errorf("from another address: %v", err)
		}
		time.Sleep(10*time.Minute + time.Second)
		begin(t, k)
		tries := 0
		for ; tries < 50; tries++ {
			if _, err := k.Find(t.Context(), ada, "login", "BCDF-GHJK"); fault.KindOf(err) == fault.RateLimited {
				break
			}
		}
		if tries != 10 {
			t.Errorf("%d user codes could be tried", tries)
		}
		if _, err := k.Find(t.Context(), identity.Actor{Issuer: "i", Subject: "bob"}, "login", "x"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("another person: %v", err)
		}
	})
}
