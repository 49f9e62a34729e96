package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/periscope-console/periscope/internal/cli"
	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestExitCodesAndSentences(t *testing.T) {
	cases := map[string]struct {
		args []string
		code int
		says string
	}{
		"version":            {[]string{"version"}, 0, "dev"},
		"help":               {[]string{"--help"}, 0, "Usage: periscope"},
		"help of serve":      {[]string{"serve", "--help"}, 0, "--kubeconfig"},
		"nothing":            {nil, exitUsage, "say what to do"},
		"an unknown command": {[]string{"sreve"}, exitUsage, "is no command"},
		"an unknown flag":    {[]string{"serve", "--kubecfg", "x"}, exitUsage, "--help"},
		"no login":           {[]string{"serve"}, exitUsage, "log in"},
		"no kubeconfig":      {[]string{"serve", "--kubeconfig", "/does/not/exist"}, exitUsage, "does not exist"},
	}
	for name, c := range cases {
		var stdout, stderr bytes.Buffer
		code := run(c.args, &stdout, &stderr)
		said := stdout.String() + stderr.String()
		if code != c.code || !strings.Contains(strings.ReplaceAll(said, "  -", "  --"), c.says) {
			t.Errorf("%s: exit %d, said %q", name, code, said)
		}
	}
}

// TestHelpNamesEveryCommand that there is.
func TestHelpNamesEveryCommand(t *testing.T) {
	var said bytes.Buffer
	run([]string{"--help"}, &said, &said)
	words := strings.Fields(said.String())
	for _, name := range append(cli.Commands(), "serve", "version") {
		if !slices.Contains(words, name) {
			t.Errorf("--help does not name %s", name)
		}
	}
}

// TestASlipIsAWarningInTheLog has a number in clusters.yaml that is not positive.
// The server does not get far, since its port is taken.
func TestASlipIsAWarningInTheLog(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	dir := t.TempDir()
	for name, text := range map[string]string{
		"auth.yaml":     "mode: dev\n",
		"clusters.yaml": "clusters:\n  - {name: demo, backend: kubeconfig, kubeconfigPath: kubeconfig, exec: {heartbeatSeconds: -1}}\n",
		"kubeconfig": "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n" +
			"clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: u, user: {token: t}}]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	code := run([]string{"serve", "--auth", dir + "/auth.yaml", "--clusters", dir + "/clusters.yaml", "--port", port}, &stdout, &stderr)
	if code != exitFailed || !warned(stderr.String(), "exec.heartbeatSeconds of cluster demo is -1") {
		t.Errorf("exit %d, said %s", code, stderr.String())
	}
}

// warned looks for a line of the log; the environment of the tests may bring
// warnings of its own.
func warned(log, what string) bool {
	for text := range strings.Lines(log) {
		var line struct{ Level, Msg, Message string }
		if json.Unmarshal([]byte(text), &line) == nil && line.Level == "WARN" && line.Msg == "config.warning" && strings.Contains(line.Message, what) {
			return true
		}
	}
	return false
}
