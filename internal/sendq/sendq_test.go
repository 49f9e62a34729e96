package sendq

import (
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// connect is a connection over the loopback, both ends.
func connect(t *testing.T) (c, peer net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if c, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if peer, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return c, peer
}

// TestRoom fills a socket whose peer reads nothing, and empties it again.
func TestRoom(t *testing.T) {
	c, peer := connect(t)
	q := Of(c)
	if runtime.GOOS != "linux" {
		t.Skip("only Linux is asked")
	}
	if !q.HasRoom() {
		t.Error("no room in a new connection")
	}
	const size = 64 << 20 // more than both kernels take
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = c.Write(make([]byte, size))
	}()
	for q.HasRoom() {
		runtime.Gosched()
	}
	if _, err := io.CopyN(io.Discard, peer, size); err != nil {
		t.Fatal(err)
	}
	<-written
	for !q.HasRoom() { // until the peer's kernel has acknowledged it
		runtime.Gosched()
	}
}

func TestWhatIsNoSocketHasNoRoom(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if Of(a).HasRoom() || (*Queue)(nil).HasRoom() {
		t.Error("room in nothing")
	}
}

// knowing is a connection that knows by itself.
type knowing struct {
	net.Conn
	room bool
}

func (k *knowing) HasRoom() bool { return k.room }

// wrapped tells what it stands on.
type wrapped struct{ net.Conn }

func (w wrapped) NetConn() net.Conn { return w.Conn }

func TestWhoKnowsItselfIsAsked(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	k := &knowing{Conn: a}
	q := Of(wrapped{tls.Client(k, nil)})
	for _, k.room = range []bool{false, true, false} {
		if q.HasRoom() != k.room {
			t.Errorf("it says %v", k.room)
		}
	}
}

// TestKeepShort: the socket below TLS has the option, and what is none is left
// alone.
func TestKeepShort(t *testing.T) {
	c, _ := connect(t)
	if err := KeepShort(tls.Client(c, nil)); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" && unsentOf(t, c) != Unsent {
		t.Errorf("%d", unsentOf(t, c))
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if err := KeepShort(a); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if err := KeepShort(u); err != nil {
		t.Error(err)
	}
}
