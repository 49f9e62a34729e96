package kubetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestMain(m *testing.M) { Main(m) }

func TestSharedClusterRunsPods(t *testing.T) {
	c := Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns, Containers("a", "b"), Labels(map[string]string{"app": "x"}))
	if len(pod.Spec.Containers) != 2 || pod.Labels["app"] != "x" || pod.Status.Phase != corev1.PodRunning {
		t.Errorf("pod %+v", pod.Status)
	}
	if Shared(t) != c {
		t.Error("a second cluster")
	}
}

func TestWhoIsAloneTakesNobodysCluster(t *testing.T) {
	t.Setenv("PERISCOPE_TEST_KUBECONFIG", "somebody's")
	if got := others(); got != "somebody's" {
		t.Errorf("got %q", got)
	}
	shared.own = true
	t.Cleanup(func() { shared.own = false })
	if got := others(); got != "" {
		t.Errorf("alone, and yet %q", got)
	}
}

func TestAMissingProgramSaysWhatToDo(t *testing.T) {
	t.Setenv("DEVCLUSTER_BIN", filepath.Join(t.TempDir(), "nothing"))
	if _, err := startChild(t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "make devcluster") {
		t.Errorf("error %v", err)
	}
}

// TestAProgramThatEndsAtOnce also shows that its last words are passed on.
func TestAProgramThatEndsAtOnce(t *testing.T) {
	script := filepath.Join(t.TempDir(), "devcluster")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho out of luck >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DEVCLUSTER_BIN", script)
	if _, err := startChild(t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "out of luck") {
		t.Errorf("error %v", err)
	}
}

func TestLabel(t *testing.T) {
	for name, want := range map[string]string{"TestA/b c": "testa-b-c", strings.Repeat("x", 90): strings.Repeat("x", 40), "Ä_": ""} {
		if got := label(name); got != want {
			t.Errorf("%q became %q", name, got)
		}
	}
}
