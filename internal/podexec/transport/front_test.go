package transport_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// offset is a clock that a test turns on.
type offset struct{ ns atomic.Int64 }

func (o *offset) now() time.Time { return time.Now().Add(time.Duration(o.ns.Load())) }

// behind is a pod of the real cluster behind a front.
type behind struct {
	t     *testing.T
	front *kubetest.Front
	clock *offset
	sw    *transport.Switch
	req   transport.Request
}

func newBehind(t *testing.T) *behind {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	b := &behind{t: t, front: kubetest.NewFront(t, c), clock: &offset{}}
	b.sw = transport.NewSwitch(transport.Auto, b.clock.now)
	b.req = transport.Request{Namespace: ns, Pod: c.Pod(t, ns).Name, Command: []string{"echo", "here"}}
	return b
}

func (b *behind) dial(cfg *rest.Config, req transport.Request) (transport.Stream, transport.Choice, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	return b.sw.Dial(ctx, "c", cfg, req)
}

// exec runs the command and asserts how it was carried.
func (b *behind) exec(kind transport.Kind, state transport.State) {
	b.t.Helper()
	s, choice, err := b.dial(b.front.Config, b.req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer s.Close()
	var out []byte
	for buf := make([]byte, 100); err == nil; {
		var n int
		n, _, err = s.Read(buf)
		out = append(out, buf[:n]...)
	}
	if string(out) != "here\n" || s.Kind() != kind || choice.Kind != kind || choice.Breaker != state {
		b.t.Fatalf("%q by %s, chosen %+v; want %s, %s", out, s.Kind(), choice, kind, state)
	}
}

func (b *behind) webSockets(want int64) {
	b.t.Helper()
	if n := b.front.WebSockets(); n != want {
		b.t.Fatalf("%d tries of WebSocket, want %d", n, want)
	}
}

// TestAFrontThatFailsWebSockets has every way in which one was seen to.
func TestAFrontThatFailsWebSockets(t *testing.T) {
	for name, fail := range map[string]func(*kubetest.Front){
		"400":   func(f *kubetest.Front) { f.Refuse(400) },
		"403":   func(f *kubetest.Front) { f.Refuse(403) },
		"501":   func(f *kubetest.Front) { f.Refuse(501) },
		"502":   func(f *kubetest.Front) { f.Refuse(502) },
		"503":   func(f *kubetest.Front) { f.Refuse(503) },
		"strip": (*kubetest.Front).Strip,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBehind(t)
			b.exec(transport.WebSocket, transport.Closed)
			fail(b.front)
			b.exec(transport.SPDY, transport.Closed)
			b.exec(transport.SPDY, transport.Closed)
			b.exec(transport.SPDY, transport.Open)
			b.webSockets(4)
			b.front.Mend()
			b.clock.ns.Add(int64(29 * time.Minute))
			for range 5 {
				b.exec(transport.SPDY, transport.Open)
			}
			b.webSockets(4)

			fail(b.front)
			b.clock.ns.Add(int64(2 * time.Minute))
			b.exec(transport.SPDY, transport.Open) // one try, and pinned again
			b.exec(transport.SPDY, transport.Open)
			b.webSockets(5)

			b.front.Mend()
			b.clock.ns.Add(int64(31 * time.Minute))
			b.exec(transport.WebSocket, transport.Closed)
			b.exec(transport.WebSocket, transport.Closed)
			b.webSockets(7)
		})
	}
}

// TestMistakesOfUsersChangeNothing has 100 of each between two upgrade failures
// and the third.
func TestMistakesOfUsersChangeNothing(t *testing.T) {
	b := newBehind(t)
	forbidden, missing, noContainer := rest.CopyConfig(b.front.Config), b.req, b.req
	forbidden.Impersonate = rest.ImpersonationConfig{UserName: "nobody-in-particular"}
	missing.Pod, noContainer.Container = "no-such-pod", "no-such-container"
	mistakes := func(state transport.State) {
		t.Helper()
		for _, m := range []struct {
			cfg  *rest.Config
			req  transport.Request
			kind fault.Kind
		}{{forbidden, b.req, fault.Forbidden}, {b.front.Config, missing, fault.NotFound}, {b.front.Config, noContainer, fault.Invalid}} {
			for range 100 {
				_, choice, err := b.dial(m.cfg, m.req)
				if fault.KindOf(err) != m.kind || choice.Breaker != state || choice.Kind != transport.WebSocket || choice.Refused != nil {
					t.Fatalf("%+v, %v", choice, err)
				}
			}
		}
	}
	mistakes(transport.Closed)
	b.exec(transport.WebSocket, transport.Closed)
	b.front.Refuse(400)
	b.exec(transport.SPDY, transport.Closed)
	b.exec(transport.SPDY, transport.Closed)
	b.front.Mend()
	mistakes(transport.Closed)
	b.front.Refuse(400)
	b.exec(transport.SPDY, transport.Open)
	if n := b.front.SPDYs(); n != 3 {
		t.Errorf("%d dials by SPDY, want those of the three refusals", n)
	}
}

// TestAClusterThatNobodyReachesChangesNothing dials 100 times where nobody is.
func TestAClusterThatNobodyReachesChangesNothing(t *testing.T) {
	b := newBehind(t)
	nowhere := rest.CopyConfig(b.front.Config)
	nowhere.Host = "https://127.0.0.1:1"
	for range 100 {
		if _, choice, err := b.dial(nowhere, b.req); fault.KindOf(err) != fault.ClusterUnreachable || choice.Breaker != transport.Closed {
			t.Fatalf("%+v, %v", choice, err)
		}
	}
	b.exec(transport.WebSocket, transport.Closed)
}
