package life_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/leak"
	"github.com/periscope-console/periscope/internal/life"
)

func TestMain(m *testing.M) { leak.Main(m) }

type record struct {
	mu     sync.Mutex
	events []string
}

func (r *record) add(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, s)
}

func (r *record) part(name string) life.Part {
	return life.Part{Name: name, Grace: time.Second, Run: func(ctx context.Context) error {
		<-ctx.Done()
		r.add("stop " + name)
		return ctx.Err()
	}}
}

func TestRunStopsInReverseOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := life.Run(ctx, slog.New(slog.DiscardHandler), r.part("a"), r.part("b"), r.part("c")); err != nil {
			t.Fatalf("Run: %v", err)
		}
		if want := []string{"stop c", "stop b", "stop a"}; !slices.Equal(r.events, want) {
			t.Errorf("order %v, want %v", r.events, want)
		}
	})
}

func TestAPartThatFailsStopsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		bad := life.Part{Name: "bad", Grace: time.Second, Run: func(context.Context) error { return errors.New("no port") }}
		err := life.Run(t.Context(), slog.New(slog.DiscardHandler), r.part("a"), bad)
		if err == nil || !strings.Contains(err.Error(), "bad: no port") {
			t.Errorf("error %v does not name the part and its cause", err)
		}
		if !slices.Equal(r.events, []string{"stop a"}) {
			t.Errorf("events %v", r.events)
		}
	})
}

func TestAPartThatHangsIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hang := life.Part{Name: "hang", Grace: time.Second, Run: func(context.Context) error { <-release; return nil }}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := life.Run(ctx, slog.New(slog.DiscardHandler), hang)
		if !errors.Is(err, life.ErrStuck) || !strings.Contains(err.Error(), "hang") {
			t.Errorf("error %v", err)
		}
		close(release)
	})
}
