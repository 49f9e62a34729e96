// Package sendq tells how much of what was sent still waits in a socket, and can
// keep that little: a write that finds little there does not block, and what is
// written next does not wait behind much.
//
// It owns nothing and starts nothing. Where the system cannot be asked, or a
// connection is no socket, the answer is that there may be no room, and nothing
// is kept little.
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
	socket syscall.RawConn // nil where there is none
	ask    func(fd uintptr)
	n      int // what ask learnt
	known  bool
}

// Of is the queue of the socket under c, below TLS.
func Of(c net.Conn) *Queue {
	q := &Queue{socket: socketOf(c)}
	q.ask = q.outq // once: a method value for each question would allocate
	return q
}

// socketOf is the socket under c, below TLS and whatever else tells what it
// stands on as a *tls.Conn does. It is nil where there is none.
func socketOf(c net.Conn) syscall.RawConn {
	for {
		over, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = over.NetConn()
	}
	s, ok := c.(syscall.Conn)
	if !ok {
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

// HasRoom reports whether no more than Little waits.
func (q *Queue) HasRoom() bool {
	if q == nil || q.socket == nil {
		return false
	}
	q.known = false
	return q.socket.Control(q.ask) == nil && q.known && q.n <= Little
}
