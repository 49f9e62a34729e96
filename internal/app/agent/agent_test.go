package agent_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/app/agent"
	"github.com/periscope-console/periscope/internal/config/agentconfig"
	"github.com/periscope-console/periscope/internal/leak"
	"github.com/periscope-console/periscope/internal/tunnel/line"
	"github.com/periscope-console/periscope/internal/tunnel/tunneltest"
)

func TestMain(m *testing.M) { leak.Main(m) }

// TestHealthMeansIt: /healthz answers while the process can work, /readyz while its link
// stands, and each says which.
func TestHealthMeansIt(t *testing.T) {
	r := tunneltest.Start(t, []string{"east"})
	_, secret, err := r.Enrol.Mint(t.Context(), tunneltest.Admin, "", "east")
	if err != nil {
		t.Fatal(err)
	}
	_, pin := r.Enrol.CA()
	dir := t.TempDir()
	cfg, _, err := agentconfig.Load([]string{"--kubeconfig", kubeconfig(t, dir)}, []string{
		"PERISCOPE_CLUSTER_NAME=east", "PERISCOPE_SERVER_URL=wss://" + r.Address, "PERISCOPE_AGENT_HEALTH_ADDR=127.0.0.1:0",
		"PERISCOPE_AGENT_CREDENTIALS_FILE=" + filepath.Join(dir, "agent.json"),
		"PERISCOPE_REGISTRATION_TOKEN=" + secret.Reveal(), "PERISCOPE_SERVER_CA_HASH=" + pin,
	})
	if err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	a, err := agent.New(cfg, agent.Options{Version: "test", Log: slog.New(slog.DiscardHandler), Started: func(at string) { address <- at }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	at := <-address
	r.Await(t, "east", tunneltest.Is(line.Connected))
	until(t, at+"/readyz", http.StatusOK, "ok")
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/": 404} {
		if code, body := get(t, at+path); code != want {
			t.Errorf("%s with a link: %d %s", path, code, body)
		}
	}
	if err := r.Enrol.Revoke(t.Context(), tunneltest.Admin, "", "east"); err != nil {
		t.Fatal(err)
	}
	until(t, at+"/readyz", http.StatusServiceUnavailable, "does not let an agent in")
	if code, body := get(t, at+"/healthz"); code != 200 {
		t.Errorf("/healthz without a link: %d %s", code, body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func get(t *testing.T, address string) (code int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// until asks as a kubelet does: a probe has nothing to wait for.
func until(t *testing.T, address string, want int, words string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(20 * time.Millisecond) {
		code, body := get(t, address)
		if code == want && strings.Contains(body, words) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s says %d %s", address, code, body)
		}
	}
}

// kubeconfig is of an apiserver that nobody asks here.
func kubeconfig(t *testing.T, dir string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	path := filepath.Join(dir, "kubeconfig")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n" +
		"clusters: [{name: c, cluster: {server: 'http://" + ln.Addr().String() + "'}}]\nusers: [{name: u, user: {token: t}}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
