package server

// MetricsURL is where the metrics are, also when their port was any free one.
func (s *Server) MetricsURL() string { return "http://" + s.metrics.Addr().String() + "/metrics" }
