package flight

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

const (
	renew, expire, stale = time.Minute, 2 * time.Minute, 10 * time.Minute
	pause                = 5 * time.Second
	tick                 = time.Nanosecond
)

var errDown = errors.New("down")

// source counts fetches, and fails or waits when it is told to.
type source struct {
	fetches atomic.Int64
	down    atomic.Bool
	slow    time.Duration
}

func (s *source) fetch(ctx context.Context) (int64, Life, error) {
	n := s.fetches.Add(1)
	if s.slow > 0 {
		select {
		case <-time.After(s.slow):
		case <-ctx.Done():
			return 0, Life{}, ctx.Err()
		}
	}
	if s.down.Load() {
		return 0, Life{}, errDown
	}
	now := time.Now()
	return n, Life{Renew: now.Add(renew), Expire: now.Add(expire), Stale: now.Add(stale)}, nil
}

// run gives f a value of s, with a time of its own.
func run(t *testing.T, s *source, f func(*testing.T, *Group, *Value[int64])) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(20*time.Second, nil)
		defer g.Close()
		f(t, g, New(g, s.fetch, func(error) time.Duration { return pause }))
	})
}

// want gets the value now, without waiting for what is under way.
func want(t *testing.T, v *Value[int64], value int64, err error) {
	t.Helper()
	if got, e := v.Get(t.Context()); got != value || !errors.Is(e, err) {
		t.Fatalf("got %d, %v; want %d, %v", got, e, value, err)
	}
}

func TestLife(t *testing.T) {
	s := &source{}
	run(t, s, func(t *testing.T, _ *Group, v *Value[int64]) {
		want(t, v, 1, nil)
		time.Sleep(renew - tick)
		want(t, v, 1, nil)
		time.Sleep(tick)
		want(t, v, 1, nil) // and a new one is fetched meanwhile
		synctest.Wait()
		want(t, v, 2, nil)
		time.Sleep(expire)
		want(t, v, 3, nil) // too old to be shown: it is waited for
		s.down.Store(true)
		time.Sleep(stale - tick)
		want(t, v, 3, nil)
		time.Sleep(tick)
		want(t, v, 0, errDown)
		s.down.Store(false)
		want(t, v, 0, errDown) // not asked again at once
		time.Sleep(pause)
		want(t, v, s.fetches.Load()+1, nil)
	})
}

// TestFailuresArePaced is a source that is down while a thousand ask every second.
func TestFailuresArePaced(t *testing.T) {
	s := &source{}
	s.down.Store(true)
	run(t, s, func(t *testing.T, _ *Group, v *Value[int64]) {
		for range 60 {
			for range 1000 {
				want(t, v, 0, errDown)
			}
			time.Sleep(time.Second)
		}
		if n := s.fetches.Load(); n != 12 {
			t.Errorf("%d fetches in a minute", n)
		}
	})
}

func TestOneFlight(t *testing.T) {
	s := &source{slow: time.Second}
	run(t, s, func(t *testing.T, _ *Group, v *Value[int64]) {
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { want(t, v, 1, nil) })
		}
		all.Wait()
		if n := s.fetches.Load(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

// TestFirstGivesUp: the fetch is nobody's in particular.
func TestFirstGivesUp(t *testing.T) {
	run(t, &source{slow: time.Second}, func(t *testing.T, _ *Group, v *Value[int64]) {
		ctx, cancel := context.WithCancelCause(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := v.Get(ctx); !errors.Is(err, errDown) {
				t.Errorf("who gave up got %v", err)
			}
		})
		synctest.Wait()
		for range 10 {
			all.Go(func() { want(t, v, 1, nil) })
		}
		synctest.Wait()
		cancel(errDown)
		all.Wait()
	})
}

func TestLimit(t *testing.T) {
	s := &source{slow: time.Hour}
	run(t, s, func(t *testing.T, _ *Group, v *Value[int64]) {
		start := time.Now()
		want(t, v, 0, context.DeadlineExceeded)
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestClose(t *testing.T) {
	run(t, &source{slow: time.Hour}, func(t *testing.T, g *Group, v *Value[int64]) {
		var all sync.WaitGroup
		all.Go(func() { want(t, v, 0, ErrClosed) })
		synctest.Wait()
		g.Close()
		all.Wait()
		want(t, v, 0, ErrClosed)
	})
	run(t, &source{}, func(t *testing.T, g *Group, v *Value[int64]) {
		want(t, v, 1, nil)
		g.Close()
		want(t, v, 0, ErrClosed) // a value that is held goes too
	})
}

func TestDrop(t *testing.T) {
	run(t, &source{}, func(t *testing.T, _ *Group, v *Value[int64]) {
		want(t, v, 1, nil)
		v.Drop(func(n int64) bool { return n == 7 })
		want(t, v, 1, nil)
		v.Drop(func(n int64) bool { return n == 1 })
		want(t, v, 2, nil)
	})
}

// TestShortLife: what is old when it arrives is given out once, not fetched for
// ever.
func TestShortLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, fetches := NewGroup(time.Second, nil), int64(0)
		defer g.Close()
		v := New(g, func(context.Context) (int64, Life, error) { fetches++; return fetches, Life{}, nil }, nil)
		want(t, v, 1, nil)
		want(t, v, 2, nil)
	})
}

// TestTheClockIsSetBack: what was fetched while it was a year ahead is not kept for
// that year, and neither is a failure.
func TestTheClockIsSetBack(t *testing.T) {
	var ahead time.Duration
	s := &source{}
	g := NewGroup(time.Second, func() time.Time { return time.Now().Add(ahead) })
	defer g.Close()
	v := New(g, s.fetch, func(error) time.Duration { return pause })
	ahead = 365 * 24 * time.Hour
	want(t, v, 1, nil)
	ahead = 0
	want(t, v, 2, nil)
	want(t, v, 2, nil)
	s.down.Store(true)
	ahead = 365 * 24 * time.Hour
	want(t, v, 0, errDown)
	s.down.Store(false)
	ahead = 0
	want(t, v, 4, nil)
}
