package line

import (
	"net"
	"testing"

	"golang.org/x/net/nettest"
)

// TestAsAnyConnection: what every net.Conn of the standard library is held against.
func TestAsAnyConnection(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		w := newWorld(t)
		a, b := w.line("one")
		return a, b, func() {
			a.Close()
			b.Close()
		}, nil
	})
}

func TestBothWays(t *testing.T) {
	w := newWorld(t)
	a, b := w.line("one")
	exchange(t, a, b, 8<<20, 200<<10)
	if s := a.Status(); s.State != Connected || s.Cuts != 0 || s.Replayed != 0 || s.Sent != 8<<20 || s.Received != 8<<20 {
		t.Errorf("%+v", s)
	}
}
