package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"github.com/periscope-console/periscope/internal/idptest"
)

// Login is one browser's login, or a script with a token.
type Login struct {
	server *Server
	header http.Header // by which requests say who sends them
}

// Login logs in as the page does.
func (s *Server) Login() *Login {
	s.t.Helper()
	l := &Login{server: s, header: http.Header{}}
	resp, err := l.call(s.t.Context(), http.MethodPost, "/api/auth/dev", `{"code":""}`)
	if err != nil {
		s.t.Fatalf("login: %v", err)
	}
	for _, c := range resp.Cookies() {
		l.header.Set("Cookie", c.Name+"="+c.Value)
	}
	if len(l.header) == 0 {
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
			return &Login{server: s, header: http.Header{"Cookie": {c.Name + "=" + c.Value}}}
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
func (l *Login) At(s *Server) *Login { return &Login{server: s, header: l.header} }

// Holds reports whether somebody is logged in by it.
func (l *Login) Holds(ctx context.Context) error {
	_, err := l.call(ctx, http.MethodGet, "/api/whoami", "")
	return err
}

// Bearer is a script with a token.
func (s *Server) Bearer(secret string) *Login {
	return &Login{server: s, header: http.Header{"Authorization": {"Bearer " + secret}}}
}

// Token is a personal access token, as its owner got it.
type Token struct{ ID, Secret string }

// MakeToken makes a token as the page does, for an hour. Its scopes have commas
// between them.
func (l *Login) MakeToken(ctx context.Context, name, scopes string) (Token, error) {
	body := fmt.Sprintf(`{"name":%q,"scopes":["%s"],"lifetimeSeconds":3600}`, name, strings.ReplaceAll(scopes, ",", `","`))
	resp, err := l.call(ctx, http.MethodPost, "/api/auth/tokens", body)
	if err != nil {
		return Token{}, err
	}
	var made struct {
		Token  struct{ ID string }
		Secret string
	}
	err = json.NewDecoder(resp.Body).Decode(&made)
	return Token{made.Token.ID, made.Secret}, err
}

// Revoke ends a token.
func (l *Login) Revoke(ctx context.Context, id string) error {
	_, err := l.call(ctx, http.MethodDelete, "/api/auth/tokens/"+id, "")
	return err
}

// FindAsk is the command line that shows this code.
func (l *Login) FindAsk(ctx context.Context, userCode string) (id string, err error) {
	resp, err := l.call(ctx, http.MethodPost, "/api/auth/cli/find", fmt.Sprintf(`{"userCode":%q}`, userCode))
	if err != nil {
		return "", err
	}
	var ask struct{ ID string }
	err = json.NewDecoder(resp.Body).Decode(&ask)
	return ask.ID, err
}

// Answer answers a command line that asks to be logged in, and is where the
// browser goes on to.
func (l *Login) Answer(ctx context.Context, id string, allow bool) (redirect string, err error) {
	resp, err := l.call(ctx, http.MethodPost, "/api/auth/cli/asks/"+id, fmt.Sprintf(`{"allow":%v}`, allow))
	if err != nil {
		return "", err
	}
	var said struct{ Redirect string }
	err = json.NewDecoder(resp.Body).Decode(&said)
	return said.Redirect, err
}

// Logout ends the login.
func (l *Login) Logout(ctx context.Context) error {
	_, err := l.call(ctx, http.MethodPost, "/api/auth/logout", "")
	return err
}

// LogoutEverywhere ends every login and token of this person.
func (l *Login) LogoutEverywhere(ctx context.Context) error {
	_, err := l.call(ctx, http.MethodPost, "/api/auth/logout/everywhere", "")
	return err
}

// End ends a shell from the list of sessions.
func (l *Login) End(ctx context.Context, sessionID string) error {
	_, err := l.call(ctx, http.MethodDelete, "/api/exec/sessions/"+sessionID, "")
	return err
}

// Shells is how many open sessions of this person are listed in a state; in any
// where that is empty.
func (l *Login) Shells(ctx context.Context, state string) (n int, err error) {
	resp, err := l.call(ctx, http.MethodGet, "/api/exec/sessions", "")
	if err != nil {
		return 0, err
	}
	var list struct{ Sessions []struct{ State string } }
	err = json.NewDecoder(resp.Body).Decode(&list)
	for _, s := range list.Sessions {
		if state == "" || s.State == state {
			n++
		}
	}
	return n, err
}

// Carried is how many bytes the open sessions of this person have carried, both ways.
func (l *Login) Carried(ctx context.Context) (n int64, err error) {
	resp, err := l.call(ctx, http.MethodGet, "/api/exec/sessions", "")
	if err != nil {
		return 0, err
	}
	var list struct {
		Sessions []struct{ BytesIn, BytesOut int64 }
	}
	err = json.NewDecoder(resp.Body).Decode(&list)
	for _, s := range list.Sessions {
		n += s.BytesIn + s.BytesOut
	}
	return n, err
}

// call makes one request; an answer that is no success is an error.
func (l *Login) call(ctx context.Context, method, path, body string) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, l.server.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = l.header.Clone()
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() // this one, not the one that takes its place
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	resp.Body = io.NopCloser(bytes.NewReader(answer)) // for whoever wants it
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s %s", method, path, resp.Status, answer)
	}
	return resp, err
}
