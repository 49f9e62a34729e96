package transport

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
)

// Switch opens streams by the wire protocol that was asked for or, for Auto, by
// WebSocket with SPDY where that is refused. Each cluster has a circuit breaker
// of its own: three upgrade failures in a row pin it to SPDY for 30 minutes, and
// then one try decides anew. Only upgrade failures count. Switch is a
// prometheus.Collector and may be used from any goroutine; it starts none.
type Switch struct {
	kind Kind
	ws   *wsDialer
	spdy *spdyDialer
	now  func() time.Time

	mu     sync.Mutex
	routes map[string]*route // by cluster; never more than are configured
}

// route is what is known about the way to one cluster.
type route struct {
	breaker                  breaker
	ws, spdy                 Dialer
	wsRefusals, spdyRefusals atomic.Uint64
}

// Choice says how a dial was made.
type Choice struct {
	// Kind is the wire protocol of the stream, or the last one that was tried.
	Kind Kind
	// Breaker is the cluster's circuit breaker after the dial; without Auto it
	// is always Closed.
	Breaker State
	// RetryAt is when WebSocket may be tried again; zero unless Open.
	RetryAt time.Time
	// Refused is why this dial gave the other wire protocol up, or nil.
	Refused error
}

// NewSwitch makes a switch for WebSocket, SPDY or Auto; nothing else is a Kind.
// now is time.Now but in tests.
func NewSwitch(kind Kind, now func() time.Time) *Switch {
	u := newUpgrader()
	return &Switch{kind: kind, ws: &wsDialer{u}, spdy: &spdyDialer{u}, now: now, routes: map[string]*route{}}
}

// SetBeat sets how often streams are pinged, before the first Dial. A peer that
// says nothing for three beats is lost.
func (s *Switch) SetBeat(d time.Duration) { s.ws.beat = d }

func (s *Switch) route(cluster string) *route {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.routes[cluster]
	if r == nil {
		r = &route{breaker: breaker{now: s.now}, ws: s.ws, spdy: s.spdy}
		s.routes[cluster] = r
	}
	return r
}

// Dial is Dialer's for a cluster by its name. The Choice is told whether the
// dial succeeded or not.
func (s *Switch) Dial(ctx context.Context, cluster string, cfg *rest.Config, req Request) (Stream, Choice, error) {
	r := s.route(cluster)
	switch s.kind {
	case WebSocket:
		return r.dialWebSocket(ctx, cfg, req, nil)
	case SPDY:
		return r.dialSPDY(ctx, cfg, req, nil)
	}
	if try, ok := r.breaker.begin(); ok {
		return r.try(ctx, try, cfg, req)
	}
	return r.pinned(ctx, cfg, req)
}

// try dials by WebSocket and, where that is refused, by SPDY.
func (r *route) try(ctx context.Context, try attempt, cfg *rest.Config, req Request) (Stream, Choice, error) {
	stream, err := r.ws.Dial(ctx, cfg, req)
	switch {
	case IsUpgradeFailure(err):
		r.refused(try)
		return r.dialSPDY(ctx, cfg, req, err)
	case perhapsUpgradeFailure(err):
		return r.compare(ctx, try, cfg, req, err)
	case err == nil:
		try.done(works)
	default:
		try.done(unclear)
	}
	return stream, r.choice(WebSocket, nil), err
}

func (r *route) refused(try attempt) {
	r.wsRefusals.Add(1)
	try.done(refused)
}

// compare asks SPDY what a proxy's "bad gateway" was about: WebSocket, where
// SPDY is let through, else the cluster.
func (r *route) compare(ctx context.Context, try attempt, cfg *rest.Config, req Request, why error) (Stream, Choice, error) {
	stream, choice, err := r.dialSPDY(ctx, cfg, req, why)
	if err != nil {
		try.done(unclear)
		return nil, choice, err
	}
	r.refused(try)
	return stream, r.choice(SPDY, why), nil
}

// pinned dials by SPDY. Where that is refused too the pin helps nobody, and
// WebSocket is the last resort; if it works again the cluster has healed.
func (r *route) pinned(ctx context.Context, cfg *rest.Config, req Request) (Stream, Choice, error) {
	now := r.breaker.outside()
	stream, choice, err := r.dialSPDY(ctx, cfg, req, nil)
	if !IsUpgradeFailure(err) {
		return stream, choice, err
	}
	stream, choice, wsErr := r.dialWebSocket(ctx, cfg, req, err)
	if wsErr != nil {
		return nil, choice, wsErr
	}
	now.done(works)
	return stream, r.choice(WebSocket, err), nil
}

// dialWebSocket and dialSPDY bear why the other one was given up, or nil.
func (r *route) dialWebSocket(ctx context.Context, cfg *rest.Config, req Request, why error) (Stream, Choice, error) {
	stream, err := r.ws.Dial(ctx, cfg, req)
	if IsUpgradeFailure(err) {
		r.wsRefusals.Add(1)
	}
	return stream, r.choice(WebSocket, why), err
}

func (r *route) dialSPDY(ctx context.Context, cfg *rest.Config, req Request, why error) (Stream, Choice, error) {
	stream, err := r.spdy.Dial(ctx, cfg, req)
	if IsUpgradeFailure(err) {
		r.spdyRefusals.Add(1)
	}
	return stream, r.choice(SPDY, why), err
}

func (r *route) choice(kind Kind, why error) Choice {
	state, retryAt := r.breaker.look()
	return Choice{Kind: kind, Breaker: state, RetryAt: retryAt, Refused: why}
}

var (
	breakerOpen = prometheus.NewDesc("periscope_exec_circuit_breaker_open",
		"1 while WebSocket is not tried for a cluster's shells because its upgrades failed, else 0.", []string{"cluster"}, nil)
	upgradeFailures = prometheus.NewDesc("periscope_exec_upgrade_failures_total",
		"Exec upgrades that a cluster, or a proxy before it, refused.", []string{"cluster", "transport"}, nil)
)

// Describe is prometheus.Collector's.
func (s *Switch) Describe(to chan<- *prometheus.Desc) {
	to <- breakerOpen
	to <- upgradeFailures
}

// Collect is prometheus.Collector's: the clusters that were dialled so far.
func (s *Switch) Collect(to chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for cluster, r := range s.routes {
		open := 0.0
		if state, _ := r.breaker.look(); state == Open {
			open = 1
		}
		to <- prometheus.MustNewConstMetric(breakerOpen, prometheus.GaugeValue, open, cluster)
		to <- prometheus.MustNewConstMetric(upgradeFailures, prometheus.CounterValue, float64(r.wsRefusals.Load()), cluster, string(WebSocket))
		to <- prometheus.MustNewConstMetric(upgradeFailures, prometheus.CounterValue, float64(r.spdyRefusals.Load()), cluster, string(SPDY))
	}
}
