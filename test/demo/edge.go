package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"

	"github.com/periscope-console/periscope/test/proc"
)

// edgeYAML is a cluster that nobody reaches from outside: its agent dials out. It is
// in a demo without a provider alone, where this program may mint a token.
const edgeYAML = `  - name: edge
    backend: agent
    environment: edge
    tags: {team: platform}
`

// edgeSeed is what runs there.
var edgeSeed = []string{"00-access.yaml", "30-tools.yaml"}

// startEdge runs the edge's control plane; under a command the edge is the demo's own
// cluster, behind an agent.
func (d *demo) startEdge(ctx context.Context) error {
	if d.command {
		d.edge = d.kubeconfig()
		return nil
	}
	say("Starting a second control plane, which only its agent reaches")
	if _, err := d.run(ctx, proc.Spec{
		Name: "devcluster edge", Path: filepath.Join(d.bin, "devcluster"), Ready: "ready", Log: d.log,
		Args: []string{"--dir", d.path("edge"), "--addr", "127.0.0.1:0", "--exit-with-parent"},
	}); err != nil {
		return err
	}
	d.edge = filepath.Join(d.path("edge"), "kubeconfig")
	for _, name := range edgeSeed {
		if err := d.kubectlAt(ctx, d.edge, "apply", "-f", filepath.Join(d.seed, name)); err != nil {
			return err
		}
	}
	return nil
}

// agentEnv is what Periscope needs to be dialled by agents.
func (d *demo) agentEnv() []string {
	return []string{
		"PERISCOPE_AGENT_LISTEN_ADDR=127.0.0.1:0", "PERISCOPE_AGENT_TUNNEL_SANS=127.0.0.1", "PERISCOPE_AGENT_CA_FILE=" + d.path("agent-ca.pem"),
	}
}

// startAgent mints a token as the page “Add cluster” does, and runs the agent with it.
func (d *demo) startAgent(ctx context.Context) error {
	say("Starting the agent of the cluster edge")
	env, err := mint(ctx, strings.TrimSuffix(d.url, "/"))
	if err != nil {
		return fmt.Errorf("no registration token for the agent: %w", err)
	}
	kept := d.path("agent.json")
	if err := os.Remove(kept); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // it is of another run's server, which knew it by a database in memory
	}
	_, err = d.run(ctx, proc.Spec{
		Name: "periscope-agent", Path: filepath.Join(d.bin, "periscope-agent"), Args: []string{"--kubeconfig", d.edge}, Log: d.log,
		Env:   append(env, "PERISCOPE_AGENT_CREDENTIALS_FILE="+kept, "PERISCOPE_AGENT_HEALTH_ADDR=127.0.0.1:0"),
		Ready: "{", Holds: `"state":"connected"`,
	})
	if err == nil {
		d.agentPID = fmt.Sprint(d.parts[len(d.parts)-1].PID())
	}
	return err
}

// mint asks the server for the command that starts an agent, and returns its variables.
func mint(ctx context.Context, url string) ([]string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Jar: jar}
	if err := post(ctx, client, url+"/api/auth/dev", `{"code":""}`, nil); err != nil {
		return nil, err
	}
	var made struct{ Commands struct{ SelfSigned string } }
	if err := post(ctx, client, url+"/api/agents/tokens", `{"cluster":"edge"}`, &made); err != nil {
		return nil, err
	}
	words := strings.Fields(made.Commands.SelfSigned) // NAME=VALUE … periscope-agent
	return words[:len(words)-1], nil
}

func post(ctx context.Context, client *http.Client, url, body string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, resp.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
