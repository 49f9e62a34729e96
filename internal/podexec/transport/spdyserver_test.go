package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/periscope-console/periscope/internal/wsframe"
)

// spdyPeer is the server's end of an exec over SPDY.
type spdyPeer struct {
	httpstream.Connection
	streams map[string]httpstream.Stream // by type
}

// acceptSPDY upgrades and waits for the client's streams.
func acceptSPDY(t *testing.T, w http.ResponseWriter, r *http.Request) *spdyPeer {
	if _, err := httpstream.Handshake(r, w, []string{"v5.channel.k8s.io"}); err != nil {
		t.Error(err)
		return nil
	}
	w = quiet{w}
	arrived := make(chan httpstream.Stream, 5)
	c := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, replied <-chan struct{}) error {
		go func() {
			<-replied // as a kubelet waits: output must not go ahead of a reply
			arrived <- s
		}()
		return nil
	})
	if c == nil {
		return nil
	}
	p := &spdyPeer{Connection: c, streams: map[string]httpstream.Stream{}}
	timeout := time.After(10 * time.Second)
	for len(p.streams) < 4 {
		select {
		case s := <-arrived:
			p.streams[s.Headers().Get(corev1.StreamType)] = s
		case <-c.CloseChan():
			return p
		case <-timeout:
			t.Errorf("only %d streams came", len(p.streams))
			return p
		}
	}
	return p
}

// quiet hands out connections whose Close never fails: spdystream would hold a
// goroutine for a second to report it, and that looks like a leak.
type quiet struct{ http.ResponseWriter }

func (q quiet) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(q.ResponseWriter).Hijack()
	return quietConn{c}, rw, err
}

type quietConn struct{ net.Conn }

func (c quietConn) Close() error {
	_ = c.Conn.Close()
	return nil
}

// end sends the status and closes in the order of a kubelet.
func (p *spdyPeer) end(status string) {
	_, _ = io.WriteString(p.streams[corev1.StreamTypeError], status)
	for _, s := range p.streams {
		_ = s.Close()
	}
	<-p.CloseChan()
}

// spdyScripted starts a server for execs by SPDY, of four streams each.
func spdyScripted(t *testing.T, play func(p *spdyPeer)) *rest.Config {
	return serve(t, func(w http.ResponseWriter, r *http.Request) { playSPDY(t, w, r, play) })
}

func playSPDY(t *testing.T, w http.ResponseWriter, r *http.Request, play func(p *spdyPeer)) {
	if p := acceptSPDY(t, w, r); p != nil {
		play(p)
		_ = p.Close()
	}
}

// echoServer has an exec that sends its stdin back.
func echoServer(t *testing.T) *rest.Config { return serve(t, echo(t)) }

// echo speaks both wire protocols and sends stdin back until it ends.
func echo(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			playSPDY(t, w, r, func(p *spdyPeer) {
				if len(p.streams) < 4 {
					return
				}
				_, _ = io.Copy(p.streams[corev1.StreamTypeStdout], p.streams[corev1.StreamTypeStdin])
				p.end(success)
			})
			return
		}
		p := hijack(t, w, r)
		defer p.Close()
		p.accept("v5.channel.k8s.io")
		for {
			switch op, m := p.hear(); {
			case op == wsframe.Binary && m[0] == streamClose:
				p.status(success)
				p.bye(1000)
			case op == wsframe.Binary:
				p.say(1, string(m[1:]))
			case op == 0:
				return
			}
		}
	}
}

func openSPDY(t *testing.T, cfg *rest.Config, req Request) Stream {
	t.Helper()
	s, err := New(SPDY).Dial(context.Background(), cfg, req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
