// Package enrol decides which agents may speak for which clusters.
//
// It owns registration tokens, what is known of each certificate that was issued,
// renewal, revocation, and the word to a link that its agent may no longer be
// there. It does not own what a certificate says or how it is signed (package pki
// does), routes, or links. Run is its only goroutine and the caller's.
//
// It guarantees that a token is kept nowhere but with whom it was given to, and
// makes one certificate at most, for its own cluster; that a certificate which was
// not issued here, has expired or was revoked lets nobody in, in every process that
// shares the store; and that none is issued or revoked, and no token made, without
// a record in audit.
package enrol

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/life"
	"github.com/periscope-console/periscope/internal/tunnel/pki"
)

const (
	// tokenLife is short: a token is for somebody who is about to start an agent.
	tokenLife = 15 * time.Minute
	// maxTokens bounds the tokens that wait to be used, of all clusters together.
	maxTokens = 1000
	// maxCertificates bounds a cluster's, expired ones that are not yet forgotten too.
	maxCertificates = 100
	// sweepEvery bounds how late a link hears of what was revoked elsewhere, or ran out.
	sweepEvery = 15 * time.Second
	// forgetEvery is how often old records are deleted.
	forgetEvery = time.Hour
	// keepTokens and keepCertificates are for how long the log can still name what
	// is tried after its end.
	keepTokens       = 24 * time.Hour
	keepCertificates = 30 * 24 * time.Hour
	// alarmEvery is how often the log says of the same certificate that it was not
	// renewed; lookEvery how often that is looked for.
	alarmEvery = 24 * time.Hour
	lookEvery  = time.Hour
	// caAlarm is when the log begins to say that the CA ends.
	caAlarm = 365 * 24 * time.Hour
)

// Options of a Keeper. All are needed but Acts.
type Options struct {
	Store Store
	CA    *pki.Authority
	// Clusters are those that are reached through an agent.
	Clusters []string
	// Life is that of a client certificate.
	Life  time.Duration
	Audit audit.Emitter
	// Acts has what is done about agents; its own where it is nil.
	Acts *life.Acts
	Log  *slog.Logger
}

// Keeper enrols agents, and lets them in.
type Keeper struct {
	o Options

	// strangers are refusals in the log: some, then one a second.
	strangers rate.Sometimes

	mu     sync.Mutex // guards what follows
	passes map[*Pass]struct{}
}

// New makes a keeper; Run must be running for passes to end in time.
func New(o Options) *Keeper {
	if o.Acts == nil {
		o.Acts = life.NewActs()
	}
	return &Keeper{o: o, strangers: rate.Sometimes{First: 20, Interval: time.Second}, passes: map[*Pass]struct{}{}}
}

// CA is the certificate that agents trust for the link, and its pin.
func (k *Keeper) CA() (pem []byte, pin string) { return k.o.CA.PEM(), k.o.CA.Pin() }

func (k *Keeper) known(cluster string) bool { return slices.Contains(k.o.Clusters, cluster) }

// Run ends the passes of agents that may no longer be there, forgets what is old
// and raises the alarm about what is not renewed, until ctx is done.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var forgotten, looked time.Time
	said := map[string]time.Time{} // when the alarm was last raised, by what it is about
	for {
		now := time.Now()
		if now.Sub(forgotten) >= forgetEvery {
			forgotten = now
			k.forget(ctx, now)
		}
		if now.Sub(looked) >= lookEvery {
			looked = now
			k.alarm(ctx, now, said)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		k.sweep(ctx)
	}
}

func (k *Keeper) forget(ctx context.Context, now time.Time) {
	if err := k.o.Store.Sweep(ctx, now.Add(-keepTokens), now.Add(-keepCertificates)); err != nil && ctx.Err() == nil {
		k.o.Log.Warn("agent.not_forgotten", "error", err)
	}
}

// alarm names each cluster whose agent should have renewed its certificate long
// ago: at two thirds of its life, and five sixths are over.
func (k *Keeper) alarm(ctx context.Context, now time.Time, said map[string]time.Time) {
	k.raise(now, said, "the CA", k.o.CA.Expires(), caAlarm, func(left time.Duration) {
		k.o.Log.Error("agent.ca_ends", "expiresAt", k.o.CA.Expires().UTC(), "left", left.String(), "todo", "make a new CA and enrol every agent anew (docs/agent-onboarding.md)")
	})
	list, err := k.o.Store.List(ctx)
	if err != nil {
		if ctx.Err() == nil {
			k.o.Log.Warn("agent.not_looked_at", "error", err)
		}
		return
	}
	for _, c := range list {
		if !k.known(c.Cluster) {
			continue
		}
		k.raise(now, said, c.Serial, c.Expires, c.Expires.Sub(c.Issued)/6, func(left time.Duration) {
			k.o.Log.Error("agent.certificate_ends", "cluster", c.Cluster, "serial", c.Serial, "expiresAt", c.Expires.UTC(), "left", left.String(),
				"todo", "see why its agent does not renew it, or enrol the agent anew (docs/agent-onboarding.md)")
		})
	}
	for what, at := range said { // of what is gone by now
		if now.Sub(at) > 2*alarmEvery {
			delete(said, what)
		}
	}
}

// raise calls say where less than within is left of what ends at end, once a day.
func (k *Keeper) raise(now time.Time, said map[string]time.Time, what string, end time.Time, within time.Duration, say func(left time.Duration)) {
	left := end.Sub(now)
	if last, before := said[what]; left >= within || before && now.Sub(last) < alarmEvery {
		return
	}
	said[what] = now
	say(left.Round(time.Second))
}

// Why a certificate of our CA lets nobody in; for the log.
var (
	ErrRevoked   = errors.New("the certificate was revoked")
	errForgotten = errors.New("this server knows of no such certificate: it is of another database, or long over")
	errForged    = errors.New("this server has issued another certificate of that serial number: this one was made by somebody who has the CA's key")
	errNoCluster = errors.New("no cluster of that name is reached through an agent here")
	errClosed    = errors.New("the link was closed")
)

// Pass is an agent that has proved to be a cluster's, as long as it may be there.
type Pass struct {
	k    *Keeper
	done chan struct{}

	mu    sync.Mutex // guards what follows
	peer  pki.Peer
	cause error // nil until done is closed
}

// Admit lets an agent in by the certificates that it has shown, or is an
// Unauthenticated fault, whose cause is in the log by then; any other is no answer.
// The Pass must be closed.
func (k *Keeper) Admit(ctx context.Context, shown []*x509.Certificate) (*Pass, error) {
	peer, err := k.o.CA.Verify(shown)
	if err != nil {
		return nil, k.refused(ctx, peer, err)
	}
	p := &Pass{k: k, done: make(chan struct{}), peer: peer}
	k.mu.Lock()
	k.passes[p] = struct{}{} // before it is asked about: what is revoked meanwhile ends it
	k.mu.Unlock()
	why, err := k.holds(ctx, peer)
	if why != nil {
		err = k.refused(ctx, peer, why)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// holds asks whether the certificate lets its agent in: why is nil where it does.
// An err is no answer.
func (k *Keeper) holds(ctx context.Context, peer pki.Peer) (why, err error) {
	if !k.known(peer.Cluster) {
		return errNoCluster, nil
	}
	c, ok, err := k.o.Store.Certificate(ctx, peer.Serial)
	now := time.Now()
	switch {
	case err != nil:
		return nil, err
	case !ok || c.Cluster != peer.Cluster:
		return errForgotten, nil
	case c.Fingerprint != peer.Fingerprint:
		return errForged, nil
	case !c.Revoked.IsZero():
		return fmt.Errorf("%w at %s", ErrRevoked, c.Revoked.UTC().Format(time.RFC3339)), nil
	case now.After(peer.Expires):
		return fmt.Errorf("%w: it is not valid after %s, and this server's clock says %s",
			pki.ErrExpired, peer.Expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)), nil
	}
	return nil, nil
}

// refused is the answer to a certificate that lets nobody in. Only who shows one of
// our own CA is told about a clock.
func (k *Keeper) refused(ctx context.Context, peer pki.Peer, why error) error {
	from := audit.SourceOf(ctx)
	k.strangers.Do(func() {
		k.o.Log.Warn("agent.certificate_refused", "cluster", peer.Cluster, "serial", peer.Serial, "why", oneLine(why), "requestId", from.RequestID, "address", from.Address)
	})
	public := "This certificate does not let an agent in here. Register the agent anew, with a new token."
	if errors.Is(why, pki.ErrExpired) || errors.Is(why, pki.ErrNotYet) {
		public = fmt.Sprintf("This does not let an agent in: %v. Set the clocks right, or register the agent anew with a new token.", why)
	}
	return fault.Wrap(why, fault.Unauthenticated, "enrol.Admit", "%s", public)
}

// Cluster is whose agent it is.
func (p *Pass) Cluster() string { return p.Peer().Cluster }

// Peer is by which certificate, after a renewal by the new one.
func (p *Pass) Peer() pki.Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peer
}

// Done is closed when the agent may no longer be there: at once where the cluster
// was revoked here, within seconds where that was elsewhere or the certificate ran
// out unrenewed; and by Close.
func (p *Pass) Done() <-chan struct{} { return p.done }

// Cause is why Done is closed, for log and audit; nil as long as it is not.
func (p *Pass) Cause() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cause
}

// Close is for a link that has ended.
func (p *Pass) Close() { p.end(errClosed) }

// end reports whether it was this call that has ended it.
func (p *Pass) end(cause error) bool {
	p.k.mu.Lock()
	delete(p.k.passes, p)
	p.k.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cause != nil {
		return false
	}
	p.cause = cause
	close(p.done)
	return true
}

// of lists the passes of a cluster, or of all where it is empty.
func (k *Keeper) of(cluster string) (found []*Pass) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for p := range k.passes {
		if cluster == "" || p.Cluster() == cluster {
			found = append(found, p)
		}
	}
	return found
}

// sweep asks about each pass again. No answer of the store is no end.
func (k *Keeper) sweep(ctx context.Context) {
	for _, p := range k.of("") {
		peer := p.Peer()
		why, err := k.holds(ctx, peer)
		if err != nil || why == nil || p.Peer() != peer { // renewed meanwhile
			continue
		}
		if p.end(why) {
			k.o.Log.Warn("agent.ended", "cluster", peer.Cluster, "serial", peer.Serial, "why", why.Error())
		}
	}
}
