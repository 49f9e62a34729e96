package hub

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/periscope-console/periscope/internal/tunnel/line"
)

var (
	linksDesc   = prometheus.NewDesc("periscope_agent_links", "Links of agents, by state.", []string{"state"}, nil)
	cutsDesc    = prometheus.NewDesc("periscope_agent_link_cuts", "Connections that the link of a cluster has lost, since it stands.", []string{"cluster"}, nil)
	openDesc    = prometheus.NewDesc("periscope_agent_streams_open", "Streams that are open over a cluster's link.", []string{"cluster"}, nil)
	openedDesc  = prometheus.NewDesc("periscope_agent_streams_opened", "Streams that were ever opened over a cluster's link, since it stands.", []string{"cluster"}, nil)
	closedDesc  = prometheus.NewDesc("periscope_agent_streams_closed", "Of these: closed at both ends.", []string{"cluster"}, nil)
	unackedDesc = prometheus.NewDesc("periscope_agent_link_unacknowledged_bytes", "What is kept to be sent again over a cluster's link.", []string{"cluster"}, nil)
)

// Describe implements prometheus.Collector.
func (h *Hub) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{linksDesc, cutsDesc, openDesc, openedDesc, closedDesc, unackedDesc} {
		to <- d
	}
}

// Collect implements prometheus.Collector. There are as many clusters as the
// configuration has.
func (h *Hub) Collect(to chan<- prometheus.Metric) {
	h.mu.Lock()
	all := make([]*agent, 0, len(h.agents))
	for _, a := range h.agents {
		all = append(all, a)
	}
	h.mu.Unlock()
	states := map[line.State]int{line.Connected: 0, line.Reconnecting: 0}
	gauge := func(d *prometheus.Desc, v float64, label string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, label)
	}
	for _, a := range all {
		l, s := a.line.Status(), a.link.Stats()
		states[l.State]++
		gauge(cutsDesc, float64(l.Cuts), a.cluster)
		gauge(unackedDesc, float64(l.Unacknowledged), a.cluster)
		gauge(openDesc, float64(s.Open), a.cluster)
		gauge(openedDesc, float64(s.Opened), a.cluster)
		gauge(closedDesc, float64(s.Closed), a.cluster)
	}
	delete(states, line.Gone) // about to be removed
	for state, n := range states {
		gauge(linksDesc, float64(n), state.String())
	}
}
