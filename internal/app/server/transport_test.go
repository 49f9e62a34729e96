package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/kubetest"
)

// lines are the log's lines with this message.
func (p *product) lines(msg string) []map[string]any {
	p.t.Helper()
	var got []map[string]any
	for line := range strings.Lines(p.log.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			p.t.Fatalf("a log line that is no JSON: %q", line)
		}
		if l["msg"] == msg {
			got = append(got, l)
		}
	}
	return got
}

// TestTheBreakerIsTold follows one cluster from WebSocket to SPDY and back, and
// asks of each shell that hello, log and audit say the same.
func TestTheBreakerIsTold(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	front := kubetest.NewFront(t, c)
	var later atomic.Int64
	p := startAt(t, func() time.Time { return time.Now().Add(time.Duration(later.Load())) }, []string{"--kubeconfig", front.Kubeconfig})
	name := p.clusterName()
	shells := 0
	shell := func(kind, breaker string) {
		t.Helper()
		term := p.open(name, ns, pod.Name, map[string]any{"command": []string{"echo", "here"}, "tty": false})
		hello := term.frame("hello")
		term.expect("here")
		term.closed()
		if hello["transport"] != kind || hello["circuitBreaker"] != breaker || (hello["webSocketRetryAt"] != nil) != (breaker == "open") {
			t.Errorf("hello %v, want %s, %s", hello, kind, breaker)
		}
		shells++
		choices := p.lines("exec.transport.choice")
		if l := choices[len(choices)-1]; len(choices) != shells || l["transport"] != kind || l["circuit_breaker"] != breaker || l["sessionId"] != hello["sessionId"] {
			t.Errorf("shell %d is logged as %v", shells, l)
		}
		starts := p.events("pod.exec.session_start", "completed")
		extra := starts[len(starts)-1]["extra"].(map[string]any)
		if extra["transport"] != kind || extra["circuit_breaker"] != breaker {
			t.Errorf("the start in audit says %v", extra)
		}
	}
	shell("ws", "closed")
	front.Refuse(400)
	shell("spdy", "closed")
	shell("spdy", "closed")
	shell("spdy", "open")
	shell("spdy", "open")
	if n := front.WebSockets(); n != 4 {
		t.Errorf("%d tries of WebSocket", n)
	}
	failed := p.lines("exec.upgrade.error")
	if len(failed) != 3 {
		t.Fatalf("%d lines of failed upgrades, want 3: %v", len(failed), failed)
	}
	for i, state := range []string{"closed", "closed", "open"} {
		l := failed[i]
		if l["transport"] != "ws" || l["circuit_breaker_state"] != state || l["cluster"] != name || l["sessionId"] == "" || l["upgrade_error"] == nil {
			t.Errorf("failed upgrade %d is logged as %v", i, l)
		}
	}
	front.Mend()
	later.Store(int64(30 * time.Minute))
	shell("ws", "closed")
}

func TestAFixedTransportIsKept(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	front := kubetest.NewFront(t, c)
	p := start(t, &kubetest.Cluster{Kubeconfig: front.Kubeconfig}, "PERISCOPE_EXEC_TRANSPORT=spdy")
	term := p.open(p.clusterName(), ns, pod.Name, map[string]any{"command": []string{"echo", "here"}})
	if hello := term.frame("hello"); hello["transport"] != "spdy" || hello["circuitBreaker"] != "closed" {
		t.Errorf("hello %v", hello)
	}
	term.closed()
	if n := front.WebSockets(); n != 0 {
		t.Errorf("%d tries of WebSocket", n)
	}
}

// TestProbeOnBoot: the first shell already knows better than to try WebSocket.
func TestProbeOnBoot(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	front := kubetest.NewFront(t, c)
	front.Strip()
	p := start(t, &kubetest.Cluster{Kubeconfig: front.Kubeconfig}, "PERISCOPE_PROBE_CLUSTERS_ON_BOOT=1")
	eventually(t, "the probe has ended", func() bool { return len(p.lines("cluster.probe")) == 1 })
	if l := p.lines("cluster.probe")[0]; l["transport"] != "spdy" || l["circuit_breaker"] != "open" {
		t.Errorf("the probe found %v", l)
	}
	term := p.open(p.clusterName(), ns, pod.Name, map[string]any{"command": []string{"echo", "here"}})
	if hello := term.frame("hello"); hello["transport"] != "spdy" || hello["circuitBreaker"] != "open" {
		t.Errorf("hello %v", hello)
	}
	term.closed()
	if n := front.WebSockets(); n != 3 {
		t.Errorf("%d tries of WebSocket", n)
	}
}

// TestProbeOnBootDelaysNothing has a cluster that takes requests and never
// answers: the server is ready meanwhile, and stops in time.
func TestProbeOnBootDelaysNothing(t *testing.T) {
	over := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(over) })
	p := start(t, &kubetest.Cluster{Kubeconfig: kubetest.Anonymous(t, silent.URL)}, "PERISCOPE_PROBE_CLUSTERS_ON_BOOT=1")
	resp, err := http.Get(p.url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("readyz answers %d", resp.StatusCode)
	}
	p.end()
	if l := p.lines("cluster.probe.failed"); len(l) != 0 {
		t.Errorf("the shutdown is blamed on the cluster: %v", l)
	}
}
