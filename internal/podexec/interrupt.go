package podexec

import (
	"sync"
	"time"
)

// The interrupt rule: after ^C the megabytes that the cluster still holds of a
// flood are read at full speed and left out, so that the prompt comes at once.
const (
	interruptPause = 50 * time.Millisecond
	interruptLimit = 2 * time.Second
)

// interruption is what became of the newest interrupt.
type interruption struct {
	mu      sync.Mutex
	watched bool      // a goroutine looks at it until the limit
	begun   time.Time // when the interrupt was handed on
	typed   int64     // stdin that had come by then
	reading time.Time // since when output is read on; zero: it is sent
}

// interrupt reads on where output waits for the client.
func (s *session) interrupt() {
	if !s.out.held() {
		return
	}
	i := &s.interruption
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	i.begun, i.typed, i.reading = now, s.in.total(), now
	s.out.drain(true)
	if !i.watched {
		i.watched = true
		s.goes(s.watchInterrupt)
	}
}

// watchInterrupt ends the reading on when output pauses, at the limit, or with
// the session.
func (s *session) watchInterrupt() {
	tick := time.NewTicker(interruptPause / 5)
	defer tick.Stop()
	for s.interrupted() {
		select {
		case <-s.stop:
			s.out.drain(false)
			return
		case <-tick.C:
		}
	}
}

// interrupted looks at the output after an interrupt; false when that is over.
// A busy machine pauses too, in the middle of what it holds: a flood that comes
// back while nothing else was typed is the same one.
func (s *session) interrupted() bool {
	i := &s.interruption
	i.mu.Lock()
	defer i.mu.Unlock()
	reading := !i.reading.IsZero()
	switch {
	case time.Since(i.begun) >= interruptLimit, !reading && s.in.total() != i.typed:
		i.watched = false
		s.out.drain(false)
	case reading && min(time.Since(s.clock.lastOutput()), time.Since(i.reading)) >= interruptPause:
		i.reading = time.Time{}
		s.out.drain(false)
	case !reading && s.out.floods():
		i.reading = time.Now()
		s.out.drain(true)
	}
	return i.watched
}
