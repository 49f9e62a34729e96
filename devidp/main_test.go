package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const limit = 20 * time.Second

func usersFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlags(t *testing.T) {
	users := usersFile(t, "- sub: alice\n")
	o, err := parseFlags([]string{
		"--users", users, "--addr", "[::1]:0", "--client", "a:b:http://127.0.0.1:1/x", "--client", "a:b:http://127.0.0.1:2/x",
		"--access-ttl", "2s", "--algorithm", "ES256", "--admin",
	})
	if err != nil || len(o.provider.Users) != 1 || len(o.provider.Clients) != 2 || o.provider.Clients[1].RedirectURI != "http://127.0.0.1:2/x" ||
		o.provider.AccessTTL != 2*time.Second || o.provider.RefreshTTL != 12*time.Hour || !o.provider.Admin || o.provider.Algorithm != "ES256" {
		t.Errorf("%+v, %v", o, err)
	}
	for want, args := range map[string][]string{
		"--users is missing":       {},
		"cannot be read":           {"--users", filepath.Join(t.TempDir(), "none")},
		"is not a flag":            {"--users", users, "alice"},
		"-misspelt; see":           {"--misspelt"},
		"must be a loopback":       {"--users", users, "--addr", "0.0.0.0:80"},
		"a loopback address and":   {"--users", users, "--addr", "localhost:80"},
		"no password":              {"--users", users, "--addr", "127.0.0.1"},
		"want ID:SECRET":           {"--users", users, "--client", "a:b"},
		"between 1s and":           {"--users", users, "--access-ttl", "0s"},
		"--refresh-ttl must":       {"--users", users, "--refresh-ttl", "10000h"},
		"must be RS256 or ES256":   {"--users", users, "--algorithm", "none"},
		"between 1 and 1000 users": {"--users", usersFile(t, "[]")},
		"it is empty":              {"--users", usersFile(t, "# nobody\n")},
	} {
		if _, err := parseFlags(args); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n\n") {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	if _, err := parseFlags([]string{"--help"}); !errors.Is(err, errHelp) {
		t.Errorf("--help: %v", err)
	}
}

func TestExitCodes(t *testing.T) {
	if code := run([]string{"--help"}); code != 0 {
		t.Errorf("--help: %d", code)
	}
	if code := run([]string{"--misspelt"}); code != 2 {
		t.Errorf("a bad flag: %d", code)
	}
	if code := run([]string{"--users", usersFile(t, "- sub: alice\n"), "--client", "a:b:not an address"}); code != 1 {
		t.Errorf("a bad client: %d", code)
	}
}

// running serves with standard output in a pipe, until the test ends.
func running(t *testing.T) (issuer string, stop func() error) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o, err := parseFlags([]string{"--users", usersFile(t, "- sub: alice\n"), "--admin"})
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = w
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, o) }()
	line, err := bufio.NewReader(r).ReadString('\n')
	os.Stdout = stdout
	issuer, ok := strings.CutPrefix(strings.TrimSpace(line), "ready: ")
	if err != nil || !ok {
		t.Fatalf("%q, %v", line, err)
	}
	return issuer, func() error {
		cancel()
		r.Close()
		w.Close()
		select {
		case err := <-ended:
			return err
		case <-time.After(limit):
			return errors.New("it does not end")
		}
	}
}

func client(t *testing.T) *http.Client {
	t.Helper()
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: limit}
}

// keys is how many keys /jwks has.
func keys(t *testing.T, issuer string) int {
	t.Helper()
	answer, err := client(t).Get(issuer + "/jwks")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var set struct{ Keys []any }
	if err := json.NewDecoder(answer.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	return len(set.Keys)
}

func TestServe(t *testing.T) {
	issuer, stop := running(t)
	if n := keys(t, issuer); n != 1 {
		t.Errorf("%d keys", n)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(limit); keys(t, issuer) != 2; {
		if time.Now().After(deadline) {
			t.Fatal("SIGHUP makes no key")
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestEndsPastAHangingRequest: whoever waits by a planned fault is let go.
func TestEndsPastAHangingRequest(t *testing.T) {
	issuer, stop := running(t)
	plan, err := client(t).Post(issuer+"/admin/fault", "application/json", strings.NewReader(`{"endpoint":"jwks","mode":"hang"}`))
	if err != nil {
		t.Fatal(err)
	}
	plan.Body.Close()
	answered := make(chan int, 1)
	go func() {
		answer, err := client(t).Get(issuer + "/jwks")
		if err != nil {
			answered <- 0
			return
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, answer.Body)
		answered <- answer.StatusCode
	}()
	for deadline := time.Now().Add(limit); ; {
		answer, err := client(t).Get(issuer + "/admin/requests")
		if err != nil {
			t.Fatal(err)
		}
		var counts map[string]int
		err = json.NewDecoder(answer.Body).Decode(&counts)
		answer.Body.Close()
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%v %v", counts, err)
		}
		if counts["jwks"] == 1 {
			break
		}
	}
	begun := time.Now()
	if err := stop(); err != nil || time.Since(begun) > drainLimit {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
	if status := <-answered; status != http.StatusServiceUnavailable {
		t.Errorf("let go with %d", status)
	}
}
