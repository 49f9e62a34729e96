package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/entry"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/identity/websession"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/peer"
	"github.com/periscope-console/periscope/internal/podexec"
	"github.com/periscope-console/periscope/internal/quota"
)

// ada is who the cookie of logins belongs to; eve may come in no more.
var (
	ada = identity.Actor{Issuer: "t", Subject: "ada", As: identity.Impersonation{User: "ada"}}
	bob = identity.Actor{Issuer: "t", Subject: "bob"}
	eve = identity.Actor{Issuer: "t", Subject: "eve"}
)

func newKeeper(t *testing.T) *token.Keeper {
	t.Helper()
	k := token.New(token.Options{
		Store: token.NewMemory(10), Audit: audit.NewLines(discard{}), Log: slog.New(slog.DiscardHandler),
		Limits: token.Limits{Enabled: true, MaxLifetime: 90 * 24 * time.Hour, OwnerSeen: 24 * time.Hour, MaxPerPerson: 100},
		Admit: func(a identity.Actor) (identity.Actor, error) {
			if a.Same(eve) {
				return identity.Actor{}, fault.New(fault.Forbidden, "t", "You are in none of the groups.")
			}
			a.As = ada.As
			return a, nil
		},
	})
	for _, a := range []identity.Actor{ada, bob, eve} {
		if err := k.See(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// nothing is a cluster that nobody reaches.
type nothing struct{}

func (nothing) Config(context.Context) (*rest.Config, error) {
	return nil, fault.New(fault.ClusterUnreachable, "t", "No.")
}

func (nothing) Close() error { return nil }

// door is a handler with tokens of ada's, and what was denied at it.
type door struct {
	http.Handler
	t      *testing.T
	keeper *token.Keeper
	denied []string
}

func newDoor(t *testing.T, change ...func(*Options)) *door {
	t.Helper()
	d := &door{t: t, keeper: newKeeper(t)}
	known, err := clusters.New([]config.Cluster{{Name: "prod", Backend: "none"}, {Name: "test", Backend: "none"}},
		map[config.BackendKind]clusters.Opener{"none": func(config.Cluster) (clusters.Backend, error) { return nothing{}, nil }}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	d.Handler = newHandlerWith(t, func(o *Options) {
		o.Tokens, o.Clusters = d.keeper, known
		o.Sessions = podexec.New(podexec.Options{})
		o.AuditLogin = func(_ context.Context, verb string, outcome audit.Outcome, a identity.Actor, reason string) {
			d.denied = append(d.denied, verb+" "+string(outcome)+" "+a.Token+" "+reason)
		}
		letIn := func(w http.ResponseWriter, _ *http.Request) { http.SetCookie(w, &http.Cookie{Name: "s", Value: "ada"}) }
		for _, path := range []string{"GET /config", "GET /login", "POST /logout", "POST /logout/everywhere", "POST /dev"} {
			method, path, _ := strings.Cut(path, " ")
			o.Login = append(o.Login, entry.Route{Method: method, Path: "/api/auth" + path, Serve: letIn})
		}
		for _, c := range change {
			c(o)
		}
	})
	return d
}

func (d *door) token(scopes []token.Scope, clusters ...string) (token.Token, map[string]string) {
	d.t.Helper()
	return d.tokenOf(ada, scopes, clusters...)
}

func (d *door) tokenOf(owner identity.Actor, scopes []token.Scope, clusters ...string) (token.Token, map[string]string) {
	d.t.Helper()
	tok, secret, err := d.keeper.Create(d.t.Context(), owner, "", token.Wish{
		Name: rand.Text(), Scopes: scopes, Clusters: clusters, Lifetime: time.Hour,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return tok, map[string]string{"Authorization": "Bearer " + secret.Reveal()}
}

func (d *door) ask(a ask) (int, ErrorBody, http.Header) {
	d.t.Helper()
	resp := do(d.t, d, a)
	var body ErrorBody
	_ = json.NewDecoder(resp.Body).Decode(&body) // some answers are no error
	return resp.StatusCode, body, resp.Header
}

// TestEveryRouteSaysWhatATokenMayDo: a new route is refused to tokens until
// somebody has thought about it and written it here.
func TestEveryRouteSaysWhatATokenMayDo(t *testing.T) {
	want := map[string]token.Scope{
		"whoami": token.Read, "authWhoami": token.Read, "features": token.Read, "listClusters": token.Read, "canI": token.Read,
		"listNamespaces": token.Read, "listPods": token.Read, "getPod": token.Read, "listPodEvents": token.Read,
		"listExecSessions": token.Read, "endExecSession": token.Exec, "exec": token.Exec, "debugPod": token.Exec,
		"listLogins": "", "active": "", "endLogin": "", "listTokens": "", "createToken": "", "revokeToken": "", "revokeTokens": "",
		"getLoginAsk": "", "findLoginAsk": "", "answerLoginAsk": "", "revokeThisToken": token.Read,
		"listAgents": token.Admin, "mintAgentToken": token.Admin, "revokeAgent": token.Admin, "withdrawAgentToken": token.Admin,
	}
	got := map[string]token.Scope{}
	for _, r := range (&server{}).routes() {
		if !r.public {
			got[r.id] = r.scope
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestScopesHold(t *testing.T) {
	d := newDoor(t)
	read, exec := []token.Scope{token.Read}, []token.Scope{token.Exec}
	reads := func() map[string]string { _, h := d.token(read); h["Content-Type"] = "application/json"; return h }
	execs := func() map[string]string { _, h := d.token(exec); return h }
	limited := func() map[string]string { _, h := d.token([]token.Scope{token.Read, token.Exec}, "test"); return h }
	const shell = "/api/clusters/prod/pods/shop/web/exec"
	for name, c := range map[string]struct {
		ask  ask
		want int
		said string
	}{
		"read whoami":           {ask{path: "/api/whoami", header: reads()}, 200, ""},
		"read clusters":         {ask{path: "/api/clusters", header: reads()}, 200, ""},
		"read shells":           {ask{path: "/api/exec/sessions", header: reads()}, 200, ""},
		"read opens a shell":    {ask{path: shell, header: reads()}, 403, "lacks the scope exec, which this needs; it has read."},
		"read ends a shell":     {ask{method: "DELETE", path: "/api/exec/sessions/x", header: reads()}, 403, "lacks the scope exec"},
		"exec looks":            {ask{path: "/api/clusters", header: execs()}, 403, "lacks the scope read, which this needs; it has exec."},
		"exec ends a shell":     {ask{method: "DELETE", path: "/api/exec/sessions/x", header: execs()}, 404, "no such shell"},
		"exec without upgrade":  {ask{path: shell, header: execs()}, 400, "speaks WebSocket"},
		"another cluster":       {ask{path: "/api/clusters/prod/pods", header: limited()}, 403, "limited to test."},
		"a shell in another":    {ask{path: shell, header: limited()}, 403, "limited to test."},
		"an unknown cluster":    {ask{path: "/api/clusters/none/pods", header: limited()}, 403, "limited to test."},
		"its own cluster":       {ask{path: "/api/clusters/test/pods/shop/web/exec", header: limited()}, 400, "speaks WebSocket"},
		"makes a token":         {ask{method: "POST", path: "/api/auth/tokens", header: reads(), body: "{}"}, 403, "in the browser alone"},
		"lists tokens":          {ask{path: "/api/auth/tokens", header: reads()}, 403, "in the browser alone"},
		"revokes a token":       {ask{method: "DELETE", path: "/api/auth/tokens/x", header: reads()}, 403, "in the browser alone"},
		"revokes all":           {ask{method: "DELETE", path: "/api/auth/tokens", header: reads()}, 403, "in the browser alone"},
		"lists logins":          {ask{path: "/api/auth/logins", header: reads()}, 403, "in the browser alone"},
		"ends a login":          {ask{method: "DELETE", path: "/api/auth/logins/x", header: reads()}, 403, "in the browser alone"},
		"health, as for anyone": {ask{path: "/healthz", header: reads()}, 200, ""},
	} {
		d.denied = nil
		code, body, header := d.ask(c.ask)
		if code != c.want || !strings.Contains(body.Message, c.said) {
			t.Errorf("%s: %d %q, want %d %q", name, code, body.Message, c.want, c.said)
		}
		if header.Get("Set-Cookie") != "" {
			t.Errorf("%s: was given a cookie", name)
		}
		if denied := code == 403; denied != (len(d.denied) == 1) || denied && !strings.HasPrefix(d.denied[0], "auth.denied denied ") {
			t.Errorf("%s: recorded %q", name, d.denied)
		}
	}
}

// TestARightThatTheTokenLacks: what a person may, a token for looking alone may not,
// and the answers that others are told stay as they are.
func TestARightThatTheTokenLacks(t *testing.T) {
	checks := []kube.Check{
		{Verb: "list", Resource: "pods"}, {Verb: "create", Resource: "pods/exec"}, {Verb: "get", Resource: "pods", Subresource: "exec"},
		{Verb: "delete", Resource: "pods"}, {Verb: "*", Resource: "*"},
	}
	yes := kube.Decision{Allowed: true, Decided: true}
	answers := []kube.Decision{yes, yes, yes, {Reason: "no answer"}, yes}
	for name, c := range map[string]struct {
		token token.Token
		want  []bool
	}{
		"a cookie": {token.Token{}, []bool{true, true, true, false, true}},
		"read":     {token.Token{ID: "t", Scopes: []token.Scope{token.Read}}, []bool{true, false, false, false, false}},
		"exec too": {token.Token{ID: "t", Scopes: []token.Scope{token.Read, token.Exec}}, []bool{true, true, true, false, true}},
	} {
		got := (&call{token: c.token}).inToken(checks, answers)
		for i, d := range got {
			if d.Allowed != c.want[i] || answers[i].Allowed && !d.Allowed && (!d.Decided || !strings.Contains(d.Reason, "lacks the scope exec")) {
				t.Errorf("%s: %+v is answered by %+v", name, checks[i], d)
			}
		}
		if got[3] != answers[3] || !answers[1].Allowed {
			t.Errorf("%s: %+v, and the answers are now %+v", name, got[3], answers)
		}
	}
}

// TestTheTokenOfAnActIsRecorded: by its id, never by itself.
func TestTheTokenOfAnActIsRecorded(t *testing.T) {
	d := newDoor(t)
	tok, header := d.token([]token.Scope{token.Read})
	d.ask(ask{path: "/api/clusters/prod/pods/shop/web/exec", header: header})
	if len(d.denied) != 1 || !strings.Contains(d.denied[0], string(tok.ID)) || strings.Contains(d.denied[0], "psc_") {
		t.Errorf("recorded %q", d.denied)
	}
	resp := do(t, d, ask{path: "/api/whoami", header: header})
	var who Whoami
	if err := json.NewDecoder(resp.Body).Decode(&who); err != nil || who.Token == nil || who.Token.ID != string(tok.ID) || who.ExpiresAt == nil || !who.ExpiresAt.Equal(tok.Expires) {
		t.Errorf("whoami says %+v, %v", who, err)
	}
	resp = do(t, d, ask{path: "/api/whoami", header: map[string]string{"Cookie": "s=ada"}})
	if err := json.NewDecoder(resp.Body).Decode(&who); err != nil || who.Token != nil {
		t.Errorf("a browser's whoami says %+v, %v", who.Token, err)
	}
}

// TestTheSameRefusalFillsNoAudit: a script that is refused again and again leaves some
// records and the number of the others; another kind, another token, another person and
// another address have records of their own.
func TestTheSameRefusalFillsNoAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var records []string
		d := &door{t: t, keeper: newKeeper(t)}
		h := newHandlerWith(t, func(o *Options) {
			recordAudit(&records)(o)
			o.Tokens, o.Proxies = d.keeper, peer.Proxies{netip.MustParsePrefix("10.0.0.0/8")}
		})
		_, one := d.token([]token.Scope{token.Exec})
		_, other := d.token([]token.Scope{token.Exec})
		_, limited := d.token([]token.Scope{token.Read}, "test")
		_, gone := d.tokenOf(eve, []token.Scope{token.Read})
		cookie := map[string]string{"Cookie": "s=ada"}
		recorded := func(what string, client string, a ask, times, want int) {
			t.Helper()
			records = nil
			for range times {
				if got := from(t, h, client, a); got.StatusCode != http.StatusForbidden && got.StatusCode != http.StatusBadRequest {
					t.Fatalf("%s: %d", what, got.StatusCode)
				}
			}
			if len(records) != want {
				t.Errorf("%s: %d records, want %d", what, len(records), want)
			}
		}
		scope := func(header map[string]string) ask { return ask{method: "GET", path: "/api/clusters", header: header} }
		crooked := func(path string, header map[string]string) ask { return ask{method: "GET", path: path, header: header} }
		recorded("a scope", "203.0.113.9", scope(one), 100, quota.First)
		recorded("another scope", "203.0.113.9", ask{method: "GET", path: "/api/agents", header: one}, 2, 2)
		recorded("a cluster", "203.0.113.9", ask{method: "GET", path: "/api/clusters/prod/namespaces", header: limited}, 100, quota.First)
		recorded("another scope beside it", "203.0.113.9", ask{method: "GET", path: "/api/agents", header: limited}, 2, 2)
		recorded("another token", "203.0.113.9", scope(other), 2, 2)
		recorded("another address", "203.0.113.10", scope(one), 2, 2)
		recorded("in the browser alone", "203.0.113.9", ask{method: "GET", path: "/api/auth/logins", header: one}, 2, 2)
		recorded("an owner who is let in no more", "203.0.113.9", scope(gone), 100, quota.First)
		recorded("crooked paths", "2001:db8::1", crooked("/api//whoami", cookie), 100, quota.First)
		recorded("others from the same network", "2001:db8::2", crooked("/api/./whoami", cookie), 100, 0)
		recorded("a crooked query", "2001:db8::1", crooked("/api/whoami?a=1&a=2", cookie), 2, 2)
		time.Sleep(time.Minute)
		recorded("a minute later", "203.0.113.9", scope(one), 100, 1)
		if want := fmt.Sprintf(" (%d more like this since the record before)", 100-quota.First); !strings.HasSuffix(records[0], want) {
			t.Errorf("%q does not end with %q", records[0], want)
		}
		recorded("a minute later", "2001:db8::1", crooked("/api//whoami", cookie), 100, 1)
		if !strings.Contains(records[0], "The path /api//whoami is not one") || !strings.Contains(records[0], fmt.Sprintf(" (%d more", 200-quota.First)) {
			t.Errorf("%q", records[0])
		}
	})
}

func TestATokenSeesItsClustersAlone(t *testing.T) {
	d := newDoor(t)
	_, limited := d.token([]token.Scope{token.Read}, "test")
	_, all := d.token([]token.Scope{token.Read})
	for want, header := range map[string]map[string]string{"test": limited, "prod test": all} {
		resp := do(t, d, ask{path: "/api/clusters", header: header})
		var list ClusterList
		if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range list.Clusters {
			names = append(names, c.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("sees %q, want %q", got, want)
		}
	}
}

// TestBadBearers: whatever is wrong with a token, the answer is the same, and a
// cookie beside it does not count.
func TestBadBearers(t *testing.T) {
	d := newDoor(t)
	_, good := d.token([]token.Scope{token.Read})
	text := good["Authorization"]
	answers := map[string]bool{}
	for name, values := range map[string][]string{
		"truncated":     {text[:len(text)-1]},
		"another":       {text[:12] + strings.Repeat("0", len(text)-12)},
		"wrong prefix":  {"Bearer ghp_0123456789"},
		"a JWT":         {"Bearer eyJhbGciOiJub25lIn0.e30."},
		"empty":         {"Bearer"},
		"64 KB":         {"Bearer " + strings.Repeat("x", 64<<10)},
		"twice":         {text, text},
		"with password": {text, "Basic dTpw"},
	} {
		for _, cookie := range []string{"", "s=ada"} {
			r := ask{path: "/api/whoami", header: map[string]string{"X-Request-Id": "same"}}
			resp := doWith(t, d, r, func(h http.Header) {
				h["Authorization"] = values
				if cookie != "" {
					h.Set("Cookie", cookie)
				}
			})
			var body ErrorBody
			if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || resp.StatusCode != http.StatusUnauthorized || body.Error != "E_UNAUTHENTICATED" || resp.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: %d %+v %v", name, resp.StatusCode, body, err)
			}
			answers[body.Message] = true
		}
	}
	if len(answers) != 1 {
		t.Errorf("the answers differ: %v", answers)
	}
}

// TestTheTokenAloneCounts where a cookie comes with it.
func TestTheTokenAloneCounts(t *testing.T) {
	d := newDoor(t)
	_, header := d.token([]token.Scope{token.Read})
	header["Cookie"] = "s=ada"
	if code, body, _ := d.ask(ask{path: "/api/clusters", header: header}); code != 200 {
		t.Errorf("%d %+v", code, body)
	}
	for _, path := range []string{"/api/auth/logins", "/api/auth/tokens", "/api/auth/config", "/api/auth/login"} {
		if code, _, answer := d.ask(ask{path: path, header: header}); code != 403 || answer.Get("Set-Cookie") != "" {
			t.Errorf("%s with both: %d", path, code)
		}
	}
	for _, path := range []string{"/api/auth/logout", "/api/auth/logout/everywhere", "/api/auth/dev"} {
		if code, _, answer := d.ask(ask{method: "POST", path: path, header: header}); code != 403 || answer.Get("Set-Cookie") != "" {
			t.Errorf("POST %s with both: %d", path, code)
		}
	}
	// A password for a proxy on the way is none of ours.
	if code, _, _ := d.ask(ask{path: "/api/whoami", header: map[string]string{"Authorization": "Basic dTpw", "Cookie": "s=ada"}}); code != 200 {
		t.Errorf("a cookie beside a proxy's password: %d", code)
	}
	if code, _, _ := d.ask(ask{path: "/api/whoami", header: map[string]string{"Authorization": "Basic dTpw"}}); code != 401 {
		t.Errorf("a proxy's password alone: %d", code)
	}
}

// TestTokensAndOrigins: a script sends none; a page of another site is refused
// whatever it sends.
func TestTokensAndOrigins(t *testing.T) {
	d := newDoor(t)
	_, header := d.token([]token.Scope{token.Read, token.Exec})
	for origin, want := range map[string]int{"": 404, "https://console.example": 404, "https://evil.example": 403, "null": 403} {
		h := maps.Clone(header)
		if origin != "" {
			h["Origin"] = origin
		}
		if code, _, _ := d.ask(ask{method: "DELETE", path: "/api/exec/sessions/x", header: h}); code != want {
			t.Errorf("origin %q: %d, want %d", origin, code, want)
		}
	}
}

func TestTokenBodies(t *testing.T) {
	d := newDoor(t)
	in := map[string]string{"Cookie": "s=ada", "Content-Type": "application/json"}
	const first = `{"name":"ci","scopes":["read"],"lifetimeSeconds":3600,"clusters":["test"]}`
	resp := do(t, d, ask{method: "POST", path: "/api/auth/tokens", header: in, body: first})
	var made MadeToken
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(made.Secret, token.Prefix) || !made.Token.Own || made.Token.UsedAt != nil {
		t.Fatalf("%d %+v %v", resp.StatusCode, made, err)
	}
	if cache := resp.Header.Get("Cache-Control"); cache != "no-store" {
		t.Errorf("the answer with the secret may be kept: %q", cache)
	}
	for body, want := range map[string]int{
		`{"name":"ci","scopes":["read"],"lifetimeSeconds":3601}`:                                  409,
		`{"name":"a","scopes":["read"],"lifetimeSeconds":3600,"clusters":["nowhere"]}`:            404,
		`{"name":"a","scopes":["read"],"lifetimeSeconds":3600,"clusters":["../../etc"]}`:          400,
		`{"name":"a","scopes":["read"],"lifetimeSeconds":-1}`:                                     400,
		`{"name":"a","scopes":["read"],"lifetimeSeconds":9223372036854775807}`:                    400,
		`{"name":"a","scopes":["read"],"lifetimeSeconds":99999999999999999999}`:                   400,
		`{"name":"a","scopes":["read"]}`:                                                          400,
		`{"name":"a","scopes":[],"lifetimeSeconds":3600}`:                                         400,
		`{"name":"a","scopes":["all"],"lifetimeSeconds":3600}`:                                    400,
		`{"name":"a","scopes":["admin"],"lifetimeSeconds":3600}`:                                  403,
		`{"name":"","scopes":["read"],"lifetimeSeconds":3600}`:                                    400,
		`{"name":"a","scopes":["read"],"lifetimeSeconds":3600,"subject":"root"}`:                  400,
		`{"name":"` + strings.Repeat("x", 70<<10) + `","scopes":["read"],"lifetimeSeconds":3600}`: 413,
		``: 400,
	} {
		if code, _, _ := d.ask(ask{method: "POST", path: "/api/auth/tokens", header: in, body: body}); code != want {
			t.Errorf("%.90s: %d, want %d", body, code, want)
		}
	}
	for path, want := range map[string]int{"/api/auth/tokens/none": 404, "/api/auth/tokens/" + strings.Repeat("x", 4096): 404} {
		if code, _, _ := d.ask(ask{method: "DELETE", path: path, header: in}); code != want {
			t.Errorf("DELETE %.40s: %d, want %d", path, code, want)
		}
	}
	if code, body, _ := d.ask(ask{path: "/api/auth/tokens?everybody=true", header: in}); code != 403 || body.Error != fault.Forbidden.Code() {
		t.Errorf("everybody's: %d", code)
	}
}

// outOnce is logged out while its request is served.
type outOnce struct {
	logins
	asked *int
}

func (o outOnce) FromRequest(r *http.Request) (identity.Actor, websession.ID, error) {
	if *o.asked++; *o.asked > 1 {
		return identity.Actor{}, "", fault.New(fault.Unauthenticated, "t", "Log in.")
	}
	return o.logins.FromRequest(r)
}

// TestATokenOfALoginThatEnds is none: who signs out everywhere does not leave one
// behind that a thief was making just then.
func TestATokenOfALoginThatEnds(t *testing.T) {
	keeper := newKeeper(t)
	h := newHandlerWith(t, func(o *Options) { o.Tokens, o.Logins = keeper, outOnce{asked: new(int)} })
	in := map[string]string{"Cookie": "s=ada", "Content-Type": "application/json"}
	resp := do(t, h, ask{method: "POST", path: "/api/auth/tokens", header: in, body: `{"name":"ci","scopes":["read"],"lifetimeSeconds":3600}`})
	if raw, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusUnauthorized || strings.Contains(string(raw), token.Prefix) {
		t.Errorf("%d %s", resp.StatusCode, raw)
	}
	if held, err := keeper.List(t.Context(), ada, false); len(held) != 0 || err != nil {
		t.Errorf("there is %+v, %v", held, err)
	}
}

// TestAnAdministrativeActRefusedIsRecorded, also one by a browser's login.
func TestAnAdministrativeActRefusedIsRecorded(t *testing.T) {
	d := newDoor(t)
	browser := map[string]string{"Cookie": "s=ada", "Content-Type": "application/json"}
	code, body, _ := d.ask(ask{method: "POST", path: "/api/auth/tokens", header: browser, body: `{"name":"x","scopes":["admin"],"lifetimeSeconds":3600}`})
	if code != http.StatusForbidden || len(d.denied) != 1 || !strings.HasPrefix(d.denied[0], "auth.denied denied") || !strings.Contains(d.denied[0], body.Message) {
		t.Errorf("%d %+v, recorded %q", code, body, d.denied)
	}
	if code, _, _ := d.ask(ask{method: "GET", path: "/api/auth/tokens?all=true", header: browser}); len(d.denied) != 1 {
		t.Errorf("a look was answered %d and recorded: %q", code, d.denied)
	}
}
