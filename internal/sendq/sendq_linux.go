package sendq

import "golang.org/x/sys/unix"

// outq asks for the bytes that were sent and not yet acknowledged by the peer's
// kernel (tcp(7), SIOCOUTQ).
func (q *Queue) outq(fd uintptr) {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	q.n, q.known = n, err == nil
}
