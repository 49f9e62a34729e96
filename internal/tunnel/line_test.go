package tunnel

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/badnet"
	"github.com/periscope-console/periscope/internal/tunnel/line"
)

// TestOverALine: where the connection below outlives its carriers, streams of
// both classes, the calls that open them and typing go on through cuts of every
// kind, and no byte is lost.
func TestOverALine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := badnet.Start(t, l.Addr().String())
	var host line.Host
	lines := make(chan net.Conn, 1)
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if made, resumed, err := host.Accept("prod", c); err == nil && !resumed {
				lines <- made
			}
		}
	})
	t.Cleanup(func() { l.Close(); accepting.Wait(); host.Close(nil) })
	dialer := line.Dialer{Instance: "one", Dial: func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", proxy.Addr())
	}}
	far, err := dialer.Begin(brief(t), false)
	if err != nil {
		t.Fatal(err)
	}
	p := link(t, <-lines, far)

	done := make(chan struct{})
	var cutting sync.WaitGroup
	cutting.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-time.After(50 * time.Millisecond): // paces the cuts; nothing depends on it
				proxy.Cut(badnet.How(i % 2))
			case <-done:
				return
			}
		}
	})
	var all sync.WaitGroup
	for i := range 4 {
		near, far := p.open(t, Interactive+Class(i%2))
		exchange(t, &all, near, far, 1<<20)
		exchange(t, &all, far, near, 1<<20)
	}
	for far.Status().Resumes < 5 {
		near, far := p.open(t, Interactive)
		send(t, near, "k")
		expect(t, far, "k")
		near.Close()
		far.Close()
	}
	all.Wait()
	close(done)
	cutting.Wait()
	p.settled(t)
	t.Logf("%d resumes", far.Status().Resumes)
}
