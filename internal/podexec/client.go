package podexec

import (
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/podexec/transport"
	"github.com/periscope-console/periscope/internal/wsframe"
	"github.com/periscope-console/periscope/internal/wsock"
)

const (
	// plainStdin is how much stdin of a plain client may wait before its socket
	// is not read any more.
	plainStdin = 1 << 20
	// joinFor is how long small output may wait to be joined, unless somebody
	// has typed within typedFor and so waits for an echo.
	joinFor  = 6 * time.Millisecond
	typedFor = 50 * time.Millisecond
	// flushLimit is how long the rest of the output of a command that ended may
	// take to reach the client without any progress.
	flushLimit = 15 * time.Second
	// ackEvery is how much stdin is acknowledged at once, and ackWithin how long
	// less than that may wait: a keystroke's echo comes first.
	ackEvery  = 16 << 10
	ackWithin = 25 * time.Millisecond
	// quickOutput is the most output that its reader sends itself, as an echo, and
	// quickUnacked how much may then be unacknowledged: clients let 32 KiB gather.
	quickOutput  = 2 << 10
	quickUnacked = 40 << 10
	// maxPongs bounds the pongs that wait to be written; the oldest goes first.
	maxPongs = 8
	// maxControlQueue bounds the other frames that wait; the oldest stay.
	maxControlQueue = 64
)

// sizer keeps the newest terminal size until a stream can take it.
type sizer struct {
	mu     sync.Mutex
	stream transport.Stream
	size   transport.Size
}

func (z *sizer) set(size transport.Size) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.size = size
	if z.stream != nil {
		z.stream.Resize(size)
	}
}

func (z *sizer) attach(stream transport.Stream) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.stream = stream
	if z.size != (transport.Size{}) {
		stream.Resize(z.size)
	}
}

// control is the queue of control frames to the client. Frames of which only
// the newest counts take one place.
type control struct {
	ready notice

	mu    sync.Mutex
	queue [][]byte
	pongs [][]byte
	ack   int64 // stdin up to here is with the container
	acked int64 // and up to here the client has been told
	ripe  bool  // it is to be told now
	later *time.Timer
	ping  bool
}

func newControl() *control { return &control{ready: newNotice()} }

func (c *control) push(frame []byte) {
	c.mu.Lock()
	if len(c.queue) < maxControlQueue {
		c.queue = append(c.queue, frame)
	}
	c.mu.Unlock()
	c.ready.ring()
}

// stdinAck says how much stdin is with the container. Two goroutines hand stdin
// on in turns and may tell of it in the other order.
func (c *control) stdinAck(offset int64) {
	c.mu.Lock()
	if offset <= c.ack {
		c.mu.Unlock()
		return
	}
	first := c.ack == c.acked
	c.ack = offset
	much := c.ack-c.acked >= ackEvery
	switch {
	case much:
		c.ripe = true
	case first && c.later == nil:
		c.later = time.AfterFunc(ackWithin, c.ripen)
	case first:
		c.later.Reset(ackWithin)
	}
	c.mu.Unlock()
	if much {
		c.ready.ring()
	}
}

func (c *control) ripen() {
	c.mu.Lock()
	c.ripe = true
	c.mu.Unlock()
	c.ready.ring()
}

// wantPing has a ping sent.
func (c *control) wantPing() {
	c.mu.Lock()
	c.ping = true
	c.mu.Unlock()
	c.ready.ring()
}

// takePing says, once, that a ping is wanted.
func (c *control) takePing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted := c.ping
	c.ping = false
	return wanted
}

// begun reports whether every frame that was pushed has been taken, hello among
// them.
func (c *control) begun() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue) == 0
}

func (c *control) pong(id json.RawMessage) {
	c.mu.Lock()
	c.pongs = append(c.pongs, encode(pong{"pong", id}))
	if len(c.pongs) > maxPongs {
		c.pongs = c.pongs[1:]
	}
	c.mu.Unlock()
	c.ready.ring()
}

// next is the next frame to write, nil if there is none.
func (c *control) next() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.queue) > 0:
		return c.pushed()
	case c.ripe && c.ack > c.acked:
		c.acked, c.ripe = c.ack, false
		return encode(stdinAck{"stdin_ack", c.ack})
	case len(c.pongs) > 0:
		f := c.pongs[0]
		c.pongs = c.pongs[1:]
		return f
	}
	return nil
}

// rest is the next frame that was pushed, nil if there is none.
func (c *control) rest() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pushed()
}

// pushed takes the first frame of the queue. The caller has mu.
func (c *control) pushed() []byte {
	if len(c.queue) == 0 {
		return nil
	}
	f := c.queue[0]
	c.queue = c.queue[1:]
	return f
}

// read takes everything the client sends until its socket is closed. It goes on
// after the end was chosen: acknowledgements of the last output still count.
func (s *session) read() {
	for { // write closes the socket, which ends this
		binary, data, err := s.conn.Read()
		if err != nil {
			s.unread(err)
			return
		}
		if !s.take(binary, data) {
			return
		}
	}
}

// unread ends the session of a client that cannot be read on.
func (s *session) unread(err error) {
	var rule wsframe.ProtocolError
	switch {
	case errors.Is(err, wsock.ErrTooBig):
		s.protocol("A message is over the limit of 1 MiB. Send it in smaller ones.")
	case errors.As(err, &rule):
		s.protocol("The WebSocket brought " + string(rule) + ". Use another client, or look for what garbles the connection.")
	default:
		s.finish(endOf(ClientLost))
	}
}

// take is false when nothing more is to be read.
func (s *session) take(binary bool, data []byte) bool {
	switch {
	case !binary:
		return s.takeFrame(data)
	case len(data) == 0 || s.ctx.Err() != nil:
		return true // nothing was typed, or to nobody
	}
	return s.takeStdin(data)
}

func (s *session) protocol(sentence string) {
	s.finish(refusal(fault.New(fault.Protocol, "podexec.read", "%s", sentence)))
}

func (s *session) takeStdin(p []byte) bool {
	s.clock.awaitEcho(len(p))
	s.clock.touch(&s.clock.in)
	if s.Active != nil {
		s.Active()
	}
	if s.direct(p) {
		return true
	}
	limit := int64(0)
	if s.v2 {
		limit = StdinWindow
	}
	if !s.in.push(p, limit) {
		s.protocol("More stdin came than the window allows. Wait for stdin_ack before sending more.")
		return false
	}
	return s.v2 || s.holdStdin()
}

// direct hands stdin to the container on this goroutine where nothing is before
// it and the stream takes it at once: for a keystroke the hand-over to feed is
// most of what a session costs.
func (s *session) direct(p []byte) bool {
	if !s.carrying.Load() || !s.in.idle() || !s.stream.TryWrite(p) {
		return false
	}
	s.handed(p, s.in.passed(len(p)))
	return true
}

// holdStdin stops the reading of a plain client's socket while too much of its
// stdin waits for the program.
func (s *session) holdStdin() bool {
	if s.in.waiting() <= plainStdin {
		return true
	}
	s.clock.paused.Store(1)
	defer s.clock.paused.Store(0)
	defer s.clock.touch(&s.clock.excused)
	for s.in.waiting() > plainStdin {
		if !s.await(s.in.room) {
			return false
		}
	}
	return true
}

func (s *session) takeFrame(data []byte) bool {
	f, err := parseClientFrame(data)
	if err != nil {
		s.protocol("A text frame was not understood: " + err.Error() + ".")
		return false
	}
	switch {
	case f.Type == "close":
		s.finish(endOf(ClientClose))
	case f.Type == "resize":
		s.resize(f)
	case !s.v2:
		s.protocol("Frame " + f.Type + " belongs to " + Protocol + ". Ask for that subprotocol to use it.")
		return false
	default:
		return s.takeV2(f)
	}
	return true
}

func (s *session) takeV2(f clientFrame) bool {
	switch f.Type {
	case "ack":
		if f.Offset == nil || !s.out.ack(*f.Offset) {
			s.protocol("An acknowledgement names bytes that were never sent. Acknowledge what has arrived.")
			return false
		}
	case "eof":
		s.in.closeWrite()
	case "ping":
		s.ctrl.pong(f.ID)
	case "stay":
		s.stay()
	case "detach": // there is no coming back yet, so leaving is closing
		s.finish(endOf(ClientClose))
	default:
		s.protocol("Frame " + f.Type + " can only be the first one.")
		return false
	}
	return true
}

func (s *session) resize(f clientFrame) {
	size, err := f.size()
	if err != nil {
		s.ctrl.push(encode(errorOf(fault.Wrap(err, fault.Invalid, "podexec.resize",
			"The new size was not taken: %v.", err), s.RequestID)))
		return
	}
	s.size.set(size)
}

// write sends control frames and output until the end, then the rest of the
// output, the last words and the close code.
func (s *session) write() {
	defer close(s.connDone)
	ok := s.writeUntilStop() // hurry closes the socket where a write hangs
	<-s.stop
	if ok && s.end.reason != ClientLost && s.flush() {
		s.turn.Lock()
		defer s.turn.Unlock()
		part(s.conn, s.end, s.RequestID)
		return
	}
	s.conn.Abort()
}

// writeUntilStop is false when the socket broke.
func (s *session) writeUntilStop() bool {
	join := time.NewTimer(never)
	defer join.Stop()
	for {
		wait, ok := s.sendDue()
		switch {
		case !ok:
			return false
		case wait == 0:
			continue
		}
		join.Reset(wait)
		select {
		case <-s.ctrl.ready.c:
		case <-s.out.ready.c:
		case <-join.C:
		case <-s.stop:
			return true
		}
	}
}

// never is a wait that only a bell ends.
const never = time.Hour

// sendDue sends what is due, one message at most, and says how long nothing else
// will be; 0 means to look again. It is false when the socket broke. It looks at
// the output before it looks at the frames: hello is pushed before any output
// is, so who sees output sees hello.
func (s *session) sendDue() (wait time.Duration, ok bool) {
	s.turn.Lock()
	defer s.turn.Unlock()
	wait = s.due()
	if f := s.ctrl.next(); f != nil {
		return 0, s.send(false, f)
	}
	if s.ctrl.takePing() {
		return 0, s.sent(s.conn.Ping)
	}
	if wait > 0 {
		return wait, true
	}
	return 0, s.sendOutput()
}

// due is how long the output may still wait to be joined with more: not at all
// when it is much, when somebody has just typed, or after a silence.
func (s *session) due() time.Duration {
	n, gapped := s.out.pending()
	switch {
	case gapped || n >= bigChunk:
		return 0
	case n == 0:
		return never
	case s.typed():
		return 0
	}
	return max(0, joinFor-time.Since(s.sentAt))
}

// typed reports whether somebody has just typed and so waits for an echo.
func (s *session) typed() bool {
	return s.clock.in.Load() != 0 && s.clock.since(&s.clock.in) < typedFor
}

// quickly sends an echo on the goroutine that read it, for the reason that
// direct has for a keystroke: nothing is before it, and the socket takes it at
// once. What a client says has arrived may be a lie; what its kernel says is not.
func (s *session) quickly() bool {
	if !s.v2 || !s.typed() || !s.turn.TryLock() {
		return false
	}
	defer s.turn.Unlock()
	if s.ctx.Err() != nil || !s.ctrl.begun() || !s.out.small(quickOutput, quickUnacked) || !s.conn.HasRoom() {
		return false
	}
	return s.sendOutput() && s.due() == never // what lies in two chunks is two messages
}

// sendOutput sends one gap or one message of output. The caller has the turn.
func (s *session) sendOutput() bool {
	g, p := s.out.next(bigChunk)
	switch {
	case g != nil:
		return s.send(false, encode(gapFrame{"gap", g.from, g.to, "interrupt"}))
	case p != nil:
		ok := s.send(true, p)
		s.echoed()
		s.out.release()
		s.sentAt = time.Now()
		return ok
	}
	return true
}

func (s *session) send(binary bool, p []byte) bool {
	return s.sent(func() error { return s.conn.Write(binary, p) })
}

// sent makes one write to the client, under the eyes of the timers.
func (s *session) sent(write func() error) bool {
	s.clock.touch(&s.clock.writing)
	err := write()
	s.clock.writing.Store(0)
	if err != nil {
		s.finish(endOf(ClientLost))
	}
	return err == nil
}

// flush sends what is left: frames (the hello of a command that ended at once
// among them), then the output of a command that ended. It gives up when the
// client takes nothing for flushLimit, and is false when it is gone.
func (s *session) flush() bool {
	if !s.flushFrames() {
		return false
	}
	idle := time.NewTimer(flushLimit)
	defer idle.Stop()
	for !s.out.empty() {
		if n, gapped := s.out.pending(); n > 0 || gapped {
			if !s.flushFrames() || !s.flushSome() {
				return false
			}
			idle.Reset(flushLimit)
			continue
		}
		select {
		case <-s.out.ready.c:
		case <-idle.C:
			return true
		}
	}
	return true
}

func (s *session) flushFrames() bool {
	s.turn.Lock()
	defer s.turn.Unlock()
	for f := s.ctrl.rest(); f != nil; f = s.ctrl.rest() {
		if !s.send(false, f) {
			return false
		}
	}
	return true
}

func (s *session) flushSome() bool {
	s.turn.Lock()
	defer s.turn.Unlock()
	return s.sendOutput()
}

// hurry closes the client's socket when a write at the end hangs.
func (s *session) hurry() {
	tick := time.NewTicker(keepTick)
	defer tick.Stop()
	for {
		select {
		case <-s.connDone:
			return
		case <-tick.C:
		}
		since := s.clock.writing.Load()
		if since != 0 && time.Duration(s.clock.now()-since) > partingLimit {
			s.conn.Abort()
			return
		}
	}
}
