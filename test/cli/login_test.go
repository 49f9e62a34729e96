package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/periscope-console/periscope/test/console"
)

// asking is periscope login while it waits for an answer.
type asking struct {
	t    *testing.T
	cmd  *exec.Cmd
	said string // its first line on stderr
	out  strings.Builder

	mu   sync.Mutex
	rest strings.Builder
	over chan struct{} // all of stderr has been read
}

func (r *rig) asks(args ...string) *asking {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), wait)
	r.t.Cleanup(cancel)
	a := &asking{t: r.t, cmd: r.command(ctx, append([]string{"login"}, args...)...), over: make(chan struct{})}
	a.cmd.Stdout = &a.out
	errs, err := a.cmd.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	lines := bufio.NewReader(errs)
	a.said, err = lines.ReadString('\n')
	if err != nil {
		r.t.Fatalf("it said %q, %v", a.said, err)
	}
	go func() {
		defer close(a.over)
		text, _ := io.ReadAll(lines) // ends with the process
		a.mu.Lock()
		a.rest.Write(text)
		a.mu.Unlock()
	}()
	return a
}

// ends waits for it.
func (a *asking) ends() (code int, stdout, stderr string) {
	a.t.Helper()
	<-a.over
	_ = a.cmd.Wait() // its state is looked at
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cmd.ProcessState.ExitCode(), a.out.String(), a.said + a.rest.String()
}

var askIn = regexp.MustCompile(`http://\S+/cli\?ask=([A-Z2-7]{26})`)

func (a *asking) id() string {
	a.t.Helper()
	m := askIn.FindStringSubmatch(a.said)
	if m == nil {
		a.t.Fatalf("no address in %q", a.said)
	}
	return m[1]
}

// visit is the browser going where it is sent.
func visit(t *testing.T, address string) (status int, page string) {
	t.Helper()
	client := &http.Client{Timeout: wait, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func (r *rig) credentials() string { return filepath.Join(r.config, "periscope", "credentials.json") }

func newLoginRig(t *testing.T, o console.Options) *rig {
	r := newRig(t, o)
	r.token.Secret = "" // what is logged in by is what login got
	return r
}

func TestLoginByBrowser(t *testing.T) {
	r := newLoginRig(t, console.Options{})
	a := r.asks("--no-browser")
	redirect, err := r.login.Answer(t.Context(), a.id(), true)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(redirect)
	if err != nil || u.Hostname() != "127.0.0.1" || u.Scheme != "http" {
		t.Fatalf("redirect %q", redirect)
	}
	// Whatever does not know the state is turned away, and the answer still waited for.
	for _, bad := range []string{"/?code=x&state=y", "/other", "/?error=access_denied", "/"} {
		if status, _ := visit(t, "http://"+u.Host+bad); status/100 != 4 {
			t.Errorf("%s: %d", bad, status)
		}
	}
	if status, page := visit(t, redirect); status != 200 || !strings.Contains(page, "Logged in") {
		t.Errorf("%d %q", status, page)
	}
	code, out, errs := a.ends()
	if code != 0 || !strings.HasPrefix(out, "Logged in at "+r.at+" as ada@example.com, until ") {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	info, err := os.Stat(r.credentials())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	kept, err := os.ReadFile(r.credentials())
	if err != nil || strings.Contains(out+errs, string(regexp.MustCompile(`psc_\w+`).Find(kept))) {
		t.Errorf("the token was shown: %v", err)
	}
	made := r.server.Events("token.create")
	last := made[len(made)-1]
	if name, _ := last.Extra["token_name"].(string); !strings.HasPrefix(name, "periscope login on ") || last.Outcome != "success" || last.Actor.Sub != "ada" {
		t.Errorf("audit %+v", last)
	}
	if code, out, errs := r.run(nil, "exec", console.Default, r.target(), "--", "echo", "in"); code != 0 || out != "in\n" {
		t.Errorf("exec: %d %q %q", code, out, errs)
	}
	again(t, r)
	leaves(t, r)
}

// again: who logs in again has one token still.
func again(t *testing.T, r *rig) {
	a := r.asks("--no-browser")
	redirect, err := r.login.Answer(t.Context(), a.id(), true)
	if err != nil {
		t.Fatal(err)
	}
	visit(t, redirect)
	if code, out, errs := a.ends(); code != 0 {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	if ended := r.server.Events("token.revoke"); len(ended) != 1 || ended[0].Actor.Token != ended[0].Extra["token_id"] {
		t.Errorf("audit %+v", ended)
	}
}

// leaves: logout revokes what login got, and forgets it.
func leaves(t *testing.T, r *rig) {
	if err := os.Chmod(r.credentials(), 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, errs := r.run(nil, "logout")
	if wantWords(t, errs, "others may read", "chmod 600"); code != 255 {
		t.Errorf("%d", code)
	}
	if err := os.Chmod(r.credentials(), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := r.run(nil, "logout"); code != 0 || out != "Logged out at "+r.at+"\n" {
		t.Errorf("%d %q %q", code, out, errs)
	}
	if n := len(r.server.Events("token.revoke")); n != 2 {
		t.Errorf("%d tokens revoked", n)
	}
	code, _, errs = r.run(nil, "exec", console.Default, r.target(), "--", "true")
	if wantWords(t, errs, "nobody is logged in"); code != 255 {
		t.Errorf("exec afterwards: %d", code)
	}
	if code, _, errs := r.run(nil, "logout"); code != 255 || !strings.Contains(errs, "nobody is logged in") {
		t.Errorf("twice: %d %q", code, errs)
	}
}

func TestLoginByDevice(t *testing.T) {
	r := newLoginRig(t, console.Options{})
	a := r.asks("--device")
	m := regexp.MustCompile(`open (\S+) in a browser.* the code ([A-Z]{4}-[A-Z]{4})`).FindStringSubmatch(a.said)
	if m == nil || m[1] != r.at+"/cli" {
		t.Fatalf("it said %q", a.said)
	}
	id, err := r.login.FindAsk(t.Context(), strings.ToLower(m[2]))
	if err != nil {
		t.Fatal(err)
	}
	if redirect, err := r.login.Answer(t.Context(), id, true); err != nil || redirect != "" {
		t.Errorf("%q, %v", redirect, err)
	}
	if code, out, errs := a.ends(); code != 0 || !strings.Contains(out, "as ada@example.com") {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	if code, out, errs := r.run(nil, "exec", console.Default, r.target(), "--", "echo", "in"); code != 0 || out != "in\n" {
		t.Errorf("exec: %d %q %q", code, out, errs)
	}
}

func TestLoginRefused(t *testing.T) {
	r := newLoginRig(t, console.Options{})
	t.Run("by browser", func(t *testing.T) {
		r := r.in(t)
		a := r.asks("--no-browser")
		redirect, err := r.login.Answer(t.Context(), a.id(), false)
		if err != nil {
			t.Fatal(err)
		}
		if _, page := visit(t, redirect); !strings.Contains(page, "Refused") {
			t.Errorf("%q", page)
		}
		code, _, errs := a.ends()
		if wantWords(t, errs, "refused in the browser"); code != 255 {
			t.Errorf("%d", code)
		}
	})
	t.Run("by device", func(t *testing.T) {
		r := r.in(t)
		a := r.asks("--device")
		id, err := r.login.FindAsk(t.Context(), regexp.MustCompile(`[A-Z]{4}-[A-Z]{4}`).FindString(a.said))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.login.Answer(t.Context(), id, false); err != nil {
			t.Fatal(err)
		}
		code, _, errs := a.ends()
		if wantWords(t, errs, "refused in the browser"); code != 255 {
			t.Errorf("%d", code)
		}
	})
	t.Run("whoever allowed it has left", func(t *testing.T) {
		r := r.in(t)
		a := r.asks("--no-browser")
		browser := r.server.Login()
		redirect, err := browser.Answer(t.Context(), a.id(), true)
		if err != nil {
			t.Fatal(err)
		}
		if err := browser.Logout(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, page := visit(t, redirect); !strings.Contains(page, "Not logged in") {
			t.Errorf("%q", page)
		}
		code, _, errs := a.ends()
		if wantWords(t, errs, "has ended", "E_FORBIDDEN, request "); code != 255 {
			t.Errorf("%d", code)
		}
	})
	if _, err := os.Stat(r.credentials()); err == nil {
		t.Error("something was kept")
	}
	if n := len(r.server.Events("token.create")); n != 1 { // the rig's own
		t.Errorf("%d tokens were made", n)
	}
}

// TestNobodyElseAnswers: no stranger, no token and no other site says yes.
func TestNobodyElseAnswers(t *testing.T) {
	r := newRig(t, console.Options{})
	ask := func(path, body string, header ...string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.at+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := (&http.Client{Timeout: wait, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	a := r.asks("--no-browser")
	path := "/api/auth/cli/asks/" + a.id()
	if code, said := ask(path, `{"allow":true}`); code != http.StatusUnauthorized {
		t.Errorf("a stranger: %d %s", code, said)
	}
	if code, said := ask(path, `{"allow":true}`, "Authorization", "Bearer "+r.token.Secret); code != http.StatusForbidden {
		t.Errorf("a token: %d %s", code, said)
	}
	if code, said := ask(path, `{"allow":true}`, "Origin", "https://evil.example"); code != http.StatusForbidden {
		t.Errorf("another site: %d %s", code, said)
	}
	if code, said := ask("/api/auth/cli/redeem", `{"code":"`+a.id()+`.AAAAAAAAAAAAAAAAAAAAAAAAAA","verifier":"`+strings.Repeat("x", 43)+`"}`); code != http.StatusNotFound {
		t.Errorf("a guess: %d %s", code, said)
	}
	_ = a.cmd.Process.Signal(os.Interrupt)
	if code, _, _ := a.ends(); code != 130 {
		t.Errorf("Ctrl-C: %d", code)
	}
}

// TestADeviceIsNoLink: who asks by device knows the ID of what they ask for, and can
// put it into a link. It says nothing to anybody who has not typed the code.
func TestADeviceIsNoLink(t *testing.T) {
	r := newServer(t, console.Options{})
	resp, err := http.Post(r.at+"/api/auth/cli/device", "application/json", strings.NewReader(`{"host":"ada-laptop"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var asked struct{ DeviceCode, UserCode string }
	if err := json.NewDecoder(resp.Body).Decode(&asked); err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(asked.DeviceCode, ".")
	victim, typist := r.server.Login(), r.server.Login()
	if redirect, err := victim.Answer(t.Context(), id, true); err == nil {
		t.Errorf("allowed by the link alone: %q", redirect)
	}
	if _, err := typist.FindAsk(t.Context(), asked.UserCode); err != nil {
		t.Fatal(err)
	}
	if _, err := victim.Answer(t.Context(), id, true); err == nil {
		t.Error("allowed by the link, though another login had typed the code")
	}
	if _, err := typist.Answer(t.Context(), id, true); err != nil {
		t.Error(err)
	}
}

func TestLoginWhereTokensAreOff(t *testing.T) {
	r := newServer(t, console.Options{Auth: "mode: dev\nauthorization: {mode: raw}\ntokens: {enabled: false}\n"})
	for _, way := range []string{"--no-browser", "--device"} {
		code, _, errs := r.run(nil, "login", way)
		if wantWords(t, errs, "switched off", "E_FORBIDDEN, request "); code != 255 {
			t.Errorf("%s: %d", way, code)
		}
	}
}
