package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/periscope-console/periscope/internal/kubetest"
)

// withPolicy is one cluster, named real, under the exec block of clusters.yaml.
func withPolicy(t *testing.T, cluster *kubetest.Cluster, exec string, environ ...string) *product {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clusters.yaml")
	text := "clusters:\n  - {name: real, backend: kubeconfig, kubeconfigPath: " + strconv.Quote(cluster.Kubeconfig) + ", exec: " + exec + "}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := authFiles(t, cluster, "anybody")
	return startWith(t, []string{args[0], args[1], "--clusters", path}, environ...)
}

// refusal is the answer to a plain client, and its error code.
func (p *product) refusal(path string) (int, string) {
	p.t.Helper()
	term, resp := p.dial(path, false)
	if term != nil {
		p.t.Fatalf("%s was not refused", path)
	}
	var body struct{ Error, Message string }
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || body.Message == "" {
		p.t.Fatalf("%d: %v %+v", resp.StatusCode, err, body)
	}
	return resp.StatusCode, body.Error
}

func TestShellsSwitchedOff(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := withPolicy(t, c, "{enabled: false}")
	var list struct{ Clusters []struct{ ExecEnabled *bool } }
	if p.call("GET", "/api/clusters", "", &list); len(list.Clusters) != 1 || list.Clusters[0].ExecEnabled == nil || *list.Clusters[0].ExecEnabled {
		t.Errorf("summary %+v", list)
	}
	if status, code := p.refusal(execPath("real", ns, pod.Name)); status != http.StatusForbidden || code != "E_EXEC_DISABLED" {
		t.Errorf("plain: %d %s", status, code)
	}
	term, _ := p.dial(execPath("real", ns, pod.Name), true)
	term.control(map[string]any{"type": "open"})
	if closed, code := term.closed(); closed["reason"] != "forbidden" || code != 1008 || term.frame("error")["code"] != "E_EXEC_DISABLED" {
		t.Errorf("frames %v, %d", term.got, code)
	}
	if got := p.events("pod.exec.session_start", "completed"); len(got) != 2 || got[0]["outcome"] != "denied" || got[1]["outcome"] != "denied" {
		t.Errorf("audit %v", got)
	}
}

func TestAReasonIsNeeded(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := withPolicy(t, c, "{requireReason: true}")
	c.Bind(t, ns, "admin", "periscope:anybody")
	path := execPath("real", ns, pod.Name)
	for what, reason := range map[string]string{"none": "", "two lines": "a\nb", "over 512 bytes": strings.Repeat("é", 257)} {
		if status, code := p.refusal(path + "?reason=" + url.QueryEscape(reason)); status != http.StatusBadRequest || code != "E_INVALID_REQUEST" {
			t.Errorf("%s: %d %s", what, status, code)
		}
	}
	want := strings.Repeat("é", 256)
	term := p.open("real", ns, pod.Name, map[string]any{"reason": want})
	if list, _ := p.sessions(); len(list) != 1 || list[0].Reason != want {
		t.Errorf("listed %+v", list)
	}
	term.control(map[string]any{"type": "close"})
	term.closed()
	eventually(t, "the end is in audit", func() bool { return len(p.events("pod.exec.session_end", "completed")) == 1 })
	if end := p.events("pod.exec.session_end", "completed")[0]; end["reason"] != want {
		t.Errorf("audit %v", end)
	}
}

func TestIdleWarningAndStay(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := withPolicy(t, c, "{serverIdleSeconds: 3, idleWarnSeconds: 2}")
	c.Bind(t, ns, "admin", "periscope:anybody")
	term := p.open("real", ns, pod.Name, map[string]any{"command": []string{"cat"}})
	if w := term.frame("idle_warn"); w == nil || w["secondsRemaining"].(float64) > 2 {
		t.Fatalf("frames %v", term.got)
	}
	term.control(map[string]any{"type": "stay"})
	closed, code := term.closed()
	warned := 0
	for _, f := range term.got {
		if f["type"] == "idle_warn" {
			warned++
		}
	}
	if closed["reason"] != "server_idle" || code != 1000 || warned != 2 {
		t.Errorf("%d warnings, closed %v with %d", warned, closed, code)
	}
	eventually(t, "the end is in audit", func() bool { return len(p.events("pod.exec.session_end", "completed")) == 1 })
	extra := p.events("pod.exec.session_end", "completed")[0]["extra"].(map[string]any)
	if lasted := extra["duration_ms"].(float64); lasted < 4_000 || extra["bytes_stdin"] != 0.0 {
		t.Errorf("end event %v", extra)
	}
}
