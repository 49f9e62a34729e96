// Package sendq tells how much of what was sent still waits in a socket, and can
// keep that little: a write that finds little there does not block, and what is
// written next does not wait behind much.
//
// It owns nothing and starts nothing. Where the system cannot be asked, or a
// connection is neither a socket nor one that knows by itself, the answer is that
// there may be no room, and nothing is kept little.
package sendq

import (
	"net"
	"syscall"
)

// Little is how much unsent output leaves room for a keystroke or its echo: a
// quarter of the least that kernels give a socket.
const Little = 4 << 10

// Queue is the send queue of one connection. It is for one goroutine at a time.
type Queue struct {
	own    roomy           // a connection that is no socket and knows by itself; nil elsewhere
	socket syscall.RawConn // nil where there is none
	ask    func(fd uintptr)
	n      int // what ask learnt
	known  bool
}

// roomy is a connection that says itself whether a small write would wait, such as
// a stream of many over one socket.
type roomy interface{ HasRoom() bool }

// Of is the queue of the socket under c, below TLS; or of what c is below TLS where
// that has a method HasRoom of its own.
func Of(c net.Conn) *Queue {
	q := &Queue{}
	if q.own = bottom[roomy](c); q.own == nil {
		q.socket = socketOf(c)
	}
	q.ask = q.outq // once: a method value for each question would allocate
	return q
}

// bottom is the first of c and what it stands on, as a *tls.Conn tells that, which
// is a T; the zero T where none is.
func bottom[T any](c net.Conn) (found T) {
	for c != nil {
		if is, ok := c.(T); ok {
			return is
		}
		over, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = over.NetConn()
	}
	return found
}

// socketOf is the socket under c, nil where there is none.
func socketOf(c net.Conn) syscall.RawConn {
	s := bottom[syscall.Conn](c)
	if s == nil {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// Unsent is how much KeepShort lets wait: one TLS record. At 20 Mbit/s it is
// gone in 7 ms.
const Unsent = 16 << 10

// KeepShort makes writes to the socket under c wait while more than Unsent bytes
// are not yet on their way (tcp(7), TCP_NOTSENT_LOWAT), instead of piling up
// megabytes in the kernel that the next keystroke would stand behind. It does
// nothing where there is no such socket or the system has no such option.
func KeepShort(c net.Conn) error {
	socket := socketOf(c)
	if socket == nil {
		return nil
	}
	var failed error
	if err := socket.Control(func(fd uintptr) { failed = keepShort(fd) }); err != nil {
		return err
	}
	return failed
}

// HasRoom reports whether no more than Little waits, or what a connection that knows
// by itself says.
func (q *Queue) HasRoom() bool {
	switch {
	case q == nil:
		return false
	case q.own != nil:
		return q.own.HasRoom()
	case q.socket == nil:
		return false
	}
	q.known = false
	return q.socket.Control(q.ask) == nil && q.known && q.n <= Little
}
