// Package wsock is the server's end of a WebSocket (RFC 6455), message by
// message, without extensions.
//
// It owns the joining of a client's frames into messages of
// bounded size, the answers to pings, and the closing. It does not own what
// messages mean, who may connect (the caller has checked Origin and login), or
// when a silent peer is given up. An idle connection holds a few hundred bytes
// and no goroutine; a pong that finds the socket busy is sent by one that ends
// with it.
package wsock

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/periscope-console/periscope/internal/sendq"
	"github.com/periscope-console/periscope/internal/wsframe"
)

const (
	smallMessage = 512
	bigMessage   = 32 << 10
	// smallFrame is the largest payload that is copied to share one write with
	// its header where the socket could take both from where they are.
	smallFrame = 512
	// closeWait is how long Close waits for the peer's close frame.
	closeWait = 3 * time.Second
)

// ErrTooBig is a message over the limit. The connection can still be written
// and closed.
var ErrTooBig = errors.New("wsock: message over the limit")

// ErrClosed is what reads and writes return after Close.
var ErrClosed = errors.New("wsock: closed")

var bigMessages = sync.Pool{New: func() any { b := make([]byte, bigMessage); return &b }}

// frames are for connections that cannot gather header and payload themselves.
var frames = sync.Pool{New: func() any { b := make([]byte, 0, bigMessage+wsframe.MaxHeader); return &b }}

// Conn is one connection. Reads are for one goroutine; everything else may be
// called from any.
type Conn struct {
	nc    net.Conn
	limit int
	queue *sendq.Queue
	base  time.Time
	heard atomic.Int64 // when bytes last arrived, in nanoseconds since base

	reading sync.Mutex
	over    bool // Close reads now
	in      *wsframe.Reader
	pooled  *[]byte // what buf is, when it is not small
	buf     []byte
	small   [smallMessage]byte

	writing sync.Mutex
	closing bool // a close frame has been sent
	frame   [smallFrame + wsframe.MaxHeader]byte
	pieces  [2][]byte
	gather  net.Buffers

	pongs wsframe.Pongs
}

func newConn(nc net.Conn, early []byte, limit int) *Conn {
	c := &Conn{nc: nc, limit: limit, queue: sendq.Of(nc), base: time.Now()}
	c.buf = c.small[:]
	c.in = wsframe.NewClientReader(&source{c, early}, c.control)
	return c
}

// source is the connection, after what had been read with the request.
type source struct {
	c     *Conn
	early []byte
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.early) > 0 {
		n := copy(p, s.early)
		s.early = s.early[n:]
		return n, nil
	}
	n, err := s.c.nc.Read(p)
	if n > 0 {
		s.c.heard.Store(int64(time.Since(s.c.base)))
	}
	return n, err
}

// Poll is never asked: messages are waited for.
func (s *source) Poll([]byte) (int, error) { return 0, wsframe.ErrWouldWait }

// Silence is how long nothing at all has come from the peer.
func (c *Conn) Silence() time.Duration {
	return time.Since(c.base) - time.Duration(c.heard.Load())
}

// Read returns the next message, valid until the next Read. The peer's close
// frame is a *wsframe.CloseError, a broken rule a wsframe.ProtocolError; after
// ErrTooBig and after these the connection can still be written and closed.
func (c *Conn) Read() (binary bool, p []byte, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.over {
		return false, nil, ErrClosed
	}
	c.shrink()
	for n := 0; ; {
		m, end, err := c.in.Read(c.buf[n:], true)
		n += m
		switch {
		case err != nil:
			return false, nil, err
		case n > c.limit:
			return false, nil, ErrTooBig
		case end:
			return c.message(c.buf[:n])
		case n == len(c.buf):
			c.grow()
		}
	}
}

func (c *Conn) message(p []byte) (bool, []byte, error) {
	if c.in.Kind() == wsframe.Binary {
		return true, p, nil
	}
	if !utf8.Valid(p) {
		return false, nil, wsframe.ProtocolError("text that is not UTF-8")
	}
	return false, p, nil
}

// grow doubles the message's buffer; one byte over the limit is enough to know.
func (c *Conn) grow() {
	var bigger []byte
	if c.pooled == nil {
		c.pooled = bigMessages.Get().(*[]byte)
		bigger = *c.pooled
	} else {
		bigger = make([]byte, min(2*len(c.buf), c.limit+1))
	}
	copy(bigger, c.buf)
	c.buf = bigger
}

// shrink gives a big message's buffer back: a connection that waits holds none.
func (c *Conn) shrink() {
	if c.pooled != nil {
		bigMessages.Put(c.pooled)
		c.pooled = nil
	}
	c.buf = c.small[:]
}

// Write sends p as one message, in one write where the socket takes it. p may be
// reused afterwards. It may block for as long as the peer takes nothing.
func (c *Conn) Write(binary bool, p []byte) error {
	op := wsframe.Text
	if binary {
		op = wsframe.Binary
	}
	return c.send(op, p)
}

// HasRoom reports whether a small Write surely does not block. It is for whoever
// alone may Write.
func (c *Conn) HasRoom() bool { return c.queue.HasRoom() }

// Ping sends a ping. Its pong breaks the Silence, as anything that comes does.
func (c *Conn) Ping() error { return c.send(wsframe.Ping, nil) }

func (c *Conn) send(op wsframe.Opcode, p []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.closing {
		return ErrClosed
	}
	c.closing = op == wsframe.Close
	return c.put(op, p)
}

// put writes one frame. The caller holds writing.
func (c *Conn) put(op wsframe.Opcode, p []byte) error {
	head := wsframe.AppendHeader(c.frame[:0], op, len(p))
	if len(p) <= smallFrame {
		_, err := c.nc.Write(append(head, p...))
		return err
	}
	if _, gathers := c.nc.(*net.TCPConn); gathers {
		c.pieces = [2][]byte{head, p}
		c.gather = c.pieces[:]
		_, err := c.gather.WriteTo(c.nc)
		c.pieces = [2][]byte{} // p is the caller's again
		return err
	}
	whole := frames.Get().(*[]byte)
	defer frames.Put(whole)
	*whole = append(append((*whole)[:0], head...), p...)
	_, err := c.nc.Write(*whole)
	return err
}

// control is called in the middle of a Read.
func (c *Conn) control(op wsframe.Opcode, payload []byte) { c.pongs.Heard(op, payload, c.sendPong) }

// sendPong answers the newest ping. What the peer will not take ends with the
// connection.
func (c *Conn) sendPong() {
	c.writing.Lock()
	defer c.writing.Unlock()
	var mem [wsframe.MaxControl]byte
	if p := c.pongs.Take(mem[:0]); !c.closing {
		_ = c.put(wsframe.Pong, p) // a broken connection shows in Read
	}
}

// Close sends a close frame, waits for the peer's for at most a few seconds, and
// closes. A Read under way ends. It reports whether the peer has answered with the
// same code (RFC 6455, section 5.5.1), and so has everything that was sent before.
func (c *Conn) Close(code int, reason string) (answered bool) {
	defer c.Abort()
	_ = c.nc.SetDeadline(time.Now().Add(closeWait))
	p := binary.BigEndian.AppendUint16(make([]byte, 0, wsframe.MaxControl), uint16(code))
	p = append(p, reason[:min(len(reason), wsframe.MaxControl-2)]...)
	if c.send(wsframe.Close, p) != nil {
		return false
	}
	var theirs *wsframe.CloseError
	return errors.As(c.drain(), &theirs) && int(theirs.Code) == code
}

// drain takes what the peer still sends, until it closes: closing a socket with
// unread bytes would reset it, and the peer might lose the last words. The last
// message that Read returned may still be in use.
func (c *Conn) drain() error {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.over = true
	var scrap [smallMessage]byte
	for {
		if _, _, err := c.in.Read(scrap[:], true); err != nil {
			return err
		}
	}
}

// Abort closes at once, without a word.
func (c *Conn) Abort() {
	nc := c.nc
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn() // TLS would wait to say goodbye
	}
	_ = nc.Close()
}
