package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/identity/websession"
	"github.com/periscope-console/periscope/internal/peer"
	"github.com/periscope-console/periscope/internal/quota"
	"github.com/periscope-console/periscope/internal/tunnel/contract"
	"github.com/periscope-console/periscope/internal/tunnel/enrol"
	"github.com/periscope-console/periscope/internal/tunnel/pki"
)

// twoPeople knows an administrator and somebody who is none.
type twoPeople struct{ logins }

func (twoPeople) FromRequest(r *http.Request) (identity.Actor, websession.ID, error) {
	c, err := r.Cookie("s")
	if err != nil {
		return identity.Actor{}, "", fault.New(fault.Unauthenticated, "t", "Log in.")
	}
	who := ada
	who.Admin = c.Value == "root"
	return who, "id", nil
}

type memoryCA struct{ kept pki.Pair }

func (m *memoryCA) Load(context.Context) (pki.Pair, error) {
	if m.kept.Cert == nil {
		return pki.Pair{}, pki.ErrNone
	}
	return m.kept, nil
}

func (m *memoryCA) Create(ctx context.Context, p pki.Pair) (pki.Pair, error) {
	m.kept = p
	return m.Load(ctx)
}

// office is a handler that enrols agents, beside the agents' listener's.
type office struct {
	http.Handler
	t      *testing.T
	ca     *pki.Authority
	agents *enrol.Keeper
	other  http.Handler
	tokens *token.Keeper
	log    bytes.Buffer // of the edge
}

func newOffice(t *testing.T) *office {
	t.Helper()
	ca, err := pki.Open(t.Context(), &memoryCA{})
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, ca: ca, tokens: token.New(token.Options{
		Store: token.NewMemory(10), Audit: audit.NewLines(io.Discard), Log: slog.New(slog.DiscardHandler),
		Limits: token.Limits{Enabled: true, MaxLifetime: time.Hour, OwnerSeen: time.Hour, MaxPerPerson: 100},
		Admit:  func(a identity.Actor) (identity.Actor, error) { a.Admin = true; return a, nil },
	})}
	if err := o.tokens.See(t.Context(), ada); err != nil {
		t.Fatal(err)
	}
	o.agents = enrol.New(enrol.Options{
		Store: enrol.NewMemory(), CA: ca, Clusters: []string{"prod", "test"}, Life: 90 * 24 * time.Hour,
		Audit: audit.NewLines(io.Discard), Log: slog.New(slog.DiscardHandler),
	})
	o.Handler = newHandlerWith(t, func(opt *Options) {
		opt.Logins, opt.Tokens, opt.Agents = twoPeople{}, o.tokens, o.agents
		opt.Log = slog.New(slog.NewJSONHandler(&o.log, nil))
		opt.Proxies = peer.Proxies{netip.MustParsePrefix("10.0.0.0/8")}
		opt.Quota = quota.New(quota.Options{PerClient: 20, Total: 100, Clients: 100})
		opt.AgentURLs = AgentURLs{
			Link: "wss://agents.example:8443/api/agents/connect", PassedThrough: "wss://agents.example/api/agents/connect",
			Register: "https://console.example/api/agents/register",
		}
		opt.AuditLogin = func(context.Context, string, audit.Outcome, identity.Actor, string) {}
		o.other = NewAgents(*opt, AgentListener{
			Names: []string{"console.example", "x", "127.0.0.1", "2001:db8::1"}, Admit: func(ctx context.Context, shown []*x509.Certificate) error {
				_, err := o.agents.Admit(ctx, shown)
				return err
			},
			Connect: func(http.ResponseWriter, *http.Request) error {
				return fault.New(fault.Unauthenticated, "test", "No certificate, no link.")
			},
		})
	})
	return o
}

// ask sends JSON as root and decodes the answer.
func (o *office) ask(method, path, body string, out any) int {
	o.t.Helper()
	resp := do(o.t, o, ask{method: method, path: path, body: body, header: map[string]string{"Cookie": "s=root", "Content-Type": "application/json"}})
	raw, err := io.ReadAll(resp.Body)
	if err == nil && out != nil {
		err = json.Unmarshal(raw, out)
	}
	if err != nil {
		o.t.Fatalf("%s %s: %d %s: %v", method, path, resp.StatusCode, raw, err)
	}
	return resp.StatusCode
}

func (o *office) mint(cluster string) (made AgentToken) {
	o.t.Helper()
	if code := o.ask("POST", "/api/agents/tokens", fmt.Sprintf(`{"cluster":%q}`, cluster), &made); code != http.StatusOK {
		o.t.Fatalf("%d", code)
	}
	return made
}

// registration is the body of a good one.
func registration(t *testing.T, secret, cluster string) string {
	t.Helper()
	_, csr, err := pki.NewRequest(cluster)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(AgentRegistration{Token: secret, Cluster: cluster, CSR: string(csr)})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// register sends a body without any login.
func register(t *testing.T, h http.Handler, body string) *http.Response {
	t.Helper()
	return do(t, h, ask{method: "POST", path: "/api/agents/register", body: body, header: map[string]string{"Content-Type": "application/json"}})
}

func TestAgentsByHTTP(t *testing.T) {
	for name, listener := range map[string]func(*office) http.Handler{
		"the main listener": func(o *office) http.Handler { return o }, "the agents'": func(o *office) http.Handler { return o.other },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			made := o.mint("prod")
			_, pin := o.agents.CA()
			if made.Cluster != "prod" || made.CAHash != pin || made.ID == "" || time.Until(made.ExpiresAt) > 15*time.Minute {
				t.Errorf("%+v", made)
			}
			const start = "PERISCOPE_SERVER_URL=wss://agents.example"
			rest := " PERISCOPE_REGISTRATION_TOKEN=" + made.Token + " periscope-agent"
			want := AgentCommands{
				OneURL:     start + "/api/agents/connect PERISCOPE_CLUSTER_NAME=prod PERISCOPE_SERVER_CA_HASH=" + pin + rest,
				TwoURLs:    start + ":8443/api/agents/connect PERISCOPE_CLUSTER_NAME=prod PERISCOPE_REGISTRATION_URL=https://console.example/api/agents/register" + rest,
				SelfSigned: start + ":8443/api/agents/connect PERISCOPE_CLUSTER_NAME=prod PERISCOPE_SERVER_CA_HASH=" + pin + rest,
			}
			if made.Commands != want {
				t.Errorf("got  %+v\nwant %+v", made.Commands, want)
			}
			resp := register(t, listener(o), registration(t, made.Token, "prod"))
			var got RegisteredAgent
			if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%d %v", resp.StatusCode, err)
			}
			block, _ := pem.Decode([]byte(got.Certificate))
			ca, _ := o.agents.CA()
			if block == nil || got.CA != string(ca) || time.Until(got.ExpiresAt) < 89*24*time.Hour || resp.Header.Get("Set-Cookie") != "" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%+v %v", got, resp.Header)
			}
			var list AgentList
			if o.ask("GET", "/api/agents", "", &list); len(list.Agents) != 1 {
				t.Fatalf("%+v", list)
			}
			a := list.Agents[0]
			if a.Cluster != "prod" || a.MintedBy.Subject != ada.Subject || !a.ExpiresAt.Equal(got.ExpiresAt) || a.Certificates != 1 ||
				a.RenewAt.Sub(a.IssuedAt) > 60*24*time.Hour || a.RenewAt.Sub(a.IssuedAt) < 59*24*time.Hour {
				t.Errorf("%+v", a)
			}
			if code := o.ask("DELETE", "/api/agents/prod", "", nil); code != http.StatusNoContent {
				t.Errorf("%d", code)
			}
			if o.ask("GET", "/api/agents", "", &list); len(list.Agents) != 0 || list.Agents == nil {
				t.Errorf("%+v", list)
			}
			if code := o.ask("DELETE", "/api/agents/prod", "", nil); code != http.StatusNotFound {
				t.Errorf("again: %d", code)
			}
		})
	}
}

// TestWithdrawingATokenByHTTP: it is listed without what lets an agent in, and lets
// none in once it is withdrawn; the cluster's agent and its other tokens stay.
func TestWithdrawingATokenByHTTP(t *testing.T) {
	o := newOffice(t)
	register(t, o, registration(t, o.mint("prod").Token, "prod"))
	lost, kept := o.mint("prod"), o.mint("prod")
	waiting := func() (ids []string) {
		var list AgentList
		o.ask("GET", "/api/agents", "", &list)
		if len(list.Agents) != 1 || list.Tokens == nil {
			t.Errorf("%+v", list)
		}
		for _, w := range list.Tokens {
			if w.Cluster != "prod" || w.MintedBy.Subject != ada.Subject || w.ExpiresAt.Sub(w.CreatedAt) != 15*time.Minute {
				t.Errorf("%+v", w)
			}
			ids = append(ids, w.ID)
		}
		return ids
	}
	if got := waiting(); !slices.Equal(got, []string{lost.ID, kept.ID}) {
		t.Errorf("%q wait", got)
	}
	if raw, _ := io.ReadAll(do(t, o, ask{method: "GET", path: "/api/agents", header: map[string]string{"Cookie": "s=root"}}).Body); strings.Contains(string(raw), lost.Token) {
		t.Errorf("the list shows a token: %s", raw)
	}
	for _, path := range []string{"/api/agents/test/tokens/" + lost.ID, "/api/agents/prod/tokens/x", "/api/agents/prod/tokens/" + lost.Token} {
		if code := o.ask("DELETE", path, "", nil); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	for _, want := range []int{http.StatusNoContent, http.StatusNotFound} {
		if code := o.ask("DELETE", "/api/agents/prod/tokens/"+lost.ID, "", nil); code != want {
			t.Errorf("%d, want %d", code, want)
		}
	}
	if got := waiting(); !slices.Equal(got, []string{kept.ID}) {
		t.Errorf("%q wait", got)
	}
	for made, want := range map[string]int{lost.Token: http.StatusUnauthorized, kept.Token: http.StatusOK} {
		if got := register(t, o, registration(t, made, "prod")); got.StatusCode != want {
			t.Errorf("%d, want %d", got.StatusCode, want)
		}
	}
	if got := waiting(); len(got) > 0 {
		t.Errorf("%q wait", got)
	}
}

// TestWhoSeesToAgents: administrators, and a token with the scope for the cluster.
func TestWhoSeesToAgents(t *testing.T) {
	o := newOffice(t)
	register(t, o, registration(t, o.mint("prod").Token, "prod"))
	register(t, o, registration(t, o.mint("test").Token, "test"))
	waits := o.mint("prod")
	bearer := func(scope token.Scope, clusters ...string) string {
		who := ada
		who.Admin = true
		_, secret, err := o.tokens.Create(t.Context(), who, "", token.Wish{Name: fmt.Sprint(scope, clusters), Scopes: []token.Scope{scope}, Clusters: clusters, Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + secret.Reveal()
	}
	for name, c := range map[string]struct {
		header, value string
		want          int
	}{
		"nobody":          {"X", "", 401},
		"a person":        {"Cookie", "s=ada", 403},
		"a token to read": {"Authorization", bearer(token.Read), 403},
		"a token to exec": {"Authorization", bearer(token.Exec), 403},
		"one for another": {"Authorization", bearer(token.Admin, "test"), 403},
	} {
		for _, a := range []ask{
			{method: "GET", path: "/api/agents"},
			{method: "POST", path: "/api/agents/tokens", body: `{"cluster":"prod"}`},
			{method: "DELETE", path: "/api/agents/prod"},
			{method: "DELETE", path: "/api/agents/prod/tokens/" + waits.ID},
		} {
			a.header = map[string]string{c.header: c.value, "Content-Type": "application/json"}
			got := do(t, o, a)
			raw, _ := io.ReadAll(got.Body)
			if a.method == "GET" && name == "one for another" { // it sees its own cluster's
				if got.StatusCode != http.StatusOK || strings.Contains(string(raw), "prod") || !strings.Contains(string(raw), `"cluster":"test"`) {
					t.Errorf("%s sees %s", name, raw)
				}
			} else if got.StatusCode != c.want {
				t.Errorf("%s: %s %s: %d", name, a.method, a.path, got.StatusCode)
			}
		}
	}
	own := map[string]string{"Authorization": bearer(token.Admin, "test", "prod"), "Content-Type": "application/json"}
	if got := do(t, o, ask{method: "POST", path: "/api/agents/tokens", body: `{"cluster":"prod"}`, header: own}); got.StatusCode != http.StatusOK {
		t.Errorf("an administrator's token: %d", got.StatusCode)
	}
	if list, err := o.agents.List(t.Context(), identity.Actor{Admin: true}); len(list) != 2 || err != nil {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestBadRegistrations: what cannot be read is refused before any token is looked
// at; a bad token gets the same answer whatever is bad about it.
func TestBadRegistrations(t *testing.T) {
	o := newOffice(t)
	good := o.mint("prod").Token
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"nothing":       {"", 400},
		"no JSON":       {"token=x", 400},
		"a list":        {"[]", 400},
		"unknown field": {`{"token":"` + good + `","cluster":"prod","csr":"x","life":"1000000h"}`, 400},
		"two":           {registration(t, good, "prod") + "{}", 400},
		"no CSR":        {`{"token":"` + good + `","cluster":"prod"}`, 400},
		"over 16 KiB":   {`{"token":"` + strings.Repeat("x", maxRegistration) + `"}`, 413},
	} {
		if got := register(t, o.other, c.body); got.StatusCode != c.want {
			t.Errorf("%s: %d", name, got.StatusCode)
		}
	}
	if form := do(t, o.other, ask{method: "POST", path: "/api/agents/register", body: registration(t, good, "prod"), header: map[string]string{"Content-Type": "text/plain"}}); form.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("as text: %d", form.StatusCode)
	}
	var first ErrorBody
	for _, body := range []string{registration(t, "psr_x", "prod"), registration(t, good, "test"), registration(t, good, "prod"), registration(t, "", "")} {
		resp := register(t, o.other, body)
		var is ErrorBody
		if err := json.NewDecoder(resp.Body).Decode(&is); err != nil || resp.StatusCode != http.StatusUnauthorized || is.Error != "E_UNAUTHENTICATED" || is.RequestID == "" {
			t.Fatalf("%d %+v %v", resp.StatusCode, is, err)
		}
		is.RequestID = ""
		if first == (ErrorBody{}) {
			first = is
		}
		if is != first {
			t.Errorf("two answers to bad tokens: %+v, %+v", first, is)
		}
	}
}

// endless is a body that never ends, and counts what was taken of it.
type endless struct{ taken atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, bytes.Repeat([]byte("x"), len(p)))
	e.taken.Add(int64(n))
	if e.taken.Load() > 100<<20 {
		return 0, io.EOF
	}
	return n, nil
}

// TestARegistrationOf100MB is not read.
func TestARegistrationOf100MB(t *testing.T) {
	o := newOffice(t)
	for _, h := range []http.Handler{o, o.other} {
		body := &endless{}
		r := httptest.NewRequest(http.MethodPost, "/api/agents/register", io.MultiReader(strings.NewReader(`{"csr":"`), body))
		r.Host = "console.example"
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), "over the limit of 16 KiB") || body.taken.Load() > 64<<10 {
			t.Errorf("%d %s, %d bytes were read", w.Code, w.Body, body.taken.Load())
		}
	}
	register(t, o, registration(t, o.mint("prod").Token, "prod"))
}

// TestOneQuotaForBothListeners, and only that one route at the agents'.
func TestOneQuotaForBothListeners(t *testing.T) {
	o := newOffice(t)
	a := ask{method: "POST", path: "/api/agents/register", header: map[string]string{"Content-Type": "application/json"}}
	for i := range 20 {
		h := []http.Handler{o, o.other}[i%2]
		if got := do(t, h, a); got.StatusCode != http.StatusBadRequest {
			t.Fatalf("%d before the limit", got.StatusCode)
		}
	}
	for _, h := range []http.Handler{o, o.other} {
		if got := do(t, h, a); got.StatusCode != http.StatusTooManyRequests || got.Header.Get("Retry-After") == "" {
			t.Errorf("beyond it: %d", got.StatusCode)
		}
	}
	for _, path := range []string{"GET /api/agents/register", "GET /api/whoami", "POST /api/agents/tokens", "GET /api/agents", "GET /", "GET /healthz", "POST /api/agents/register/"} {
		method, path, _ := strings.Cut(path, " ")
		got := do(t, o.other, ask{method: method, path: path, header: map[string]string{"Cookie": "s=root", "Content-Type": "application/json"}})
		if got.StatusCode != http.StatusUnauthorized || got.Header.Get("Content-Security-Policy") == "" || got.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s %s: %d", method, path, got.StatusCode)
		}
	}
}

// TestTheAgentsListenerBelievesNoProxy: not even one that the main listener believes.
// No quota is got around there by another name, and the log has where it came from.
func TestTheAgentsListenerBelievesNoProxy(t *testing.T) {
	o := newOffice(t)
	a := ask{method: "POST", path: "/api/agents/register", header: map[string]string{"Content-Type": "application/json"}}
	for i := range 20 {
		if got := from(t, o.other, fmt.Sprintf("203.0.113.%d", i), a); got.StatusCode != http.StatusBadRequest {
			t.Fatalf("%d before the limit", got.StatusCode)
		}
	}
	if got := from(t, o.other, "203.0.113.99", a); got.StatusCode != http.StatusTooManyRequests {
		t.Errorf("under one more name: %d", got.StatusCode)
	}
	if got := from(t, o, "203.0.113.99", a); got.StatusCode != http.StatusBadRequest {
		t.Errorf("who is named so by a proxy of the main listener: %d", got.StatusCode)
	}
	if log := o.log.String(); !strings.Contains(log, `"address":"10.0.0.1"`) || strings.Contains(log, "203.0.113") {
		t.Errorf("log %s", log)
	}
}

func TestWithoutAgents(t *testing.T) {
	h := newHandler(t)
	for _, a := range []ask{
		{method: "GET", path: "/api/agents"}, {method: "POST", path: "/api/agents/tokens", body: `{"cluster":"prod"}`},
		{method: "POST", path: "/api/agents/register", body: registration(t, "x", "prod")}, {method: "DELETE", path: "/api/agents/prod"},
		{method: "DELETE", path: "/api/agents/prod/tokens/x"},
	} {
		a.header = map[string]string{"Cookie": "s=ada", "Content-Type": "application/json"}
		got := do(t, h, a)
		if raw, _ := io.ReadAll(got.Body); got.StatusCode != http.StatusNotFound || !strings.Contains(string(raw), "backend: agent") {
			t.Errorf("%s %s: %d %s", a.method, a.path, got.StatusCode, raw)
		}
	}
}

// TestTheAgentsListenerHasItsOwnNames: another Host is another server.
func TestTheAgentsListenerHasItsOwnNames(t *testing.T) {
	o := newOffice(t)
	for host, want := range map[string]int{
		"console.example": 401, "Console.Example:8443": 401, "[2001:db8::1]:8443": 401, "[2001:db8:0::1]": 401,
		"": 421, "evil.example": 421, "evil.example:8443": 421, "console.example.": 421, "127.0.0.2": 421,
	} {
		r := httptest.NewRequest(http.MethodGet, contract.ConnectPath, nil)
		r.Host = host
		w := httptest.NewRecorder()
		o.other.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d %s", host, w.Code, w.Body)
		}
	}
}

// TestABodyThatDoesNotCome holds nothing for long; one that comes slowly is taken,
// and so is what its connection sends later.
func TestABodyThatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours := serveOne(t, newOffice(t).other)
		answers := bufio.NewReader(ours)
		send := func(parts ...string) (int, time.Duration) {
			begun := time.Now()
			go func() {
				length := len(strings.Join(parts, "")) // of a body whose last part may not come
				_, _ = fmt.Fprintf(ours, "POST /api/agents/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", length)
				for _, part := range parts {
					time.Sleep(bodyTime * 2 / 3)
					_, _ = io.WriteString(ours, part)
				}
			}()
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			return resp.StatusCode, time.Since(begun)
		}
		body := registration(t, "psr_x", "prod")
		for range 2 {
			if code, took := send(body); code != http.StatusUnauthorized || took > bodyTime {
				t.Errorf("a slow one: %d after %v", code, took)
			}
			time.Sleep(2 * bodyTime)
		}
		if code, took := send(body[:10], body[10:]); code != http.StatusGatewayTimeout || took != bodyTime {
			t.Errorf("one that does not come: %d after %v", code, took)
		}
		time.Sleep(bodyTime)
	})
}

// TestABodyThatDoesNotEnd holds nothing for long either.
func TestABodyThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours := serveOne(t, newOffice(t).other)
		body, begun := registration(t, "psr_x", "prod"), time.Now()
		go func() {
			_, _ = fmt.Fprintf(ours, "POST /api/agents/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body)+1, body)
		}()
		resp, err := http.ReadResponse(bufio.NewReader(ours), nil)
		if took := time.Since(begun); err != nil || resp.StatusCode != http.StatusGatewayTimeout || took != bodyTime {
			t.Errorf("%+v after %v: %v", resp, took, err)
		}
	})
}

// TestTheAgentsListener is the whole way of an agent over TLS: it registers with
// nothing but the pin, comes in by its certificate, and no more once that is revoked.
func TestTheAgentsListener(t *testing.T) {
	o := newOffice(t)
	serving, err := o.ca.Serving([]string{"agents.example"})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/agents/register", o.other)
	mux.HandleFunc("/api/agents/connect", func(w http.ResponseWriter, r *http.Request) {
		pass, err := o.agents.Admit(r.Context(), r.TLS.PeerCertificates)
		if err != nil {
			w.WriteHeader(Status(fault.KindOf(err)))
			return
		}
		defer pass.Close()
		_, _ = io.WriteString(w, pass.Cluster())
	})
	srv := httptest.NewUnstartedServer(mux)
	srv.TLS = serving.TLS()
	srv.StartTLS()
	defer srv.Close()
	ask := func(config *tls.Config, method, path, body string) (int, []byte) {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, raw
	}
	made := o.mint("prod")
	pinned, err := pki.PinnedTLS(made.CAHash, "agents.example")
	if err != nil {
		t.Fatal(err)
	}
	if code, _ := ask(pinned.Clone(), "GET", "/api/agents/connect", ""); code != http.StatusUnauthorized {
		t.Errorf("without a certificate: %d", code)
	}
	key, csr, err := pki.NewRequest("prod")
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(AgentRegistration{Token: made.Token, Cluster: "prod", CSR: string(csr)})
	if err != nil {
		t.Fatal(err)
	}
	code, raw := ask(pinned.Clone(), "POST", "/api/agents/register", string(body))
	var got RegisteredAgent
	if err := json.Unmarshal(raw, &got); code != http.StatusOK || err != nil {
		t.Fatalf("%d %s", code, raw)
	}
	own, err := tls.X509KeyPair([]byte(got.Certificate), key)
	if err != nil {
		t.Fatal(err)
	}
	trusted := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "agents.example", Certificates: []tls.Certificate{own}}
	trusted.RootCAs.AppendCertsFromPEM([]byte(got.CA))
	if code, raw := ask(trusted.Clone(), "GET", "/api/agents/connect", ""); code != http.StatusOK || string(raw) != "prod" {
		t.Errorf("with it: %d %s", code, raw)
	}
	if code := o.ask("DELETE", "/api/agents/prod", "", nil); code != http.StatusNoContent {
		t.Fatalf("%d", code)
	}
	if code, _ := ask(trusted.Clone(), "GET", "/api/agents/connect", ""); code != http.StatusUnauthorized {
		t.Errorf("with a revoked one: %d", code)
	}
}
