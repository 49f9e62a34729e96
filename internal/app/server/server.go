// Package server builds the whole of `periscope serve` from its configuration.
//
// It owns the wiring, the order in which parts start and stop, and the reading of the
// main listener's certificate, and decides nothing else. Run waits for everything that
// it started.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/awsapi"
	"github.com/periscope-console/periscope/internal/bootprobe"
	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/clusters/agentlink"
	"github.com/periscope-console/periscope/internal/clusters/eks"
	"github.com/periscope-console/periscope/internal/clusters/incluster"
	"github.com/periscope-console/periscope/internal/clusters/kubeconfig"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/httpapi"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/devlogin"
	"github.com/periscope-console/periscope/internal/identity/grant"
	"github.com/periscope-console/periscope/internal/identity/oidc"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/identity/websession"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/life"
	"github.com/periscope-console/periscope/internal/poddebug"
	"github.com/periscope-console/periscope/internal/podexec"
	"github.com/periscope-console/periscope/internal/podexec/transport"
	"github.com/periscope-console/periscope/internal/quota"
	"github.com/periscope-console/periscope/internal/store"
	"github.com/periscope-console/periscope/internal/tunnel/enrol"
	"github.com/periscope-console/periscope/internal/tunnel/hub"
	"github.com/periscope-console/periscope/internal/tunnel/line"
	"github.com/periscope-console/periscope/internal/tunnel/pki"
)

// Options are what the server needs beside its configuration.
type Options struct {
	Version string
	Log     *slog.Logger
	// Audit gets one event a line; the process's stdout.
	Audit io.Writer
	Pages fs.FS
	// Now is time.Now where it is nil. It is the clock of the circuit breakers.
	Now func() time.Time
	// RightsEvery is how often at least the rights of live shells are checked
	// again; a minute where it is 0.
	RightsEvery time.Duration
	// Beat is how often a cluster's end of a shell is pinged, and Patience how long a
	// node that does not answer is asked again to end one; where they are 0 as
	// their packages say.
	Beat, Patience time.Duration
	// Renew is how long a login is left alone at least before its provider is asked
	// about it again; a minute where it is 0.
	Renew time.Duration
	// Line are the times of agents' links; where they are 0 as package line says.
	Line line.Settings
	// Started is called once requests are answered, with the address to open, and
	// again with each address that has a fresh code.
	Started func(url string)
}

// How long each part may take to stop. The shells have nearly all of a shutdown's ten
// seconds; what the others keep open is idle by then.
const (
	sessionsGrace = 9 * time.Second
	httpGrace     = 2 * time.Second
	partGrace     = time.Second
)

// answerTime is from a request to the end of its answer, which is in memory until it is
// read: up to 45 s are the call's own, the others are for slow lines.
const answerTime = 2 * time.Minute

// Server is a built server that has not started.
type Server struct {
	cfg          config.Config
	opt          Options
	audit        *audit.Lines // the one writer of opt.Audit
	acts         *life.Acts
	main         net.Listener
	certificate  *certificate // of main; nil without TLS
	metrics      net.Listener // nil without a metrics address
	registry     *prometheus.Registry
	clusters     *clusters.Registry
	logins       *websession.Manager
	tokens       *token.Keeper
	grants       *grant.Keeper
	entry        way
	dev          *devlogin.Login // nil but in dev mode
	provider     *oidc.Login     // nil but in mode oidc
	db           *store.DB       // nil where nothing is kept
	agentServing *pki.Serving    // likewise
	agentCA      *pki.Authority  // nil without a cluster that is reached through an agent
	agents       *enrol.Keeper   // likewise
	agentMain    net.Listener    // likewise
	hub          *hub.Hub
	strangers    *quota.Quota // of whoever is not known yet, at every listener
	sessions     *podexec.Sessions
	transports   *transport.Switch
}

// New checks and opens everything that can fail before the first request, the
// listeners included. Close or Run must follow.
func New(cfg config.Config, opt Options) (*Server, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	s := &Server{cfg: cfg, opt: opt, audit: audit.NewLines(opt.Audit), acts: life.NewActs(), registry: prometheus.NewRegistry()}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := s.build(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) build() (err error) {
	s.buildHub()
	if s.clusters, err = clusters.New(s.cfg.Clusters, s.openers(), s.opt.Log); err != nil {
		return err
	}
	s.buildSessions()
	if err := s.buildLogins(context.Background()); err != nil {
		return err
	}
	if err := s.buildAgents(context.Background()); err != nil {
		return err
	}
	s.strangers = s.quota()
	if err := s.listenAgents(); err != nil {
		return err
	}
	if s.certificate, err = openCertificate(s.cfg.Listen, s.opt.Log); err != nil {
		return err
	}
	if s.main, err = listen(net.JoinHostPort(s.cfg.Listen.BindAddress, strconv.Itoa(s.cfg.Listen.Port)), "PORT or PERISCOPE_BIND_ADDRESS"); err != nil {
		return err
	}
	if s.cfg.Listen.MetricsAddress != "" {
		s.metrics, err = listen(s.cfg.Listen.MetricsAddress, "PERISCOPE_METRICS_ADDRESS")
	}
	return err
}

func (s *Server) openers() map[config.BackendKind]clusters.Opener {
	return map[config.BackendKind]clusters.Opener{
		config.Kubeconfig: kubeconfig.Open,
		config.InCluster:  incluster.Open,
		config.EKS:        eks.Source{Chain: awsapi.NewChain()}.Open,
		config.Agent:      agentlink.Source{Links: links{s.hub}, Now: time.Now}.Open,
	}
}

func (s *Server) buildSessions() {
	s.transports = transport.NewSwitch(transport.Kind(s.cfg.Exec.Transport), s.opt.Now)
	if s.opt.Beat != 0 {
		s.transports.SetBeat(s.opt.Beat)
	}
	s.registry.MustRegister(s.transports)
	s.sessions = podexec.New(podexec.Options{
		Directory: podexec.Registry{Clusters: s.clusters, Switch: s.transports, Replay: int64(s.cfg.Exec.ReplayBytes), Resume: s.cfg.Exec.Resume, MaxFile: s.cfg.Exec.MaxFile},
		Audit:     s.audit,
		Log:       s.opt.Log,
		Metrics:   podexec.NewMetrics(s.registry), RightsEvery: s.opt.RightsEvery, Patience: s.opt.Patience,
	})
}

// listen opens the address that the setting says.
func listen(address, setting string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fault.Wrap(err, fault.Conflict, "server.listen",
			"The address %s is taken by another process. Stop that one, or set another %s.", address, setting)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "server.listen",
			"The address %s cannot be listened on. Set another %s.", address, setting)
	}
	return ln, nil
}

// Close frees what New opened. It is for a server that never runs.
func (s *Server) Close() error {
	var errs []error
	for _, ln := range []net.Listener{s.main, s.metrics, s.agentMain} {
		if ln != nil {
			errs = append(errs, ln.Close())
		}
	}
	return errors.Join(append(errs, s.free())...)
}

// free frees what no listener is.
func (s *Server) free() error {
	var errs []error
	if s.clusters != nil {
		errs = append(errs, s.clusters.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(errs...)
}

// URL is the address to open, with the one-time code where one is needed.
func (s *Server) URL() string {
	url := s.origin() + "/"
	if s.dev == nil {
		return url
	}
	if code := s.dev.Code(); code != "" {
		url += "#code=" + code
	}
	return url
}

func (s *Server) origin() string {
	if s.cfg.Listen.PublicURL != "" {
		return s.cfg.Listen.PublicURL
	}
	return s.scheme() + "://127.0.0.1:" + s.port()
}

func (s *Server) scheme() string {
	if s.cfg.Listen.TLS() {
		return "https"
	}
	return "http"
}

func (s *Server) port() string {
	return strconv.Itoa(s.main.Addr().(*net.TCPAddr).Port) // a TCP listener has a TCP address
}

// Run serves until ctx is done, and returns when every part has ended: new
// requests are refused, clients of shells told, shells ended, acts brought to their
// end, audit written.
func (s *Server) Run(ctx context.Context) error {
	handler := httpapi.New(s.edge())
	defer context.AfterFunc(ctx, func() { time.AfterFunc(life.ActsLimit, s.acts.Cut) })() // while other parts still end
	parts := []life.Part{
		{Name: "clusters", Run: s.clusters.Run, Grace: partGrace},
		{Name: "logins", Run: s.logins.Run, Grace: partGrace},
		{Name: "tokens", Run: s.tokens.Run, Grace: partGrace},
	}
	parts = append(parts, s.agentParts()...)
	parts = append(parts, life.Part{Name: "acts", Run: s.acts.Run, Grace: life.ActsLimit + partGrace})
	parts = append(parts, s.agentListener()...)
	if s.metrics != nil {
		parts = append(parts, life.Part{Name: "metrics", Run: s.serve(s.metrics, metricsHandler(s.registry), nil), Grace: httpGrace})
	}
	parts = append(parts,
		life.Part{Name: "http", Run: s.serve(s.main, handler, s.opt.Started), Grace: httpGrace},
		life.Part{Name: "sessions", Run: s.sessions.Run, Grace: sessionsGrace},
	)
	if s.provider != nil {
		parts = append(parts, life.Part{Name: "provider", Run: s.provider.Run, Grace: partGrace})
	}
	if s.cfg.ProbeClustersOnBoot {
		parts = append(parts, life.Part{Name: "bootprobe", Run: s.bootProbe().Run, Grace: partGrace})
	}
	return errors.Join(life.Run(ctx, s.opt.Log, parts...), s.free())
}

func (s *Server) bootProbe() *bootprobe.Probe {
	return &bootprobe.Probe{
		Clusters: s.clusters, Switch: s.transports, Shared: s.cfg.Auth.Policy.Mode == identity.Shared, Log: s.opt.Log,
	}
}

// serve runs one listener as a part.
func (s *Server) serve(ln net.Listener, h http.Handler, started func(string)) func(context.Context) error {
	return func(ctx context.Context) error {
		srv := newHTTP(h, s.opt.Log)
		done := make(chan error, 1)
		go func() { done <- s.accept(srv, ln) }()
		if started != nil {
			started(s.URL())
		}
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
		}
		ctx, cancel := context.WithTimeout(context.Background(), httpGrace/2)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close() // what is left had its time
		}
		return <-done
	}
}

// newHTTP bounds every request in time but those that leave HTTP, such as terminals.
func newHTTP(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: answerTime, IdleTimeout: 120 * time.Second,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) accept(srv *http.Server, ln net.Listener) error {
	var err error
	if s.certificate != nil && ln == s.main {
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificate.Get}
		err = srv.ServeTLS(ln, "", "")
	} else {
		err = srv.Serve(ln)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("listener %s: %w", ln.Addr(), err)
}

// edge is what the listeners' handlers have in common.
func (s *Server) edge() httpapi.Options {
	return httpapi.Options{
		Version: s.opt.Version, Guard: s.guard(), Logins: s.logins, Login: s.entry.Routes(), Tokens: s.tokens, Grants: s.grants,
		Proxies: s.cfg.Listen.TrustedProxies, Quota: s.strangers, Agents: s.agents, AgentURLs: s.agentURLs(),
		Clusters: s.clusters, Sessions: s.sessions, Resume: s.cfg.Exec.Resume > 0, MaxFile: s.cfg.Exec.MaxFile, Debug: s.debug(), Rights: kube.NewRights(time.Now), Pages: s.opt.Pages, Log: s.opt.Log,
		Who:   s.who(),
		Ready: s.ready, AuditLogin: func(ctx context.Context, verb string, outcome audit.Outcome, actor identity.Actor, reason string) {
			_ = s.auditLogin(ctx, verb, outcome, actor, reason) // of a logout or a refusal; the log has it
		},
	}
}

func (s *Server) debug() *poddebug.Maker {
	return poddebug.New(poddebug.Options{
		Clusters: s.clusters, Images: s.cfg.Exec.DebugImages, Audit: s.audit, Acts: s.acts, Log: s.opt.Log,
	})
}

// maxClients is how many client addresses are remembered; a few MB at most.
const maxClients = 10_000

func (s *Server) quota() *quota.Quota {
	return quota.New(quota.Options{PerClient: s.cfg.Listen.LoginsPerClient, Total: s.cfg.Listen.LoginsTotal, Clients: maxClients})
}

// ready is nil while every part that a request needs is up; the listeners are
// before anybody can ask. A load balancer sends nobody to a server that cannot
// let them in.
func (s *Server) ready(ctx context.Context) error {
	if s.sessions.Draining() {
		return fault.New(fault.ShuttingDown, "server.ready", "This server is restarting. Try again in a few seconds.")
	}
	if s.provider != nil {
		if err := s.provider.Ready(); err != nil {
			return err
		}
	}
	if s.db != nil {
		return s.db.Ping(ctx)
	}
	return nil
}
