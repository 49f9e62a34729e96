package node

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// lingerFor is how long the other side may take to close a connection that this
// side is done with.
const lingerFor = 2 * time.Second

// lingerer accepts connections that are closed in good order. The kernel resets one
// that is closed while something has not been read from it, such as a terminal's
// size that came just as its command had ended; and whatever had not left by then,
// the command's last words and its status among it, is lost.
type lingerer struct{ net.Listener }

func (l lingerer) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &lingering{TCPConn: tcp}, err
	}
	return c, err
}

// lingering is a connection that is read on after its Close, for nobody, until the
// other side closes it too.
type lingering struct {
	*net.TCPConn
	reading sync.Mutex // held by whoever reads
	closed  atomic.Bool
}

func (c *lingering) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	n, err := c.TCPConn.Read(p)
	if err != nil && c.closed.Load() {
		err = net.ErrClosed
	}
	return n, err
}

// Close does not wait. What comes after it has lingerFor.
func (c *lingering) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	err := c.CloseWrite()
	if err != nil { // the other side is gone
		c.TCPConn.Close()
		return err
	}
	c.TCPConn.SetReadDeadline(time.Now()) // ends a Read under way
	go c.linger()
	return nil
}

func (c *lingering) linger() {
	c.reading.Lock()
	defer c.reading.Unlock()
	defer c.TCPConn.Close()
	c.TCPConn.SetReadDeadline(time.Now().Add(lingerFor))
	io.Copy(io.Discard, c.TCPConn)
}

// SetReadDeadline and SetDeadline are for connections that somebody still uses.
func (c *lingering) SetReadDeadline(t time.Time) error {
	if c.closed.Load() {
		return net.ErrClosed
	}
	return c.TCPConn.SetReadDeadline(t)
}

func (c *lingering) SetDeadline(t time.Time) error {
	if c.closed.Load() {
		return net.ErrClosed
	}
	return c.TCPConn.SetDeadline(t)
}
