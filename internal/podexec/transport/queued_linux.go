package transport

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// socketOf is the socket under a connection, nil where there is none.
func socketOf(c *conn) syscall.RawConn {
	if c == nil {
		return nil
	}
	s, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// askQueued asks for the bytes that were sent and not yet acknowledged by the
// peer's kernel (tcp(7), SIOCOUTQ).
func (l *link) askQueued(fd uintptr) {
	if n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
		l.queued = n
	}
}
