// Package carrier is one WebSocket as a net.Conn, both ends: binary messages are
// a stream of bytes whose boundaries mean nothing.
//
// It owns the framing, the answers to pings and the close frame. It does not own
// who may connect, when a silent peer is given up, or what the bytes mean; the
// client's certificate is in ConnectionState. It keeps no goroutine: a pong is sent
// by one that ends with it. A carrier holds 4 KiB of what it has read, and 64 KiB
// of what it writes while it writes; both ways the bytes are copied once at most,
// which is where they are masked.
//
// Deadlines are those of the socket. A Read goes on after one that has passed; a
// Write that one has cut short leaves half a frame behind, and ends the carrier.
package carrier

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/periscope-console/periscope/internal/wsframe"
)

const (
	// frameSize is the largest payload of a frame that is sent.
	frameSize = 64 << 10
	// maxLead bounds what WriteLead puts before the bytes.
	maxLead = 64
	// readAhead is small: what fills more than it goes past it, and TLS has a
	// buffer of its own.
	readAhead = 4 << 10
	// lastWords bounds the close frame and the wait for the peer's.
	lastWords = time.Second
)

var frames = sync.Pool{New: func() any { b := make([]byte, 0, wsframe.MaxHeader+frameSize); return &b }}

// Conn is one WebSocket. It is a net.Conn.
type Conn struct {
	raw    net.Conn // below TLS, so that closing it waits for nobody
	stream io.ReadWriter
	client bool
	tls    *tls.ConnectionState
	done   atomic.Bool // Close or Abort

	reading sync.Mutex
	in      *wsframe.Reader

	writing sync.Mutex
	closing bool  // a close frame has been sent
	broken  error // why nothing more can be written

	pongs wsframe.Pongs
}

var _ net.Conn = (*Conn)(nil)

func newConn(raw net.Conn, stream io.ReadWriter, early []byte, client bool) *Conn {
	c := &Conn{raw: raw, stream: stream, client: client}
	c.in = wsframe.NewStreamReader(&source{stream, early}, c.control, !client, readAhead)
	return c
}

// Accept answers an opening handshake and takes the connection over. After a
// wsframe.RequestError nothing has been answered; any other error says that the
// connection is gone. The server's read and write timeouts no longer hold.
func Accept(w http.ResponseWriter, r *http.Request) (*Conn, error) {
	nc, early, err := wsframe.Upgrade(w, r, "")
	if err != nil {
		return nil, err
	}
	raw := nc
	if t, ok := nc.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	c := newConn(raw, nc, early, false)
	c.tls = r.TLS
	return c, nil
}

// source is the connection, after what had been read with the request.
type source struct {
	stream io.Reader
	early  []byte
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.early) > 0 {
		n := copy(p, s.early)
		s.early = s.early[n:]
		return n, nil
	}
	return s.stream.Read(p)
}

// Poll is never asked: bytes are waited for.
func (*source) Poll([]byte) (int, error) { return 0, wsframe.ErrWouldWait }

// Read returns what has arrived, and pings are answered meanwhile. After a normal
// close frame it is io.EOF, after any other a *wsframe.CloseError; an end without
// one is io.ErrUnexpectedEOF, a broken rule a wsframe.ProtocolError.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.reading.Lock()
	defer c.reading.Unlock()
	for {
		n, _, err := c.in.Read(p, true)
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, c.why(err)
		}
	}
}

func (c *Conn) why(err error) error {
	var closed *wsframe.CloseError
	switch {
	case c.done.Load():
		return net.ErrClosed
	case errors.As(err, &closed) && closed.Code == wsframe.CloseNormal:
		return io.EOF
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}

// Write sends p in frames of at most 64 KiB.
func (c *Conn) Write(p []byte) (int, error) { return c.WriteLead(nil, p) }

// WriteLead sends lead, of at most 64 bytes, and p as if they were one, in one
// frame where they fit. It counts p alone.
func (c *Conn) WriteLead(lead, p []byte) (n int, err error) {
	if len(lead) > maxLead {
		return 0, fmt.Errorf("carrier: %d bytes before a write, at most %d fit", len(lead), maxLead)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	for first := true; first || n < len(p); first = false {
		piece := p[n:min(len(p), n+frameSize-len(lead))]
		if len(lead)+len(piece) == 0 {
			return 0, nil
		}
		if err := c.send(wsframe.Binary, lead, piece); err != nil {
			return n, err
		}
		n, lead = n+len(piece), nil
	}
	return n, nil
}

// send writes one frame. The caller holds writing.
func (c *Conn) send(op wsframe.Opcode, lead, p []byte) error {
	switch {
	case c.done.Load() || c.closing:
		return net.ErrClosed
	case c.broken != nil:
		return c.broken
	}
	c.closing = op == wsframe.Close
	whole := frames.Get().(*[]byte)
	defer frames.Put(whole)
	if c.client {
		*whole = wsframe.Append((*whole)[:0], op, lead, p)
	} else {
		*whole = wsframe.AppendHeader((*whole)[:0], op, len(lead)+len(p))
		*whole = append(append(*whole, lead...), p...)
	}
	if _, err := c.stream.Write(*whole); err != nil {
		return c.breakOff(err)
	}
	return nil
}

// breakOff ends both directions after a write that may have left half a frame.
func (c *Conn) breakOff(err error) error {
	c.broken = err
	if c.done.Load() {
		err = net.ErrClosed
	}
	_ = c.raw.Close()
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
	_ = c.send(wsframe.Pong, nil, c.pongs.Take(mem[:0])) // a broken connection shows in Read
}

// Close says goodbye with a normal close frame, if the socket takes it at once,
// and closes.
func (c *Conn) Close() error { return c.closeWith(wsframe.CloseNormal, "", false) }

// CloseWith closes with a code of RFC 6455, section 7.4, and a reason in UTF-8, of
// which at most 123 bytes are sent. So that the peer gets them, what it still sends
// is read for at most a second.
func (c *Conn) CloseWith(code uint16, reason string) error { return c.closeWith(code, reason, true) }

func (c *Conn) closeWith(code uint16, reason string, wait bool) error {
	if !c.writing.TryLock() {
		return c.Abort() // somebody writes, and nothing fits into the middle of a frame
	}
	_ = c.raw.SetDeadline(time.Now().Add(lastWords))
	reason = strings.ToValidUTF8(reason[:min(len(reason), wsframe.MaxControl-2)], "")
	err := c.send(wsframe.Close, nil, append(binary.BigEndian.AppendUint16(nil, code), reason...))
	c.writing.Unlock()
	if wait && err == nil {
		c.drain()
	}
	return c.Abort()
}

// drain takes what the peer still sends, until it closes: closing a socket with
// unread bytes would reset it, and the peer might lose the last words.
func (c *Conn) drain() {
	c.reading.Lock()
	defer c.reading.Unlock()
	var scrap [512]byte
	for {
		if _, _, err := c.in.Read(scrap[:], true); err != nil {
			return
		}
	}
}

// Abort closes at once, without a word.
func (c *Conn) Abort() error {
	if c.done.Swap(true) {
		return net.ErrClosed
	}
	if err := c.raw.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// NetConn is the socket below TLS, for its options.
func (c *Conn) NetConn() net.Conn { return c.raw }

// ConnectionState is that of TLS, nil without.
func (c *Conn) ConnectionState() *tls.ConnectionState { return c.tls }

// LocalAddr is the socket's.
func (c *Conn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// RemoteAddr is the socket's.
func (c *Conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error { return c.raw.SetDeadline(t) }

// SetReadDeadline bounds Read, the one under way too, by os.ErrDeadlineExceeded.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.raw.SetReadDeadline(t) }

// SetWriteDeadline bounds Write in the same way, which ends the carrier.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.raw.SetWriteDeadline(t) }
