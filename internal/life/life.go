// Package life starts the parts of a process in order and stops them in the
// reverse order.
//
// It owns the order and the time limits of a shutdown, not what the parts do.
// Run waits for every goroutine that it starts. It also counts the acts that a
// shutdown waits for.
package life

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Part is one piece of a process. Run blocks until the part and all that it
// started have ended; it returns soon after its context is done.
type Part struct {
	Name string
	Run  func(context.Context) error
	// Grace is how long Run may take to return once it is told to stop.
	Grace time.Duration
}

// ErrStuck is returned when a part did not stop within its grace.
var ErrStuck = errors.New("did not stop in time")

type running struct {
	Part
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// Run starts parts in order. When ctx is done, or any part ends by itself, it
// stops them one after the other, the last first, each with its own grace. The
// error joins what parts returned, context.Canceled left out.
func Run(ctx context.Context, log *slog.Logger, parts ...Part) error {
	base := context.WithoutCancel(ctx)
	ended := make(chan string, len(parts))
	var up []*running
	for _, p := range parts {
		up = append(up, start(base, p, ended))
	}
	select {
	case <-ctx.Done():
		log.Info("life.stopping", "why", context.Cause(ctx).Error())
	case name := <-ended:
		log.Error("life.part_ended", "part", name)
	}
	var errs []error
	for i := len(up) - 1; i >= 0; i-- {
		errs = append(errs, stop(up[i]))
	}
	return errors.Join(errs...)
}

func start(ctx context.Context, p Part, ended chan<- string) *running {
	ctx, cancel := context.WithCancel(ctx)
	r := &running{Part: p, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = p.Run(ctx)
		ended <- p.Name
	}()
	return r
}

func stop(r *running) error {
	r.cancel()
	timer := time.NewTimer(r.Grace)
	defer timer.Stop()
	select {
	case <-r.done:
	case <-timer.C:
		return fmt.Errorf("%s: %w", r.Name, ErrStuck)
	}
	if r.err == nil || errors.Is(r.err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("%s: %w", r.Name, r.err)
}
