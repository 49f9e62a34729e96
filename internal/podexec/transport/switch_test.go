package transport

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/fault"
)

// answers is a Dialer that answers with what a test says, and counts.
type answers struct {
	err   error
	dials atomic.Int64
}

func (a *answers) Dial(context.Context, *rest.Config, Request) (Stream, error) {
	a.dials.Add(1)
	if a.err != nil {
		return nil, a.err
	}
	return nothing{}, nil
}

type nothing struct{ Stream }

// scriptedSwitch is a Switch whose one cluster "c" is played by ws and spdy.
func scriptedSwitch() (s *Switch, clock *testClock, ws, spdy *answers) {
	clock, ws, spdy = newTestClock(), &answers{}, &answers{}
	s = NewSwitch(Auto, clock.now)
	r := s.route("c")
	r.ws, r.spdy = ws, spdy
	return s, clock, ws, spdy
}

func choose(t *testing.T, s *Switch, want Choice, failed bool) {
	t.Helper()
	_, got, err := s.Dial(t.Context(), "c", nil, shell)
	if got.Kind != want.Kind || got.Breaker != want.Breaker || got.RetryAt != want.RetryAt || (got.Refused != nil) != (want.Refused != nil) {
		t.Fatalf("chose %+v, want %+v", got, want)
	}
	if (err != nil) != failed {
		t.Fatalf("the dial ended with %v", err)
	}
}

var (
	errNotSpoken = notSpoken("as a proxy does")
	errSome      = errors.New("some")
)

func TestTheThirdRefusalPinsItsOwnSession(t *testing.T) {
	s, clock, ws, _ := scriptedSwitch()
	ws.err = errNotSpoken
	choose(t, s, Choice{Kind: SPDY, Breaker: Closed, Refused: errSome}, false)
	choose(t, s, Choice{Kind: SPDY, Breaker: Closed, Refused: errSome}, false)
	choose(t, s, Choice{Kind: SPDY, Breaker: Open, RetryAt: clock.now().Add(pinnedFor), Refused: errSome}, false)
	clock.advance(2 * time.Minute)
	choose(t, s, Choice{Kind: SPDY, Breaker: Open, RetryAt: clock.now().Add(28 * time.Minute)}, false)
	if n := ws.dials.Load(); n != 3 {
		t.Errorf("%d tries of WebSocket", n)
	}
	ws.err = nil
	clock.advance(28 * time.Minute)
	choose(t, s, Choice{Kind: WebSocket, Breaker: Closed}, false)
}

func TestClustersHaveBreakersOfTheirOwn(t *testing.T) {
	s, _, ws, _ := scriptedSwitch()
	ws.err = errNotSpoken
	for range 3 {
		_, _, _ = s.Dial(t.Context(), "c", nil, shell)
	}
	other := s.route("other")
	if state, _ := other.breaker.look(); state != Closed {
		t.Error("one cluster's refusals pinned another")
	}
}

// TestOnlyUpgradeFailuresCount has two refusals counted already, so that one
// more would pin the cluster.
func TestOnlyUpgradeFailuresCount(t *testing.T) {
	for name, err := range map[string]error{
		"forbidden":   codeFault(http.StatusForbidden, errSome),
		"missing":     codeFault(http.StatusNotFound, errSome),
		"invalid":     codeFault(http.StatusBadRequest, errSome),
		"unreachable": fault.Wrap(errSome, fault.ClusterUnreachable, op, "Gone."),
		"timeout":     fault.Wrap(context.DeadlineExceeded, fault.Timeout, op, "Slow."),
		"cancelled":   fault.Wrap(context.Canceled, fault.Gone, op, "Left."),
	} {
		t.Run(name, func(t *testing.T) {
			s, clock, ws, spdy := scriptedSwitch()
			ws.err = errNotSpoken
			choose(t, s, Choice{Kind: SPDY, Breaker: Closed, Refused: errSome}, false)
			choose(t, s, Choice{Kind: SPDY, Breaker: Closed, Refused: errSome}, false)
			ws.err = err
			for range 100 {
				choose(t, s, Choice{Kind: WebSocket, Breaker: Closed}, true)
			}
			if n := spdy.dials.Load(); n != 2 {
				t.Errorf("SPDY was dialled %d times", n)
			}
			ws.err = errNotSpoken
			choose(t, s, Choice{Kind: SPDY, Breaker: Open, RetryAt: clock.now().Add(pinnedFor), Refused: errSome}, false)
		})
	}
}

// TestBadGateways counts them where SPDY shows that WebSocket was the trouble.
func TestBadGateways(t *testing.T) {
	s, clock, ws, spdy := scriptedSwitch()
	ws.err = codeFault(http.StatusBadGateway, &gatewayTrouble{errSome})
	spdy.err = ws.err
	for range 100 {
		choose(t, s, Choice{Kind: SPDY, Breaker: Closed, Refused: errSome}, true)
	}
	spdy.err = nil
	choose(t, s, Choice{Kind: SPDY, Breaker: Closed, Refused: errSome}, false)
	choose(t, s, Choice{Kind: SPDY, Breaker: Closed, Refused: errSome}, false)
	choose(t, s, Choice{Kind: SPDY, Breaker: Open, RetryAt: clock.now().Add(pinnedFor), Refused: errSome}, false)
}

func TestAPinToARefusedProtocolLocksNobodyOut(t *testing.T) {
	s, clock, ws, spdy := scriptedSwitch()
	ws.err, spdy.err = errNotSpoken, errNotSpoken
	for range 3 {
		_, _, _ = s.Dial(t.Context(), "c", nil, shell)
	}
	choose(t, s, Choice{Kind: WebSocket, Breaker: Open, RetryAt: clock.now().Add(pinnedFor), Refused: errSome}, true)
	ws.err = nil
	choose(t, s, Choice{Kind: WebSocket, Breaker: Closed, Refused: errSome}, false)
	choose(t, s, Choice{Kind: WebSocket, Breaker: Closed}, false)
}

func TestAFixedProtocolHasNoBreaker(t *testing.T) {
	for _, kind := range []Kind{WebSocket, SPDY} {
		_, clock, ws, spdy := scriptedSwitch()
		s := NewSwitch(kind, clock.now)
		s.route("c").ws, s.route("c").spdy = ws, spdy
		ws.err, spdy.err = errNotSpoken, errNotSpoken
		for range 10 {
			choose(t, s, Choice{Kind: kind, Breaker: Closed}, true)
		}
		if ws.dials.Load()+spdy.dials.Load() != 10 {
			t.Errorf("%s: %d dials by WebSocket, %d by SPDY", kind, ws.dials.Load(), spdy.dials.Load())
		}
	}
}

func TestSwitchFigures(t *testing.T) {
	s, _, ws, spdy := scriptedSwitch()
	ws.err = errNotSpoken
	for i := range 3 {
		if i == 2 {
			spdy.err = errNotSpoken
		}
		_, _, _ = s.Dial(t.Context(), "c", nil, shell)
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(s)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	want := map[string]float64{
		"periscope_exec_circuit_breaker_open c":        1,
		"periscope_exec_upgrade_failures_total c ws":   3,
		"periscope_exec_upgrade_failures_total c spdy": 1,
	}
	if !maps.Equal(got, want) {
		t.Errorf("figures %v, want %v", got, want)
	}
}

// TestManyDialsAtOnce lets one WebSocket through after the pin, whatever the
// others do meanwhile.
func TestManyDialsAtOnce(t *testing.T) {
	s, clock, ws, spdy := scriptedSwitch()
	ws.err = errNotSpoken
	atOnce(50, func(int) { _, _, _ = s.Dial(context.Background(), "c", nil, shell) })
	tried := ws.dials.Load()
	if tried < 3 || spdy.dials.Load() != 50 {
		t.Errorf("%d by WebSocket, %d by SPDY", tried, spdy.dials.Load())
	}
	clock.advance(30 * time.Minute)
	atOnce(50, func(int) { _, _, _ = s.Dial(context.Background(), "c", nil, shell) })
	if n := ws.dials.Load() - tried; n != 1 {
		t.Errorf("%d tries of WebSocket at once after the pin", n)
	}
}

func TestARestartForgetsThePin(t *testing.T) {
	before := NewSwitch(Auto, time.Now)
	before.Pin("c")
	after := NewSwitch(Auto, time.Now)
	if was, is := before.Look("c"), after.Look("c"); was.Kind != SPDY || is.Kind != WebSocket || is.Breaker != Closed {
		t.Errorf("%+v before, %+v after", was, is)
	}
}
