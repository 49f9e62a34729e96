package podexec

import (
	"context"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
)

// A login's groups and tier may change while its shell is open: the provider is
// asked again and again. A right is asked about as the identity that the login
// has now. Where that is another one, the session stands on another right, and is
// ended if the answer is no. The stream, and the exec that ends the shell, keep
// the identity of the opening: what has been opened must be closable.

// unconfirmedLimit is how long a session lives on while nobody can say who its
// login is now.
const unconfirmedLimit = unansweredLimit

// presence is what became of one session's login.
type presence struct {
	login *Login
	err   error
	key   rightKey // of the right that the session is to stand on
	place Place
}

// recognize finds out who the holders of a right are now, some at a time, since in
// mode shared all people in a pod hold the same one. It is not under ss.mu: the
// store of logins takes what it takes.
func (ss *Sessions) recognize(held *right) {
	var wg sync.WaitGroup
	turns := make(chan struct{}, askers)
	for _, s := range ss.holders(held) {
		login := s.login.Load()
		if login.Present == nil {
			continue
		}
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			p := ss.presence(held, s, login)
			ss.mu.Lock()
			defer ss.mu.Unlock()
			ss.reseat(s, held, p)
		})
	}
	wg.Wait()
}

func (ss *Sessions) holders(held *right) []*session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	all := make([]*session, 0, len(held.holders))
	for s := range held.holders {
		all = append(all, s)
	}
	return all
}

func (ss *Sessions) presence(held *right, s *session, login *Login) presence {
	ctx, cancel := context.WithTimeout(held.ctx, askLimit)
	defer cancel()
	actor, err := login.Present(ctx)
	if err == nil && !actor.Same(s.Actor) {
		err = fault.New(fault.Unauthenticated, "podexec.Present", "This login is somebody else's now.")
	}
	if err != nil {
		return presence{login: login, err: err}
	}
	p := presence{login: login, key: held.key.as(actor.As)}
	if p.key != held.key {
		p.place, p.err = ss.Directory.Find(ctx, s.Cluster, actor)
	}
	return p
}

func (k rightKey) as(who identity.Impersonation) rightKey {
	k.who = sum(who)
	return k
}

// reseat does what a presence says. The caller has ss.mu.
func (ss *Sessions) reseat(s *session, held *right, p presence) {
	if _, stands := held.holders[s]; !stands || s.login.Load() != p.login {
		return // it ended meanwhile, or stands on another login
	}
	switch {
	case p.err == nil:
		s.unsure = time.Time{}
	case fault.KindOf(p.err) == fault.Unauthenticated:
		s.finish(s.loginEnded())
		return
	case s.unsure.IsZero():
		s.unsure = time.Now()
		return
	case time.Since(s.unsure) >= unconfirmedLimit:
		s.finish(unconfirmed(p.err))
		return
	default:
		return
	}
	if p.key != held.key {
		ss.rights.leave(s)
		if moved := ss.rights.stand(s, p.key, p.place.Upstream); !moved.asking {
			ss.queue(moved)
		}
	}
}

// unconfirmed is no Unauthenticated: nobody has ended the login.
func unconfirmed(err error) ending {
	return refusal(fault.Wrap(err, fault.Timeout, "podexec.Present",
		"For %d minutes this server could not confirm your login, so the shell was ended. Log in again; if it stays so, tell whoever runs this server.",
		int(unconfirmedLimit/time.Minute)))
}
