package main

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/childtest"
	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

const (
	comesUp = 3 * time.Minute
	goes    = 20 * time.Second
)

// TestCtrlCEndsEverything of a demo in the foreground, which said where it is: no
// process is left, neither of ours nor of a pod.
func TestCtrlCEndsEverything(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	demo, ready := foreground(t, "--dir", dir, "--port", port)
	if want := "http://127.0.0.1:" + port + "/"; ready["periscope ready"] != want {
		t.Fatalf("the page is at %q, want %q", ready["periscope ready"], want)
	}
	if _, err := os.Stat(ready["kubeconfig"]); err != nil {
		t.Errorf("the kubeconfig: %v", err)
	}
	page, err := http.Get(ready["periscope ready"])
	if err != nil {
		t.Fatal(err)
	}
	_ = page.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if page.StatusCode != http.StatusOK {
		t.Errorf("the page answers %s", page.Status)
	}
	if running := processesOf(t, dir); len(running) < 10 {
		t.Errorf("only these are found while it runs: %q", running)
	}
	began := time.Now()
	if err := syscall.Kill(-demo.Process.Pid, syscall.SIGINT); err != nil { // as a terminal sends it
		t.Fatal(err)
	}
	if err := demo.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if took := time.Since(began); took > goes {
		t.Errorf("it ended after %v", took)
	}
	if left := processesOf(t, dir); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	port, err := childtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// foreground starts the demo as make does and reads its last two lines.
func foreground(t *testing.T, args ...string) (*exec.Cmd, map[string]string) {
	t.Helper()
	program, err := childtest.Program("demo")
	if err != nil {
		t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() }) // what is said later has room
	cmd := exec.Command(program, args...)
	cmd.Dir = filepath.Dir(filepath.Dir(program))
	cmd.Stdout, cmd.Stderr = in, in
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	if err := out.SetReadDeadline(time.Now().Add(comesUp)); err != nil {
		t.Fatal(err)
	}
	said, ready := strings.Builder{}, map[string]string{}
	for lines := bufio.NewScanner(out); ready["kubeconfig"] == "" && lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if name, value, ok := strings.Cut(lines.Text(), ": "); ok {
			ready[name] = value
		}
	}
	if ready["kubeconfig"] == "" {
		t.Fatalf("the demo did not come up:\n%s", said.String())
	}
	return cmd, ready
}

// processesOf are those that name the folder in their arguments or environment, or see
// it mounted, as pods do.
func processesOf(t *testing.T, dir string) (found []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p == "/proc/"+strconv.Itoa(os.Getpid()) {
			continue
		}
		for _, of := range []string{"cmdline", "environ", "mountinfo"} {
			text, err := os.ReadFile(filepath.Join(p, of))
			if err == nil && strings.Contains(string(text), dir) {
				name, _ := os.ReadFile(filepath.Join(p, "comm"))
				found = append(found, strings.TrimSpace(string(name)))
				break
			}
		}
	}
	return found
}
