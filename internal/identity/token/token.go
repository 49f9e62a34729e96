// Package token is personal access tokens: how a script acts as its owner.
//
// It owns the token's form, who may make and end one, what it may be used for,
// and the word to others that one has ended. It does not own routes, nor what a
// person may do: each use asks the same policy as a login does, about the groups
// that the login provider last told. Run is its only goroutine and the caller's.
// It guarantees that a token is kept nowhere but with its owner, that one which
// has expired or was revoked lets nobody in, in every process that shares the
// store, and that none is made or revoked without a record in audit.
package token

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/life"
	"github.com/periscope-console/periscope/internal/quota"
)

const (
	// sweepEvery bounds how late a token that ended elsewhere, or ran out, is told
	// to its shells.
	sweepEvery = 15 * time.Second
	// forgetEvery is how often old records are deleted.
	forgetEvery = time.Hour
	// keepEnded is for how long the log can still name a token that is tried after
	// its end.
	keepEnded = 30 * 24 * time.Hour
	// useEvery is how old Used may get before another write is worth it.
	useEvery = time.Minute
)

// Limits are what whoever runs the server allows.
type Limits struct {
	// Enabled is false where there are to be no tokens: none is made and none taken.
	Enabled bool
	// MaxLifetime bounds a token's life, also of one made when it was longer.
	MaxLifetime time.Duration
	// NoExpiry allows tokens that do not expire.
	NoExpiry bool
	// OwnerSeen is for how long after their last login a person's tokens hold.
	OwnerSeen time.Duration
	// MaxPerPerson is how many tokens a person may have.
	MaxPerPerson int
}

// Options of a Keeper. All are needed but Acts.
type Options struct {
	Store  Store
	Limits Limits
	// Admit decides what a person may, or refuses them.
	Admit func(identity.Actor) (identity.Actor, error)
	Audit audit.Emitter
	// Acts has the making and revoking of tokens; its own where it is nil.
	Acts *life.Acts
	Log  *slog.Logger
}

// Keeper makes, finds and ends tokens.
type Keeper struct {
	o Options

	// strangers are tokens in the log that are nobody's: some, then one a second.
	strangers rate.Sometimes
	// refusals are those of tokens that are, or were, somebody's.
	refusals *quota.Digest[refusal]

	mu      sync.Mutex // guards what follows
	watched map[ID]chan struct{}
}

// New makes a keeper; Run must be running for Done to close in time.
func New(o Options) *Keeper {
	if o.Acts == nil {
		o.Acts = life.NewActs()
	}
	return &Keeper{o: o, strangers: rate.Sometimes{First: 20, Interval: time.Second}, refusals: quota.NewDigest[refusal](), watched: map[ID]chan struct{}{}}
}

// Limits are what is allowed.
func (k *Keeper) Limits() Limits { return k.o.Limits }

// Run tells of tokens that have ended, until ctx is done.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var forgotten time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		k.sweep(ctx)
		if time.Since(forgotten) >= forgetEvery {
			forgotten = time.Now()
			k.forget(ctx)
		}
	}
}

// sweep looks at the tokens that somebody waits for. No answer of the store is no
// end.
func (k *Keeper) sweep(ctx context.Context) {
	k.mu.Lock()
	ids := make([]ID, 0, len(k.watched))
	for id := range k.watched {
		ids = append(ids, id)
	}
	k.mu.Unlock()
	for _, id := range ids {
		if _, err := k.Present(ctx, id); isRefusal(err) {
			k.o.Log.Info("token.ended", "token", id, "why", cause(err))
			k.tell(id)
		}
	}
}

// Present is who acts by the token now, or why nobody does: an Unauthenticated or
// a Forbidden fault; any other error is no answer.
func (k *Keeper) Present(ctx context.Context, id ID) (identity.Actor, error) {
	held, ok, err := k.o.Store.ByID(ctx, id)
	if err != nil {
		return identity.Actor{}, err
	}
	return k.admit(held, ok)
}

// isRefusal tells a no from no answer.
func isRefusal(err error) bool {
	switch fault.KindOf(err) {
	case fault.Unauthenticated, fault.Forbidden:
		return err != nil
	}
	return false
}

func (k *Keeper) forget(ctx context.Context) {
	now := time.Now()
	if err := k.o.Store.Sweep(ctx, now.Add(-keepEnded), now.Add(-k.o.Limits.OwnerSeen-keepEnded)); err != nil {
		k.o.Log.Warn("token.not_forgotten", "error", err)
	}
}

// See keeps who a login provider says that somebody is. Whoever is let in by a
// login, or was and is no more, must pass here first.
func (k *Keeper) See(ctx context.Context, a identity.Actor) error {
	err := k.o.Store.See(ctx, Person{Issuer: a.Issuer, Subject: a.Subject, Email: a.Email, Name: a.Name, Groups: a.Groups, Seen: time.Now()})
	if err != nil {
		return fault.Wrap(err, fault.Internal, "token.See", "Who you are could not be kept. Try again in a moment; if it stays so, tell whoever runs this server.")
	}
	return nil
}

// FromRequest is who sent a request that presents a token, and the token. A bad
// one gets the same answer whatever is wrong with it; the log says what. With a
// Forbidden fault comes who was refused, for audit.
func (k *Keeper) FromRequest(r *http.Request, requestID string) (identity.Actor, Token, error) {
	a, t, err := k.find(r)
	if err != nil {
		k.refused(r.Context(), requestID, t, err)
		return a, Token{}, err
	}
	k.use(r.Context(), t)
	return a, t, nil
}

// refusal is what tells one refusal of a token of ours from another.
type refusal struct {
	id     ID
	client netip.Prefix
	why    string
}

// refused leaves out most of a flood: of tokens that are nobody's, or of one that was.
func (k *Keeper) refused(ctx context.Context, requestID string, t Token, err error) {
	from, why := audit.SourceOf(ctx).Address, cause(err)
	log := func(unlogged int) {
		k.o.Log.Info("token.refused", "requestId", requestID, "address", from, "token", t.ID, "owner", t.Subject, "why", why, "unlogged", unlogged)
	}
	if t.ID == "" {
		k.strangers.Do(func() { log(0) })
		return
	}
	address, _ := netip.ParseAddr(from) // the zero Addr, which no client has, where there is none
	if unlogged, now := k.refusals.Tell(refusal{t.ID, quota.ClientOf(address), why.Error()}); now {
		log(unlogged)
	}
}

// cause is what the log says of a refusal: more than its bearer is told.
func cause(err error) error {
	if f := (*fault.Error)(nil); errors.As(err, &f) && f.Cause != nil {
		return f.Cause
	}
	return err
}

func (k *Keeper) find(r *http.Request) (identity.Actor, Token, error) {
	secret, err := fromHeader(r.Header)
	if err != nil {
		return identity.Actor{}, Token{}, bad(err)
	}
	held, ok, err := k.o.Store.ByHash(r.Context(), secret.Hash())
	if err != nil {
		return identity.Actor{}, Token{}, fault.Wrap(err, fault.Internal, "token.find", "Your token could not be looked up. Try again in a moment.")
	}
	// The store compared hashes, whose timing tells nothing of the secret; this
	// comparison is for a store that finds too much.
	if hash := secret.Hash(); ok && subtle.ConstantTimeCompare(held.Token.Hash[:], hash[:]) != 1 {
		ok = false
	}
	a, err := k.admit(held, ok)
	return a, held.Token, err
}

// Why a token of ours lets nobody in; for the log.
var (
	errOff     = errors.New("tokens are switched off")
	errUnknown = errors.New("it is unknown")
	errRevoked = errors.New("it was revoked")
	errExpired = errors.New("it has expired")
)

// bad is the one answer to a token that does not hold.
func bad(why error) error {
	return fault.Wrap(why, fault.Unauthenticated, "token",
		"This token does not let you in: it is mistyped, has expired or was revoked. Make a new one on the page “Access tokens” of this server.")
}

// admit is who acts by a token now, or why nobody does.
func (k *Keeper) admit(h Held, found bool) (identity.Actor, error) {
	t, now := h.Token, time.Now()
	expires := k.Expires(t)
	switch {
	case !k.o.Limits.Enabled:
		return identity.Actor{}, bad(errOff)
	case !found:
		return identity.Actor{}, bad(errUnknown)
	case !t.Revoked.IsZero():
		return identity.Actor{}, bad(errRevoked)
	case !expires.IsZero() && !now.Before(expires):
		return identity.Actor{}, bad(errExpired)
	case now.Sub(h.Owner.Seen) >= k.o.Limits.OwnerSeen, h.Owner.Seen.Sub(now) >= identity.MaxAhead:
		return identity.Actor{}, fault.New(fault.Unauthenticated, "token",
			"The owner of this token has not logged in for too long, so it is not known whether they still may. Log in to this server in a browser once; the token then works again.")
	}
	owner := identity.Actor{Issuer: t.Issuer, Subject: t.Subject, Email: h.Owner.Email, Name: h.Owner.Name, Groups: h.Owner.Groups, Token: string(t.ID)}
	a, err := k.o.Admit(owner)
	if err != nil {
		return owner, err
	}
	a.Expires, a.Admin, a.AuditAll = expires, a.Admin && t.Has(Admin), a.AuditAll && t.Has(Admin)
	return a, nil
}

// Expires is when a token ends under the limits of now; zero for never.
func (k *Keeper) Expires(t Token) time.Time {
	latest := t.Created.Add(k.o.Limits.MaxLifetime)
	switch {
	case t.Expires.IsZero() && k.o.Limits.NoExpiry:
		return time.Time{}
	case t.Expires.IsZero() || t.Expires.After(latest):
		return latest
	}
	return t.Expires
}

func (k *Keeper) use(ctx context.Context, t Token) {
	now := time.Now()
	if now.Sub(t.Used) < useEvery {
		return
	}
	if err := k.o.Store.Use(ctx, t.ID, now); err != nil {
		k.o.Log.Warn("token.use_not_kept", "token", t.ID, "error", err)
	}
}

// Done is closed when the token ends or its owner may no longer come in, here or
// in another process: at once for what is revoked here, within seconds otherwise.
func (k *Keeper) Done(id ID) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	ch, ok := k.watched[id]
	if !ok {
		ch = make(chan struct{})
		k.watched[id] = ch
	}
	return ch
}

// tell closes Done.
func (k *Keeper) tell(id ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if ch, ok := k.watched[id]; ok {
		close(ch)
		delete(k.watched, id)
	}
}

func newID() ID { return ID(rand.Text()) }
