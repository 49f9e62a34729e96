package podexec

import (
	"sync/atomic"
	"time"

	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// Time limits towards the client.
const (
	v2Heartbeat = 10 * time.Second
	v2Gone      = 25 * time.Second
	// stallLimit is how long a client's socket may take no output.
	stallLimit = 120 * time.Second
	// keepTick is how often the timers are looked at.
	keepTick = time.Second
)

// clock remembers when things last happened. It is safe for any goroutine.
type clock struct {
	base     time.Time
	in       atomic.Int64 // last stdin
	out      atomic.Int64 // last output
	excused  atomic.Int64 // until when the client's silence does not count
	pinged   atomic.Int64 // last ping to the client
	writing  atomic.Int64 // since when a write to the client waits; 0: none does
	paused   atomic.Int64 // not 0: the client's socket is not read, on purpose
	stderr   atomic.Int64 // bytes of stderr
	warnedOf atomic.Int64 // the silence that was last warned of; see silence
	typing   atomic.Int64 // when the keystroke came whose echo is awaited; 0: none is; see echo.go
}

func (c *clock) start() { c.base = time.Now() }

// now never is 0, which means never.
func (c *clock) now() int64 { return int64(time.Since(c.base)) + 1 }

func (c *clock) since(at *atomic.Int64) time.Duration { return time.Duration(c.now() - at.Load()) }

func (c *clock) touch(at *atomic.Int64) { at.Store(c.now()) }

func (c *clock) output(ch transport.Channel, n int) {
	c.touch(&c.out)
	if ch == transport.Stderr {
		c.stderr.Add(int64(n))
	}
}

func (c *clock) lastOutput() time.Time { return c.base.Add(time.Duration(c.out.Load())) }

// idle is how long neither stdin nor output has been seen.
func (c *clock) idle() time.Duration { return min(c.since(&c.in), c.since(&c.out)) }

// silence names the present one by when it began; never 0.
func (c *clock) silence() int64 { return 1 + max(c.in.Load(), c.out.Load()) }

// warned reports whether the present silence has been warned of.
func (c *clock) warned() bool { return c.warnedOf.Load() == c.silence() }

// warn is true once in each silence.
func (c *clock) warn() bool {
	now := c.silence()
	return c.warnedOf.Swap(now) != now
}

// heartbeat is the interval of pings.
func (s *session) heartbeat() time.Duration {
	if s.v2 {
		return min(s.place.Settings.Heartbeat, v2Heartbeat)
	}
	return s.place.Settings.Heartbeat
}

// gone is after how long a silent client is taken for lost.
func (s *session) gone() time.Duration {
	if s.v2 {
		return v2Gone
	}
	return 2 * s.place.Settings.Heartbeat
}

// check looks at the timers. It does not block.
func (s *session) check() {
	s.checkIdle()
	s.checkClient()
	if s.clock.since(&s.clock.pinged) >= s.heartbeat() {
		s.clock.touch(&s.clock.pinged)
		s.ctrl.wantPing()
	}
}

func (s *session) checkIdle() {
	left := s.place.Settings.ServerIdle - s.clock.idle()
	switch {
	case left <= 0:
		s.finish(endOf(ServerIdle))
	case left > s.place.Settings.IdleWarn:
	case s.clock.warn():
		s.ctrl.push(encode(idleWarn{Type: "idle_warn", SecondsRemaining: int((left + time.Second - 1) / time.Second)}))
	}
}

// stay is a person's answer to the warning: it counts as something typed. With
// no warning out it does nothing, so that no client can switch the timer off by
// saying it all the time.
func (s *session) stay() {
	if !s.clock.warned() {
		return
	}
	s.clock.touch(&s.clock.in)
	if s.Active != nil {
		s.Active()
	}
}

func (s *session) checkClient() {
	if since := s.clock.writing.Load(); since != 0 {
		if time.Duration(s.clock.now()-since) > stallLimit {
			s.finish(endOf(HeartbeatTimeout))
		}
		return
	}
	if s.clock.paused.Load() != 0 {
		return
	}
	if min(s.conn.Silence(), s.clock.since(&s.clock.excused)) > s.gone() {
		s.finish(endOf(HeartbeatTimeout))
	}
}
