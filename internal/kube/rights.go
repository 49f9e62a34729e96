package kube

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/identity"
)

const (
	// rightsFresh is how long an answer may be told again. It is for pages that
	// grey things out: what is done is checked by the apiserver anew, and a shell
	// asks it by CanI.
	rightsFresh = 10 * time.Second
	// rightsHeld bounds the answers of one generation; there are two.
	rightsHeld = 8192
)

// Rights answers what somebody may do, and remembers it for a moment.
//
// What is remembered belongs to one identity in one cluster, whole: whoever
// differs in anything (a group more, another tier, another issuer of the same
// name) is somebody else and is asked for anew. Only answers of the apiserver
// are remembered, never errors. A question that is under way is not asked twice.
type Rights struct {
	now  func() time.Time
	held int

	mu sync.Mutex // guards what follows
	// young and old are two generations: when young is full or aged it becomes
	// old, and what was old is forgotten. So no search is ever needed for room.
	young, old map[question]answer
	born       time.Time // of young
	flights    map[question]*flight
}

// NewRights remembers nothing yet. now is time.Now but in tests.
func NewRights(now func() time.Time) *Rights {
	return &Rights{now: now, held: rightsHeld, flights: map[question]*flight{}}
}

// question is comparable, so that equal means equal in every part.
type question struct {
	cluster, issuer, subject, tier string
	// as whom the cluster is asked, see identity.Impersonation
	user, credentials string
	none              bool
	groups            [sha256.Size]byte
	check             Check
}

type answer struct {
	Decision
	at time.Time
}

// flight is a question under way. What it found may be read once done is closed.
type flight struct {
	done      chan struct{}
	decision  Decision
	err       error
	abandoned bool // whoever asked has gone: nothing was found out
}

// CanI is the function CanI with a memory. who is the person on whose behalf c
// acts; as whom it acts, c knows itself.
func (r *Rights) CanI(ctx context.Context, c *Client, who identity.Actor, checks []Check) ([]Decision, error) {
	about := question{
		cluster: c.cluster, issuer: who.Issuer, subject: who.Subject, tier: who.Tier,
		user: c.as.User, credentials: c.as.Subject, none: c.as.None, groups: sum(c.as.Groups),
	}
	return canI(ctx, checks, func(ctx context.Context, check Check) (Decision, error) {
		q := about
		q.check = check
		return r.decide(ctx, q, func(ctx context.Context) (Decision, error) { return ask(ctx, c, check) })
	})
}

// sum stands for a list of which every item's length is part: ["ab"] is not
// ["a" "b"].
func sum(list []string) (s [sha256.Size]byte) {
	h := sha256.New()
	writeLength(h, len(list))
	for _, item := range list {
		writeLength(h, len(item))
		h.Write([]byte(item))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func writeLength(h hash.Hash, n int) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	h.Write(b[:])
}

// decide tells what is remembered, waits for whoever asks already, or asks.
func (r *Rights) decide(ctx context.Context, q question, ask func(context.Context) (Decision, error)) (Decision, error) {
	for {
		known, other, own := r.join(q)
		switch {
		case known != nil:
			return *known, nil
		case own != nil:
			return r.fly(ctx, q, own, ask)
		}
		select {
		case <-other.done:
		case <-ctx.Done():
			return Decision{}, toFault(q.cluster, context.Cause(ctx), "kube.Rights", "ask whether you may "+q.check.words())
		}
		if !other.abandoned {
			return other.decision, other.err
		}
	}
}

// join finds an answer, somebody else's flight, or begins one's own.
func (r *Rights) join(q question) (known *Decision, other, own *flight) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.age()
	a, ok := r.young[q]
	if !ok {
		a, ok = r.old[q]
	}
	if ok && r.now().Sub(a.at) < rightsFresh {
		return &a.Decision, nil, nil
	}
	if f := r.flights[q]; f != nil {
		return nil, f, nil
	}
	f := &flight{done: make(chan struct{}), abandoned: true}
	r.flights[q] = f
	return nil, nil, f
}

// fly asks within the asker's own time. Whoever waited for an asker that gave up
// asks anew.
func (r *Rights) fly(ctx context.Context, q question, f *flight, ask func(context.Context) (Decision, error)) (Decision, error) {
	asked := r.now()
	defer r.land(q, f, asked)
	f.decision, f.err = ask(ctx)
	f.abandoned = f.err != nil && ctx.Err() != nil
	return f.decision, f.err
}

func (r *Rights) land(q question, f *flight, asked time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.flights, q)
	if !f.abandoned && f.err == nil {
		r.age()
		r.young[q] = answer{f.decision, asked}
	}
	close(f.done)
}

// age needs mu.
func (r *Rights) age() {
	if r.young != nil && len(r.young) < r.held && r.now().Sub(r.born) < rightsFresh {
		return
	}
	r.old, r.young, r.born = r.young, map[question]answer{}, r.now()
}
