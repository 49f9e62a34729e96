package podexec

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the figures of all sessions of the process.
type Metrics struct {
	live    *prometheus.GaugeVec
	ends    *prometheus.CounterVec
	bytes   *prometheus.CounterVec
	capHits *prometheus.CounterVec
	open    *prometheus.HistogramVec
}

// NewMetrics registers the figures with reg.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		live: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "periscope_exec_sessions", Help: "Exec sessions that are open now.",
		}, []string{"cluster", "transport"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "periscope_exec_session_ends_total", Help: "Exec sessions that ended, by reason.",
		}, []string{"cluster", "reason"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "periscope_exec_bytes_total", Help: "Bytes carried by ended exec sessions.",
		}, []string{"direction"}),
		capHits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "periscope_exec_cap_hits_total", Help: "Exec sessions refused because a cap was reached.",
		}, []string{"cap"}),
		open: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "periscope_exec_open_seconds", Help: "Time from the request to a standing stream.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"cluster"}),
	}
	reg.MustRegister(m.live, m.ends, m.bytes, m.capHits, m.open)
	return m
}
