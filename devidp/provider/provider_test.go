package provider

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"
	"go.uber.org/goleak"
	"golang.org/x/oauth2"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const redirectURI = "http://127.0.0.1:1/callback"

// world is a provider, a client of it and a browser.
type world struct {
	t        *testing.T
	ctx      context.Context
	issuer   string
	provider *oidc.Provider
	config   oauth2.Config
	browser  *http.Client
	served   *Provider
}

func start(t *testing.T, algorithm string, more ...User) *world {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	issuer := "http://" + srv.Listener.Addr().String()
	p, err := New(Options{
		Issuer: issuer, Algorithm: algorithm, AccessTTL: time.Minute, RefreshTTL: time.Hour, Admin: true,
		Users: append([]User{
			{Sub: "alice", Name: "Alice", Email: "alice@corp.example", EmailVerified: true, Groups: []string{"sre"}},
			{Sub: "bob", Claims: map[string]any{"aud": "somebody-else", "groups": nil}, UserInfo: map[string]any{"groups": "one"}},
		}, more...),
		Clients: []Client{{ID: "periscope", Secret: "s3cret", RedirectURI: redirectURI}},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Config.Handler = p.Handler()
	srv.Start()
	transport := &http.Transport{}
	t.Cleanup(func() { p.Close(); transport.CloseIdleConnections(); srv.Close() })
	jar, _ := cookiejar.New(nil)
	w := &world{t: t, issuer: issuer, served: p, browser: &http.Client{Transport: transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	w.ctx = oidc.ClientContext(t.Context(), &http.Client{Transport: transport})
	if w.provider, err = oidc.NewProvider(w.ctx, issuer); err != nil {
		t.Fatal(err)
	}
	w.config = oauth2.Config{ClientID: "periscope", ClientSecret: "s3cret", RedirectURL: redirectURI, Endpoint: w.provider.Endpoint(), Scopes: []string{"openid", "groups", "offline_access"}}
	return w
}

func (w *world) ask(verifier string, more ...oauth2.AuthCodeOption) string {
	return w.config.AuthCodeURL("a-state-of-some-length", append(more, oidc.Nonce("a-nonce-of-some-length"), oauth2.S256ChallengeOption(verifier))...)
}

func (w *world) send(method, address, kind, body string) (int, string, http.Header) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.ctx, method, address, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", kind)
	}
	answer, err := w.browser.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	b, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b), answer.Header
}

func (w *world) get(address string) (int, string, http.Header) { return w.send("GET", address, "", "") }

func (w *world) admin(path, body string) {
	w.t.Helper()
	if status, text, _ := w.send("POST", w.issuer+"/admin/"+path, "application/json", body); status != http.StatusNoContent {
		w.t.Fatalf("%s: %d %s", path, status, text)
	}
}

// callback is the query that the client gets.
func (w *world) callback(h http.Header) url.Values {
	w.t.Helper()
	u, err := url.Parse(h.Get("Location"))
	if err != nil || !strings.HasPrefix(h.Get("Location"), redirectURI) {
		w.t.Fatalf("sent to %q", h.Get("Location"))
	}
	return u.Query()
}

// login presses somebody's button.
func (w *world) login(address, sub string) url.Values {
	w.t.Helper()
	if status, text, _ := w.get(address); status != http.StatusOK || !strings.Contains(text, `value="`+sub+`"`) {
		w.t.Fatalf("no login page for %s: %d %s", sub, status, text)
	}
	_, _, h := w.send("POST", address, "application/x-www-form-urlencoded", "sub="+sub)
	return w.callback(h)
}

func (w *world) tokens(sub string) *oauth2.Token {
	w.t.Helper()
	verifier := oauth2.GenerateVerifier()
	token, err := w.config.Exchange(w.ctx, w.login(w.ask(verifier, oauth2.SetAuthURLParam("prompt", "login")), sub).Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func (w *world) refresh(refresh string) (*oauth2.Token, error) {
	return w.config.TokenSource(w.ctx, &oauth2.Token{RefreshToken: refresh}).Token()
}

func (w *world) idToken(token *oauth2.Token) (*oidc.IDToken, string) {
	w.t.Helper()
	raw, _ := token.Extra("id_token").(string)
	id, err := w.provider.Verifier(&oidc.Config{ClientID: "periscope"}).Verify(w.ctx, raw)
	if err != nil {
		w.t.Fatal(err)
	}
	return id, raw
}

func groups(t *testing.T, id *oidc.IDToken) []string {
	t.Helper()
	var c struct{ Groups []string }
	if err := id.Claims(&c); err != nil {
		t.Fatal(err)
	}
	return c.Groups
}

func TestLoginRefreshLogout(t *testing.T) {
	for _, algorithm := range []string{"RS256", "ES256"} {
		t.Run(algorithm, func(t *testing.T) {
			w := start(t, algorithm)
			token := w.tokens("alice")
			id, raw := w.idToken(token)
			if id.Nonce != "a-nonce-of-some-length" || id.Subject != "alice" || id.VerifyAccessToken(token.AccessToken) != nil || !slices.Equal(groups(t, id), []string{"sre"}) {
				t.Errorf("token %+v", id)
			}
			info, err := w.provider.UserInfo(w.ctx, oauth2.StaticTokenSource(token))
			if err != nil || info.Email != "alice@corp.example" || !info.EmailVerified {
				t.Errorf("userinfo %+v, %v", info, err)
			}

			// A second question is answered silently.
			_, _, h := w.get(w.ask(oauth2.GenerateVerifier()))
			if q := w.callback(h); q.Get("code") == "" || q.Get("state") != "a-state-of-some-length" {
				t.Errorf("not silent: %v", q)
			}

			w.admin("rotate", "{}")
			w.admin("user", `{"sub":"alice","groups":["dev","qa"]}`)
			token, err = w.refresh(token.RefreshToken)
			if err != nil {
				t.Fatal(err)
			}
			if id, _ := w.idToken(token); !slices.Equal(groups(t, id), []string{"dev", "qa"}) {
				t.Errorf("groups after refresh: %v", groups(t, id))
			}

			// The hint is signed by the key before.
			status, _, h := w.get(w.issuer + "/logout?" + url.Values{"id_token_hint": {raw}, "post_logout_redirect_uri": {"http://127.0.0.1:1/bye"}, "state": {"s"}}.Encode())
			if status != http.StatusSeeOther || h.Get("Location") != "http://127.0.0.1:1/bye?state=s" {
				t.Errorf("logout: %d %v", status, h)
			}
			if status, _, _ := w.get(w.ask(oauth2.GenerateVerifier())); status != http.StatusOK {
				t.Errorf("after logout a question is answered with %d, not by the login page", status)
			}
			_, _, h = w.get(w.ask(oauth2.GenerateVerifier(), oauth2.SetAuthURLParam("prompt", "none")))
			if q := w.callback(h); q.Get("error") != "login_required" {
				t.Errorf("prompt=none: %v", q)
			}
		})
	}
}

func TestRefreshReuseRevokesTheFamily(t *testing.T) {
	w := start(t, "ES256")
	first := w.tokens("alice").RefreshToken
	second, err := w.refresh(first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.refresh(first); err == nil {
		t.Fatal("an old refresh token was good")
	}
	if _, err := w.refresh(second.RefreshToken); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("the family outlived the reuse: %v", err)
	}
}

func TestRevokedAndDisabled(t *testing.T) {
	w := start(t, "ES256")
	token := w.tokens("alice")
	r := url.Values{"token": {token.RefreshToken}, "client_id": {"periscope"}, "client_secret": {"s3cret"}}
	if status, text, _ := w.send("POST", w.issuer+"/revoke", "application/x-www-form-urlencoded", r.Encode()); status != http.StatusOK {
		t.Fatalf("revoke: %d %s", status, text)
	}
	if _, err := w.refresh(token.RefreshToken); err == nil {
		t.Error("a revoked refresh token is good")
	}
	token = w.tokens("alice")
	w.admin("user", `{"sub":"alice","disabled":true}`)
	if _, err := w.refresh(token.RefreshToken); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("refresh of a disabled user: %v", err)
	}
	if _, err := w.provider.UserInfo(w.ctx, oauth2.StaticTokenSource(token)); err == nil {
		t.Error("userinfo of a disabled user")
	}
	if status, text, _ := w.get(w.ask(oauth2.GenerateVerifier())); status != http.StatusOK || strings.Contains(text, "alice") {
		t.Errorf("a disabled user is still logged in: %d %s", status, text)
	}
}

func TestPKCEAndCodes(t *testing.T) {
	w := start(t, "ES256")
	verifier := oauth2.GenerateVerifier()
	code := w.login(w.ask(verifier), "alice").Get("code")
	if _, err := w.config.Exchange(w.ctx, code, oauth2.VerifierOption(oauth2.GenerateVerifier())); err == nil {
		t.Error("a wrong verifier was good")
	}
	for name, address := range map[string]string{
		"none":  w.config.AuthCodeURL("a-state-of-some-length"),
		"plain": w.config.AuthCodeURL("a-state-of-some-length", oauth2.SetAuthURLParam("code_challenge", verifier), oauth2.SetAuthURLParam("code_challenge_method", "plain")),
	} {
		if _, _, h := w.get(address); w.callback(h).Get("error") != "invalid_request" {
			t.Errorf("PKCE %s: %v", name, h)
		}
	}
	verifier = oauth2.GenerateVerifier()
	_, _, h := w.get(w.ask(verifier))
	code = w.callback(h).Get("code")
	token, err := w.config.Exchange(w.ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.config.Exchange(w.ctx, code, oauth2.VerifierOption(verifier)); err == nil {
		t.Error("a code was good twice")
	}
	if _, err := w.refresh(token.RefreshToken); err == nil {
		t.Error("tokens outlive the reuse of their code")
	}
}

func TestRefusals(t *testing.T) {
	w := start(t, "ES256")
	for _, other := range []string{"http://127.0.0.1:1/other", "http://127.0.0.1:2/callback", "http://evil.example/callback"} {
		w.config.RedirectURL = other
		if status, _, h := w.get(w.ask(oauth2.GenerateVerifier())); status != http.StatusBadRequest || h.Get("Location") != "" {
			t.Errorf("%s: %d", other, status)
		}
	}
	if status, _, _ := w.get(w.issuer + "/logout?client_id=periscope&post_logout_redirect_uri=" + url.QueryEscape("http://evil.example/")); status != http.StatusBadRequest {
		t.Errorf("logout to elsewhere: %d", status)
	}
	big := "grant_type=" + strings.Repeat("x", maxBody)
	if status, _, _ := w.send("POST", w.issuer+"/token", "application/x-www-form-urlencoded", big); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %d", status)
	}
	for body, want := range map[string]int{`{"sub":"nobody"}`: 404, `{"unknown":1}`: 400, `{"sub":"` + strings.Repeat("x", maxAdminBody) + `"}`: 400} {
		if status, _, _ := w.send("POST", w.issuer+"/admin/user", "application/json", body); status != want {
			t.Errorf("%.20s: %d", body, status)
		}
	}
	if status, _, _ := w.send("POST", w.issuer+"/admin/rotate", "text/plain", "{}"); status != http.StatusUnsupportedMediaType {
		t.Errorf("a simple request: %d", status)
	}
	r, _ := http.NewRequestWithContext(w.ctx, http.MethodGet, w.issuer+"/", nil)
	r.Host = "rebound.example"
	answer, err := w.browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("another host: %d", answer.StatusCode)
	}
}

func TestClaimsOverride(t *testing.T) {
	w := start(t, "ES256")
	token := w.tokens("bob")
	raw, _ := token.Extra("id_token").(string)
	if _, err := w.provider.Verifier(&oidc.Config{ClientID: "periscope"}).Verify(w.ctx, raw); err == nil {
		t.Error("the audience was not overridden")
	}
	id, err := w.provider.Verifier(&oidc.Config{ClientID: "somebody-else"}).Verify(w.ctx, raw)
	if err != nil || groups(t, id) != nil {
		t.Errorf("%+v, %v", id, err)
	}
	info, err := w.provider.UserInfo(w.ctx, oauth2.StaticTokenSource(token))
	var c struct{ Groups string }
	if err != nil || info.Claims(&c) != nil || c.Groups != "one" {
		t.Errorf("userinfo %+v, %v", info, err)
	}
}

func TestFaults(t *testing.T) {
	w := start(t, "ES256")
	w.admin("fault", `{"endpoint":"jwks","mode":"fail","requests":2}`)
	for i, want := range []int{503, 503, 200} {
		if status, _, _ := w.get(w.issuer + "/jwks"); status != want {
			t.Errorf("request %d: %d", i, status)
		}
	}
	w.admin("fault", `{"endpoint":"jwks","mode":"hang"}`)
	answered := make(chan int)
	go func() {
		status, _, _ := w.get(w.issuer + "/jwks")
		answered <- status
	}()
	deadline := time.Now().Add(10 * time.Second)
	for { // until the request is counted, and so hangs
		_, text, _ := w.get(w.issuer + "/admin/requests")
		if strings.Contains(text, `"jwks":4`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("requests %s", text)
		}
	}
	select {
	case status := <-answered:
		t.Errorf("it did not hang: %d", status)
	default:
	}
	w.admin("fault", `{"endpoint":"jwks","mode":"off"}`)
	if status := <-answered; status != http.StatusServiceUnavailable {
		t.Errorf("let go with %d", status)
	}
	if status, _, _ := w.get(w.issuer + "/jwks"); status != http.StatusOK {
		t.Errorf("after off: %d", status)
	}
}

func TestLoginHintComesFirst(t *testing.T) {
	w := start(t, "ES256")
	_, text, _ := w.get(w.ask(oauth2.GenerateVerifier(), oauth2.SetAuthURLParam("login_hint", "bob")))
	if a, b := strings.Index(text, `value="alice"`), strings.Index(text, `value="bob"`); a < b || b < 0 {
		t.Errorf("alice at %d, bob at %d", a, b)
	}
}

func TestReadUsers(t *testing.T) {
	for text, want := range map[string]string{
		"- sub: a\n  groups: [x]\n  claims: {realm_access: {roles: [y]}}\n": "",
		`[{"sub":"a","emailVerified":true}]`:                                "",
		"- sub: a\n  group: [x]\n":                                          "group",
		"- sub: 1\n  groups: x\n":                                           "line 2",
		"- sub: " + strings.Repeat("x", maxUsersFile):                       "larger",
		"":                     "it is empty",
		"- sub: a\n- sub: a\n": "twice",
		"- {sub: a, password: " + strings.Repeat("x", maxPassword+1) + "}": "longer than",
		"- sub: a\n  password: p\n":                                        "",
		"- - - - sub":                                                      "line 1",
	} {
		path := filepath.Join(t.TempDir(), "users")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		users, err := ReadUsers(path)
		if want == "" && (err != nil || len(users) != 1) || want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%.40q: %v, %v", text, users, err)
		}
	}
	for _, users := range [][]User{nil, {{Sub: " "}}, {{Sub: "a"}, {Sub: "a"}}} {
		if _, err := newDirectory(users); err == nil {
			t.Errorf("%v was taken", users)
		}
	}
}

// FuzzUsers: a file is refused with a sentence, or its users are good as they are.
func FuzzUsers(f *testing.F) {
	f.Add([]byte("- sub: a\n  groups: [x]\n  claims: {realm_access: {roles: [y]}}\n"))
	f.Add([]byte(`[{"sub":"a","password":"p","claims":{"aud":null}}]`))
	f.Add([]byte("- &a {sub: a, claims: *a}\n"))
	f.Add([]byte("! 000000000000000000"))
	f.Add([]byte("a: &a [x]\nb: [*a, *a]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		users, err := parseUsers(b)
		if err != nil {
			if err.Error() == "" {
				t.Error("refused without a word")
			}
			return
		}
		seen := map[string]bool{}
		for _, u := range users {
			if strings.TrimSpace(u.Sub) == "" || seen[u.Sub] || len(u.Password) > maxPassword {
				t.Errorf("taken: %+v", users)
			}
			seen[u.Sub] = true
		}
	})
}

// TestPasswords: who has one is asked for it, who has none has a button.
func TestPasswords(t *testing.T) {
	w := start(t, "ES256", User{Sub: "carol", Name: "Carol", Password: "open sesame", Groups: []string{"ops"}})
	address := w.ask(oauth2.GenerateVerifier())
	form := "application/x-www-form-urlencoded"
	for _, body := range []string{"sub=carol", "sub=carol&password=", "sub=carol&password=open+sesam", "sub=carol&password=open+sesame+"} {
		status, text, h := w.send("POST", address, form, body)
		if status != http.StatusForbidden || h.Get("Location") != "" || h.Get("Set-Cookie") != "" ||
			!strings.Contains(text, "not the password of Carol") || !strings.Contains(text, `<option value="carol" selected>`) {
			t.Errorf("%s: %d %v %s", body, status, h, text)
		}
	}
	if strings.Contains(func() string { _, text, _ := w.get(address); return text }(), "sesame") {
		t.Error("the page shows the password")
	}
	if _, _, h := w.send("POST", address, form, "sub=carol&password=open+sesame"); w.callback(h).Get("code") == "" {
		t.Error("the right password does not log in")
	}
	w.login(w.ask(oauth2.GenerateVerifier(), oauth2.SetAuthURLParam("prompt", "login")), "alice")
}

// TestExpiredTokensAreDropped lets time go by: the clock is an argument.
func TestExpiredTokensAreDropped(t *testing.T) {
	w := start(t, "ES256")
	p := w.served
	for range 3 {
		w.tokens("alice")
	}
	now := time.Now()
	for _, c := range []struct {
		after         time.Duration
		access, fresh int
	}{{0, 3, 3}, {2 * time.Minute, 0, 3}, {2 * time.Hour, 0, 0}} {
		p.tokens.Lock()
		p.forget(now.Add(c.after))
		access, fresh := len(p.store.AccessTokens), len(p.store.RefreshTokens)
		codes := len(p.store.AuthorizeCodes) + len(p.store.IDSessions) + len(p.store.PKCES)
		left := len(p.store.RefreshTokenRequestIDs)
		p.tokens.Unlock()
		if access != c.access || fresh != c.fresh || c.after > 0 && codes != 0 || left != c.fresh {
			t.Errorf("after %v: %d access and %d refresh tokens, %d codes, %d requests", c.after, access, fresh, codes, left)
		}
	}
}

// TestFull refuses more than there is room for, and says so.
func TestFull(t *testing.T) {
	w := start(t, "ES256")
	token := w.tokens("alice")
	w.served.tokens.Lock()
	for i := range maxKept {
		w.served.store.PKCES[fmt.Sprint(i)] = &fosite.Request{RequestedAt: time.Now(), Session: openid.NewDefaultSession()}
	}
	w.served.tokens.Unlock()
	if _, err := w.config.TokenSource(w.ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token(); err == nil || !strings.Contains(err.Error(), "temporarily_unavailable") {
		t.Errorf("refresh: %v", err)
	}
	if q := w.login(w.ask(oauth2.GenerateVerifier(), oauth2.SetAuthURLParam("prompt", "login")), "alice"); q.Get("error") != "temporarily_unavailable" {
		t.Errorf("login: %v", q)
	}
}
