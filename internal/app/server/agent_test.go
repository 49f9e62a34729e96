package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/periscope-console/periscope/internal/app/agent"
	"github.com/periscope-console/periscope/internal/app/server"
	"github.com/periscope-console/periscope/internal/badnet"
	"github.com/periscope-console/periscope/internal/config/agentconfig"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/tunnel/line"
)

// edge is the name of the cluster that is reached through an agent.
const edge = "edge"

// faraway is a server whose one cluster is reached through an agent, over a network
// that can be made bad.
type faraway struct {
	*product
	net   *badnet.Proxy
	files string
	agent *remote
}

// remote is an agent in the test's process.
type remote struct {
	log   *safeBuffer
	stop  context.CancelFunc
	ended chan error
}

// startFar runs both ends for the apiserver of a kubeconfig.
func startFar(t *testing.T, kubeconfig string, times line.Settings, environ ...string) *faraway {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	auth := write("auth.yaml", "mode: dev\nauthorization: {mode: raw}\ndev: {subject: ada, email: ada@example.com, groups: [sre], admin: true}\n")
	list := write("clusters.yaml", "clusters:\n  - {name: "+edge+", backend: agent}\n")
	f := &faraway{files: dir}
	f.product = startOptions(t, server.Options{Line: times, Patience: 200 * time.Millisecond}, []string{"--auth", auth, "--clusters", list}, append([]string{
		"PERISCOPE_AGENT_LISTEN_ADDR=127.0.0.1:0", "PERISCOPE_AGENT_TUNNEL_SANS=127.0.0.1",
		"PERISCOPE_AGENT_CA_FILE=" + filepath.Join(dir, "ca.pem"), "PERISCOPE_DATABASE_URL=sqlite:" + filepath.Join(dir, "periscope.db"),
	}, environ...)...)
	f.net = badnet.Start(t, f.server.AgentAddress())
	f.agent = f.startAgent(kubeconfig, f.mint())
	f.awaitLink("connected")
	return f
}

// mint makes a registration token, and gives the environment of an agent that has it.
func (f *faraway) mint() []string {
	f.t.Helper()
	var made struct{ Token, CAHash string }
	if code := f.call("POST", "/api/agents/tokens", `{"cluster":"`+edge+`"}`, &made); code != 200 {
		f.t.Fatalf("no token: %d", code)
	}
	return []string{"PERISCOPE_REGISTRATION_TOKEN=" + made.Token, "PERISCOPE_SERVER_CA_HASH=" + made.CAHash}
}

// startAgent runs periscope-agent with these variables, over the bad network.
func (f *faraway) startAgent(kubeconfig string, environ []string) *remote {
	f.t.Helper()
	cfg, _, err := agentconfig.Load([]string{"--kubeconfig", kubeconfig}, append([]string{
		"PERISCOPE_CLUSTER_NAME=" + edge, "PERISCOPE_SERVER_URL=wss://" + f.net.Addr(), "PERISCOPE_AGENT_HEALTH_ADDR=127.0.0.1:0",
		"PERISCOPE_AGENT_CREDENTIALS_FILE=" + filepath.Join(f.files, "agent.json"),
	}, environ...))
	if err != nil {
		f.t.Fatal(err)
	}
	a := &remote{log: &safeBuffer{}, ended: make(chan error, 1)}
	built, err := agent.New(cfg, agent.Options{Version: "test", Log: slog.New(slog.NewJSONHandler(a.log, nil))})
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	go func() { a.ended <- built.Run(ctx) }()
	f.t.Cleanup(func() { a.end(f.t) })
	return a
}

func (a *remote) end(t *testing.T) {
	t.Helper()
	a.stop()
	select { // twice is once
	case err := <-a.ended:
		if err != nil {
			t.Errorf("the agent ended with %v", err)
		}
		a.ended <- nil
	case <-time.After(wait):
		t.Error("the agent did not stop")
	}
	if t.Failed() {
		t.Logf("the agent's log:\n%s", a.log)
	}
}

// far is the cluster as the clusters page has it.
type far struct {
	Connected, ExecEnabled bool
	Version, Message       string
	Link                   struct{ State, AgentVersion, Since string }
}

func (f *faraway) summary() far {
	f.t.Helper()
	var got struct{ Clusters []far }
	if f.call("GET", "/api/clusters", "", &got); len(got.Clusters) != 1 {
		f.t.Fatalf("clusters %+v", got)
	}
	return got.Clusters[0]
}

func (f *faraway) awaitLink(state string) {
	f.t.Helper()
	eventually(f.t, "the link is "+state, func() bool { return f.summary().Link.State == state })
}

// transports are both wire protocols, each forced.
var transports = []string{"ws", "spdy"}

// TestExecThroughTheTunnel is RFC 0004's table, rows 1 to 5, and what it could not
// prove: SPDY's streams through the tunnel, by the real executors, to a real pod.
func TestExecThroughTheTunnel(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	bindSRE(t, c, ns)
	for _, kind := range transports {
		t.Run(kind, func(t *testing.T) {
			f := startFar(t, c.Kubeconfig, line.Settings{}, "PERISCOPE_EXEC_TRANSPORT="+kind)
			t.Run("hello, echo and close", func(t *testing.T) { f.at(t).helloEchoClose(ns, pod.Name, kind) })
			t.Run("a mebibyte both ways", func(t *testing.T) { f.at(t).mebibyte(ns, pod.Name, nil) })
			t.Run("resize", func(t *testing.T) { f.at(t).resize(ns, pod.Name) })
			t.Run("exit code", func(t *testing.T) { f.at(t).exitCode(ns, pod.Name) })
			t.Run("a mebibyte both ways while the link is cut", func(t *testing.T) { f.at(t).mebibyte(ns, pod.Name, f.net) })
		})
	}
}

// bindSRE lets the test's user do everything in the namespace.
func bindSRE(t *testing.T, c *kubetest.Cluster, ns string) {
	t.Helper()
	c.Bind(t, ns, "admin", "periscope:sre")
}

// at is f for a subtest.
func (f *faraway) at(t *testing.T) *faraway {
	p := *f.product
	p.t = t
	return &faraway{product: &p, net: f.net, files: f.files, agent: f.agent}
}

func (f *faraway) helloEchoClose(ns, pod, kind string) {
	term := f.open(edge, ns, pod, nil)
	if hello := term.frame("hello"); hello["transport"] != kind || hello["container"] == "" {
		f.t.Errorf("hello %v", hello)
	}
	term.send("echo periscope-$((40+2))-token\n")
	term.expect("periscope-42-token")
	term.control(map[string]string{"type": "close"})
	if closed, code := term.closed(); closed["reason"] != "client_close" || closed["exitCode"] != 0.0 || code != 1000 {
		f.t.Errorf("closed %v, %d", closed, code)
	}
	id := term.frame("hello")["sessionId"]
	eventually(f.t, "the shell has ended", func() bool {
		return slices.ContainsFunc(f.events("pod.exec.session_end", "completed"), func(e map[string]any) bool {
			return e["eventId"] == id && e["extra"].(map[string]any)["ended"] == "verified"
		})
	})
}

// mebibyte sends random bytes through cat, in plain mode, and cuts the link ten times
// meanwhile where net is given.
func (f *faraway) mebibyte(ns, pod string, net *badnet.Proxy) {
	term, resp := f.dial(execPath(edge, ns, pod)+"?"+url.Values{"tty": {"false"}, "command": {argv("cat")}}.Encode(), false)
	if resp != nil {
		f.t.Fatalf("dial: %d", resp.StatusCode)
	}
	if term.frame("hello") == nil {
		f.t.Fatalf("no hello: %v", term.got)
	}
	sent := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(sent)
	if err := term.write(websocket.MessageBinary, sent[:len(sent)/2]); err != nil {
		f.t.Fatal(err)
	}
	for i := range 10 {
		term.expectBytes((i + 1) * len(sent) / 20)
		if net != nil {
			net.Cut(badnet.RST)
			f.awaitLink("connected")
		}
	}
	if err := term.write(websocket.MessageBinary, sent[len(sent)/2:]); err != nil {
		f.t.Fatal(err)
	}
	term.expectBytes(len(sent))
	if !bytes.Equal(term.out, sent) {
		f.t.Error("what came back is not what was sent")
	}
	term.control(map[string]string{"type": "close"})
	if closed, _ := term.closed(); closed["reason"] != "client_close" {
		f.t.Errorf("closed %v", closed)
	}
}

// expectBytes reads until that much output has come.
func (term *terminal) expectBytes(n int) {
	term.t.Helper()
	for len(term.out) < n {
		if _, err := term.next(); err != nil {
			term.t.Fatalf("after %d of %d bytes: %v; frames %v", len(term.out), n, err, term.got)
		}
	}
}

func (f *faraway) resize(ns, pod string) {
	term := f.open(edge, ns, pod, nil)
	term.control(map[string]any{"type": "resize", "cols": 200, "rows": 50})
	// The cluster carries sizes beside the input, not before it.
	term.send("until stty size | grep '^50 200'; do sleep 0.05; done\n")
	term.expect("50 200")
	term.expect("50 200") // the first is the line as it was typed
	term.control(map[string]string{"type": "close"})
	term.closed()
}

func (f *faraway) exitCode(ns, pod string) {
	term := f.open(edge, ns, pod, map[string]any{"command": []string{"sh", "-c", "echo out; echo err >&2; exit 7"}, "tty": false})
	if closed, code := term.closed(); closed["exitCode"] != 7.0 || code != 1000 || !bytes.Contains(term.out, []byte("err")) {
		f.t.Errorf("closed %v, %d, output %q", closed, code, term.out)
	}
}

// TestFallbackThroughTheTunnel is RFC 0004's row 6: an apiserver that takes no
// WebSockets, behind an agent.
func TestFallbackThroughTheTunnel(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	bindSRE(t, c, ns)
	front := kubetest.NewFront(t, c)
	front.Refuse(400)
	f := startFar(t, front.Kubeconfig, line.Settings{})
	f.helloEchoClose(ns, pod.Name, "spdy")
	if front.WebSockets() == 0 || front.SPDYs() == 0 {
		t.Errorf("%d WebSockets were tried, %d SPDYs", front.WebSockets(), front.SPDYs())
	}
}

// TestAnAgentThatGoes is RFC 0004's row 7: a link that is ended on purpose ends its
// shells at once, with the reason, and nothing is left of them but what is told.
func TestAnAgentThatGoes(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	bindSRE(t, c, ns)
	for _, kind := range transports {
		t.Run(kind, func(t *testing.T) {
			f := startFar(t, c.Kubeconfig, line.Settings{}, "PERISCOPE_EXEC_TRANSPORT="+kind)
			term := f.open(edge, ns, pod.Name, map[string]any{"command": []string{"sh", "-c", "while :; do echo more; done"}, "tty": false})
			term.expect("more")
			f.agent.end(t)
			if closed, code := term.closed(); closed["reason"] != "tunnel_closed" || code != 1011 || closed["exitCode"] != nil {
				t.Errorf("closed %v, %d", closed, code)
			}
			var ends []map[string]any
			eventually(t, "the end is recorded", func() bool {
				ends = f.events("pod.exec.session_end", "completed")
				return len(ends) > 0
			})
			if ends[0]["extra"].(map[string]any)["close_reason"] != "tunnel_closed" {
				t.Errorf("audit says %v", ends)
			}
			f.awaitLink("away")
			var refused struct{ Error, Message, Since string }
			if code := f.call("GET", "/api/clusters/"+edge+"/namespaces", "", &refused); code != 503 || refused.Error != "E_AGENT_DISCONNECTED" || refused.Since == "" || !strings.Contains(refused.Message, "has been away since") {
				t.Errorf("a list while it is away: %d %+v", code, refused)
			}
			begun := time.Now()
			f.startAgent(c.Kubeconfig, nil) // by the certificate that it has kept
			f.awaitLink("connected")
			f.helloEchoClose(ns, pod.Name, kind)
			t.Logf("the new agent was of use after %v", time.Since(begun).Round(time.Millisecond))
		})
	}
}

// TestAnAgentThatIsLost has a network that is gone for longer than the grace.
func TestAnAgentThatIsLost(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	bindSRE(t, c, ns)
	f := startFar(t, c.Kubeconfig, line.Settings{Ping: 100 * time.Millisecond, Dead: 300 * time.Millisecond, Grace: time.Second})
	term := f.open(edge, ns, pod.Name, nil)
	term.send("echo he\"\"re\n")
	term.expect("here")
	f.net.SetAll(badnet.Faults{Hold: true})
	f.net.Refuse(true)
	f.awaitLink("reconnecting")
	if closed, code := term.closed(); closed["reason"] != "tunnel_closed" || code != 1011 {
		t.Errorf("closed %v, %d", closed, code)
	}
	f.awaitLink("away")
	f.net.SetAll(badnet.Faults{})
	f.net.Refuse(false)
	f.awaitLink("connected")
	f.helloEchoClose(ns, pod.Name, "ws")
}

// TestAClientThatGoesBeforeTheShell is RFC 0004's row 8.
func TestAClientThatGoesBeforeTheShell(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	bindSRE(t, c, ns)
	f := startFar(t, c.Kubeconfig, line.Settings{})
	term, resp := f.dial(execPath(edge, ns, pod.Name), true)
	if resp != nil {
		t.Fatalf("dial: %d", resp.StatusCode)
	}
	term.cut()
	f.helloEchoClose(ns, pod.Name, "ws")
	eventually(t, "no session is left", func() bool {
		var list struct{ Sessions []struct{} }
		f.call("GET", "/api/exec/sessions", "", &list)
		return len(list.Sessions) == 0
	})
}

// TestAShellSurvivesItsLinksConnections prints while the link's connection is cut
// again and again: the output is as without cuts, and the shell the same.
func TestAShellSurvivesItsLinksConnections(t *testing.T) {
	t.Parallel()
	const lines, rounds = 200000, 20
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	bindSRE(t, c, ns)
	f := startFar(t, c.Kubeconfig, line.Settings{})
	term := f.open(edge, ns, pod.Name, map[string]any{"command": []string{"sh"}, "tty": false})
	term.send("echo pid $$ end\n")
	term.expect("end\n")
	pid := string(term.out)
	began := len(term.out)
	term.send("count() { i=$1; while [ $i -lt $2 ]; do echo $i; i=$((i+1)); done; }\n")
	var want strings.Builder
	cuts := 0
	for i := range lines {
		fmt.Fprintln(&want, i)
		if n := lines / rounds; (i+1)%n == 0 {
			term.send(fmt.Sprintf("count %d %d\n", i+1-n, i+1))
			cuts += f.cutAmid(term, began+want.Len())
		}
	}
	if sha256.Sum256(term.out[began:]) != sha256.Sum256([]byte(want.String())) {
		t.Error("the output is not as without cuts")
	}
	term.seen = len(term.out)
	term.send("echo pid $$ end\n")
	term.expect("end\n")
	if !bytes.HasSuffix(term.out, []byte(pid)) {
		t.Errorf("it was %q before, and is %q", pid, term.out[max(0, len(term.out)-20):])
	}
	if cuts < rounds {
		t.Errorf("%d cuts in %d rounds", cuts, rounds)
	}
	t.Logf("%d lines through %d cuts", lines, cuts)
	term.control(map[string]string{"type": "close"})
	term.closed()
}

// cutAmid reads until there are n bytes of output, and cuts whatever stands once the
// first of them have come. It says how many connections that were.
func (f *faraway) cutAmid(term *terminal, n int) (cut int) {
	f.t.Helper()
	term.expectBytes(len(term.out) + 1)
	cut = f.net.Cut(badnet.RST)
	term.expectBytes(n)
	return cut
}

// TestTheOwnersOptOut: an agent that refuses shells is believed before a shell is
// tried, and refuses whatever the server asks.
func TestTheOwnersOptOut(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	bindSRE(t, c, ns)
	f := startFar(t, c.Kubeconfig, line.Settings{})
	f.agent.end(t)
	f.awaitLink("away")
	f.agent = f.startAgent(c.Kubeconfig, []string{"PERISCOPE_AGENT_EXEC=false"})
	f.awaitLink("connected")
	if s := f.summary(); s.ExecEnabled {
		t.Errorf("the page offers shells: %+v", s)
	}
	term, _ := f.dial(execPath(edge, ns, pod.Name), true)
	term.control(map[string]any{"type": "open", "tty": true, "cols": 80, "rows": 24, "command": []string{}})
	if e := term.frame("error"); e["code"] != "E_EXEC_DISABLED" {
		t.Errorf("refused with %v", e)
	}
	var pods struct{ Pods []struct{ Name string } }
	if code := f.call("GET", "/api/clusters/"+edge+"/pods?namespace="+ns, "", &pods); code != 200 || len(pods.Pods) != 1 {
		t.Errorf("a list: %d %+v", code, pods)
	}
}

// TestAgentsInAudit: each act on an agent, and each link.
func TestAgentsInAudit(t *testing.T) {
	f := startFar(t, kubetest.Shared(t).Kubeconfig, line.Settings{})
	if code := f.call("DELETE", "/api/agents/"+edge, "", nil); code != 204 {
		t.Fatalf("revoke: %d", code)
	}
	f.awaitLink("away")
	eventually(t, "the link's end is recorded", func() bool { return len(f.events("agent.disconnect", "completed")) > 0 })
	var verbs []string
	for _, verb := range []string{"agent.token_mint", "agent.register", "agent.connect", "agent.revoke", "agent.disconnect"} {
		for _, e := range f.events(verb, "completed") {
			if e["cluster"] != edge || e["outcome"] != "success" {
				t.Errorf("%s says %v", verb, e)
			}
			verbs = append(verbs, verb)
		}
	}
	if !slices.Equal(verbs, []string{"agent.token_mint", "agent.register", "agent.connect", "agent.revoke", "agent.disconnect"}) {
		t.Errorf("recorded %v", verbs)
	}
}
