package podexec

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// visitor is a v2 client that can be lost and come back.
type visitor struct {
	r       *rig
	conn    *pipeConn
	id      string
	token   string
	hello   map[string]any
	output  []byte // everything that came, gaps left out
	offset  int64
	missing []gap
	frames  []map[string]any // since the last look
}

const grace = 10 * time.Minute

// visit opens a session that waits for its client.
func (r *rig) visit() (*visitor, *script) {
	r.t.Helper()
	return r.visitAs(r.request())
}

func (r *rig) visitAs(req Request) (*visitor, *script) {
	r.t.Helper()
	r.set.Resume = grace
	conn, err := r.tryOpen(req)
	if err != nil {
		r.t.Fatal(err)
	}
	v := &visitor{r: r, conn: conn}
	v.look()
	v.id, v.token = v.hello["sessionId"].(string), v.hello["resumeToken"].(string)
	v.ack()
	return v, <-r.streams
}

// look takes what has come, and what was about to.
func (v *visitor) look() {
	v.r.t.Helper()
	time.Sleep(2 * joinFor)
	synctest.Wait()
	v.frames = nil
	for _, m := range v.conn.all() {
		if m.binary {
			v.output = append(v.output, m.data...)
			v.offset += int64(len(m.data))
			continue
		}
		f := m.frame()
		v.frames = append(v.frames, f)
		switch f["type"] {
		case "hello":
			v.hello, v.offset = f, int64(f["offset"].(float64))
			if token, issued := f["resumeToken"].(string); issued {
				v.token = token
			}
		case "gap":
			g := gap{int64(f["from"].(float64)), int64(f["to"].(float64)), f["why"].(string)}
			if g.from != v.offset {
				v.r.t.Fatalf("gap %v at offset %d", g, v.offset)
			}
			v.missing, v.offset = append(v.missing, g), g.to
		}
	}
}

func (v *visitor) ack() {
	v.conn.control(v.r.t, map[string]any{"type": "ack", "offset": v.offset})
	synctest.Wait()
}

// lose cuts the connection.
func (v *visitor) lose() {
	v.look()
	v.conn.Abort()
	synctest.Wait()
}

// wish is to come back with the token and everything that has come.
func (v *visitor) wish() Attach {
	offset := v.offset
	return Attach{SessionID: v.id, Token: v.token, Offset: &offset}
}

func (v *visitor) attach(a Attach) error {
	return v.attachAs(v.r.request(), a)
}

func (v *visitor) attachAs(req Request, a Attach) error {
	conn := newPipeConn()
	if err := v.r.ss.Attach(v.r.t.Context(), req, a, conn); err != nil {
		return err
	}
	v.conn = conn
	v.look()
	return nil
}

// comeBack attaches, and expects to be let in.
func (v *visitor) comeBack() {
	v.r.t.Helper()
	if err := v.attach(v.wish()); err != nil {
		v.r.t.Fatalf("coming back: %v", err)
	}
}

func (v *visitor) leave() {
	v.r.t.Helper()
	v.conn.control(v.r.t, map[string]any{"type": "close"})
	synctest.Wait()
	v.r.free()
}

func (r *rig) state() string { return r.ss.List(r.request().Actor)[0].State }

func TestComingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, s := r.visit()
		if v.hello["resumed"] != false || v.hello["resumeSeconds"] != 600.0 {
			t.Errorf("hello %v", v.hello)
		}
		v.conn.send(true, "first ")
		s.feed.Write([]byte("one "))
		v.lose()
		if r.state() != "detached" {
			t.Errorf("a session that nobody is at is %s", r.state())
		}
		s.feed.Write([]byte("two "))
		time.Sleep(20 * time.Second)
		v.comeBack()
		if v.hello["resumed"] != true || v.hello["resumeToken"] != nil || v.hello["stdinOffset"] != 6.0 || v.hello["offset"] != 4.0 {
			t.Errorf("hello %v", v.hello)
		}
		v.conn.send(true, "second")
		s.feed.Write([]byte("three"))
		v.look()
		if got := string(v.output); got != "one two three" || len(v.missing) > 0 {
			t.Errorf("output %q, missing %v", got, v.missing)
		}
		s.mu.Lock()
		if got := s.stdin.String(); got != "first second" {
			t.Errorf("stdin %q", got)
		}
		if len(s.sizes) > 0 {
			t.Errorf("nothing was missing, and yet the terminal was resized: %v", s.sizes)
		}
		s.mu.Unlock()
		if r.state() != "attached" {
			t.Errorf("a session that somebody is at is %s", r.state())
		}
		v.leave()
		end := r.audit.of(audit.ExecEnd, audit.Completed)[0]
		if end.Extra["attaches"] != int32(1) || end.Extra["close_reason"] != ClientClose {
			t.Errorf("end %v", end.Extra)
		}
		r.attachRecords(1)
	})
}

// TestSessionsByState: each session is counted once, by whether somebody is at it,
// and not at all once it has ended.
func TestSessionsByState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		want := func(attached, detached float64) {
			t.Helper()
			synctest.Wait()
			const name = "periscope_exec_sessions_by_state"
			if a, d := r.figure(name, "attached"), r.figure(name, "detached"); a != attached || d != detached {
				t.Errorf("%v attached and %v detached, want %v and %v", a, d, attached, detached)
			}
		}
		v, _ := r.visit()
		other, _ := r.visit()
		want(2, 0)
		v.lose()
		want(1, 1)
		v.comeBack()
		want(2, 0)
		if err := v.attach(Attach{SessionID: v.id, TakeOver: true}); err != nil {
			t.Fatal(err)
		}
		want(2, 0)
		v.conn.control(t, map[string]any{"type": "detach"})
		want(1, 1)
		time.Sleep(grace / 2)
		other.conn.send(true, "still here")
		time.Sleep(grace/2 + time.Second)
		want(1, 0)
		other.leave()
		want(0, 0)
	})
}

// TestLostRightAfterHello: a client's first word after hello counts however busy the
// server still is with the beginning of the session, and so does its coming back.
func TestLostRightAfterHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.set.Resume = grace
		r.up.dial = func(transport.Request) (transport.Stream, error) {
			s := newScript()
			s.slow.Store(4) // the last one by carry, after hello
			r.streams <- s
			return s, nil
		}
		conn, err := r.tryOpen(r.request())
		if err != nil {
			t.Fatal(err)
		}
		hello := (<-conn.toClient).frame()
		conn.control(t, map[string]any{"type": "ping", "id": 0})
		conn.Abort()
		if n := r.figure("periscope_exec_session_starts_total", ""); n != 0 {
			t.Fatal("the beginning is over already, so this proves nothing")
		}
		v := &visitor{r: r, id: hello["sessionId"].(string), token: hello["resumeToken"].(string)}
		v.comeBack()
		v.leave()
	})
}

// TestBackBeforeTheFirstWord: who comes back before the server has heard anything of
// them is let in, and the loss of the connection before ends nothing. With the token
// they can be lost once more.
func TestBackBeforeTheFirstWord(t *testing.T) {
	for _, takeOver := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.set.Resume = grace
			conn, err := r.tryOpen(r.request())
			if err != nil {
				t.Fatal(err)
			}
			v := &visitor{r: r, conn: conn}
			v.look()
			v.id = v.hello["sessionId"].(string)
			if takeOver {
				err = v.attach(Attach{SessionID: v.id, TakeOver: true})
			} else {
				v.comeBack()
				v.lose()
				err = v.attach(v.wish())
			}
			if err != nil || len(r.ss.List(r.request().Actor)) != 1 || find(v.frames, "closed") != nil {
				t.Errorf("taken over %t: the session has ended: %v %v", takeOver, err, v.frames)
			}
			v.leave()
		})
	}
}

// TestTheLastToAskStays: a connection that its client has given up is let in late, and
// takes nothing from the one that came after it.
func TestTheLastToAskStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := rightsRig(t)
		v, s := r.visit()
		v.lose()
		answer := make(chan struct{})
		o.say(func(context.Context, string) error { <-answer; return nil })
		old := newPipeConn()
		wish, late := v.wish(), make(chan error)
		go func() { late <- r.ss.Attach(t.Context(), r.request(), wish, old) }()
		synctest.Wait()
		o.always(nil)
		v.comeBack()
		close(answer)
		if err := <-late; err != nil {
			t.Error(err)
		}
		_, frames := old.drain()
		if closed := find(frames, "closed"); closed["reason"] != "taken_over" || old.closeCode() != 4001 || find(frames, "hello") != nil {
			t.Errorf("the older connection got %v and %d", frames, old.closeCode())
		}
		s.feed.Write([]byte("for the newer one"))
		v.look()
		if string(v.output) != "for the newer one" || find(v.frames, "closed") != nil {
			t.Errorf("the newer connection got %q and %v", v.output, v.frames)
		}
		done := r.audit.of(audit.ExecAttach, audit.Completed)
		if len(done) != 2 || done[0].Outcome != audit.Success || done[1].Outcome == audit.Success || done[1].Extra["error"] != "E_CONFLICT" {
			t.Errorf("audit %+v", done)
		}
		v.leave()
	})
}

// attachRecords expects that every return is in audit before and after it.
func (r *rig) attachRecords(n int) {
	r.t.Helper()
	before, after := r.audit.of(audit.ExecAttach, audit.Requested), r.audit.of(audit.ExecAttach, audit.Completed)
	if len(before) != n || len(after) != n {
		r.t.Fatalf("%d and %d records, want %d", len(before), len(after), n)
	}
	for i := range before {
		if before[i].EventID != after[i].EventID || after[i].Outcome != audit.Success || before[i].Outcome != "" {
			r.t.Errorf("records %+v %+v", before[i], after[i])
		}
	}
}

// TestCutsAnywhere carries random bytes both ways through connections that are cut
// at random, with whatever was on its way: both hash as sent.
func TestCutsAnywhere(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 3))
			r := newRig(t)
			v, s := r.visit()
			out, in := randomBytes(rng, 4<<20), randomBytes(rng, 1<<20)
			printing := make(chan struct{})
			go func() {
				defer close(printing)
				rng := rand.New(rand.NewPCG(seed, 4))
				for rest := out; len(rest) > 0; {
					n := min(len(rest), 1+rng.IntN(60_000))
					s.feed.Write(rest[:n])
					rest = rest[n:]
				}
			}()
			sent, cuts := int64(0), 0
			ended := func() bool { return int(v.offset) == len(out) && v.typed(s) == len(in) }
			for !ended() {
				switch {
				case cuts < 200 && rng.IntN(3) == 0:
					cuts++
					seen := v.offset
					v.conn.Abort() // with output on its way, which is lost
					synctest.Wait()
					v.output = v.output[:seen]
					v.offset = seen
					time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
					v.comeBack()
					sent = int64(v.hello["stdinOffset"].(float64))
				case rng.IntN(2) == 0 && sent < int64(len(in)):
					n := min(int64(1+rng.IntN(30_000)), int64(len(in))-sent, StdinWindow-(sent-int64(v.typed(s))))
					if n > 0 && v.conn.send(true, string(in[sent:sent+n])) {
						sent += n
					}
				default:
					v.look()
					v.ack()
				}
			}
			<-printing
			v.conn.control(t, map[string]any{"type": "ping", "id": 1})
			v.look()
			if sha256.Sum256(v.output) != sha256.Sum256(out) || len(v.missing) > 0 {
				t.Errorf("seed %d: output of %d bytes differs; missing %v", seed, len(v.output), v.missing)
			}
			s.mu.Lock()
			if sha256.Sum256(s.stdin.Bytes()) != sha256.Sum256(in) {
				t.Errorf("seed %d: stdin of %d bytes differs", seed, s.stdin.Len())
			}
			s.mu.Unlock()
			if cuts < 30 {
				t.Errorf("seed %d: only %d cuts", seed, cuts)
			}
			v.leave()
		})
	}
}

// typed is how much stdin has reached the container.
func (v *visitor) typed(s *script) int {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stdin.Len()
}

func randomBytes(rng *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = ' ' + byte(rng.Uint32()%95) // nothing that a terminal makes a signal of
	}
	return p
}

// TestDrawingAnew: a client that has written over a program's screen asks for it
// anew, and the program hears of two sizes, however long the first is on its way. A
// size that the client names meanwhile is the one that stays.
func TestDrawingAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, s := r.visit()
		v.lose()
		sizes := func() string {
			s.mu.Lock()
			defer s.mu.Unlock()
			return fmt.Sprint(s.sizes)
		}
		s.stuck = true
		a := v.wish()
		a.Size, a.Redraw = transport.Size{Cols: 80, Rows: 24}, true
		if err := v.attach(a); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if got := sizes(); got != "[{80 24} {80 23}]" {
			t.Errorf("while the other size is on its way: %s", got)
		}
		s.unsent()
		v.conn.control(t, map[string]any{"type": "resize", "cols": 90, "rows": 30})
		time.Sleep(nudgeFor - time.Millisecond)
		if got := sizes(); got != "[{80 24} {80 23}]" {
			t.Errorf("before the program could look: %s", got)
		}
		time.Sleep(2 * time.Millisecond)
		if got := sizes(); got != "[{80 24} {80 23} {90 30}]" {
			t.Errorf("afterwards: %s", got)
		}
		v.leave()
	})
}

func TestTakingOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, s := r.visit()
		s.feed.Write([]byte("line\n"))
		v.look()
		old, void := v.conn, v.token
		if err := v.attach(Attach{SessionID: v.id, TakeOver: true, Size: transport.Size{Cols: 80, Rows: 24}}); err != nil {
			t.Fatal(err)
		}
		_, frames := old.drain()
		if closed := find(frames, "closed"); closed == nil || closed["reason"] != "taken_over" || old.closeCode() != 4001 {
			t.Errorf("the older window got %v and %d", frames, old.closeCode())
		}
		if old.send(true, "from the older one") {
			t.Error("the older window is still read")
		}
		if v.token == void || v.hello["resumed"] != true || string(v.output) != "line\nline\n" {
			t.Errorf("hello %v, output %q", v.hello, v.output)
		}
		s.mu.Lock()
		if s.stdin.Len() > 0 {
			t.Errorf("stdin %q", s.stdin.String())
		}
		s.mu.Unlock()
		time.Sleep(time.Second)
		s.mu.Lock()
		if n := len(s.sizes); n < 3 || s.sizes[n-1] != (transport.Size{Cols: 80, Rows: 24}) || s.sizes[n-2] != (transport.Size{Cols: 80, Rows: 23}) {
			t.Errorf("the program was not asked to draw anew: %v", s.sizes)
		}
		s.mu.Unlock()
		if err := v.attach(Attach{SessionID: v.id, Token: void}); fault.KindOf(err) != fault.NotFound {
			t.Errorf("the old token: %v", err)
		}
		v.conn.send(true, "mine")
		if v.typed(s) != 4 {
			t.Error("the new window is not read")
		}
		v.leave()
		if done := r.audit.of(audit.ExecAttach, audit.Completed); len(done) != 2 || done[0].Extra["taken_over"] != true || done[1].Outcome != audit.Denied {
			t.Errorf("audit %+v", done)
		}
	})
}

// TestWhoMayNotComeBack is answered alike, whatever is wrong, and disturbs nobody.
func TestWhoMayNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, s := r.visit()
		mallory := r.request()
		mallory.Actor.Subject = "mallory"
		elsewhere := r.request()
		elsewhere.Pod = "other"
		sameNameElsewhere := r.request()
		sameNameElsewhere.Actor.Issuer = "another"
		token := v.token
		sentence := ""
		for name, c := range map[string]struct {
			req Request
			a   Attach
		}{
			"a stolen token":           {mallory, Attach{SessionID: v.id, Token: token}},
			"another issuer's subject": {sameNameElsewhere, Attach{SessionID: v.id, Token: token}},
			"a take-over by another":   {mallory, Attach{SessionID: v.id, TakeOver: true}},
			"another pod":              {elsewhere, Attach{SessionID: v.id, Token: token}},
			"a wrong token":            {r.request(), Attach{SessionID: v.id, Token: strings.Repeat("A", 43)}},
			"a wrong token, and taken": {r.request(), Attach{SessionID: v.id, Token: "x", TakeOver: true}},
			"neither":                  {r.request(), Attach{SessionID: v.id}},
			"unknown":                  {r.request(), Attach{SessionID: newID(), Token: token}},
			"no id":                    {r.request(), Attach{SessionID: "../../x", Token: token}},
		} {
			err := v.attachAs(c.req, c.a)
			if fault.KindOf(err) != fault.NotFound {
				t.Fatalf("%s: %v", name, err)
			}
			if said := fault.PublicOf(err); sentence != "" && said != sentence {
				t.Errorf("%s is told apart: %s", name, said)
			} else {
				sentence = said
			}
		}
		future := int64(1)
		past := int64(-1)
		for _, offset := range []*int64{&future, &past} {
			if err := v.attach(Attach{SessionID: v.id, Token: token, Offset: offset}); fault.KindOf(err) != fault.Protocol {
				t.Errorf("offset %d: %v", *offset, err)
			}
		}
		s.feed.Write([]byte("undisturbed"))
		if v.look(); string(v.output) != "undisturbed" {
			t.Errorf("output %q", v.output)
		}
		v.leave()
	})
}

// TestTheGrace is kept to the second, whatever is printed meanwhile, and holds nothing
// after it.
func TestTheGrace(t *testing.T) {
	for _, away := range []time.Duration{grace - time.Second, grace + 2*keepTick} {
		for _, how := range []string{"lost", "detach"} {
			for _, prints := range []bool{false, true} {
				t.Run(fmt.Sprint(away, " ", how, " prints:", prints), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { graceOf(t, away, how, prints) })
				})
			}
		}
	}
}

// graceOf has nobody at a shell for so long, which may print now and then.
func graceOf(t *testing.T, away time.Duration, how string, prints bool) {
	r := newRig(t)
	v, s := r.visit()
	if how == "detach" {
		v.conn.control(t, map[string]any{"type": "detach"})
		synctest.Wait()
		if v.conn.closeCode() != 1000 {
			t.Errorf("closed with %d", v.conn.closeCode())
		}
	} else {
		v.lose()
	}
	const every = 45 * time.Second
	want, begun := "", time.Now()
	for prints && time.Since(begun) < away-every {
		time.Sleep(every)
		if _, err := s.feed.Write([]byte(".")); err != nil {
			t.Fatalf("after %v: %v", time.Since(begun), err)
		}
		want += "."
	}
	time.Sleep(away - time.Since(begun))
	if away > grace {
		if err := v.attach(v.wish()); fault.KindOf(err) != fault.NotFound {
			t.Fatalf("after the grace: %v", err)
		}
		if r.endReason() != string(ClientLost) {
			t.Errorf("ended by %s", r.endReason())
		}
		r.free()
		return
	}
	v.comeBack()
	v.ack()
	s.feed.Write([]byte("still here"))
	if v.look(); string(v.output) != want+"still here" {
		t.Errorf("output %q", v.output)
	}
	v.leave()
}

// TestAwayIsNotIdle has a shell that was quiet for 9 minutes, then alone for 9: it
// is warned of and ended for its silence only when somebody could have seen that.
func TestAwayIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, _ := r.visit()
		time.Sleep(9 * time.Minute)
		v.lose()
		time.Sleep(9 * time.Minute)
		v.comeBack()
		time.Sleep(20 * time.Second)
		if v.look(); len(v.frames) > 0 {
			t.Errorf("too early: %v", v.frames)
		}
		time.Sleep(20 * time.Second)
		if v.look(); find(v.frames, "idle_warn") == nil {
			t.Errorf("not warned: %v", v.frames)
		}
		time.Sleep(time.Minute)
		r.free()
		if r.endReason() != string(ServerIdle) {
			t.Errorf("ended by %s", r.endReason())
		}
	})
}

// TestNothingComesBeforeHello: the timers look at a session whose client is taking
// its seat.
func TestNothingComesBeforeHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, s := r.visit()
		time.Sleep(10*time.Minute - 20*time.Second)
		v.lose()
		s.slow.Store(1)
		v.comeBack()
		time.Sleep(2 * time.Second)
		if first := v.frames[0]["type"]; first != "hello" {
			t.Errorf("first came %v", first)
		}
		if v.look(); find(v.frames, "idle_warn") == nil {
			t.Errorf("not warned: %v", v.frames)
		}
		v.leave()
	})
}

// TestAWarningIsForWhoIsThere: a connection that takes the place of one that was warned
// is warned too, and can answer; an answer on the one before is nobody's.
func TestAWarningIsForWhoIsThere(t *testing.T) {
	for _, answered := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			v, _ := r.visit()
			time.Sleep(575 * time.Second)
			if v.look(); find(v.frames, "idle_warn") == nil {
				t.Fatalf("not warned: %v", v.frames)
			}
			v.comeBack()
			v.conn.control(t, map[string]any{"type": "stay"})
			time.Sleep(2 * time.Second)
			v.look()
			if warning := find(v.frames, "idle_warn"); warning == nil || warning["secondsRemaining"].(float64) > 25 {
				t.Fatalf("the second connection was not warned: %v", v.frames)
			}
			if answered {
				v.conn.control(t, map[string]any{"type": "stay"})
			}
			time.Sleep(time.Minute)
			if ended := len(r.ss.List(r.request().Actor)) == 0; ended == answered {
				t.Errorf("answered %t, ended %t", answered, ended)
			}
			v.leave()
		})
	}
}

// TestTheProgramWaitsThenRunsOn floods a session whose client was lost: for 30
// seconds nothing is lost, then the program runs and the newest output is kept.
func TestTheProgramWaitsThenRunsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.set.Replay = 128 << 10
		v, s := r.visit()
		v.lose()
		line := strings.Repeat("x", 99) + "\n"
		const lines = 10_000
		written := make(chan struct{})
		go func() {
			defer close(written)
			for i := range lines {
				fmt.Fprintf(s.feed, "%06d %s", i, line)
			}
		}()
		time.Sleep(holdFor - 2*time.Second)
		v.comeBack()
		if got := len(v.output); got != Window || len(v.missing) > 0 {
			t.Errorf("%d bytes came at once, missing %v", got, v.missing)
		}
		v.ack()
		v.look()
		v.lose()
		time.Sleep(holdFor + 2*time.Second)
		select {
		case <-written:
		default:
			t.Fatal("the program still waits")
		}
		before := v.offset
		v.comeBack()
		for range 10 {
			v.ack()
			v.look()
		}
		if len(v.missing) != 1 || v.missing[0].why != "buffer" || v.missing[0].from != before {
			t.Fatalf("missing %v, came back at %d", v.missing, before)
		}
		if v.offset != int64(lines*107) {
			t.Errorf("the end is at %d, want %d", v.offset, lines*107)
		}
		tail := v.output[before:]
		if first := string(tail[:6]); (v.missing[0].to)%107 != 0 || first != fmt.Sprintf("%06d", v.missing[0].to/107) {
			t.Errorf("the rest begins with %q at %d: not with a line", first, v.missing[0].to)
		}
		v.leave()
	})
}

// TestTheProgramRunsOnAfterDetach: who has said that they go is not waited for.
func TestTheProgramRunsOnAfterDetach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.set.Replay = Window
		v, s := r.visit()
		v.conn.control(t, map[string]any{"type": "detach"})
		synctest.Wait()
		printed, begun := randomBytes(rand.New(rand.NewPCG(1, 2)), 8*Window), time.Now()
		if _, err := s.feed.Write(printed); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 0 {
			t.Errorf("the program waited for %v", took)
		}
		v.comeBack()
		v.ack()
		v.look()
		if len(v.missing) != 1 || v.missing[0].from != 0 || v.missing[0].why != "buffer" {
			t.Fatalf("missing %v", v.missing)
		}
		if !bytes.Equal(v.output, printed[v.missing[0].to:]) {
			t.Errorf("%d bytes came, not the newest %d", len(v.output), len(printed)-int(v.missing[0].to))
		}
		v.leave()
	})
}

// TestComingBackMakesRoom has a client with all that there is room for, which it has
// not acknowledged when it is lost: by coming back it does, and the program goes on.
func TestComingBackMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.set.Replay = Window
		v, s := r.visit()
		const printed = Window + 5000
		go s.feed.Write(bytes.Repeat([]byte("x"), printed))
		v.look()
		v.look()
		if len(v.output) != Window {
			t.Fatalf("%d bytes came, want %d", len(v.output), Window)
		}
		v.lose()
		v.comeBack()
		v.look()
		if len(v.output) != printed {
			t.Errorf("%d bytes came, want %d", len(v.output), printed)
		}
		v.leave()
	})
}

// TestTheEndIsKept ends a program while nobody is there: the slot is free, and who
// comes back gets the rest of the output and the exit code, once.
func TestTheEndIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, s := r.visit()
		s.feed.Write([]byte("seen "))
		v.lose()
		time.Sleep(time.Minute)
		s.feed.Write([]byte("unseen"))
		s.exit(7)
		synctest.Wait()
		if len(r.ss.caps.byOwner) > 0 || len(r.ss.List(r.request().Actor)) > 0 {
			t.Error("what has ended counts as open")
		}
		if err := v.attach(Attach{SessionID: v.id, TakeOver: true}); fault.KindOf(err) != fault.NotFound {
			t.Errorf("taking over what has ended: %v", err)
		}
		time.Sleep(8 * time.Minute)
		v.comeBack()
		closed := find(v.frames, "closed")
		if string(v.output) != "seen unseen" || closed == nil || closed["exitCode"] != 7.0 || closed["reason"] != "completed" {
			t.Errorf("output %q, frames %v", v.output, v.frames)
		}
		if err := v.attach(v.wish()); fault.KindOf(err) != fault.NotFound {
			t.Errorf("told once, and again: %v", err)
		}
		r.free()
	})
}

// known is how many sessions are remembered, those that have ended among them.
func (r *rig) known() int {
	r.ss.mu.Lock()
	defer r.ss.mu.Unlock()
	return len(r.ss.live)
}

// TestTheEndIsForgotten after the grace, at a shutdown, and where an owner has too
// many.
func TestTheEndIsForgotten(t *testing.T) {
	for name, forget := range map[string]func(*rig){
		"grace":    func(*rig) { time.Sleep(grace) },
		"shutdown": func(r *rig) { shutDown(r) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				v, s := r.visit()
				v.lose()
				s.exit(0)
				synctest.Wait()
				if r.known() != 1 {
					t.Fatal("the end is not kept")
				}
				forget(r)
				synctest.Wait()
				r.free()
			})
		})
	}
	t.Run("many", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			for range maxKept + 3 {
				v, s := r.visit()
				v.lose()
				s.exit(0)
				synctest.Wait()
				time.Sleep(time.Second)
			}
			if n := r.known(); n != maxKept {
				t.Errorf("%d ends are kept, want %d", n, maxKept)
			}
			time.Sleep(grace)
			synctest.Wait()
			r.free()
		})
	})
}

// TestAnEndThatWasNotHeard is told again: the client's socket broke before its
// close frame came.
func TestAnEndThatWasNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, s := r.visit()
		v.conn.mute.Store(true)
		s.exit(3)
		synctest.Wait()
		v.comeBack()
		if closed := find(v.frames, "closed"); closed == nil || closed["exitCode"] != 3.0 {
			t.Errorf("frames %v", v.frames)
		}
		r.free()
	})
}

// TestAClientThatNeverSpoke may not know the token: its session ends with it.
func TestAClientThatNeverSpoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.set.Resume = grace
		conn, err := r.tryOpen(r.request())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		conn.Abort()
		synctest.Wait()
		time.Sleep(5 * time.Second)
		r.free()
		if r.endReason() != string(ClientLost) {
			t.Errorf("ended by %s", r.endReason())
		}
	})
}

// TestASilentClientIsWaitedFor as one whose connection broke.
func TestASilentClientIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, s := r.visit()
		v.conn.mute.Store(true)
		time.Sleep(v2Gone + 2*keepTick)
		if r.state() != "detached" {
			t.Fatalf("the session is %s", r.state())
		}
		s.feed.Write([]byte("meanwhile"))
		v.comeBack()
		if string(v.output) != "meanwhile" {
			t.Errorf("output %q", v.output)
		}
		v.leave()
	})
}

// TestALogoutEndsWhatWaits, and a session stands on the login of whoever came last.
func TestALogoutEndsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.set.Resume = grace
		first, second := make(chan struct{}), make(chan struct{})
		req := r.request()
		req.Login.Done = first
		conn, err := r.tryOpen(req)
		if err != nil {
			t.Fatal(err)
		}
		v := &visitor{r: r, conn: conn}
		v.look()
		v.id = v.hello["sessionId"].(string)
		v.ack()
		v.lose()
		again := r.request()
		again.Login.Done = second
		if err := v.attachAs(again, v.wish()); err != nil {
			t.Fatal(err)
		}
		v.ack()
		close(first)
		time.Sleep(time.Minute)
		if r.state() != "attached" {
			t.Fatal("the first login has taken a shell along that stands on another")
		}
		v.lose()
		close(second)
		time.Sleep(10 * time.Second)
		if err := v.attach(v.wish()); fault.KindOf(err) != fault.NotFound {
			t.Errorf("after the logout: %v", err)
		}
		if r.endReason() != string(Unauthorized) {
			t.Errorf("ended by %s", r.endReason())
		}
		r.free()
	})
}

// TestALogoutForgetsTheEnd that was kept: what the shell printed is had by no login
// that comes after.
func TestALogoutForgetsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.set.Resume = grace
		v, s := r.visit()
		again := r.request()
		done := make(chan struct{})
		again.Login.Done = done
		v.lose()
		if err := v.attachAs(again, v.wish()); err != nil {
			t.Fatal(err)
		}
		v.ack()
		v.lose()
		s.exit(0)
		synctest.Wait()
		if r.known() != 1 {
			t.Fatal("the end is not kept")
		}
		close(done)
		if err := v.attach(v.wish()); fault.KindOf(err) != fault.NotFound {
			t.Errorf("after the logout: %v", err)
		}
		time.Sleep(keepTick)
		synctest.Wait()
		if r.known() != 0 {
			t.Error("the end is kept after the logout")
		}
		r.free()
	})
}

// TestALostRightLetsNobodyBack, and ends the session; a cluster that gives no
// answer does not.
func TestALostRightLetsNobodyBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, _ := r.visit()
		v.lose()
		r.up.deny = fault.New(fault.ClusterUnreachable, "test", "No answer.")
		if err := v.attach(v.wish()); fault.KindOf(err) != fault.ClusterUnreachable {
			t.Errorf("no answer: %v", err)
		}
		r.up.deny = nil
		v.comeBack()
		v.ack()
		v.lose()
		r.up.deny = fault.Wrap(apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "web", errors.New("no")), fault.Forbidden, "test", "You may not.")
		if err := v.attach(v.wish()); fault.KindOf(err) != fault.Forbidden {
			t.Errorf("a no: %v", err)
		}
		time.Sleep(10 * time.Second)
		if r.endReason() != string(Forbidden) {
			t.Errorf("ended by %s", r.endReason())
		}
		r.free()
		var outcomes []audit.Outcome
		for _, e := range r.audit.of(audit.ExecAttach, audit.Completed) {
			outcomes = append(outcomes, e.Outcome)
		}
		if want := []audit.Outcome{audit.Failure, audit.Success, audit.Denied}; !slices.Equal(outcomes, want) {
			t.Errorf("recorded %v, want %v", outcomes, want)
		}
	})
}

// TestNobodyComesBackUnrecorded.
func TestNobodyComesBackUnrecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, _ := r.visit()
		v.lose()
		r.audit.mu.Lock()
		r.audit.fail = errors.New("disk full")
		r.audit.mu.Unlock()
		if err := v.attach(v.wish()); fault.KindOf(err) != fault.AuditUnavailable {
			t.Errorf("got %v", err)
		}
		r.audit.mu.Lock()
		r.audit.fail = nil
		r.audit.mu.Unlock()
		v.comeBack()
		v.leave()
	})
}

// TestAStormOfAttaches comes with one token from many windows at once: one has the
// session at the end, the others are told, and nothing is left.
func TestAStormOfAttaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, s := r.visit()
		var mu sync.Mutex
		var seated []*pipeConn
		limited := 0
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				time.Sleep(time.Duration(i%10) * time.Millisecond)
				conn := newPipeConn()
				err := r.ss.Attach(context.Background(), r.request(), v.wish(), conn)
				mu.Lock()
				defer mu.Unlock()
				switch fault.KindOf(err) {
				case fault.RateLimited:
					limited++
				default:
					if err != nil {
						t.Errorf("got %v", err)
					}
					seated = append(seated, conn)
				}
			})
		}
		all.Wait()
		synctest.Wait()
		there := 0
		for _, conn := range seated {
			switch conn.closeCode() {
			case 4001:
			case 0:
				there++
				v.conn = conn
			default:
				t.Errorf("closed with %d", conn.closeCode())
			}
		}
		if there != 1 || len(seated)+limited != 100 {
			t.Errorf("%d of %d have the session, %d were to wait", there, len(seated), limited)
		}
		v.look()
		v.conn.send(true, "x")
		if v.typed(s) != 1 {
			t.Error("whoever has the session is not read")
		}
		v.leave()
	})
}

// TestAnEndWhileComingBack chooses the end while clients come and go.
func TestAnEndWhileComingBack(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			v, s := r.visit()
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					conn := newPipeConn()
					_ = r.ss.Attach(context.Background(), r.request(), v.wish(), conn)
					conn.Abort()
				})
			}
			all.Go(func() { s.exit(0) })
			all.Wait()
			time.Sleep(grace + time.Minute)
			synctest.Wait()
			r.free()
		})
	}
}

// TestShutdownWhileNobodyIsThere ends what waits.
func TestShutdownWhileNobodyIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, _ := r.visit()
		v.lose()
		shutDown(r)
		if r.endReason() != string(Shutdown) {
			t.Errorf("ended by %s", r.endReason())
		}
		if err := v.attach(v.wish()); fault.KindOf(err) != fault.ShuttingDown {
			t.Errorf("got %v", err)
		}
	})
}

// TestStdinOfManyReturns fills a window in each of many visits while the program
// reads nothing: honest clients are never refused before a bound of ours.
func TestStdinOfManyReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, s := r.visit()
		s.mu.Lock()
		s.block = make(chan struct{})
		block := s.block
		s.mu.Unlock()
		const visits = maxBacklog / StdinWindow
		for range visits {
			v.conn.send(true, strings.Repeat("x", StdinWindow))
			synctest.Wait()
			if err := v.attach(Attach{SessionID: v.id, TakeOver: true}); err != nil {
				t.Fatal(err)
			}
		}
		v.conn.send(true, "y")
		time.Sleep(10 * time.Second)
		if v.look(); find(v.frames, "error") == nil {
			t.Errorf("over %d bytes of stdin wait: %v", maxBacklog, v.frames)
		}
		close(block)
		synctest.Wait()
		r.free()
		s.mu.Lock()
		defer s.mu.Unlock()
		if n := bytes.Count(s.stdin.Bytes(), []byte("x")); n > maxBacklog {
			t.Errorf("%d bytes reached the program", n)
		}
	})
}

// TestAuditFieldsOfAReturn expects exactly the fields that docs/pod-exec.md lists.
func TestAuditFieldsOfAReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		v, s := r.visit()
		s.feed.Write([]byte("12345"))
		v.lose()
		time.Sleep(time.Minute)
		v.comeBack()
		const common = "client_address container namespace pod session_id taken_over tty"
		r.one(audit.ExecAttach, audit.Requested, common)
		e := r.one(audit.ExecAttach, audit.Completed, common+" away_ms complete offset")
		if e.Extra["offset"] != int64(5) || e.Extra["complete"] != true || e.Extra["taken_over"] != false || e.Extra["client_address"] != "203.0.113.9" {
			t.Errorf("recorded as %v", e.Extra)
		}
		if ms := e.Extra["away_ms"].(int64); ms != time.Minute.Milliseconds() {
			t.Errorf("%d ms away, want a minute", ms)
		}
		r.audit.events = slices.DeleteFunc(r.audit.events, func(e audit.Event) bool { return e.Verb == audit.ExecAttach })
		if err := v.attach(Attach{SessionID: v.id, Token: "stolen"}); err == nil {
			t.Fatal("a wrong token was let in")
		}
		if e := r.one(audit.ExecAttach, audit.Completed, common+" error"); e.Outcome != audit.Denied || e.Extra["error"] != "E_NOT_FOUND" {
			t.Errorf("the refusal is recorded as %+v", e)
		}
		v.leave()
	})
}

// TestReturnsAreLogged with the fields that docs/pod-exec.md lists, and without the
// token.
func TestReturnsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var log bytes.Buffer
		r.ss.Log = slog.New(slog.NewJSONHandler(&log, nil))
		v, _ := r.visit()
		v.lose()
		v.comeBack()
		if err := v.attach(Attach{SessionID: v.id, Token: "stolen"}); err == nil {
			t.Fatal("a wrong token was let in")
		}
		v.leave()
		for msg, want := range map[string]string{
			"exec.session.detach": "actor cluster container namespace pod resume_seconds sessionId why",
			"exec.session.attach": "actor away_ms cluster complete container namespace offset pod requestId sessionId taken_over",
			"exec.attach.refused": "actor cluster error requestId sessionId",
		} {
			lines := logged(t, log.Bytes(), msg)
			if len(lines) != 1 || strings.Join(keysOf(lines[0]), " ") != want {
				t.Errorf("%s: %v, want a line with %s", msg, lines, want)
			}
		}
		if bytes.Contains(log.Bytes(), []byte(v.token)) || bytes.Contains(log.Bytes(), []byte("stolen")) {
			t.Error("a token is in the log")
		}
	})
}
