// Package websession keeps people logged in in their browsers.
//
// It owns the cookie, its secret, the timeouts, when a login is to be renewed, how
// one logs out, and the word to others that a login has ended. It does not own how
// somebody logs in, what the login provider is asked, what anybody may do, or Host and
// Origin checks. Its goroutines are Run, which is the caller's, and the renewals
// that Run starts and waits for. It guarantees that the cookie's secret is kept
// nowhere but in the browser, and that a login whose record is gone or out of
// time is no login, in every process that shares the store.
package websession

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/sync/singleflight"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
)

const (
	secretBytes = 32
	// sweepEvery bounds how late a login that ended elsewhere, or ran out, is told
	// to its shells.
	sweepEvery = 15 * time.Second
	// forgetEvery is how often records of logins that ran out are deleted.
	forgetEvery = 10 * time.Minute
	// touchEvery is how old Active may get before another write is worth it.
	touchEvery = 10 * time.Second
	// touchTime is how long the store may take for that.
	touchTime = 10 * time.Second
	// endAllLimit is how long the store may take to end all logins of one person, and
	// endOneLimit for one of them: one that hangs leaves time for the others.
	endAllLimit = 15 * time.Second
	endOneLimit = 5 * time.Second
	// maxCookies bounds how many cookies of our name are tried: a page of the
	// same host may plant some.
	maxCookies = 4
	// maxLogins bounds the logins of one person; a new one ends the idlest.
	maxLogins = 100
	maxAgent  = 256
	// renewers is how many logins are renewed at a time without anybody waiting,
	// and lastRenewal how long those under way have at a shutdown: a provider that
	// hands out each renewal once would take the next try for theft.
	renewers    = 16
	lastRenewal = 500 * time.Millisecond
)

// Options of a Manager. All are needed but Secure, Renew, Admit and Ended.
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
	// Renew asks the login provider about a login that is due; nil where nothing
	// ever is. An Unauthenticated fault ends the login; any other error is no
	// answer, and it is asked again, by the Renewal that came with the error if one
	// did.
	Renew func(context.Context, Record) (Grant, error)
	// Admit works out again what a kept login may do: a store outlives the settings
	// that it was kept under. Its refusal ends the login; nil leaves it as it was kept.
	Admit func(identity.Actor) (identity.Actor, error)
	// Ended hears of each login that ended without anybody's asking for it, because its
	// provider no longer renews it or its person has too many: once, and why, in words
	// for people; nil: nobody does. What merely ran out it does not hear of.
	Ended func(ctx context.Context, who identity.Actor, why string)
	Log   *slog.Logger
}

// Grant is what a login provider has said about a person just now.
type Grant struct {
	Actor identity.Actor
	// Renewal and Due are as in Record.
	Renewal []byte
	Due     time.Time
}

// Manager starts, finds and ends sessions.
type Manager struct {
	o        Options
	renewals singleflight.Group
	free     chan struct{}  // a place for each of the renewers
	renewing sync.WaitGroup // those of Run
	stop     context.Context
	cut      context.CancelFunc // ends every question, and soon what keeps an answer

	typed chan struct{} // rung when there is a touch to keep

	mu      sync.Mutex // guards what follows
	watched map[ID]chan struct{}
	touched map[ID]touch // within touchEvery
}

// touch is a person's last activity, as far as another write is worth it.
type touch struct {
	at   time.Time
	kept bool // whoever keeps it has it
}

// New makes a manager; Run must be running for Done to close in time, and for
// activity to be kept.
func New(o Options) *Manager {
	if o.Secure {
		o.CookieName = "__Host-" + o.CookieName
	}
	m := &Manager{
		o: o, free: make(chan struct{}, renewers), typed: make(chan struct{}, 1),
		watched: make(map[ID]chan struct{}), touched: make(map[ID]touch),
	}
	m.stop, m.cut = context.WithCancel(context.Background())
	return m
}

// Run ends sessions whose time is out, renews those that somebody waits for and
// keeps what people do, until ctx is done. It then ends none: a store that survives the process keeps
// its logins.
func (m *Manager) Run(ctx context.Context) error {
	defer m.settle()
	m.renewing.Go(func() { m.keepTouches(ctx) })
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var forgotten time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		m.sweep(ctx)
		if time.Since(forgotten) >= forgetEvery {
			forgotten = time.Now()
			m.forget(ctx)
		}
	}
}

// settle waits for the renewals under way, for a moment.
func (m *Manager) settle() {
	late := time.AfterFunc(lastRenewal, m.cut)
	defer late.Stop()
	m.renewing.Wait()
}

// sweep looks at the logins that somebody waits for. It waits for no provider:
// one that hangs must not keep anybody from hearing of a logout.
func (m *Manager) sweep(ctx context.Context) {
	m.mu.Lock()
	ids := make([]ID, 0, len(m.watched))
	for id := range m.watched {
		ids = append(ids, id)
	}
	m.mu.Unlock()
	for _, id := range ids {
		rec, err := m.kept(ctx, id)
		switch {
		case isLoggedOut(err):
			m.tell(id)
		case err == nil && m.due(rec):
			m.renewSoon(ctx, rec)
		}
	}
}

// renewSoon renews a login in the background, or leaves it to the next sweep where
// all renewers are busy.
func (m *Manager) renewSoon(ctx context.Context, rec Record) {
	select {
	case m.free <- struct{}{}:
	default:
		return
	}
	m.renewing.Go(func() {
		defer func() { <-m.free }()
		if _, err := m.renewed(ctx, rec); isLoggedOut(err) {
			m.tell(rec.ID)
		}
	})
}

func (m *Manager) forget(ctx context.Context) {
	now := time.Now()
	if err := m.o.Store.Sweep(ctx, now.Add(-m.o.Absolute), now.Add(-m.o.Idle)); err != nil {
		m.o.Log.Warn("login.not_forgotten", "error", err)
	}
}

// Start logs the person in and sets the cookie. The actor it returns knows when
// the login ends.
func (m *Manager) Start(w http.ResponseWriter, r *http.Request, g Grant) (identity.Actor, error) {
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails: the process would have ended
	now := time.Now()
	g.Actor.Expires = now.Add(m.o.Absolute)
	rec := Record{
		ID: idOf(secret), Actor: g.Actor, Agent: agent(r), Created: now, Active: now, Renewal: g.Renewal, Due: g.Due,
	}
	if err := m.o.Store.Put(r.Context(), rec); err != nil {
		return identity.Actor{}, fault.Wrap(err, fault.Internal, "websession.Start", "Your login could not be kept. Try again in a moment.")
	}
	m.bound(r.Context(), g.Actor)
	http.SetCookie(w, m.cookie(base64.RawURLEncoding.EncodeToString(secret), int(m.o.Absolute.Seconds())))
	return g.Actor, nil
}

// agent is what the browser calls itself, fit to be shown.
func agent(r *http.Request) string {
	s := r.UserAgent()
	s = strings.ToValidUTF8(s[:min(len(s), maxAgent)], "")
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, s)
}

// bound ends the idlest login of a person who has too many.
func (m *Manager) bound(ctx context.Context, a identity.Actor) {
	all, err := m.Of(ctx, a)
	if err != nil || len(all) <= maxLogins {
		return
	}
	idlest := all[0]
	for _, r := range all {
		if r.Active.Before(idlest.Active) {
			idlest = r
		}
	}
	why := fmt.Sprintf("one of more than %d logins of one person, and longest without activity", maxLogins)
	if err := m.end(ctx, idlest.ID); err != nil {
		m.o.Log.Error("login.not_ended", "actor", idlest.Actor.Subject, "why", why, "error", err)
		return
	}
	m.o.Log.Info("login.ended", "actor", idlest.Actor.Subject, "why", why)
	m.ended(ctx, idlest.Actor, why)
}

// ended says so to whoever records it, who may take longer than whoever asked.
func (m *Manager) ended(ctx context.Context, who identity.Actor, why string) {
	if m.o.Ended != nil {
		m.o.Ended(context.WithoutCancel(ctx), who, why)
	}
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
	rec, ok, err := m.Kept(r)
	if err != nil {
		return identity.Actor{}, "", err
	}
	if ok && m.due(rec) {
		rec, err = m.renewed(r.Context(), rec)
	}
	if err != nil {
		return identity.Actor{}, "", err
	}
	if !ok {
		return identity.Actor{}, "", loggedOut()
	}
	return rec.Actor, rec.ID, nil
}

// kept is the record of a login that is in time. Looking a hash up takes a time
// that tells nothing about the secret.
func (m *Manager) kept(ctx context.Context, id ID) (Record, error) {
	rec, ok, err := m.o.Store.Get(ctx, id)
	if err != nil {
		return Record{}, fault.Wrap(err, fault.Internal, "websession.find", "Your login could not be looked up. Try again in a moment.")
	}
	if !ok {
		return Record{}, loggedOut()
	}
	if !m.inTime(rec, time.Now()) {
		return Record{}, loggedOut()
	}
	return m.admitted(rec)
}

func (m *Manager) admitted(rec Record) (Record, error) {
	if m.o.Admit == nil {
		return rec, nil
	}
	a, err := m.o.Admit(rec.Actor)
	if err != nil {
		return Record{}, fault.Wrap(err, fault.Unauthenticated, "websession.find", "%s", fault.PublicOf(err))
	}
	rec.Actor = a
	return rec, nil
}

func (m *Manager) inTime(r Record, now time.Time) bool {
	return now.Sub(r.Created) < m.o.Absolute && now.Sub(r.Active) < m.o.Idle &&
		r.Created.Sub(now) < identity.MaxAhead && r.Active.Sub(now) < identity.MaxAhead
}

func loggedOut() error {
	return fault.New(fault.Unauthenticated, "websession", "You are not logged in, or your login has ended. Log in again.")
}

func isLoggedOut(err error) bool { return err != nil && fault.KindOf(err) == fault.Unauthenticated }

// Present is who a login is now: its groups and rights may have changed since it
// began. It asks no provider: Run sees to it that logins whose Done somebody has
// are renewed. Its errors are those of FromRequest.
func (m *Manager) Present(ctx context.Context, id ID) (identity.Actor, error) {
	rec, err := m.kept(ctx, id)
	if err == nil && m.due(rec) {
		rec, err = m.stale(rec, nil)
	}
	return rec.Actor, err
}

// Touch says that the person did something just now. It waits for nothing: whoever
// types must not wait for a database. A login that has run out stays out.
func (m *Manager) Touch(id ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if now.Sub(m.touched[id].at) < touchEvery {
		return
	}
	m.touched[id] = touch{at: now}
	select {
	case m.typed <- struct{}{}:
	default:
	}
}

func (m *Manager) keepTouches(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.typed:
		}
		for id, at := range m.touches() {
			m.keepTouch(ctx, id, at)
		}
	}
}

// touches takes what is not kept yet, and forgets what is too old to spare a write.
func (m *Manager) touches() map[ID]time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	fresh := make(map[ID]time.Time)
	for id, t := range m.touched {
		switch {
		case !t.kept:
			fresh[id] = t.at
			m.touched[id] = touch{at: t.at, kept: true}
		case time.Since(t.at) >= touchEvery:
			delete(m.touched, id)
		}
	}
	return fresh
}

func (m *Manager) keepTouch(ctx context.Context, id ID, at time.Time) {
	ctx, cancel := context.WithTimeout(ctx, touchTime)
	defer cancel()
	rec, err := m.kept(ctx, id)
	if err != nil || at.Sub(rec.Active) < touchEvery {
		return
	}
	if err := m.o.Store.Touch(ctx, id, at); err != nil {
		m.o.Log.Warn("login.activity_not_kept", "actor", rec.Actor.Subject, "error", err)
	}
}

// Done is closed when the login ends, by logout or by time, here or in another
// process: at once for what ends here, within seconds otherwise.
func (m *Manager) Done(id ID) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	ch, ok := m.watched[id]
	if !ok {
		ch = make(chan struct{})
		m.watched[id] = ch
	}
	return ch
}

// Kept is the sender's record, as it was kept; false where nobody is logged in.
func (m *Manager) Kept(r *http.Request) (Record, bool, error) {
	cookies := r.CookiesNamed(m.o.CookieName)
	for _, c := range cookies[:min(len(cookies), maxCookies)] {
		secret, ok := decode(c.Value)
		if !ok {
			continue
		}
		rec, err := m.kept(r.Context(), idOf(secret))
		if !isLoggedOut(err) {
			return rec, err == nil, err
		}
	}
	return Record{}, false, nil
}

// End logs the sender of the request out and takes the cookie away. It reports
// who that was, false where nobody was logged in. After an error the login may
// still hold, and its cookie is left, or nobody could try again.
func (m *Manager) End(w http.ResponseWriter, r *http.Request) (identity.Actor, bool, error) {
	rec, ok, err := m.Kept(r)
	if err != nil {
		return identity.Actor{}, false, err
	}
	if ok {
		err = m.end(r.Context(), rec.ID)
	}
	if err == nil {
		http.SetCookie(w, m.cookie("", -1))
	}
	return rec.Actor, ok, err
}

// Of lists a person's logins, the newest first.
func (m *Manager) Of(ctx context.Context, a identity.Actor) ([]Record, error) {
	all, err := m.o.Store.OfPerson(ctx, a.Issuer, a.Subject)
	if err != nil {
		return nil, err
	}
	now, held := time.Now(), []Record{}
	for _, r := range all {
		if m.inTime(r, now) {
			held = append(held, r)
		}
	}
	return held, nil
}

// EndOne ends one of the person's own logins. Somebody else's is NotFound, as is
// one that has ended.
func (m *Manager) EndOne(ctx context.Context, a identity.Actor, id ID) error {
	rec, err := m.kept(ctx, id)
	if isLoggedOut(err) || err == nil && !rec.Actor.Same(a) {
		return fault.New(fault.NotFound, "websession.EndOne", "There is no such login of yours. It may have ended already.")
	}
	if err != nil {
		return err
	}
	return m.end(ctx, id)
}

// EndAll ends every login of the person and counts them. One that cannot be ended
// keeps no other, and nor does it that whoever asked has gone.
func (m *Manager) EndAll(ctx context.Context, a identity.Actor) (int, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endAllLimit)
	defer cancel()
	all, err := m.o.Store.OfPerson(ctx, a.Issuer, a.Subject)
	if err != nil {
		return 0, err
	}
	ended := 0
	var why error // the first is enough for the log
	for _, r := range all {
		if no := m.dropSoon(ctx, r.ID); no != nil {
			why = cmp.Or(why, no)
			continue
		}
		ended++
	}
	if why != nil {
		why = fault.Wrap(why, fault.Internal, "websession.EndAll",
			"%d of your logins could not be ended and may still hold. Try again in a moment; if it stays so, tell whoever runs this server.", len(all)-ended)
	}
	return ended, why
}

// dropSoon is drop that takes its part of the time for all.
func (m *Manager) dropSoon(ctx context.Context, id ID) error {
	ctx, cancel := context.WithTimeout(ctx, endOneLimit)
	defer cancel()
	return m.drop(ctx, id)
}

// end is drop for whoever may hang up meanwhile.
func (m *Manager) end(ctx context.Context, id ID) error {
	return m.drop(context.WithoutCancel(ctx), id)
}

// drop forgets the record first: whoever hears of the end finds it true.
func (m *Manager) drop(ctx context.Context, id ID) error {
	if err := m.o.Store.Delete(ctx, id); err != nil {
		return fault.Wrap(err, fault.Internal, "websession.end", "The login could not be ended. Try again in a moment.")
	}
	m.tell(id)
	return nil
}

// tell closes Done.
func (m *Manager) tell(id ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ch, ok := m.watched[id]; ok {
		close(ch)
		delete(m.watched, id)
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
