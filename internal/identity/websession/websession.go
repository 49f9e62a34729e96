// Package websession keeps people logged in in their browsers.
//
// It owns the cookie, its secret, the timeouts and the word to others that a
// login has ended. It does not own how somebody logs in, what they may do, or
// Host and Origin checks. Run is its only goroutine and the caller's. It
// guarantees that the cookie's secret is kept nowhere but in the browser, and
// that a login whose record is gone or out of time is no login.
package websession

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
)

const (
	secretBytes = 32
	// sweepEvery bounds how late a login that ran out is told to its shells.
	sweepEvery = 15 * time.Second
	// maxCookies bounds how many cookies of our name are tried: a page of the
	// same host may plant some.
	maxCookies = 4
)

// Options of a Manager. All are needed but Secure.
type Options struct {
	Store Store
	// CookieName is without the __Host- that Secure puts before it.
	CookieName string
	// Secure is true where browsers reach us over TLS.
	Secure bool
	// SameSite is Strict in dev mode. A login through a provider needs Lax: its
	// way back is a navigation from another site.
	SameSite http.SameSite
	// Idle ends a login after so much time without activity, Absolute always.
	Idle, Absolute time.Duration
	Log            *slog.Logger
}

// Manager starts, finds and ends sessions.
type Manager struct {
	o Options

	mu   sync.Mutex // guards live
	live map[ID]chan struct{}
}

// New makes a manager; Run must be running for Done to close in time.
func New(o Options) *Manager {
	if o.Secure {
		o.CookieName = "__Host-" + o.CookieName
	}
	return &Manager{o: o, live: make(map[ID]chan struct{})}
}

// Run ends sessions whose time is out, until ctx is done. It then ends none:
// a store that survives the process keeps its logins.
func (m *Manager) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			m.sweep(ctx)
		}
	}
}

func (m *Manager) sweep(ctx context.Context) {
	m.mu.Lock()
	ids := make([]ID, 0, len(m.live))
	for id := range m.live {
		ids = append(ids, id)
	}
	m.mu.Unlock()
	for _, id := range ids {
		if _, err := m.find(ctx, id); fault.KindOf(err) == fault.Unauthenticated && err != nil {
			m.end(id)
		}
	}
}

// Start logs the actor in and sets the cookie. The actor it returns knows when
// the login ends.
func (m *Manager) Start(w http.ResponseWriter, r *http.Request, a identity.Actor) (identity.Actor, error) {
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails: the process would have ended
	id, now := idOf(secret), time.Now()
	a.Expires = now.Add(m.o.Absolute)
	m.mu.Lock()
	m.live[id] = make(chan struct{})
	m.mu.Unlock()
	if err := m.o.Store.Put(r.Context(), Record{ID: id, Actor: a, Created: now, Active: now}); err != nil {
		m.end(id)
		return identity.Actor{}, fault.Wrap(err, fault.Internal, "websession.Start", "Your login could not be kept. Try again in a moment.")
	}
	http.SetCookie(w, m.cookie(base64.RawURLEncoding.EncodeToString(secret), int(m.o.Absolute.Seconds())))
	return a, nil
}

func (m *Manager) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: m.o.CookieName, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: m.o.Secure, SameSite: m.o.SameSite,
	}
}

// FromRequest is who sent the request. It counts as no activity: the caller
// knows whether a person or a timer of the page was behind it, and says Touch.
// Its error is a fault Unauthenticated where nobody is logged in.
func (m *Manager) FromRequest(r *http.Request) (identity.Actor, ID, error) {
	cookies := r.CookiesNamed(m.o.CookieName)
	for _, c := range cookies[:min(len(cookies), maxCookies)] {
		secret, ok := decode(c.Value)
		if !ok {
			continue
		}
		rec, err := m.find(r.Context(), idOf(secret))
		if err == nil {
			return rec.Actor, rec.ID, nil
		}
		if fault.KindOf(err) != fault.Unauthenticated {
			return identity.Actor{}, "", err
		}
	}
	return identity.Actor{}, "", loggedOut()
}

// find is the record of a login that still holds. Looking a hash up takes a
// time that tells nothing about the secret.
func (m *Manager) find(ctx context.Context, id ID) (Record, error) {
	rec, ok, err := m.o.Store.Get(ctx, id)
	if err != nil {
		return Record{}, fault.Wrap(err, fault.Internal, "websession.find", "Your login could not be looked up. Try again in a moment.")
	}
	if !ok {
		return Record{}, loggedOut()
	}
	now := time.Now()
	if now.Sub(rec.Created) >= m.o.Absolute || now.Sub(rec.Active) >= m.o.Idle {
		return Record{}, loggedOut()
	}
	return rec, nil
}

func loggedOut() error {
	return fault.New(fault.Unauthenticated, "websession", "You are not logged in, or your login has ended. Log in again.")
}

// Check reports whether the login still holds: nil, or the fault that
// FromRequest would give.
func (m *Manager) Check(ctx context.Context, id ID) error {
	_, err := m.find(ctx, id)
	return err
}

// Touch says that the person did something just now. A login that has run out
// stays out.
func (m *Manager) Touch(ctx context.Context, id ID) {
	if _, err := m.find(ctx, id); err != nil {
		return
	}
	if err := m.o.Store.Touch(ctx, id, time.Now()); err != nil {
		m.o.Log.Warn("a login's activity was not kept", "error", err)
	}
}

// Done is closed when the login ends, by logout or by time. For one that has
// ended already, or never was, it is closed from the start.
func (m *Manager) Done(id ID) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ch, ok := m.live[id]; ok {
		return ch
	}
	ch := make(chan struct{})
	close(ch)
	return ch
}

// End logs the sender of the request out and takes the cookie away. It reports
// who that was, false where nobody was logged in.
func (m *Manager) End(w http.ResponseWriter, r *http.Request) (identity.Actor, bool) {
	http.SetCookie(w, m.cookie("", -1))
	a, id, err := m.FromRequest(r)
	if err != nil {
		return identity.Actor{}, false
	}
	m.end(id)
	return a, true
}

// end forgets the record first: whoever hears of the end finds it true.
func (m *Manager) end(id ID) {
	if err := m.o.Store.Delete(context.Background(), id); err != nil {
		m.o.Log.Error("a login that ended was not forgotten", "error", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if ch, ok := m.live[id]; ok {
		close(ch)
		delete(m.live, id)
	}
}

func idOf(secret []byte) ID {
	sum := sha256.Sum256(secret)
	return ID(hex.EncodeToString(sum[:]))
}

func decode(value string) ([]byte, bool) {
	if len(value) != base64.RawURLEncoding.EncodedLen(secretBytes) {
		return nil, false
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(value)
	return secret, err == nil
}
