package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	idleWanted = 1000
	// idleLeast is below what a figure per session means something.
	idleLeast = 100
	// openers is how many sessions open or end at the same time.
	openers   = 8
	idleLimit = 4 * time.Minute
)

// idleSessions measures what a session costs that nobody types in, in a server
// process of its own. Each is a shell in a terminal.
func idleSessions(ctx context.Context, r *rig, _ int) (f figures, note string, err error) {
	ctx, cancel := context.WithTimeout(ctx, idleLimit)
	defer cancel()
	p, err := r.startServer(ctx, capsOf(2*idleWanted)...)
	if err != nil {
		return f, "", err
	}
	defer p.process.Stop()
	if _, err := opening(ctx, ours{p}); err != nil { // what is made once belongs to no session
		return f, "", err
	}
	before, err := p.settled(ctx)
	if err != nil {
		return f, "", err
	}
	sessions, err := openMany(ctx, p)
	if len(sessions) < idleLeast {
		return f, "", fmt.Errorf("only %d sessions stood: %w", len(sessions), err)
	}
	after, err := p.settled(ctx)
	if err != nil {
		return f, "", err
	}
	n := float64(len(sessions))
	f = alone(
		(after.resident-before.resident)/n/1024,
		(after.heap-before.heap)/n/1024,
		(after.stacks-before.stacks)/n/1024,
		(after.goroutines-before.goroutines)/n,
	)
	return f, fmt.Sprintf(" (%d at once)", len(sessions)), endAll(ctx, sessions)
}

// openMany opens as many sessions as can be had, at most idleWanted.
func openMany(ctx context.Context, p *periscope) (sessions []*session, err error) {
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
					sessions = append(sessions, s)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return sessions, err
}

func openIdle(ctx context.Context, p *periscope) (*session, error) {
	m := newMeter()
	s, _, err := p.dial(ctx, command{TTY: true, out: m})
	if err != nil {
		return nil, err
	}
	return s, s.await(ctx, m.first)
}

func endAll(ctx context.Context, sessions []*session) error {
	var wg sync.WaitGroup
	errs := make(chan error, len(sessions))
	queue := make(chan *session, len(sessions))
	for _, s := range sessions {
		queue <- s
	}
	close(queue)
	for range openers {
		wg.Go(func() {
			for s := range queue {
				errs <- s.finish(ctx, "exit\n")
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
