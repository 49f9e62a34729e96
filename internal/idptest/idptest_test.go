package idptest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/childtest"
	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

const (
	redirect = "http://127.0.0.1:1/callback"
	verifier = "a-verifier-of-the-forty-three-letters-needed"
)

func question(p *Provider, more ...string) string {
	challenge := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"client_id": {p.ClientID}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid offline_access"},
		"state": {"a-state-of-some-length"}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])},
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return p.Issuer + "/authorize?" + q.Encode()
}

func browser(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}
}

type tokens struct {
	IDToken string `json:"id_token"`
	Refresh string `json:"refresh_token"`
	Error   string `json:"error"`
}

func fetch(t *testing.T, p *Provider, form url.Values) (int, tokens) {
	t.Helper()
	form.Set("client_id", p.ClientID)
	form.Set("client_secret", p.ClientSecret)
	answer, err := p.http.PostForm(p.Issuer+"/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var got tokens
	_ = json.NewDecoder(answer.Body).Decode(&got)
	return answer.StatusCode, got
}

func code(t *testing.T, callback string) string {
	t.Helper()
	u, err := url.Parse(callback)
	if err != nil || !strings.HasPrefix(callback, redirect) || u.Query().Get("code") == "" {
		t.Fatalf("callback %q", callback)
	}
	return u.Query().Get("code")
}

func TestLoginAndSwitches(t *testing.T) {
	odd := `auth0|"<b>&`
	p := StartWith(t, []string{"--algorithm", "ES256"}, User{Sub: "alice", Groups: []string{"sre"}}, User{Sub: odd})
	p.AllowRedirect(redirect)
	b := browser(t)
	got := code(t, p.Login(t, b, question(p), odd))
	status, first := fetch(t, p, url.Values{"grant_type": {"authorization_code"}, "code": {got}, "redirect_uri": {redirect}, "code_verifier": {verifier}})
	if status != http.StatusOK || first.IDToken == "" || first.Refresh == "" {
		t.Fatalf("token: %d %+v", status, first)
	}
	code(t, p.Login(t, b, question(p, "prompt", "none"), "nobody")) // silent: nobody's button is needed

	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.Refresh}}
	p.Fail("token", 1)
	if status, _ := fetch(t, p, refresh); status != http.StatusServiceUnavailable {
		t.Errorf("Fail: %d", status)
	}
	p.SetGroups(odd, "dev")
	p.Rotate()
	status, second := fetch(t, p, refresh)
	if status != http.StatusOK || !strings.Contains(payload(t, second.IDToken), `"groups":["dev"]`) {
		t.Errorf("refresh: %d %s", status, payload(t, second.IDToken))
	}
	p.Disable(odd)
	if _, third := fetch(t, p, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {second.Refresh}}); third.Error != "invalid_grant" {
		t.Errorf("Disable: %+v", third)
	}
	if n := p.Requests("token"); n != 4 {
		t.Errorf("%d requests", n)
	}
	if _, err := p.login(browser(t), question(p), odd); err == nil {
		t.Error("a disabled user logged in")
	}
}

func payload(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("token %q", token)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHangAndMend(t *testing.T) {
	p := Start(t, User{Sub: "alice"})
	p.Hang("jwks", 0)
	type result struct {
		status int
		err    error
	}
	ended := make(chan result, 1)
	go func() {
		answer, err := p.http.Get(p.Issuer + "/jwks")
		if err != nil {
			ended <- result{err: err}
			return
		}
		answer.Body.Close()
		ended <- result{status: answer.StatusCode}
	}()
	for deadline := time.Now().Add(answerLimit / 2); p.Requests("jwks") == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the request is not counted")
		}
	}
	select {
	case r := <-ended:
		t.Errorf("it did not hang: %+v", r)
	default:
	}
	p.Mend("jwks")
	if r := <-ended; r.status != http.StatusServiceUnavailable {
		t.Errorf("let go: %+v", r)
	}
}

func TestBadFlagsSayWhatIsWrong(t *testing.T) {
	for _, args := range [][]string{{"--users", filepath.Join(t.TempDir(), "nothing")}, {"--addr", "0.0.0.0:0"}, {"--misspelt"}, {"--client", "a:b"}} {
		if _, err := childtest.Start("devidp", t.TempDir(), args...); err == nil || !strings.Contains(err.Error(), "devidp:") {
			t.Errorf("%v: %v", args, err)
		}
	}
}
