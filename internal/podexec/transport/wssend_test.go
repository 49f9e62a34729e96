package transport

import (
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/periscope-console/periscope/internal/sendq"
)

// stuck is a connection that takes nothing until it is closed.
type stuck struct {
	closed chan struct{}
	once   sync.Once
}

func (c *stuck) Read([]byte) (int, error) { <-c.closed; return 0, io.EOF }
func (c *stuck) Write([]byte) (int, error) {
	<-c.closed
	return 0, io.ErrClosedPipe
}
func (c *stuck) Close() error { c.once.Do(func() { close(c.closed) }); return nil }

// asked is a socket whose queue cannot be asked for; meanwhile something happens.
type asked struct {
	net.Conn
	meanwhile func()
}

func (a asked) SyscallConn() (syscall.RawConn, error) { return unasked{meanwhile: a.meanwhile}, nil }

type unasked struct {
	syscall.RawConn
	meanwhile func()
}

func (a unasked) Control(func(uintptr)) error {
	a.meanwhile()
	return syscall.EBADF
}

// TestAKeystrokeNeverWaits: a ping's answer that is left while a keystroke has
// the turn is not the keystroke's to send over a full connection.
func TestAKeystrokeNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &stuck{closed: make(chan struct{})}
		l := &link{body: conn}
		var ts tasks
		s := &sender{link: l, tasks: &ts}
		l.queue = sendq.Of(asked{meanwhile: func() { s.pong([]byte("p")) }})
		took := make(chan bool, 1)
		go func() { took <- s.tryMessage(0, []byte("k")) }()
		synctest.Wait()
		select {
		case ok := <-took:
			if ok {
				t.Error("a full connection took a keystroke")
			}
		default:
			t.Error("the keystroke waits")
		}
		if s.turn.TryLock() {
			t.Error("nobody sends the pong")
		}
		_ = conn.Close()
		ts.wait()
	})
}
