package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/sendq"
	"github.com/periscope-console/periscope/internal/wsframe"
)

const (
	// receiveBuffer bounds what the kernel takes in for a reader that pauses. A
	// flood in flight is what makes Ctrl-C slow.
	receiveBuffer = 128 << 10
	// beat is how often a ping goes out, and how often silence is looked at.
	beat = 10 * time.Second
	// deadBeats is how many beats a peer that is pinged at each may say nothing.
	deadBeats = 3
	// swallows is what a terminal's input queue takes at least. A server with
	// more stdin than that in hand may be waiting for a program that does not
	// read, and then answers no ping: its silence proves nothing.
	swallows = 4 << 10
)

// errWouldWait is what a conn told not to wait answers. It is a temporary
// net.Error, the one kind that crypto/tls passes on and can be read on after.
var errWouldWait net.Error = wouldWait{}

type wouldWait struct{}

func (wouldWait) Error() string   { return "transport: nothing has arrived" }
func (wouldWait) Timeout() bool   { return true }
func (wouldWait) Temporary() bool { return true }

// conn is the connection below TLS. TLS hands out one record a read, however
// many have arrived; while impatient the conn gives it nothing new, so
// that reading on until errWouldWait takes those records and never waits.
type conn struct {
	net.Conn
	impatient bool // belongs to whoever reads
}

func (c *conn) Read(p []byte) (int, error) {
	if c.impatient {
		return 0, errWouldWait
	}
	return c.Conn.Read(p)
}

// dialFunc is rest.Config's.
type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// bounded makes a dialer whose connections take in no more than receiveBuffer.
func bounded(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if b, ok := c.(interface{ SetReadBuffer(int) error }); ok && err == nil {
			// A kernel that refuses costs latency, not correctness.
			_ = b.SetReadBuffer(receiveBuffer)
		}
		return c, err
	}
}

// link is a connection taken over from HTTP after its 101. Read and Poll belong
// to one goroutine.
type link struct {
	body io.ReadWriteCloser
	conn *conn // nil where the rest.Config brought a Transport of its own
	beat time.Duration

	queue *sendq.Queue // of conn, nil where there is none; belongs to who has the sender's turn

	waiting atomic.Int64 // since when Read waits, in nanoseconds of clock; 0: it does not
	unread  atomic.Int64 // bytes of stdin sent since something arrived

	broken atomic.Pointer[error] // the first error of Read, or of who reads frames of it
}

var epoch = time.Now()

// clock is monotonic and never 0.
func clock() int64 { return int64(time.Since(epoch)) + 1 }

func (l *link) Read(p []byte) (int, error) {
	l.waiting.Store(clock())
	n, err := l.body.Read(p)
	l.waiting.Store(0)
	if n > 0 {
		l.unread.Store(0)
	}
	if err != nil {
		l.broken.CompareAndSwap(nil, &err)
	}
	return n, err
}

// why is what the way to the cluster said when it ended, or what came of it that is no
// SPDY, where that says more than err: client-go keeps none of it.
func (l *link) why(err error) error {
	broken := l.broken.Load()
	if broken == nil {
		return err
	}
	if _, nonsense := errors.AsType[spdyError](*broken); nonsense || fault.KindOf(*broken) == fault.AgentDisconnected {
		return *broken
	}
	return err
}

// Poll reads what has arrived in this process already.
func (l *link) Poll(p []byte) (int, error) {
	if l.conn == nil {
		return 0, wsframe.ErrWouldWait
	}
	l.conn.impatient = true
	n, err := l.body.Read(p)
	l.conn.impatient = false
	if errors.Is(err, errWouldWait) {
		err = wsframe.ErrWouldWait
	}
	return n, err
}

func (l *link) Write(p []byte) (int, error) { return l.body.Write(p) }

// empty reports whether the kernel holds so little of what was sent that a small
// write surely finds room.
func (l *link) empty() bool { return l.queue.HasRoom() }

// dead says whether the peer is gone: somebody waits for it, it was pinged again
// and again, and has no excuse. Nobody who pauses on purpose is in Read.
func (l *link) dead() bool {
	since := l.waiting.Load()
	return since != 0 && time.Duration(clock()-since) > deadBeats*l.beat && l.unread.Load() <= swallows
}

// Close says goodbye at the layers below, which can take seconds where the peer
// takes nothing in; abort does not.
func (l *link) Close() error { return l.body.Close() }

func (l *link) abort() error {
	if l.conn == nil {
		return l.body.Close()
	}
	return l.conn.Close()
}

// writeWithin bounds all writes from now on, where the connection can.
func (l *link) writeWithin(d time.Duration) {
	if l.conn != nil {
		_ = l.conn.SetWriteDeadline(time.Now().Add(d))
	}
}
