package podexec

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/audit"
)

func runningAs(id string) corev1.PodStatus {
	return corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
		Name: "app", ContainerID: id, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}}
}

// changePod has the cluster tell another story of its pod from now on.
func (c *cluster) changePod(change func(*corev1.Pod)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pod := c.pod.DeepCopy()
	change(pod)
	c.pod = pod
}

// TestAStatusThatComesLate kills the command and lets its pod say why only later,
// as nodes do.
func TestAStatusThatComesLate(t *testing.T) {
	now := metav1.Now()
	for name, c := range map[string]struct {
		code   int
		change func(*corev1.Pod)
		after  time.Duration // when the change comes
		reason Reason
		within time.Duration
	}{
		"the container ended":       {137, func(p *corev1.Pod) { p.Status = corev1.PodStatus{} }, 1500 * time.Millisecond, ContainerExit, 2 * time.Second},
		"it runs again":             {137, func(p *corev1.Pod) { p.Status = runningAs("c2") }, 1500 * time.Millisecond, ContainerExit, 2 * time.Second},
		"its pod is being deleted":  {137, func(p *corev1.Pod) { p.DeletionTimestamp = &now }, time.Second, PodDeleted, 2 * time.Second},
		"only the shell was killed": {137, func(*corev1.Pod) {}, time.Second, Exited, podLimit},
		"too late":                  {137, func(p *corev1.Pod) { p.Status = corev1.PodStatus{} }, podLimit + time.Second, Exited, podLimit},
		"by another signal":         {143, func(p *corev1.Pod) { p.Status = corev1.PodStatus{} }, time.Second, Exited, 0},
		"by itself":                 {1, func(p *corev1.Pod) { p.Status = corev1.PodStatus{} }, time.Second, Exited, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.up.pod.Status = runningAs("c1")
				conn, s := r.open(true)
				late := time.AfterFunc(c.after, func() { r.up.changePod(c.change) })
				defer late.Stop()
				begun := time.Now()
				s.exit(c.code)
				r.free()
				if took := time.Since(begun); took > c.within {
					t.Errorf("the end was told after %v", took)
				}
				closed, _ := lastWords(t, conn)
				if closed["reason"] != string(c.reason) || closed["exitCode"] != float64(c.code) || r.endReason() != string(c.reason) {
					t.Errorf("closed %v, audit %q", closed, r.endReason())
				}
			})
		})
	}
}

// TestAClientLeavesWhileTheStatusIsAwaited hangs up in between.
func TestAClientLeavesWhileTheStatusIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.up.pod.Status = runningAs("c1")
		conn, s := r.open(true)
		s.exit(137)
		time.Sleep(podAgain / 2)
		begun := time.Now()
		conn.control(t, map[string]any{"type": "close"})
		r.free()
		if took := time.Since(begun); took != 0 || r.endReason() != "client_close" {
			t.Errorf("%q after %v", r.endReason(), took)
		}
		if end := r.audit.of(audit.ExecEnd, audit.Completed)[0]; end.Extra["ended"] != endedVerified {
			t.Errorf("audit %v", end.Extra)
		}
	})
}
