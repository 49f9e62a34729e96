package transport

import (
	"bufio"
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
	return &rest.Config{Host: "http://cluster", Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			in := bufio.NewReader(theirs)
			req, err := http.ReadRequest(in)
			if err != nil {
				t.Error(err)
				return
			}
			p := &peer{Conn: theirs, in: in, req: req}
			p.accept("v5.channel.k8s.io")
			play(p)
		}()
		return ours, nil
	}}
}

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
