package websession

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
)

// provider is a login provider that renews for five minutes at a time.
type provider struct {
	mu    sync.Mutex
	asked int
	said  error
	hold  chan struct{} // an answer waits until it is closed; nil for none
}

func (p *provider) renew(ctx context.Context, r Record) (Grant, error) {
	p.mu.Lock()
	p.asked++
	said, hold := p.said, p.hold
	p.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return Grant{}, ctx.Err()
		}
	}
	a := r.Actor
	a.Groups, a.Expires = append(a.Groups, "g"), time.Time{}
	return Grant{Actor: a, Renewal: append(r.Renewal, '+'), Due: time.Now().Add(5 * time.Minute)}, said
}

func (p *provider) say(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = err
}

func (p *provider) questions() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// renewing gives managers of one store, as of several processes, and a login.
func renewing(t *testing.T, p *provider, managers int) ([]*Manager, *http.Request) {
	t.Helper()
	store := NewMemory(10)
	var all []*Manager
	for range managers {
		all = append(all, manager(func(o *Options) { o.Store, o.Renew = store, p.renew }))
	}
	w := httptest.NewRecorder()
	if _, err := all[0].Start(w, request(), Grant{Actor: alice, Renewal: []byte("r"), Due: time.Now().Add(5 * time.Minute)}); err != nil {
		t.Fatal(err)
	}
	return all, request(w.Result().Cookies()...)
}

func TestRenewalIsOneQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{hold: make(chan struct{})}
		managers, r := renewing(t, p, 2)
		mustBeIn(t, managers[0], r)
		if p.questions() != 0 {
			t.Fatal("asked before it is due")
		}
		time.Sleep(5 * time.Minute)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if _, _, err := managers[i%2].FromRequest(r); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(p.hold)
		wg.Wait()
		if p.questions() != 1 {
			t.Errorf("a hundred requests to two processes asked %d times", p.questions())
		}
		a, _, err := managers[1].FromRequest(r)
		if err != nil || len(a.Groups) != 1 || a.Expires.IsZero() {
			t.Errorf("renewed %+v, %v", a, err)
		}
	})
}

func TestProviderThatSaysNo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{said: fault.New(fault.Unauthenticated, "test", "Your account has been closed.")}
		managers, r := renewing(t, p, 1)
		done := managers[0].Done(mustBeIn(t, managers[0], r))
		time.Sleep(5 * time.Minute)
		if _, _, err := managers[0].FromRequest(r); !isLoggedOut(err) || !closed(done) {
			t.Errorf("a closed account: %v", err)
		}
		p.say(nil)
		mustBeOut(t, managers[0], r)
	})
}

// TestProviderThatIsSilent: no answer is not a no, is asked for again without
// haste, and is one after a quarter of an hour.
func TestProviderThatIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{said: errors.New("connection refused")}
		managers, r := renewing(t, p, 1)
		m := managers[0]
		done := m.Done(mustBeIn(t, m, r))
		time.Sleep(5 * time.Minute)
		for range 60 {
			mustBeIn(t, m, r)
			time.Sleep(10 * time.Second)
		}
		if n := p.questions(); n < 15 || n > 21 {
			t.Errorf("asked %d times in ten minutes", n)
		}
		time.Sleep(5 * time.Minute)
		if _, _, err := m.FromRequest(r); fault.KindOf(err) != fault.Timeout || !strings.Contains(fault.PublicOf(err), "15 minutes") || closed(done) {
			t.Errorf("after a quarter of an hour: %v", err)
		}
		p.say(nil)
		time.Sleep(claimTime)
		mustBeIn(t, m, r)
	})
}

func TestLogoutDuringRenewalStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{hold: make(chan struct{})}
		managers, r := renewing(t, p, 2)
		time.Sleep(5 * time.Minute)
		answer := make(chan error, 1)
		go func() {
			_, _, err := managers[0].FromRequest(r)
			answer <- err
		}()
		synctest.Wait()
		if _, ok, err := managers[1].End(httptest.NewRecorder(), r); !ok || err != nil {
			t.Errorf("no logout: %v", err)
		}
		close(p.hold)
		if err := <-answer; !isLoggedOut(err) {
			t.Errorf("a login that was renewed past its logout: %v", err)
		}
		mustBeOut(t, managers[0], r)
	})
}

func TestRenewalDoesNotOutliveTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{hold: make(chan struct{})} // never answers
		managers, r := renewing(t, p, 1)
		time.Sleep(5 * time.Minute)
		begun := time.Now()
		mustBeIn(t, managers[0], r)
		if took := time.Since(begun); took != renewLimit {
			t.Errorf("waited %v for a provider that does not answer", took)
		}
	})
}

// TestLogoutInAnotherProcess is told here by the next sweep.
func TestLogoutInAnotherProcess(t *testing.T) {
	managers, r := renewing(t, &provider{}, 2)
	done := managers[0].Done(mustBeIn(t, managers[0], r))
	if _, ok, err := managers[1].End(httptest.NewRecorder(), r); !ok || err != nil {
		t.Fatal(err)
	}
	if managers[0].sweep(t.Context()); !closed(done) {
		t.Error("the other process does not know")
	}
}

func TestOwnLogins(t *testing.T) {
	m := manager()
	bob := identity.Actor{Issuer: "dev", Subject: "bob"}
	one, two := login(t, m), login(t, m)
	w := httptest.NewRecorder()
	if _, err := m.Start(w, request(), Grant{Actor: bob}); err != nil {
		t.Fatal(err)
	}
	bobs := request(w.Result().Cookies()...)
	id := mustBeIn(t, m, one)
	if all, err := m.Of(t.Context(), alice); len(all) != 2 || err != nil {
		t.Fatalf("alice has %d logins: %v", len(all), err)
	}
	if err := m.EndOne(t.Context(), bob, id); fault.KindOf(err) != fault.NotFound {
		t.Errorf("bob ends alice's login: %v", err)
	}
	done := m.Done(id)
	if err := m.EndOne(t.Context(), alice, id); err != nil || !closed(done) {
		t.Errorf("alice does not end her own: %v", err)
	}
	mustBeOut(t, m, one)
	mustBeIn(t, m, two)
	if err := m.EndOne(t.Context(), alice, id); fault.KindOf(err) != fault.NotFound {
		t.Errorf("ended twice: %v", err)
	}
	done = m.Done(mustBeIn(t, m, two))
	if n, err := m.EndAll(t.Context(), alice); n != 1 || err != nil || !closed(done) {
		t.Errorf("ended %d: %v", n, err)
	}
	mustBeOut(t, m, two)
	if a, _, err := m.FromRequest(bobs); err != nil || !a.Same(bob) {
		t.Errorf("bob is out as well: %v", err)
	}
}

func TestTooManyLoginsEndTheIdlest(t *testing.T) {
	m := manager(func(o *Options) { o.Store = NewMemory(1000) })
	first := login(t, m)
	for range maxLogins - 1 {
		login(t, m)
	}
	mustBeIn(t, m, first)
	login(t, m)
	mustBeOut(t, m, first)
}

func TestAgentIsFitToShow(t *testing.T) {
	m := manager()
	r := request()
	r.Header.Set("User-Agent", "Fire\x1b[31mfox\n"+strings.Repeat("é", maxAgent))
	if _, err := m.Start(httptest.NewRecorder(), r, Grant{Actor: alice}); err != nil {
		t.Fatal(err)
	}
	all, err := m.Of(t.Context(), alice)
	if err != nil || len(all[0].Agent) > maxAgent || !strings.HasPrefix(all[0].Agent, "Fire[31mfoxé") {
		t.Errorf("%q, %v", all[0].Agent, err)
	}
}
