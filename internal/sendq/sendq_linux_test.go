package sendq

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// unsentOf reads the option back.
func unsentOf(t *testing.T, c net.Conn) (n int) {
	t.Helper()
	err := socketOf(c).Control(func(fd uintptr) {
		n, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
