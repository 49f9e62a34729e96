package transport

import (
	"sync"
	"time"
)

const (
	// tripsAfter upgrade failures in a row pin a cluster to SPDY.
	tripsAfter = 3
	// pinnedFor is how long that lasts before WebSocket gets one more try.
	pinnedFor = 30 * time.Minute
)

// State is a circuit breaker's, in the words of log, audit and hello.
type State string

// The states. A breaker whose time is over is open while its one try is under
// way.
const (
	Closed State = "closed"
	Open   State = "open"
)

// breaker decides for one cluster whether WebSocket is tried at all.
type breaker struct {
	now func() time.Time

	mu       sync.Mutex // guards what follows
	failures int        // upgrade failures in a row
	retryAt  time.Time  // when WebSocket may be tried again; zero: it was never pinned, or has healed
	trying   bool       // the one try after retryAt is under way
	era      int        // counts how often it was pinned or healed
}

// attempt is the right to try WebSocket once. done must follow.
type attempt struct {
	b   *breaker
	era int
}

// verdict is what a try says about WebSocket.
type verdict int

const (
	unclear verdict = iota // the request was judged, or nobody answered
	works
	refused
)

// begin is false while the cluster is pinned to SPDY.
func (b *breaker) begin() (attempt, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state() == Open {
		return attempt{}, false
	}
	b.trying = !b.retryAt.IsZero()
	return attempt{b, b.era}, true
}

// outside is a try beside the breaker's own, of which only success may be told.
func (b *breaker) outside() attempt {
	b.mu.Lock()
	defer b.mu.Unlock()
	return attempt{b, b.era}
}

// done counts a try, unless the cluster was pinned or has healed since it began:
// what began earlier says nothing about now.
func (a attempt) done(v verdict) {
	b := a.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.era != b.era {
		return
	}
	b.trying = false
	switch v {
	case works:
		b.heal()
	case refused:
		b.failures++
		if b.failures >= tripsAfter || !b.retryAt.IsZero() {
			b.pin()
		}
	case unclear:
	}
}

// heal and pin need mu.
func (b *breaker) heal() {
	b.failures = 0
	if !b.retryAt.IsZero() {
		b.retryAt = time.Time{}
		b.era++
	}
}

func (b *breaker) pin() {
	b.retryAt = b.now().Add(pinnedFor)
	b.trying = false
	b.era++
}

func (b *breaker) pinNow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pin()
}

// state needs mu.
func (b *breaker) state() State {
	if b.trying || b.now().Before(b.retryAt) {
		return Open
	}
	return Closed
}

// look is the state, and when WebSocket may be tried again; zero unless the
// breaker is open.
func (b *breaker) look() (State, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state() == Closed {
		return Closed, time.Time{}
	}
	return Open, b.retryAt
}
