package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"github.com/periscope-console/periscope/internal/idptest"
)

// Login is one browser's login.
type Login struct {
	server *Server
	cookie string
}

// Login logs in as the page does.
func (s *Server) Login() *Login {
	s.t.Helper()
	l := &Login{server: s}
	resp, err := l.call(s.t.Context(), http.MethodPost, "/api/auth/dev", `{"code":""}`)
	if err != nil {
		s.t.Fatalf("login: %v", err)
	}
	for _, c := range resp.Cookies() {
		l.cookie = c.Name + "=" + c.Value
	}
	if l.cookie == "" {
		s.t.Fatal("login: the answer has no cookie")
	}
	return l
}

// LoginBy logs in by a provider, to a server in mode oidc.
func (s *Server) LoginBy(p *idptest.Provider, subject string) *Login {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	browser := &http.Client{
		Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}, Timeout: callLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	callback := p.Login(s.t, browser, s.goTo(browser, s.url+"/api/auth/login"), subject)
	s.goTo(browser, callback)
	here, err := url.Parse(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range jar.Cookies(here) {
		if c.Name == "periscope_session" {
			return &Login{server: s, cookie: c.Name + "=" + c.Value}
		}
	}
	s.t.Fatalf("login by the provider: no cookie of a login")
	return nil
}

// goTo is where an address sends the browser.
func (s *Server) goTo(browser *http.Client, address string) string {
	s.t.Helper()
	resp, err := browser.Get(address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		s.t.Fatalf("%s: %s: %v", address, resp.Status, err)
	}
	return to.String()
}

// At is the same login at another server.
func (l *Login) At(s *Server) *Login { return &Login{server: s, cookie: l.cookie} }

// Holds reports whether somebody is logged in by it.
func (l *Login) Holds(ctx context.Context) error {
	_, err := l.call(ctx, http.MethodGet, "/api/whoami", "")
	return err
}

// LogoutEverywhere ends every login of its person.
func (l *Login) LogoutEverywhere(ctx context.Context) error {
	_, err := l.call(ctx, http.MethodPost, "/api/auth/logout/everywhere", "")
	return err
}

// Logout ends the login.
func (l *Login) Logout(ctx context.Context) error {
	_, err := l.call(ctx, http.MethodPost, "/api/auth/logout", "")
	return err
}

// End ends a shell from the list of sessions.
func (l *Login) End(ctx context.Context, sessionID string) error {
	_, err := l.call(ctx, http.MethodDelete, "/api/exec/sessions/"+sessionID, "")
	return err
}

// call makes one request; an answer that is no success is an error.
func (l *Login) call(ctx context.Context, method, path, body string) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, l.server.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if l.cookie != "" {
		req.Header.Set("Cookie", l.cookie)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s %s", method, path, resp.Status, answer)
	}
	return resp, err
}
