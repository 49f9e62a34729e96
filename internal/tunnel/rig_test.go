package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// waiting bounds what a test waits for; no test comes near it.
const waiting = 30 * time.Second

// pair are the two ends of one link, both running.
type pair struct {
	server, agent *Link
	running       sync.WaitGroup
}

// tcp is a connection over the loopback.
func tcp(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// link runs a link over a and b until the test has ended.
func link(t testing.TB, a, b net.Conn) *pair {
	p := &pair{server: New(a, Server), agent: New(b, Agent)}
	ctx, stop := context.WithCancel(context.Background())
	p.running.Go(func() { _ = p.server.Run(ctx) })
	p.running.Go(func() { _ = p.agent.Run(ctx) })
	t.Cleanup(func() {
		stop()
		p.running.Wait()
		for _, l := range []*Link{p.server, p.agent} {
			if s := l.Stats(); s.Open != 0 || s.Opened != s.Closed {
				t.Errorf("after the end: %+v", s)
			}
		}
	})
	return p
}

func start(t testing.TB) *pair {
	a, b := tcp(t)
	return link(t, a, b)
}

func brief(t testing.TB) context.Context {
	ctx, stop := context.WithTimeout(context.Background(), waiting)
	t.Cleanup(stop)
	return ctx
}

// open is a stream with both of its ends, opened by the server.
func (p *pair) open(t testing.TB, class Class) (near, far *Stream) {
	t.Helper()
	near, far, err := p.dial(brief(t), class)
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

func (p *pair) dial(ctx context.Context, class Class) (near, far *Stream, err error) {
	accepted := make(chan *Stream, 1)
	go func() {
		defer close(accepted)
		if o, err := p.agent.Accept(ctx); err == nil {
			accepted <- o.Accept()
		}
	}()
	near, err = p.server.Open(ctx, class, "pod:80")
	far = <-accepted
	if err == nil && far == nil {
		err = errors.New("not accepted")
	}
	return near, far, err
}

// await asks again and again until ok, which something that goes on makes true.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(waiting); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// settled waits until no stream is open at either end.
func (p *pair) settled(t testing.TB) {
	t.Helper()
	await(t, "both ends settled", func() bool {
		return p.server.Stats().Open == 0 && p.agent.Stats().Open == 0
	})
}

func send(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if n, err := c.Write([]byte(text)); err != nil || n != len(text) {
		t.Fatalf("write: %d, %v", n, err)
	}
}

func expect(t testing.TB, c net.Conn, text string) {
	t.Helper()
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != text {
		t.Fatalf("read %q, %v", b, err)
	}
}
