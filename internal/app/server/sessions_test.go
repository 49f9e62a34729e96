package server_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/clusters/kubeconfig"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/httpapi"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/identity/websession"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/podexec"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// listed is one session as the API tells it.
type listed struct {
	SessionID, Subject, Email, Cluster, Namespace, Pod, Container, Transport, Reason, State string
	Own, TTY                                                                                bool
	StartedAt, LastActivityAt                                                               time.Time
	BytesIn, BytesOut                                                                       int64
}

func (p *product) sessions() (list []listed, scope string) {
	p.t.Helper()
	var body struct {
		Sessions []listed
		Scope    string
		Total    int
	}
	if code := p.call("GET", "/api/exec/sessions", "", &body); code != http.StatusOK || body.Total != len(body.Sessions) {
		p.t.Fatalf("sessions: %d %+v", code, body)
	}
	return body.Sessions, body.Scope
}

// TestEndFromTheList sees a shell in the list and ends it there.
func TestEndFromTheList(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	c.Bind(t, ns, "admin", "periscope:"+ns)
	p := startWith(t, authFiles(t, c, ns))
	term := p.open("real", ns, pod.Name, map[string]any{"reason": "INC-7: disk full"})
	term.send("echo he''re; sleep 98763\n")
	term.expect("here")
	list, scope := p.sessions()
	if len(list) != 1 || scope != "all" { // the user of dev mode is an administrator
		t.Fatalf("%s: %+v", scope, list)
	}
	s := list[0]
	if s.SessionID != term.frame("hello")["sessionId"] || !s.Own || s.Subject != "ada" || s.Email != "ada@example.com" || s.Cluster != "real" ||
		s.Namespace != ns || s.Pod != pod.Name || s.Container != "main" || s.Transport != "ws" || s.Reason != "INC-7: disk full" ||
		s.State != "attached" || !s.TTY || s.BytesIn == 0 || s.BytesOut == 0 || s.LastActivityAt.Before(s.StartedAt) {
		t.Errorf("listed %+v", s)
	}
	eventually(t, "the command runs", func() bool { return processes(t, c, ns, pod.Name, "sleep 98763") == 1 })
	if code := p.call("DELETE", "/api/exec/sessions/"+s.SessionID, "", nil); code != http.StatusNoContent {
		t.Fatalf("DELETE: %d", code)
	}
	if closed, code := term.closed(); closed["reason"] != "forced_close" || code != 1000 || !strings.Contains(closed["message"].(string), "You ended") {
		t.Errorf("closed %v with %d", closed, code)
	}
	eventually(t, "nothing is left in the pod", func() bool { return processes(t, c, ns, pod.Name, "sleep 98763") == 0 })
	eventually(t, "the end is in audit", func() bool { return len(p.events("pod.exec.session_end", "completed")) == 1 })
	asked, done := p.events("pod.exec.session_kill", "requested"), p.events("pod.exec.session_kill", "completed")
	if len(asked) != 1 || len(done) != 1 || asked[0]["eventId"] != done[0]["eventId"] || done[0]["outcome"] != "success" {
		t.Errorf("audit: %v, %v", asked, done)
	}
	if list, _ := p.sessions(); len(list) != 0 {
		t.Errorf("still listed: %+v", list)
	}
	if code := p.call("DELETE", "/api/exec/sessions/"+s.SessionID, "", nil); code != http.StatusNotFound {
		t.Errorf("a second DELETE: %d", code)
	}
}

// TestTheCapNamesWhatToEnd ends what stands in the way of a shell and opens it,
// under the cap of a user and under that of a cluster.
func TestTheCapNamesWhatToEnd(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	for code, env := range map[string]string{
		"E_CAP_USER": "PERISCOPE_EXEC_MAX_SESSIONS_PER_USER=1", "E_CAP_CLUSTER": "PERISCOPE_EXEC_MAX_SESSIONS_TOTAL=1",
	} {
		t.Run(code, func(t *testing.T) {
			p := start(t, c, env)
			name := p.clusterName()
			held := p.open(name, ns, pod.Name, nil)
			body := p.atTheCap(execPath(name, ns, pod.Name), code)
			if len(body.ActiveSessions) != 1 || (code == "E_CAP_CLUSTER") != (body.Count == 1) {
				t.Fatalf("%+v", body)
			}
			s := body.ActiveSessions[0]
			if s.State != "attached" || s.StartedAt.IsZero() || s.LastActivityAt.IsZero() || !s.Own {
				t.Errorf("in the way: %+v", s)
			}
			if code := p.call("DELETE", "/api/exec/sessions/"+s.SessionID, "", nil); code != http.StatusNoContent {
				t.Fatalf("DELETE: %d", code)
			}
			next := p.open(name, ns, pod.Name, nil) // at once: the slot is free when the answer comes
			held.closed()
			next.control(map[string]any{"type": "close"})
			next.closed()
		})
	}
}

// capBody is the answer to a plain client over a cap.
type capBody struct {
	Error          string
	ActiveSessions []listed
	Count          int
}

// atTheCap is refused in both modes, and returns what a plain client reads.
func (p *product) atTheCap(path, code string) (body capBody) {
	p.t.Helper()
	_, resp := p.dial(path, false)
	if resp == nil {
		p.t.Fatal("a shell over the cap was opened")
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		p.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusTooManyRequests || body.Error != code || body.ActiveSessions == nil {
		p.t.Fatalf("%d %+v", resp.StatusCode, body)
	}
	term, _ := p.dial(path, true)
	term.control(map[string]any{"type": "open"})
	e := term.frame("error")
	if told, _ := e["activeSessions"].([]any); e["code"] != code || len(told) != len(body.ActiveSessions) || e["retryable"] != true {
		p.t.Errorf("frames %v", term.got)
	}
	if closed, code := term.closed(); closed["reason"] != "refused" || code != 1008 {
		p.t.Errorf("closed %v with %d", closed, code)
	}
	return body
}

// TestACapTellsNothingOfOthers fills a cluster with one person's shells.
func TestACapTellsNothingOfOthers(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := crowdWith(t, c, func(e *config.ExecPolicy) { e.MaxSessionsTotal = 1 })
	held := p.as("ada").open("real", ns, pod.Name, nil)
	if body := p.as("bob").atTheCap(execPath("real", ns, pod.Name), "E_CAP_CLUSTER"); len(body.ActiveSessions) != 0 || body.Count != 1 {
		t.Errorf("bob is told %+v", body)
	}
	held.control(map[string]any{"type": "close"})
	held.closed()
}

// people are logins by the name in the cookie.
type people map[string]identity.Actor

func (p people) FromRequest(r *http.Request) (identity.Actor, websession.ID, error) {
	if c, err := r.Cookie("who"); err == nil && p[c.Value].Subject != "" {
		return p[c.Value], websession.ID(c.Value), nil
	}
	return identity.Actor{}, "", fault.New(fault.Unauthenticated, "t", "Log in.")
}

func (p people) Present(_ context.Context, id websession.ID) (identity.Actor, error) {
	return p[string(id)], nil
}

func (people) Touch(websession.ID) {}

func (people) Done(websession.ID) <-chan struct{} { return nil }

func (people) Of(context.Context, identity.Actor) ([]websession.Record, error) { return nil, nil }

func (people) EndOne(context.Context, identity.Actor, websession.ID) error { return nil }

// crowd serves several people, as a login provider would send them.
func crowd(t *testing.T, cluster *kubetest.Cluster) *product {
	t.Helper()
	return crowdWith(t, cluster, func(*config.ExecPolicy) {})
}

func crowdWith(t *testing.T, cluster *kubetest.Cluster, change func(*config.ExecPolicy)) *product {
	t.Helper()
	policy := config.ExecPolicy{
		Enabled: true, ServerIdle: wait, IdleWarn: time.Second, Heartbeat: 20 * time.Second, MaxSessionsPerUser: 5, MaxSessionsTotal: 50,
	}
	change(&policy)
	reg, err := clusters.New(
		[]config.Cluster{{Name: "real", Backend: config.Kubeconfig, KubeconfigPath: cluster.Kubeconfig, Exec: policy}},
		map[config.BackendKind]clusters.Opener{config.Kubeconfig: kubeconfig.Open}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	p := &product{t: t, audit: &safeBuffer{}, log: &safeBuffer{}}
	sessions := podexec.New(podexec.Options{
		Directory: podexec.Registry{Clusters: reg, Switch: transport.NewSwitch(transport.Auto, time.Now)},
		Audit:     audit.NewLines(p.audit), Log: slog.New(slog.NewJSONHandler(p.log, nil)),
		Metrics: podexec.NewMetrics(prometheus.NewRegistry()),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = sessions.Run(ctx) })
	all := people{}
	for _, name := range []string{"ada", "bob", "root"} {
		all[name] = identity.Actor{Issuer: "t", Subject: name, Email: name + "@example.com", Admin: name == "root", As: identity.Impersonation{None: true}}
	}
	h := httptest.NewUnstartedServer(nil)
	h.Config.Handler = httpapi.New(httpapi.Options{
		Guard: httpapi.Guard{Hosts: []string{h.Listener.Addr().String()}}, Logins: all,
		Tokens:   token.New(token.Options{}),
		Clusters: reg, Sessions: sessions, Pages: fstest.MapFS{}, Log: slog.New(slog.DiscardHandler), Ready: func(context.Context) error { return nil },
	})
	h.Start()
	p.url = h.URL
	t.Cleanup(func() {
		cancel()
		running.Wait()
		h.Close()
		http.DefaultClient.CloseIdleConnections()
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// as is the same product at the hands of somebody else.
func (p *product) as(name string) *product {
	other := *p
	other.cookie = &http.Cookie{Name: "who", Value: name}
	return &other
}

func TestWhoSeesAndEndsWhat(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := crowd(t, c)
	ada, bob, root := p.as("ada"), p.as("bob"), p.as("root")
	term := ada.open("real", ns, pod.Name, nil)
	bobs := bob.open("real", ns, pod.Name, nil)
	id := term.frame("hello")["sessionId"].(string)
	if list, scope := bob.sessions(); len(list) != 1 || list[0].SessionID == id || scope != "self" {
		t.Errorf("bob sees %s: %+v", scope, list)
	}
	if list, scope := root.sessions(); len(list) != 2 || list[0].Own || list[1].SessionID != id || scope != "all" {
		t.Errorf("an administrator sees %s: %+v", scope, list)
	}
	answers := map[string]bool{}
	for _, path := range []string{id, "00000000-0000-0000-0000-000000000000", "nonsense"} {
		var body struct{ Error, Message, RequestID string }
		if code := bob.call("DELETE", "/api/exec/sessions/"+path, "", &body); code != http.StatusNotFound || body.Error != "E_NOT_FOUND" {
			t.Errorf("bob ends %s: %d %+v", path, code, body)
		}
		answers[body.Message] = true
	}
	if len(answers) != 1 {
		t.Errorf("the answers differ: %v", answers)
	}
	if code := root.call("DELETE", "/api/exec/sessions/"+id, "", nil); code != http.StatusNoContent {
		t.Errorf("an administrator's DELETE: %d", code)
	}
	if closed, _ := term.closed(); !strings.Contains(closed["message"].(string), "root@example.com") {
		t.Errorf("ada is told %v", closed)
	}
	if code := root.call("GET", "/api/exec/sessions?limit=0", "", nil); code != http.StatusBadRequest {
		t.Errorf("limit=0: %d", code)
	}
	if code := p.as("eve").call("GET", "/api/exec/sessions", "", nil); code != http.StatusUnauthorized {
		t.Errorf("a stranger's list: %d", code)
	}
	bobs.control(map[string]any{"type": "close"})
	bobs.closed()
}

// TestNoRecordNoEnd takes the audit away under a running shell.
func TestNoRecordNoEnd(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c)
	term := p.open(p.clusterName(), ns, pod.Name, nil)
	p.audit.fail(os.ErrClosed)
	var body struct{ Error, Message string }
	code := p.call("DELETE", "/api/exec/sessions/"+term.frame("hello")["sessionId"].(string), "", &body)
	if code != http.StatusServiceUnavailable || body.Error != "E_AUDIT_UNAVAILABLE" {
		t.Errorf("DELETE: %d %+v", code, body)
	}
	term.send("echo still''here\n")
	term.expect("stillhere")
	p.audit.fail(nil)
	term.control(map[string]any{"type": "close"})
	term.closed()
}
