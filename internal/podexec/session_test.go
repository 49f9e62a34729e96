package podexec

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

func TestPlainEchoAndExitCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(false)
		s.onIn = func(p []byte) { s.feed.Write(p) }
		conn.send(true, "hello")
		synctest.Wait()
		if out, _ := conn.drain(); string(out) != "hello" {
			t.Errorf("echo %q", out)
		}
		s.exit(7)
		synctest.Wait()
		_, frames := conn.drain()
		closed := find(frames, "closed")
		if closed == nil || closed["reason"] != "completed" || closed["exitCode"] != 7.0 {
			t.Errorf("closed frame %v", closed)
		}
		if conn.closeCode() != 1000 {
			t.Errorf("close code %d", conn.closeCode())
		}
		r.free()
		end := r.audit.of(audit.ExecEnd, audit.Completed)[0]
		if end.Extra["bytes_stdin"] != int64(5) || end.Extra["bytes_stdout"] != int64(5) || end.Extra["ended"] != endedVerified {
			t.Errorf("end event %v", end.Extra)
		}
	})
}

func TestWindowHoldsToTheByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(true)
		go s.feed.Write(bytes.Repeat([]byte("x"), 1<<20))
		time.Sleep(time.Second)
		out, _ := conn.drain()
		if len(out) != Window {
			t.Fatalf("%d bytes unacknowledged, want exactly %d", len(out), Window)
		}
		conn.control(t, map[string]any{"type": "ack", "offset": 1000})
		time.Sleep(time.Second)
		if out, _ = conn.drain(); len(out) != 1000 {
			t.Errorf("%d bytes after an ack of 1000", len(out))
		}
		conn.control(t, map[string]any{"type": "close"})
		synctest.Wait()
		r.free()
	})
}

func TestAckFromTheFutureEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, _ := r.open(true)
		conn.control(t, map[string]any{"type": "ack", "offset": 1})
		time.Sleep(10 * time.Second)
		_, frames := conn.drain()
		if e := find(frames, "error"); e == nil || e["code"] != "E_PROTOCOL" {
			t.Errorf("frames %v", frames)
		}
		if conn.closeCode() != 1008 {
			t.Errorf("close code %d", conn.closeCode())
		}
		r.free()
	})
}

func TestStdinWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(true)
		s.mu.Lock()
		s.block = make(chan struct{})
		s.mu.Unlock()
		conn.send(true, strings.Repeat("x", StdinWindow))
		conn.control(t, map[string]any{"type": "ping", "id": 7})
		synctest.Wait()
		_, frames := conn.drain()
		if p := find(frames, "pong"); p == nil || p["id"] != 7.0 {
			t.Fatalf("a full window of stdin held back the pong: %v", frames)
		}
		close(s.block)
		synctest.Wait()
		_, frames = conn.drain()
		if a := find(frames, "stdin_ack"); a == nil {
			t.Fatalf("no stdin_ack: %v", frames)
		}
		s.mu.Lock()
		s.block = make(chan struct{})
		s.mu.Unlock()
		conn.send(true, strings.Repeat("y", StdinWindow+1))
		time.Sleep(10 * time.Second)
		if _, frames = conn.drain(); find(frames, "error") == nil {
			t.Errorf("one byte over the stdin window was taken: %v", frames)
		}
		r.free()
	})
}

// TestInterrupt floods a client that reads nothing, types ^C, and expects the
// newest output behind one announced gap, with every byte accounted for.
func TestInterrupt(t *testing.T) {
	for _, replay := range replays {
		t.Run(fmt.Sprint(replay>>10, " KiB kept"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { interruptFlood(t, replay) })
		})
	}
}

// replays are how much output is kept: the window and no more, which is the least,
// a little more, and what it is by default.
var replays = []int64{Window, Window + 8<<10, 256 << 10}

func interruptFlood(t *testing.T, replay int64) {
	r := newRig(t)
	r.set.Replay = replay
	conn, s := r.open(true)
	const flood = 8 << 20
	stopped := make(chan struct{})
	s.onIn = func([]byte) { close(stopped) }
	go func() {
		s.feed.Write(bytes.Repeat([]byte("y\n"), flood/2)) // what the cluster still holds
		<-stopped
		s.feed.Write([]byte("^C prompt$ "))
	}()
	time.Sleep(time.Second)
	first, _ := conn.drain()
	conn.send(true, "\x03")
	time.Sleep(3 * time.Second)
	conn.control(t, map[string]any{"type": "ack", "offset": len(first)})
	time.Sleep(time.Second)
	rest, frames := conn.drain()
	g := find(frames, "gap")
	if g == nil || g["why"] != "interrupt" {
		t.Fatalf("no gap: %v", frames)
	}
	if int(g["from"].(float64)) != len(first) {
		t.Errorf("gap from %v, %d bytes were sent", g["from"], len(first))
	}
	if !bytes.HasSuffix(rest, []byte("^C prompt$ ")) || len(rest) != keepOnInterrupt {
		t.Errorf("%d bytes after the gap, ending %q", len(rest), rest[max(0, len(rest)-20):])
	}
	if total := int(g["to"].(float64)) + len(rest); total != flood+len("^C prompt$ ") {
		t.Errorf("offsets reach %d, want %d", total, flood+len("^C prompt$ "))
	}
	s.exit(0)
	conn.control(t, map[string]any{"type": "ack", "offset": flood + len("^C prompt$ ")})
	synctest.Wait()
	r.free()
}

// TestInterruptOfAFloodThatStutters pauses in the middle of what the cluster
// still holds, as a busy machine does: it is left out all the same, unless
// something else was typed meanwhile, whose output it may be.
func TestInterruptOfAFloodThatStutters(t *testing.T) {
	const part = 4 << 20
	for name, meanwhile := range map[string]string{"nothing typed": "", "a command typed": "cat big\r"} {
		for _, replay := range replays {
			t.Run(fmt.Sprint(name, ", ", replay>>10, " KiB kept"), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t)
					r.set.Replay = replay
					conn, s := r.open(true)
					go func() {
						s.feed.Write(bytes.Repeat([]byte("y\n"), part/2))
						time.Sleep(4 * interruptPause)
						s.feed.Write(bytes.Repeat([]byte("z\n"), part/2))
						s.feed.Write([]byte("prompt$ "))
					}()
					time.Sleep(time.Second)
					conn.send(true, "\x03")
					time.Sleep(2 * interruptPause)
					if meanwhile != "" {
						conn.send(true, meanwhile)
					}
					time.Sleep(3 * time.Second)
					read := r.ss.List(r.request().Actor)[0].BytesOut
					if leftOut := read == int64(2*part+len("prompt$ ")); leftOut != (meanwhile == "") {
						t.Errorf("%d bytes were read for a client that acknowledges nothing", read)
					}
					conn.control(t, map[string]any{"type": "close"})
					synctest.Wait()
					r.free()
				})
			})
		}
	}
}

// TestAnInterruptByNumbers holds the interrupt rule to what api/terminal.md says of
// it: which keys count, how long a pause ends it, what it keeps, and its limit.
func TestAnInterruptByNumbers(t *testing.T) {
	for _, key := range []string{"\x03", "\x1a", "\x1c"} {
		t.Run(fmt.Sprintf("%q", key), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				conn, s := r.open(true)
				go s.feed.Write(bytes.Repeat([]byte("y\n"), 4<<20))
				time.Sleep(time.Second)
				first, _ := conn.drain()
				conn.send(true, key)
				conn.control(t, map[string]any{"type": "ack", "offset": len(first)})
				time.Sleep(49 * time.Millisecond)
				if out, frames := conn.drain(); len(out) != 0 || find(frames, "gap") != nil {
					t.Errorf("%d bytes and %v before output had paused for 50 ms", len(out), frames)
				}
				time.Sleep(20 * time.Millisecond)
				rest, frames := conn.drain()
				if g := find(frames, "gap"); g == nil || g["why"] != "interrupt" || g["to"] != float64(8<<20-64<<10) || len(rest) != 64<<10 {
					t.Errorf("gap %v and %d bytes, want the newest 64 KiB", g, len(rest))
				}
				conn.control(t, map[string]any{"type": "close"})
				r.free()
			})
		})
	}
	t.Run("no pause", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.set.Replay = Window // nothing is read ahead
			conn, s := r.open(true)
			var flood sync.WaitGroup
			flood.Go(func() {
				for line := bytes.Repeat([]byte("y\n"), 512); ; time.Sleep(time.Millisecond) {
					if _, err := s.feed.Write(line); err != nil {
						return
					}
				}
			})
			time.Sleep(time.Second)
			conn.send(true, "\x03")
			var read [3]int64
			for i, later := range []time.Duration{1950 * time.Millisecond, 70 * time.Millisecond, time.Minute} {
				time.Sleep(later)
				read[i] = r.ss.List(r.request().Actor)[0].BytesOut
			}
			if read[0] < 1950<<10 || read[1] <= read[0] || read[2] != read[1] {
				t.Errorf("%v bytes were read, want no more after 2 s", read)
			}
			conn.control(t, map[string]any{"type": "close"})
			r.free()
			flood.Wait()
		})
	})
}

// TestAPipeLosesNothing has a 0x03 in what is piped through while output waits for
// its client: without a terminal it is a byte like any other, and in plain mode
// nothing is left out at all.
func TestAPipeLosesNothing(t *testing.T) {
	const flood = 8 << 20
	want := make([]byte, flood)
	for i := range want {
		want[i] = at(int64(i))
	}
	for name, c := range map[string]struct{ v2, tty bool }{
		"no terminal":                {v2: true},
		"no terminal, in plain mode": {},
		"a terminal in plain mode":   {tty: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				req := r.request()
				req.TTY = c.tty
				ticket, err := r.ss.Admit(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				conn := newPipeConn()
				r.ss.Serve(ticket, conn, c.v2)
				s := <-r.streams
				synctest.Wait()
				conn.drain()
				for !c.v2 && conn.HasRoom() {
					conn.toClient <- message{binary: true} // only its socket holds output up
				}
				go s.feed.Write(want)
				time.Sleep(time.Second)
				conn.send(true, "\x00\x03\x01")
				time.Sleep(3 * time.Second)
				var got []byte
				for len(got) < flood {
					out, frames := conn.drain()
					if find(frames, "gap") != nil || len(got) > 0 && len(out) == 0 {
						t.Fatalf("after %d bytes %v", len(got), frames)
					}
					got = append(got, out...)
					if c.v2 {
						conn.control(t, map[string]any{"type": "ack", "offset": len(got)})
					}
					time.Sleep(2 * joinFor)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%d bytes are not what was printed", len(got))
				}
				conn.control(t, map[string]any{"type": "close"})
				r.free()
			})
		})
	}
}

func TestInterruptWithoutBacklogLeavesNothingOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(true)
		s.feed.Write([]byte("some output"))
		conn.send(true, "\x03")
		time.Sleep(3 * time.Second)
		out, frames := conn.drain()
		if string(out) != "some output" || find(frames, "gap") != nil {
			t.Errorf("out %q frames %v", out, frames)
		}
		conn.control(t, map[string]any{"type": "close"})
		synctest.Wait()
		r.free()
	})
}

func TestEndReasons(t *testing.T) {
	cases := map[string]struct {
		end    func(*testing.T, *rig, *pipeConn, *script)
		reason Reason
		code   int // 0: the socket was not closed in order
	}{
		"client close":   {func(t *testing.T, _ *rig, c *pipeConn, _ *script) { c.control(t, map[string]any{"type": "close"}) }, ClientClose, 1000},
		"lost":           {func(_ *testing.T, _ *rig, c *pipeConn, _ *script) { c.Abort() }, ClientLost, 0},
		"idle":           {func(*testing.T, *rig, *pipeConn, *script) { time.Sleep(11 * time.Minute) }, ServerIdle, 1000},
		"silent client":  {func(_ *testing.T, _ *rig, c *pipeConn, _ *script) { c.mute.Store(true); time.Sleep(time.Minute) }, HeartbeatTimeout, 1008},
		"broken stream":  {func(_ *testing.T, _ *rig, _ *pipeConn, s *script) { s.feed.CloseWithError(errors.New("reset")) }, ServerError, 1011},
		"garbage":        {func(_ *testing.T, _ *rig, c *pipeConn, _ *script) { c.send(false, "}{") }, ProtocolError, 1008},
		"frame of v2":    {func(_ *testing.T, _ *rig, c *pipeConn, _ *script) { c.send(false, `{"type":"ack","offset":0}`) }, ProtocolError, 1008},
		"ended normally": {func(_ *testing.T, _ *rig, _ *pipeConn, s *script) { s.exit(0) }, Exited, 1000},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				conn, s := r.open(false)
				c.end(t, r, conn, s)
				r.free()
				if got := r.endReason(); got != string(c.reason) {
					t.Errorf("audit says %s, want %s", got, c.reason)
				}
				if conn.closeCode() != c.code {
					t.Errorf("close code %d, want %d", conn.closeCode(), c.code)
				}
			})
		})
	}
}

func TestShutdownTellsEveryClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var conns []*pipeConn
		for range 5 {
			conn, _ := r.open(true)
			conns = append(conns, conn)
		}
		ctx, cancel := newContext(t)
		done := make(chan error, 1)
		go func() { done <- r.ss.Run(ctx) }()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		for _, conn := range conns {
			_, frames := conn.drain()
			if c := find(frames, "closed"); c == nil || c["reason"] != "shutdown" || c["retryAfterSeconds"] == nil {
				t.Errorf("closed %v", c)
			}
			if conn.closeCode() != 1012 {
				t.Errorf("close code %d", conn.closeCode())
			}
		}
		r.free()
		if _, err := r.ss.Admit(t.Context(), r.request()); fault.KindOf(err) != fault.ShuttingDown {
			t.Errorf("a new session during a shutdown: %v", err)
		}
	})
}

// TestIdleWarning: the warning comes as long before the end as was set, the end
// when the silence is over, and a byte of output begins a new silence.
func TestIdleWarning(t *testing.T) {
	for _, lead := range []time.Duration{30 * time.Second, 2 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.set.IdleWarn = lead
			conn, s := r.open(false)
			for range 2 {
				time.Sleep(r.set.ServerIdle - lead - 2*keepTick)
				if _, frames := conn.drain(); len(frames) != 0 {
					t.Fatalf("too early: %v", frames)
				}
				time.Sleep(3 * keepTick)
				_, frames := conn.drain()
				w := find(frames, "idle_warn")
				if w == nil || w["secondsRemaining"].(float64) > lead.Seconds() || w["secondsRemaining"].(float64) < lead.Seconds()-2 {
					t.Fatalf("frames %v", frames)
				}
				s.feed.Write([]byte("tick"))
				synctest.Wait()
				conn.drain()
			}
			time.Sleep(r.set.ServerIdle + 2*keepTick)
			r.free()
			if _, frames := conn.drain(); find(frames, "closed")["reason"] != string(ServerIdle) {
				t.Errorf("frames %v", frames)
			}
		})
	}
}

func TestCapsHoldUnderARace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var mu sync.Mutex
		var tickets []*Ticket
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				ticket, err := r.ss.Admit(t.Context(), r.request())
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					tickets = append(tickets, ticket)
				} else if fault.KindOf(err) != fault.CapUser {
					t.Errorf("refused with %v", err)
				}
			})
		}
		wg.Wait()
		if len(tickets) != r.set.MaxSessionsPerUser {
			t.Errorf("%d of 40 got through a cap of %d", len(tickets), r.set.MaxSessionsPerUser)
		}
		for _, ticket := range tickets {
			ticket.Discard()
			ticket.Discard() // twice frees once
		}
		r.free()
	})
}

func TestNoAuditNoShell(t *testing.T) {
	for name, recorded := range map[string]int{"not even the wish": 0, "the start": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.audit.fail, r.audit.after = errors.New("disk full"), recorded
				conn, err := r.tryOpen(r.request())
				if err != nil {
					t.Fatal(err)
				}
				r.free()
				_, frames := conn.drain()
				if e := find(frames, "error"); e == nil || e["code"] != "E_AUDIT_UNAVAILABLE" || find(frames, "hello") != nil {
					t.Errorf("frames %v", frames)
				}
				if n := r.up.dialled(); n != recorded {
					t.Errorf("the container was dialled %d times with %d audit records", n, recorded)
				}
				if recorded != 0 && (<-r.streams).goodbye() != "\x03\x1c\x04" {
					t.Error("the program was left in the container")
				}
				if n := r.figure("periscope_exec_refusals_total", "E_AUDIT_UNAVAILABLE"); n != 1 {
					t.Errorf("counted %v times", n)
				}
			})
		})
	}
}

func TestRefusalsAreAuditedAsDenied(t *testing.T) {
	r := newRig(t)
	r.up.deny = fault.New(fault.Forbidden, "t", "no")
	if _, err := r.ss.Admit(t.Context(), r.request()); fault.KindOf(err) != fault.Forbidden {
		t.Fatalf("Admit: %v", err)
	}
	got := r.audit.of(audit.ExecStart, audit.Completed)
	if len(got) != 1 || got[0].Outcome != audit.Denied {
		t.Errorf("events %v", got)
	}
}

func TestNoShell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.up.dial = func(transport.Request) (transport.Stream, error) {
			s := newScript()
			s.result.Err = fault.New(fault.NoShell, "t", "No sh.")
			s.feed.Close()
			return s, nil
		}
		req := r.request()
		req.Command = nil
		ticket, err := r.ss.Admit(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		conn := newPipeConn()
		r.ss.Serve(ticket, conn, true)
		synctest.Wait()
		_, frames := conn.drain()
		if e := find(frames, "error"); e == nil || e["code"] != "E_NO_SHELL" {
			t.Errorf("frames %v", frames)
		}
		if conn.closeCode() != 1011 || find(frames, "hello") != nil {
			t.Errorf("code %d, frames %v", conn.closeCode(), frames)
		}
		r.ss.wg.Wait()
		if got := r.audit.of(audit.ExecEnd, audit.Completed); len(got) != 0 {
			t.Error("a session that never started has an end event")
		}
	})
}

// TestShellIsEndedByAControlExec lets a client vanish and expects a second exec
// that names the PID and start time of the first one's report.
func TestShellIsEndedByAControlExec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var shell *script
		r.up.dial = func(req transport.Request) (transport.Stream, error) {
			s := newScript()
			if shell == nil {
				shell = s
				go fmt.Fprintf(s.feed, "\x01periscope:%s:42:777:bash\x02$ ", req.Command[len(req.Command)-1])
				return s, nil
			}
			if got := req.Command[len(req.Command)-1]; got != "42:777" {
				t.Errorf("control exec for %q", got)
			}
			go func() { s.feed.Write([]byte("42:777 gone\n")); s.exit(0); shell.exit(129) }()
			return s, nil
		}
		req := r.request()
		req.Command = nil
		ticket, err := r.ss.Admit(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		conn := newPipeConn()
		r.ss.Serve(ticket, conn, true)
		synctest.Wait()
		out, frames := conn.drain()
		if h := find(frames, "hello"); h == nil || h["shell"] != "bash" || string(out) != "$ " {
			t.Fatalf("hello %v, output %q", frames, out)
		}
		conn.Abort()
		r.free()
		end := r.audit.of(audit.ExecEnd, audit.Completed)[0]
		if end.Extra["ended"] != endedVerified || *end.Extra["exit_code"].(*int) != 129 {
			t.Errorf("end event %v", end.Extra)
		}
	})
}

func TestResizeNewestWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(true)
		conn.control(t, map[string]any{"type": "resize", "cols": 100, "rows": 30})
		conn.control(t, map[string]any{"type": "resize", "cols": 70_000, "rows": 0})
		synctest.Wait()
		_, frames := conn.drain()
		if e := find(frames, "error"); e == nil || e["code"] != "E_INVALID_REQUEST" {
			t.Errorf("an impossible size was not told: %v", frames)
		}
		s.mu.Lock()
		if want := (transport.Size{Cols: 100, Rows: 30}); len(s.sizes) != 1 || s.sizes[0] != want {
			t.Errorf("sizes %v", s.sizes)
		}
		s.mu.Unlock()
		conn.control(t, map[string]any{"type": "close"})
		synctest.Wait()
		r.free()
	})
}

func TestPlainStdinHoldsTheSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(false)
		s.mu.Lock()
		s.block = make(chan struct{})
		s.mu.Unlock()
		conn.mute.Store(true)
		var sent atomic.Int64
		go func() {
			for range 64 {
				if !conn.send(true, strings.Repeat("x", 64<<10)) {
					return
				}
				sent.Add(1)
			}
		}()
		time.Sleep(90 * time.Second)
		if sent.Load() > 18 {
			t.Errorf("%d KiB were taken while the program reads nothing", sent.Load()*64)
		}
		if _, frames := conn.drain(); find(frames, "closed") != nil {
			t.Fatal("a program that does not read killed its shell")
		}
		close(s.block)
		time.Sleep(time.Second)
		s.mu.Lock()
		if s.stdin.Len() != 64*64<<10 {
			t.Errorf("%d bytes reached the program", s.stdin.Len())
		}
		s.mu.Unlock()
		conn.control(t, map[string]any{"type": "close"})
		synctest.Wait()
		r.free()
	})
}
