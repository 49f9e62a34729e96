package podexec

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// logged are the log's lines with this message.
func logged(t *testing.T, log []byte, msg string) (lines []map[string]any) {
	t.Helper()
	for line := range bytes.Lines(log) {
		var l map[string]any
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("a log line that is no JSON: %q", line)
		}
		if l["msg"] == msg {
			lines = append(lines, l)
		}
	}
	return lines
}

func keysOf(m map[string]any) []string {
	var keys []string
	for k := range m {
		if k != "time" && k != "level" && k != "msg" {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// TestLogLines has a session, one that is refused, one that fails to open and
// one whose end fails, and expects exactly the lines and fields that
// docs/pod-exec.md lists. test/docs compares that page with the code.
func TestLogLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var log bytes.Buffer
		r.ss.Log = slog.New(slog.NewJSONHandler(&log, nil))
		r.set.MaxSessionsPerUser, r.set.MaxSessionsTotal = 1, 9
		conn, s := r.open(true)
		if _, err := r.ss.Admit(t.Context(), r.request()); err == nil {
			t.Fatal("a second session was let in")
		}
		s.exit(3)
		synctest.Wait()
		conn.Abort()
		r.free()
		r.unreachable(t)
		r.leftAlone(t)
		_, broken := r.open(true)
		broken.fail(errors.New("cut"))
		synctest.Wait()
		r.ss.wg.Wait()
		r.audit.fail = errors.New("disk full")
		r.set.Enabled = false
		if _, err := r.ss.Admit(t.Context(), r.request()); fault.KindOf(err) != fault.ExecDisabled {
			t.Errorf("refused with %v", err)
		}
		fields := map[string]string{
			"exec.transport.choice": "circuit_breaker cluster sessionId transport",
			"exec.session.start":    "actor cluster container namespace pod requestId sessionId transport tty",
			"exec.session.end": "actor bytes_stdin bytes_stdout close_reason cluster container duration_ms ended error exit_code " +
				"namespace pod requestId sessionId transport",
			"exec.refused":       "actor cluster error namespace pod requestId",
			"exec.cap.hit":       "actor cap cluster cluster_sessions limit requestId user_sessions",
			"exec.upgrade.error": "circuit_breaker_state cluster namespace pod requestId sessionId transport upgrade_error",
			"exec.open.failed":   "cluster ended error namespace pod requestId sessionId",
			"exec.stream.lost":   "cluster error namespace pod sessionId transport",
			"exec.end.failed":    "cluster error sessionId shells",
			"audit.lost":         "error eventId verb",
		}
		for msg, want := range fields {
			lines := logged(t, log.Bytes(), msg)
			if len(lines) == 0 || strings.Join(keysOf(lines[0]), " ") != want {
				t.Errorf("%s: %v, want lines with %s", msg, lines, want)
			}
		}
		hit, end := logged(t, log.Bytes(), "exec.cap.hit")[0], logged(t, log.Bytes(), "exec.session.end")
		if hit["cap"] != "user" || hit["limit"] != 1.0 || hit["user_sessions"] != 1.0 || hit["cluster_sessions"] != 1.0 {
			t.Errorf("the refusal is logged as %v", hit)
		}
		if len(end) != 3 || end[0]["close_reason"] != "completed" || end[0]["exit_code"] != 3.0 || end[0]["ended"] != "verified" || end[1]["ended"] != "unverified" {
			t.Errorf("the ends are logged as %v", end)
		}
	})
}

// unreachable has a session that is let in and whose dial fails.
func (r *rig) unreachable(t *testing.T) {
	t.Helper()
	dial := r.up.dial
	defer func() { r.up.dial = dial }()
	r.up.dial = func(transport.Request) (transport.Stream, error) {
		return nil, fault.New(fault.ClusterUnreachable, "t", "The cluster cannot be reached.")
	}
	if _, err := r.tryOpen(r.request()); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	r.free()
}

// leftAlone has a shell of ours whose control exec is refused.
func (r *rig) leftAlone(t *testing.T) {
	t.Helper()
	dial := r.up.dial
	defer func() { r.up.dial = dial }()
	r.up.dial = func(req transport.Request) (transport.Stream, error) {
		if !req.Stdin {
			return nil, fault.New(fault.Forbidden, "t", "No longer.")
		}
		s := newScript()
		go fmt.Fprintf(s.feed, "\x01periscope:%s:42:7:bash\x02", req.Command[len(req.Command)-1])
		return s, nil
	}
	req := r.request()
	req.Command = nil
	conn, err := r.tryOpen(req)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	r.leave(conn)
}

// TestNothingTypedIsRecorded follows shells through all that happens to them, and looks
// for what was typed and printed there, and for the resume tokens, in audit and in the
// log of every level.
func TestNothingTypedIsRecorded(t *testing.T) {
	const typed = "hunter2 "
	for name, end := range map[string]func(*visitor, *script){
		"closed":            func(v *visitor, _ *script) { v.conn.control(v.r.t, map[string]any{"type": "close"}) },
		"exited":            func(_ *visitor, s *script) { s.exit(1) },
		"broken":            func(_ *visitor, s *script) { s.fail(errors.New("cut")) },
		"typed as a frame":  func(v *visitor, _ *script) { v.conn.send(false, `{"type":"`+typed+`"}`) },
		"typed beyond all":  func(v *visitor, _ *script) { v.conn.send(true, strings.Repeat(typed, 1+StdinWindow/len(typed))) },
		"nobody comes back": func(v *visitor, _ *script) { v.lose(); time.Sleep(grace + time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				var log bytes.Buffer
				r.ss.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				v, s := r.visit()
				s.onIn = func(p []byte) { _, _ = s.feed.Write(bytes.Clone(p)) }
				secrets := []string{v.token}
				v.conn.send(true, typed)
				v.lose()
				v.comeBack()
				v.conn.send(true, strings.Repeat(typed, 100)) // a paste, which takes the longer way
				v.look()
				v.conn.control(t, map[string]any{"type": "detach"})
				if err := v.attach(Attach{SessionID: v.id, Token: typed}); err == nil {
					t.Fatal("a wrong token was let in")
				}
				if err := v.attach(Attach{SessionID: v.id, TakeOver: true}); err != nil {
					t.Fatal(err)
				}
				secrets = append(secrets, v.token, typed)
				if n := bytes.Count(v.output, []byte(typed)); n < 101 || v.typed(s) != 101*len(typed) || secrets[0] == secrets[1] {
					t.Fatalf("%d came back of %d bytes that were typed", n, v.typed(s))
				}
				end(v, s)
				r.free()
				records := log.String()
				for _, e := range r.audit.events {
					line, err := json.Marshal(e)
					if err != nil {
						t.Fatal(err)
					}
					records += string(line) + "\n"
				}
				for _, secret := range secrets {
					for _, shape := range shapes(secret) {
						if _, found, in := strings.Cut(records, shape); in {
							t.Errorf("%q is recorded, before %.200q", shape, found)
						}
					}
				}
			})
		})
	}
}

// shapes are how bytes get into a line of JSON.
func shapes(secret string) []string {
	whole := secret[:len(secret)-len(secret)%3] // what base64 writes alike, whatever follows
	var each []string
	for _, b := range []byte(secret) {
		each = append(each, strconv.Itoa(int(b)))
	}
	return []string{
		strings.TrimSpace(secret), base64.StdEncoding.EncodeToString([]byte(whole)), hex.EncodeToString([]byte(secret)),
		strings.Join(each, " "), strings.Join(each, ","),
	}
}

// TestAuditFields expects exactly the fields that docs/pod-exec.md lists, of a
// session, of one that was refused, of one that did not come up, and of one that
// was ended from the list.
func TestAuditFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, _ := r.openAs(ada, "INC-7")
		r.leave(conn)
		const common = "container namespace pod tty"
		for _, c := range []struct {
			verb  string
			stage audit.Stage
			more  string
		}{
			{audit.ExecStart, audit.Requested, " client_address k8s_identity session_id"},
			{audit.ExecStart, audit.Completed, " client_address k8s_identity session_id circuit_breaker transport"},
			{audit.ExecEnd, audit.Completed, " k8s_identity session_id circuit_breaker transport attaches bytes_stderr bytes_stdin bytes_stdout close_reason duration_ms ended exit_code"},
		} {
			e := r.one(c.verb, c.stage, common+c.more)
			if e.Actor.Sub != "ada" || e.Cluster != "c" || e.Resource.Name != "web" || e.Reason != "INC-7" {
				t.Errorf("%s: %+v", c.verb, e)
			}
		}
		r.audit.events = nil
		r.set.Enabled = false
		if _, err := r.ss.Admit(t.Context(), r.request()); err == nil {
			t.Fatal("shells that are switched off were opened")
		}
		r.set.Enabled = true
		if e := r.one(audit.ExecStart, audit.Completed, common+" client_address k8s_identity error"); e.Extra["error"] != "E_EXEC_DISABLED" || e.Extra["k8s_identity"] != "ada" || e.Extra["client_address"] != "203.0.113.9" {
			t.Errorf("the refusal is recorded as %+v", e)
		}
		r.audit.events = nil
		r.unreachable(t)
		if e := r.one(audit.ExecStart, audit.Completed, common+" client_address k8s_identity session_id error"); e.Extra["error"] != "E_CLUSTER_UNREACHABLE" || e.Outcome != audit.Failure {
			t.Errorf("the failure is recorded as %+v", e)
		}
		r.openAs(ada, "")
		if err := r.ss.End(t.Context(), admin, "req2", r.ss.List(ada)[0].SessionID); err != nil {
			t.Fatal(err)
		}
		r.ss.wg.Wait()
		r.one(audit.ExecKill, audit.Requested, common+" session_id session_actor")
		r.one(audit.ExecKill, audit.Completed, common+" session_id session_actor close_reason")
	})
}

// TestNoRefusalWritesALongLine: whoever is logged in may ask for whatever they like,
// and what reads stdout takes lines of 16 KiB.
func TestNoRefusalWritesALongLine(t *testing.T) {
	for _, what := range []string{"<", "\"", "\n", "\x80\n", "\u009b", "日", "a"} {
		long := strings.Repeat(what, 60<<10)
		for name, change := range map[string]func(*Request){
			"a cluster":   func(req *Request) { req.Cluster = long },
			"a namespace": func(req *Request) { req.Namespace = long },
			"a pod":       func(req *Request) { req.Pod = long },
			"a container": func(req *Request) { req.Container = long },
			"a reason":    func(req *Request) { req.Reason = long },
			"an op":       func(req *Request) { req.File = &File{Op: FileOp(long), Path: "/"} },
			"a path":      func(req *Request) { req.File = &File{Op: Get, Path: long} },
			"all of them": func(req *Request) {
				*req = Request{Cluster: long, Namespace: long, Pod: long, Container: long, Reason: long, File: &File{Op: FileOp(long), Path: long}}
			},
		} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				var line, log bytes.Buffer
				r.ss.Audit, r.ss.Log = audit.NewLines(&line), slog.New(slog.NewJSONHandler(&log, nil))
				r.set.RequireReason = true // any name is a cluster to the rig
				req := r.request()
				change(&req)
				if _, err := r.ss.Admit(t.Context(), req); err == nil {
					t.Errorf("%s of many %q was let in", name, what)
				}
				if !json.Valid(line.Bytes()) || bytes.Count(line.Bytes(), []byte{'\n'}) != 1 || line.Len() > 16<<10 || log.Len() > 16<<10 {
					t.Errorf("%s of many %q: a record of %d bytes, a log of %d: %.200s", name, what, line.Len(), log.Len(), line.Bytes())
				}
			})
		}
	}
}

// TestAContainerIsANameFirst: the cluster is asked nothing about what is none.
func TestAContainerIsANameFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		req := r.request()
		req.Container = "../app"
		if _, err := r.ss.Admit(t.Context(), req); fault.KindOf(err) != fault.Invalid {
			t.Errorf("got %v", err)
		}
	})
}

// one is the only event of that kind; extra are the fields that it must have.
func (r *rig) one(verb string, stage audit.Stage, extra string) audit.Event {
	r.t.Helper()
	want := strings.Fields(extra)
	slices.Sort(want)
	got := r.audit.of(verb, stage)
	if len(got) != 1 || !slices.Equal(keysOf(got[0].Extra), want) {
		r.t.Fatalf("%s %s: %v, want one with %v", verb, stage, got, want)
	}
	return got[0]
}
