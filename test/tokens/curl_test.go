// Package tokens proves what docs/tokens.md promises to scripts: curl with a
// personal access token does what the pages do, and the token's scope holds. The
// built Periscope is met from outside, over a real control plane.
package tokens

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/test/console"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

// wait bounds each step.
const wait = 30 * time.Second

// curl is the real one; it knows nothing of Periscope.
func curl(t *testing.T, args ...string) (status int, body []byte) {
	t.Helper()
	program, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal("these tests run curl; install it")
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"-sS", "--noproxy", "*", "-w", "\n%{http_code}"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("curl: %v %s", err, &stderr)
	}
	at := bytes.LastIndexByte(out, '\n')
	if status, err = strconv.Atoi(string(out[at+1:])); err != nil {
		t.Fatalf("curl wrote %q", out)
	}
	return status, out[:at]
}

func bearer(tok console.Token) string { return "Authorization: Bearer " + tok.Secret }

// events are n completed events of a verb; what another process writes is read a
// moment later.
func events(t *testing.T, s *console.Server, verb string, n int) []console.Event {
	t.Helper()
	deadline := time.Now().Add(wait)
	for {
		all := s.Events(verb)
		if len(all) == n {
			return all
		}
		if len(all) > n || time.Now().After(deadline) {
			t.Fatalf("%d events %s, want %d: %+v", len(all), verb, n, all)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// refusal is the JSON of an answer that is no success.
type refusal struct{ Error, Message string }

func TestCurl(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns, kubetest.Image("dev.local/busybox:1")).Name
	s := console.Start(t, c, ns, console.Options{})
	browser := s.Login()
	read, err := browser.MakeToken(t.Context(), "look", "read")
	if err != nil {
		t.Fatal(err)
	}
	both, err := browser.MakeToken(t.Context(), "work", "read,exec")
	if err != nil {
		t.Fatal(err)
	}
	at := console.Target{Cluster: console.Default, Namespace: ns, Pod: pod}
	pods := s.URL() + "/api/clusters/real/pods"

	t.Run("looks", func(t *testing.T) { looks(t, s, read, at) })
	t.Run("the scope holds", func(t *testing.T) {
		code, body := curl(t, "-H", bearer(read), pods+"/"+ns+"/"+pod+"/exec")
		var said refusal
		if err := json.Unmarshal(body, &said); err != nil || code != http.StatusForbidden || said.Error != "E_FORBIDDEN" ||
			!strings.HasPrefix(said.Message, "This token lacks the scope exec") {
			t.Errorf("%d %s", code, body)
		}
		if _, err := s.Bearer(read.Secret).Open(t.Context(), at, console.V2); err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("a shell by a token for reading: %v", err)
		}
		code, body = curl(t, "-H", bearer(both), "-H", "Content-Type: application/json", "-d", `{"name":"more","scopes":["read"],"lifetimeSeconds":60}`, s.URL()+"/api/auth/tokens")
		if code != http.StatusForbidden {
			t.Errorf("a token makes a token: %d %s", code, body)
		}
		denied := events(t, s, "auth.denied", 3)
		if denied[0].Actor.Token != read.ID || denied[0].Outcome != "denied" || denied[2].Actor.Token != both.ID {
			t.Errorf("audit %+v", denied)
		}
	})
	t.Run("a shell, until it is revoked", func(t *testing.T) { shell(t, s, browser, both, at) })
	t.Run("signed out everywhere", func(t *testing.T) {
		if code, _ := curl(t, "-H", bearer(read), s.URL()+"/api/whoami"); code != http.StatusOK {
			t.Fatalf("whoami: %d", code)
		}
		if err := browser.LogoutEverywhere(t.Context()); err != nil {
			t.Fatal(err)
		}
		if code, _ := curl(t, "-H", bearer(read), s.URL()+"/api/whoami"); code != http.StatusUnauthorized {
			t.Errorf("whoami afterwards: %d", code)
		}
	})
}

// looks asks with curl what the pages ask.
func looks(t *testing.T, s *console.Server, tok console.Token, at console.Target) {
	ns := at.Namespace
	for path, want := range map[string]string{
		"/api/whoami":   `"subject":"ada"`,
		"/api/clusters": `"name":"real"`,
		"/api/clusters/real/pods?namespace=" + ns:                  at.Pod,
		"/api/clusters/real/pods/" + ns + "/" + at.Pod:             `"containers"`,
		"/api/clusters/real/pods/" + ns + "/" + at.Pod + "/events": `"events"`,
		"/api/exec/sessions":                                       `"scope":"self"`,
	} {
		if code, body := curl(t, "-H", bearer(tok), s.URL()+path); code != http.StatusOK || !bytes.Contains(body, []byte(want)) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	ask := fmt.Sprintf(`{"checks":[{"verb":"create","resource":"pods","subresource":"exec","namespace":%q},{"verb":"create","resource":"pods","subresource":"exec","namespace":"kube-system"}]}`, ns)
	code, body := curl(t, "-H", bearer(tok), "-H", "Content-Type: application/json", "-d", ask, s.URL()+"/api/clusters/real/can-i")
	var said struct {
		Results []struct {
			Allowed bool
			Reason  string
		}
	}
	err := json.Unmarshal(body, &said)
	if err != nil || code != http.StatusOK || len(said.Results) != 2 || said.Results[0].Allowed || said.Results[1].Allowed ||
		!strings.Contains(said.Results[0].Reason, "You may, but this token may not: it lacks the scope exec") || !strings.Contains(said.Results[1].Reason, "You may not") {
		t.Errorf("can-i: %d %s", code, body)
	}
	// The rights are the owner's own: what ada may not see, her token does not.
	if code, body := curl(t, "-H", bearer(tok), s.URL()+"/api/clusters/real/pods?namespace=kube-system"); code != http.StatusForbidden {
		t.Errorf("pods of another namespace: %d %s", code, body)
	}
	for _, bad := range []string{tok.Secret[:len(tok.Secret)-1], "psc_" + strings.Repeat("0", 49), "x"} {
		if code, body := curl(t, "-H", "Authorization: Bearer "+bad, s.URL()+"/api/whoami"); code != http.StatusUnauthorized {
			t.Errorf("a bad token: %d %s", code, body)
		}
	}
	if code, _ := curl(t, "-H", "Authorization: Bearer "+strings.Repeat("x", 80<<10), s.URL()+"/api/whoami"); code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 80 KB: %d", code)
	}
}

// shell opens a shell by the token alone and takes the token away.
func shell(t *testing.T, s *console.Server, browser *console.Login, tok console.Token, at console.Target) {
	for _, mode := range []console.Mode{console.Plain, console.V2} {
		term, err := s.Bearer(tok.Secret).Open(t.Context(), at, mode)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		if err := term.Type(ctx, "echo by''token\n"); err != nil {
			t.Fatal(err)
		}
		if err := term.Await(ctx, "bytoken"); err != nil {
			t.Fatal(err)
		}
		if mode == console.Plain {
			continue // ends with its connection
		}
		if err := browser.Revoke(ctx, tok.ID); err != nil {
			t.Fatal(err)
		}
		closed, code, err := term.Closed(ctx)
		if err != nil || closed.Reason != "unauthorized" || code != 1008 || !strings.Contains(closed.Message, "access token") {
			t.Errorf("closed %+v with %d, %v", closed, code, err)
		}
	}
	starts := events(t, s, "pod.exec.session_start", 2)
	if starts[0].Actor.Token != tok.ID || starts[0].Actor.Sub != "ada" {
		t.Errorf("audit %+v", starts)
	}
	if code, _ := curl(t, "-H", bearer(tok), s.URL()+"/api/clusters"); code != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d", code)
	}
	if revoked := events(t, s, "token.revoke", 1); revoked[0].Extra["token_id"] != tok.ID || revoked[0].Actor.Token != "" {
		t.Errorf("audit %+v", revoked)
	}
}
