package podexec

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/podexec/transport"
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
		"the container ended":       {137, func(p *corev1.Pod) { p.Status = corev1.PodStatus{} }, 2100 * time.Millisecond, ContainerExit, 2600 * time.Millisecond},
		"it runs again":             {137, func(p *corev1.Pod) { p.Status = runningAs("c2") }, 2100 * time.Millisecond, ContainerExit, 2600 * time.Millisecond},
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

// shellOn opens a default shell whose container answers each exec that is to end it
// by answer, which may refuse the dial.
func shellOn(r *rig, kind transport.Kind, answer func(word string, s *script) error) (*pipeConn, *script) {
	r.t.Helper()
	shell := newScript()
	shell.kind = kind
	r.up.dial = func(req transport.Request) (transport.Stream, error) {
		last := req.Command[len(req.Command)-1]
		if req.Stdin {
			go fmt.Fprintf(shell.feed, "\x01periscope:%s:42:777:bash\x02", last)
			return shell, nil
		}
		s := newScript()
		return s, answer(last, s)
	}
	req := r.request()
	req.Command = nil
	ticket, err := r.ss.Admit(r.t.Context(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	conn := newPipeConn()
	r.ss.Serve(ticket, conn, true)
	synctest.Wait()
	if _, frames := conn.drain(); find(frames, "hello") == nil {
		r.t.Fatalf("no hello in %v", frames)
	}
	return conn, shell
}

// says answers each ending exec by one line about the shell.
func says(what string) func(string, *script) error {
	return func(word string, s *script) error {
		go func() {
			fmt.Fprintf(s.feed, "%s %s\n", word, what)
			s.exit(0)
		}()
		return nil
	}
}

func refuses(err error) func(string, *script) error {
	return func(string, *script) error { return err }
}

// TestAZeroThatMayBeALie has the stream say exit code 0, as an apiserver does that
// has lost the node, and the container say what it knows.
func TestAZeroThatMayBeALie(t *testing.T) {
	down := fault.New(fault.ClusterUnreachable, "t", "Nothing listens.")
	garbled := fault.Wrap(transport.ErrUnreadable, fault.ClusterUnreachable, "t", "Who knows.")
	zero := 0
	for name, c := range map[string]struct {
		kind   transport.Kind
		answer func(word string, s *script) error
		pod    func(*corev1.Pod)
		reason Reason
		exit   *int
		ended  ended
		took   time.Duration // at most, to the end event
	}{
		"it had ended":          {"ws", says("absent"), nil, Exited, &zero, endedVerified, 0},
		"it was alive":          {"ws", says("gone"), nil, ServerError, nil, endedVerified, 0},
		"something is left":     {"ws", says("left 2"), nil, ServerError, nil, endedLeft, 0},
		"the node is down":      {"ws", refuses(down), nil, ServerError, nil, endedUnverified, nodeLimit},
		"the node says nothing": {"ws", func(string, *script) error { return nil }, nil, ServerError, nil, endedUnverified, nodeLimit + 2*endLimit},
		"its stream breaks":     {"ws", func(_ string, s *script) error { go s.fail(down); return nil }, nil, ServerError, nil, endedUnverified, nodeLimit},
		"its stream is garbled": {"ws", func(_ string, s *script) error { go s.fail(garbled); return nil }, nil, ServerError, nil, endedUnverified, nodeLimit},
		"it lies about both":    {"ws", func(_ string, s *script) error { go s.exit(0); return nil }, nil, ServerError, nil, endedUnverified, nodeLimit},
		"no right to ask":       {"ws", refuses(errNo), nil, Exited, &zero, endedUnverified, 0},
		"the pod went":          {"ws", refuses(fault.New(fault.Gone, "t", "Gone.")), func(p *corev1.Pod) { p.UID = "u2" }, PodDeleted, nil, endedVerified, 0},
		"SPDY does not lie":     {"spdy", refuses(errors.New("asked")), nil, Exited, &zero, endedVerified, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				conn, shell := shellOn(r, c.kind, c.answer)
				if c.pod != nil {
					r.up.changePod(c.pod)
				}
				begun := time.Now()
				shell.exit(0)
				r.free()
				if took := time.Since(begun); took > c.took {
					t.Errorf("took %v", took)
				}
				closed, e := lastWords(t, conn)
				if closed["reason"] != string(c.reason) || r.endReason() != string(c.reason) {
					t.Errorf("closed %v, audit %q", closed, r.endReason())
				}
				if (c.reason == ServerError) != (e != nil && e["code"] == "E_CLUSTER_UNREACHABLE" && strings.Contains(closed["message"].(string), "was lost")) {
					t.Errorf("closed %v, error %v", closed, e)
				}
				extra := r.audit.of(audit.ExecEnd, audit.Completed)[0].Extra
				if code := extra["exit_code"].(*int); (code == nil) != (c.exit == nil) || extra["ended"] != c.ended || (closed["exitCode"] == nil) != (c.exit == nil) {
					t.Errorf("closed %v, audit %v", closed, extra)
				}
			})
		})
	}
}

// TestAZeroThatComesAfterTheEnd was chosen may be a lie as well: it is no exit code
// where the node gives no answer.
func TestAZeroThatComesAfterTheEnd(t *testing.T) {
	down := fault.New(fault.ClusterUnreachable, "t", "Nothing listens.")
	for name, c := range map[string]struct {
		kind   transport.Kind
		answer func(word string, s *script) error
		code   int
		known  bool
	}{
		"the node is down":      {transport.WebSocket, refuses(down), 0, false},
		"the node says nothing": {transport.WebSocket, func(string, *script) error { return nil }, 0, false},
		"it lies about both":    {transport.WebSocket, func(_ string, s *script) error { go s.exit(0); return nil }, 0, false},
		"it had ended":          {transport.WebSocket, says("absent"), 0, true},
		"no right to ask":       {transport.WebSocket, refuses(errNo), 0, true},
		"another code":          {transport.WebSocket, refuses(down), 7, true},
		"SPDY does not lie":     {transport.SPDY, refuses(down), 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				conn, shell := shellOn(r, c.kind, c.answer)
				time.AfterFunc(time.Second/2, func() { shell.exit(c.code) })
				r.leave(conn)
				extra := r.audit.of(audit.ExecEnd, audit.Completed)[0].Extra
				if code := extra["exit_code"].(*int); (code != nil) != c.known || code != nil && *code != c.code {
					t.Errorf("audit %v", extra)
				}
			})
		})
	}
}

// TestANodeThatComesBack answers nothing for some seconds, as when a kubelet is
// restarted, whatever the end.
func TestANodeThatComesBack(t *testing.T) {
	down := fault.New(fault.ClusterUnreachable, "t", "Nothing listens.")
	for name, leave := range map[string]func(*testing.T, *pipeConn, *script){
		"lost":   func(_ *testing.T, _ *pipeConn, s *script) { s.fail(down) },
		"closed": func(t *testing.T, c *pipeConn, _ *script) { c.control(t, map[string]any{"type": "close"}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				back := time.Now().Add(4 * time.Second)
				conn, shell := shellOn(r, transport.WebSocket, func(word string, s *script) error {
					if time.Now().Before(back) {
						return down
					}
					return says("gone")(word, s)
				})
				leave(t, conn, shell)
				synctest.Wait()
				if lastWords(t, conn); time.Now().After(back) {
					t.Error("the client waited for the node")
				}
				r.free()
				if extra := r.audit.of(audit.ExecEnd, audit.Completed)[0].Extra; extra["ended"] != endedVerified {
					t.Errorf("audit %v", extra)
				}
			})
		})
	}
}

// lostNode is what the control plane makes of a pod whose node has gone silent.
func lostNode(p *corev1.Pod) {
	p.Spec.NodeName = "node-7"
	p.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodReady, Status: corev1.ConditionFalse}, {Type: corev1.ContainersReady, Status: corev1.ConditionTrue},
	}
}

func TestNodeSilent(t *testing.T) {
	long, lately := metav1.NewTime(time.Now().Add(-time.Hour)), metav1.NewTime(time.Now().Add(-time.Second))
	ready := func(pod, containers corev1.ConditionStatus, reason string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{
				{Type: corev1.ContainersReady, Status: containers}, {Type: corev1.PodReady, Status: pod, Reason: reason},
			}
		}
	}
	for name, c := range map[string]struct {
		pod  func(*corev1.Pod)
		want bool
	}{
		"nothing is known":       {func(*corev1.Pod) {}, false},
		"ready":                  {ready("True", "True", ""), false},
		"no container is ready":  {ready("False", "False", "ContainersNotReady"), false},
		"a gate is closed":       {ready("False", "True", notReadyGates), false},
		"the node is silent":     {ready("False", "True", ""), true},
		"it is being deleted":    {func(p *corev1.Pod) { p.DeletionTimestamp = &lately }, false},
		"it should be gone":      {func(p *corev1.Pod) { p.DeletionTimestamp = &long }, true},
		"as the controller does": {lostNode, true},
	} {
		pod := &corev1.Pod{}
		if c.pod(pod); nodeSilent(pod) != c.want {
			t.Errorf("%s: %t", name, !c.want)
		}
	}
}

// TestASilentNodeIsKnockedAt leaves the streams standing, as an apiserver does that
// translates them, while the pod says that its node is silent.
func TestASilentNodeIsKnockedAt(t *testing.T) {
	down := fault.New(fault.ClusterUnreachable, "t", "Nothing listens.")
	garbled := fault.Wrap(transport.ErrUnreadable, fault.ClusterUnreachable, "t", "Who knows.")
	for name, c := range map[string]struct {
		answer func(string, *script) error
		lives  bool
	}{
		"it is not there":   {refuses(down), false},
		"it says nothing":   {func(string, *script) error { return nil }, false},
		"its stream breaks": {func(_ string, s *script) error { go s.fail(down); return nil }, false},
		"it answers":        {func(_ string, s *script) error { go s.exit(0); return nil }, true},
		"there is no sh":    {func(_ string, s *script) error { go s.fail(fault.New(fault.NoShell, "t", "No sh.")); return nil }, true},
		"it mumbles":        {func(_ string, s *script) error { go s.fail(garbled); return nil }, true},
		"it is busy":        {refuses(fault.New(fault.RateLimited, "t", "Busy.")), true},
		"nobody may":        {refuses(errNo), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _ := rightsRig(t)
				r.ss.Patience = time.Second
				conn, _ := shellOn(r, transport.WebSocket, c.answer)
				r.up.changePod(lostNode)
				lost := time.Now()
				if c.lives {
					time.Sleep(10 * time.Minute)
					if _, frames := conn.drain(); find(frames, "closed") != nil {
						t.Errorf("frames %v", frames)
					}
					if n := r.up.dialled() - 1; n < 5 || n > 20 {
						t.Errorf("knocked %d times in ten minutes", n)
					}
					r.leave(conn)
					return
				}
				r.free()
				if took := time.Since(lost); took > rightsEvery+knockLimit+3*endLimit {
					t.Errorf("ended after %v", took)
				}
				closed, e := lastWords(t, conn)
				if closed["reason"] != "server_error" || conn.closeCode() != 1011 || e["code"] != "E_CLUSTER_UNREACHABLE" ||
					!strings.HasPrefix(closed["message"].(string), "Node node-7 no longer answers") {
					t.Errorf("closed %v with %d, error %v", closed, conn.closeCode(), e)
				}
				if end := r.audit.of(audit.ExecEnd, audit.Completed)[0]; end.Outcome != audit.Failure || end.Extra["ended"] != endedUnverified {
					t.Errorf("audit %+v", end)
				}
			})
		})
	}
}

// TestAShellThatPrintsIsNotOnALostNode knocks in vain while output comes.
func TestAShellThatPrintsIsNotOnALostNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := rightsRig(t)
		conn, shell := shellOn(r, transport.WebSocket, func(string, *script) error { return nil })
		stop := make(chan struct{})
		go func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					fmt.Fprint(shell.feed, ".")
				}
			}
		}()
		r.up.changePod(lostNode)
		time.Sleep(5 * time.Minute)
		close(stop)
		if _, frames := conn.drain(); find(frames, "closed") != nil || r.up.dialled() < 3 {
			t.Errorf("%d dials, frames %v", r.up.dialled(), frames)
		}
		r.leave(conn)
	})
}

// TestNobodyWaitsForAKnock ends the last shell while a node is knocked at.
func TestNobodyWaitsForAKnock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := rightsRig(t)
		r.ss.Patience = time.Second
		conn, _ := shellOn(r, transport.WebSocket, func(word string, s *script) error {
			if word == ":" {
				return nil
			}
			return says("gone")(word, s)
		})
		r.up.changePod(lostNode)
		for r.up.dialled() == 1 {
			time.Sleep(time.Second)
		}
		begun := time.Now()
		conn.control(t, map[string]any{"type": "close"})
		r.free()
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
