package server

import (
	"context"
	"net/http"

	"github.com/periscope-console/periscope/internal/httpapi"
)

// Ready is what /readyz answers with.
func (s *Server) Ready(ctx context.Context) error { return s.ready(ctx) }

// MetricsURL is where the metrics are, also when their port was any free one.
func (s *Server) MetricsURL() string { return "http://" + s.metrics.Addr().String() + "/metrics" }

// Address is where the server listens, also where browsers know it by another name.
func (s *Server) Address() string { return s.main.Addr().String() }

// MetricsHandler answers at the metrics' listener.
var MetricsHandler = metricsHandler

// CertificateRest is how long the certificate's files are left alone after a look.
const CertificateRest = certificateRest

// OpenCertificate reads the main listener's certificate.
var OpenCertificate = openCertificate

// Handler answers at the main listener.
func (s *Server) Handler() http.Handler { return httpapi.New(s.edge()) }

// NewHTTP is what serves each listener.
var NewHTTP = newHTTP

// AnswerTime bounds an answer.
const AnswerTime = answerTime
