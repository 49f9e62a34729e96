package sendq

import "golang.org/x/sys/unix"

// outq asks for the bytes that were sent and not yet acknowledged by the peer's
// kernel (tcp(7), SIOCOUTQ).
func (q *Queue) outq(fd uintptr) {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	q.n, q.known = n, err == nil
}

func keepShort(fd uintptr) error {
	err := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, Unsent)
	if err == unix.EOPNOTSUPP || err == unix.ENOPROTOOPT { //nolint:errorlint // bare from the kernel
		return nil // a socket, but none of TCP's
	}
	return err
}
