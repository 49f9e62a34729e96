package podexec

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
)

// person is somebody whose login can change.
type person struct {
	mu    sync.Mutex
	actor identity.Actor
	err   error
}

func (p *person) is(groups ...string) *person {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.actor, p.err = ada, nil
	p.actor.As = identity.Impersonation{User: "ada", Groups: groups}
	return p
}

func (p *person) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *person) becomesEve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.actor.Subject = "eve"
}

func (p *person) present(context.Context) (identity.Actor, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.actor, p.err
}

// apiserver has one oracle for those in the group ops, who may, and one for all
// others, who may not.
type apiserver struct {
	*rig
	ops, others *oracle
}

func (a *apiserver) Find(_ context.Context, _ string, actor identity.Actor) (Place, error) {
	up := a.others
	if slices.Contains(actor.As.Groups, "ops") {
		up = a.ops
	}
	return Place{Cluster: "c", Settings: a.set, Upstream: up}, nil
}

func presentRig(t *testing.T) *apiserver {
	r, ops := rightsRig(t)
	a := &apiserver{rig: r, ops: ops, others: &oracle{cluster: r.up}}
	a.others.always(errNo)
	r.ss.Directory = a
	return a
}

// requestOf is for a shell, or to come back to one, by p's login.
func (a *apiserver) requestOf(p *person) Request {
	req := a.request()
	req.Actor, _ = p.present(a.t.Context())
	req.Login.Present = p.present
	return req
}

// openAs opens a shell of p's login and waits until it stands.
func (a *apiserver) openAs(p *person) *pipeConn {
	a.t.Helper()
	ticket, err := a.ss.Admit(a.t.Context(), a.requestOf(p))
	if err != nil {
		a.t.Fatal(err)
	}
	conn := newPipeConn()
	a.ss.Serve(ticket, conn, true)
	synctest.Wait()
	conn.drain()
	return conn
}

// TestALoginThatChangesTakesItsShells moves one of two logins of a person to
// other groups, while nothing changes in the cluster.
func TestALoginThatChangesTakesItsShells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := presentRig(t)
		moved, stays := new(person).is("ops", "dev"), new(person).is("ops", "dev")
		first, second := a.openAs(moved), a.openAs(stays)
		time.Sleep(10 * time.Minute)
		moved.is("dev")
		lost := time.Now()
		<-first.gone
		if took := time.Since(lost); took > time.Minute {
			t.Errorf("ended after %v", took)
		}
		closed, e := lastWords(t, first)
		if closed["reason"] != "forbidden" || first.closeCode() != 1008 || e["code"] != "E_FORBIDDEN" ||
			!strings.Contains(closed["message"].(string), "taken away") || !strings.Contains(closed["message"].(string), "ada may not.") {
			t.Errorf("closed %v with %d, error %v", closed, first.closeCode(), e)
		}
		time.Sleep(5 * time.Minute)
		if _, frames := second.drain(); find(frames, "closed") != nil {
			t.Errorf("the other login's shell was ended: %v", frames)
		}
		a.leave(second)
		if len(a.ss.rights.held) != 0 {
			t.Errorf("%d rights are left", len(a.ss.rights.held))
		}
	})
}

// TestAShellIsAskedAboutAsItsLoginIs: other groups that may as well end nothing,
// and the old ones are not asked about any more.
func TestAShellIsAskedAboutAsItsLoginIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := presentRig(t)
		a.others.always(nil)
		p := new(person).is("dev")
		conn := a.openAs(p)
		time.Sleep(rightsEvery)
		p.is("ops")
		time.Sleep(rightsEvery)
		a.others.forget()
		a.ops.forget()
		time.Sleep(10 * rightsEvery)
		if old, now := len(a.others.forget()), len(a.ops.forget()); old != 0 || now < 10 {
			t.Errorf("%d questions about the groups that were, %d about those that are", old, now)
		}
		if _, frames := conn.drain(); find(frames, "closed") != nil {
			t.Errorf("frames %v", frames)
		}
		a.ops.always(errNo)
		a.free()
		if closed, _ := lastWords(t, conn); closed["reason"] != "forbidden" {
			t.Errorf("closed %v", closed)
		}
	})
}

// TestALoginThatCannotBeConfirmed ends a shell at once where the login is no more,
// and after minutes where nobody can say.
func TestALoginThatCannotBeConfirmed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*person)
		after  time.Duration
		reason string
		code   int
	}{
		"ended":        {func(p *person) { p.fail(fault.New(fault.Unauthenticated, "t", "Gone.")) }, 0, "unauthorized", 1008},
		"another's":    {(*person).becomesEve, 0, "unauthorized", 1008},
		"store silent": {func(p *person) { p.fail(fault.New(fault.Internal, "t", "No store.")) }, unconfirmedLimit, "server_error", 1011},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := presentRig(t)
				p := new(person).is("ops")
				conn := a.openAs(p)
				for range 3 {
					p.fail(fault.New(fault.Internal, "t", "No store."))
					time.Sleep(unconfirmedLimit - rightsEvery)
					p.is("ops")
					time.Sleep(rightsEvery)
				}
				c.change(p)
				begun := time.Now()
				a.free()
				if took := time.Since(begun); took < c.after || took > c.after+2*rightsEvery {
					t.Errorf("ended after %v", took)
				}
				if closed, _ := lastWords(t, conn); closed["reason"] != c.reason || conn.closeCode() != c.code {
					t.Errorf("closed %v with %d", closed, conn.closeCode())
				}
			})
		})
	}
}

// TestALoginBeforeDecidesNothing: while somebody is asked who a login is, its owner
// logs in again and comes back; that the one before has ended says nothing then.
func TestALoginBeforeDecidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := presentRig(t)
		p := new(person).is("ops")
		asked, answer := make(chan struct{}), make(chan struct{})
		request := func(present func(context.Context) (identity.Actor, error)) Request {
			req := a.request()
			req.Actor, _ = p.present(t.Context())
			req.Login.Present = present
			return req
		}
		v, _ := a.visitAs(request(func(context.Context) (identity.Actor, error) {
			close(asked)
			<-answer
			return identity.Actor{}, fault.New(fault.Unauthenticated, "t", "Gone.")
		}))
		<-asked
		if err := v.attachAs(request(p.present), v.wish()); err != nil {
			t.Fatal(err)
		}
		close(answer)
		time.Sleep(time.Second)
		v.look()
		if closed := find(v.frames, "closed"); closed != nil {
			t.Errorf("closed %v", closed)
		}
		v.leave()
	})
}

// TestANewLoginHasItsOwnTime: the minutes in which nobody could confirm the login
// before do not count for the one that its owner comes back with.
func TestANewLoginHasItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := presentRig(t)
		silent := fault.New(fault.Internal, "t", "No store.")
		before, now := new(person).is("ops"), new(person).is("ops")
		v, _ := a.visitAs(a.requestOf(before))
		before.fail(silent)
		time.Sleep(unconfirmedLimit - time.Second)
		again := a.requestOf(now)
		now.fail(silent)
		if err := v.attachAs(again, v.wish()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(unconfirmedLimit - rightsEvery)
		now.is("ops")
		time.Sleep(rightsEvery)
		v.look()
		if closed := find(v.frames, "closed"); closed != nil {
			t.Errorf("closed %v", closed)
		}
		v.leave()
	})
}

// TestComingBackIsAnAnswer: the apiserver has just said yes to whoever is back, and the
// minutes in which it said nothing are over.
func TestComingBackIsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := rightsRig(t)
		v, _ := r.visit()
		asked := make(chan time.Time, 100)
		o.say(func(context.Context, string) error {
			asked <- time.Now()
			return errSilent
		})
		since := <-asked
		v.lose()
		time.Sleep(time.Until(since.Add(unansweredLimit - 2*time.Second)))
		o.always(nil)
		v.comeBack()
		o.always(errSilent) // no question of the session's own is answered
		time.Sleep(4 * time.Second)
		v.look()
		if closed := find(v.frames, "closed"); closed != nil {
			t.Fatalf("closed %v", closed)
		}
		if len(r.ss.rights.held) != 1 || len(r.ss.rights.held[keyOf(r.request())].holders) != 1 {
			t.Errorf("it stands on %v", r.ss.rights.held)
		}
		o.always(nil)
		v.leave()
		if len(r.ss.rights.held) != 0 {
			t.Errorf("%d rights are left", len(r.ss.rights.held))
		}
	})
}

// TestAnIdentityBeforeDecidesNothing: while the apiserver is asked about the groups
// that somebody had, they come back with others that may; a no to the old ones says
// nothing then.
func TestAnIdentityBeforeDecidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := presentRig(t)
		a.others.always(nil)
		p := new(person).is("dev")
		v, _ := a.visitAs(a.requestOf(p))
		asked, answer := make(chan struct{}), make(chan struct{})
		a.others.say(func(context.Context, string) error {
			close(asked)
			<-answer
			return errNo
		})
		<-asked
		p.is("ops")
		if err := v.attachAs(a.requestOf(p), v.wish()); err != nil {
			t.Fatal(err)
		}
		close(answer)
		a.ops.forget()
		time.Sleep(rightsEvery)
		v.look()
		if closed := find(v.frames, "closed"); closed != nil {
			t.Fatalf("closed %v", closed)
		}
		if len(a.ops.forget()) == 0 {
			t.Error("nobody asked about the groups that they have now")
		}
		v.leave()
		if len(a.ss.rights.held) != 0 {
			t.Errorf("%d rights are left", len(a.ss.rights.held))
		}
	})
}
