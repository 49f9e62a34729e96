package agent

import (
	"bufio"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/kubetest"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

// ask is a request of alice's that the agent forwards, changed by change.
func ask(t *testing.T, method, target string, change func(http.Header)) *http.Request {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Impersonate-User", "alice")
	r.Header.Add("Impersonate-Group", "periscope:sre")
	if change != nil {
		change(r.Header)
	}
	return r
}

func TestOnlyOneOrdinaryUserIsForwarded(t *testing.T) {
	for name, c := range map[string]struct {
		change func(http.Header)
		says   string
	}{
		"nobody":                 {func(h http.Header) { h.Del("Impersonate-User") }, "names 0 users"},
		"two users":              {func(h http.Header) { h.Add("Impersonate-User", "bob") }, "names 2 users"},
		"a user without a name":  {func(h http.Header) { h.Set("Impersonate-User", "") }, "without a name"},
		"a user of blanks":       {func(h http.Header) { h.Set("Impersonate-User", " ") }, "without a name"},
		"Kubernetes' own user":   {func(h http.Header) { h.Set("Impersonate-User", "system:admin") }, "system:"},
		"in capitals":            {func(h http.Header) { h.Set("Impersonate-User", "System:admin") }, "system:"},
		"behind a blank":         {func(h http.Header) { h.Add("Impersonate-Group", " system:masters") }, "system:"},
		"a service account":      {func(h http.Header) { h.Set("Impersonate-User", "system:serviceaccount:kube-system:x") }, "system:"},
		"masters":                {func(h http.Header) { h.Add("Impersonate-Group", "system:masters") }, "system:masters"},
		"a group without a name": {func(h http.Header) { h.Add("Impersonate-Group", "") }, "without a name"},
		"a long name":            {func(h http.Header) { h.Set("Impersonate-User", strings.Repeat("a", maxName+1)) }, "bytes"},
		"a UID":                  {func(h http.Header) { h.Set("Impersonate-Uid", "1") }, "Impersonate-Uid"},
		"an extra":               {func(h http.Header) { h.Set("Impersonate-Extra-Scopes", "all") }, "Impersonate-Extra-Scopes"},
		"a bearer":               {func(h http.Header) { h.Set("Authorization", "Bearer x") }, "credentials of its own"},
		"a bearer as a protocol": {func(h http.Header) {
			h.Add("Sec-WebSocket-Protocol", "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.eA")
		}, "token among its WebSocket protocols"},
		"too many groups": {func(h http.Header) {
			for range maxGroups {
				h.Add("Impersonate-Group", "g")
			}
		}, "groups"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := admit(ask(t, "GET", "/api/v1/pods", c.change), true); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("said %v", err)
			}
		})
	}
	if err := admit(ask(t, "GET", "/api/v1/pods", nil), true); err != nil {
		t.Errorf("alice is refused: %v", err)
	}
}

func TestTheOwnerOfAClusterMayRefuseShells(t *testing.T) {
	for target, refused := range map[string]bool{
		"/api/v1/namespaces/a/pods/b/exec?command=sh":                true,
		"/api/v1/namespaces/a/pods/b/exec/":                          true,
		"/api/v1/namespaces/a/pods/b/attach":                         true,
		"/api/v1/namespaces/a/pods/b/ephemeralcontainers":            true,
		"/api/v1/nodes/n/proxy/exec/a/b/c":                           true,
		"/api/v1/nodes/n/proxy":                                      true,
		"/api/v1/namespaces/a/pods/exec":                             false,
		"/api/v1/namespaces/exec/pods/b/log":                         false,
		"/api/v1/namespaces/a/pods/b":                                false,
		"/apis/apps/v1/namespaces/a/deployments/d/scale":             false,
		"/api/v1/namespaces/a/pods/b/portforward":                    false,
		"/apis/metrics.k8s.io/v1beta1/namespaces/a/pods/b":           false,
		"/apis/rbac.authorization.k8s.io/v1/clusterroles/system:x/a": false,
	} {
		if got := admit(ask(t, "POST", target, nil), false) != nil; got != refused {
			t.Errorf("%s: refused %v", target, got)
		}
		if err := admit(ask(t, "POST", target, nil), true); err != nil {
			t.Errorf("%s with shells: %v", target, err)
		}
	}
}

func TestPathsThatTwoReadersReadDifferently(t *testing.T) {
	for _, target := range []string{
		"/api/v1/namespaces/a/pods/b/%65xec%2F", "/api/v1/namespaces/a/pods/x/../b/exec", "/api//v1/namespaces/a/pods/b/exec",
		"/api/v1/namespaces/a/pods/b/./exec", "/api/v1/namespaces/a%2fpods/b", "/api/v1/pods//",
	} {
		if err := admit(ask(t, "GET", target, nil), false); err == nil || !strings.Contains(err.Error(), "not written plainly") {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// proxied serves a proxy to an apiserver that is a handler, and its own address.
func proxied(t *testing.T, change func(*rest.Config), apiserver http.HandlerFunc) string {
	t.Helper()
	upstream := httptest.NewServer(apiserver)
	t.Cleanup(upstream.Close)
	cfg := &rest.Config{Host: upstream.URL}
	if change != nil {
		change(cfg)
	}
	p, err := NewProxy(cfg, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(p)
	t.Cleanup(front.Close)
	t.Cleanup(p.Close)
	return front.URL
}

func do(t *testing.T, front, method, target string, change func(http.Header)) (*http.Response, string) {
	t.Helper()
	r := ask(t, method, target, change)
	r.RequestURI = ""
	u, err := url.Parse(front)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Scheme, r.URL.Host = u.Scheme, u.Host
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestOnlyWhatWasToldGoesOn(t *testing.T) {
	seen := make(chan *http.Request, 1)
	front := proxied(t, func(c *rest.Config) { c.BearerToken = "the-agent's" }, func(w http.ResponseWriter, r *http.Request) { seen <- r })
	resp, _ := do(t, front, "GET", "/api/v1/pods?limit=5", func(h http.Header) {
		for name, value := range map[string]string{
			"Cookie": "session=1", "X-Remote-User": "admin", "X-Remote-Group": "system:masters", "X-Forwarded-For": "10.0.0.1",
			"Forwarded": "for=x", "X-Anything": "1", "Accept": "application/json", "Audit-ID": "e1", "User-Agent": "periscope",
		} {
			h.Set(name, value)
		}
	})
	r := <-seen
	for name := range r.Header {
		switch name {
		case "Cookie", "X-Remote-User", "X-Remote-Group", "X-Forwarded-For", "Forwarded", "X-Anything":
			t.Errorf("%s went on", name)
		}
	}
	if resp.StatusCode != http.StatusOK || r.Header.Get("Authorization") != "Bearer the-agent's" || r.URL.String() != "/api/v1/pods?limit=5" ||
		r.Header.Get("Impersonate-User") != "alice" || r.Header.Get("Audit-Id") != "e1" || r.Header.Get("Accept") != "application/json" {
		t.Errorf("%s %s with %v", resp.Status, r.URL, r.Header)
	}
}

func TestAReplacedTokenIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	seen := make(chan string, 1)
	front := proxied(t, func(c *rest.Config) { c.BearerTokenFile = path }, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusUnauthorized)
	})
	_, _ = do(t, front, "GET", "/api", nil)
	if got := <-seen; got != "Bearer first" {
		t.Errorf("sent %q", got)
	}
	write("second")
	for _, want := range []string{"Bearer first", "Bearer second"} { // the first is refused, and dropped
		_, _ = do(t, front, "GET", "/api", nil)
		if got := <-seen; got != want {
			t.Errorf("after the rotation it sent %q, not %q", got, want)
		}
	}
}

func TestAConfigThatActsAsSomebodyIsRefused(t *testing.T) {
	cfg := &rest.Config{Host: "https://127.0.0.1:1", Impersonate: rest.ImpersonationConfig{UserName: "root"}}
	if _, err := NewProxy(cfg, true, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "remove “as”") {
		t.Errorf("said %v", err)
	}
}

// TestAnApiserverThatIsAway has a port that nobody listens at.
func TestAnApiserverThatIsAway(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	_ = ln.Close()
	front := proxied(t, func(c *rest.Config) { c.Host = "http://" + address }, nil)
	for _, upgrade := range []string{"", "websocket", "SPDY/3.1"} {
		resp, body := do(t, front, "GET", "/api/v1/pods", func(h http.Header) {
			if upgrade != "" {
				h.Set("Connection", "Upgrade")
				h.Set("Upgrade", upgrade)
			}
		})
		var st metav1.Status
		if err := json.Unmarshal([]byte(body), &st); err != nil || resp.StatusCode != http.StatusBadGateway || st.Kind != "Status" ||
			!strings.Contains(st.Message, "refused the connection") {
			t.Errorf("upgrade %q: %s: %s", upgrade, resp.Status, body)
		}
	}
}

// echoes is an apiserver that upgrades whatever it is asked, says again what it hears,
// and a last word once it has heard all.
func echoes(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+r.Header.Get("Upgrade")+"\r\n\r\n")
		_, _ = io.Copy(c, rw)
		_, _ = io.WriteString(c, "that was all")
	}
}

// upgraded asks front for an upgrade, and holds it to what echoes does.
func upgraded(t *testing.T, front, protocol string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(front, "http://"))
	must(t, err)
	defer c.Close()
	_, _ = io.WriteString(c, "GET /api/v1/namespaces/a/pods/b/exec HTTP/1.1\r\nHost: x\r\nImpersonate-User: alice\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\n\r\n")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%s: %v, %v", protocol, resp, err)
	}
	_, _ = io.WriteString(c, "typed")
	must(t, c.(*net.TCPConn).CloseWrite())
	got, err := io.ReadAll(in)
	if string(got) != "typedthat was all" || err != nil {
		t.Errorf("%s: %q, %v", protocol, got, err)
	}
}

// TestUpgradesPass: both protocols, both directions, and a half-close, through
// whatever stands between.
func TestUpgradesPass(t *testing.T) {
	for _, protocol := range []string{"websocket", "SPDY/3.1"} {
		upgraded(t, proxied(t, nil, echoes(t)), protocol)
	}
}

// TestTheApiserverBehindAProxy: the kubeconfig names a proxy, and the apiserver's name
// is known there alone.
func TestTheApiserverBehindAProxy(t *testing.T) {
	apiserver := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			echoes(t)(w, r)
		}
	}))
	defer apiserver.Close()
	var asked atomic.Int64
	between := httptest.NewServer(connects(t, apiserver.Listener.Addr().String(), &asked))
	defer between.Close()
	front := proxied(t, func(c *rest.Config) {
		c.Host = "https://apiserver.invalid:6443"
		c.CAData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: apiserver.Certificate().Raw})
		c.ServerName = "example.com" // the certificate's
		c.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(between.URL) }
	}, nil)
	if resp, body := do(t, front, "GET", "/api/v1/pods", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("a request: %s: %s", resp.Status, body)
	}
	for _, protocol := range []string{"websocket", "SPDY/3.1"} {
		upgraded(t, front, protocol)
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("the proxy was asked for %d connections", n)
	}
}

// connects is an HTTP proxy that knows one name, and counts who asks for it.
func connects(t *testing.T, to string, asked *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != "apiserver.invalid:6443" {
			t.Errorf("the proxy is asked to %s %s", r.Method, r.Host)
			return
		}
		asked.Add(1)
		far, err := net.Dial("tcp", to)
		if err != nil {
			t.Error(err)
			return
		}
		defer far.Close()
		near, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer near.Close()
		_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
		var there sync.WaitGroup
		there.Go(func() {
			_, _ = io.Copy(far, near)
			_ = far.(*net.TCPConn).CloseWrite()
		})
		_, _ = io.Copy(near, far)
		_ = near.Close()
		there.Wait()
	}
}

// dropped are headers by which a proxy is told to take others out of the request, or
// to take some from behind its body.
var dropped = map[string]string{
	"the user":              "Connection: Impersonate-User\r\n",
	"both, oddly written":   "Connection: iMPERSONATE-uSER ,\timpersonate-group\r\n",
	"over two lines":        "Connection: keep-alive\r\nConnection: close, Impersonate-User\r\n",
	"a small connection":    "connection: impersonate-user\r\n",
	"with an upgrade":       "Connection: Upgrade, Impersonate-User\r\nUpgrade: websocket\r\n",
	"and other words of it": "Connection: Impersonate-User\r\nProxy-Connection: Impersonate-User\r\nKeep-Alive: Impersonate-User\r\nTe: Impersonate-User\r\n",
}

// raw sends a request of alice's with more headers, and gives the status.
func raw(t *testing.T, front, method, more, body string) int {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(front, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, method+" /api/v1/pods HTTP/1.1\r\nHost: x\r\nImpersonate-User: alice\r\nImpersonate-Group: dev\r\n"+more+"\r\n"+body)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestAConnectionCannotTakeTheUserAway: without the user the request would be the
// agent's own.
func TestAConnectionCannotTakeTheUserAway(t *testing.T) {
	front := proxied(t, func(c *rest.Config) { c.BearerToken = "the-agent's" }, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the apiserver is asked with %v", r.Header)
	})
	for name, more := range dropped {
		t.Run(name, func(t *testing.T) {
			if code := raw(t, front, "GET", more, ""); code != http.StatusForbidden {
				t.Errorf("answered %d", code)
			}
		})
	}
}

// TestTheUserGoesOnWhateverConnectionLists: also where nothing is refused before.
func TestTheUserGoesOnWhateverConnectionLists(t *testing.T) {
	sent := &sentOn{}
	p := &Proxy{log: slog.New(slog.DiscardHandler), to: &url.URL{Scheme: "https", Host: "apiserver"}}
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: p.rewrite, Transport: sent, ErrorHandler: p.failed})
	defer front.Close()
	for name, more := range dropped {
		t.Run(name, func(t *testing.T) {
			_ = raw(t, front.URL, "GET", more, "")
			h := sent.last.Header
			if users, groups := h["Impersonate-User"], h["Impersonate-Group"]; !slices.Equal(users, []string{"alice"}) || !slices.Equal(groups, []string{"dev"}) {
				t.Errorf("sent as %q of %q", users, groups)
			}
			for _, name := range []string{"Te", "Keep-Alive", "Proxy-Connection"} {
				if h[name] != nil {
					t.Errorf("%s went on: %q", name, h[name])
				}
			}
			if got := h.Get("Connection"); got != h.Get("Upgrade") && got != "Upgrade" {
				t.Errorf("sent with the connection %q", got)
			}
		})
	}
}

// sentOn keeps what would have been sent to the apiserver.
type sentOn struct{ last *http.Request }

func (s *sentOn) RoundTrip(r *http.Request) (*http.Response, error) {
	s.last = r
	return nil, errors.New("nobody is there")
}

// TestTrailersStayBehind: what comes behind a body is no header of the request.
func TestTrailersStayBehind(t *testing.T) {
	front := proxied(t, nil, func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if string(body) != "{}" || err != nil || len(r.Trailer) > 0 || !slices.Equal(r.Header["Impersonate-User"], []string{"alice"}) {
			t.Errorf("%q, %v, trailers %v, headers %v", body, err, r.Trailer, r.Header)
		}
	})
	more := "Transfer-Encoding: chunked\r\nTe: trailers\r\nTrailer: Impersonate-User\r\n"
	if code := raw(t, front, "POST", more, "2\r\n{}\r\n0\r\nImpersonate-User: bob\r\nImpersonate-Uid: 1\r\n\r\n"); code != http.StatusOK {
		t.Errorf("answered %d", code)
	}
}

// TestNothingIsSentForNobody: the last look before the agent's credentials are added.
func TestNothingIsSentForNobody(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the apiserver is asked with %v", r.Header)
	}))
	defer upstream.Close()
	rt, err := newWay(&rest.Config{Host: upstream.URL, BearerToken: "the-agent's"})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.conns.CloseAll()
	for name, users := range map[string][]string{"nobody": nil, "somebody without a name": {""}, "two": {"alice", "bob"}} {
		for _, upgrade := range []string{"", "websocket"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, upstream.URL+"/api/v1/pods", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header["Impersonate-User"] = users
			r.Header.Set("Upgrade", upgrade)
			if resp, err := rt.RoundTrip(r); !errors.Is(err, errNobody) {
				t.Errorf("%s, upgrade %q: %v, %v", name, upgrade, resp, err)
			}
		}
	}
}

// FuzzAdmit: whatever is admitted goes on as its user, and as nobody of Kubernetes' own.
func FuzzAdmit(f *testing.F) {
	f.Add("alice", "dev", "/api/v1/namespaces/a/pods/b/exec", "", "Upgrade")
	f.Add("system:admin", "system:masters", "//", "base64url.bearer.authorization.k8s.io.eA", "")
	f.Add("alice", "dev", "/api/v1/pods", "", "Impersonate-User")
	f.Add("alice", "dev", "/api/v1/pods", "", "keep-alive, iMPERSONATE-uSER\t,Impersonate-Group")
	sent := &sentOn{}
	p := &Proxy{log: slog.New(slog.DiscardHandler), to: &url.URL{Scheme: "https", Host: "apiserver"}}
	forward := &httputil.ReverseProxy{Rewrite: p.rewrite, Transport: sent, ErrorHandler: p.failed}
	f.Fuzz(func(t *testing.T, user, group, p, protocol, connection string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: p}, Header: http.Header{
			"Impersonate-User": {user}, "Impersonate-Group": {group}, "Sec-Websocket-Protocol": {protocol}, "Connection": {connection}, "Upgrade": {"websocket"},
		}}
		if admit(r, false) != nil {
			return
		}
		for _, name := range []string{user, group} {
			if strings.HasPrefix(strings.ToLower(strings.TrimSpace(name)), "system:") {
				t.Errorf("acts as %q", name)
			}
		}
		if strings.HasSuffix(strings.TrimSuffix(p, "/"), "/exec") && strings.Contains(p, "/pods/") && strings.Count(p[strings.LastIndex(p, "/pods/"):], "/") <= 3 {
			t.Errorf("enters a pod by %q", p)
		}
		forward.ServeHTTP(httptest.NewRecorder(), r)
		if h := sent.last.Header; !slices.Equal(h["Impersonate-User"], []string{user}) || !slices.Equal(h["Impersonate-Group"], []string{group}) {
			t.Errorf("with the connection %q, what %q of %q asks goes on as %q of %q", connection, user, group, h["Impersonate-User"], h["Impersonate-Group"])
		}
	})
}
