// Package flight keeps what is dear to fetch and good for a while: one fetch
// serves everybody who asks.
//
// It owns when a value is fetched, who waits for it, and for how long an old one
// is better than none. It does not own what is fetched. Each fetch runs in a
// goroutine of its Group, not of whoever asked first, so that one who gives up
// takes nothing from the others; Group.Close ends what is under way and waits for
// it. It guarantees that a value has at most one fetch at any time, and that what
// fails is not asked again at once.
package flight

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Life says how long a value is good, by the wall clock: a machine that slept
// finds its values as old as they are.
type Life struct {
	// Renew is from when on a new one is fetched while this one still serves.
	Renew time.Time
	// Expire is from when on whoever asks waits for the new one.
	Expire time.Time
	// Stale is until when this one serves where no new one can be had. Before
	// Expire it means nothing.
	Stale time.Time
}

// backwards is how far a clock may be set back without a value being fetched anew.
const backwards = time.Minute

// ErrClosed is the answer of a value whose group was closed.
var ErrClosed = errors.New("flight: closed")

// Group is what several values have in common: their end, and their clock.
type Group struct {
	now    func() time.Time
	limit  time.Duration
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex // guards what follows
	closed  bool
	flights sync.WaitGroup
}

// NewGroup makes a group whose fetches may take limit each. now is time.Now
// where it is nil.
func NewGroup(limit time.Duration, now func() time.Time) *Group {
	if now == nil {
		now = time.Now
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	return &Group{now: now, limit: limit, ctx: ctx, cancel: cancel}
}

// Now is the group's time, by the wall clock.
func (g *Group) Now() time.Time { return g.now().Round(0) }

// Close ends every fetch under way and waits. Get fails afterwards.
func (g *Group) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel(ErrClosed)
	g.flights.Wait()
}

// start runs f, unless the group is closed.
func (g *Group) start(f func(context.Context)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.flights.Go(func() {
		ctx, cancel := context.WithTimeout(g.ctx, g.limit)
		defer cancel()
		f(ctx)
	})
	return true
}

// Fetch gets a value and says how long it is good. Its error is given to all who
// wait, as it is.
type Fetch[T any] func(context.Context) (T, Life, error)

// Value is one thing that is fetched. It is made by New.
type Value[T any] struct {
	group *Group
	fetch Fetch[T]
	pause func(error) time.Duration

	mu     sync.Mutex // guards what follows
	value  T
	life   Life
	held   bool
	err    error     // of the last fetch
	landed time.Time // when the last fetch ended
	after  time.Time // no fetch before this: the last one failed
	flight *flight[T]
}

// flight is one fetch under way. value and err are set before done is closed.
type flight[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// New makes a value that nobody has fetched yet. pause is how long after a
// failure the next fetch waits.
func New[T any](g *Group, fetch Fetch[T], pause func(error) time.Duration) *Value[T] {
	return &Value[T]{group: g, fetch: fetch, pause: pause}
}

// Get is the value, fetched where that is needed. Where ctx ends first its error
// is the context's cause, and the fetch goes on for others.
func (v *Value[T]) Get(ctx context.Context) (T, error) {
	value, wait, err := v.look()
	if wait == nil {
		return value, err
	}
	select {
	case <-wait.done:
		return wait.value, wait.err
	case <-ctx.Done():
		return value, context.Cause(ctx)
	}
}

// look is the value or an error, or what to wait for.
func (v *Value[T]) look() (value T, wait *flight[T], err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.group.ctx.Err() != nil {
		return value, nil, ErrClosed
	}
	now := v.group.Now()
	// A clock that was set back would keep a value for as long as it was ahead.
	back := now.Add(backwards).Before(v.landed)
	if v.held && !back && now.Before(v.life.Renew) {
		return v.value, nil, nil
	}
	v.launch(now, back)
	switch {
	case v.held && !back && now.Before(v.life.Expire):
		return v.value, nil, nil
	case v.flight != nil:
		return value, v.flight, nil
	default:
		value, err = v.second(now, v.err)
		return value, nil, err
	}
}

// second is what to make of a failure: the old value while it may serve. It
// needs mu.
func (v *Value[T]) second(now time.Time, err error) (T, error) {
	if v.held && now.Before(v.life.Stale) {
		return v.value, nil
	}
	var none T
	return none, err
}

// launch sees to it that a fetch is under way, unless it is too early for one.
// It needs mu.
func (v *Value[T]) launch(now time.Time, back bool) {
	if v.flight != nil || !back && now.Before(v.after) {
		return
	}
	f := &flight[T]{done: make(chan struct{})}
	v.flight = f
	if !v.group.start(func(ctx context.Context) { v.fly(ctx, f) }) {
		v.flight, v.err = nil, ErrClosed
	}
}

func (v *Value[T]) fly(ctx context.Context, f *flight[T]) {
	defer close(f.done)
	value, life, err := v.fetch(ctx)
	if err != nil && v.group.ctx.Err() != nil {
		err = ErrClosed // whatever the fetch made of it
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.flight, v.landed = nil, v.group.Now()
	if err == nil {
		f.value, v.value, v.life, v.held, v.err, v.after = value, value, life, true, nil, time.Time{}
		return
	}
	v.err, v.after = err, v.landed.Add(v.pause(err))
	f.value, f.err = v.second(v.landed, err)
}

// Drop forgets the value where is says so of it: somebody found it to be no good.
func (v *Value[T]) Drop(is func(T) bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.held && is(v.value) {
		var none T
		v.value, v.held = none, false
	}
}
