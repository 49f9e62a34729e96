package websession

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

var alice = identity.Actor{Issuer: "dev", Subject: "alice", As: identity.Impersonation{User: "alice"}}

func manager(change ...func(*Options)) *Manager {
	o := Options{
		Store: NewMemory(10), CookieName: "periscope_session", SameSite: http.SameSiteStrictMode,
		Idle: 30 * time.Minute, Absolute: 12 * time.Hour, Log: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&o)
	}
	return New(o)
}

// login returns a request that bears the cookie of a fresh login.
func login(t *testing.T, m *Manager) *http.Request {
	t.Helper()
	w := httptest.NewRecorder()
	if _, err := m.Start(w, request(), Grant{Actor: alice}); err != nil {
		t.Fatal(err)
	}
	return request(w.Result().Cookies()...)
}

func request(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

func mustBeOut(t *testing.T, m *Manager, r *http.Request) {
	t.Helper()
	if a, _, err := m.FromRequest(r); fault.KindOf(err) != fault.Unauthenticated || err == nil {
		t.Fatalf("still logged in as %+v (%v)", a, err)
	}
}

func mustBeIn(t *testing.T, m *Manager, r *http.Request) ID {
	t.Helper()
	a, id, err := m.FromRequest(r)
	if err != nil || !a.Same(alice) || a.As.User != "alice" {
		t.Fatalf("got %+v, %v", a, err)
	}
	return id
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestCookie(t *testing.T) {
	for _, c := range []struct {
		secure bool
		name   string
	}{{false, "periscope_session"}, {true, "__Host-periscope_session"}} {
		m := manager(func(o *Options) { o.Secure = c.secure })
		w := httptest.NewRecorder()
		if _, err := m.Start(w, request(), Grant{Actor: alice}); err != nil {
			t.Fatal(err)
		}
		got := w.Result().Cookies()[0]
		if got.Name != c.name || got.Secure != c.secure || !got.HttpOnly || got.SameSite != http.SameSiteStrictMode || got.Path != "/" || got.Domain != "" {
			t.Errorf("cookie is %s", got)
		}
		if len(got.Value) != 43 {
			t.Errorf("the secret has %d characters, want 43 (256 bits)", len(got.Value))
		}
	}
}

func TestSecretIsNotStored(t *testing.T) {
	store := NewMemory(10)
	m := manager(func(o *Options) { o.Store = store })
	c, _ := login(t, m).Cookie("periscope_session")
	for id := range store.records {
		if strings.Contains(string(id), c.Value) {
			t.Fatal("the store holds the cookie's secret")
		}
	}
}

func TestLogout(t *testing.T) {
	m := manager()
	one, two := login(t, m), login(t, m)
	id := mustBeIn(t, m, one)
	done, other := m.Done(id), m.Done(mustBeIn(t, m, two))
	if closed(done) {
		t.Fatal("done before logout")
	}
	w := httptest.NewRecorder()
	if a, ok, err := m.End(w, one); !ok || err != nil || !a.Same(alice) {
		t.Fatalf("End says %+v, %v, %v", a, ok, err)
	}
	if !closed(done) || closed(other) {
		t.Fatal("Done tells the wrong login's end")
	}
	if c := w.Result().Cookies()[0]; c.MaxAge >= 0 || c.Value != "" {
		t.Fatalf("the cookie stays: %s", c)
	}
	mustBeOut(t, m, one)
	mustBeIn(t, m, two)
	late := m.Done(id)
	if m.sweep(t.Context()); !closed(late) || closed(other) {
		t.Fatal("who asks after the end is not told")
	}
	if _, ok, err := m.End(httptest.NewRecorder(), one); ok || err != nil {
		t.Fatal("logged out twice")
	}
}

// full is a store that has no room for what is deleted.
type full struct{ *Memory }

func (full) Delete(context.Context, ID) error { return errors.New("the disk is full") }

// TestALogoutThatFails leaves the cookie, by which it is tried again.
func TestALogoutThatFails(t *testing.T) {
	store := NewMemory(10)
	m := manager(func(o *Options) { o.Store = full{store} })
	one := login(t, m)
	w := httptest.NewRecorder()
	if a, ok, err := m.End(w, one); !ok || err == nil || !a.Same(alice) {
		t.Fatalf("End says %+v, %v, %v", a, ok, err)
	}
	if left := w.Result().Cookies(); len(left) != 0 {
		t.Errorf("the cookie is taken away: %v", left)
	}
	mustBeIn(t, m, one)
	m.o.Store, w = store, httptest.NewRecorder()
	if _, ok, err := m.End(w, one); !ok || err != nil || len(w.Result().Cookies()) != 1 {
		t.Errorf("the second try: %v, %v", ok, err)
	}
	mustBeOut(t, m, one)
}

func TestBadCookies(t *testing.T) {
	m := manager()
	good, _ := login(t, m).Cookie("periscope_session")
	flipped := []byte(good.Value)
	flipped[0] ^= 1
	// The last character carries four bits that decode to nothing: a lax
	// decoder would take sixteen cookies for one.
	lax := []byte(good.Value)
	lax[42]++
	for name, value := range map[string]string{
		"empty": "", "truncated": good.Value[:42], "longer": good.Value + "A", "64 KiB": strings.Repeat("A", 64<<10),
		"flipped": string(flipped), "lax": string(lax), "other alphabet": strings.Repeat("+", 43),
		"unknown": base64.RawURLEncoding.EncodeToString(make([]byte, 32)), "the id": string(mustBeIn(t, m, request(good))),
	} {
		t.Run(name, func(t *testing.T) {
			mustBeOut(t, m, request(&http.Cookie{Name: good.Name, Value: value}))
		})
	}
	t.Run("a planted one before the right one", func(t *testing.T) {
		mustBeIn(t, m, request(&http.Cookie{Name: good.Name, Value: "x"}, good))
	})
	t.Run("behind too many", func(t *testing.T) {
		bad := &http.Cookie{Name: good.Name, Value: "x"}
		mustBeOut(t, m, request(bad, bad, bad, bad, good))
	})
}

func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := manager()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()

		idle, busy := login(t, m), login(t, m)
		idleDone, busyID := m.Done(mustBeIn(t, m, idle)), mustBeIn(t, m, busy)
		busyDone := m.Done(busyID)
		for range 2 {
			time.Sleep(20 * time.Minute)
			_, _, _ = m.FromRequest(idle) // polling is no activity
			m.Touch(busyID)
		}
		mustBeOut(t, m, idle)
		mustBeIn(t, m, busy)
		time.Sleep(sweepEvery)
		synctest.Wait()
		if !closed(idleDone) || closed(busyDone) {
			t.Fatal("Done does not follow the idle timeout")
		}
		for range 12 * 3 {
			time.Sleep(20 * time.Minute)
			m.Touch(busyID)
		}
		synctest.Wait()
		mustBeOut(t, m, busy)
		if !closed(busyDone) {
			t.Fatal("Done does not follow the absolute timeout")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

func TestExpiryIsTold(t *testing.T) {
	m := manager()
	before := time.Now()
	a, err := m.Start(httptest.NewRecorder(), request(), Grant{Actor: alice})
	if err != nil || a.Expires.Before(before.Add(12*time.Hour)) {
		t.Fatalf("expires %v (%v)", a.Expires, err)
	}
}

func TestFullStoreForgetsTheIdlest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := manager(func(o *Options) { o.Store = NewMemory(2) })
		defer run(t, m)()
		first := login(t, m)
		time.Sleep(time.Minute)
		second := login(t, m)
		time.Sleep(time.Minute)
		m.Touch(mustBeIn(t, m, first))
		synctest.Wait()
		third := login(t, m)
		mustBeIn(t, m, first)
		mustBeOut(t, m, second)
		mustBeIn(t, m, third)
	})
}

// hangingStore answers nothing to whoever keeps activity, until it is let go.
type hangingStore struct {
	*Memory
	hangs   chan struct{}
	touches []time.Time
}

func (s *hangingStore) Touch(ctx context.Context, id ID, at time.Time) error {
	select {
	case <-s.hangs:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.touches = append(s.touches, at)
	return s.Memory.Touch(ctx, id, at)
}

// TestTypingWaitsForNoStore: activity is kept beside whoever types, as often as is
// worth it, and again once a store that hung answers.
func TestTypingWaitsForNoStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &hangingStore{Memory: NewMemory(10), hangs: make(chan struct{})}
		m := manager(func(o *Options) { o.Store = store })
		defer run(t, m)()
		began := time.Now()
		id := mustBeIn(t, m, login(t, m))
		for range 100 {
			time.Sleep(touchEvery / 10)
			m.Touch(id)
		}
		if took := time.Since(began); took != 10*touchEvery || len(store.touches) > 0 {
			t.Errorf("typing took %v, %d kept", took, len(store.touches))
		}
		close(store.hangs)
		time.Sleep(touchTime)
		synctest.Wait()
		store.touches = nil
		for range 100 {
			time.Sleep(touchEvery / 10)
			m.Touch(id)
		}
		synctest.Wait()
		if n := len(store.touches); n != 10 {
			t.Errorf("%d writes in ten times %v of typing", n, touchEvery)
		}
	})
}

type brokenStore struct{ *Memory }

func (brokenStore) Get(context.Context, ID) (Record, bool, error) {
	return Record{}, false, errors.New("disk is gone")
}

func TestBrokenStoreLogsNobodyOut(t *testing.T) {
	memory := NewMemory(10)
	m := manager(func(o *Options) { o.Store = memory })
	r := login(t, m)
	id := mustBeIn(t, m, r)
	m.o.Store = brokenStore{memory}
	if _, _, err := m.FromRequest(r); fault.KindOf(err) != fault.Internal {
		t.Fatalf("got %v", err)
	}
	m.sweep(t.Context())
	if closed(m.Done(id)) {
		t.Fatal("a store that does not answer ended a login")
	}
	m.o.Store = memory
	mustBeIn(t, m, r)
}

// TestAKeptLoginIsAdmittedAgain starts a manager under other settings over the
// same store, as a restart does.
func TestAKeptLoginIsAdmittedAgain(t *testing.T) {
	store := NewMemory(10)
	before := manager(func(o *Options) { o.Store = store })
	r := login(t, before)
	id := mustBeIn(t, before, r)

	lowered := manager(func(o *Options) {
		o.Store = store
		o.Admit = func(a identity.Actor) (identity.Actor, error) {
			a.Tier, a.As = "read", identity.Impersonation{User: a.Subject, Groups: []string{"periscope-tier:read"}}
			return a, nil
		}
	})
	if a, _, err := lowered.FromRequest(r); err != nil || a.Tier != "read" || len(a.As.Groups) != 1 || a.Expires.IsZero() {
		t.Errorf("got %+v, %v", a, err)
	}

	refusing := manager(func(o *Options) {
		o.Store = store
		o.Admit = func(identity.Actor) (identity.Actor, error) {
			return identity.Actor{}, fault.New(fault.Forbidden, "test", "You are in no group that may.")
		}
	})
	mustBeOut(t, refusing, r)
	if _, err := refusing.Present(t.Context(), id); fault.KindOf(err) != fault.Unauthenticated || fault.PublicOf(err) != "You are in no group that may." {
		t.Errorf("got %v", err)
	}
}
