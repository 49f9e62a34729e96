package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/periscope-console/periscope/internal/leak"
)

// beProgram in the environment makes this test binary the program itself.
const beProgram = "TEST_BE_PERISCOPE_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(beProgram) != "" {
		main()
	}
	leak.Main(m)
}

func TestExitCodesAndSentences(t *testing.T) {
	set := []string{"PERISCOPE_CLUSTER_NAME=east", "PERISCOPE_SERVER_URL=wss://127.0.0.1:1"}
	empty := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args, environ []string
		code          int
		says          string
	}{
		"version":         {[]string{"version"}, nil, 0, "dev"},
		"help":            {[]string{"--help"}, nil, 0, "Usage: periscope-agent"},
		"an unknown flag": {[]string{"--nope"}, set, exitUsage, "--help"},
		"nothing set":     {nil, nil, exitUsage, "PERISCOPE_SERVER_URL"},
		"no pod":          {nil, set, exitFailed, "give it --kubeconfig"},
		"no kubeconfig":   {[]string{"--kubeconfig", "/does/not/exist"}, set, exitFailed, "/does/not/exist does not exist; check the path"},
		"an empty one":    {[]string{"--kubeconfig", empty}, set, exitFailed, "has no current context; name one of: none"},
		"another context": {[]string{"--kubeconfig", kubeconfigFor(t, "127.0.0.1:1"), "--context", "west"}, set, exitFailed, "has no context"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(c.args, c.environ, &stdout, &stderr)
		if said := stdout.String() + stderr.String(); code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("%s: exit %d, said %q", name, code, said)
		}
	}
}

// TestWithoutATokenItSaysSo, and ends: a pod that starts again and again shows it.
func TestWithoutATokenItSaysSo(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	kubeconfig := kubeconfigFor(t, ln.Addr().String())
	var stdout, stderr bytes.Buffer
	code := run([]string{"--kubeconfig", kubeconfig}, []string{
		"PERISCOPE_CLUSTER_NAME=east", "PERISCOPE_SERVER_URL=wss://127.0.0.1:1", "PERISCOPE_AGENT_HEALTH_ADDR=127.0.0.1:0",
		"PERISCOPE_AGENT_CREDENTIALS_FILE=" + filepath.Join(t.TempDir(), "agent.json"),
	}, &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "PERISCOPE_REGISTRATION_TOKEN") {
		t.Errorf("exit %d, said %s", code, stderr.String())
	}
}

// TestTheAgentOutlivesItsReaders: what read its stderr has died. It ends for its own
// reason, here that it has no token.
func TestTheAgentOutlivesItsReaders(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	cmd := exec.Command(os.Args[0], "--kubeconfig", kubeconfigFor(t, ln.Addr().String()))
	cmd.Env = append(os.Environ(), beProgram+"=1", "PERISCOPE_CLUSTER_NAME=east", "PERISCOPE_SERVER_URL=wss://127.0.0.1:1",
		"PERISCOPE_AGENT_HEALTH_ADDR=127.0.0.1:0", "PERISCOPE_AGENT_CREDENTIALS_FILE="+filepath.Join(t.TempDir(), "agent.json"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("the agent ended so: %v", err)
	}
}
