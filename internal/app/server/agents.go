package server

import (
	"context"
	"net"
	"net/url"
	"time"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/httpapi"
	"github.com/periscope-console/periscope/internal/tunnel/enrol"
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
		Audit: audit.NewLines(s.opt.Audit), Log: s.opt.Log,
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
	const connect = "/api/agents/connect"
	set := s.cfg.Agents
	if s.agents == nil {
		return httpapi.AgentURLs{}
	}
	_, port, err := net.SplitHostPort(set.ListenAddress)
	if err != nil {
		panic(err) // config has parsed it
	}
	link := url.URL{Scheme: "wss", Host: net.JoinHostPort(set.SANs[0], port), Path: connect}
	passed := url.URL{Scheme: "wss", Host: bracketed(set.SANs[0]), Path: connect}
	return httpapi.AgentURLs{Link: link.String(), PassedThrough: passed.String(), Register: s.origin() + "/api/agents/register"}
}

// bracketed is a host as an address without a port has it.
func bracketed(host string) string {
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return "[" + host + "]"
	}
	return host
}

// away is the backend of a cluster whose agent is not connected.
type away struct{ name string }

func openAway(c config.Cluster) (clusters.Backend, error) { return away{c.Name}, nil }

// Config implements clusters.Backend.
func (a away) Config(context.Context) (*rest.Config, error) {
	return nil, fault.New(fault.AgentDisconnected, "server.away", "The agent of cluster %s is not connected. Try again when it is.", a.name)
}

// Close implements clusters.Backend.
func (away) Close() error { return nil }
