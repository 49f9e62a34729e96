package podexec

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/podexec/transport"
	"github.com/periscope-console/periscope/internal/wsframe"
)

var update = flag.Bool("update", false, "write api/ends.json anew")

// live is a session of a test and all that can happen to it.
type live struct {
	r     *rig
	t     *testing.T
	conn  *pipeConn
	s     *script
	login chan struct{}
	o     *oracle
}

func (l *live) session() *session {
	l.r.ss.mu.Lock()
	defer l.r.ss.mu.Unlock()
	for _, s := range l.r.ss.live {
		return s
	}
	l.t.Fatal("there is no session")
	return nil
}

// chosen brings a reason that nothing brings yet.
func chosen(reason Reason) func(*live) {
	return func(l *live) { l.session().finish(endOf(reason)) }
}

func broken(kind fault.Kind) func(*live) {
	return func(l *live) { l.s.fail(fault.New(kind, "t", "It broke: %s.", kind)) }
}

// endings has a row for every reason: what brings it, and what else is said of it.
var endings = map[Reason]struct {
	bring   func(*live)
	outcome audit.Outcome
	code    string // of the error frame; empty: there is none
	silent  bool   // nobody is there any more to be told
}{
	ClientClose: {func(l *live) { l.conn.control(l.t, map[string]any{"type": "close"}) }, audit.Success, "", false},
	ServerIdle:  {func(l *live) { time.Sleep(l.r.set.ServerIdle + time.Second) }, audit.Success, "", false},
	ForcedClose: {func(l *live) {
		if err := l.r.ss.End(l.t.Context(), l.r.request().Actor, "req2", l.session().id); err != nil {
			l.t.Error(err)
		}
	}, audit.Success, "", false},
	Exited:           {func(l *live) { l.s.exit(3) }, audit.Success, "", false},
	ContainerExit:    {func(l *live) { l.r.up.changePod(func(p *corev1.Pod) { p.Status = corev1.PodStatus{} }); l.s.exit(137) }, audit.Success, "", false},
	PodDeleted:       {func(l *live) { l.r.up.changePod(func(p *corev1.Pod) { p.UID = "u2" }); l.s.exit(137) }, audit.Success, "", false},
	TunnelClosed:     {broken(fault.AgentDisconnected), audit.Failure, "E_AGENT_DISCONNECTED", false},
	HeartbeatTimeout: {func(l *live) { l.conn.mute.Store(true); time.Sleep(time.Minute) }, audit.Success, "", false},
	Unauthorized:     {func(l *live) { close(l.login) }, audit.Denied, "", false},
	ClientLost:       {func(l *live) { l.conn.Abort() }, audit.Success, "", true},
	Shutdown:         {func(l *live) { shutDown(l.r) }, audit.Success, "", false},
	Forbidden:        {func(l *live) { l.o.always(errNo) }, audit.Denied, "E_FORBIDDEN", false},
	NoShell:          {chosen(NoShell), audit.Failure, "", false},
	ServerError:      {broken(fault.ClusterUnreachable), audit.Failure, "E_CLUSTER_UNREACHABLE", false},
	ServerLost:       {chosen(ServerLost), audit.Failure, "", false},
	TakenOver:        {chosen(TakenOver), audit.Success, "", false},
	Refused:          {broken(fault.Gone), audit.Failure, "E_GONE", false},
	ProtocolError:    {func(l *live) { l.conn.control(l.t, map[string]any{"type": "open"}) }, audit.Failure, "E_PROTOCOL", false},
}

// TestOneReasonPerEnd brings every end about and reads its reason everywhere that
// it is told.
func TestOneReasonPerEnd(t *testing.T) {
	for _, reason := range declared(t) {
		t.Run(string(reason), func(t *testing.T) {
			row, ok := endings[reason]
			if !ok {
				t.Fatal("this reason has no row: say what brings it, and give it words in web/src/api/sentences.ts")
			}
			for _, v2 := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					l, log := liveSession(t, v2)
					row.bring(l)
					l.r.free()
					told(t, l, reason, row.code, row.silent)
					recorded(t, l.r, log, reason, row.outcome)
				})
			}
		})
	}
}

// nonsense is a dial to an apiserver that lets a shell in and then says only this.
func nonsense(t *testing.T, wire string) func(transport.Request) (transport.Stream, error) {
	t.Helper()
	var playing sync.WaitGroup
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		playing.Add(1)
		defer playing.Done()
		conn, _, err := wsframe.Upgrade(w, r, "v5.channel.k8s.io")
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, wire)
		_, _ = io.Copy(io.Discard, conn) // until the other side has gone
	}))
	t.Cleanup(func() {
		srv.Close()
		playing.Wait()
	})
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	cfg := &rest.Config{Host: srv.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}
	return func(req transport.Request) (transport.Stream, error) {
		return transport.New(transport.WebSocket).Dial(t.Context(), cfg, req)
	}
}

// TestNonsenseFromTheClusterIsNotTheClients: what the cluster garbles, or says in
// words that nobody knows, is no mistake of the page's.
func TestNonsenseFromTheClusterIsNotTheClients(t *testing.T) {
	frame := func(op wsframe.Opcode, payload string) string {
		return string(wsframe.AppendHeader(nil, op, len(payload))) + payload
	}
	for name, wire := range map[string]string{
		"a frame of another kind": frame(wsframe.Text, "hello"),
		"an end in unknown words": frame(wsframe.Binary, "\x03"+`{"status":"Perhaps"}`) + frame(wsframe.Close, "\x03\xe8"),
		"an end in no words":      frame(wsframe.Binary, "\x03nonsense") + frame(wsframe.Close, "\x03\xe8"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.up.dial = nonsense(t, wire)
			ticket, err := r.ss.Admit(t.Context(), r.request())
			if err != nil {
				t.Fatal(err)
			}
			conn := newPipeConn()
			r.ss.Serve(ticket, conn, true)
			r.free()
			closed, e := lastWords(t, conn)
			if closed["reason"] != "server_error" || conn.closeCode() != 1011 || e["code"] != "E_CLUSTER_UNREACHABLE" {
				t.Errorf("closed %v with %d, error %v", closed, conn.closeCode(), e)
			}
		})
	}
}

func liveSession(t *testing.T, v2 bool) (*live, *bytes.Buffer) {
	t.Helper()
	r, o := rightsRig(t)
	r.set.ServerIdle = 10 * time.Minute
	r.up.pod.Status = runningAs("c1")
	log := &bytes.Buffer{} // its handler has a lock; it is read after everything has ended
	r.ss.Log = slog.New(slog.NewJSONHandler(log, nil))
	l := &live{r: r, t: t, o: o, login: make(chan struct{})}
	req := r.request()
	req.Login.Done = l.login
	ticket, err := r.ss.Admit(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	l.conn = newPipeConn()
	r.ss.Serve(ticket, l.conn, v2)
	synctest.Wait()
	if _, frames := l.conn.drain(); find(frames, "hello") == nil {
		t.Fatalf("no hello in %v", frames)
	}
	l.s = <-r.streams
	return l, log
}

// told reads what the client got.
func told(t *testing.T, l *live, reason Reason, code string, silent bool) {
	t.Helper()
	_, frames := l.conn.drain()
	if silent {
		return
	}
	var closed []map[string]any
	for _, f := range frames {
		if f["type"] == "closed" {
			closed = append(closed, f)
		}
	}
	if len(closed) != 1 || closed[0]["reason"] != string(reason) || closed[0]["message"] == "" || l.conn.closeCode() != reason.CloseCode() {
		t.Errorf("closed %v with %d, want %d", closed, l.conn.closeCode(), reason.CloseCode())
	}
	e := find(frames, "error")
	if code == "" {
		if e != nil {
			t.Errorf("error %v", e)
		}
		return
	}
	if e == nil || e["code"] != code || e["message"] != closed[0]["message"] {
		t.Errorf("error %v, want %s", e, code)
	}
}

// recorded reads audit, log and metrics.
func recorded(t *testing.T, r *rig, log *bytes.Buffer, reason Reason, outcome audit.Outcome) {
	t.Helper()
	ends := r.audit.of(audit.ExecEnd, audit.Completed)
	if len(ends) != 1 || ends[0].Extra["close_reason"] != reason || ends[0].Outcome != outcome {
		t.Errorf("audit %+v, want %s", ends, outcome)
	}
	starts := slices.Concat(r.audit.of(audit.ExecStart, audit.Requested), r.audit.of(audit.ExecStart, audit.Completed))
	if len(starts) != 2 || starts[0].EventID != ends[0].EventID || starts[1].EventID != ends[0].EventID {
		t.Errorf("starts in audit: %+v", starts)
	}
	var lines []string
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, `"exec.session.end"`) {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 || !strings.Contains(lines[0], fmt.Sprintf(`"close_reason":%q,`, reason)) {
		t.Errorf("log %q", lines)
	}
	if all, ours := r.figure("periscope_exec_session_ends_total", ""), r.figure("periscope_exec_session_ends_total", string(reason)); all != 1 || ours != 1 {
		t.Errorf("%v ends were counted, %v as %s", all, ours, reason)
	}
}

// declared are the constants of type Reason in the source, whatever the tables say.
func declared(t *testing.T) []Reason {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []Reason
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Reason" {
			return true
		}
		for _, v := range spec.Values {
			word, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, Reason(word))
		}
		return true
	})
	return all
}

func TestEveryReasonIsInEveryTable(t *testing.T) {
	all := declared(t)
	if len(all) < 18 {
		t.Fatalf("found %d reasons in the source", len(all))
	}
	if sorted := slices.Sorted(slices.Values(all)); !slices.Equal(sorted, Reasons()) {
		t.Errorf("the source has %v, the table of close codes %v", sorted, Reasons())
	}
	for _, reason := range all {
		if sentences[reason] == "" {
			t.Errorf("%s has no sentence", reason)
		}
	}
	for reason := range endings {
		if !slices.Contains(all, reason) {
			t.Errorf("%s is no reason", reason)
		}
	}
}

// TestEndsAreDocumented holds the tables of api/terminal.md equal to the code's.
func TestEndsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../api/terminal.md")
	if err != nil {
		t.Fatal(err)
	}
	_, ends, _ := strings.Cut(string(text), "## Ends\n")
	ends, codes, _ := strings.Cut(ends, "## Error codes\n")
	codes, _, _ = strings.Cut(codes, "\n## ")
	words := regexp.MustCompile("`([^`]+)`")
	documented := map[string]int{}
	for line := range strings.Lines(ends) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		code, _ := strconv.Atoi(strings.TrimSpace(cells[2]))
		for _, m := range words.FindAllStringSubmatch(cells[1], -1) {
			documented[m[1]] = code
		}
	}
	for _, reason := range Reasons() {
		if documented[string(reason)] != reason.CloseCode() {
			t.Errorf("%s is documented with %d, and has %d", reason, documented[string(reason)], reason.CloseCode())
		}
	}
	for _, kind := range fault.Kinds() {
		if !strings.Contains(codes, "`"+kind.Code()+"`") {
			t.Errorf("%s is not documented", kind.Code())
		}
	}
}

// TestEndsJSON writes what the pages' tests hold their words against.
func TestEndsJSON(t *testing.T) {
	const file = "../../api/ends.json"
	type reason struct {
		Reason    Reason `json:"reason"`
		CloseCode int    `json:"closeCode"`
		Message   string `json:"message"`
	}
	var all struct {
		Reasons []reason `json:"reasons"`
		Errors  []string `json:"errors"`
	}
	for _, r := range Reasons() {
		all.Reasons = append(all.Reasons, reason{r, r.CloseCode(), sentences[r]})
	}
	for _, k := range fault.Kinds() {
		all.Errors = append(all.Errors, k.Code())
	}
	slices.Sort(all.Errors)
	got, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("api/ends.json is not what the code says; run: make generate (%v)", err)
	}
}

// TestRecordsComeBeforeActs looks at audit while things happen: at the dial, and
// when the client hears of its shell.
func TestRecordsComeBeforeActs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		count := func() [3]int {
			return [3]int{
				len(r.audit.of(audit.ExecStart, audit.Requested)), len(r.audit.of(audit.ExecStart, audit.Completed)),
				len(r.audit.of(audit.ExecEnd, audit.Completed)),
			}
		}
		dial, conn := r.up.dial, newPipeConn()
		r.up.dial = func(req transport.Request) (transport.Stream, error) {
			if got := count(); got != [3]int{1, 0, 0} {
				t.Errorf("at the dial audit has %v", got)
			}
			s, err := dial(req)
			go fmt.Fprint(s.(*script).feed, "output that waits")
			return s, err
		}
		r.audit.seen = func(e audit.Event) {
			if n := len(conn.toClient); e.Verb == audit.ExecStart && n != 0 {
				t.Errorf("%s was recorded after %d messages", e.Stage, n)
			}
		}
		ticket, err := r.ss.Admit(t.Context(), r.request())
		if err != nil {
			t.Fatal(err)
		}
		r.ss.Serve(ticket, conn, true)
		synctest.Wait()
		if out, frames := conn.drain(); string(out) != "output that waits" || find(frames, "hello") == nil {
			t.Errorf("%q and %v arrived", out, frames)
		}
		if got := count(); got != [3]int{1, 1, 0} {
			t.Errorf("at hello audit has %v", got)
		}
		r.leave(conn)
		if got := count(); got != [3]int{1, 1, 1} {
			t.Errorf("at the end audit has %v", got)
		}
	})
}

// TestAStartThatFailsHasNoEnd loses the node before the stream stands.
func TestAStartThatFailsHasNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.up.dial = func(transport.Request) (transport.Stream, error) {
			return nil, fault.New(fault.ClusterUnreachable, "t", "Nothing listens.")
		}
		ticket, err := r.ss.Admit(t.Context(), r.request())
		if err != nil {
			t.Fatal(err)
		}
		conn := newPipeConn()
		r.ss.Serve(ticket, conn, true)
		r.free()
		closed, e := lastWords(t, conn)
		if closed["reason"] != "server_error" || e["code"] != "E_CLUSTER_UNREACHABLE" {
			t.Errorf("closed %v, error %v", closed, e)
		}
		asked, done := r.audit.of(audit.ExecStart, audit.Requested), r.audit.of(audit.ExecStart, audit.Completed)
		if len(asked) != 1 || len(done) != 1 || done[0].Outcome != audit.Failure || done[0].EventID != asked[0].EventID ||
			len(r.audit.of(audit.ExecEnd, audit.Completed)) != 0 {
			t.Errorf("audit %+v %+v", asked, done)
		}
	})
}
