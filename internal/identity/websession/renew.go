package websession

import (
	"context"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
)

const (
	// renewLimit bounds one question to the login provider.
	renewLimit = 10 * time.Second
	// keepLimit bounds keeping what came of it, which is tried again after each
	// keepPause. With renewLimit it fits into claimTime.
	keepLimit = 5 * time.Second
	keepPause = time.Second
	// dropLimit is keepLimit where the provider has said no: a login that holds
	// nevertheless is worse than a wait. It is more than the 10 s for which SQLite
	// waits for a lock, and with renewLimit fits into claimTime, too.
	dropLimit = 18 * time.Second
	// lastKeep is what is left of either once a shutdown cuts the renewals. With
	// lastRenewal it stays under the second that Run has.
	lastKeep = 300 * time.Millisecond
	// claimTime is how long others leave a login alone that one process renews,
	// and so how soon a provider that gave no answer is asked again.
	claimTime = 30 * time.Second
	// staleLimit is how long a login holds that its provider cannot be asked about.
	staleLimit = 15 * time.Minute
)

// notRenewed is why a login has ended to which its provider said no.
const notRenewed = "the login provider does not renew it"

func (m *Manager) due(r Record) bool {
	return m.o.Renew != nil && !r.Due.IsZero() && !time.Now().Before(r.Due)
}

// renewed asks the login provider about a login, one question at a time however
// many requests wait: a provider that hands out each renewal once would take a
// second question for theft.
func (m *Manager) renewed(ctx context.Context, rec Record) (Record, error) {
	v, err, _ := m.renewals.Do(string(rec.ID), func() (any, error) {
		return m.renew(context.WithoutCancel(ctx), rec)
	})
	if err != nil {
		return Record{}, err
	}
	return v.(Record), nil
}

func (m *Manager) renew(ctx context.Context, rec Record) (Record, error) {
	asking, cancel := context.WithTimeout(ctx, renewLimit)
	defer cancel()
	defer context.AfterFunc(m.stop, cancel)()
	now := time.Now()
	mine, err := m.o.Store.Claim(asking, rec.ID, now, now.Add(claimTime))
	if err != nil {
		return m.stale(rec, err)
	}
	// What was read before the claim may have been renewed since.
	rec, err = m.kept(asking, rec.ID)
	if err != nil || !m.due(rec) {
		return rec, err
	}
	if !mine {
		return m.stale(rec, nil)
	}
	g, err := m.o.Renew(asking, rec)
	// A provider that took all the time there is may have handed something out.
	limit := keepLimit
	if isLoggedOut(err) {
		limit = dropLimit
	}
	keeping, done := m.keeping(ctx, limit)
	defer done()
	return m.answered(keeping, rec, g, err)
}

// keeping is the time there is for the store to take what came of a question: limit,
// which a shutdown alone shortens.
func (m *Manager) keeping(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	forget := context.AfterFunc(m.stop, func() { time.AfterFunc(lastKeep, cancel) })
	return ctx, func() {
		forget()
		cancel()
	}
}

// answered does what the provider's answer asks for; err says that there is none,
// or that it is no.
func (m *Manager) answered(ctx context.Context, rec Record, g Grant, err error) (Record, error) {
	switch {
	case err == nil:
		return m.keep(ctx, rec, g)
	case isLoggedOut(err):
		m.refuse(ctx, rec, err)
		return Record{}, err
	case g.Renewal != nil:
		m.rotate(ctx, rec, g.Renewal)
	}
	return m.stale(rec, err)
}

// rotate keeps what the next question is to be asked with. The claim goes on, so
// that it is not asked in haste.
func (m *Manager) rotate(ctx context.Context, rec Record, renewal []byte) {
	_, err := m.insist(ctx, func() (bool, error) { return m.o.Store.Rotate(ctx, rec.ID, rec.Version, renewal) })
	if err != nil {
		m.o.Log.Error("login.renewal_not_kept", "actor", rec.Actor.Subject, "error", err)
	}
}

// refuse ends a login that its provider does not renew. Where the store cannot be
// brought to forget it, the provider is asked again after the claim, and nobody is
// told of an end that was none.
func (m *Manager) refuse(ctx context.Context, rec Record, why error) {
	_, err := m.insist(ctx, func() (bool, error) { return true, m.drop(ctx, rec.ID) })
	if err != nil {
		m.o.Log.Error("login.not_ended", "actor", rec.Actor.Subject, "why", notRenewed, "error", err)
		return
	}
	m.o.Log.Info("login.ended", "actor", rec.Actor.Subject, "why", notRenewed, "error", why)
	m.ended(ctx, rec.Actor, notRenewed+": "+fault.PublicOf(why))
}

func (m *Manager) keep(ctx context.Context, rec Record, g Grant) (Record, error) {
	g.Actor.Expires = rec.Actor.Expires // renewing prolongs nothing
	kept, err := m.insist(ctx, func() (bool, error) {
		return m.o.Store.Renew(ctx, rec.ID, rec.Version, g.Actor, g.Renewal, g.Due)
	})
	if err != nil {
		return Record{}, err
	}
	if !kept { // logged out meanwhile
		return m.kept(ctx, rec.ID)
	}
	rec.Actor, rec.Renewal, rec.Due, rec.Version = g.Actor, g.Renewal, g.Due, rec.Version+1
	return rec, nil
}

// insist writes until the store has taken it, or the time is up: what is lost here
// the provider may not hand out again.
func (m *Manager) insist(ctx context.Context, write func() (bool, error)) (bool, error) {
	for {
		ok, err := write()
		if err == nil {
			return ok, nil
		}
		select {
		case <-ctx.Done():
			return false, err
		case <-m.stop.Done():
			return false, err
		case <-time.After(keepPause):
		}
	}
}

// stale is the record as it was: no answer is not a no, for a while.
func (m *Manager) stale(rec Record, why error) (Record, error) {
	if why != nil {
		m.o.Log.Warn("login.not_renewed", "actor", rec.Actor.Subject, "error", why)
	}
	if time.Since(rec.Due) < staleLimit {
		return rec, nil
	}
	return Record{}, fault.Wrap(why, fault.Timeout, "websession.renew",
		"Your login provider has not answered for %d minutes, so your login cannot be confirmed. Try again in a moment; if it stays so, tell whoever runs this server.", int(staleLimit.Minutes()))
}
