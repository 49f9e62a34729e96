package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/app/server"
	"github.com/periscope-console/periscope/internal/config"
)

// pipe is a stdout: it takes nothing while it is full, and once room bytes are
// over says so.
type pipe struct {
	bytes.Buffer
	full atomic.Pointer[chan struct{}]
	room int
}

func (p *pipe) Write(b []byte) (int, error) {
	if full := p.full.Load(); full != nil {
		<-*full
	}
	n, _ := p.Buffer.Write(b[:min(len(b), p.room)])
	if p.room -= n; n < len(b) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

// stall makes the pipe full until the end of the test.
func (p *pipe) stall(t *testing.T) {
	full := make(chan struct{})
	p.full.Store(&full)
	t.Cleanup(func() { close(full) })
}

// caller asks a server that has no listener to ask at, in the time of a bubble.
type caller struct {
	t       *testing.T
	server  *server.Server
	handler http.Handler
	cookie  *http.Cookie
}

func newCaller(t *testing.T, stdout *pipe) *caller {
	t.Helper()
	cfg, _, err := config.Load(config.Sources{
		Args: []string{"--kubeconfig", bareKubeconfig(t)}, Environ: []string{"PORT=0"}, ReadFile: os.ReadFile,
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(cfg, server.Options{Log: slog.New(slog.DiscardHandler), Audit: stdout, Pages: fstest.MapFS{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &caller{t: t, server: s, handler: s.Handler()}
}

func (c *caller) call(ctx context.Context, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, method, "http://"+c.server.Address()+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if c.cookie != nil {
		r.AddCookie(c.cookie)
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	return w
}

func (c *caller) login() {
	c.t.Helper()
	_, code, _ := strings.Cut(c.server.URL(), "#code=")
	w := c.call(c.t.Context(), http.MethodPost, "/api/auth/dev", `{"code":"`+code+`"}`)
	if w.Code != http.StatusOK {
		c.t.Fatalf("login: %d %s", w.Code, w.Body)
	}
	c.cookie = w.Result().Cookies()[0]
}

// TestNobodyReadsStdout: a login ends although its end cannot be recorded, soon, and
// nothing is done that must be.
func TestNobodyReadsStdout(t *testing.T) {
	for name, c := range map[string]struct {
		path, body string
		code       int
		out        bool
	}{
		"a logout":               {"/api/auth/logout", "", http.StatusOK, true},
		"signing out everywhere": {"/api/auth/logout/everywhere", "", http.StatusOK, true},
		"a token":                {"/api/auth/tokens", `{"name":"ci","scopes":["read"],"lifetimeSeconds":3600}`, http.StatusServiceUnavailable, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			stdout := &pipe{room: 1 << 20}
			caller := newCaller(t, stdout)
			caller.login()
			stdout.stall(t)
			began := time.Now()
			if w := caller.call(t.Context(), http.MethodPost, c.path, c.body); w.Code != c.code || time.Since(began) > 10*time.Second {
				t.Errorf("%s: %d %s after %v", name, w.Code, w.Body, time.Since(began))
			}
			if w := caller.call(t.Context(), http.MethodGet, "/api/whoami", ""); (w.Code == http.StatusUnauthorized) != c.out {
				t.Errorf("%s: the login answers %d", name, w.Code)
			}
		})
	}
}

// TestALogoutOfWhoHungUpIsRecorded, as any.
func TestALogoutOfWhoHungUpIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stdout := &pipe{room: 1 << 20}
		caller := newCaller(t, stdout)
		caller.login()
		ctx, hangUp := context.WithCancel(t.Context())
		hangUp()
		caller.call(ctx, http.MethodPost, "/api/auth/logout", "")
		if !strings.Contains(stdout.String(), `"auth.logout"`) {
			t.Errorf("audit has %s", stdout)
		}
	})
}

// TestATornLineOfOneSpoilsNoneOfAnother: whoever writes, it is one stdout.
func TestATornLineOfOneSpoilsNoneOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stdout := &pipe{room: 1 << 20}
		caller := newCaller(t, stdout)
		caller.login()
		stdout.Reset()
		stdout.room = 20
		if w := caller.call(t.Context(), http.MethodPost, "/api/auth/dev", `{"code":"wrong"}`); w.Code == http.StatusOK {
			t.Fatal("a wrong code lets in")
		}
		stdout.room = 1 << 20
		if w := caller.call(t.Context(), http.MethodPost, "/api/auth/tokens", `{"name":"ci","scopes":["read"],"lifetimeSeconds":3600}`); w.Code != http.StatusOK {
			t.Fatalf("no token: %d %s", w.Code, w.Body)
		}
		torn, rest, _ := strings.Cut(stdout.String(), "\n")
		if len(torn) != 20 || strings.Count(rest, "\n") != 2 {
			t.Errorf("wrote %q", stdout)
		}
		for line := range strings.Lines(rest) {
			if !json.Valid([]byte(line)) {
				t.Errorf("spoilt: %s", line)
			}
		}
	})
}
