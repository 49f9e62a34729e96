package objects

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Small builders keep the table readable.

func pod(phase corev1.PodPhase, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{Status: corev1.PodStatus{Phase: phase}}
	for _, c := range change {
		c(p)
	}
	return p
}

func mainC(name string, st corev1.ContainerStatus) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		st.Name = name
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: name})
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, st)
	}
}

func initC(name string, st corev1.ContainerStatus) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		st.Name = name
		p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: name})
		p.Status.InitContainerStatuses = append(p.Status.InitContainerStatuses, st)
	}
}

func sidecar(name string, st corev1.ContainerStatus) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		initC(name, st)(p)
		always := corev1.ContainerRestartPolicyAlways
		p.Spec.InitContainers[len(p.Spec.InitContainers)-1].RestartPolicy = &always
	}
}

func cond(kind corev1.PodConditionType, status corev1.ConditionStatus, reason string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: kind, Status: status, Reason: reason})
	}
}

func deleted(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Unix(100, 0)} }

func reason(s string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Status.Reason = s } }

func waiting(reason string) corev1.ContainerStatus {
	return corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}
}

func running(ready bool) corev1.ContainerStatus {
	yes := true
	return corev1.ContainerStatus{Ready: ready, Started: &yes, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
}

func done(reason string, code, signal int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code, Signal: signal}}}
}

func restarted(st corev1.ContainerStatus, n int32, at int64) corev1.ContainerStatus {
	st.RestartCount = n
	st.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{FinishedAt: metav1.Unix(at, 0)}
	return st
}

func TestVerdict(t *testing.T) {
	type counts struct{ ready, total, restarts int }
	cases := []struct {
		name   string
		pod    *corev1.Pod
		status string
		counts counts
		last   int64
	}{
		{"nothing known", pod("Pending"), "Pending", counts{}, 0},
		{"running", pod("Running", mainC("a", running(true)), mainC("b", running(false))), "Running", counts{1, 2, 0}, 0},
		{"creating", pod("Pending", mainC("a", waiting("ContainerCreating"))), "ContainerCreating", counts{0, 1, 0}, 0},
		{"crash loop", pod("Running", mainC("a", restarted(waiting("CrashLoopBackOff"), 7, 50))), "CrashLoopBackOff", counts{0, 1, 7}, 50},
		{"the first container's word counts", pod("Running", mainC("a", waiting("ImagePullBackOff")), mainC("b", waiting("CrashLoopBackOff"))), "ImagePullBackOff", counts{0, 2, 0}, 0},
		{"one crashes beside one that runs", pod("Running", mainC("a", running(true)), mainC("b", waiting("CrashLoopBackOff"))), "CrashLoopBackOff", counts{1, 2, 0}, 0},
		{"completed", pod("Succeeded", mainC("a", done("Completed", 0, 0))), "Completed", counts{0, 1, 0}, 0},
		{"error", pod("Failed", mainC("a", done("Error", 1, 0))), "Error", counts{0, 1, 0}, 0},
		{"killed for memory", pod("Running", mainC("a", done("OOMKilled", 137, 9))), "OOMKilled", counts{0, 1, 0}, 0},
		{"ended by a signal", pod("Failed", mainC("a", done("", 137, 9))), "Signal:9", counts{0, 1, 0}, 0},
		{"ended without a reason", pod("Failed", mainC("a", done("", 3, 0))), "ExitCode:3", counts{0, 1, 0}, 0},
		{"one completed, one ready", pod("Running", mainC("a", done("Completed", 0, 0)), mainC("b", running(true)), cond("Ready", "True", "")), "Running", counts{1, 2, 0}, 0},
		{"one completed, pod not ready", pod("Running", mainC("a", done("Completed", 0, 0)), mainC("b", running(true)), cond("Ready", "False", "")), "NotReady", counts{1, 2, 0}, 0},
		{"evicted", pod("Failed", reason("Evicted")), "Evicted", counts{}, 0},
		{"gated", pod("Pending", cond("PodScheduled", "False", "SchedulingGated")), "SchedulingGated", counts{}, 0},
		{"unschedulable", pod("Pending", cond("PodScheduled", "False", "Unschedulable")), "Pending", counts{}, 0},

		{"init under way", pod("Pending", initC("i", done("Completed", 0, 0)), initC("j", running(false)), mainC("a", waiting("PodInitializing"))), "Init:1/2", counts{0, 1, 0}, 0},
		{"init not begun", pod("Pending", initC("i", waiting("PodInitializing")), mainC("a", waiting("PodInitializing"))), "Init:0/1", counts{0, 1, 0}, 0},
		{"init crash loop", pod("Pending", initC("i", restarted(waiting("CrashLoopBackOff"), 3, 9)), mainC("a", waiting("PodInitializing"))), "Init:CrashLoopBackOff", counts{0, 1, 3}, 9},
		{"init error", pod("Pending", initC("i", done("Error", 1, 0)), mainC("a", waiting("PodInitializing"))), "Init:Error", counts{0, 1, 0}, 0},
		{"init exit code", pod("Pending", initC("i", done("", 2, 0))), "Init:ExitCode:2", counts{}, 0},
		{"init signal", pod("Pending", initC("i", done("", 2, 15))), "Init:Signal:15", counts{}, 0},
		{"restarts of init count no more", pod("Running", initC("i", restarted(done("Completed", 0, 0), 4, 9)), mainC("a", restarted(running(true), 1, 20))), "Running", counts{1, 1, 1}, 20},

		{"sidecar runs", pod("Running", sidecar("s", restarted(running(true), 2, 30)), mainC("a", running(true))), "Running", counts{2, 2, 2}, 30},
		{"sidecar not ready", pod("Running", sidecar("s", running(false)), mainC("a", running(true))), "Running", counts{1, 2, 0}, 0},
		{"sidecar crashes at the start", pod("Pending", sidecar("s", waiting("CrashLoopBackOff")), mainC("a", waiting("PodInitializing"))), "Init:CrashLoopBackOff", counts{0, 2, 0}, 0},
		{"sidecar crashes later", pod("Running", sidecar("s", restarted(waiting("CrashLoopBackOff"), 5, 40)), mainC("a", running(true)), cond("Initialized", "True", "")), "Init:CrashLoopBackOff", counts{1, 2, 5}, 40},

		{"terminating", pod("Running", mainC("a", running(true)), deleted), "Terminating", counts{1, 1, 0}, 0},
		{"ended and deleted", pod("Succeeded", mainC("a", done("Completed", 0, 0)), deleted), "Completed", counts{0, 1, 0}, 0},
		{"node lost", pod("Running", mainC("a", running(true)), reason("NodeLost"), deleted), "Unknown", counts{1, 1, 0}, 0},
		{"node lost, not deleted", pod("Running", reason("NodeLost")), "NodeLost", counts{}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := verdictOf(c.pod)
			if v.status != c.status || (counts{v.ready, v.total, v.restarts}) != c.counts {
				t.Errorf("got %s %d/%d restarts %d, want %s %+v", v.status, v.ready, v.total, v.restarts, c.status, c.counts)
			}
			if got := stamp(v.lastRestart); (got == nil) != (c.last == 0) || got != nil && got.Unix() != c.last {
				t.Errorf("last restart %v, want %d", got, c.last)
			}
		})
	}
}
