package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/wsframe"
)

// piped is scripted without a network, so that it can run on a test clock.
func piped(t *testing.T, play func(p *peer)) *rest.Config {
	return overPipes(func(w http.ResponseWriter, r *http.Request) {
		p := hijack(t, w, r)
		defer p.Close()
		p.accept("v5.channel.k8s.io")
		play(p)
	})
}

// overPipes serves each connection by h, without a network.
func overPipes(h http.HandlerFunc) *rest.Config {
	return &rest.Config{Host: "http://cluster", Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		only := make(chan net.Conn, 1)
		only <- theirs
		close(only)
		go func() { _ = http.Serve(pipes(only), h) }()
		return ours, nil
	}}
}

// pipes is a listener for connections that have been made already.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (pipes) Close() error   { return nil }
func (pipes) Addr() net.Addr { return nil }

// answering sends a pong for each ping until the client has gone, and says how
// many came.
func (p *peer) answering() (pings int) {
	for {
		switch op, payload := p.hear(); op {
		case 0:
			return pings
		case wsframe.Ping:
			pings++
			p.raw(frame(0x80|byte(wsframe.Pong), string(payload)))
		}
	}
}

func TestAnIdleStreamIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan int, 1)
		s := open(t, piped(t, func(p *peer) { over <- p.answering() }), script)
		read := make(chan error, 1)
		go func() {
			_, _, err := s.Read(make([]byte, 1))
			read <- err
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		select {
		case err := <-read:
			t.Errorf("ended: %v, %v", err, s.Result().Err)
		default:
		}
		_ = s.Close()
		<-read
		if n := <-over; n < 300 {
			t.Errorf("%d pings in an hour", n)
		}
	})
}

// TestAnIdleSPDYStreamIsKeptAlive: it still carries both ways after an hour. It ends
// in order, because client-go paces its reports of errors, also by the real clock of
// the tests before.
func TestAnIdleSPDYStreamIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSPDY(t, overPipes(echo(t)), script)
		read := make(chan string)
		go func() {
			out, _ := drain(t, s, 10)
			read <- out
		}()
		time.Sleep(time.Hour)
		if _, err := s.Write([]byte("still here")); err != nil {
			t.Errorf("not after an hour: %v, %v", err, s.Result().Err)
		}
		_ = s.CloseWrite()
		if out := <-read; out != "still here" {
			t.Errorf("%q came back", out)
		}
		wantExit(t, s, 0)
	})
}

func TestASilentPeerIsDead(t *testing.T) {
	for name, stdin := range map[string]int{"idle": 0, "a few keystrokes": 100} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t, piped(t, func(p *peer) { p.untilGone() }), script)
				if _, err := s.Write(make([]byte, stdin)); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if _, _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
					t.Error(err)
				}
				if d := time.Since(began); d < deadBeats*beat || d > (deadBeats+2)*beat {
					t.Errorf("noticed after %v", d)
				}
				wantFault(t, s.Result().Err, fault.ClusterUnreachable)
			})
		})
	}
}

// TestSilenceThatProvesNothing: a reader that pauses hears nothing, and a server
// with much stdin in hand waits for a program that does not read.
func TestSilenceThatProvesNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		stdin int
		pause bool
	}{"reader pauses": {0, true}, "program does not read": {100_000, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t, piped(t, func(p *peer) {
					woken := time.AfterFunc(10*time.Minute, func() {
						p.say(1, "alive after all")
						p.status(success)
						p.bye(1000)
					})
					defer woken.Stop()
					p.untilGone()
				}), script)
				if _, err := s.Write(make([]byte, tc.stdin)); err != nil {
					t.Fatal(err)
				}
				if tc.pause {
					time.Sleep(9*time.Minute + 50*time.Second)
				}
				if out, _ := drain(t, s, 100); out != "alive after all" {
					t.Errorf("out %q, %v", out, s.Result().Err)
				}
				wantExit(t, s, 0)
			})
		})
	}
}
