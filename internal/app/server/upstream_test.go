package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/quota"
)

// witness stands before an apiserver and notes every request as it arrives.
type witness struct {
	Kubeconfig string

	mu   sync.Mutex // guards what follows
	seen []*http.Request
}

func newWitness(t *testing.T, c *kubetest.Cluster) *witness {
	t.Helper()
	target, err := url.Parse(kubetest.NewFront(t, c).Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	// A connection for each: one that is closed as it is used again would lose a request.
	w, upstream := &witness{}, &http.Transport{DisableKeepAlives: true}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: upstream, FlushInterval: -1}
	var handling sync.WaitGroup
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		handling.Add(1)
		defer handling.Done()
		w.mu.Lock()
		w.seen = append(w.seen, r.Clone(r.Context()))
		w.mu.Unlock()
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		handling.Wait()
		upstream.CloseIdleConnections()
	})
	w.Kubeconfig = kubetest.Anonymous(t, srv.URL)
	return w
}

// requests are those so far but the server's own, which it makes as itself.
func (w *witness) requests(t *testing.T) []*http.Request {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var got []*http.Request
	for _, r := range w.seen {
		if r.URL.Path != "/version" {
			got = append(got, r)
		} else if impersonates(r.Header) {
			t.Errorf("the server's own request bears %v", r.Header)
		}
	}
	return got
}

func impersonates(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(strings.ToLower(name), "impersonate-") {
			return true
		}
	}
	return false
}

// hostile are headers of a client that would like to be somebody else, or to
// have its own words repeated to a cluster.
var hostile = http.Header{
	"Authorization":       {"Basic b3BzOm9wcw=="},
	"Proxy-Authorization": {"Bearer of-the-client"},
	"Audit-Id":            {"of-the-client"},
	"X-Request-Id":        {"of-the-client"},
	"User-Agent":          {"of-the-client"},
	"Accept":              {"of/the-client"},
	"Accept-Language":     {"of-the-client"},
	"X-Forwarded-For":     {"10.0.0.1"},
	"X-Forwarded-User":    {"system:admin"},
	"X-Original-Url":      {"/of-the-client"},
	"Forwarded":           {"for=of-the-client"},
	"Traceparent":         {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	"Te":                  {"trailers"},
	"Range":               {"bytes=0-1"},
	"X-Of-The-Client":     {"of-the-client"},
}

// borrowed are refused at the door.
var borrowed = []http.Header{
	{"Impersonate-User": {"system:admin"}},
	{"Impersonate-Group": {"system:masters"}},
	{"Impersonate-Uid": {"0"}},
	{"Impersonate-Extra-Scopes": {"all"}},
	{"X-Remote-User": {"system:admin"}},
	{"X-Remote-Group": {"system:masters"}},
	{"Connection": {"Impersonate-User"}},
	{"Connection": {"keep-alive, Impersonate-Group"}},
}

// clientRoutes is a request to each route that reaches a cluster; terminals are
// apart.
func clientRoutes(ns, pod string) map[string]string {
	base := "/api/clusters/real"
	return map[string]string{
		base + "/namespaces":                              "",
		base + "/pods?namespace=" + ns:                    "",
		base + "/pods/" + ns + "/" + pod:                  "",
		base + "/pods/" + ns + "/" + pod + "/events":      "",
		base + "/can-i":                                   `{"verb":"get","resource":"pods"}`,
		base + "/can-i?x=Impersonate-User%3Dsystem:admin": `{"checks":[{"verb":"create","resource":"pods/exec","namespace":"` + ns + `"}]}`,
	}
}

// send makes a request with these headers beside the login's cookie.
func (p *product) send(path, body string, headers http.Header) (int, string) {
	p.t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for name, values := range headers {
		req.Header[name] = values
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.AddCookie(p.cookie)
	resp, err := http.DefaultTransport.RoundTrip(req) // follows no redirect
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	return resp.StatusCode, resp.Header.Get("Content-Type")
}

// socket opens a terminal with these headers and runs echo in it; a refusal
// returns the status.
func (p *product) socket(path string, v2 bool, headers http.Header) int {
	p.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	opt := &websocket.DialOptions{HTTPClient: client, HTTPHeader: headers.Clone()}
	opt.HTTPHeader.Set("Cookie", p.cookie.String())
	if v2 {
		opt.Subprotocols = []string{"v2.exec.periscope"}
	} else {
		path += "?tty=false&command=" + argv("echo", "here")
	}
	ws, resp, err := websocket.Dial(p.t.Context(), "ws"+strings.TrimPrefix(p.url, "http")+path, opt)
	if err != nil {
		if resp == nil {
			p.t.Fatal(err)
		}
		return resp.StatusCode
	}
	defer ws.CloseNow()
	term := &terminal{t: p.t, ws: ws, auto: v2}
	if v2 {
		term.control(map[string]any{"type": "open", "tty": false, "command": []string{"echo", "here"}})
	}
	term.expect("here\n")
	term.closed()
	return http.StatusSwitchingProtocols
}

// ours are the only headers that a request to a cluster may bear.
var ours = []string{
	"Accept", "Accept-Encoding", "Audit-Id", "Connection", "Content-Length", "Content-Type", "Impersonate-Group", "Impersonate-User",
	"Sec-Websocket-Key", "Sec-Websocket-Protocol", "Sec-Websocket-Version", "Upgrade", "User-Agent",
	"X-Stream-Protocol-Version",
}

var madeHere = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)

// TestRequestsToClustersAreBuiltFromNothing looks at what arrives behind the
// product, whatever its client sent: over API routes and terminals, in both
// modes and over both wire protocols.
func TestRequestsToClustersAreBuiltFromNothing(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	c.Bind(t, ns, "admin", "periscope:"+ns)
	for _, wire := range []string{"ws", "spdy"} {
		t.Run(wire, func(t *testing.T) {
			w := newWitness(t, c)
			p := startWith(t, authFiles(t, &kubetest.Cluster{Kubeconfig: w.Kubeconfig}, ns), "PERISCOPE_EXEC_TRANSPORT="+wire)
			for path, body := range clientRoutes(ns, pod.Name) {
				p.send(path, body, hostile)
			}
			for _, v2 := range []bool{false, true} {
				if status := p.socket(execPath("real", ns, pod.Name), v2, hostile); status != http.StatusSwitchingProtocols {
					t.Fatalf("v2 %v: %d", v2, status)
				}
			}
			seen := w.requests(t)
			execs := 0
			for _, r := range seen {
				checkUpstream(t, r, ns)
				if strings.HasSuffix(r.URL.Path, "/exec") {
					execs++
				}
			}
			if execs < 2 || len(seen) < 8 {
				t.Errorf("%d requests arrived, %d of them execs", len(seen), execs)
			}
		})
	}
}

func checkUpstream(t *testing.T, r *http.Request, ns string) {
	t.Helper()
	at := r.Method + " " + r.URL.Path
	for name, values := range r.Header {
		if !slices.Contains(ours, name) {
			t.Errorf("%s bears %s: %q", at, name, values)
		}
		for _, v := range values {
			if strings.Contains(v, "of-the-client") || strings.Contains(v, "of/the-client") {
				t.Errorf("%s repeats the client's %s: %q", at, name, v)
			}
		}
	}
	if user := r.Header["Impersonate-User"]; !slices.Equal(user, []string{"ada"}) {
		t.Errorf("%s acts as %q", at, user)
	}
	if groups := r.Header["Impersonate-Group"]; !slices.Equal(groups, []string{"periscope:" + ns}) {
		t.Errorf("%s acts with the groups %q", at, groups)
	}
	if id := r.Header.Get("Audit-Id"); !madeHere.MatchString(id) {
		t.Errorf("%s has the audit id %q", at, id)
	}
	if strings.Contains(r.URL.RawQuery, "mpersonate") || r.Trailer != nil {
		t.Errorf("%s?%s, trailer %v", at, r.URL.RawQuery, r.Trailer)
	}
}

// TestBorrowedIdentities: who asks to act as somebody else is refused before any
// cluster hears of it, and recorded.
func TestBorrowedIdentities(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	w := newWitness(t, c)
	p := startWith(t, authFiles(t, &kubetest.Cluster{Kubeconfig: w.Kubeconfig}, ns))
	tries := 0
	for _, headers := range borrowed {
		for path, body := range clientRoutes(ns, pod.Name) {
			tries++
			if status, kind := p.send(path, body, headers); status != http.StatusForbidden || !strings.HasPrefix(kind, "application/json") {
				t.Errorf("%v on %s: %d %s", headers, path, status, kind)
			}
		}
		if headers.Get("Connection") != "" {
			continue // a WebSocket's client writes its own; see httpapi TestCrookedRequests
		}
		for _, v2 := range []bool{false, true} {
			tries++
			if status := p.socket(execPath("real", ns, pod.Name), v2, headers); status != http.StatusForbidden {
				t.Errorf("%v on a terminal, v2 %v: %d", headers, v2, status)
			}
		}
	}
	p.mustBeRefused(w, tries)
}

// TestCrookedPaths never reach a cluster. What somebody tried is in audit.
func TestCrookedPaths(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	w := newWitness(t, c)
	p := startWith(t, authFiles(t, &kubetest.Cluster{Kubeconfig: w.Kubeconfig}, ns))
	crooked := []string{"..", "%2e%2e", ".%2E", ".", "", "a%2f..%2fb", "..%5c", "a%00", "a%0d%0aImpersonate-User:%20x"}
	tries := 0
	for _, part := range crooked {
		for _, shape := range []string{"/api/clusters/real/pods/" + ns + "/%s/events", "/api/clusters/real/pods/%s/p", "/api/clusters/%s/pods", "/api/clusters/real/pods/%s/p/exec"} {
			if strings.HasSuffix(fmt.Sprintf(shape, part), "/") {
				continue
			}
			tries++
			if status, _ := p.send(fmt.Sprintf(shape, part), "", nil); status != http.StatusBadRequest {
				t.Errorf("%q in %s: %d", part, shape, status)
			}
		}
	}
	recorded := p.mustBeRefused(w, tries)
	// Names that are none are wrong, and no attempt at anything.
	for _, name := range []string{"A", "a_b", "-a", strings.Repeat("a", 254), "%252e%252e", "ä", "a%20b", "system:x", "a%3bb", "%3fx=y"} {
		for _, shape := range []string{"/api/clusters/real/pods/" + ns + "/%s", "/api/clusters/real/pods/%s/p", "/api/clusters/%s/pods"} {
			if status, _ := p.send(fmt.Sprintf(shape, name), "", nil); status != http.StatusBadRequest {
				t.Errorf("%q in %s: %d", name, shape, status)
			}
		}
		for _, query := range []string{"?namespace=" + name, "?namespace=../x", "?limit=100000000000", "?labelSelector=%00"} {
			if status, _ := p.send("/api/clusters/real/pods"+query, "", nil); status != http.StatusBadRequest {
				t.Errorf("%s: %d", query, status)
			}
		}
	}
	if now := p.mustBeRefused(w, tries); now != recorded {
		t.Errorf("%d more are in audit", now-recorded)
	}
}

// mustBeRefused says that of so many tries some are in audit, how many, and that nothing
// went on.
func (p *product) mustBeRefused(w *witness, tries int) (recorded int) {
	p.t.Helper()
	for _, r := range w.requests(p.t) {
		p.t.Errorf("%s %s reached the cluster", r.Method, r.URL)
	}
	denied := p.events("auth.denied", "completed")
	if len(denied) < min(tries, quota.First) || len(denied) > tries {
		p.t.Errorf("%d of %d tries are in audit", len(denied), tries)
	}
	for _, e := range denied {
		if e["outcome"] != "denied" || e["reason"] == "" || e["actor"].(map[string]any)["sub"] != "ada" {
			p.t.Errorf("audit %v", e)
		}
	}
	return len(denied)
}
