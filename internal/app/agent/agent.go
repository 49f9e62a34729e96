// Package agent builds the whole of periscope-agent from its configuration.
//
// It owns the wiring and the order in which parts start and stop, and decides nothing
// else. Run waits for everything that it started.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/config/agentconfig"
	"github.com/periscope-console/periscope/internal/kubefile"
	"github.com/periscope-console/periscope/internal/life"
	"github.com/periscope-console/periscope/internal/tunnel/agent"
)

// accountFolder is where the kubelet mounts a pod's service account.
const accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

// How long each part may take to stop.
const (
	linkGrace   = 5 * time.Second
	healthGrace = time.Second
)

// Options are what the agent needs beside its configuration.
type Options struct {
	Version string
	Log     *slog.Logger
	// Started is called once /healthz is answered, with its address.
	Started func(address string)
}

// Agent is a built agent that has not started.
type Agent struct {
	opt    Options
	health net.Listener
	proxy  *agent.Proxy
	link   *agent.Agent
}

// New checks and opens everything that can fail before the link. It dials nothing.
func New(cfg agentconfig.Config, opt Options) (*Agent, error) {
	rc, err := cluster(cfg)
	if err != nil {
		return nil, err
	}
	a := &Agent{opt: opt}
	if a.proxy, err = agent.NewProxy(rc, cfg.Exec, opt.Log); err != nil {
		return nil, err
	}
	keeper, err := keeper(cfg, rc)
	if err != nil {
		return nil, err
	}
	a.link = agent.New(agent.Options{
		Cluster: cfg.Cluster, Server: cfg.Server, Keeper: keeper, Proxy: a.proxy, Shells: cfg.Exec, Version: opt.Version,
		Registration: agent.Registration{URL: cfg.Registration, Cluster: cfg.Cluster, Token: cfg.Token, Pin: cfg.ServerCAHash},
		GiveUp:       cfg.GiveUp, Log: opt.Log,
	})
	if a.health, err = net.Listen("tcp", cfg.HealthAddress); err != nil {
		return nil, fmt.Errorf("the address of /healthz cannot be listened on; set another PERISCOPE_AGENT_HEALTH_ADDR: %w", err)
	}
	return a, nil
}

// cluster is how the agent reaches its apiserver.
func cluster(cfg agentconfig.Config) (*rest.Config, error) {
	if cfg.Kubeconfig == "" {
		rc, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("this is no pod with a service account (%w); run the agent in the cluster, or give it --kubeconfig", err)
		}
		return rc, nil
	}
	return kubefile.Load(cfg.Kubeconfig, cfg.Context)
}

func keeper(cfg agentconfig.Config, rc *rest.Config) (agent.Keeper, error) {
	if cfg.SecretName == "" {
		return agent.File(cfg.CredentialsFile), nil
	}
	namespace, err := os.ReadFile(filepath.Join(accountFolder, "namespace"))
	if err != nil {
		return nil, fmt.Errorf("the pod's own namespace is not known, so PERISCOPE_AGENT_SECRET_NAME cannot be found: %w", err)
	}
	return agent.NewSecret(rc, strings.TrimSpace(string(namespace)), cfg.SecretName)
}

// Run serves until ctx is done, and returns when every part has ended. Its error is
// agent.ErrGaveUp among others where there was no link for too long.
func (a *Agent) Run(ctx context.Context) error {
	defer a.proxy.Close()
	return life.Run(ctx, a.opt.Log,
		life.Part{Name: "health", Run: a.serveHealth, Grace: healthGrace},
		life.Part{Name: "link", Run: a.link.Run, Grace: linkGrace},
	)
}

// serveHealth answers /healthz while the process can do its work, link or not, and
// /readyz while the link stands.
func (a *Agent) serveHealth(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := a.link.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if a.opt.Started != nil {
		a.opt.Started(a.health.Addr().String())
	}
	if err := srv.Serve(a.health); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
