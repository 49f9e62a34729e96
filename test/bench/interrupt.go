package main

import (
	"bytes"
	"context"
	"sync"
	"time"
)

const (
	// parseRate is how fast the slow client takes output, in bytes per second.
	parseRate = 5e6
	// parsedBefore is how much it has taken before ^C: two seconds, in which all
	// buffers on the way fill.
	parsedBefore = 10e6
	prompt       = "periscope-bench> "
	// flood sets the prompt in two pieces, so that its echo is none.
	flood = `PS1=periscope'-bench> '; yes` + "\n"
)

// slow is a client that parses parseRate bytes a second and looks for the prompt.
type slow struct {
	warm, prompted chan struct{}

	mu   sync.Mutex
	n    int64
	tail []byte    // the last bytes, where the prompt may have begun
	free time.Time // when all before is parsed
}

func newSlow() *slow { return &slow{warm: make(chan struct{}), prompted: make(chan struct{})} }

func (s *slow) Write(p []byte) (int, error) {
	s.parse(len(p))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n < parsedBefore && s.n+int64(len(p)) >= parsedBefore {
		close(s.warm)
	}
	s.n += int64(len(p))
	s.look(p)
	return len(p), nil
}

// parse takes the time that n bytes take.
func (s *slow) parse(n int) {
	now := time.Now()
	if s.free.Before(now) {
		s.free = now
	}
	s.free = s.free.Add(time.Duration(float64(n) / parseRate * float64(time.Second)))
	time.Sleep(s.free.Sub(now))
}

// look searches from the end of the flood on.
func (s *slow) look(p []byte) {
	select {
	case <-s.warm:
	default:
		return
	}
	s.tail = append(s.tail, p...)
	if bytes.Contains(s.tail, []byte(prompt)) {
		close(s.prompted)
		s.warm, s.tail = nil, nil // looks no more
		return
	}
	s.tail = append([]byte(nil), s.tail[max(0, len(s.tail)-len(prompt)):]...)
}

func (s *slow) parsed() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// interrupt measures ^C → last byte of output, which is the prompt's, and how
// much came until then.
func interrupt(ctx context.Context, s side) ([]float64, error) {
	c := newSlow()
	warm := c.warm
	t, err := s.open(ctx, command{TTY: true, out: c})
	if err != nil {
		return nil, err
	}
	if err := t.send([]byte(flood)); err != nil {
		return nil, err
	}
	if err := t.await(ctx, warm); err != nil {
		return nil, err
	}
	pressed, before := time.Now(), c.parsed()
	if err := t.send([]byte("\x03")); err != nil {
		return nil, err
	}
	if err := t.await(ctx, c.prompted); err != nil {
		return nil, err
	}
	took, rest := time.Since(pressed), c.parsed()-before
	return []float64{milliseconds(took), float64(rest) / (1 << 20)}, t.finish(ctx, "exit\n")
}
