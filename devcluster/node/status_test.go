package node

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func running(name string, k kind, ready bool) containerFacts {
	return containerFacts{name: name, kind: k, id: "x", started: true, ready: ready, state: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
}

func ended(name string, k kind, code int32, again bool) containerFacts {
	return containerFacts{name: name, kind: k, id: "x", again: again, state: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}}
}

func fresh(name string, k kind) containerFacts { return containerFacts{name: name, kind: k} }

func TestStatus(t *testing.T) {
	for _, test := range []struct {
		name       string
		containers []containerFacts
		phase      corev1.PodPhase
		ready      corev1.ConditionStatus
		reason     string // of the ready condition
		waiting    string // of the last container
	}{
		{"new", []containerFacts{fresh("a", appContainer)}, corev1.PodPending, "False", "ContainersNotReady", "ContainerCreating"},
		{"init runs", []containerFacts{running("i", initContainer, false), fresh("a", appContainer)}, corev1.PodPending, "False", "ContainersNotReady", "PodInitializing"},
		{"init is retried", []containerFacts{ended("i", initContainer, 1, true), fresh("a", appContainer)}, corev1.PodPending, "False", "ContainersNotReady", "PodInitializing"},
		{"init failed", []containerFacts{ended("i", initContainer, 1, false), fresh("a", appContainer)}, corev1.PodFailed, "False", "PodFailed", "PodInitializing"},
		{"init done", []containerFacts{ended("i", initContainer, 0, false), fresh("a", appContainer)}, corev1.PodPending, "False", "ContainersNotReady", "ContainerCreating"},
		{"sidecar up", []containerFacts{running("s", sidecarContainer, true), running("a", appContainer, true)}, corev1.PodRunning, "True", "", ""},
		{"runs", []containerFacts{running("a", appContainer, true)}, corev1.PodRunning, "True", "", ""},
		{"one not ready", []containerFacts{running("a", appContainer, true), running("b", appContainer, false)}, corev1.PodRunning, "False", "ContainersNotReady", ""},
		{"will restart", []containerFacts{ended("a", appContainer, 1, true)}, corev1.PodRunning, "False", "ContainersNotReady", ""},
		{"one ended", []containerFacts{ended("a", appContainer, 0, false), running("b", appContainer, true)}, corev1.PodRunning, "False", "ContainersNotReady", ""},
		{"succeeded", []containerFacts{ended("a", appContainer, 0, false)}, corev1.PodSucceeded, "False", "PodCompleted", ""},
		{"failed", []containerFacts{ended("a", appContainer, 0, false), ended("b", appContainer, 2, false)}, corev1.PodFailed, "False", "PodFailed", ""},
		{"debugged", []containerFacts{running("a", appContainer, true), ended("d", ephemeralContainer, 1, false)}, corev1.PodRunning, "True", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := computeStatus(podFacts{pod: testPod(), containers: test.containers, podIP: "127.10.1.1", hostIP: hostIP}, time.Now())
			if s.Phase != test.phase {
				t.Errorf("phase %s, want %s", s.Phase, test.phase)
			}
			c := condition(s, corev1.PodReady)
			if c.Status != test.ready || c.Reason != test.reason {
				t.Errorf("ready %s %s, want %s %s", c.Status, c.Reason, test.ready, test.reason)
			}
			if test.waiting == "" {
				return
			}
			last := s.ContainerStatuses[len(s.ContainerStatuses)-1]
			if last.State.Waiting == nil || last.State.Waiting.Reason != test.waiting {
				t.Errorf("state %+v, want waiting for %s", last.State, test.waiting)
			}
		})
	}
}

func condition(s corev1.PodStatus, kind corev1.PodConditionType) corev1.PodCondition {
	for _, c := range s.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return corev1.PodCondition{}
}

func TestStatusKeepsTheConditionsOfOthers(t *testing.T) {
	pod := testPod()
	long := metav1.NewTime(time.Now().Add(-time.Hour)).Rfc3339Copy()
	pod.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: long},
		{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: long},
	}
	f := podFacts{pod: pod, containers: []containerFacts{running("a", appContainer, true)}}
	s := computeStatus(f, time.Now())
	if condition(s, corev1.PodScheduled).Status != corev1.ConditionTrue {
		t.Error("the scheduler's condition is lost")
	}
	if got := condition(s, corev1.PodReady).LastTransitionTime; !got.Equal(&long) {
		t.Errorf("a transition that did not happen has the time %s", got)
	}
	pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "gate"}}
	if got := condition(computeStatus(f, time.Now()), corev1.PodReady); got.Reason != "ReadinessGatesNotReady" {
		t.Errorf("closed gate: %+v", got)
	}
}

func TestDeadlineOverrides(t *testing.T) {
	f := podFacts{pod: testPod(), containers: []containerFacts{running("a", appContainer, true)}, failure: "DeadlineExceeded", failureMessage: "too long"}
	if s := computeStatus(f, time.Now()); s.Phase != corev1.PodFailed || s.Reason != "DeadlineExceeded" {
		t.Errorf("%s %s", s.Phase, s.Reason)
	}
}
