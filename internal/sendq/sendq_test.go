package sendq

import (
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// TestRoom fills a socket whose peer reads nothing, and empties it again.
func TestRoom(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
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
