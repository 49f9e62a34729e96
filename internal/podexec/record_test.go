package podexec

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/periscope-console/periscope/internal/audit"
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

// TestLogLines has one session and one that is refused, and expects exactly the
// lines and fields that docs/pod-exec.md lists.
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
		fields := map[string]string{
			"exec.transport.choice": "circuit_breaker cluster sessionId transport",
			"exec.session.start":    "actor cluster container namespace pod requestId sessionId transport tty",
			"exec.session.end": "actor bytes_stdin bytes_stdout close_reason cluster container duration_ms ended exit_code " +
				"namespace pod requestId sessionId transport",
			"exec.cap.hit": "actor cap cluster cluster_sessions limit requestId user_sessions",
		}
		for msg, want := range fields {
			lines := logged(t, log.Bytes(), msg)
			if len(lines) != 1 || strings.Join(keysOf(lines[0]), " ") != want {
				t.Errorf("%s: %v, want one line with %s", msg, lines, want)
			}
		}
		hit, end := logged(t, log.Bytes(), "exec.cap.hit")[0], logged(t, log.Bytes(), "exec.session.end")[0]
		if hit["cap"] != "user" || hit["limit"] != 1.0 || hit["user_sessions"] != 1.0 || hit["cluster_sessions"] != 1.0 {
			t.Errorf("the refusal is logged as %v", hit)
		}
		if end["close_reason"] != "completed" || end["exit_code"] != 3.0 || end["ended"] != "verified" {
			t.Errorf("the end is logged as %v", end)
		}
	})
}

// TestAuditFields expects exactly the fields that docs/pod-exec.md lists.
func TestAuditFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, _ := r.openAs(ada, "INC-7")
		r.leave(conn)
		const common = "container k8s_identity namespace pod session_id tty"
		for _, c := range []struct {
			verb  string
			stage audit.Stage
			more  string
		}{
			{audit.ExecStart, audit.Requested, ""},
			{audit.ExecStart, audit.Completed, " circuit_breaker transport"},
			{audit.ExecEnd, audit.Completed, " circuit_breaker transport bytes_stderr bytes_stdin bytes_stdout close_reason duration_ms ended exit_code"},
		} {
			got := r.audit.of(c.verb, c.stage)
			want := strings.Fields(common + c.more)
			slices.Sort(want)
			if len(got) != 1 || !slices.Equal(keysOf(got[0].Extra), want) {
				t.Errorf("%s %s: %v, want one with %v", c.verb, c.stage, got, want)
			}
			if got[0].Actor.Sub != "ada" || got[0].Cluster != "c" || got[0].Resource.Name != "web" || got[0].Reason != "INC-7" {
				t.Errorf("%s: %+v", c.verb, got[0])
			}
		}
	})
}
