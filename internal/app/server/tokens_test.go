package server_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/coder/websocket"

	"github.com/periscope-console/periscope/internal/app/server"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/idptest"
	"github.com/periscope-console/periscope/internal/kubetest"
)

// site is where people find the servers of these tests, whatever their ports are.
const site = "http://localhost:9999"

// replica is one server of several on one store, in mode oidc.
type replica struct {
	t       *testing.T
	address string
	audit   *safeBuffer
	stop    func()
}

// startReplica runs a server whose logins come from a real provider.
func startReplica(t *testing.T, idp *idptest.Provider, cluster *kubetest.Cluster, dir string) *replica {
	t.Helper()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	auth := write("auth.yaml", "mode: oidc\noidc: {issuer: \""+idp.Issuer+"\", clientID: "+idp.ClientID+", clientSecret: "+idp.ClientSecret+
		", redirectURL: \""+site+"/api/auth/callback\"}\nauthorization: {allowedGroups: [sre], adminGroups: [root]}\n")
	list := write("clusters.yaml", "clusters:\n  - {name: real, backend: kubeconfig, kubeconfigPath: "+strconv.Quote(cluster.Kubeconfig)+"}\n")
	cfg, _, err := config.Load(config.Sources{
		Args: []string{"--auth", auth, "--clusters", list}, ReadFile: os.ReadFile,
		Environ: []string{"PORT=0", "PERISCOPE_BIND_ADDRESS=127.0.0.1", "PERISCOPE_DATABASE_URL=sqlite:" + filepath.Join(dir, "periscope.db")},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{t: t, audit: &safeBuffer{}}
	s, err := server.New(cfg, server.Options{Version: "test", Log: slog.New(slog.NewJSONHandler(&safeBuffer{}, nil)), Audit: r.audit, Pages: fstest.MapFS{}})
	if err != nil {
		t.Fatal(err)
	}
	r.address = s.Address()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	}
	t.Cleanup(r.stop)
	browser := r.browser()
	eventually(t, "the provider is known", func() bool { return r.ask(browser, "GET", "/readyz", "", "", nil) == http.StatusOK })
	return r
}

// browser keeps cookies, and reaches this replica under the site's name.
func (r *replica) browser() *http.Client {
	r.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == strings.TrimPrefix(site, "http://") {
			address = r.address
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	return &http.Client{Jar: jar, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

// login is a browser in which sub has tried to log in.
func (r *replica) login(idp *idptest.Provider, sub string) *http.Client {
	r.t.Helper()
	b := r.browser()
	noFurther := *b
	noFurther.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	begun, err := noFurther.Get(site + "/api/auth/login")
	if err != nil {
		r.t.Fatal(err)
	}
	_ = begun.Body.Close()
	back, err := noFurther.Get(idp.Login(r.t, b, begun.Header.Get("Location"), sub))
	if err != nil {
		r.t.Fatal(err)
	}
	_ = back.Body.Close()
	return b
}

// ask makes one call, by the token where there is one.
func (r *replica) ask(b *http.Client, method, path, body, secret string, out any) int {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, site+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	resp, err := b.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if out != nil {
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
			r.t.Fatalf("%s %s: %d %v", method, path, resp.StatusCode, err)
		}
	}
	return resp.StatusCode
}

// script asks as a program without a cookie.
func (r *replica) script(secret, path string, out any) int {
	return r.ask(r.browser(), "GET", path, "", secret, out)
}

type madeToken struct {
	Token  struct{ ID string }
	Secret string
}

func (r *replica) make(b *http.Client, name, scopes string) (made madeToken) {
	r.t.Helper()
	if code := r.ask(b, "POST", "/api/auth/tokens", `{"name":"`+name+`","scopes":[`+scopes+`],"lifetimeSeconds":3600}`, "", &made); code != http.StatusOK {
		r.t.Fatalf("no token: %d", code)
	}
	return made
}

// TestTokensOutliveAServer and are shared by several, with what is done to them; a
// shell hears of a token that another server has revoked.
func TestTokensOutliveAServer(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	c.Bind(t, ns, "admin", "periscope:"+ns)
	idp := idptest.Start(t, idptest.User{Sub: "alice", Email: "alice@example.com", EmailVerified: true, Groups: []string{"sre", ns}})
	idp.AllowRedirect(site + "/api/auth/callback")
	dir := t.TempDir()
	first := startReplica(t, idp, c, dir)
	browser := first.login(idp, "alice")
	made := first.make(browser, "ci", `"read","exec"`)
	pods := "/api/clusters/real/pods?namespace=" + ns
	eventually(t, "the binding counts", func() bool { return first.script(made.Secret, pods, nil) == http.StatusOK })
	first.stop()

	first, second := startReplica(t, idp, c, dir), startReplica(t, idp, c, dir)
	for name, r := range map[string]*replica{"the one that came back": first, "another": second} {
		if code := r.script(made.Secret, pods, nil); code != http.StatusOK {
			t.Errorf("%s: %d", name, code)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(site, "http")+execPath("real", ns, pod.Name), &websocket.DialOptions{
		HTTPClient: second.browser(), HTTPHeader: http.Header{"Authorization": {"Bearer " + made.Secret}}, Subprotocols: []string{"v2.exec.periscope"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	term := &terminal{t: t, ws: ws, auto: true}
	term.control(map[string]any{"type": "open", "tty": true, "cols": 80, "rows": 24, "command": []string{}})
	if term.frame("hello") == nil {
		t.Fatalf("no hello: %v", term.got)
	}
	if code := first.ask(first.login(idp, "alice"), "DELETE", "/api/auth/tokens/"+made.Token.ID, "", "", nil); code != http.StatusNoContent {
		t.Fatalf("DELETE: %d", code)
	}
	if code := second.script(made.Secret, pods, nil); code != http.StatusUnauthorized {
		t.Errorf("revoked elsewhere: %d", code)
	}
	if closed, code := term.closed(); closed["reason"] != "unauthorized" || code != 1008 {
		t.Errorf("closed %v with %d", closed, code)
	}
}

// TestATokenFollowsItsOwner: what the login provider says at the owner's next
// login, let in or not, holds for the token at once.
func TestATokenFollowsItsOwner(t *testing.T) {
	c := kubetest.Shared(t)
	idp := idptest.Start(t,
		idptest.User{Sub: "alice", Email: "alice@example.com", EmailVerified: true, Groups: []string{"sre"}},
		idptest.User{Sub: "root", Email: "root@example.com", EmailVerified: true, Groups: []string{"sre", "root"}})
	idp.AllowRedirect(site + "/api/auth/callback")
	r := startReplica(t, idp, c, t.TempDir())
	made := r.make(r.login(idp, "alice"), "ci", `"read"`)
	groups := func() string {
		var who struct {
			Groups []string
			Token  struct{ Name string }
		}
		if code := r.script(made.Secret, "/api/whoami", &who); code != http.StatusOK || who.Token.Name != "ci" {
			t.Fatalf("whoami: %d %+v", code, who)
		}
		return strings.Join(who.Groups, " ")
	}
	if got := groups(); got != "sre" {
		t.Errorf("groups %q", got)
	}
	idp.SetGroups("alice", "sre", "payments")
	r.login(idp, "alice")
	if got := groups(); got != "sre payments" {
		t.Errorf("groups %q", got)
	}
	idp.SetGroups("alice", "payments")
	if code := r.ask(r.login(idp, "alice"), "GET", "/api/whoami", "", "", nil); code != http.StatusUnauthorized {
		t.Fatalf("alice is let in: %d", code)
	}
	var said struct{ Message string }
	if code := r.script(made.Secret, "/api/whoami", &said); code != http.StatusForbidden || !strings.Contains(said.Message, "none of the groups") {
		t.Errorf("her token: %d %q", code, said.Message)
	}

	root := r.login(idp, "root")
	var all struct {
		Tokens []struct {
			ID, Email string
			Own       bool
		}
		Scope string
	}
	if code := r.ask(root, "GET", "/api/auth/tokens?everybody=true", "", "", &all); code != http.StatusOK || len(all.Tokens) != 1 || all.Scope != "all" ||
		all.Tokens[0].Own || all.Tokens[0].Email != "alice@example.com" {
		t.Errorf("an administrator sees %d %+v", code, all)
	}
	if code := r.ask(root, "DELETE", "/api/auth/tokens/"+made.Token.ID, "", "", nil); code != http.StatusNoContent {
		t.Errorf("an administrator's DELETE: %d", code)
	}
	if code := r.script(made.Secret, "/api/whoami", nil); code != http.StatusUnauthorized {
		t.Errorf("afterwards: %d", code)
	}
	if strings.Contains(r.audit.String(), made.Secret) || strings.Count(r.audit.String(), made.Token.ID) != 5 || !strings.Contains(r.audit.String(), `"token":"`+made.Token.ID+`"},"verb":"auth.denied"`) {
		t.Errorf("audit:\n%s", r.audit)
	}
}

// TestSigningOutEverywhereEndsWhatItCan, and says what is left.
func TestSigningOutEverywhereEndsWhatItCan(t *testing.T) {
	for name, c := range map[string]struct {
		fail              func(*product, *sql.DB)
		code              int
		said              string
		byCookie, byToken int
	}{
		"no record": {func(p *product, _ *sql.DB) { p.audit.fail(os.ErrClosed) }, http.StatusServiceUnavailable,
			"Your logins have ended, but access tokens", http.StatusUnauthorized, http.StatusOK},
		"a login stays": {func(_ *product, db *sql.DB) {
			if _, err := db.ExecContext(t.Context(), "CREATE TRIGGER stay BEFORE DELETE ON logins BEGIN SELECT RAISE(FAIL, 'no'); END"); err != nil {
				t.Fatal(err)
			}
		}, http.StatusInternalServerError, "could not be ended", http.StatusOK, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			nowhere := &kubetest.Cluster{Kubeconfig: filepath.Join(dir, "kubeconfig")}
			text := "{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a}}], clusters: [{name: a, cluster: {server: \"http://127.0.0.1:1\"}}]}\n"
			if err := os.WriteFile(nowhere.Kubeconfig, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "periscope.db")
			p := startWith(t, authFiles(t, nowhere, "dev"), "PERISCOPE_DATABASE_URL=sqlite:"+file)
			db, err := sql.Open("sqlite", file)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			var made madeToken
			if code := p.call("POST", "/api/auth/tokens", `{"name":"ci","scopes":["read"],"lifetimeSeconds":3600}`, &made); code != http.StatusOK {
				t.Fatalf("no token: %d", code)
			}
			c.fail(p, db)
			var body struct{ Message string }
			if code := p.call("POST", "/api/auth/logout/everywhere", "", &body); code != c.code || !strings.Contains(body.Message, c.said) {
				t.Errorf("signing out: %d %q", code, body.Message)
			}
			if code := p.call("GET", "/api/whoami", "", nil); code != c.byCookie {
				t.Errorf("by the cookie: %d, want %d", code, c.byCookie)
			}
			if code := p.script(made.Secret, "/api/whoami"); code != c.byToken {
				t.Errorf("by the token: %d, want %d", code, c.byToken)
			}
		})
	}
}

// script asks as a program without a cookie.
func (p *product) script(secret, path string) int {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestTokensOfADevServer: without a database they work as long as the process.
func TestTokensOfADevServer(t *testing.T) {
	c := kubetest.Shared(t)
	p := startWith(t, authFiles(t, c, "dev"))
	var made madeToken
	if code := p.call("POST", "/api/auth/tokens", `{"name":"ci","scopes":["read","admin"],"lifetimeSeconds":3600}`, &made); code != http.StatusOK {
		t.Fatalf("no token: %d", code)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/api/exec/sessions", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+made.Secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list struct{ Scope string }
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || resp.StatusCode != http.StatusOK || list.Scope != "all" {
		t.Errorf("%d %+v %v", resp.StatusCode, list, err)
	}
	if len(resp.Cookies()) != 0 {
		t.Error("a script was given a cookie")
	}
}
