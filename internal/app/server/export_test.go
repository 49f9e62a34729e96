package server

import "github.com/periscope-console/periscope/internal/identity"

// MetricsURL is where the metrics are, also when their port was any free one.
func (s *Server) MetricsURL() string { return "http://" + s.metrics.Addr().String() + "/metrics" }

// Readmit is what a login from the store is put to.
func (s *Server) Readmit(a identity.Actor) (identity.Actor, error) { return s.readmit(a) }

// Address is where the server listens, also where browsers know it by another name.
func (s *Server) Address() string { return s.main.Addr().String() }
