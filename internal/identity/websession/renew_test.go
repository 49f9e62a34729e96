package websession

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
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
		var ended []string
		managers[0].o.Ended = func(_ context.Context, who identity.Actor, why string) {
			ended = append(ended, who.Subject+": "+why)
		}
		done := managers[0].Done(mustBeIn(t, managers[0], r))
		time.Sleep(5 * time.Minute)
		if _, _, err := managers[0].FromRequest(r); !isLoggedOut(err) || !closed(done) {
			t.Errorf("a closed account: %v", err)
		}
		p.say(nil)
		mustBeOut(t, managers[0], r)
		if !slices.Equal(ended, []string{alice.Subject + ": the login provider does not renew it: Your account has been closed."}) {
			t.Errorf("told of the end: %q", ended)
		}
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

// punctual is a store that does nothing for a caller whose time is up.
type punctual struct{ *Memory }

func (p punctual) Rotate(ctx context.Context, id ID, version int64, renewal []byte) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return p.Memory.Rotate(ctx, id, version, renewal)
}

// TestARenewalBesideNoAnswer is what the provider is asked with the next time, after
// the same pause: it takes the one before no more.
func TestARenewalBesideNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want, questions := "r", 0
		m := manager(func(o *Options) {
			o.Store = punctual{NewMemory(10)}
			o.Renew = func(ctx context.Context, r Record) (Grant, error) {
				if questions++; string(r.Renewal) != want {
					return Grant{}, fault.New(fault.Unauthenticated, "test", "Used already.")
				}
				if want += "+"; questions == 3 {
					return Grant{Actor: r.Actor, Renewal: []byte(want), Due: time.Now().Add(5 * time.Minute)}, nil
				}
				<-ctx.Done() // of what it was asked beside
				return Grant{Renewal: []byte(want)}, ctx.Err()
			}
		})
		w := httptest.NewRecorder()
		begun := time.Now()
		if _, err := m.Start(w, request(), Grant{Actor: alice, Renewal: []byte("r"), Due: begun.Add(5 * time.Minute)}); err != nil {
			t.Fatal(err)
		}
		r := request(w.Result().Cookies()...)
		time.Sleep(5 * time.Minute)
		mustBeIn(t, m, r)
		rec, _, err := m.Kept(r)
		if err != nil || string(rec.Renewal) != "r+" || !rec.Due.Equal(begun.Add(5*time.Minute)) || !rec.Actor.Same(alice) {
			t.Errorf("kept %+v, %v", rec, err)
		}
		time.Sleep(claimTime - renewLimit - time.Second)
		if mustBeIn(t, m, r); questions != 1 {
			t.Errorf("asked %d times at once", questions)
		}
		time.Sleep(time.Second)
		mustBeIn(t, m, r)
		time.Sleep(claimTime)
		mustBeIn(t, m, r)
		if rec, _, err = m.Kept(r); err != nil || questions != 3 || string(rec.Renewal) != "r+++" || !rec.Due.After(time.Now()) {
			t.Errorf("after %d questions %+v, %v", questions, rec, err)
		}
	})
}

// hiccup is a store that takes no renewal for a moment.
type hiccup struct {
	*Memory
	fails int
}

func (h *hiccup) Renew(ctx context.Context, id ID, version int64, a identity.Actor, renewal []byte, due time.Time) (bool, error) {
	if h.fails--; h.fails >= 0 {
		return false, errors.New("the database moves")
	}
	return h.Memory.Renew(ctx, id, version, a, renewal, due)
}

// TestAStoreThatFailsDuringRenewal loses no answer of the provider's by a moment
// without it, and keeps nobody waiting for long.
func TestAStoreThatFailsDuringRenewal(t *testing.T) {
	for name, c := range map[string]struct {
		fails int
		kept  string
	}{"for a moment": {3, "r+"}, "for good": {math.MaxInt, "r"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &provider{}
				managers, r := renewing(t, p, 1)
				m := managers[0]
				m.o.Store = &hiccup{m.o.Store.(*Memory), c.fails}
				time.Sleep(5 * time.Minute)
				begun := time.Now()
				_, _, err := m.FromRequest(r)
				if took := time.Since(begun); (err == nil) != (c.kept == "r+") || isLoggedOut(err) || took > keepLimit {
					t.Errorf("after %v: %v", took, err)
				}
				if rec, _, err := m.Kept(r); err != nil || string(rec.Renewal) != c.kept || p.questions() != 1 {
					t.Errorf("after %d questions %q, %v", p.questions(), rec.Renewal, err)
				}
			})
		})
	}
}

// locked is a store that another process writes to: as SQLite does it waits for the
// lock, and gives up after 10 s.
type locked struct {
	*Memory
	until time.Time
}

func (l *locked) Delete(ctx context.Context, id ID) error {
	if wait := time.Until(l.until); wait > 0 {
		select {
		case <-time.After(min(wait, 10*time.Second)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if time.Now().Before(l.until) {
		return errors.New("the database is locked")
	}
	return l.Memory.Delete(ctx, id)
}

// TestAStoreThatIsLockedDuringANo: the login goes when the store lets it, and its end
// is told then, once.
func TestAStoreThatIsLockedDuringANo(t *testing.T) {
	for name, c := range map[string]struct {
		lock time.Duration
		told string // at once, and after a second question
	}{
		"for a moment":            {7 * time.Second, "1 1"},
		"longer than one try":     {13 * time.Second, "1 1"},
		"longer than it may take": {dropLimit + time.Second, "0 1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &provider{said: fault.New(fault.Unauthenticated, "test", "Your account has been closed.")}
				managers, r := renewing(t, p, 1)
				m, ended := managers[0], 0
				m.o.Ended = func(context.Context, identity.Actor, string) { ended++ }
				time.Sleep(5 * time.Minute)
				m.o.Store = &locked{m.o.Store.(*Memory), time.Now().Add(c.lock)}
				begun := time.Now()
				if _, _, err := m.FromRequest(r); !isLoggedOut(err) || time.Since(begun) > dropLimit {
					t.Errorf("after %v: %v", time.Since(begun), err)
				}
				_, held, _ := m.Kept(r)
				if held != (ended == 0) {
					t.Errorf("kept %v, and its end was told %d times", held, ended)
				}
				told := strconv.Itoa(ended)
				time.Sleep(claimTime)
				mustBeOut(t, m, r)
				if told += " " + strconv.Itoa(ended); told != c.told {
					t.Errorf("the end was told %s times, want %s", told, c.told)
				}
			})
		})
	}
}

// stuck is a store that takes nothing of what a provider answers.
type stuck struct{ *Memory }

func (s stuck) Renew(ctx context.Context, _ ID, _ int64, _ identity.Actor, _ []byte, _ time.Time) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

func (s stuck) Rotate(ctx context.Context, _ ID, _ int64, _ []byte) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

func (s stuck) Delete(ctx context.Context, _ ID) error {
	select {
	case <-ctx.Done():
	case <-time.After(time.Minute):
	}
	return ctx.Err()
}

// TestAStoreThatHangsHoldsUpNoShutdown, whatever the provider has answered.
func TestAStoreThatHangsHoldsUpNoShutdown(t *testing.T) {
	gone := fault.New(fault.Unauthenticated, "test", "Your account has been closed.")
	for name, said := range map[string]error{"a renewal": nil, "a no": gone, "something beside no answer": errors.New("cut")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &provider{said: said}
				managers, r := renewing(t, p, 1)
				m := managers[0]
				m.o.Store = stuck{m.o.Store.(*Memory)}
				m.Done(mustBeIn(t, m, r))
				stop := run(t, m)
				for p.questions() == 0 {
					time.Sleep(sweepEvery)
					synctest.Wait()
				}
				begun := time.Now()
				if stop(); time.Since(begun) != lastRenewal+lastKeep {
					t.Errorf("the end waited %v for the store", time.Since(begun))
				}
			})
		})
	}
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

// run runs m beside the test until the returned function is called.
func run(t *testing.T, m *Manager) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestLogoutIsToldPastAProviderThatHangs: logins of many people are due, the
// provider answers nothing, and one logs out in another process.
func TestLogoutIsToldPastAProviderThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{hold: make(chan struct{})}
		store := NewMemory(1000)
		here := manager(func(o *Options) { o.Store, o.Renew = store, p.renew })
		there := manager(func(o *Options) { o.Store, o.Renew = store, p.renew })
		var last *http.Request
		var done <-chan struct{}
		for i := range 10 * renewers {
			w := httptest.NewRecorder()
			if _, err := here.Start(w, request(), Grant{Actor: identity.Actor{Subject: strconv.Itoa(i)}, Due: time.Now().Add(time.Minute)}); err != nil {
				t.Fatal(err)
			}
			last = request(w.Result().Cookies()...)
			rec, _, err := here.Kept(last)
			if err != nil {
				t.Fatal(err)
			}
			done = here.Done(rec.ID)
		}
		stop := run(t, here)
		time.Sleep(2 * time.Minute)
		if _, ok, err := there.End(httptest.NewRecorder(), last); !ok || err != nil {
			t.Fatal(err)
		}
		time.Sleep(sweepEvery)
		synctest.Wait()
		if !closed(done) {
			t.Error("a logout elsewhere was not told in time")
		}
		begun := time.Now()
		if stop(); time.Since(begun) > time.Second {
			t.Errorf("the end waited %v for the provider", time.Since(begun))
		}
	})
}

// TestPresent is what live shells are asked about with.
func TestPresent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{}
		managers, r := renewing(t, p, 1)
		m := managers[0]
		m.o.Idle = 12 * time.Hour
		id := mustBeIn(t, m, r)
		m.Done(id)
		stop := run(t, m)
		defer stop()
		time.Sleep(5*time.Minute + sweepEvery)
		synctest.Wait()
		if a, err := m.Present(t.Context(), id); err != nil || len(a.Groups) != 1 {
			t.Errorf("nobody asked, so it was not renewed: %+v, %v", a, err)
		}
		p.say(errors.New("no answer"))
		time.Sleep(5*time.Minute + staleLimit/2)
		if _, err := m.Present(t.Context(), id); err != nil {
			t.Errorf("no answer is no no: %v", err)
		}
		time.Sleep(staleLimit)
		if _, err := m.Present(t.Context(), id); fault.KindOf(err) != fault.Timeout {
			t.Errorf("nobody has confirmed it for so long: %v", err)
		}
		p.say(fault.New(fault.Unauthenticated, "t", "Gone."))
		time.Sleep(claimTime + sweepEvery)
		synctest.Wait()
		if _, err := m.Present(t.Context(), id); !isLoggedOut(err) {
			t.Errorf("the provider ended it: %v", err)
		}
	})
}

// TestAClockThatWasAYearAhead made logins that would hold for a year more.
func TestAClockThatWasAYearAhead(t *testing.T) {
	now := time.Now()
	year := 365 * 24 * time.Hour
	for name, c := range map[string]struct {
		created, active time.Duration // from now
		in              bool
	}{
		"another process is a minute ahead": {time.Minute, time.Minute, true},
		"made a year ahead":                 {year, year, false},
		"used a year ahead":                 {-time.Minute, year, false},
		"a year behind":                     {-year, -year, false},
		"made a year behind":                {-year, 0, false},
	} {
		m := manager()
		r := login(t, m)
		rec, _, err := m.Kept(r)
		if err != nil {
			t.Fatal(err)
		}
		rec.Created, rec.Active = now.Add(c.created), now.Add(c.active)
		if err := m.o.Store.Put(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.FromRequest(r); (err == nil) != c.in || err != nil && !isLoggedOut(err) {
			t.Errorf("%s: %v", name, err)
		}
		if all, err := m.Of(t.Context(), alice); (len(all) == 1) != c.in || err != nil {
			t.Errorf("%s: listed %d, %v", name, len(all), err)
		}
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

// stubborn keeps some logins, and asks nobody who has gone.
type stubborn struct {
	*Memory
	keeps map[ID]func(context.Context) error
}

func (s stubborn) OfPerson(ctx context.Context, issuer, subject string) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.Memory.OfPerson(ctx, issuer, subject)
}

func (s stubborn) Delete(ctx context.Context, id ID) error {
	if no := s.keeps[id]; no != nil {
		return no(ctx)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Memory.Delete(ctx, id)
}

// TestALoginThatStaysKeepsNoOther: everywhere is everywhere but there, also where
// whoever asked for it has hung up, and not for ever.
func TestALoginThatStaysKeepsNoOther(t *testing.T) {
	for name, no := range map[string]func(context.Context) error{
		"refused": func(context.Context) error { return errors.New("no") },
		"silent":  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kept := stubborn{NewMemory(10), map[ID]func(context.Context) error{}}
				m := manager(func(o *Options) { o.Store = kept })
				first := login(t, m)
				time.Sleep(time.Second)
				stays := login(t, m)
				time.Sleep(time.Second)
				last := login(t, m)
				kept.keeps[mustBeIn(t, m, stays)] = no
				gone, hangUp := context.WithCancel(t.Context())
				hangUp()
				begun := time.Now()
				n, err := m.EndAll(gone, alice)
				if n != 2 || fault.KindOf(err) != fault.Internal || !strings.Contains(fault.PublicOf(err), "1 of your logins could not be ended") {
					t.Errorf("ended %d: %v", n, err)
				}
				if took := time.Since(begun); took > endAllLimit {
					t.Errorf("took %v", took)
				}
				mustBeOut(t, m, last)
				mustBeIn(t, m, stays)
				mustBeOut(t, m, first)
			})
		})
	}
}

// TestTooManyLoginsEndTheIdlest of those that hold, and its end is told.
func TestTooManyLoginsEndTheIdlest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		m := manager(func(o *Options) {
			o.Store = NewMemory(1000)
			o.Ended = func(_ context.Context, who identity.Actor, why string) { told = append(told, who.Subject+": "+why) }
		})
		login(t, m)
		time.Sleep(m.o.Idle) // this one is none any more
		first := login(t, m)
		time.Sleep(time.Second)
		for range maxLogins - 1 {
			login(t, m)
		}
		done := m.Done(mustBeIn(t, m, first))
		if len(told) != 0 {
			t.Errorf("with %d logins: %q", maxLogins, told)
		}
		login(t, m)
		mustBeOut(t, m, first)
		if want := []string{"alice: one of more than 100 logins of one person, and longest without activity"}; !closed(done) || !slices.Equal(told, want) {
			t.Errorf("told of the end: %q", told)
		}
	})
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
