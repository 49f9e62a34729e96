// Package e2e tries the program as its users do: as a process, through
// kubectl. Nothing of Kubernetes is linked into the tests.
//
// DEVCLUSTER_BIN and KUBECTL_BIN name the programs; without them they are built.
// DEVCLUSTER_SUM changes with them: go test sees names, not what they hold.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	readyTimeout = 90 * time.Second
	stopTimeout  = 20 * time.Second
	callTimeout  = 60 * time.Second
)

var devclusterBin, kubectlBin string

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	devclusterBin, kubectlBin = os.Getenv("DEVCLUSTER_BIN"), os.Getenv("KUBECTL_BIN")
	_ = os.Getenv("DEVCLUSTER_SUM") // so that go test remembers no result of other programs
	if devclusterBin == "" || kubectlBin == "" {
		dir, err := os.MkdirTemp("", "devcluster-bin-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		build := exec.Command("../build.sh", dir)
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "build:", err)
			return 1
		}
		devclusterBin, kubectlBin = filepath.Join(dir, "devcluster"), filepath.Join(dir, "kubectl")
	}
	return m.Run()
}

// cluster is a running devcluster.
type cluster struct {
	t      *testing.T
	dir    string
	cmd    *exec.Cmd
	stderr bytes.Buffer
	done   chan struct{} // closed when the process has ended
	err    error
}

func start(t *testing.T, dir string, args ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: dir, done: make(chan struct{})}
	c.cmd = exec.Command(devclusterBin, append([]string{"--dir", dir, "--exit-with-parent"}, args...)...)
	c.cmd.Stderr = &c.stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		lines <- line
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	t.Cleanup(c.kill)
	select {
	case line := <-lines:
		if line != "ready\n" {
			<-c.done
			t.Fatalf("no ready line but %q, %v\n%s", line, c.err, c.stderr.String())
		}
	case <-time.After(readyTimeout):
		t.Fatalf("not ready after %s\n%s", readyTimeout, c.stderr.String())
	}
	return c
}

func (c *cluster) kill() {
	c.cmd.Process.Kill()
	<-c.done
}

// stop ends the cluster as a user does, and wants exit code 0 in time.
func (c *cluster) stop() {
	c.t.Helper()
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
		if c.err != nil {
			c.t.Fatalf("ended with %v\n%s", c.err, c.stderr.String())
		}
	case <-time.After(stopTimeout):
		c.t.Fatalf("still there %s after SIGTERM", stopTimeout)
	}
}

// result of one kubectl call.
type result struct {
	out, err string
	code     int
}

func (c *cluster) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, kubectlBin, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(c.dir, "kubeconfig"))
	return cmd
}

func (c *cluster) try(stdin io.Reader, args ...string) result {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	cmd := c.command(ctx, args...)
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errOut
	err := cmd.Run()
	r := result{out: out.String(), err: errOut.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		r.code = exit.ExitCode()
	} else if err != nil {
		r.code, r.err = -1, r.err+err.Error()
	}
	return r
}

// kubectl is a call that must succeed; it answers the output.
func (c *cluster) kubectl(args ...string) string {
	c.t.Helper()
	return c.kubectlIn(nil, args...)
}

func (c *cluster) kubectlIn(stdin io.Reader, args ...string) string {
	c.t.Helper()
	r := c.try(stdin, args...)
	if r.code != 0 {
		c.t.Fatalf("kubectl %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

func (c *cluster) apply(manifest string) {
	c.t.Helper()
	c.kubectlIn(strings.NewReader(manifest), "apply", "-f", "-")
}

// run starts a pod and waits for it.
func (c *cluster) run(name string, command ...string) {
	c.t.Helper()
	c.kubectl(append([]string{"run", name, "--image=registry.local/test:1", "--"}, command...)...)
	c.kubectl("wait", "--for=condition=Ready", "pod/"+name, "--timeout=30s")
}

// waitFor lets kubectl wait until a field has a value.
func (c *cluster) waitFor(what, path, value string) {
	c.t.Helper()
	c.kubectl("wait", "--for=jsonpath="+path+"="+value, what, "--timeout=60s")
}

// marked counts the processes of this machine whose environment holds mark.
func marked(t *testing.T, mark string) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		if pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f))); pid == os.Getpid() {
			continue
		}
		if data, err := os.ReadFile(f); err == nil && bytes.Contains(data, []byte(mark)) {
			n++
		}
	}
	return n
}

// wantGone waits until no such process is left.
func wantGone(t *testing.T, mark string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for marked(t, mark) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d processes are left", marked(t, mark))
		}
		time.Sleep(20 * time.Millisecond) // processes of others can only be polled
	}
}

func want(t *testing.T, what, got, expected string) {
	t.Helper()
	if got != expected {
		t.Errorf("%s: got %q, want %q", what, got, expected)
	}
}

func wantIn(t *testing.T, what, got, expected string) {
	t.Helper()
	if !strings.Contains(got, expected) {
		t.Errorf("%s: %q is not in\n%s", what, expected, got)
	}
}
