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
	returned atomic.Int64 // last return of a client, less its silence until it left
	away     atomic.Int64 // since when nobody is there; 0: somebody is
	silent   atomic.Int64 // how long nothing had been seen by then
	stderr   atomic.Int64 // bytes of stderr
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

// idle is how long neither stdin nor output has been seen, while somebody was
// there to be seen: what one cannot be warned of does not count.
func (c *clock) idle() time.Duration {
	return min(c.since(&c.in), c.since(&c.out), c.since(&c.returned))
}

// silence names the present one by when it began; never 0.
func (c *clock) silence() int64 { return 1 + max(c.in.Load(), c.out.Load(), c.returned.Load()) }

// leave notes that nobody is there any more.
func (c *clock) leave() {
	c.silent.Store(int64(c.idle()))
	c.touch(&c.away)
}

// comeBack notes that somebody is there again, and says after how long.
func (c *clock) comeBack() time.Duration {
	gone := c.awayFor()
	if gone > 0 {
		c.returned.Store(c.now() - c.silent.Load())
	}
	c.away.Store(0)
	return gone
}

// awayFor is how long nobody has been there.
func (c *clock) awayFor() time.Duration {
	if c.away.Load() == 0 {
		return 0
	}
	return c.since(&c.away)
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
	c := s.at.Load()
	switch {
	case s.ctx.Err() != nil:
		if c != nil {
			c.hurry()
		}
	case !s.carrying.Load():
	case c == nil:
		s.checkAlone()
	case !c.greeted.Load(): // it takes its seat just now: nothing comes before hello
	default:
		s.checkIdle(c)
		c.check()
	}
}

func (s *session) checkIdle(c *client) {
	left := s.place.Settings.ServerIdle - s.clock.idle()
	switch {
	case left <= 0:
		s.finish(endOf(ServerIdle))
	case left > s.place.Settings.IdleWarn:
	case c.warn():
		c.ctrl.push(encode(idleWarn{Type: "idle_warn", SecondsRemaining: int((left + time.Second - 1) / time.Second)}))
	}
}

// warn is true once in each silence.
func (c *client) warn() bool {
	now := c.s.clock.silence()
	return c.warnedOf.Swap(now) != now
}

// stay is a person's answer to the warning: it counts as something typed. With
// no warning out it does nothing, so that no client can switch the timer off by
// saying it all the time.
func (c *client) stay() {
	if c.warnedOf.Load() == c.s.clock.silence() {
		c.s.active()
	}
}

// tookStdin notes stdin. What a terminal says by itself keeps the session, as any byte
// does, and no login: a program could ask for it for ever.
func (s *session) tookStdin(p []byte) {
	if s.TTY && s.said.wholly(p) {
		s.clock.touch(&s.clock.in)
		return
	}
	s.active()
}

// active notes that somebody has typed: for the login it is activity too.
func (s *session) active() {
	s.clock.touch(&s.clock.in)
	if login := s.login.Load(); login.Active != nil {
		login.Active()
	}
}

// check looks whether the client is still there, and pings it.
func (c *client) check() {
	clock := &c.s.clock
	if c.isGone() {
		c.lose(HeartbeatTimeout)
	}
	if clock.since(&c.pinged) >= c.s.heartbeat() {
		clock.touch(&c.pinged)
		c.ctrl.wantPing()
	}
}

func (c *client) isGone() bool {
	if stalled, waits := c.stalled(); waits {
		return stalled > stallLimit
	}
	return c.paused.Load() == 0 && min(c.conn.Silence(), c.s.clock.since(&c.excused)) > c.s.gone()
}

// stalled is how long a write to the client has been waiting, where one is.
func (c *client) stalled() (time.Duration, bool) {
	since := c.writing.Load()
	return time.Duration(c.s.clock.now() - since), since != 0
}

// hurry closes the client's socket when a write at the end hangs.
func (c *client) hurry() {
	if stalled, waits := c.stalled(); waits && stalled > partingLimit {
		c.conn.Abort()
	}
}
