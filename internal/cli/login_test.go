package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var testToken = "psc_" + strings.Repeat("a", 49)

// portal is a server at which everybody logs in by browser as soon as they ask.
type portal struct {
	*httptest.Server
	revoking func() // called while a token is being revoked; may be nil

	browsers sync.WaitGroup
}

func newPortal(t *testing.T) *portal {
	p := &portal{}
	p.Server = httptest.NewTLSServer(p)
	t.Cleanup(func() {
		p.Close()
		p.browsers.Wait()
	})
	return p
}

func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/api/auth/cli/browser":
		var ask struct {
			State string
			Port  int
		}
		_ = json.NewDecoder(r.Body).Decode(&ask)
		p.browsers.Go(func() {
			resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/?code=x&state=%s", ask.Port, url.QueryEscape(ask.State)))
			if err == nil {
				resp.Body.Close()
			}
		})
		fmt.Fprint(w, `{"page":"/cli?ask=x","expiresInSeconds":60}`)
	case "/api/auth/cli/redeem":
		fmt.Fprintf(w, `{"state":"allowed","token":{"id":"i","subject":"ada"},"secret":%q}`, testToken)
	case "/api/auth/token":
		if p.revoking != nil {
			p.revoking()
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// env is a person who trusts the portal by a file ca.pem in the folder at hand.
func (p *portal) env(t *testing.T) (e Env, said *bytes.Buffer) {
	t.Helper()
	dir, said := t.TempDir(), &bytes.Buffer{}
	t.Chdir(dir)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
	if err := os.WriteFile("ca.pem", ca, 0o600); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"PERISCOPE_URL": p.URL}
	return Env{Stdout: said, Stderr: said, Getenv: func(name string) string { return vars[name] }, ConfigDir: filepath.Join(dir, "config")}, said
}

// TestALoginHoldsElsewhere: authorities are found from every folder.
func TestALoginHoldsElsewhere(t *testing.T) {
	p := newPortal(t)
	e, said := p.env(t)
	if code := Run(t.Context(), "login", []string{"--no-browser", "--ca-file", "ca.pem"}, e); code != 0 {
		t.Fatalf("login: %d %q", code, said)
	}
	t.Chdir(t.TempDir())
	if _, err := e.reach(where{}); err != nil {
		t.Errorf("from another folder: %v", err)
	}
	if code := Run(t.Context(), "logout", nil, e); code != 0 || !strings.Contains(said.String(), "Logged out") {
		t.Errorf("logout: %d %q", code, said)
	}
}

// TestTheBrowserIsNotWaitedFor: where none was running, it runs until somebody closes
// it, which the login's end is not, nor a Ctrl-C meanwhile.
func TestTheBrowserIsNotWaitedFor(t *testing.T) {
	p := newPortal(t)
	e, said := p.env(t)
	bin, vars := t.TempDir(), e.Getenv
	e.Getenv = func(name string) string {
		if name == "DISPLAY" {
			return ":0"
		}
		return vars(name)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	id, closing, closed := filepath.Join(bin, "id"), filepath.Join(bin, "closing"), filepath.Join(bin, "closed")
	script := fmt.Sprintf("#!/bin/sh\necho $$ >%s\nuntil [ -e %s ]; do sleep 0.01; done\n: >%s\n", id, closing, closed)
	for _, name := range []string{"xdg-open", "open"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if code := Run(ctx, "login", []string{"--ca-file", "ca.pem"}, e); code != 0 || !strings.Contains(said.String(), "if none has, open "+p.URL) {
		t.Errorf("login: %d %q", code, said)
	}
	var pid int
	eventually(ctx, t, "no browser has started", func() bool {
		data, _ := os.ReadFile(id)
		_, err := fmt.Sscan(string(data), &pid)
		return err == nil
	})
	// A terminal's signals go to the process group that has it.
	if group, err := syscall.Getpgid(pid); err != nil || group == syscall.Getpgrp() {
		t.Errorf("a Ctrl-C here ends the browser, which is in process group %d (%v)", group, err)
	}
	if err := os.WriteFile(closing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, "the login has ended the browser", func() bool {
		_, err := os.Stat(closed)
		return err == nil
	})
}

func eventually(ctx context.Context, t *testing.T, otherwise string, holds func() bool) {
	t.Helper()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatal(otherwise)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestLogoutForgetsWhatItRevoked and no login that was made while the server was asked.
func TestLogoutForgetsWhatItRevoked(t *testing.T) {
	p := newPortal(t)
	e, said := p.env(t)
	mine := account{Token: testToken, ID: "mine", CAFile: "ca.pem"}
	again, other := mine, account{Token: testToken, ID: "other"}
	again.Token = "psc_" + strings.Repeat("b", 49)
	for name, c := range map[string]struct{ meanwhile, left credentials }{
		"nothing else": {credentials{p.URL, map[string]account{p.URL: mine}}, credentials{}},
		"a login at another server": {
			credentials{"https://other", map[string]account{p.URL: mine, "https://other": other}},
			credentials{"https://other", map[string]account{"https://other": other}},
		},
		"a login at the same server": {
			credentials{p.URL, map[string]account{p.URL: again}},
			credentials{p.URL, map[string]account{p.URL: again}},
		},
		"another logout": {},
	} {
		if err := e.keep(credentials{p.URL, map[string]account{p.URL: mine}}); err != nil {
			t.Fatal(err)
		}
		p.revoking = func() {
			if err := e.keep(c.meanwhile); err != nil {
				t.Error(err)
			}
		}
		if code := Run(t.Context(), "logout", nil, e); code != 0 {
			t.Errorf("%s: %d %q", name, code, said)
		}
		if got, err := e.credentials(); err != nil || got.Current != c.left.Current || !maps.Equal(got.Servers, c.left.Servers) {
			t.Errorf("%s: %+v is left, want %+v (%v)", name, got, c.left, err)
		}
	}
}
