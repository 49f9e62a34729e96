package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	idleWanted = 1000
	// idleLeast is below what a figure per session means something.
	idleLeast = 100
	// openers is how many sessions open or end at the same time.
	openers   = 8
	idleLimit = 6 * time.Minute
	// idleGrace is how long the server waits for who has detached: long enough to
	// detach all of them and to measure.
	idleGrace = 45 * time.Second
	// idleEnd is how long it may then take to end their shells.
	idleEnd = time.Minute
)

// idleSessions measures what a session costs that nobody types in, in a server
// process of its own, then what it costs when its client has detached, and what is
// left of it when nobody came back. Each is a shell in a terminal.
func idleSessions(ctx context.Context, r *rig, _ int) (f figures, note string, err error) {
	ctx, cancel := context.WithTimeout(ctx, idleLimit)
	defer cancel()
	p, err := r.startServer(ctx, append(capsOf(2*idleWanted), "PERISCOPE_EXEC_RESUME_SECONDS="+strconv.Itoa(int(idleGrace/time.Second)))...)
	if err != nil {
		return f, "", err
	}
	defer p.process.Stop()
	if _, err := opening(ctx, ours{p, direct}); err != nil { // what is made once belongs to no session
		return f, "", err
	}
	processes, err := r.processes(ctx)
	if err != nil {
		return f, "", err
	}
	before, err := p.settled(ctx)
	if err != nil {
		return f, "", err
	}
	shells, err := openMany(ctx, p)
	if len(shells) < idleLeast {
		return f, "", fmt.Errorf("only %d sessions stood: %w", len(shells), err)
	}
	n := len(shells)
	attached, err := p.settled(ctx)
	if err != nil {
		return f, "", err
	}
	detached, err := p.costOfDetached(ctx, shells)
	if err != nil {
		return f, "", err
	}
	left, err := r.leftAfterGrace(ctx, p, processes)
	f = alone(append(attached.each(before, n), detached.each(before, n)[0], left)...)
	return f, fmt.Sprintf(" (%d at once)", n), err
}

// each is what one of n sessions holds: resident memory, heap and stacks in KiB, and
// goroutines.
func (f footprint) each(before footprint, n int) []float64 {
	sessions := float64(n)
	return []float64{
		(f.resident - before.resident) / sessions / 1024,
		(f.heap - before.heap) / sessions / 1024,
		(f.stacks - before.stacks) / sessions / 1024,
		(f.goroutines - before.goroutines) / sessions,
	}
}

// costOfDetached has every client detach, and looks what the server holds then. It
// is an error where not all sessions still waited at the end of that.
func (p *periscope) costOfDetached(ctx context.Context, all []idle) (footprint, error) {
	if err := forAll(all, func(i idle) error { return i.detach(ctx) }); err != nil {
		return footprint{}, err
	}
	now, err := p.settled(ctx)
	if err != nil {
		return footprint{}, err
	}
	shells, err := p.shells(ctx)
	if err != nil {
		return footprint{}, err
	}
	waiting := 0
	for _, s := range shells {
		if s.State == "detached" {
			waiting++
		}
	}
	if waiting != len(all) {
		err = fmt.Errorf("%d of %d detached sessions waited for somebody when they were measured", waiting, len(all))
	}
	return now, err
}

// leftAfterGrace waits until the server lists no session and the pod has no more
// processes than before, and returns how many there still are after idleEnd.
func (r *rig) leftAfterGrace(ctx context.Context, p *periscope, before int) (float64, error) {
	late := time.Now().Add(idleGrace + idleEnd)
	for {
		shells, err := p.shells(ctx)
		if err != nil {
			return 0, err
		}
		now, err := r.processes(ctx)
		if err != nil {
			return 0, err
		}
		left := len(shells) + max(0, now-before)
		if left == 0 || time.Now().After(late) {
			return float64(left), nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// processes counts those in the pod, with the shell's own words alone: nothing is
// started to count.
func (r *rig) processes(ctx context.Context) (int, error) {
	var out strings.Builder
	s, err := r.reference.open(ctx, command{Argv: []string{"sh", "-c", `set -- /proc/[0-9]*; echo $#`}, out: &out})
	if err != nil {
		return 0, err
	}
	if err := s.finish(ctx, ""); err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(out.String()))
}

// openMany opens as many sessions as can be had, at most idleWanted.
func openMany(ctx context.Context, p *periscope) (shells []idle, err error) {
	var mu sync.Mutex
	left := idleWanted
	claim := func() bool {
		mu.Lock()
		defer mu.Unlock()
		left--
		return left >= 0 && err == nil
	}
	var wg sync.WaitGroup
	for range openers {
		wg.Go(func() {
			for claim() {
				s, failed := openIdle(ctx, p)
				mu.Lock()
				if failed != nil {
					err = failed
				} else {
					shells = append(shells, s)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return shells, err
}

// idle is a session that nobody types in.
type idle struct {
	*session
	*terminal
}

func openIdle(ctx context.Context, p *periscope) (idle, error) {
	m := newMeter()
	s, t, err := p.dial(ctx, direct, command{TTY: true, out: m})
	if err != nil {
		return idle{}, err
	}
	return idle{s, t}, s.await(ctx, m.first)
}

// detach leaves the session to the server.
func (i idle) detach(ctx context.Context) error {
	if err := i.ws.Write(ctx, websocket.MessageText, []byte(`{"type":"detach"}`)); err != nil {
		return err
	}
	select {
	case <-i.over:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// forAll does f for all, a few at a time.
func forAll[T any](all []T, f func(T) error) error {
	var wg sync.WaitGroup
	errs := make(chan error, len(all))
	queue := make(chan T, len(all))
	for _, one := range all {
		queue <- one
	}
	close(queue)
	for range openers {
		wg.Go(func() {
			for one := range queue {
				errs <- f(one)
			}
		})
	}
	wg.Wait()
	close(errs)
	var found []error
	for err := range errs {
		found = append(found, err)
	}
	return errors.Join(found...)
}
