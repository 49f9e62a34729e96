package podexec

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/podexec/transport"
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
	ack   int64
	acked int64
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

func (c *control) stdinAck(offset int64) {
	c.mu.Lock()
	c.ack = offset
	c.mu.Unlock()
	c.ready.ring()
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
		f := c.queue[0]
		c.queue = c.queue[1:]
		return f
	case c.ack > c.acked:
		c.acked = c.ack
		return encode(stdinAck{"stdin_ack", c.ack})
	case len(c.pongs) > 0:
		f := c.pongs[0]
		c.pongs = c.pongs[1:]
		return f
	}
	return nil
}

// read takes everything the client sends until its socket is closed. It goes on
// after the end was chosen: acknowledgements of the last output still count.
func (s *session) read() {
	ctx := context.Background() // write closes the socket, which ends this
	for {
		binary, data, err := s.conn.Read(ctx)
		if errors.Is(err, ErrTooBig) {
			s.protocol("A message is over the limit of 1 MiB. Send it in smaller ones.")
			return
		}
		if err != nil {
			s.finish(endOf(ClientLost))
			return
		}
		s.clock.touch(&s.clock.seen)
		if !s.take(binary, data) {
			return
		}
	}
}

// take is false when nothing more is to be read.
func (s *session) take(binary bool, data []byte) bool {
	if binary {
		return s.takeStdin(data)
	}
	return s.takeFrame(data)
}

func (s *session) protocol(sentence string) {
	s.finish(refusal(fault.New(fault.Protocol, "podexec.read", "%s", sentence)))
}

func (s *session) takeStdin(p []byte) bool {
	s.clock.touch(&s.clock.in)
	if s.Active != nil {
		s.Active()
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

// holdStdin stops the reading of a plain client's socket while too much of its
// stdin waits for the program.
func (s *session) holdStdin() bool {
	if s.in.waiting() <= plainStdin {
		return true
	}
	s.clock.paused.Store(1)
	defer s.clock.paused.Store(0)
	defer s.clock.touch(&s.clock.seen)
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
	ctx := context.Background() // hurry closes the socket where a write hangs
	ok := s.writeUntilStop(ctx)
	<-s.stop
	if ok && s.end.reason != ClientLost && s.flush(ctx) {
		part(s.conn, s.end, s.RequestID)
		return
	}
	s.conn.Abort()
}

// writeUntilStop is false when the socket broke.
func (s *session) writeUntilStop(ctx context.Context) bool {
	var last time.Time
	join := time.NewTimer(joinFor)
	defer join.Stop()
	for {
		if f := s.ctrl.next(); f != nil {
			if !s.send(ctx, false, f) {
				return false
			}
			continue
		}
		if wait := s.due(last); wait == 0 {
			if !s.sendOutput(ctx) {
				return false
			}
			last = time.Now()
			continue
		} else {
			join.Reset(wait)
		}
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

// due is how long the output may still wait to be joined with more: not at all
// when it is much, when somebody has just typed, or after a silence.
func (s *session) due(last time.Time) time.Duration {
	n, gapped := s.out.pending()
	switch {
	case gapped || n >= bigChunk:
		return 0
	case n == 0:
		return never
	case s.clock.in.Load() != 0 && s.clock.since(&s.clock.in) < typedFor:
		return 0
	}
	return max(0, joinFor-time.Since(last))
}

// sendOutput sends one gap or one message of output.
func (s *session) sendOutput(ctx context.Context) bool {
	g, p := s.out.next(bigChunk)
	switch {
	case g != nil:
		return s.send(ctx, false, encode(gapFrame{"gap", g.from, g.to, "interrupt"}))
	case p != nil:
		ok := s.send(ctx, true, p)
		s.out.release()
		return ok
	}
	return true
}

func (s *session) send(ctx context.Context, binary bool, p []byte) bool {
	s.clock.touch(&s.clock.writing)
	err := s.conn.Write(ctx, binary, p)
	s.clock.writing.Store(0)
	if err != nil {
		s.finish(endOf(ClientLost))
	}
	return err == nil
}

// flush sends what is left of the output of a command that ended. It gives up
// when the client takes nothing for flushLimit, and is false when it is gone.
func (s *session) flush(ctx context.Context) bool {
	idle := time.NewTimer(flushLimit)
	defer idle.Stop()
	for !s.out.empty() {
		if n, gapped := s.out.pending(); n > 0 || gapped {
			if !s.sendOutput(ctx) {
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
