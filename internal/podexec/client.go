package podexec

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
)

const (
	// plainStdin is how much stdin of a plain client may wait before its socket
	// is not read any more.
	plainStdin = 1 << 20
	// handOver is how long a client may go on with what it is being sent when
	// another takes its place.
	handOver = 100 * time.Millisecond
)

// client is one connection to a session. A session has one at a time; one that
// waits for somebody to come back outlives them. Its goroutines:
//
//	read   client → input, acknowledgements, control
//	write  output and control → client, and the last words (deliver.go)
type client struct {
	s         *session
	conn      Conn
	requestID string // of the request that brought it
	ctrl      *control

	turn   sync.Mutex // held by whoever writes to conn
	sentAt time.Time  // the last output; guarded by turn

	// By the session's clock.
	excused  atomic.Int64 // until when its silence does not count
	pinged   atomic.Int64 // last ping to it
	writing  atomic.Int64 // since when a write to it waits; 0: none does
	paused   atomic.Int64 // not 0: its socket is not read, on purpose
	warnedOf atomic.Int64 // the silence that it was last warned of; see clock.silence

	greeted atomic.Bool // hello is among its frames

	over     chan struct{} // closed when the session goes on without it
	overOnce sync.Once
	why      parting       // valid once over is closed
	quiet    chan struct{} // closed when write waits for output no more
}

// parting is why a session goes on without a client.
type parting string

const (
	lost      parting = "lost"
	left      parting = "detached" // by its own wish
	takenOver parting = "taken_over"
)

func newClient(s *session, conn Conn, requestID string) *client {
	return &client{s: s, conn: conn, requestID: requestID, ctrl: newControl(), over: make(chan struct{}), quiet: make(chan struct{})}
}

// run is the life of the client.
func (c *client) run() {
	var reading sync.WaitGroup
	reading.Go(c.read)
	told := c.write()
	reading.Wait()
	c.s.vacate(c, told)
}

// leave has the session go on without the client; the first reason counts.
func (c *client) leave(why parting) {
	c.overOnce.Do(func() {
		c.why = why
		close(c.over)
	})
}

func (c *client) isOver() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

// lose is the loss of the client. It does not block. A session that cannot wait
// for it ends, unless it goes on without it already.
func (c *client) lose(reason Reason) {
	switch {
	case c.s.ctx.Err() != nil, c.isOver(): // the last words are on their way, or cannot be
	case c.s.waits():
		c.leave(lost)
		c.conn.Abort()
	default:
		c.s.finish(endOf(reason))
	}
}

// retire takes its place from a client, and returns when it is sent no output any
// more, nor hears the bell of it. Its last words may still be to come.
func (c *client) retire() {
	c.leave(takenOver)
	defer time.AfterFunc(handOver, c.conn.Abort).Stop()
	<-c.quiet
	c.turn.Lock()
	defer c.turn.Unlock()
}

// read takes everything the client sends until its socket is closed. It goes on
// after the end was chosen: acknowledgements of the last output still count.
func (c *client) read() {
	for { // write closes the socket, which ends this
		binary, data, err := c.conn.Read()
		if err != nil {
			c.unread(err)
			return
		}
		if !c.take(binary, data) {
			return
		}
	}
}

// unread is the loss of a client that cannot be read on, or its mistake.
func (c *client) unread(err error) {
	if sentence := mistake(err); sentence != "" {
		c.protocol(sentence)
		return
	}
	c.lose(ClientLost)
}

func (c *client) protocol(sentence string) {
	if !c.isOver() {
		c.s.finish(refusal(fault.New(fault.Protocol, "podexec.read", "%s", sentence)))
	}
}

// take is false when nothing more is to be read.
func (c *client) take(binary bool, data []byte) bool {
	return c.takeSeated(binary, data) && (c.s.v2 || c.holdStdin())
}

// takeSeated takes one message, unless another client has the seat.
func (c *client) takeSeated(binary bool, data []byte) bool {
	s := c.s
	s.seat.Lock()
	defer s.seat.Unlock()
	if s.at.Load() != c {
		return false
	}
	s.confirm(c)
	switch {
	case !binary:
		return c.takeFrame(data)
	case len(data) == 0 || s.ctx.Err() != nil:
		return true // nothing was typed, or to nobody
	}
	return c.takeStdin(data)
}

func (c *client) takeStdin(p []byte) bool {
	s := c.s
	s.clock.awaitEcho(len(p))
	s.tookStdin(p)
	if c.direct(p) {
		return true
	}
	if _, limit := s.windows(); !s.in.push(p, limit) {
		c.protocol("More stdin came than the window allows. Wait for stdin_ack before sending more.")
		return false
	}
	return true
}

// direct hands stdin to the container on this goroutine where nothing is before
// it and the stream takes it at once: for a keystroke the hand-over to feed is
// most of what a session costs.
func (c *client) direct(p []byte) bool {
	s := c.s
	if !s.carrying.Load() || !s.in.idle() || !s.stream.TryWrite(p) {
		return false
	}
	s.countStdin(p)
	s.handed(p, s.in.passed(len(p)))
	return true
}

// holdStdin stops the reading of a plain client's socket while too much of its
// stdin waits for the program.
func (c *client) holdStdin() bool {
	if c.s.in.waiting() <= plainStdin {
		return true
	}
	c.paused.Store(1)
	defer c.paused.Store(0)
	defer c.s.clock.touch(&c.excused)
	for c.s.in.waiting() > plainStdin {
		if !c.s.await(c.s.in.room) {
			return false
		}
	}
	return true
}

func (c *client) takeFrame(data []byte) bool {
	f, err := parseClientFrame(data)
	if err != nil {
		c.protocol("A text frame was not understood: " + err.Error() + ".")
		return false
	}
	switch {
	case f.Type == "close":
		c.s.finish(endOf(ClientClose))
	case f.Type == "resize":
		c.resize(f)
	case !c.s.v2:
		c.protocol("Frame " + f.Type + " belongs to " + Protocol + ". Ask for that subprotocol to use it.")
		return false
	default:
		return c.takeV2(f)
	}
	return true
}

func (c *client) takeV2(f clientFrame) bool {
	switch f.Type {
	case "ack":
		if f.Offset == nil || !c.s.out.ack(*f.Offset) {
			c.protocol("An acknowledgement names bytes that were never sent. Acknowledge what has arrived.")
			return false
		}
	case "eof":
		c.s.in.closeWrite()
	case "ping":
		c.ctrl.pong(f.ID)
	case "stay":
		c.stay()
	case "detach":
		c.detach()
		return false
	default:
		c.protocol("Frame " + f.Type + " can only be the first one.")
		return false
	}
	return true
}

// detach leaves the session alone; one that waits for nobody ends.
func (c *client) detach() {
	if c.s.waits() {
		c.leave(left)
		return
	}
	c.s.finish(endOf(ClientClose))
}

func (c *client) resize(f clientFrame) {
	size, err := f.size()
	if err != nil {
		c.ctrl.push(encode(errorOf(fault.Wrap(err, fault.Invalid, "podexec.resize",
			"The new size was not taken: %v.", err), c.requestID)))
		return
	}
	c.s.size.set(size)
}
