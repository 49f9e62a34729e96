// Package sendq tells how much of what was sent still waits in a socket: a write
// that finds little there does not block.
//
// It owns nothing and starts nothing. Where the system cannot be asked, or a
// connection is no socket, the answer is that there may be no room.
package sendq

import (
	"crypto/tls"
	"net"
	"syscall"
)

// Little is how much unsent output leaves room for a keystroke or its echo: a
// quarter of the least that kernels give a socket.
const Little = 4 << 10

// Queue is the send queue of one connection. It is for one goroutine at a time.
type Queue struct {
	socket syscall.RawConn // nil where there is none
	ask    func(fd uintptr)
	n      int // what ask learnt
	known  bool
}

// Of is the queue of the socket under c, below TLS.
func Of(c net.Conn) *Queue {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	q := &Queue{}
	q.ask = q.outq // once: a method value for each question would allocate
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			q.socket = raw
		}
	}
	return q
}

// HasRoom reports whether no more than Little waits.
func (q *Queue) HasRoom() bool {
	if q == nil || q.socket == nil {
		return false
	}
	q.known = false
	return q.socket.Control(q.ask) == nil && q.known && q.n <= Little
}
