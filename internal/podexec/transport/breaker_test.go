package transport

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// testClock is a clock that a test turns.
type testClock struct{ ns atomic.Int64 }

func newTestClock() *testClock {
	c := &testClock{}
	c.ns.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano())
	return c
}

func (c *testClock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *testClock) advance(d time.Duration) { c.ns.Add(int64(d)) }

func begin(t *testing.T, b *breaker) attempt {
	t.Helper()
	try, ok := b.begin()
	if !ok {
		t.Fatal("WebSocket is not tried")
	}
	return try
}

func wantState(t *testing.T, b *breaker, want State, retryIn time.Duration) {
	t.Helper()
	state, at := b.look()
	if state != want || at.IsZero() != (want == Closed) || !at.IsZero() && at.Sub(b.now()) != retryIn {
		t.Fatalf("%s, a try at %v; want %s, in %v", state, at, want, retryIn)
	}
}

func fail(t *testing.T, b *breaker, times int) {
	t.Helper()
	for range times {
		begin(t, b).done(refused)
	}
}

func TestOnlyRefusalsInARowPin(t *testing.T) {
	b := &breaker{now: newTestClock().now}
	fail(t, b, 2)
	begin(t, b).done(works)
	fail(t, b, 2)
	for range 100 {
		begin(t, b).done(unclear)
	}
	wantState(t, b, Closed, 0)
	fail(t, b, 1)
	wantState(t, b, Open, 30*time.Minute)
	if _, ok := b.begin(); ok {
		t.Error("a pinned cluster was tried")
	}
}

func TestHalfAnHourLaterOneTryDecides(t *testing.T) {
	clock := newTestClock()
	b := &breaker{now: clock.now}
	fail(t, b, 3)
	clock.advance(30*time.Minute - 1)
	if _, ok := b.begin(); ok {
		t.Fatal("tried too early")
	}
	wantState(t, b, Open, 1)
	clock.advance(1)
	wantState(t, b, Closed, 0)

	first := begin(t, b)
	wantState(t, b, Open, 0) // while it is under way
	if _, ok := b.begin(); ok {
		t.Fatal("a second try beside the first")
	}
	first.done(refused)
	wantState(t, b, Open, 30*time.Minute)

	clock.advance(time.Hour)
	begin(t, b).done(unclear) // it says nothing, so the next one decides
	wantState(t, b, Closed, 0)
	begin(t, b).done(works)
	wantState(t, b, Closed, 0)
	fail(t, b, 2)
	wantState(t, b, Closed, 0) // healed: the count begins anew
}

// TestAPinByKnowledge: one refusal confirms it, half an hour later.
func TestAPinByKnowledge(t *testing.T) {
	clock := newTestClock()
	b := &breaker{now: clock.now}
	b.pinNow()
	wantState(t, b, Open, 30*time.Minute)
	clock.advance(30 * time.Minute)
	fail(t, b, 1)
	wantState(t, b, Open, 30*time.Minute)
	clock.advance(30 * time.Minute)
	begin(t, b).done(works)
	fail(t, b, 2)
	wantState(t, b, Closed, 0)
}

func TestATryFromBeforeThePinCountsForNothing(t *testing.T) {
	clock := newTestClock()
	for _, v := range []verdict{works, refused, unclear} {
		b := &breaker{now: clock.now}
		early := begin(t, b)
		fail(t, b, 3)
		clock.advance(time.Minute)
		early.done(v)
		wantState(t, b, Open, 29*time.Minute)

		clock.advance(29 * time.Minute)
		late := begin(t, b)
		early.done(v)
		wantState(t, b, Open, 0) // the one try goes on
		late.done(works)
	}
}

func TestATryBesideThePinMayHeal(t *testing.T) {
	clock := newTestClock()
	b := &breaker{now: clock.now}
	fail(t, b, 3)
	b.outside().done(works)
	wantState(t, b, Closed, 0)
	fail(t, b, 2)
	wantState(t, b, Closed, 0)
}

func TestParallelRefusals(t *testing.T) {
	clock := newTestClock()
	b := &breaker{now: clock.now}
	var tries []attempt
	for range 200 {
		tries = append(tries, begin(t, b))
	}
	atOnce(200, func(i int) { tries[i].done(refused) })
	wantState(t, b, Open, 30*time.Minute)

	clock.advance(30 * time.Minute)
	var won atomic.Int64
	atOnce(200, func(int) {
		if _, ok := b.begin(); ok {
			won.Add(1)
		}
	})
	if n := won.Load(); n != 1 {
		t.Errorf("%d tries at once after the pin, want 1", n)
	}
}

// atOnce calls f from n goroutines that start together.
func atOnce(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}
