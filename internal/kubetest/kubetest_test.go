package kubetest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
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

func TestPodsEndWithTheirTest(t *testing.T) {
	c := Shared(t)
	var ns string
	t.Run("the test", func(t *testing.T) {
		ns = c.Namespace(t)
		c.Pod(t, ns)
	})
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	pods, err := c.Client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) == 0 {
		return
	}
	w, err := c.Client.CoreV1().Pods(ns).Watch(ctx, metav1.ListOptions{ResourceVersion: pods.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if e.Type == watch.Deleted {
			return
		}
	}
	t.Errorf("the pod outlives its test: %v", context.Cause(ctx))
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
