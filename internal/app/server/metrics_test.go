package server_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/periscope-console/periscope/internal/app/server"
	"github.com/periscope-console/periscope/internal/kubetest"
)

var series = regexp.MustCompile(`^(periscope_exec_[a-z_]+(?:\{[^}]*\})?) (\S+)$`)

// scrape reads /metrics as Prometheus does.
func (p *product) scrape() map[string]float64 {
	p.t.Helper()
	resp, err := http.Get(p.server.MetricsURL())
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	got := map[string]float64{}
	text := bufio.NewScanner(resp.Body)
	for text.Scan() {
		if m := series.FindStringSubmatch(text.Text()); m != nil {
			if got[m[1]], err = strconv.ParseFloat(m[2], 64); err != nil {
				p.t.Fatal(err)
			}
		}
	}
	if err := text.Err(); err != nil {
		p.t.Fatal(err)
	}
	return got
}

// scraped waits until every series has its value.
func (p *product) scraped(want map[string]float64) {
	p.t.Helper()
	var got map[string]float64
	defer func() {
		if p.t.Failed() {
			p.t.Logf("scraped %v", got)
		}
	}()
	for name, n := range want {
		eventually(p.t, name+" is "+strconv.FormatFloat(n, 'g', -1, 64), func() bool { got = p.scrape(); return got[name] == n })
	}
}

// bounded remembers how long is waited for what its client sends.
type bounded struct {
	*httptest.ResponseRecorder
	by time.Time
}

func (b *bounded) SetReadDeadline(by time.Time) error { b.by = by; return nil }

// TestMetricsWaitForNoBody: who may ask without a login holds no connection by a body
// that does not come.
func TestMetricsWaitForNoBody(t *testing.T) {
	w := &bounded{ResponseRecorder: httptest.NewRecorder()}
	server.MetricsHandler(prometheus.NewRegistry()).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/metrics", strings.NewReader("{}")))
	if w.Code != http.StatusMethodNotAllowed || w.by.IsZero() {
		t.Errorf("%d, by %v", w.Code, w.by)
	}
}

// TestFiguresAreScraped follows a shell, a refusal and a cluster that falls back
// to SPDY through what Prometheus reads.
func TestFiguresAreScraped(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	front := kubetest.NewFront(t, c)
	p := start(t, &kubetest.Cluster{Kubeconfig: front.Kubeconfig}, "PERISCOPE_METRICS_ADDRESS=127.0.0.1:0", "PERISCOPE_EXEC_MAX_SESSIONS_PER_USER=1")
	name := p.clusterName()
	p.scraped(map[string]float64{`periscope_exec_cap_hits_total{cap="user"}`: 0, `periscope_exec_cap_hits_total{cap="cluster"}`: 0})
	in := `{cluster="` + name + `"`
	term := p.open(name, ns, pod.Name, map[string]any{"command": []string{"sh", "-c", "stty raw -echo isig; printf ready; exec cat"}})
	term.expect("ready")
	if _, resp := p.dial(execPath(name, ns, pod.Name), false); resp == nil || resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a second shell was not refused: %v", resp)
	}
	<-time.After(1100 * time.Millisecond) // a keystroke's echo is timed after a second of silence
	term.send("k")
	term.expect("k")
	p.scraped(map[string]float64{
		"periscope_exec_sessions" + in + `,transport="ws"}`:             1,
		"periscope_exec_sessions_by_state" + in + `,state="attached"}`:  1,
		"periscope_exec_session_starts_total" + in + `,transport="ws"}`: 1,
		"periscope_exec_open_seconds_count" + in + "}":                  1,
		"periscope_exec_echo_seconds_count" + in + "}":                  1,
		"periscope_exec_circuit_breaker_open" + in + "}":                0,
		`periscope_exec_cap_hits_total{cap="user"}`:                     1,
		`periscope_exec_refusals_total{code="E_CAP_USER"}`:              1,
	})
	term.control(map[string]any{"type": "close"})
	term.closed()
	p.scraped(map[string]float64{
		"periscope_exec_sessions" + in + `,transport="ws"}`:                  0,
		"periscope_exec_sessions_by_state" + in + `,state="attached"}`:       0,
		"periscope_exec_session_ends_total" + in + `,reason="client_close"}`: 1,
		`periscope_exec_bytes_total{direction="stdin"}`:                      1,
		`periscope_exec_bytes_total{direction="stdout"}`:                     6,
	})
	front.Refuse(400)
	for range 3 {
		term := p.open(name, ns, pod.Name, map[string]any{"command": []string{"true"}})
		term.closed()
	}
	p.scraped(map[string]float64{
		"periscope_exec_session_starts_total" + in + `,transport="spdy"}`: 3,
		"periscope_exec_session_ends_total" + in + `,reason="completed"}`: 3,
		"periscope_exec_upgrade_failures_total" + in + `,transport="ws"}`: 3,
		"periscope_exec_circuit_breaker_open" + in + "}":                  1,
	})
}
