package life_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/life"
)

func TestAShutdownWaitsForActs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acts := life.NewActs()
		began := time.Now()
		for _, lasts := range []time.Duration{time.Second, 3 * time.Second} {
			ctx, done := acts.Begin(t.Context())
			time.AfterFunc(lasts, func() {
				if ctx.Err() != nil {
					t.Errorf("the act of %v was cut short", lasts)
				}
				done()
			})
		}
		stopping, stop := context.WithCancel(t.Context())
		stop()
		if err := acts.Run(stopping); err != nil || time.Since(began) != 3*time.Second {
			t.Errorf("waited %v: %v", time.Since(began), err)
		}
		if ctx, done := acts.Begin(t.Context()); !errors.Is(ctx.Err(), context.Canceled) {
			t.Error("an act began after the shutdown")
		} else {
			done()
		}
	})
}

// TestActsThatAreCut, and what belongs to them, end by their context.
func TestActsThatAreCut(t *testing.T) {
	for name, cut := range map[string]time.Duration{"before": 3 * time.Second, "in time": life.ActsLimit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				acts := life.NewActs()
				began := time.Now()
				ctx, done := acts.Begin(t.Context())
				go func() {
					<-ctx.Done()
					time.Sleep(time.Second) // it is recorded
					done()
				}()
				if cut != life.ActsLimit {
					time.AfterFunc(cut, acts.Cut)
				}
				stopping, stop := context.WithCancel(t.Context())
				stop()
				if err := acts.Run(stopping); err != nil || time.Since(began) != cut+time.Second {
					t.Errorf("waited %v: %v", time.Since(began), err)
				}
			})
		})
	}
}

func TestAnActEndsWithWhoAskedForIt(t *testing.T) {
	asked, hangUp := context.WithCancel(t.Context())
	ctx, done := life.NewActs().Begin(asked)
	defer done()
	hangUp()
	if ctx.Err() == nil {
		t.Error("it goes on")
	}
}
