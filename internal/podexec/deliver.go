package podexec

import "time"

const (
	// joinFor is how long small output may wait to be joined, unless somebody
	// has typed within typedFor and so waits for an echo.
	joinFor  = 6 * time.Millisecond
	typedFor = 50 * time.Millisecond
	// flushLimit is how long the rest of the output of a command that ended may
	// take to reach the client without any progress.
	flushLimit = 15 * time.Second
	// quickOutput is the most output that its reader sends itself, as an echo, and
	// quickUnacked how much may then be unacknowledged: clients let 32 KiB gather.
	quickOutput  = 2 << 10
	quickUnacked = 40 << 10
	// never is a wait that only a bell ends.
	never = time.Hour
)

// write sends control frames and output until the client leaves or the session
// ends, then the rest of the output, the last words and the close code. told is
// whether the client surely has the end of the session. Where a write hangs the
// timers close the socket.
func (c *client) write() (told bool) {
	if c.deliver() {
		return c.lastWords()
	}
	if c.isOver() {
		c.farewell()
	} else {
		c.conn.Abort()
	}
	return false
}

// deliver sends all there is to be sent before the last words; it is false where
// the client is not to have them.
func (c *client) deliver() bool {
	defer close(c.quiet)
	ok := c.writeUntilStop()
	select {
	case <-c.over:
		return false
	case <-c.s.stop:
		return ok && c.s.end.reason != ClientLost && c.flush()
	}
}

// lastWords tell the client of the session's end.
func (c *client) lastWords() (told bool) {
	c.turn.Lock()
	defer c.turn.Unlock()
	return part(c.conn, c.s.end, c.requestID)
}

// farewell is the last that a client hears of a session that goes on.
func (c *client) farewell() {
	switch c.why {
	case takenOver:
		part(c.conn, endOf(TakenOver), c.requestID)
	case left:
		c.conn.Close(closeNormal, string(left))
	default:
		c.conn.Abort()
	}
}

// writeUntilStop is false when the socket broke.
func (c *client) writeUntilStop() bool {
	join := time.NewTimer(never)
	defer join.Stop()
	for {
		wait, ok := c.sendDue()
		switch {
		case !ok:
			return false
		case wait == 0:
			continue
		}
		join.Reset(wait)
		select {
		case <-c.ctrl.ready.c:
		case <-c.s.out.ready.c:
		case <-join.C:
		case <-c.over:
			return true
		case <-c.s.stop:
			return true
		}
	}
}

// sendDue sends what is due, one message at most, and says how long nothing else
// will be; 0 means to look again. It is false when the socket broke. It looks at
// the output before it looks at the frames: hello is pushed before any output
// is, so who sees output sees hello.
func (c *client) sendDue() (wait time.Duration, ok bool) {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.isOver() {
		return never, true
	}
	wait = c.due()
	if f := c.ctrl.next(); f != nil {
		return 0, c.send(false, f)
	}
	if c.ctrl.takePing() {
		return 0, c.sent(c.conn.Ping)
	}
	if wait > 0 {
		return wait, true
	}
	return 0, c.sendOutput()
}

// due is how long the output may still wait to be joined with more: not at all
// when it is much, when somebody has just typed, or after a silence.
func (c *client) due() time.Duration {
	n, gapped := c.s.out.pending()
	switch {
	case gapped || n >= bigChunk:
		return 0
	case n == 0:
		return never
	case c.s.typed():
		return 0
	}
	return max(0, joinFor-time.Since(c.sentAt))
}

// typed reports whether somebody has just typed and so waits for an echo.
func (s *session) typed() bool {
	return s.clock.in.Load() != 0 && s.clock.since(&s.clock.in) < typedFor
}

// quickly sends an echo on the goroutine that read it, for the reason that
// direct has for a keystroke: nothing is before it, and the socket takes it at
// once. What a client says has arrived may be a lie; what its kernel says is not.
func (c *client) quickly() bool {
	if !c.s.v2 || !c.s.typed() || !c.turn.TryLock() {
		return false
	}
	defer c.turn.Unlock()
	switch {
	case c.s.ctx.Err() != nil || c.isOver() || !c.ctrl.begun(),
		!c.s.out.small(quickOutput, quickUnacked), !c.conn.HasRoom():
		return false
	}
	return c.sendOutput() && c.due() == never // what lies in two chunks may be two messages
}

// sendOutput sends one gap or one message of output. The caller has the turn.
func (c *client) sendOutput() bool {
	g, p := c.s.out.next(bigChunk)
	switch {
	case g != nil:
		return c.send(false, encode(gapFrame{"gap", g.from, g.to, g.why}))
	case p != nil:
		ok := c.send(true, p)
		c.s.echoed()
		c.s.out.release()
		c.sentAt = time.Now()
		return ok
	}
	return true
}

func (c *client) send(binary bool, p []byte) bool {
	return c.sent(func() error { return c.conn.Write(binary, p) })
}

// sent makes one write to the client, under the eyes of the timers.
func (c *client) sent(write func() error) bool {
	c.s.clock.touch(&c.writing)
	err := write()
	c.writing.Store(0)
	if err != nil {
		c.lose(ClientLost)
	}
	return err == nil
}

// flush sends what is left: frames (the hello of a command that ended at once
// among them), then the output of a command that ended. It gives up when the
// client takes nothing for flushLimit, and is false when it is gone or another has
// taken its place.
func (c *client) flush() bool {
	if !c.flushFrames() {
		return false
	}
	idle := time.NewTimer(flushLimit)
	defer idle.Stop()
	for !c.s.out.empty() {
		if n, gapped := c.s.out.pending(); n > 0 || gapped {
			if !c.flushFrames() || !c.flushSome() {
				return false
			}
			idle.Reset(flushLimit)
			continue
		}
		select {
		case <-c.s.out.ready.c:
		case <-c.over:
			return false
		case <-idle.C:
			return true
		}
	}
	return !c.isOver()
}

func (c *client) flushFrames() bool {
	c.turn.Lock()
	defer c.turn.Unlock()
	for f := c.ctrl.rest(); f != nil; f = c.ctrl.rest() {
		if c.isOver() || !c.send(false, f) {
			return false
		}
	}
	return true
}

func (c *client) flushSome() bool {
	c.turn.Lock()
	defer c.turn.Unlock()
	return !c.isOver() && c.sendOutput()
}
