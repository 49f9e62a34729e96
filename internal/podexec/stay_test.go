package podexec

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
)

func TestStayAnswersAWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var active atomic.Int64
		req := r.request()
		req.Login.Active = func() { active.Add(1) }
		ticket, err := r.ss.Admit(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		conn := newPipeConn()
		go r.ss.Serve(ticket, conn, true)
		synctest.Wait()
		s := <-r.streams
		for range 3 {
			conn.drain()
			time.Sleep(590 * time.Second)
			if _, frames := conn.drain(); find(frames, "idle_warn") == nil || find(frames, "closed") != nil {
				t.Fatalf("frames %v", frames)
			}
			conn.control(t, map[string]any{"type": "stay"})
			synctest.Wait()
			if idle := time.Since(r.ss.List(req.Actor)[0].LastActivityAt); idle > time.Second {
				t.Errorf("active %v ago, want now", idle)
			}
		}
		if active.Load() != 3 {
			t.Errorf("the login was told %d times, want 3", active.Load())
		}
		s.mu.Lock()
		if s.stdin.Len() != 0 {
			t.Errorf("staying typed %q", s.stdin.String())
		}
		s.mu.Unlock()
		time.Sleep(11 * time.Minute)
		r.free()
		if r.endReason() != "server_idle" {
			t.Errorf("ended by %s", r.endReason())
		}
		if end := r.audit.of(audit.ExecEnd, audit.Completed)[0]; end.Extra["bytes_stdin"] != int64(0) {
			t.Errorf("end event %v", end.Extra)
		}
	})
}

// TestStayAloneKeepsNothing says stay all the time, but never after a warning.
func TestStayAloneKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, _ := r.open(true)
		for range 9 {
			conn.control(t, map[string]any{"type": "stay"})
			time.Sleep(time.Minute)
		}
		time.Sleep(31 * time.Second)
		if _, frames := conn.drain(); find(frames, "idle_warn") == nil {
			t.Errorf("no warning: %v", frames)
		}
		time.Sleep(time.Minute)
		r.free()
		if r.endReason() != "server_idle" {
			t.Errorf("ended by %s", r.endReason())
		}
	})
}

func TestResizeIsNoActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, _ := r.open(true)
		for i := range 25 {
			conn.control(t, map[string]any{"type": "resize", "cols": 80 + i, "rows": 24})
			conn.control(t, map[string]any{"type": "ping", "id": i})
			time.Sleep(30 * time.Second)
		}
		r.free()
		if r.endReason() != "server_idle" {
			t.Errorf("ended by %s", r.endReason())
		}
	})
}

func TestStayBelongsToV2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, _ := r.open(false)
		conn.control(t, map[string]any{"type": "stay"})
		time.Sleep(10 * time.Second)
		if _, frames := conn.drain(); find(frames, "error") == nil || conn.closeCode() != closePolicy {
			t.Errorf("frames %v, code %d", frames, conn.closeCode())
		}
		r.free()
	})
}

// TestEverySilenceIsWarnedOf has a warning that is due again before the timers
// are looked at.
func TestEverySilenceIsWarnedOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.set.ServerIdle, r.set.IdleWarn = 10*time.Second, 9500*time.Millisecond
		conn, s := r.open(true)
		for range 5 {
			time.Sleep(1100 * time.Millisecond)
			if _, frames := conn.drain(); find(frames, "idle_warn") == nil {
				t.Fatalf("no warning: %v", frames)
			}
			s.feed.Write([]byte("tick"))
		}
		conn.control(t, map[string]any{"type": "close"})
		synctest.Wait()
		r.free()
	})
}
