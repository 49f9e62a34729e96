package badnet

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// echo is a server that sends back what it gets, and the end of it.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn)
}

func start(t *testing.T) (*Proxy, *net.TCPConn) {
	p := Start(t, echo(t))
	return p, dial(t, p)
}

// ping sends one byte and waits for it.
func ping(t *testing.T, c net.Conn) {
	t.Helper()
	b := []byte{'x'}
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
}

func TestBytesPassWholeUnderEveryFault(t *testing.T) {
	for name, f := range map[string]Faults{
		"good": {}, "delay": {Delay: 20 * time.Millisecond}, "slice": {Slice: 1000},
		"rate": {Rate: 1 << 20}, "all": {Delay: time.Millisecond, Slice: 777, Rate: 2 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			p, c := start(t)
			p.SetAll(f)
			want := bytes.Repeat([]byte("0123456789abcdef"), 8<<10)
			go func() {
				_, _ = c.Write(want)
				_ = c.CloseWrite()
			}()
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, error %v", len(got), err)
			}
		})
	}
}

func TestCut(t *testing.T) {
	p, c := start(t)
	ping(t, c)
	if n := p.Cut(FIN); n != 1 {
		t.Errorf("cut %d connections", n)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("FIN: %v", err)
	}
	c = dial(t, p)
	ping(t, c)
	p.Cut(RST)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("RST: %v", err)
	}
	if n := p.Accepted(); n != 2 {
		t.Errorf("%d accepted", n)
	}
}

func TestHold(t *testing.T) {
	p, c := start(t)
	ping(t, c)
	p.Set(Down, Faults{Hold: true})
	if _, err := c.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("through a hold: %v", err)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	p.Set(Down, Faults{})
	b := make([]byte, 4)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "late" {
		t.Errorf("%q %v", b, err)
	}
}

// through waits until the proxy has both ends of a connection.
func through(t *testing.T, client, target net.Conn) {
	t.Helper()
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(target, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// TestStrand: the target hears nothing of a client that has gone, neither while it
// writes to it nor after, and the next client passes.
func TestStrand(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := Start(t, l.Addr().String())
	client := dial(t, p)
	target, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	through(t, client, target)
	if n := p.Strand(); n != 1 {
		t.Errorf("stranded %d connections", n)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client: %v", err)
	}
	if _, err := target.Write([]byte("anybody there?")); err != nil {
		t.Errorf("the target's write: %v", err)
	}
	_ = target.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := target.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the target's read: %v", err)
	}
	next := dial(t, p)
	again, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := next.Write([]byte("here")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(again, b); err != nil || string(b) != "here" {
		t.Errorf("%q %v", b, err)
	}
}

func TestCloseDuringHold(t *testing.T) {
	p, c := start(t)
	p.SetAll(Faults{Hold: true})
	if _, err := c.Write([]byte("never")); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestRefuse(t *testing.T) {
	p := Start(t, echo(t))
	p.Refuse(true)
	if n, err := dial(t, p).Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes of a refused connection", n)
	}
	p.Refuse(false)
	ping(t, dial(t, p))
}

func TestDelay(t *testing.T) {
	p, c := start(t)
	ping(t, c)
	p.SetAll(Faults{Delay: 40 * time.Millisecond})
	began := time.Now()
	ping(t, c)
	if d := time.Since(began); d < 80*time.Millisecond {
		t.Errorf("round trip took %v", d)
	}
}

func TestChop(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	c := Chop(a, 1)
	defer c.Close()
	go func() { _, _ = c.Write([]byte("abc")) }()
	p := make([]byte, 10)
	for _, want := range "abc" {
		if n, err := b.Read(p); err != nil || string(p[:n]) != string(want) {
			t.Errorf("%q %v", p[:n], err)
		}
	}
}
