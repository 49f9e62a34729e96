package podexec

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/periscope-console/periscope/internal/fault"
)

// Metrics are the figures of all sessions of the process. The values of their
// labels are bounded: clusters are those that are configured, everything else
// comes from lists of ours.
type Metrics struct {
	live     *prometheus.GaugeVec
	states   *prometheus.GaugeVec
	starts   *prometheus.CounterVec
	ends     *prometheus.CounterVec
	refusals *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	capHits  *prometheus.CounterVec
	attaches *prometheus.CounterVec
	open     *prometheus.HistogramVec
	echo     *prometheus.HistogramVec
}

// NewMetrics registers the figures with reg.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		live: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "periscope_exec_sessions", Help: "Exec sessions that are open now.",
		}, []string{"cluster", "transport"}),
		states: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "periscope_exec_sessions_by_state", Help: "Exec sessions that are open now, by whether somebody is at them.",
		}, []string{"cluster", "state"}),
		starts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "periscope_exec_session_starts_total", Help: "Exec sessions that were opened.",
		}, []string{"cluster", "transport"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "periscope_exec_session_ends_total", Help: "Exec sessions that ended, by reason.",
		}, []string{"cluster", "reason"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "periscope_exec_refusals_total", Help: "Exec sessions that did not come to be, by error code.",
		}, []string{"code"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "periscope_exec_bytes_total", Help: "Bytes carried by ended exec sessions.",
		}, []string{"direction"}),
		capHits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "periscope_exec_cap_hits_total", Help: "Exec sessions refused because a cap was reached.",
		}, []string{"cap"}),
		attaches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "periscope_exec_attaches_total", Help: "How often somebody came back to an exec session.",
		}, []string{"cluster"}),
		open: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "periscope_exec_open_seconds", Help: "Time from the request to a standing stream.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"cluster"}),
		echo: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "periscope_exec_echo_seconds", Help: "Time from a keystroke after a silence to the sending of its echo.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2},
		}, []string{"cluster"}),
	}
	for _, which := range []string{capUser, capCluster} {
		m.capHits.WithLabelValues(which) // an alert on a rate needs the 0 before the first
	}
	reg.MustRegister(m.live, m.states, m.starts, m.ends, m.refusals, m.bytes, m.capHits, m.attaches, m.open, m.echo)
	return m
}

// begun counts a session that stands; the caller says when it no longer does.
func (m *Metrics) begun(cluster, transport string) (over func()) {
	m.starts.WithLabelValues(cluster, transport).Inc()
	live := m.live.WithLabelValues(cluster, transport)
	live.Inc()
	return live.Dec
}

// countAs counts a session by whether somebody is at it; empty: no longer. The
// caller has the seat.
func (s *session) countAs(state string) {
	if s.counted != nil {
		s.counted.Dec()
		s.counted = nil
	}
	if state != "" {
		s.counted = s.svc.Metrics.states.WithLabelValues(s.Cluster, state)
		s.counted.Inc()
	}
}

// countAgain follows the coming or going of a client. The caller has the seat.
func (s *session) countAgain() {
	if s.counted != nil {
		s.countAs(s.state())
	}
}

// uncount is the end of the counting.
func (s *session) uncount() {
	s.seat.Lock()
	defer s.seat.Unlock()
	s.countAs("")
}

func (m *Metrics) ended(cluster string, reason Reason, stdin, stdout int64) {
	m.ends.WithLabelValues(cluster, string(reason)).Inc()
	m.bytes.WithLabelValues("stdin").Add(float64(stdin))
	m.bytes.WithLabelValues("stdout").Add(float64(stdout))
}

func (m *Metrics) refused(why error) {
	m.refusals.WithLabelValues(fault.KindOf(why).Code()).Inc()
}
