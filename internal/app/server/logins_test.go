package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/periscope-console/periscope/internal/app/server"
	"github.com/periscope-console/periscope/internal/kubetest"
)

// TestOwnLogins: two browsers of one person, each sees both, and one ends the
// other with the shell in it.
func TestOwnLogins(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := startWith(t, authFiles(t, c, ns))
	c.Bind(t, ns, "admin", "periscope:"+ns)
	eventually(t, "the binding counts", func() bool {
		return p.call("GET", "/api/clusters/real/pods?namespace="+ns, "", nil) == http.StatusOK
	})
	first := p.cookie
	term := p.open("real", ns, pod.Name, nil)
	p.login(p.url)
	var list struct {
		Logins []struct {
			ID      string
			Agent   string
			Current bool
		}
	}
	if code := p.call("GET", "/api/auth/logins", "", &list); code != http.StatusOK || len(list.Logins) != 2 {
		t.Fatalf("%d: %+v", code, list)
	}
	var other string
	for _, l := range list.Logins {
		if !l.Current {
			other = l.ID
		}
		if !strings.HasPrefix(l.Agent, "Go-http-client") || strings.Contains(l.ID, first.Value) {
			t.Errorf("%+v", l)
		}
	}
	for path, want := range map[string]int{
		"/api/auth/logins/" + strings.Repeat("0", 64): http.StatusNotFound,
		"/api/auth/logins/short":                      http.StatusNotFound,
		"/api/auth/logins/" + other:                   http.StatusNoContent,
	} {
		if code := p.call("DELETE", path, "", nil); code != want {
			t.Errorf("DELETE %s: %d, want %d", path, code, want)
		}
	}
	if closed, code := term.closed(); closed["reason"] != "unauthorized" || code != 1008 {
		t.Errorf("the shell of the login that ended: %v with %d", closed, code)
	}
	if code := p.call("GET", "/api/auth/logins", "", &list); code != http.StatusOK || len(list.Logins) != 1 {
		t.Errorf("%d: %+v", code, list)
	}
	p.cookie = first
	if code := p.call("GET", "/api/whoami", "", nil); code != http.StatusUnauthorized {
		t.Errorf("the login that ended still holds: %d", code)
	}
}

// TestOnesOwnConsoleIsNeverLocked: where the login has ended, asking how to come in
// has a fresh address shown where the first one was.
func TestOnesOwnConsoleIsNeverLocked(t *testing.T) {
	t.Parallel()
	shown := make(chan string, 2)
	p := startOptions(t, server.Options{Started: func(url string) { shown <- url }}, []string{"--kubeconfig", bareKubeconfig(t)})
	first := <-shown
	if p.cookie.SameSite != http.SameSiteStrictMode || !p.cookie.HttpOnly {
		t.Errorf("the cookie is %v", p.cookie)
	}
	if code := p.call("POST", "/api/auth/logout", "", nil); code != http.StatusOK {
		t.Fatalf("logout: %d", code)
	}
	p.call("GET", "/api/auth/config", "", nil)
	fresh := <-shown
	if fresh == first || !strings.Contains(fresh, "/#code=") {
		t.Fatalf("shown again: %s", fresh)
	}
	p.login(fresh)
}
