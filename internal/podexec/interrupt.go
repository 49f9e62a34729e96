package podexec

import "time"

// The interrupt rule: after ^C the megabytes that the cluster still holds of a
// flood are read at full speed and left out, so that the prompt comes at once.
const (
	interruptPause = 50 * time.Millisecond
	interruptLimit = 2 * time.Second
)

// interrupt reads on, once at a time, while output waits for the client.
func (s *session) interrupt() {
	if !s.out.held() || !s.draining.CompareAndSwap(false, true) {
		return
	}
	s.out.drain(true)
	s.goes(s.drained)
}

// drained ends the reading on when output pauses, at the limit, or with the
// session.
func (s *session) drained() {
	defer s.draining.Store(false)
	defer s.out.drain(false)
	begun := time.Now()
	tick := time.NewTicker(interruptPause / 5)
	defer tick.Stop()
	for time.Since(begun) < interruptLimit {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		quiet := time.Since(s.clock.lastOutput())
		if min(quiet, time.Since(begun)) >= interruptPause {
			return
		}
	}
}
