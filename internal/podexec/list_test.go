package podexec

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
)

var (
	ada   = identity.Actor{Issuer: "dev", Subject: "ada", Email: "ada@example.com"}
	twin  = identity.Actor{Issuer: "other", Subject: "ada"} // the same name at another provider
	admin = identity.Actor{Issuer: "dev", Subject: "root", Email: "root@example.com", Admin: true}
)

// openAs starts a session of a's.
func (r *rig) openAs(a identity.Actor, reason string) (*pipeConn, *script) {
	r.t.Helper()
	req := r.request()
	req.Actor, req.Reason = a, reason
	ticket, err := r.ss.Admit(r.t.Context(), req)
	if err != nil {
		r.t.Fatalf("Admit: %v", err)
	}
	conn := newPipeConn()
	go r.ss.Serve(ticket, conn, true)
	synctest.Wait()
	conn.drain()
	return conn, <-r.streams
}

func (r *rig) leave(conns ...*pipeConn) {
	r.t.Helper()
	for _, c := range conns {
		c.control(r.t, map[string]any{"type": "close"})
	}
	r.free()
}

func TestListIsOnesOwnNewestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		first, s := r.openAs(ada, "INC-7")
		time.Sleep(time.Minute)
		second, _ := r.openAs(ada, "")
		third, _ := r.openAs(twin, "")
		begun := time.Now()
		time.Sleep(time.Minute)
		s.feed.Write([]byte("tick"))
		first.send(true, "ab")
		synctest.Wait()
		mine := r.ss.List(ada)
		if len(mine) != 2 || !mine[0].StartedAt.After(mine[1].StartedAt) || !mine[0].Own || !mine[1].Own {
			t.Fatalf("ada sees %+v", mine)
		}
		got := mine[1]
		if got.BytesIn != 2 || got.BytesOut != 4 || got.Transport != "ws" || !got.TTY || got.State != "attached" || got.Reason != "INC-7" ||
			got.Subject != "ada" || got.Email != "ada@example.com" || got.Cluster != "c" || got.Namespace != "shop" || got.Pod != "web" || got.Container != "app" {
			t.Errorf("a session is described as %+v", got)
		}
		if idle := time.Since(got.LastActivityAt); idle > time.Second {
			t.Errorf("active %v ago, want just now", idle)
		}
		if !mine[0].LastActivityAt.Equal(mine[0].StartedAt) || mine[0].StartedAt.After(begun) {
			t.Errorf("a silent session was last active at %v, started %v", mine[0].LastActivityAt, mine[0].StartedAt)
		}
		if other := r.ss.List(twin); len(other) != 1 || other[0].Email != "" {
			t.Errorf("a namesake sees %+v", other)
		}
		all := r.ss.List(admin)
		if len(all) != 3 || all[0].Own || all[1].Own || all[2].Own {
			t.Errorf("an administrator sees %+v", all)
		}
		for i := range 20 {
			if again := r.ss.List(admin); again[0].SessionID != all[0].SessionID || again[1].SessionID != all[1].SessionID {
				t.Fatalf("the order changed at the %dth look", i)
			}
		}
		r.leave(first, second, third)
	})
}

func TestEndOnesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, _ := r.openAs(ada, "INC-7")
		id := r.ss.List(ada)[0].SessionID
		if err := r.ss.End(t.Context(), ada, "req9", id); err != nil {
			t.Fatal(err)
		}
		if left := r.ss.List(ada); len(left) != 0 {
			t.Errorf("an ended session is still listed: %+v", left)
		}
		r.free()
		_, frames := conn.drain()
		closed := find(frames, "closed")
		if closed == nil || closed["reason"] != "forced_close" || !strings.HasPrefix(closed["message"].(string), "You ended") || conn.closeCode() != 1000 {
			t.Errorf("closed %v with %d", closed, conn.closeCode())
		}
		if r.endReason() != "forced_close" {
			t.Errorf("audit says %s", r.endReason())
		}
		asked, done := r.audit.of(audit.ExecKill, audit.Requested), r.audit.of(audit.ExecKill, audit.Completed)
		if len(asked) != 1 || len(done) != 1 {
			t.Fatalf("%d requested, %d completed", len(asked), len(done))
		}
		if asked[0].Outcome != "" || asked[0].Extra["close_reason"] != nil || asked[0].Reason != "" || asked[0].RequestID != "req9" || asked[0].EventID == id {
			t.Errorf("requested %+v", asked[0])
		}
		if done[0].EventID != asked[0].EventID || done[0].Outcome != audit.Success || done[0].Extra["session_id"] != id || done[0].Extra["close_reason"] != ForcedClose {
			t.Errorf("completed %+v", done[0])
		}
		if err := r.ss.End(t.Context(), ada, "req9", id); fault.KindOf(err) != fault.NotFound {
			t.Errorf("ending it again: %v", err)
		}
	})
}

// TestEndOfAnothers expects one answer for what is somebody else's, what does
// not exist and what is no id at all.
func TestEndOfAnothers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, _ := r.openAs(ada, "")
		id := r.ss.List(ada)[0].SessionID
		unknown := r.ss.End(t.Context(), twin, "q", newID())
		for what, try := range map[string]string{"another's": id, "no id": "../x", "long": strings.Repeat("a", 1<<16), "upper case": strings.ToUpper(id) + "A", "empty": ""} {
			if err := r.ss.End(t.Context(), twin, "q", try); fault.KindOf(err) != fault.NotFound || err.Error() != unknown.Error() {
				t.Errorf("%s: %v, want %v", what, err, unknown)
			}
		}
		if got := r.audit.of(audit.ExecKill, audit.Requested); len(got) != 0 || len(r.ss.List(ada)) != 1 {
			t.Errorf("events %v", got)
		}
		denied := r.audit.of(audit.ExecKill, audit.Completed)
		if len(denied) != 1 || denied[0].Outcome != audit.Denied || denied[0].Actor.Sub != twin.Subject || denied[0].Extra["session_id"] != id {
			t.Errorf("the try is recorded as %+v", denied)
		}
		if err := r.ss.End(t.Context(), admin, "q", id); err != nil {
			t.Fatalf("an administrator: %v", err)
		}
		r.free()
		_, frames := conn.drain()
		if c := find(frames, "closed"); c == nil || !strings.Contains(c["message"].(string), "root@example.com") {
			t.Errorf("the owner is told %v", c)
		}
		e := r.audit.of(audit.ExecKill, audit.Completed)[1]
		if e.Actor.Sub != "root" || e.Extra["session_actor"].(map[string]any)["sub"] != "ada" {
			t.Errorf("completed %+v", e)
		}
	})
}

func TestNoAuditNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, _ := r.openAs(ada, "")
		r.audit.mu.Lock()
		r.audit.fail = errors.New("disk full")
		r.audit.mu.Unlock()
		err := r.ss.End(t.Context(), ada, "q", r.ss.List(ada)[0].SessionID)
		if fault.KindOf(err) != fault.AuditUnavailable {
			t.Errorf("End: %v", err)
		}
		r.audit.mu.Lock()
		r.audit.fail = nil
		r.audit.mu.Unlock()
		time.Sleep(time.Minute)
		if len(r.ss.List(ada)) != 1 {
			t.Error("the session was ended without a record")
		}
		r.leave(conn)
	})
}

func TestCapsNameTheSessionsInTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.set.MaxSessionsPerUser, r.set.MaxSessionsTotal = 1, 2
		first, _ := r.openAs(ada, "")
		other, _ := r.openAs(twin, "")
		req := r.request()
		req.Actor = ada
		for want, who := range map[fault.Kind]identity.Actor{fault.CapUser: ada, fault.CapCluster: admin} {
			req.Actor = who
			_, err := r.ss.Admit(t.Context(), req)
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != want {
				t.Fatalf("%v: %v", want, err)
			}
			own := f.Detail["activeSessions"].([]Info)
			if want == fault.CapUser && (len(own) != 1 || own[0].State != "attached" || own[0].StartedAt.IsZero() || !own[0].Own) {
				t.Errorf("in the way: %+v", own)
			}
			if want == fault.CapCluster && len(own) != 0 {
				t.Errorf("others' sessions are told: %+v", own)
			}
		}
		r.leave(first, other)
	})
}

// TestACapFullOfShellsThatWait names them as such, for they count like any other and
// nothing is ended by itself. Who ends one has room at once.
func TestACapFullOfShellsThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.set.MaxSessionsPerUser = 2
		var waiting []string
		for range r.set.MaxSessionsPerUser {
			v, _ := r.visit()
			v.lose()
			waiting = append(waiting, v.id)
			time.Sleep(time.Second)
		}
		_, err := r.ss.Admit(t.Context(), r.request())
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.CapUser {
			t.Fatalf("one more: %v", err)
		}
		told := f.Detail["activeSessions"].([]Info)
		if len(told) != 2 || told[0].SessionID != waiting[1] || told[1].SessionID != waiting[0] || told[0].State != "detached" || told[1].State != "detached" {
			t.Errorf("in the way: %+v", told)
		}
		begun := time.Now()
		if err := r.ss.End(t.Context(), r.request().Actor, "req2", waiting[0]); err != nil {
			t.Fatal(err)
		}
		ticket, err := r.ss.Admit(t.Context(), r.request())
		if took := time.Since(begun); err != nil || took > 0 {
			t.Fatalf("after %v: %v", took, err)
		}
		if left := r.ss.List(r.request().Actor); len(left) != 1 || left[0].SessionID != waiting[1] {
			t.Errorf("left are %+v", left)
		}
		ticket.Discard()
		time.Sleep(grace)
		r.free()
	})
}
