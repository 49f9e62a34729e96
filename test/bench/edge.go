package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/periscope-console/periscope/test/proc"
)

// The names of the one cluster, by the way that leads there.
const (
	direct = "bench"
	edge   = "edge"
)

// throughAgent is ours with the cluster's agent on the way, which is started by the
// first row that asks.
func (r *rig) throughAgent(ctx context.Context) (side, error) {
	if r.agent == nil {
		if err := r.startAgent(ctx); err != nil {
			return nil, fmt.Errorf("the agent: %w", err)
		}
	}
	return ours{r.server, edge}, nil
}

// startAgent mints a token as the page “Add cluster” does, and runs the agent with it
// until its link stands.
func (r *rig) startAgent(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var made struct{ Commands struct{ SelfSigned string } }
	if _, err := post(ctx, r.server.base+"/api/agents/tokens", r.server.cookie, map[string]string{"cluster": edge}, &made); err != nil {
		return err
	}
	words := strings.Fields(made.Commands.SelfSigned) // NAME=VALUE … periscope-agent
	if len(words) == 0 {
		return fmt.Errorf("there is no command to start it in the answer")
	}
	r.agent, _, err = proc.Start(ctx, proc.Spec{
		Name: "periscope-agent", Path: filepath.Join(r.bin, "periscope-agent"), Args: []string{"--kubeconfig", r.reference.kubeconfig}, Log: r.log,
		Env: append(words[:len(words)-1], "PERISCOPE_AGENT_CREDENTIALS_FILE="+filepath.Join(r.dir, "agent.json"),
			"PERISCOPE_AGENT_HEALTH_ADDR=127.0.0.1:0"),
		Ready: "{", Holds: `"state":"connected"`,
	})
	return err
}
