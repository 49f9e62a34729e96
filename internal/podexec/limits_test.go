package podexec

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// between fails unless at least limit has passed since begun, and not much more:
// the timers are looked at once in a while.
func between(t *testing.T, begun time.Time, limit time.Duration) {
	t.Helper()
	if took := time.Since(begun); took < limit || took > limit+2*keepTick {
		t.Errorf("it took %v, want %v", took, limit)
	}
}

// TestASilentClientIsGone in two heartbeats, or in the page's own time.
func TestASilentClientIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		v2            bool
		set, silently time.Duration
	}{
		"plain":         {false, 20 * time.Second, 40 * time.Second},
		"plain, faster": {false, 5 * time.Second, 10 * time.Second},
		"v2":            {true, 20 * time.Second, v2Gone},
		"v2, faster":    {true, 5 * time.Second, v2Gone},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.set.Heartbeat = c.set
				conn, _ := r.open(c.v2)
				conn.mute.Store(true)
				begun := time.Now()
				r.free()
				between(t, begun, c.silently)
				if got := r.endReason(); got != string(HeartbeatTimeout) {
					t.Errorf("ended by %s", got)
				}
			})
		})
	}
}

// TestAStalledClientHasItsTime: while a write to it waits, its silence does not
// count, but the wait has an end.
func TestAStalledClientHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(false)
		conn.toClient = make(chan message) // nobody takes anything any more
		conn.mute.Store(true)
		if _, err := s.feed.Write([]byte("never read")); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		r.ss.wg.Wait()
		between(t, begun, stallLimit)
		if got := r.endReason(); got != string(HeartbeatTimeout) {
			t.Errorf("ended by %s", got)
		}
	})
}

// TestAFirstFrameThatDoesNotCome is not waited for.
func TestAFirstFrameThatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 15 * time.Second
		conn, begun := newPipeConn(), time.Now()
		if _, err := Opening(conn, &Request{}, limit); fault.KindOf(err) != fault.Protocol {
			t.Errorf("got %v", err)
		}
		between(t, begun, limit)
		if conn.send(false, `{"type":"open"}`) {
			t.Error("the connection still stands")
		}
	})
}

// TestTheContainerToEnter: the one named, of whatever kind, else the one that the
// pod's owner annotated, else the first.
func TestTheContainerToEnter(t *testing.T) {
	for name, c := range map[string]struct {
		annotated, named, want string // an empty want: there is none
	}{
		"nothing said":              {"", "", "app"},
		"annotated":                 {"side", "", "side"},
		"annotated, an init one":    {"setup", "", "setup"},
		"annotated, none such":      {"nope", "", "app"},
		"named":                     {"", "side", "side"},
		"named beside annotated":    {"side", "app", "app"},
		"named, an init one":        {"", "setup", "setup"},
		"named, an ephemeral one":   {"", "debugger", "debugger"},
		"named, none such":          {"side", "nope", ""},
		"named in another spelling": {"", "App", ""},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "web"},
				Spec: corev1.PodSpec{
					InitContainers:      []corev1.Container{{Name: "setup"}},
					Containers:          []corev1.Container{{Name: "app"}, {Name: "side"}},
					EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debugger"}}},
				},
			}
			if c.annotated != "" {
				pod.Annotations = map[string]string{"kubectl.kubernetes.io/default-container": c.annotated}
			}
			got, err := pickContainer(pod, c.named)
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if missing := c.want == ""; missing != (fault.KindOf(err) == fault.NotFound) || missing && !strings.Contains(fault.PublicOf(err), "app, side, setup, debugger") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestAPodWithoutContainers is no apiserver's.
func TestAPodWithoutContainers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.up.pod.Spec = corev1.PodSpec{}
		for _, name := range []string{"", "app"} {
			req := r.request()
			req.Container = name
			_, err := r.ss.Admit(t.Context(), req)
			if fault.KindOf(err) != fault.ClusterUnreachable || !strings.Contains(fault.PublicOf(err), "is not a Kubernetes apiserver") {
				t.Errorf("container %q: %v", name, err)
			}
		}
		r.free()
	})
}

// TestAShellThatDoesNotStart has a stream that stands and a shell that never
// reports: it is hung up on, and the client told that it took too long.
func TestAShellThatDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		req, begun := r.request(), time.Now()
		req.Command = nil
		conn, err := r.tryOpen(req)
		if err != nil {
			t.Fatal(err)
		}
		r.ss.wg.Wait()
		between(t, begun, dialLimit)
		if heard := (<-r.streams).goodbye(); !strings.HasPrefix(heard, "\x03\x1c\x04") {
			t.Errorf("a shell that starts later finds %q", heard)
		}
		_, frames := conn.drain()
		e := find(frames, "error")
		if e == nil || e["code"] != "E_TIMEOUT" || e["retryable"] != true || find(frames, "closed")["reason"] != string(ServerError) {
			t.Errorf("frames %v", frames)
		}
	})
}

// TestWhoLeavesBeforeTheShellOpens is no failure of the protocol: audit, log and
// metrics say that the wish was gone, or that the server was.
func TestWhoLeavesBeforeTheShellOpens(t *testing.T) {
	for want, leave := range map[string]func(*rig, *pipeConn){
		"E_GONE":          func(_ *rig, c *pipeConn) { c.Abort() },
		"E_SHUTTING_DOWN": func(r *rig, _ *pipeConn) { shutDown(r) },
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				left, program, how := make(chan struct{}), newScript(), endedUnverified
				if program.heeds = want == "E_GONE"; program.heeds {
					how = endedVerified
				}
				r.up.dial = func(transport.Request) (transport.Stream, error) {
					<-left
					return program, nil
				}
				conn, err := r.tryOpen(r.request())
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				time.AfterFunc(time.Second, func() { close(left) })
				leave(r, conn)
				r.free()
				got := r.audit.of(audit.ExecStart, audit.Completed)
				if len(got) != 1 || got[0].Outcome != audit.Failure || got[0].Extra["error"] != want || r.figure("periscope_exec_refusals_total", want) != 1 {
					t.Errorf("audit %+v", got)
				}
				if program.goodbye() != "\x03\x1c\x04" || got[0].Extra["ended"] != how {
					t.Errorf("the program heard %q, and was %v", program.goodbye(), got[0].Extra["ended"])
				}
			})
		})
	}
}

// TestAShutdownWaitsForNoOpening: an apiserver that says nothing holds it up no
// longer than a shell that cannot be ended does.
func TestAShutdownWaitsForNoOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.up.silent = true
		if _, err := r.tryOpen(r.request()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if took := shutDown(r); took != drainLimit {
			t.Errorf("it took %v", took)
		}
		r.free()
		got := r.audit.of(audit.ExecStart, audit.Completed)
		if len(got) != 1 || got[0].Outcome != audit.Failure || got[0].Extra["error"] != "E_SHUTTING_DOWN" {
			t.Errorf("audit %+v", got)
		}
	})
}

// TestAnEndThatHangs has a node that takes every exec that ends a shell, and never
// answers: each has its limit, and so have all of them.
func TestAnEndThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		openShells(r, 1, 1, func([]string, *script) {})
		s := r.ss.List(r.request().Actor)
		begun := time.Now()
		if err := r.ss.End(t.Context(), r.request().Actor, "req2", s[0].SessionID); err != nil {
			t.Fatal(err)
		}
		r.free()
		if took := time.Since(begun); took < nodeLimit || took > nodeLimit+endLimit+lastExitWait {
			t.Errorf("it took %v, want the try that is under way after %v", took, nodeLimit)
		}
	})
}

// TestCommandsAreBounded tries both sides of each bound.
func TestCommandsAreBounded(t *testing.T) {
	many := func(n int, arg string) (argv []string) {
		for range n {
			argv = append(argv, arg)
		}
		return argv
	}
	for name, c := range map[string]struct {
		argv []string
		ok   bool
	}{
		"none":                {nil, true},
		"as many as may be":   {many(maxArgs, "a"), true},
		"one too many":        {many(maxArgs+1, "a"), false},
		"as long as may be":   {[]string{"a", strings.Repeat("b", maxCommand-1)}, true},
		"one byte too long":   {[]string{"a", strings.Repeat("b", maxCommand)}, false},
		"no program":          {[]string{"", "a"}, false},
		"an empty argument":   {[]string{"a", ""}, true},
		"a NUL":               {[]string{"a", "b\x00c"}, false},
		"long words together": {many(17, strings.Repeat("c", 1<<10)), false},
	} {
		if err := CheckCommand(c.argv); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		req := r.request()
		req.Command = many(maxArgs+1, "a")
		if _, err := r.ss.Admit(t.Context(), req); fault.KindOf(err) != fault.Invalid {
			t.Errorf("got %v", err)
		}
	})
}

// TestReplayBoundsWhatIsHeld has a program that prints to a client which takes
// nothing: the program waits once the buffer is full.
func TestReplayBoundsWhatIsHeld(t *testing.T) {
	for _, replay := range []int64{Window, 2 * Window, 8 * Window} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.set.Replay = replay
			conn, s := r.open(true)
			conn.toClient = make(chan message)
			var printed atomic.Int64
			go func() {
				for printed.Load() < 4*replay { // not for ever: what is discarded at the end takes no time here
					n, err := s.feed.Write(make([]byte, 1<<10))
					printed.Add(int64(n))
					if err != nil {
						return
					}
				}
			}()
			synctest.Wait()
			if n := printed.Load(); n > replay || n < replay-replay/4 {
				t.Errorf("%d KiB are held of %d", n>>10, replay>>10)
			}
			conn.Abort()
			r.ss.wg.Wait()
		})
	}
}

// TestTheUsersCapIsOverAllClusters and is held against the limit of the cluster
// that is asked for.
func TestTheUsersCapIsOverAllClusters(t *testing.T) {
	c, who := newCaps(), owner{"dev", "ada"}
	for range 5 {
		if free, _ := c.reserve(who, "dev", 5, 50); free == nil {
			t.Fatal("refused within the cap")
		}
	}
	if _, hit := c.reserve(who, "test", 5, 50); hit.which != capUser || hit.ofUser != 5 || hit.ofWhole != 0 {
		t.Errorf("in another cluster: %+v", hit)
	}
	if _, hit := c.reserve(who, "prod", 10, 50); hit.which != "" {
		t.Errorf("where ten may be: %+v", hit)
	}
	if _, hit := c.reserve(owner{"dev", "bob"}, "test", 5, 50); hit.which != "" {
		t.Errorf("somebody else: %+v", hit)
	}
}
