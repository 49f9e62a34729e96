package kubetest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
)

// Front is a load balancer before a cluster's apiserver, which lets everybody in
// as the administrator, and can be made to fail WebSockets. Impersonation passes.
type Front struct {
	// Config and Kubeconfig lead to the front.
	Config     *rest.Config
	Kubeconfig string

	proxy      *httputil.ReverseProxy
	refusal    atomic.Pointer[http.HandlerFunc]
	webSockets atomic.Int64
	spdys      atomic.Int64
}

// NewFront starts a front, until the test ends.
func NewFront(t testing.TB, c *Cluster) *Front {
	t.Helper()
	target, err := url.Parse(c.Config.Host)
	if err != nil {
		t.Fatalf("kubetest: %v", err)
	}
	upstream, hangUp, err := adminTransport(c.Config)
	if err != nil {
		t.Fatalf("kubetest: %v", err)
	}
	f := &Front{proxy: &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     upstream,
		FlushInterval: -1,
	}}
	var handling sync.WaitGroup
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handling.Add(1)
		defer handling.Done()
		f.handle(w, r)
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		handling.Wait()
		hangUp()
	})
	f.Config = &rest.Config{Host: srv.URL, QPS: -1}
	f.Kubeconfig = Anonymous(t, srv.URL)
	return f
}

// adminTransport speaks HTTP/1.1 alone, as whoever upgrades must.
func adminTransport(cfg *rest.Config) (http.RoundTripper, func(), error) {
	tlsConfig, err := rest.TLSConfigFor(cfg)
	if err != nil {
		return nil, nil, err
	}
	tlsConfig.NextProtos = []string{"http/1.1"}
	base := &http.Transport{TLSClientConfig: tlsConfig}
	rt, err := rest.HTTPWrappersForConfig(cfg, base)
	return rt, base.CloseIdleConnections, err
}

// Anonymous writes a kubeconfig without credentials for whatever is at a URL.
func Anonymous(t testing.TB, server string) string {
	path := filepath.Join(t.TempDir(), "front.kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: front
contexts: [{name: front, context: {cluster: front, user: nobody}}]
clusters: [{name: front, cluster: {server: %q}}]
users: [{name: nobody, user: {}}]
`, server)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatalf("kubetest: %v", err)
	}
	return path
}

func (f *Front) handle(w http.ResponseWriter, r *http.Request) {
	switch upgrade := r.Header.Get("Upgrade"); {
	case strings.EqualFold(upgrade, "websocket"):
		f.webSockets.Add(1)
		if refuse := f.refusal.Load(); refuse != nil {
			(*refuse)(w, r)
			return
		}
	case upgrade != "":
		f.spdys.Add(1)
	}
	f.proxy.ServeHTTP(w, r)
}

// Refuse answers WebSockets with this status from now on, and without a word.
func (f *Front) Refuse(status int) {
	f.fail(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

// Strip drops the headers that ask for a WebSocket from now on.
func (f *Front) Strip() {
	f.fail(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Upgrade")
		r.Header.Del("Connection")
		f.proxy.ServeHTTP(w, r)
	})
}

func (f *Front) fail(how http.HandlerFunc) { f.refusal.Store(&how) }

// Mend lets everything through again.
func (f *Front) Mend() { f.refusal.Store(nil) }

// WebSockets is how many upgrades to WebSocket were asked for.
func (f *Front) WebSockets() int64 { return f.webSockets.Load() }

// SPDYs is how many upgrades to SPDY were asked for.
func (f *Front) SPDYs() int64 { return f.spdys.Load() }
