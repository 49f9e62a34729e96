package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/periscope-console/periscope/internal/identity/devlogin"
	"github.com/periscope-console/periscope/internal/identity/entry"
	"github.com/periscope-console/periscope/internal/identity/oidc"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/peer"
	"github.com/periscope-console/periscope/internal/quota"
)

// row is a route of either kind: of this package, or of a way to log in.
type row struct {
	method, path             string
	public, upgrade, limited bool
}

// ways are the routes of both ways to log in, each once, answered by nothing.
func ways() []entry.Route {
	all, seen := []entry.Route{}, map[string]bool{}
	for _, r := range append(oidc.New(oidc.Options{}).Routes(), devlogin.New(devlogin.Options{}).Routes()...) {
		if key := r.Method + r.Path; !seen[key] {
			seen[key] = true
			r.Serve = func(http.ResponseWriter, *http.Request) {}
			all = append(all, r)
		}
	}
	return all
}

// everyRoute is the table that the server is made of, so that no route can be
// left out of what all must hold.
func everyRoute(t *testing.T) []row {
	t.Helper()
	var rows []row
	s := &server{Options: Options{Ready: func(context.Context) error { return nil }}}
	for _, r := range s.routes() {
		rows = append(rows, row{r.method, filled(r.path), r.public, r.endless, r.limited})
	}
	for _, r := range ways() {
		rows = append(rows, row{r.Method, r.Path, true, false, r.Limited})
	}
	if len(rows) < 20 {
		t.Fatalf("%d routes", len(rows))
	}
	return rows
}

// filled has a value for each {name} of a path.
func filled(path string) string { return pathParam.ReplaceAllString(path, "x") }

func (r row) ask(header ...string) ask {
	h := map[string]string{"Cookie": "s=ada"}
	if r.upgrade {
		h["Upgrade"] = "websocket"
	}
	for i := 0; i+1 < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return ask{method: r.method, path: r.path, header: h}
}

// TestEveryRoute: names, origins, content types, logins and headers, for each row
// of the route table, and for what is no route.
func TestEveryRoute(t *testing.T) {
	h := newHandlerWith(t, func(o *Options) { o.Login = ways() })
	none := []row{
		{"GET", "/api/none", true, false, false}, {"POST", "/api/none", true, false, false},
		{"PUT", "/api/clusters", true, false, false}, {"DELETE", "/", true, false, false}, {"TRACE", "/api/whoami", true, false, false},
		{"GET", "/", true, false, false}, {"GET", "/assets/none.js", true, false, false}, {"HEAD", "/", true, false, false},
		{"GET", "/api/auth/none", true, false, false}, {"GET", "//api//whoami", true, false, false}, {"GET", "/api/clusters/../whoami", true, false, false},
	}
	for _, r := range append(everyRoute(t), none...) {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			changes := r.upgrade || r.method != "GET" && r.method != "HEAD"
			probe := r.path == "/healthz" || r.path == "/readyz"

			elsewhere := r.ask()
			elsewhere.host = "evil.example"
			if got := do(t, h, elsewhere); got.StatusCode != http.StatusMisdirectedRequest && !probe {
				t.Errorf("another Host: %d", got.StatusCode)
			}
			elsewhere.host = "localhost:8080"
			if got := do(t, h, elsewhere); changes && got.StatusCode != http.StatusMisdirectedRequest {
				t.Errorf("a loopback Host, through which nothing may be changed: %d", got.StatusCode)
			}
			for _, origin := range []string{"https://evil.example", "null", "http://console.example", "https://console.example.evil.example", "https://console.example:444", "file://", ""} {
				if got := do(t, h, r.ask("Origin", origin)); got.StatusCode != http.StatusForbidden {
					t.Errorf("Origin %q: %d", origin, got.StatusCode)
				}
			}
			for _, site := range []string{"cross-site", "same-site", "?"} {
				if got := do(t, h, r.ask("Sec-Fetch-Site", site)); changes && got.StatusCode != http.StatusForbidden {
					t.Errorf("Sec-Fetch-Site %q: %d", site, got.StatusCode)
				}
			}
			for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; application/json", "application/json,text/plain"} {
				form := r.ask("Content-Type", kind)
				if form.body = "a=b"; changes && do(t, h, form).StatusCode != http.StatusUnsupportedMediaType {
					t.Errorf("a body of the type %q was taken", kind)
				}
			}
			stranger := r.ask("Cookie", "s=eve")
			if got := do(t, h, stranger); !r.public && got.StatusCode != http.StatusUnauthorized {
				t.Errorf("without a login: %d", got.StatusCode)
			}
			for what, a := range map[string]ask{"the answer": r.ask(), "a refusal": elsewhere, "a foreign origin": r.ask("Origin", "null"), "no login": stranger} {
				mustBeGuarded(t, what, do(t, h, a))
			}
		})
	}
}

func mustBeGuarded(t *testing.T, what string, got *http.Response) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
		"Strict-Transport-Security": "max-age=31536000; includeSubDomains",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s (%d): %s is %q", what, got.StatusCode, name, got.Header.Get(name))
		}
	}
	csp := got.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'self';", "script-src 'self';", "object-src 'none'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, part) {
			t.Errorf("%s (%d): the policy lacks %s", what, got.StatusCode, part)
		}
	}
	if got.Header.Get("X-Request-Id") == "" {
		t.Errorf("%s (%d): no request id", what, got.StatusCode)
	}
	if got.StatusCode < 400 {
		return
	}
	raw, _ := io.ReadAll(got.Body)
	var body ErrorBody
	if err := json.Unmarshal(raw, &body); len(raw) > 0 && (err != nil || body.Error == "" || body.RequestID == "" || !strings.HasSuffix(body.Message, ".")) {
		t.Errorf("%s (%d): %q", what, got.StatusCode, raw)
	}
}

// TestWithoutTLS sets no rule that a browser would keep for a name served in the
// open.
func TestWithoutTLS(t *testing.T) {
	h := newHandlerWith(t, func(o *Options) { o.Guard.TLS = false })
	if got := do(t, h, ask{path: "/"}).Header.Get("Strict-Transport-Security"); got != "" {
		t.Error(got)
	}
}

// TestWhatIsLimited names the routes that anybody can make the server work by.
// Whoever adds one says here that it is, or why it is not.
func TestWhatIsLimited(t *testing.T) {
	unlimited := map[string]string{
		"GET /healthz": "answers at once", "GET /readyz": "answers at once",
		"GET /api/auth/config": "answers at once", "GET /api/auth/loggedout": "answers at once",
		"POST /api/auth/logout":            "a logout must always be possible; strangers cost a look-up",
		"POST /api/auth/logout/everywhere": "the same",
	}
	for _, r := range everyRoute(t) {
		if made := r.method + " " + r.path; (made == "POST /api/auth/tokens" || made == "POST /api/agents/tokens") && !r.limited {
			t.Error("tokens can be made without a limit")
		}
		if _, known := unlimited[r.method+" "+r.path]; r.public && r.limited == known {
			t.Errorf("%s %s: limited is %v", r.method, r.path, r.limited)
		}
	}
}

// from sends a request of that client, through a proxy that says so.
func from(t *testing.T, h http.Handler, client string, a ask) *http.Response {
	t.Helper()
	r := httptest.NewRequest(a.method, a.path, nil)
	r.Host, r.RemoteAddr = "console.example", "10.0.0.1:1"
	r.Header.Set("X-Forwarded-For", "198.51.100.7, "+client) // what the client said, what the proxy knows
	for k, v := range a.header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestTooManyTriesToLogIn(t *testing.T) {
	h := newHandlerWith(t, func(o *Options) {
		o.Login, o.Proxies = ways(), peer.Proxies{netip.MustParsePrefix("10.0.0.0/8")}
		o.Quota = quota.New(quota.Options{PerClient: 3, Total: 10, Clients: 100})
	})
	login := ask{method: "GET", path: "/api/auth/login"}
	for range 3 {
		if got := from(t, h, "203.0.113.9", login); got.StatusCode != http.StatusOK {
			t.Fatalf("%d before the limit", got.StatusCode)
		}
	}
	got := from(t, h, "203.0.113.9", login)
	raw, _ := io.ReadAll(got.Body)
	var body ErrorBody
	if err := json.Unmarshal(raw, &body); err != nil || got.StatusCode != http.StatusTooManyRequests || body.Error != "E_RATE_LIMITED" ||
		!strings.Contains(body.Message, "Wait 20 seconds") || body.RequestID == "" {
		t.Errorf("%d %s", got.StatusCode, raw)
	}
	if n, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || n != 20 {
		t.Errorf("Retry-After %q", got.Header.Get("Retry-After"))
	}
	login.header = map[string]string{"Accept": "text/html,*/*"}
	page := from(t, h, "203.0.113.9", login)
	raw, _ = io.ReadAll(page.Body)
	if page.StatusCode != http.StatusTooManyRequests || !strings.Contains(string(raw), "<h1>") || !strings.Contains(string(raw), page.Header.Get("X-Request-Id")) {
		t.Errorf("a browser gets %d %s", page.StatusCode, raw)
	}
	for _, path := range []string{"/api/auth/config", "/healthz", "/", "/api/whoami"} {
		a := ask{method: "GET", path: path, header: map[string]string{"Cookie": "s=ada"}}
		if got := from(t, h, "203.0.113.9", a); got.StatusCode != http.StatusOK {
			t.Errorf("%s is limited too: %d", path, got.StatusCode)
		}
	}
	// Many strangers use up what there is for all; who was logged in is none.
	for i := range 50 {
		from(t, h, "203.0.113."+strconv.Itoa(100+i), login)
	}
	if got := from(t, h, "203.0.113.99", login); got.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one more stranger: %d", got.StatusCode)
	}
	from(t, h, "203.0.113.77", ask{method: "GET", path: "/api/whoami", header: map[string]string{"Cookie": "s=ada"}})
	if got := from(t, h, "203.0.113.77", login); got.StatusCode != http.StatusOK {
		t.Errorf("locked out by strangers: %d", got.StatusCode)
	}
}

// TestAPageLogsNobodyIn: what a page asks for behind its visitor neither begins nor
// ends a login, and uses nothing up of what their network may.
func TestAPageLogsNobodyIn(t *testing.T) {
	for _, way := range ways() {
		if way.Method != http.MethodGet || !way.Limited {
			continue
		}
		served := 0
		h := newHandlerWith(t, func(o *Options) {
			way.Serve = func(http.ResponseWriter, *http.Request) { served++ }
			o.Login = []entry.Route{way}
			o.Quota = quota.New(quota.Options{PerClient: 3, Total: 10, Clients: 100})
		})
		for _, c := range []struct{ mode, dest, purpose string }{
			{"no-cors", "image", ""}, {"no-cors", "", ""}, {"cors", "empty", ""}, {"same-origin", "empty", ""}, {"websocket", "", ""},
			{"navigate", "iframe", ""}, {"navigate", "embed", ""}, {"", "image", ""}, {"navigate", "document", "prefetch;prerender"},
		} {
			a := ask{path: way.Path, header: map[string]string{"Sec-Fetch-Mode": c.mode, "Sec-Fetch-Dest": c.dest, "Sec-Purpose": c.purpose}}
			got := do(t, h, a)
			var body ErrorBody
			if err := json.NewDecoder(got.Body).Decode(&body); err != nil || got.StatusCode != http.StatusForbidden || !strings.Contains(body.Message, "a tab of its own") {
				t.Errorf("%s %+v: %d %+v", way.Path, c, got.StatusCode, body)
			}
		}
		for _, header := range []map[string]string{
			{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Mode": "navigate"}, nil,
		} {
			if got := do(t, h, ask{path: way.Path, header: header}); got.StatusCode != http.StatusOK {
				t.Errorf("%s %v: %d", way.Path, header, got.StatusCode)
			}
		}
		if served != 3 {
			t.Errorf("%s was served %d times", way.Path, served)
		}
	}
}

// TestTooManyBadTokens: they are counted as tries to log in are, and a good one is not.
func TestTooManyBadTokens(t *testing.T) {
	d := &door{t: t, keeper: newKeeper(t)}
	h := newHandlerWith(t, func(o *Options) {
		o.Login, o.Proxies = ways(), peer.Proxies{netip.MustParsePrefix("10.0.0.0/8")}
		o.Quota = quota.New(quota.Options{PerClient: 3, Total: 10, Clients: 100})
		o.Tokens = d.keeper
	})
	bad := ask{method: "GET", path: "/api/whoami", header: map[string]string{"Authorization": "Bearer psc_nobodys"}}
	for range 3 {
		if got := from(t, h, "203.0.113.9", bad); got.StatusCode != http.StatusUnauthorized || got.Header.Get("WWW-Authenticate") == "" {
			t.Fatalf("%d before the limit", got.StatusCode)
		}
	}
	got := from(t, h, "203.0.113.9", bad)
	if got.StatusCode != http.StatusTooManyRequests || got.Header.Get("Retry-After") != "20" || got.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("beyond it: %d %v", got.StatusCode, got.Header)
	}
	if got := from(t, h, "203.0.113.9", ask{method: "GET", path: "/api/auth/login"}); got.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a login from there: %d", got.StatusCode)
	}
	if got := from(t, h, "203.0.113.10", bad); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("from elsewhere: %d", got.StatusCode)
	}
	crooked := ask{method: "GET", path: "/api//whoami", header: bad.header}
	for i, want := range []int{http.StatusBadRequest, http.StatusBadRequest, http.StatusBadRequest, http.StatusTooManyRequests} {
		if got := from(t, h, "203.0.113.11", crooked); got.StatusCode != want {
			t.Errorf("crooked request %d: %d, want %d", i, got.StatusCode, want)
		}
	}
	_, good := d.token([]token.Scope{token.Read})
	for range 10 {
		if got := from(t, h, "203.0.113.9", ask{method: "GET", path: "/api/whoami", header: good}); got.StatusCode != http.StatusOK {
			t.Fatalf("a good one from there: %d", got.StatusCode)
		}
	}
}

// TestForwardedNamesAreNotBelieved: the public URL decides, whatever a proxy or a
// client says.
func TestForwardedNamesAreNotBelieved(t *testing.T) {
	h := newHandlerWith(t, func(o *Options) { o.Proxies = peer.Proxies{netip.MustParsePrefix("0.0.0.0/0")} })
	lies := map[string]string{
		"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "Forwarded": "host=evil.example;proto=http",
		"X-Original-Url": "/healthz", "X-Rewrite-Url": "/healthz", "X-Http-Method-Override": "DELETE", "Cookie": "s=ada",
	}
	if got := do(t, h, ask{path: "/api/whoami", header: lies}); got.StatusCode != http.StatusOK {
		t.Errorf("under its own name: %d", got.StatusCode)
	}
	lies["X-Forwarded-Host"] = "console.example"
	if got := do(t, h, ask{path: "/api/whoami", host: "evil.example", header: lies}); got.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("under another: %d", got.StatusCode)
	}
}
