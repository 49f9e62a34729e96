package kubeconfig

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kube"
)

// file is a kubeconfig with one cluster, and one context for each user.
func file(server, cluster, users string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: one
clusters:
- name: c
  cluster: {server: %q%s}
users:
%scontexts:
- {name: one, context: {cluster: c, user: one}}
- {name: two, context: {cluster: c, user: two}}
`, server, cluster, users)
}

const tokens = "- {name: one, user: {token: first}}\n- {name: two, user: {token: second}}\n"

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func temp(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	write(t, path, content)
	return path
}

func open(t *testing.T, path, context string) clusters.Backend {
	t.Helper()
	b, err := Open(config.Cluster{Name: "prod", KubeconfigPath: path, KubeconfigContext: context})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestContext(t *testing.T) {
	path := temp(t, file("https://x:6443", "", tokens))
	for context, token := range map[string]string{"": "first", "one": "first", "two": "second"} {
		cfg, err := open(t, path, context).Config(t.Context())
		if err != nil || cfg.BearerToken != token || cfg.Host != "https://x:6443" {
			t.Errorf("context %q: %+v, %v", context, cfg, err)
		}
	}
}

func TestSentencesAtStart(t *testing.T) {
	dir := t.TempDir()
	plain := temp(t, file("https://x", "", tokens))
	cases := []struct {
		name, path, context string
		want                string
	}{
		{"missing", filepath.Join(dir, "nope"), "", "nope does not exist; check the path"},
		{"a folder", dir, "", "is no kubeconfig"},
		{"garbage", temp(t, "{{{"), "", "is no kubeconfig"},
		{"another kind of file", temp(t, "apiVersion: v1\nkind: Pod\n"), "", "is no kubeconfig"},
		{"empty", temp(t, ""), "", "has no current context; name one of: none"},
		{"no current context", temp(t, strings.Replace(file("https://x", "", tokens), "current-context: one", "", 1)), "", "name one of: one, two"},
		{"unknown context", plain, "three", `has no context "three"; it has: one, two`},
		{"no server", temp(t, file("", "", tokens)), "", "the context one of the kubeconfig"},
		{"CA is not there", temp(t, file("https://x", ", certificate-authority: nope.pem", tokens)), "", "the context one of the kubeconfig"},
		{"no such user", temp(t, file("https://x", "", "- {name: other, user: {}}\n")), "", "names the user one, who is not in the file"},
		{"no such cluster", temp(t, strings.Replace(file("https://x", "", tokens), "- name: c", "- name: d", 1)), "", "names the cluster c, which is not in the file"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(config.Cluster{Name: "prod", KubeconfigPath: c.path, KubeconfigContext: c.context})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "cluster prod: ") {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestReload(t *testing.T) {
	path := temp(t, file("https://x", "", tokens))
	b := open(t, path, "")
	token := func() string {
		cfg, err := b.Config(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return cfg.BearerToken
	}
	write(t, path, file("https://x", "", strings.Replace(tokens, "first", "newer", 1)))
	past := time.Now().Add(-time.Hour) // a restored backup counts too
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
	if got := token(); got != "newer" {
		t.Errorf("after a change the token is %s", got)
	}
	write(t, path, "{{{")
	if _, err := b.Config(t.Context()); fault.KindOf(err) != fault.ClusterUnreachable || strings.Contains(fault.PublicOf(err), path) || !strings.Contains(err.Error(), path) {
		t.Errorf("broken file: %v", err)
	}
	write(t, path, file("https://x", "", tokens))
	if got := token(); got != "first" {
		t.Errorf("after mending the token is %s", got)
	}
}

// TestSwappedLink is how a ConfigMap or Secret changes in a pod: size and time
// may be the same, the folder behind the link is another.
func TestSwappedLink(t *testing.T) {
	dir := t.TempDir()
	when := time.Now().Add(-time.Hour)
	for name, token := range map[string]string{"v1": "first", "v2": "other"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name, "config")
		write(t, path, file("https://x", "", strings.Replace(tokens, "first", token, 1)))
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "data")
	relink := func(to string) {
		_ = os.Remove(link)
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	relink("v1")
	b := open(t, filepath.Join(link, "config"), "")
	relink("v2")
	if cfg, err := b.Config(t.Context()); err != nil || cfg.BearerToken != "other" {
		t.Errorf("got %+v, %v", cfg, err)
	}
}

func TestRelativePaths(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "token"), "from-file")
	write(t, filepath.Join(dir, "config"), file("https://x", "", "- {name: one, user: {tokenFile: token}}\n- {name: two, user: {}}\n"))
	cfg, err := open(t, filepath.Join(dir, "config"), "").Config(t.Context())
	if err != nil || cfg.BearerTokenFile != filepath.Join(dir, "token") {
		t.Errorf("got %+v, %v", cfg, err)
	}
}

// ask goes the whole way, as the server.
func ask(t *testing.T, b clusters.Backend) error {
	t.Helper()
	cfg, err := b.Config(t.Context())
	if err != nil {
		return err
	}
	base, err := kube.NewBase("prod", cfg)
	if err != nil {
		return err
	}
	defer base.Close()
	c, err := base.Client(identity.Impersonation{None: true}, "")
	if err != nil {
		return err
	}
	_, err = c.Version(t.Context())
	return err
}

func TestProxyURL(t *testing.T) {
	var through string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		through = r.URL.String()
		_, _ = w.Write([]byte(`{"gitVersion":"v1.36.3"}`))
	}))
	defer proxy.Close()
	if err := ask(t, open(t, temp(t, file("http://cluster.invalid", ", proxy-url: "+proxy.URL, tokens)), "")); err != nil {
		t.Fatal(err)
	}
	if u, _ := url.Parse(through); u == nil || u.Host != "cluster.invalid" || u.Path != "/version" {
		t.Errorf("the proxy was asked for %q", through)
	}
}

const plugin = `- name: one
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: %s
      args: [-c, %q]
      interactiveMode: IfAvailable
- {name: two, user: {}}
`

func TestExecPlugin(t *testing.T) {
	var auth string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth = r.Header.Get("Authorization")
		_, _ = w.Write([]byte(`{"gitVersion":"v1.36.3"}`))
	}))
	defer srv.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	trust := ", certificate-authority-data: " + base64.StdEncoding.EncodeToString(ca) // without TLS client-go sends no credentials
	script := `printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"plugged"}}'`
	if err := ask(t, open(t, temp(t, file(srv.URL, trust, fmt.Sprintf(plugin, "/bin/sh", script))), "")); err != nil || auth != "Bearer plugged" {
		t.Errorf("got %q, %v", auth, err)
	}
	err := ask(t, open(t, temp(t, file(srv.URL, trust, fmt.Sprintf(plugin, "/bin/sh", "exit 3"))), ""))
	if fault.KindOf(err) != fault.ClusterUnreachable || !strings.Contains(fault.PublicOf(err), "could not be reached") {
		t.Errorf("a plugin that fails: %v", err)
	}
}
