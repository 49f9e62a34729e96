// Package inpod proves that the agent works where it is meant to: its image in a pod
// of a real node, by the manifests of deploy as they are, the server outside the
// cluster. It runs in make e2e-real alone.
package inpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/test/console"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

const (
	// edge is the name of the cluster, and wait bounds each step.
	edge = "edge"
	wait = 2 * time.Minute
	// mostMemory is what an agent may have resident, in bytes.
	mostMemory = 20e6
	deploy     = "../../deploy"
)

// rig is a server outside the cluster, and an agent inside it.
type rig struct {
	*testing.T
	cluster *kubetest.Cluster
	node    string // the address at which pods find the server
	dir     string // of what the server keeps
	ns, pod string // what is entered
	server  *console.Server
	login   *console.Login
}

// TestAgentInAPod is RFC 0004's tier 2. Each step builds on those before it.
func TestAgentInAPod(t *testing.T) {
	node := os.Getenv("PERISCOPE_TEST_NODE_ADDRESS")
	if node == "" {
		t.Skip("it needs a real node: make e2e-real")
	}
	r := &rig{T: t, cluster: kubetest.Shared(t), node: node, dir: t.TempDir()}
	r.ns = r.cluster.Namespace(t)
	r.pod = r.cluster.Pod(t, r.ns, kubetest.Image("dev.local/busybox:1")).Name
	r.startServer("auto")
	defer func() {
		if t.Failed() {
			r.tell()
		}
	}()
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"the server's image runs", r.serversImage},
		{"the agent comes in", r.comeIn},
		{"its rights are few", r.rights},
		{"a shell over WebSocket", func() { r.shell("ws") }},
		{"a new pod takes over by the kept certificate", r.killed},
		{"a rolling update", r.rolled},
		{"the agent is enrolled anew", r.anew},
		{"a shell over SPDY after the server's restart", r.restarted},
		{"the agent is small", r.small},
	} {
		begun := time.Now()
		step.do()
		if t.Failed() {
			t.Fatalf("failed: %s", step.name)
		}
		fmt.Printf("PASS %s (%.1f s)\n", step.name, time.Since(begun).Seconds())
	}
}

// startServer replaces r's server by one that reaches clusters by a transport.
func (r *rig) startServer(transport string) {
	r.server = console.Start(r.T, r.cluster, r.ns, console.Options{
		Auth: "mode: dev\nauthorization: {mode: tier, groupTiers: {sre: admin}}\n" +
			"dev: {subject: ada, email: ada@example.com, groups: [sre], admin: true}\n",
		Far: []string{edge},
		Environ: []string{
			"PERISCOPE_AGENT_LISTEN_ADDR=" + r.node + ":8443", "PERISCOPE_AGENT_TUNNEL_SANS=" + r.node,
			"PERISCOPE_DATABASE_URL=sqlite:" + filepath.Join(r.dir, "periscope.db"), "PERISCOPE_EXEC_TRANSPORT=" + transport,
		},
	})
	r.login = r.server.Login()
}

// serversImage has the image say its version in a pod: the server itself is outside.
func (r *rig) serversImage() {
	r.kubectl("-n", r.ns, "run", "server", "--image=registry.example.com/periscope:dev", "--restart=Never", "--", "version")
	r.kubectl("-n", r.ns, "wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=1m", "pod/server")
}

// comeIn does what docs/agent-onboarding.md says.
func (r *rig) comeIn() {
	for _, name := range []string{"rbac/tiers.yaml", "rbac/impersonator-constrained.yaml", "agent/agent.yaml"} {
		r.kubectl("apply", "-f", filepath.Join(deploy, name))
	}
	r.settings()
	r.connected("agent.registered")
}

// settings makes the Secret of the agent's variables, with a token of its own.
func (r *rig) settings() {
	ctx, cancel := r.limit()
	defer cancel()
	variables, err := r.login.AgentVariables(ctx, edge)
	if err != nil {
		r.Fatal(err)
	}
	args := []string{"-n", "periscope-agent", "create", "secret", "generic", "periscope-agent-settings"}
	for _, v := range variables {
		args = append(args, "--from-literal="+v)
	}
	r.kubectl(args...)
}

// connected waits for the one pod's link, and for what its log says of its certificate:
// agent.registered where it is new, agent.credentials where it was kept.
func (r *rig) connected(by string) {
	r.Helper()
	ctx, cancel := r.limit()
	defer cancel()
	r.ready()
	if err := r.login.AwaitLink(ctx, edge, "connected"); err != nil {
		r.Fatal(err)
	}
	if log := r.log(); strings.Contains(log, `"agent.registered"`) != (by == "agent.registered") || !strings.Contains(log, `"`+by+`"`) {
		r.Errorf("its log should have %s:\n%s", by, log)
	}
}

// rolled has the Deployment replace the pod, as for a new version: there is a link all
// the time, and the shells of the old one end.
func (r *rig) rolled() {
	ctx, cancel := r.limit()
	defer cancel()
	term, before := r.open(ctx), r.agent()
	r.kubectl("-n", "periscope-agent", "rollout", "restart", "deployment/periscope-agent")
	if closed, _, err := term.Closed(ctx); err != nil || closed.Reason != "tunnel_closed" {
		r.Errorf("the shell ended with %+v, %v", closed, err)
	}
	if state, err := r.login.Link(ctx, edge); err != nil || state != "connected" {
		r.Errorf("the link is %s, %v", state, err)
	}
	r.replaced(before)
	r.connected("agent.credentials")
	r.shell("ws")
}

// anew enrols the agent a second time, as docs/agent-onboarding.md says.
func (r *rig) anew() {
	before := r.agent()
	r.kubectl("-n", "periscope-agent", "patch", "secret", "periscope-agent", "--type=json", "-p", `[{"op":"remove","path":"/data"}]`)
	r.kubectl("-n", "periscope-agent", "delete", "secret", "periscope-agent-settings")
	r.settings()
	r.kubectl("-n", "periscope-agent", "rollout", "restart", "deployment/periscope-agent")
	r.replaced(before)
	r.connected("agent.registered")
	r.shell("ws")
}

// replaced waits until a pod is gone.
func (r *rig) replaced(before string) {
	r.Helper()
	r.kubectl("-n", "periscope-agent", "wait", "--for=delete", "--timeout=1m", "pod/"+before)
	if now := r.agent(); now == before || now == "" {
		r.Fatalf("after the pod %s there is %q", before, now)
	}
}

// rights asks the apiserver about what the agent could do by itself.
func (r *rig) rights() {
	for question, want := range map[string]string{
		"get secrets/periscope-agent -n periscope-agent":          "yes",
		"update secrets/periscope-agent -n periscope-agent":       "yes",
		"get secrets/periscope-agent-settings -n periscope-agent": "no",
		"list secrets -n periscope-agent":                         "no",
		"create secrets -n periscope-agent":                       "no",
		"list pods -A":                                            "no",
		"create pods/exec -n " + r.ns:                             "no",
		"impersonate users":                                       "no",
		"impersonate serviceaccounts":                             "no",
		"impersonate groups/system:masters":                       "no",
	} {
		said := r.ask(append([]string{"auth", "can-i", "--as=system:serviceaccount:periscope-agent:periscope-agent"}, strings.Fields(question)...)...)
		if said != want {
			r.Errorf("may the agent %s? %s", question, said)
		}
	}
}

// shell is the probe of RFC 0004.
func (r *rig) shell(transport string) {
	ctx, cancel := r.limit()
	defer cancel()
	term := r.open(ctx)
	if term.Hello.Container != "main" || term.Hello.Transport != transport {
		r.Errorf("hello %+v", term.Hello)
	}
	err := errors.Join(
		term.Type(ctx, "echo periscope-poc-$((40+2))-token\n"), term.Await(ctx, "periscope-poc-42-token"),
		term.Resize(ctx, 200, 50),
		// The cluster carries sizes beside the input; the first "50 200" is the line as typed.
		term.Type(ctx, "until stty size | grep '^50 200'; do sleep 0.1; done\n"), term.Await(ctx, "50 200"), term.Await(ctx, "50 200"),
		term.Close(ctx),
	)
	if err != nil {
		r.Fatal(err)
	}
	closed, code, err := term.Closed(ctx)
	if err != nil || closed.Reason != "client_close" || closed.ExitCode == nil || *closed.ExitCode != 0 || code != 1000 {
		r.Errorf("closed %+v, %d, %v", closed, code, err)
	}
}

func (r *rig) open(ctx context.Context) *console.Terminal {
	r.Helper()
	term, err := r.login.Open(ctx, console.Target{Cluster: edge, Namespace: r.ns, Pod: r.pod}, console.V2)
	if err != nil {
		r.Fatal(err)
	}
	return term
}

// killed ends the agent's pod: its shells end with it, and the next pod is let in
// though the token is used up.
func (r *rig) killed() {
	ctx, cancel := r.limit()
	defer cancel()
	term := r.open(ctx)
	before := r.agent()
	begun := time.Now()
	r.kubectl("-n", "periscope-agent", "delete", "--wait=false", "pod", before)
	// That the link is away shows for no longer than the next pod takes to come up.
	if closed, _, err := term.Closed(ctx); err != nil || closed.Reason != "tunnel_closed" {
		r.Errorf("the shell ended with %+v, %v", closed, err)
	}
	away := time.Since(begun)
	if err := r.login.AwaitLink(ctx, edge, "connected"); err != nil {
		r.Fatal(err)
	}
	back := time.Since(begun)
	r.replaced(before)
	r.connected("agent.credentials")
	r.shell("ws")
	r.Logf("away after %.1f s, connected again after %.1f s", away.Seconds(), back.Seconds())
}

// restarted has a server without WebSockets towards clusters take the place of the
// first; the agent finds it by itself.
func (r *rig) restarted() {
	ctx, cancel := r.limit()
	defer cancel()
	begun := time.Now()
	if err := errors.Join(r.server.Signal(syscall.SIGTERM), r.server.Exit(ctx)); err != nil {
		r.Fatal(err)
	}
	r.startServer("spdy")
	if err := r.login.AwaitLink(ctx, edge, "connected"); err != nil {
		r.Fatal(err)
	}
	r.Logf("connected again %.1f s after the signal", time.Since(begun).Seconds())
	r.shell("spdy")
}

// small holds the agent to its bounds after all that has gone through it.
func (r *rig) small() {
	used, err := resident("/periscope-agent")
	if err != nil {
		r.Fatal(err)
	}
	r.Logf("the agent has %.1f MB resident", float64(used)/1e6)
	if used >= mostMemory {
		r.Errorf("it may have %.0f MB", mostMemory/1e6)
	}
}
