package podexec

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

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

// TestTheGoodbye of a command of one's own, which no second exec can end: ^C, ^\ and
// ^D on a terminal, else the end of its stdin.
func TestTheGoodbye(t *testing.T) {
	for name, c := range map[string]struct {
		tty, heeds bool
		heard      string
		want       ended
	}{
		"a terminal":               {true, true, "\x03\x1c\x04", endedVerified},
		"a terminal, not listened": {true, false, "\x03\x1c\x04", endedUnverified},
		"a pipe":                   {false, true, "EOF", endedVerified},
		"a pipe, not listened":     {false, false, "EOF", endedUnverified},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				req := r.request()
				req.TTY = c.tty
				conn, err := r.tryOpen(req)
				if err != nil {
					t.Fatal(err)
				}
				program := <-r.streams
				synctest.Wait()
				program.mu.Lock()
				program.heeds = c.heeds
				program.mu.Unlock()
				r.leave(conn)
				if heard := program.goodbye(); heard != c.heard {
					t.Errorf("it heard %q", heard)
				}
				if got := r.audit.of(audit.ExecEnd, audit.Completed); len(got) != 1 || got[0].Extra["ended"] != c.want {
					t.Errorf("audit %+v", got)
				}
			})
		})
	}
}

// TestTheExitCodeOfWhatIsClosed is the program's own in audit and in the log, and null
// where it did not tell. Whoever closed it sees 0.
func TestTheExitCodeOfWhatIsClosed(t *testing.T) {
	for name, c := range map[string]struct {
		shell bool // of ours; else a command of one's own
		tells int  // how the program ends when it is to; negative: it does not tell
		want  any
	}{
		"a shell":               {true, 129, 129.0},
		"a shell, no answer":    {true, -1, nil},
		"a command":             {false, 130, 130.0},
		"a command, it goes on": {false, -1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				var log bytes.Buffer
				r.ss.Log = slog.New(slog.NewJSONHandler(&log, nil))
				var conn *pipeConn
				var program *script
				end := func() {
					if c.tells >= 0 {
						program.exit(c.tells)
					}
				}
				if c.shell {
					conn, program = shellOn(r, transport.WebSocket, func(word string, s *script) error {
						end()
						return says("gone")(word, s)
					})
				} else {
					conn, program = r.open(true)
					program.onIn = func([]byte) { end() }
				}
				r.leave(conn)
				if closed, _ := lastWords(t, conn); closed["reason"] != "client_close" || closed["exitCode"] != 0.0 {
					t.Errorf("closed %v", closed)
				}
				event, err := json.Marshal(r.audit.of(audit.ExecEnd, audit.Completed)[0].Extra)
				if err != nil {
					t.Fatal(err)
				}
				var extra map[string]any
				if err := json.Unmarshal(event, &extra); err != nil {
					t.Fatal(err)
				}
				line := logged(t, log.Bytes(), "exec.session.end")[0]
				if line["exit_code"] != c.want || extra["exit_code"] != c.want {
					t.Errorf("exit code %v in audit, %v in the log, want %v", extra["exit_code"], line["exit_code"], c.want)
				}
			})
		})
	}
}

// TestTheShellOfAPodsSystem opens a shell as the pod's operating system has it, and
// ends it: what reports no process is ended by its terminal alone.
func TestTheShellOfAPodsSystem(t *testing.T) {
	windows := []string{
		"cmd", "/d", "/s", "/c",
		"where /q pwsh 2>nul & if errorlevel 1 (where /q powershell 2>nul & if errorlevel 1 (cmd) else (powershell)) else (pwsh)",
	}
	for name, c := range map[string]struct {
		os      *corev1.PodOS
		command []string // the user's
		want    []string // nil: our sh
		shell   string
		ended   ended
	}{
		"not said":                    {shell: "bash", ended: endedVerified},
		"Linux":                       {os: &corev1.PodOS{Name: corev1.Linux}, shell: "bash", ended: endedVerified},
		"Windows":                     {os: &corev1.PodOS{Name: corev1.Windows}, want: windows, ended: endedUnverified},
		"Windows, a command of one's": {&corev1.PodOS{Name: corev1.Windows}, []string{"ipconfig"}, []string{"ipconfig"}, "ipconfig", endedUnverified},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.up.pod.Spec.OS = c.os
				shell := newScript()
				r.up.dial = func(req transport.Request) (transport.Stream, error) {
					last := req.Command[len(req.Command)-1]
					switch {
					case !req.Stdin:
						s := newScript()
						return s, says("gone")(last, s)
					case req.Command[0] == "sh":
						go fmt.Fprintf(shell.feed, "\x01periscope:%s:42:777:bash\x02> ", last)
					default:
						go fmt.Fprint(shell.feed, "> ")
					}
					return shell, nil
				}
				req := r.request()
				req.Command = c.command
				conn, err := r.tryOpen(req)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				out, frames := conn.drain()
				if h := find(frames, "hello"); h == nil || h["shell"] != c.shell || string(out) != "> " {
					t.Errorf("hello %v, output %q", h, out)
				}
				conn.control(t, map[string]any{"type": "close"})
				r.free()
				got := r.up.dials[0].Command
				if c.want == nil {
					got, c.want = got[:3], shellCommand("")[:3]
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("%q was run, want %q", got, c.want)
				}
				if how := r.audit.of(audit.ExecEnd, audit.Completed)[0].Extra["ended"]; how != c.ended {
					t.Errorf("ended: %v, want %v", how, c.ended)
				}
			})
		})
	}
}
