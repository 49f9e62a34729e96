package server_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/periscope-console/periscope/internal/kubetest"
)

// TestWhatAnUpgradeMeets asks for a shell as docs/pod-exec.md has operators ask
// when the way to the server is in doubt, once for each thing that a proxy does
// wrong. The last one has nothing wrong.
func TestWhatAnUpgradeMeets(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c)
	path := execPath(p.clusterName(), ns, pod.Name)
	for _, wrong := range []struct {
		what   string
		change func(*http.Request)
		status int
		code   string
	}{
		{"no upgrade", func(r *http.Request) { r.Header.Del("Upgrade"); r.Header.Del("Connection") }, 400, "E_INVALID_REQUEST"},
		{"no cookie", func(r *http.Request) { r.Header.Del("Cookie") }, 401, "E_UNAUTHENTICATED"},
		{"another origin", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403, "E_FORBIDDEN"},
		{"another scheme", func(r *http.Request) { r.Header.Set("Origin", "https"+p.url[len("http"):]) }, 403, "E_FORBIDDEN"},
		{"a sandbox's origin", func(r *http.Request) { r.Header.Set("Origin", "null") }, 403, "E_FORBIDDEN"},
		{"another host", func(r *http.Request) { r.Host = "periscope.internal" }, 421, "E_MISDIRECTED"},
		{"nothing", func(*http.Request) {}, 101, ""},
	} {
		if status, code := p.upgrade(path, wrong.change); status != wrong.status || code != wrong.code {
			t.Errorf("%s: %d %s, want %d %s", wrong.what, status, code, wrong.status, wrong.code)
		}
	}
	// Those that were refused never came near a shell, and the last one left at once.
	eventually(t, "the last one is in audit", func() bool { return len(p.events("pod.exec.session_start", "completed")) > 0 })
	if n := len(p.events("pod.exec.session_start", "requested")); n != 1 {
		t.Errorf("%d requests for a shell in audit, want 1", n)
	}
}

// upgrade is the status and the error code that a WebSocket's handshake gets. A
// connection that was upgraded is dropped.
func (p *product) upgrade(path string, change func(*http.Request)) (status int, code string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header = http.Header{
		"Cookie": {p.cookie.String()}, "Origin": {p.url}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"MDEyMzQ1Njc4OWFiY2RlZg=="},
	}
	change(r)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp.StatusCode, ""
	}
	var body struct{ Error, Message string }
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || body.Message == "" {
		p.t.Errorf("%d: %v %+v", resp.StatusCode, err, body)
	}
	return resp.StatusCode, body.Error
}
