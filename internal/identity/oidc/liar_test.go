package oidc

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/entry"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

var keys = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var all [2]*rsa.PrivateKey
	for i := range all {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		all[i] = k
	}
	return all
})

// liar is a login provider that says what a test wants it to: no real one would.
type liar struct {
	t   *testing.T
	srv *httptest.Server

	mu       sync.Mutex
	document map[string]any                                     // of discovery; changes over the true one
	claims   map[string]any                                     // of the ID token; changes over the true ones
	sign     func(payload []byte) string                        // the true one where it is nil
	token    func(w http.ResponseWriter, answer map[string]any) // answers where it is not nil
	userinfo func(w http.ResponseWriter)                        // as above
	jwks     func(w http.ResponseWriter)                        // as above
	once     bool                                               // the refresh token handed out last holds, no other
	nonce    string
	verifier string // of the last exchange
	grants   []string
	secret   string
}

const testSecret = "s3cret"

func newLiar(t *testing.T) *liar {
	l := &liar{t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", l.discovery)
	mux.HandleFunc("/keys", l.keys)
	mux.HandleFunc("/token", l.tokens)
	mux.HandleFunc("/userinfo", l.info)
	l.srv = httptest.NewServer(mux)
	t.Cleanup(l.srv.Close)
	return l
}

func (l *liar) discovery(w http.ResponseWriter, _ *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	doc := map[string]any{
		"issuer": l.srv.URL, "authorization_endpoint": l.srv.URL + "/authorize", "token_endpoint": l.srv.URL + "/token",
		"jwks_uri": l.srv.URL + "/keys", "userinfo_endpoint": l.srv.URL + "/userinfo", "end_session_endpoint": l.srv.URL + "/end?x=y",
		"id_token_signing_alg_values_supported": []string{"RS256"},
	}
	maps.Copy(doc, l.document)
	_ = json.NewEncoder(w).Encode(doc)
}

func (l *liar) keys(w http.ResponseWriter, _ *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.jwks != nil {
		l.jwks(w)
		return
	}
	_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: keys()[0].Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}}})
}

func (l *liar) tokens(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	l.mu.Lock()
	defer l.mu.Unlock()
	_, l.secret, _ = r.BasicAuth()
	l.verifier = r.PostForm.Get("code_verifier")
	w.Header().Set("Content-Type", "application/json")
	if last := fmt.Sprintf("refresh-%d", len(l.grants)); l.once && r.PostForm.Get("refresh_token") != last {
		answerError(http.StatusBadRequest, "invalid_grant")(w, nil)
		return
	}
	l.grants = append(l.grants, r.PostForm.Get("grant_type"))
	answer := map[string]any{
		"access_token": "access", "token_type": "Bearer", "expires_in": 300, "refresh_token": fmt.Sprintf("refresh-%d", len(l.grants)),
		"id_token": l.idToken(),
	}
	if l.token != nil {
		l.token(w, answer)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// idToken is the true one, with the test's changes. The caller holds mu.
func (l *liar) idToken() string {
	now := time.Now()
	c := map[string]any{
		"iss": l.srv.URL, "aud": "periscope", "sub": "alice", "exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(),
		"nonce": l.nonce, "groups": []string{"sre"}, "email": "alice@example.com", "email_verified": true,
	}
	for name, v := range l.claims {
		if c[name] = v; v == nil {
			delete(c, name)
		}
	}
	payload, err := json.Marshal(c)
	if err != nil {
		l.t.Error(err)
	}
	if l.sign != nil {
		return l.sign(payload)
	}
	return signed(l.t, keys()[0], payload)
}

func signed(t *testing.T, key any, payload []byte) string {
	alg := jose.RS256
	if _, shared := key.([]byte); shared {
		alg = jose.HS256
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
	if err != nil {
		t.Error(err)
		return ""
	}
	sig, err := s.Sign(payload)
	if err != nil {
		t.Error(err)
		return ""
	}
	out, err := sig.CompactSerialize()
	if err != nil {
		t.Error(err)
	}
	return out
}

func (l *liar) info(w http.ResponseWriter, _ *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.userinfo == nil {
		http.Error(w, "no", http.StatusInternalServerError)
		return
	}
	l.userinfo(w)
}

// lie changes what the provider says next.
func (l *liar) lie(change func(*liar)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// rig is a login at a provider, with a browser that has one cookie jar.
type rig struct {
	t        *testing.T
	provider *liar
	login    *Login
	sessions *websession.Manager
	store    *store
	jar      map[string]*http.Cookie

	mu    sync.Mutex
	audit []string
	deaf  error // of the audit
}

// store fails to delete where stuck says so.
type store struct {
	*websession.Memory
	stuck error
}

func (s *store) Delete(ctx context.Context, id websession.ID) error {
	if s.stuck != nil {
		return s.stuck
	}
	return s.Memory.Delete(ctx, id)
}

type fixedSecret string

func (s fixedSecret) Get(context.Context) (string, error) { return string(s), nil }

func newRig(t *testing.T, change ...func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, provider: newLiar(t), store: &store{Memory: websession.NewMemory(100)}, jar: map[string]*http.Cookie{}}
	log := slog.New(slog.DiscardHandler)
	o := Options{
		Issuer: r.provider.srv.URL, ClientID: "periscope", Secret: fixedSecret(testSecret),
		RedirectURL: "http://127.0.0.1/api/auth/callback", PostLogoutRedirect: "http://127.0.0.1/api/auth/loggedout",
		Scopes: []string{"openid", "email"}, ProviderName: "Liar", GroupsClaim: "groups",
		Admit: identity.Policy{Mode: identity.Raw, GroupPrefix: "periscope:"}.Admit,
		Audit: func(_ context.Context, verb string, outcome audit.Outcome, a identity.Actor, reason string) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.audit = append(r.audit, strings.TrimSpace(verb+" "+string(outcome)+" "+a.Subject))
			return r.deaf
		},
		Log: log, Transport: &http.Transport{DisableKeepAlives: true},
	}
	for _, c := range change {
		c(&o)
	}
	r.sessions = websession.New(websession.Options{
		Store: r.store, CookieName: "periscope_session", SameSite: http.SameSiteLaxMode,
		Idle: time.Hour, Absolute: 12 * time.Hour, Log: log,
		Renew: func(ctx context.Context, rec websession.Record) (websession.Grant, error) {
			return r.login.Renew(ctx, rec)
		},
	})
	o.Sessions = r.sessions
	r.login = New(o)
	return r
}

// found waits until the provider is known.
func (r *rig) found() *rig {
	r.t.Helper()
	f, err := r.login.dir.discover(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	r.login.dir.found = f
	return r
}

// do sends a request with the browser's cookies and keeps those of the answer.
func (r *rig) do(method, target string) *httptest.ResponseRecorder {
	r.t.Helper()
	req := httptest.NewRequest(method, target, nil)
	for _, c := range r.jar {
		req.AddCookie(c)
	}
	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", "r1")
	entry.Handler(r.login.Routes()).ServeHTTP(w, req)
	for _, c := range w.Result().Cookies() {
		if r.jar[c.Name] = c; c.MaxAge < 0 {
			delete(r.jar, c.Name)
		}
	}
	return w
}

// begin goes to the provider, and returns what it was asked.
func (r *rig) begin(next string) url.Values {
	r.t.Helper()
	w := r.do("GET", "/api/auth/login?next="+url.QueryEscape(next))
	u, err := url.Parse(w.Header().Get("Location"))
	if err != nil || w.Code != http.StatusSeeOther || !strings.HasPrefix(u.String(), r.provider.srv.URL+"/authorize?") {
		r.t.Fatalf("%d %v", w.Code, w.Header())
	}
	q := u.Query()
	r.provider.lie(func(l *liar) { l.nonce = q.Get("nonce") })
	return q
}

func (r *rig) back(q url.Values) *httptest.ResponseRecorder {
	r.t.Helper()
	return r.do("GET", "/api/auth/callback?code=c&state="+url.QueryEscape(q.Get("state")))
}

// who is logged in, by the browser's cookies.
func (r *rig) who() (identity.Actor, error) {
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range r.jar {
		req.AddCookie(c)
	}
	a, _, err := r.sessions.FromRequest(req)
	return a, err
}

// kept is the record of the browser's login.
func (r *rig) kept() websession.Record {
	r.t.Helper()
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range r.jar {
		req.AddCookie(c)
	}
	rec, ok, err := r.sessions.Kept(req)
	if err != nil || !ok {
		r.t.Fatalf("nobody is logged in: %v", err)
	}
	return rec
}

// failure is what the login page would say; it is told once.
func (r *rig) failure() string {
	r.t.Helper()
	w := r.do("GET", "/api/auth/config")
	var c struct {
		Failure *struct{ Message, RequestID string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil {
		r.t.Fatal(err)
	}
	if c.Failure == nil {
		return ""
	}
	if c.Failure.RequestID != "r1" {
		r.t.Errorf("request id %q", c.Failure.RequestID)
	}
	return c.Failure.Message
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func unsigned(payload []byte) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
}

func unavailable(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }

func writeJSON(w io.Writer, v any) { _ = json.NewEncoder(w).Encode(v) }
