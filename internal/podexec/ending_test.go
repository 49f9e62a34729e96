package podexec

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// openShells opens default shells in one container, of so many users in turn. Each
// reports a process of its own; the execs that end shells are answered by end.
func openShells(r *rig, n, users int, end func(words []string, s *script)) {
	r.t.Helper()
	var pid atomic.Int64
	r.set.MaxSessionsPerUser, r.set.MaxSessionsTotal = n, n
	r.up.dial = func(req transport.Request) (transport.Stream, error) {
		s, last := newScript(), req.Command[len(req.Command)-1]
		if req.Stdin {
			go fmt.Fprintf(s.feed, "\x01periscope:%s:%d:777:bash\x02$ ", last, 100+pid.Add(1))
		} else {
			go end(strings.Fields(last), s)
		}
		return s, nil
	}
	for i := range n {
		req := r.request()
		req.Command, req.Actor.As.User = nil, fmt.Sprint("user", i%users)
		ticket, err := r.ss.Admit(r.t.Context(), req)
		if err != nil {
			r.t.Fatal(err)
		}
		go r.ss.Serve(ticket, newPipeConn(), true)
	}
	synctest.Wait()
}

// shutDown stops the sessions and returns how long that took.
func shutDown(r *rig) time.Duration {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	cancel()
	begun := time.Now()
	if err := r.ss.Run(ctx); err != nil {
		r.t.Fatal(err)
	}
	r.free()
	if n := len(r.ss.enders.queues); n != 0 {
		r.t.Errorf("%d queues are left", n)
	}
	return time.Since(begun)
}

// TestShellsOfOneContainerEndTogether counts the execs that a hundred need: one
// for the first, which takes its time, the others by as many as one takes.
func TestShellsOfOneContainerEndTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shells = 100
		r := newRig(t)
		openShells(r, shells, 1, func(words []string, s *script) {
			time.Sleep(10 * time.Millisecond)
			for _, w := range words[1:] {
				fmt.Fprintf(s.feed, "%s gone\n", w)
			}
			fmt.Fprintf(s.feed, "%s left 2\n", words[0])
			s.exit(0)
		})
		shutDown(r)
		execs := r.up.dialled() - shells
		if want := 1 + (shells-1+maxTogether-1)/maxTogether; execs != want {
			t.Errorf("%d execs ended %d shells, want %d", execs, shells, want)
		}
		left := 0
		for _, e := range r.audit.of(audit.ExecEnd, audit.Completed) {
			switch e.Extra["ended"] {
			case endedLeft:
				left++
			case endedUnverified:
				t.Errorf("end event %v", e.Extra)
			}
		}
		if left != execs {
			t.Errorf("%d shells were told that something is left, want %d", left, execs)
		}
	})
}

// TestManyUsersTakeTurns ends the shells that many users have in one container:
// however many they are, the node has few commands to start and few that end.
func TestManyUsersTakeTurns(t *testing.T) {
	for _, users := range []int{10, 100} {
		synctest.Test(t, func(t *testing.T) {
			const shells = 100
			r := newRig(t)
			var execs, ending atomic.Int64
			openShells(r, shells, users, func(words []string, s *script) {
				if e, n := execs.Add(1), ending.Add(int64(len(words))); e > maxEndings || n > maxTogether {
					t.Errorf("%d execs end %d shells at a time, want at most %d and %d", e, n, maxEndings, maxTogether)
				}
				time.Sleep(10 * time.Millisecond)
				execs.Add(-1)
				ending.Add(int64(-len(words)))
				for _, w := range words {
					fmt.Fprintf(s.feed, "%s gone\n", w)
				}
				s.exit(0)
			})
			shutDown(r)
			verified := 0
			for _, e := range r.audit.of(audit.ExecEnd, audit.Completed) {
				if e.Extra["ended"] == endedVerified {
					verified++
				}
			}
			if verified != shells {
				t.Errorf("%d of %d shells of %d users were ended", verified, shells, users)
			}
		})
	}
}

// TestAStuckNodeDelaysNoShutdown ends shells on a node that runs no command any
// more: one exec waits, and then it is time to go.
func TestAStuckNodeDelaysNoShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shells = 24
		r := newRig(t)
		openShells(r, shells, 1, func([]string, *script) {})
		if took := shutDown(r); took > drainLimit+lastExitWait {
			t.Errorf("the shutdown took %v", took)
		}
		for _, e := range r.audit.of(audit.ExecEnd, audit.Completed) {
			if e.Extra["ended"] != endedUnverified {
				t.Errorf("end event %v", e.Extra)
			}
		}
	})
}
