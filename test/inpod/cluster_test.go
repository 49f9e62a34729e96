package inpod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/periscope-console/periscope/internal/childtest"
)

func (r *rig) limit() (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), wait)
}

// kubectl runs it to its good end, and returns what it said.
func (r *rig) kubectl(args ...string) string {
	r.Helper()
	out, err := r.run(args...)
	if err != nil {
		r.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// ask is for commands whose exit code is a part of the answer.
func (r *rig) ask(args ...string) string {
	r.Helper()
	out, err := r.run(args...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// run gives stdout, and stderr in the error.
func (r *rig) run(args ...string) (string, error) {
	program, err := childtest.Program("kubectl")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), wait)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+r.cluster.Kubeconfig)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, said.String())
	}
	return string(out), err
}

// ready waits for the agent's Deployment.
func (r *rig) ready() {
	r.Helper()
	r.kubectl("-n", "periscope-agent", "rollout", "status", "--timeout=90s", "deployment/periscope-agent")
}

// agent is the name of its one pod.
func (r *rig) agent() string {
	r.Helper()
	return r.kubectl("-n", "periscope-agent", "get", "pods", "-l", "app.kubernetes.io/name=periscope-agent", "-o", "jsonpath={.items[*].metadata.name}")
}

func (r *rig) log() string {
	r.Helper()
	return r.kubectl("-n", "periscope-agent", "logs", "deployment/periscope-agent")
}

// tell says what the cluster has of the agent, for whoever looks for the cause.
func (r *rig) tell() {
	for _, args := range [][]string{
		{"-n", "periscope-agent", "describe", "pods"},
		{"-n", "periscope-agent", "logs", "deployment/periscope-agent", "--all-pods", "--tail=50"},
	} {
		out, err := r.run(args...)
		r.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// resident is what the one process of a program has in memory, in bytes.
func resident(program string) (n int64, err error) {
	all, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return 0, err
	}
	for _, exe := range all {
		if is, err := os.Readlink(exe); err != nil || is != program {
			continue
		}
		status, err := os.ReadFile(filepath.Join(filepath.Dir(exe), "status"))
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		var kib int64
		if _, err := fmt.Sscan(rest, &kib); err != nil {
			return 0, err
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("no process runs %s", program)
}
