package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/periscope-console/periscope/internal/cli"
	"github.com/periscope-console/periscope/internal/leak"
)

// beProgram in the environment makes this test binary the program itself.
const beProgram = "TEST_BE_PERISCOPE"

func TestMain(m *testing.M) {
	if os.Getenv(beProgram) != "" {
		main()
	}
	leak.Main(m)
}

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
		"kubeconfig":    kubeconfigOfNobody,
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

// TestTheServerOutlivesItsReaders: what read its stdout and its stderr has died. A
// login that cannot be recorded is refused then, and the server ends in order.
func TestTheServerOutlivesItsReaders(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, []byte(kubeconfigOfNobody), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "serve", "--kubeconfig", kubeconfig, "--port", "0")
	cmd.Env = append(os.Environ(), beProgram+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, stderr := readerOf(t, &cmd.Stdout), readerOf(t, &cmd.Stderr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	cmd.Stdout.(*os.File).Close()
	cmd.Stderr.(*os.File).Close()
	address, code := opened(t, stderr)
	stdout.Close()
	stderr.Close()
	for range 2 {
		answer, err := http.Post(address+"api/auth/dev", "application/json", strings.NewReader(`{"code":"`+code+`"}`))
		if err != nil {
			t.Fatalf("the server is gone: %v, %v", err, cmd.Wait())
		}
		said, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if !strings.Contains(string(said), "E_AUDIT_UNAVAILABLE") {
			t.Errorf("a login that is recorded nowhere: %s %s", answer.Status, said)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
		t.Errorf("the server ended so: %v", err)
	}
}

// readerOf makes *end the writing end of a pipe.
func readerOf(t *testing.T, end *io.Writer) *os.File {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	*end = w
	return r
}

// opened is the address that the server says to open, and the code in it.
func opened(t *testing.T, stderr io.Reader) (address, code string) {
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if after, is := strings.CutPrefix(lines.Text(), "Open "); is {
			address, code, _ = strings.Cut(after, "#code=")
			return address, code
		}
	}
	t.Fatal("the server did not come up")
	return "", ""
}

const kubeconfigOfNobody = "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n" +
	"clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: u, user: {token: t}}]\n"

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
