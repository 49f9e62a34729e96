// Package idptest gives tests a real OpenID provider, bin/devidp, and a browser's
// part of a login.
//
// It owns the providers it starts, one child process each, and the switches of
// their /admin/. It starts no goroutines and leaves no connections open.
package idptest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/childtest"
)

const (
	answerLimit = 30 * time.Second
	maxAnswer   = 1 << 20 // bytes
	maxPages    = 10      // redirects until the client's address
)

// User is somebody who can log in; see devidp/README.md.
type User struct {
	Sub           string         `json:"sub"`
	Email         string         `json:"email,omitempty"`
	EmailVerified bool           `json:"emailVerified,omitempty"`
	Name          string         `json:"name,omitempty"`
	Groups        []string       `json:"groups,omitempty"`
	Claims        map[string]any `json:"claims,omitempty"`   // over all others; nil takes one away
	UserInfo      map[string]any `json:"userinfo,omitempty"` // over the answer of /userinfo alone
}

// Change is what is to be changed of a user; nil stays.
type Change struct {
	Disabled *bool           `json:"disabled,omitempty"`
	Groups   *[]string       `json:"groups,omitempty"`
	Claims   *map[string]any `json:"claims,omitempty"`
	UserInfo *map[string]any `json:"userinfo,omitempty"`
}

// Provider is a running provider with one client.
type Provider struct {
	Issuer       string
	ClientID     string
	ClientSecret string

	t    testing.TB
	http *http.Client
}

// Start runs a provider of the test's own, until the test ends. The client has
// no redirect URI before AllowRedirect.
func Start(t testing.TB, users ...User) *Provider {
	t.Helper()
	return StartWith(t, nil, users...)
}

// StartWith is Start with further flags of bin/devidp.
func StartWith(t testing.TB, args []string, users ...User) *Provider {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "users.json")
	b, err := json.Marshal(users)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		t.Fatalf("idptest: %v", err)
	}
	child, err := childtest.Start("devidp", dir, append([]string{"--users", file, "--admin"}, args...)...)
	if err != nil {
		t.Fatalf("idptest: %v", err)
	}
	p := &Provider{
		Issuer: strings.TrimPrefix(child.Ready, "ready: "), ClientID: "periscope", ClientSecret: "of-the-tests",
		t: t, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: answerLimit},
	}
	t.Cleanup(func() {
		if err := child.Stop(); err != nil {
			t.Errorf("idptest: the provider did not end well: %v", err)
		}
	})
	return p
}

// AllowRedirect registers a redirect URI of the client.
func (p *Provider) AllowRedirect(uri string) {
	p.t.Helper()
	p.admin("client", map[string]string{"id": p.ClientID, "secret": p.ClientSecret, "redirectURI": uri})
}

// Change changes a user from the next token on.
func (p *Provider) Change(sub string, c Change) {
	p.t.Helper()
	p.admin("user", struct {
		Sub string `json:"sub"`
		Change
	}{sub, c})
}

// SetGroups changes a user's groups.
func (p *Provider) SetGroups(sub string, groups ...string) {
	p.t.Helper()
	groups = append([]string{}, groups...) // not null, which would change nothing
	p.Change(sub, Change{Groups: &groups})
}

// Disable ends what a user may do: no login, no refresh.
func (p *Provider) Disable(sub string) {
	p.t.Helper()
	disabled := true
	p.Change(sub, Change{Disabled: &disabled})
}

// Rotate makes a new signing key.
func (p *Provider) Rotate() {
	p.t.Helper()
	p.admin("rotate", struct{}{})
}

// Fail makes an endpoint (discovery, jwks, authorize, token, userinfo, revoke,
// logout) answer 503 to that many requests; 0: until Mend.
func (p *Provider) Fail(endpoint string, requests int) {
	p.t.Helper()
	p.fault(endpoint, "fail", requests)
}

// Hang makes an endpoint answer nothing to that many requests; 0: until Mend.
func (p *Provider) Hang(endpoint string, requests int) {
	p.t.Helper()
	p.fault(endpoint, "hang", requests)
}

// Mend ends Fail and Hang; whoever still hangs gets a 503.
func (p *Provider) Mend(endpoint string) {
	p.t.Helper()
	p.fault(endpoint, "off", 0)
}

func (p *Provider) fault(endpoint, mode string, requests int) {
	p.t.Helper()
	p.admin("fault", map[string]any{"endpoint": endpoint, "mode": mode, "requests": requests})
}

// Requests is how many an endpoint has had, also those that failed.
func (p *Provider) Requests(endpoint string) int64 {
	p.t.Helper()
	answer, err := p.http.Get(p.Issuer + "/admin/requests")
	if err != nil {
		p.t.Fatalf("idptest: %v", err)
	}
	defer answer.Body.Close()
	var counts map[string]int64
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&counts); err != nil {
		p.t.Fatalf("idptest: %v", err)
	}
	return counts[endpoint]
}

func (p *Provider) admin(what string, body any) {
	p.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		p.t.Fatalf("idptest: %v", err)
	}
	answer, err := p.http.Post(p.Issuer+"/admin/"+what, "application/json", bytes.NewReader(b))
	if err != nil {
		p.t.Fatalf("idptest: %v", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
		p.t.Fatalf("idptest: %s: %s: %s", what, answer.Status, text)
	}
}

// Login goes to authorizeURL like a browser, presses sub's button where it is
// asked, and answers the address at the client that it is sent to, without going
// there. The client's cookie jar is the browser's.
func (p *Provider) Login(t testing.TB, client *http.Client, authorizeURL, sub string) (callbackURL string) {
	t.Helper()
	browser := *client
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	callback, err := p.login(&browser, authorizeURL, sub)
	if err != nil {
		t.Fatalf("idptest: login as %s: %v", sub, err)
	}
	return callback
}

func (p *Provider) login(browser *http.Client, address, sub string) (string, error) {
	pressed := false
	for range maxPages {
		var form url.Values
		if pressed {
			form = url.Values{"sub": {sub}}
		}
		next, text, err := visit(browser, address, form)
		switch {
		case err != nil:
			return "", err
		case next != "" && !strings.HasPrefix(next, p.Issuer+"/"):
			return next, nil
		case next != "":
			address, pressed = next, false
		case pressed || !slices.Contains(buttons(text), sub):
			return "", fmt.Errorf("there is no way on from this page:\n%s", text)
		default:
			pressed = true
		}
	}
	return "", fmt.Errorf("more than %d pages", maxPages)
}

// visit answers where a page sends the browser, else the page.
func visit(browser *http.Client, address string, form url.Values) (next, text string, err error) {
	var answer *http.Response
	if form == nil {
		answer, err = browser.Get(address)
	} else {
		answer, err = browser.PostForm(address, form)
	}
	if err != nil {
		return "", "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return "", "", err
	}
	if to, err := answer.Location(); err == nil {
		return to.String(), "", nil
	}
	return "", string(b), nil
}
