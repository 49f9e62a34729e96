package podexec

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
)

var (
	errNo     = fault.New(fault.Forbidden, "t", "ada may not.")
	errSilent = fault.New(fault.ClusterUnreachable, "t", "Nothing listens.")
)

// oracle is an apiserver that is asked about rights.
type oracle struct {
	*cluster

	mu      sync.Mutex
	says    func(ctx context.Context, pod string) error
	asked   []time.Time
	podSays error
	now     int // questions under way
	most    int
}

func (o *oracle) CheckExec(ctx context.Context, _, pod string) error {
	o.mu.Lock()
	o.asked = append(o.asked, time.Now())
	o.now++
	o.most = max(o.most, o.now)
	says := o.says
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		o.now--
		o.mu.Unlock()
	}()
	return says(ctx, pod)
}

func (o *oracle) Pod(ctx context.Context, ns, name string) (*corev1.Pod, error) {
	o.mu.Lock()
	err := o.podSays
	o.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return o.cluster.Pod(ctx, ns, name)
}

func (o *oracle) say(f func(context.Context, string) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.says = f
}

func (o *oracle) always(err error) { o.say(func(context.Context, string) error { return err }) }

// forget takes the questions asked so far.
func (o *oracle) forget() []time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	asked := o.asked
	o.asked = nil
	return asked
}

func (o *oracle) underWay() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now
}

// silent answers nothing until the one who asks gives up.
func silent(ctx context.Context, _ string) error {
	<-ctx.Done()
	return fault.Wrap(ctx.Err(), fault.Timeout, "t", "Too slow.")
}

// rightsRig has sessions that never are idle.
func rightsRig(t *testing.T) (*rig, *oracle) {
	r := newRig(t)
	o := &oracle{cluster: r.up}
	o.always(nil)
	r.set.ServerIdle = 24 * time.Hour
	r.set.MaxSessionsPerUser, r.set.MaxSessionsTotal = 5000, 5000
	r.upstream = o
	return r, o
}

// closedFrame is what the client was told last.
func lastWords(t *testing.T, conn *pipeConn) (closed, fault map[string]any) {
	t.Helper()
	_, frames := conn.drain()
	if closed = find(frames, "closed"); closed == nil {
		t.Fatalf("no closed frame in %v", frames)
	}
	return closed, find(frames, "error")
}

func TestALostRightEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := rightsRig(t)
		conn, _ := r.open(true)
		time.Sleep(10 * time.Minute)
		if _, frames := conn.drain(); find(frames, "closed") != nil {
			t.Fatalf("a session whose right stands was ended: %v", frames)
		}
		o.always(errNo)
		lost := time.Now()
		r.free()
		if took := time.Since(lost); took > time.Minute {
			t.Errorf("ended after %v", took)
		}
		closed, e := lastWords(t, conn)
		if closed["reason"] != "forbidden" || conn.closeCode() != 1008 || e["code"] != "E_FORBIDDEN" ||
			!strings.Contains(closed["message"].(string), "taken away") || !strings.Contains(closed["message"].(string), "ada may not.") {
			t.Errorf("closed %v with %d, error %v", closed, conn.closeCode(), e)
		}
		if end := r.audit.of(audit.ExecEnd, audit.Completed)[0]; end.Outcome != audit.Denied || r.endReason() != "forbidden" {
			t.Errorf("audit %+v", end)
		}
	})
}

// TestNoAnswerIsNoNo takes answers away in every way but a no.
func TestNoAnswerIsNoNo(t *testing.T) {
	for name, says := range map[string]func(context.Context, string) error{
		"refused":     func(context.Context, string) error { return errSilent },
		"silent":      silent,
		"overloaded":  func(context.Context, string) error { return fault.New(fault.RateLimited, "t", "Busy.") },
		"not a fault": func(context.Context, string) error { return errors.New("?") },
		"a proxy's 403": func(context.Context, string) error {
			f := fault.New(fault.Forbidden, "t", "You may not.")
			f.Status = metav1.Status{Code: 403, Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: metav1.CauseTypeUnexpectedServerResponse}}}}
			return f
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, o := rightsRig(t)
				conn, s := r.open(true)
				s.onIn = func(p []byte) { s.feed.Write(p) }
				time.Sleep(3 * time.Minute)
				o.say(says)
				down := time.Now()
				time.Sleep(unansweredLimit - time.Second)
				conn.send(true, "still here")
				time.Sleep(time.Second)
				if out, frames := conn.drain(); string(out) != "still here" || find(frames, "closed") != nil {
					t.Fatalf("output %q, frames %v", out, frames)
				}
				r.free()
				if took := time.Since(down); took > 6*time.Minute || took < 5*time.Minute {
					t.Errorf("ended after %v", took)
				}
				closed, e := lastWords(t, conn)
				if closed["reason"] != "server_error" || conn.closeCode() != 1011 || e["code"] != "E_CLUSTER_UNREACHABLE" ||
					!strings.Contains(closed["message"].(string), "has not said whether you may") {
					t.Errorf("closed %v with %d, error %v", closed, conn.closeCode(), e)
				}
				if end := r.audit.of(audit.ExecEnd, audit.Completed)[0]; end.Outcome != audit.Failure {
					t.Errorf("audit %+v", end)
				}
			})
		})
	}
}

func TestAnAnswerInBetweenCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := rightsRig(t)
		conn, _ := r.open(true)
		for range 5 {
			o.always(errSilent)
			time.Sleep(unansweredLimit - 40*time.Second) // the cluster is back before the limit, and is asked in time
			o.always(nil)
			time.Sleep(rightsEvery)
		}
		if _, frames := conn.drain(); find(frames, "closed") != nil {
			t.Errorf("frames %v", frames)
		}
		r.leave(conn)
	})
}

// openFor starts a session in a pod of that name without waiting for anything.
func (r *rig) openFor(a identity.Actor, pod string) *pipeConn {
	r.t.Helper()
	req := r.request()
	req.Actor, req.Pod = a, pod
	ticket, err := r.ss.Admit(r.t.Context(), req)
	if err != nil {
		r.t.Fatalf("Admit: %v", err)
	}
	conn := newPipeConn()
	r.ss.Serve(ticket, conn, true)
	return conn
}

// TestAThousandDoNotAskAtOnce opens as many shells in one moment, each in a pod
// of its own.
func TestAThousandDoNotAskAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shells = 1000
		r, o := rightsRig(t)
		r.streams = make(chan *script, shells)
		o.say(func(context.Context, string) error { time.Sleep(20 * time.Millisecond); return nil })
		var conns []*pipeConn
		var mu sync.Mutex
		var opening sync.WaitGroup
		for i := range shells {
			opening.Go(func() {
				c := r.openFor(ada, fmt.Sprintf("web-%d", i))
				mu.Lock()
				defer mu.Unlock()
				conns = append(conns, c)
			})
		}
		opening.Wait()
		o.mu.Lock()
		o.asked, o.most = nil, 0
		o.mu.Unlock()
		begun := time.Now()
		time.Sleep(time.Minute)
		asked := o.forget()
		bySecond := map[int]int{}
		for _, at := range asked {
			bySecond[int(at.Sub(begun)/time.Second)]++
		}
		for second, n := range bySecond {
			if n > shells/8 {
				t.Errorf("%d of %d questions in second %d", n, shells, second)
			}
		}
		o.mu.Lock()
		if len(asked) < shells || o.most > askers {
			t.Errorf("%d questions in a minute, %d at a time", len(asked), o.most)
		}
		o.mu.Unlock()
		r.leave(conns...)
	})
}

func TestOneQuestionForAllShellsOfOnePersonInOnePod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := rightsRig(t)
		bob := identity.Actor{Issuer: "dev", Subject: "bob", As: identity.Impersonation{User: "bob"}}
		ops := ada
		ops.As = identity.Impersonation{User: "ada", Groups: []string{"ops"}}
		one := ada
		one.As = identity.Impersonation{User: "ada"}
		var conns []*pipeConn
		for range 20 {
			conns = append(conns, r.openFor(one, "web"))
		}
		conns = append(conns, r.openFor(bob, "web"), r.openFor(ops, "web"), r.openFor(one, "db"))
		o.forget()
		time.Sleep(rightsEvery)
		if got := len(o.forget()); got < 4 || got > 8 {
			t.Errorf("%d questions in a minute about 4 rights", got)
		}
		r.leave(conns[1:]...)
		if len(r.ss.rights.held) != 0 {
			t.Errorf("%d rights are left", len(r.ss.rights.held))
		}
	})
}

// TestSlowAnswersHoldNothingUp lets every question hang while bytes flow.
func TestSlowAnswersHoldNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := rightsRig(t)
		conn, s := r.open(true)
		s.onIn = func(p []byte) { s.feed.Write(p) }
		o.say(silent)
		for range 180 {
			sent := time.Now()
			conn.send(true, "x")
			synctest.Wait()
			if out, _ := conn.drain(); string(out) != "x" || time.Since(sent) != 0 {
				t.Fatalf("%q came after %v", out, time.Since(sent))
			}
			time.Sleep(time.Second)
		}
		for o.underWay() == 0 {
			time.Sleep(time.Second)
		}
		conn.control(t, map[string]any{"type": "close"})
		begun := time.Now()
		r.free()
		if time.Since(begun) > askLimit/4 {
			t.Errorf("a question under way held up the end by %v", time.Since(begun))
		}
	})
}

// TestAPodReplacedUnderItsName leaves the stream hanging, as a lost node does.
func TestAPodReplacedUnderItsName(t *testing.T) {
	now := metav1.Now()
	for name, c := range map[string]struct {
		change func(*corev1.Pod, *oracle)
		reason string // empty: it lives on
	}{
		"replaced":         {func(p *corev1.Pod, _ *oracle) { p.UID = "u2" }, "pod_deleted"},
		"gone":             {func(_ *corev1.Pod, o *oracle) { o.podSays = fault.New(fault.NotFound, "t", "No.") }, "pod_deleted"},
		"restarted":        {func(p *corev1.Pod, _ *oracle) { p.Status = runningAs("c2") }, "container_exit"},
		"not running":      {func(p *corev1.Pod, _ *oracle) { p.Status = corev1.PodStatus{} }, "container_exit"},
		"being deleted":    {func(p *corev1.Pod, _ *oracle) { p.DeletionTimestamp = &now }, ""},
		"ended by that":    {func(p *corev1.Pod, _ *oracle) { p.DeletionTimestamp = &now; p.Status = corev1.PodStatus{} }, "pod_deleted"},
		"not to be read":   {func(_ *corev1.Pod, o *oracle) { o.podSays = errNo }, ""},
		"cannot be asked":  {func(_ *corev1.Pod, o *oracle) { o.podSays = errSilent }, ""},
		"other containers": {func(p *corev1.Pod, _ *oracle) { p.Status.ContainerStatuses[0].RestartCount = 3 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, o := rightsRig(t)
				r.up.pod.Status = runningAs("c1")
				conn, _ := r.open(true)
				changed := r.up.pod.DeepCopy()
				o.mu.Lock()
				r.up.mu.Lock()
				c.change(changed, o)
				r.up.pod = changed
				r.up.mu.Unlock()
				o.mu.Unlock()
				time.Sleep(rightsEvery + 2*time.Second)
				_, frames := conn.drain()
				closed := find(frames, "closed")
				if c.reason == "" {
					if closed != nil {
						t.Errorf("closed %v", closed)
					}
					r.leave(conn)
					return
				}
				if closed == nil || closed["reason"] != c.reason {
					t.Fatalf("closed %v", closed)
				}
				r.free()
				if r.up.dialled() != 1 {
					t.Error("a control exec went into what bears the name now")
				}
			})
		})
	}
}
