package podexec

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/audit"
)

// TestHeartbeat counts pings: a plain client gets one each interval that was
// set, a v2 client one each ten seconds at least.
func TestHeartbeat(t *testing.T) {
	for name, c := range map[string]struct {
		v2   bool
		set  time.Duration
		want int64 // in a little over a minute
	}{
		"plain":         {false, 20 * time.Second, 3},
		"plain, faster": {false, 5 * time.Second, 12},
		"v2":            {true, 20 * time.Second, 6},
		"v2, faster":    {true, 5 * time.Second, 12},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.set.Heartbeat = c.set
				conn, _ := r.open(c.v2)
				time.Sleep(time.Minute + 1500*time.Millisecond)
				if n := conn.pings.Load(); n != c.want {
					t.Errorf("%d pings, want %d", n, c.want)
				}
				r.leave(conn)
			})
		})
	}
}

// TestEndsFromOutside ends the login, the container and the pod under a shell.
func TestEndsFromOutside(t *testing.T) {
	for want, end := range map[Reason]func(r *rig, login chan struct{}, s *script){
		Unauthorized: func(_ *rig, login chan struct{}, _ *script) { close(login) },
		ContainerExit: func(r *rig, _ chan struct{}, s *script) {
			r.up.runs("another")
			s.exit(137)
		},
		PodDeleted: func(r *rig, _ chan struct{}, s *script) {
			r.up.mu.Lock()
			r.up.pod = r.up.pod.DeepCopy()
			r.up.pod.DeletionTimestamp = &metav1.Time{Time: time.Now()}
			r.up.mu.Unlock()
			s.exit(137)
		},
	} {
		t.Run(string(want), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.up.runs("one")
				login := make(chan struct{})
				req := r.request()
				req.Login.Done = login
				conn, err := r.tryOpen(req)
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				end(r, login, <-r.streams)
				r.free()
				if got := r.endReason(); got != string(want) || conn.closeCode() != want.CloseCode() {
					t.Errorf("ended by %s with %d, want %s with %d", got, conn.closeCode(), want, want.CloseCode())
				}
				denied := r.audit.of(audit.ExecEnd, audit.Completed)[0].Outcome == audit.Denied
				if denied != (want == Unauthorized) {
					t.Errorf("denied: %v", denied)
				}
			})
		})
	}
}

// runs has the pod's container run under that id.
func (c *cluster) runs(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pod = c.pod.DeepCopy()
	c.pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "app", ContainerID: id, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}
}
