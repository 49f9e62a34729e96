package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strconv"
	"time"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/httpapi"
	"github.com/periscope-console/periscope/internal/life"
	"github.com/periscope-console/periscope/internal/tunnel"
	"github.com/periscope-console/periscope/internal/tunnel/contract"
	"github.com/periscope-console/periscope/internal/tunnel/enrol"
	"github.com/periscope-console/periscope/internal/tunnel/hub"
	"github.com/periscope-console/periscope/internal/tunnel/line"
	"github.com/periscope-console/periscope/internal/tunnel/pki"
)

// caLimit bounds how long the agents' CA may take to be found or made.
const caLimit = 30 * time.Second

// buildAgents readies enrolment where a cluster is reached through an agent. The
// store is open by then.
func (s *Server) buildAgents(ctx context.Context) error {
	set := s.cfg.Agents
	if set.ListenAddress == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, caLimit)
	defer cancel()
	keeper, err := caKeeper(set)
	if err != nil {
		return err
	}
	if s.agentCA, err = pki.Open(ctx, keeper); err != nil {
		return err
	}
	s.opt.Log.Info("agent.ca", "pin", s.agentCA.Pin(), "expiresAt", s.agentCA.Expires().UTC())
	s.agents = enrol.New(enrol.Options{
		Store: s.agentStore(), CA: s.agentCA, Clusters: agentClusters(s.cfg.Clusters), Life: set.CertificateLife,
		Audit: s.audit, Acts: s.acts, Log: s.opt.Log,
	})
	return nil
}

// agentStore is the database, or memory where there is none.
func (s *Server) agentStore() enrol.Store {
	if s.db == nil {
		return enrol.NewMemory()
	}
	return s.db.Agents()
}

func caKeeper(set config.Agents) (pki.Keeper, error) {
	if set.CASecret == "" {
		return pki.File(set.CAFile), nil
	}
	cfg, err := rest.InClusterConfig()
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "server.caKeeper",
			"PERISCOPE_AGENT_CA_SECRET is for a server that runs in a pod with a service account, and this one does not: %v. Set PERISCOPE_AGENT_CA_FILE instead.", err)
	}
	return pki.NewSecret(cfg, set.CANamespace, set.CASecret)
}

func agentClusters(all []config.Cluster) (names []string) {
	for _, c := range all {
		if c.Backend == config.Agent {
			names = append(names, c.Name)
		}
	}
	return names
}

// agentURLs are made of the name that the operator put first.
func (s *Server) agentURLs() httpapi.AgentURLs {
	set := s.cfg.Agents
	if s.agents == nil {
		return httpapi.AgentURLs{}
	}
	port := strconv.Itoa(s.agentMain.Addr().(*net.TCPAddr).Port) // a TCP listener has a TCP address
	link := url.URL{Scheme: "wss", Host: net.JoinHostPort(set.SANs[0], port), Path: contract.ConnectPath}
	passed := url.URL{Scheme: "wss", Host: bracketed(set.SANs[0]), Path: contract.ConnectPath}
	return httpapi.AgentURLs{Link: link.String(), PassedThrough: passed.String(), Register: s.origin() + contract.RegisterPath}
}

// bracketed is a host as an address without a port has it.
func bracketed(host string) string {
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return "[" + host + "]"
	}
	return host
}

// listenAgents opens the agents' own listener, with a certificate of their CA.
func (s *Server) listenAgents() (err error) {
	if s.agents == nil {
		return nil
	}
	if s.agentServing, err = s.agentCA.Serving(s.cfg.Agents.SANs); err != nil {
		return err
	}
	s.agentMain, err = listen(s.cfg.Agents.ListenAddress, "PERISCOPE_AGENT_LISTEN_ADDR")
	return err
}

// buildHub comes before the registry of clusters, whose backends dial through it; who
// is let in is known when the first agent comes.
func (s *Server) buildHub() {
	s.hub = hub.New(hub.Options{
		Admit: func(ctx context.Context, shown []*x509.Certificate) (*enrol.Pass, error) {
			return s.agents.Admit(ctx, shown)
		},
		Audit: s.audit, Log: s.opt.Log, Line: s.opt.Line,
		Changed: func(cluster string) { s.clusters.Look(cluster) },
	})
	s.registry.MustRegister(s.hub)
}

// agentParts are what keeps the agents' links: they stop after the shells and the
// acts that go through them.
func (s *Server) agentParts() []life.Part {
	if s.agents == nil {
		return nil
	}
	return []life.Part{
		{Name: "agents", Run: s.agents.Run, Grace: partGrace},
		{Name: "links", Run: s.hub.Run, Grace: httpGrace},
	}
}

// agentListener is where agents come in; it is open no longer than their links are
// kept.
func (s *Server) agentListener() []life.Part {
	if s.agents == nil {
		return nil
	}
	handler := httpapi.NewAgents(s.edge(), httpapi.AgentListener{
		Names: s.cfg.Agents.SANs, Connect: s.hub.Connect,
		Admit: func(ctx context.Context, shown []*x509.Certificate) error {
			pass, err := s.agents.Admit(ctx, shown)
			if err == nil {
				pass.Close()
			}
			return err
		},
	})
	ln := tls.NewListener(s.agentMain, s.agentServing.TLS())
	return []life.Part{
		{Name: "agents' listener", Run: s.serve(ln, handler, nil), Grace: httpGrace},
	}
}

// AgentAddress is where agents are listened for; empty where they are not.
func (s *Server) AgentAddress() string {
	if s.agentMain == nil {
		return ""
	}
	return s.agentMain.Addr().String()
}

// links are a hub's, in the words of package agentlink.
type links struct{ *hub.Hub }

func (l links) Dial(ctx context.Context, cluster string, typing bool) (net.Conn, error) {
	class := tunnel.Bulk
	if typing {
		class = tunnel.Interactive
	}
	return l.Hub.Dial(ctx, cluster, class)
}

func (links) Lost(err error) bool { return errors.Is(err, hub.ErrLost) || errors.Is(err, hub.ErrAway) }

// awayAfter is when a link that reconnects is called away: what is asked fails at once
// from then on. What it carries is kept for the whole of its grace.
const awayAfter = 10 * time.Second

func (l links) Link(cluster string) clusters.Link {
	s := l.State(cluster)
	link := clusters.Link{State: linkStates[s.Line], AgentVersion: s.Version, NoShells: !s.Shells}
	if s.Line == line.Reconnecting && time.Since(s.Since) >= awayAfter {
		link.State = clusters.LinkAway
	}
	if !s.Since.IsZero() {
		since := s.Since.UTC()
		link.Since = &since
	}
	return link
}

var linkStates = map[line.State]clusters.LinkState{
	line.Connected: clusters.LinkConnected, line.Reconnecting: clusters.LinkReconnecting, line.Gone: clusters.LinkAway,
}
