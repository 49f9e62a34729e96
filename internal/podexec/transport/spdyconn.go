package transport

import (
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/spdystream"
	"k8s.io/streaming/pkg/httpstream"
)

const (
	// replyTimeout is how long a server may take to accept one stream.
	replyTimeout = 30 * time.Second
	// replyLook is how often the wait for it looks whether anybody is there.
	replyLook = 100 * time.Millisecond
)

// spdyConn is one SPDY connection as client-go's executor wants it. The one that
// comes with Kubernetes waits half a minute for streams of a connection that is
// gone, and keeps goroutines for ever if it went at the wrong moment.
type spdyConn struct {
	conn    *spdystream.Connection
	guard   *spdyGuard
	served  chan struct{} // closed when no more frames will be handled
	pinging atomic.Bool

	mu      sync.Mutex
	streams []*spdystream.Stream
	closed  bool
}

var (
	errGone  = errors.New("the connection ended before it had a stream")
	errReply = errors.New("the server did not accept a stream in time")
)

// newSPDYConn serves the connection in a task of ts, until it is gone.
func newSPDYConn(l *link, ts *tasks) (*spdyConn, error) {
	guard := &spdyGuard{link: l}
	conn, err := spdystream.NewConnectionWithOptions(linkConn{l, guard}, false, spdyHeaders...)
	if err != nil {
		return nil, err
	}
	if !ts.enter() {
		return nil, errClosed
	}
	c := &spdyConn{conn: conn, guard: guard, served: make(chan struct{})}
	go func() {
		defer ts.leave()
		defer close(c.served)
		conn.Serve(refuse)
	}()
	return c, nil
}

// refuse is for streams that a server opens. None does, and the guard lets none in.
func refuse(s *spdystream.Stream) { _ = s.Refuse() }

// CreateStream opens a stream and waits until the server has accepted it.
func (c *spdyConn) CreateStream(h http.Header) (httpstream.Stream, error) {
	s, err := c.conn.CreateStream(h, nil, false)
	if err == nil {
		err = c.accepted(s)
	}
	if err == nil {
		err = c.register(s)
	}
	if err == nil {
		return s, nil
	}
	if s != nil {
		_ = s.Reset() // else the connection waits for its end
	}
	return nil, err
}

func (c *spdyConn) register(s *spdystream.Stream) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errGone
	}
	c.streams = append(c.streams, s)
	return nil
}

func (c *spdyConn) accepted(s *spdystream.Stream) error {
	for range replyTimeout / replyLook {
		err := s.WaitTimeout(replyLook)
		if !errors.Is(err, spdystream.ErrTimeout) {
			return err
		}
		select {
		case <-c.served: // and not before: a reset that is still queued wants to be told
			return errGone
		default:
		}
	}
	return errReply
}

// ping asks for a sign of life, unless the last one is still owed. It does not
// wait; ts has the goroutine that does.
func (c *spdyConn) ping(ts *tasks) {
	if c.pinging.Swap(true) {
		return
	}
	if !ts.enter() {
		return
	}
	go func() {
		defer ts.leave()
		defer c.pinging.Store(false)
		c.guard.owe()
		_, _ = c.conn.Ping() // the answer's arrival is what counts
	}()
}

// Close resets all streams, so that nothing of the connection waits for them.
func (c *spdyConn) Close() error {
	c.mu.Lock()
	streams := c.streams
	c.streams, c.closed = nil, true
	c.mu.Unlock()
	for _, s := range streams {
		_ = s.Reset()
	}
	return c.conn.Close()
}

func (c *spdyConn) CloseChan() <-chan bool { return c.conn.CloseChan() }

func (c *spdyConn) SetIdleTimeout(d time.Duration) { c.conn.SetIdleTimeout(d) }

func (c *spdyConn) RemoveStreams(gone ...httpstream.Stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams = slices.DeleteFunc(c.streams, func(s *spdystream.Stream) bool {
		return slices.ContainsFunc(gone, func(g httpstream.Stream) bool { return g.Identifier() == s.Identifier() })
	})
}
