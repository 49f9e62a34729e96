package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Login is one browser's login in dev mode.
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
