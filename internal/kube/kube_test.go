package kube

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

var (
	alice = identity.Impersonation{User: "alice", Groups: []string{"periscope:a", "periscope:b"}}
	none  = identity.Impersonation{None: true}
)

// apiserver is a stand-in that counts its connections.
func apiserver(t *testing.T, h http.HandlerFunc) (*rest.Config, *atomic.Int64) {
	t.Helper()
	var conns atomic.Int64
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	return &rest.Config{Host: srv.URL, BearerToken: "server-token", TLSClientConfig: rest.TLSClientConfig{CAData: ca}}, &conns
}

func base(t *testing.T, cfg *rest.Config) *Base {
	t.Helper()
	b, err := NewBase("prod", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func client(t *testing.T, b *Base, imp identity.Impersonation, auditID string) *Client {
	t.Helper()
	c, err := b.Client(imp, auditID)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func version(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte(`{"gitVersion":"v1.36.3"}`))
}

func TestAsFailsClosed(t *testing.T) {
	plain := &rest.Config{Host: "https://x"}
	acting := &rest.Config{Host: "https://x", Impersonate: rest.ImpersonationConfig{UserName: "ops"}}
	uid := &rest.Config{Host: "https://x", Impersonate: rest.ImpersonationConfig{UID: "1"}}
	cases := []struct {
		name  string
		base  *rest.Config
		imp   identity.Impersonation
		audit string
		want  rest.ImpersonationConfig
		kind  fault.Kind
		ok    bool
	}{
		{"user", plain, alice, "", rest.ImpersonationConfig{UserName: "alice", Groups: alice.Groups}, 0, true},
		{"shared", plain, none, "abc_1-2", rest.ImpersonationConfig{}, 0, true},
		{"shared behind a kubeconfig's as", acting, none, "", acting.Impersonate, 0, true},
		{"zero", plain, identity.Impersonation{}, "", rest.ImpersonationConfig{}, fault.Internal, false},
		{"groups alone", plain, identity.Impersonation{Groups: []string{"a"}}, "", rest.ImpersonationConfig{}, fault.Internal, false},
		{"none and a user", plain, identity.Impersonation{None: true, User: "alice"}, "", rest.ImpersonationConfig{}, fault.Internal, false},
		{"none and groups", plain, identity.Impersonation{None: true, Groups: []string{"a"}}, "", rest.ImpersonationConfig{}, fault.Internal, false},
		{"a user over a kubeconfig's as", acting, alice, "", rest.ImpersonationConfig{}, fault.ClusterUnreachable, false},
		{"a user over a kubeconfig's as-uid", uid, alice, "", rest.ImpersonationConfig{}, fault.ClusterUnreachable, false},
		{"audit id of a client", plain, alice, "a b", rest.ImpersonationConfig{}, fault.Internal, false},
		{"audit id with a newline", plain, alice, "a\nb", rest.ImpersonationConfig{}, fault.Internal, false},
		{"audit id too long", plain, alice, strings.Repeat("a", 65), rest.ImpersonationConfig{}, fault.Internal, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := rest.CopyConfig(c.base)
			got, err := As(c.base, c.imp, c.audit)
			if c.ok && (err != nil || !reflect.DeepEqual(got.Impersonate, c.want)) {
				t.Fatalf("got %+v, %v", got, err)
			}
			if !c.ok && (got != nil || err == nil || fault.KindOf(err) != c.kind) {
				t.Fatalf("got %v, %v", got, err)
			}
			b, err2 := NewBase("x", c.base)
			if err2 != nil {
				t.Fatal(err2)
			}
			if _, err2 = b.Client(c.imp, c.audit); (err2 == nil) != c.ok {
				t.Fatalf("Client says %v, As %v", err2, err)
			}
			if !reflect.DeepEqual(before, c.base) {
				t.Fatal("the base was changed")
			}
		})
	}
}

// TestOnTheWire looks at what reaches the apiserver, from a client and from a
// config for streams.
func TestOnTheWire(t *testing.T) {
	var got http.Header
	cfg, _ := apiserver(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		version(w, r)
	})
	b := base(t, cfg)
	stream := func(imp identity.Impersonation, audit string) {
		as, err := b.Config(imp, audit)
		if err != nil {
			t.Fatal(err)
		}
		hc, err := rest.HTTPClientFor(as)
		if err != nil {
			t.Fatal(err)
		}
		defer hc.CloseIdleConnections()
		resp, err := hc.Get(as.Host)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	call := func(imp identity.Impersonation, audit string) {
		if _, err := client(t, b, imp, audit).Version(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for name, send := range map[string]func(identity.Impersonation, string){"client": call, "stream": stream} {
		t.Run(name, func(t *testing.T) {
			send(alice, "id-1")
			want := http.Header{
				"Impersonate-User": {"alice"}, "Impersonate-Group": alice.Groups, "Audit-Id": {"id-1"}, "Authorization": {"Bearer server-token"},
			}
			for key, values := range got {
				if strings.HasPrefix(key, "Impersonate") || key == "Audit-Id" || key == "Authorization" {
					if !reflect.DeepEqual(values, want[key]) {
						t.Errorf("%s: %q", key, values)
					}
					delete(want, key)
				}
			}
			if len(want) > 0 {
				t.Errorf("missing %v", want)
			}
			send(none, "")
			for key := range got {
				if strings.HasPrefix(key, "Impersonate") || key == "Audit-Id" {
					t.Errorf("shared sends %s: %q", key, got[key])
				}
			}
		})
	}
}

// TestSubjectReachesTheTransport and no further: a backend's transport is told for
// whom a request is, the apiserver is not.
func TestSubjectReachesTheTransport(t *testing.T) {
	var arrived http.Header
	cfg, _ := apiserver(t, func(w http.ResponseWriter, r *http.Request) {
		arrived = r.Header.Clone()
		version(w, r)
	})
	var told []string
	cfg.WrapTransport = func(next http.RoundTripper) http.RoundTripper {
		return watcher(func(r *http.Request) (*http.Response, error) {
			told = append(told, SubjectOf(r.Context()))
			return next.RoundTrip(r)
		})
	}
	b := base(t, cfg)
	for _, imp := range []identity.Impersonation{
		{User: "alice", Subject: "auth0|4711"}, {None: true, Subject: "auth0|4712"}, none,
	} {
		if _, err := client(t, b, imp, "").Version(t.Context()); err != nil {
			t.Fatal(err)
		}
		for name, values := range arrived {
			if strings.Contains(strings.Join(values, ","), "auth0") {
				t.Errorf("%s: %q reached the cluster", name, values)
			}
		}
	}
	as, err := b.Config(identity.Impersonation{None: true, Subject: "auth0|4713"}, "id")
	if err != nil {
		t.Fatal(err)
	}
	hc, err := rest.HTTPClientFor(as)
	if err != nil {
		t.Fatal(err)
	}
	defer hc.CloseIdleConnections()
	resp, err := hc.Get(as.Host)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if want := []string{"auth0|4711", "auth0|4712", "", "auth0|4713"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

type watcher func(*http.Request) (*http.Response, error)

func (w watcher) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

// TestConnectionsAreShared covers what client-go's cache does not: proxies and
// dial functions.
func TestConnectionsAreShared(t *testing.T) {
	for name, change := range map[string]func(*rest.Config){
		"plain": func(*rest.Config) {},
		"dial": func(c *rest.Config) {
			c.Dial = (&net.Dialer{}).DialContext
		},
		"proxy": func(c *rest.Config) {
			c.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, conns := apiserver(t, version)
			change(cfg)
			b := base(t, cfg)
			for i := range 50 {
				imp := identity.Impersonation{User: fmt.Sprint("user-", i)}
				if _, err := client(t, b, imp, "").Version(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if n := conns.Load(); n != 1 {
				t.Errorf("50 users made %d connections", n)
			}
		})
	}
}

func TestNoRedirect(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	cfg, _ := apiserver(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	if _, err := client(t, base(t, cfg), alice, "").Version(t.Context()); fault.KindOf(err) != fault.ClusterUnreachable {
		t.Errorf("got %v", err)
	}
	if asked {
		t.Error("identity and credentials followed a redirect")
	}
}

func TestVersion(t *testing.T) {
	cfg, _ := apiserver(t, version)
	if v, err := client(t, base(t, cfg), none, "").Version(t.Context()); v != "v1.36.3" || err != nil {
		t.Fatal(v, err)
	}
}

// TestAnEndlessAnswer: a few KiB on the wire may be an answer without end, and one
// that says no is read as well.
func TestAnEndlessAnswer(t *testing.T) {
	var mebibyte bytes.Buffer // of spaces; a gzip file may have many such members
	packed := gzip.NewWriter(&mebibyte)
	_, _ = packed.Write(bytes.Repeat([]byte(" "), 1<<20))
	_ = packed.Close()
	for name, bound := range map[string]string{"list": "64 MiB", "get": "4 MiB", "patch": "4 MiB", "can-i": "64 KiB", "version": "64 KiB"} {
		for _, status := range []int{http.StatusOK, http.StatusInternalServerError} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				cfg, _ := apiserver(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					w.Header().Set("Content-Encoding", "gzip")
					w.WriteHeader(status)
					for range maxList>>20 + 16 {
						if _, err := w.Write(mebibyte.Bytes()); err != nil {
							return
						}
					}
				})
				if status != http.StatusOK && name == "list" {
					bound = "4 MiB" // of a refusal
				}
				err := calls[name](t, client(t, base(t, cfg), none, ""))
				if fault.KindOf(err) != fault.ClusterUnreachable || !strings.Contains(fault.PublicOf(err), "larger than "+bound+",") {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// TestALargeAnswer is of the largest that a cluster may hold.
func TestALargeAnswer(t *testing.T) {
	pod := func(mebibytes int) string {
		return `"apiVersion":"v1","metadata":{"name":"web-0","annotations":{"a":"` + strings.Repeat("a", mebibytes<<20) + `"}}`
	}
	for name, answer := range map[string]string{
		"list":                     `{"kind":"PodList","apiVersion":"v1","items":[{` + pod(6) + `}]}`,
		"get":                      `{"kind":"Pod",` + pod(3) + `}`,
		"patch":                    `{"kind":"Pod",` + pod(3) + `}`,
		"get a pod called version": `{"kind":"Pod",` + pod(3) + `}`,
		"can-i":                    `{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":false,"reason":"` + strings.Repeat("a", 60<<10) + `"}}`,
	} {
		cfg, _ := apiserver(t, plain(200, "application/json", answer))
		if err := calls[name](t, client(t, base(t, cfg), alice, "")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadConfig(t *testing.T) {
	for name, cfg := range map[string]*rest.Config{
		"CA":     {Host: "https://x", TLSClientConfig: rest.TLSClientConfig{CAData: []byte("x")}},
		"host":   {Host: "https://x y"},
		"client": {Host: "https://x", TLSClientConfig: rest.TLSClientConfig{CertFile: "/nope/secret", KeyFile: "/nope/key"}},
	} {
		_, err := NewBase("prod", cfg)
		if fault.KindOf(err) != fault.ClusterUnreachable || !strings.Contains(fault.PublicOf(err), "prod") || strings.Contains(fault.PublicOf(err), "/nope") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// review answers SelfSubjectAccessReviews by what it is asked.
func review(t *testing.T, answer func(map[string]string) (int, any)) *Client {
	t.Helper()
	cfg, _ := apiserver(t, func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Spec struct{ ResourceAttributes map[string]string }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		code, body := answer(in.Spec.ResourceAttributes)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body)
	})
	return jsonClient(t, base(t, cfg))
}

// jsonClient speaks JSON, which a stand-in can read.
func jsonClient(t *testing.T, b *Base) *Client {
	t.Helper()
	rc := b.clientConfig()
	rc.ContentConfig = rest.ContentConfig{ContentType: "application/json"}
	if err := identify(rc, alice, ""); err != nil {
		t.Fatal(err)
	}
	c, err := b.newClient(rc, &http.Client{Transport: b.shared})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func allowed(yes bool, reason string) map[string]any {
	return map[string]any{"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": map[string]any{"allowed": yes, "reason": reason}}
}

func TestCanI(t *testing.T) {
	c := review(t, func(a map[string]string) (int, any) {
		switch {
		case a["namespace"] == "broken":
			return http.StatusServiceUnavailable, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: 503}
		case a["verb"] == "both":
			s := allowed(true, "")
			s["status"].(map[string]any)["denied"] = true
			return http.StatusCreated, s
		case a["resource"] == "pods" && a["subresource"] == "exec" && a["verb"] == "create" && a["namespace"] == "shop":
			return http.StatusCreated, allowed(true, "")
		}
		return http.StatusCreated, allowed(false, "no rule")
	})
	got, err := CanI(t.Context(), c, []Check{
		{Verb: "create", Resource: "pods/exec", Namespace: "shop"},
		{Verb: "create", Resource: "pods", Subresource: "exec", Namespace: "shop", Name: "web-0"},
		{Verb: "delete", Group: "apps", Resource: "deployments"},
		{Verb: "get", Resource: "pods", Namespace: "broken"},
		{Verb: "both", Resource: "pods"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []bool{true, true, false, false, false}
	for i, d := range got {
		if d.Decided != (i != 3) {
			t.Errorf("%d was decided: %v", i, d.Decided)
		}
		if d.Allowed != want[i] || (!d.Allowed && d.Reason == "") {
			t.Errorf("%d: %+v", i, d)
		}
	}
	if r := got[2].Reason; r != "You may not delete deployments of apps in all namespaces. no rule." {
		t.Errorf("reason: %s", r)
	}
	if _, err := CanI(t.Context(), c, []Check{{Verb: "get", Resource: "pods", Namespace: "broken"}}); fault.KindOf(err) != fault.ClusterUnreachable {
		t.Errorf("nothing answered: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := CanI(ctx, c, []Check{{Verb: "get", Resource: "pods"}}); err == nil {
		t.Error("given up, but answered")
	}
}

func TestCanIRefusesBadQuestions(t *testing.T) {
	c := review(t, func(map[string]string) (int, any) {
		t.Error("a malformed question was asked")
		return http.StatusOK, nil
	})
	good := Check{Verb: "get", Resource: "pods"}
	for name, checks := range map[string][]Check{
		"none":             {},
		"65":               make([]Check, 65),
		"no verb":          {{Resource: "pods"}},
		"no resource":      {{Verb: "get"}},
		"two subresources": {{Verb: "get", Resource: "pods/exec", Subresource: "log"}},
		"three parts":      {{Verb: "get", Resource: "pods/a/b"}},
		"dots":             {{Verb: "get", Resource: ".."}},
		"namespace":        {{Verb: "get", Resource: "pods", Namespace: "../x"}},
		"name":             {{Verb: "get", Resource: "pods", Name: "a/b"}},
		"long name":        {{Verb: "get", Resource: "pods", Name: strings.Repeat("a", 254)}},
		"group":            {{Verb: "get", Resource: "pods", Group: "a b"}},
		"one of two":       {good, {Verb: "GET", Resource: "pods"}},
		"verb ends oddly":  {{Verb: "impersonate-", Resource: "users"}},
		"verb newline":     {{Verb: "get\n", Resource: "pods"}},
	} {
		if _, err := CanI(t.Context(), c, checks); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		check func(string) error
		good  []string
	}{
		{CheckNamespace, []string{"default", "a-1"}},
		{CheckPod, []string{"web-0", "a.b.c"}},
		{CheckContainer, []string{"app"}},
		{CheckCluster, []string{"prod-eu-west-1"}},
	} {
		for _, name := range c.good {
			if err := c.check(name); err != nil {
				t.Error(err)
			}
		}
		for _, name := range []string{"", ".", "..", "a/b", "A", "a b", "a\x00", "-a", "a%2fb", strings.Repeat("a", 300), "日本", "a\n", "\u009b2J", "\u202ea"} {
			if err := c.check(name); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%q: %v", name, err)
			} else if strings.ContainsAny(fault.PublicOf(err), "\n\x00\u009b\u202e") || len(fault.PublicOf(err)) > 600 {
				t.Errorf("%q: the sentence is %q", name, fault.PublicOf(err))
			}
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add("../x")
	f.Add("a%2e%2e")
	f.Fuzz(func(t *testing.T, s string) {
		if CheckPod(s) != nil && CheckNamespace(s) != nil && checkObject(s) != nil {
			return
		}
		if joined := url.PathEscape(s); strings.Contains(joined, "/") || s == "." || s == ".." {
			t.Errorf("%q is no single path segment", s)
		}
	})
}

func BenchmarkClient(b *testing.B) {
	base, err := NewBase("x", &rest.Config{Host: "https://x"})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := base.Client(alice, "id"); err != nil {
			b.Fatal(err)
		}
	}
}
