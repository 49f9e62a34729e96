package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// side is one of the two that are compared.
type side interface {
	// open starts a command and returns without waiting for it.
	open(ctx context.Context, c command) (*session, error)
	// read lets a command print to its end, and says what carrying its output
	// cost in CPU time: ours the server, the reference a process of its own.
	read(ctx context.Context, c command) (reading, error)
}

// command is what to run in the pod.
type command struct {
	Argv []string // empty: the shell
	TTY  bool
	// Stalled has ours acknowledge nothing.
	Stalled bool
	// out gets the output, on one goroutine, whose pace is the client's.
	out sink
}

type sink interface{ Write(p []byte) (int, error) }

type reading struct {
	Bytes int64
	CPU   time.Duration
}

// session is a command under way. Whoever gets one waits for its end.
type session struct {
	send func(p []byte) error
	over chan struct{} // closed when the command has ended and out has all of its output
	err  error         // why it ended, unless by itself; valid once over is closed
}

var errEndedEarly = errors.New("the command ended too early")

// await waits for a bell of the session's sink.
func (s *session) await(ctx context.Context, bell <-chan struct{}) error {
	select {
	case <-bell:
		return nil
	case <-s.over:
		return errors.Join(errEndedEarly, s.err)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// finish types the last words and waits for the end.
func (s *session) finish(ctx context.Context, last string) error {
	if last != "" {
		if err := s.send([]byte(last)); err != nil {
			return err
		}
	}
	select {
	case <-s.over:
		return s.err
	case <-ctx.Done():
		return fmt.Errorf("the command did not end: %w", context.Cause(ctx))
	}
}

// meter counts what passes. first is rung by the first byte.
type meter struct {
	first chan struct{}
	begun time.Time
	n     int64
}

func newMeter() *meter { return &meter{first: make(chan struct{})} }

func (m *meter) Write(p []byte) (int, error) {
	if m.n == 0 && len(p) > 0 {
		m.begun = time.Now()
		close(m.first)
	}
	m.n += int64(len(p))
	return len(p), nil
}

// rate is in MB/s since the first byte; it belongs to whoever saw the end.
func (m *meter) rate() float64 { return float64(m.n) / 1e6 / time.Since(m.begun).Seconds() }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
