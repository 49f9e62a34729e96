package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/periscope-console/periscope/internal/podexec"
	"github.com/periscope-console/periscope/test/console"
)

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestPipes(t *testing.T) {
	r := newRig(t, console.Options{})
	t.Run("output and exit code", func(t *testing.T) {
		r := r.in(t)
		code, out, errs := r.run(nil, "exec", console.Default, r.target(), "--", "sh", "-c", "echo one; echo two >&2; exit 7")
		if code != 7 || !strings.Contains(out, "one\n") || !strings.Contains(out, "two\n") || errs != "" {
			t.Errorf("%d %q %q", code, out, errs)
		}
	})
	t.Run("a megabyte in", func(t *testing.T) {
		r := r.in(t)
		sent := noise(1 << 20)
		code, out, errs := r.run(bytes.NewReader(sent), "exec", console.Default, r.target(), "-i", "--", "sha256sum")
		if code != 0 || !strings.HasPrefix(out, hashOf(sent)) {
			t.Errorf("%d %q %q", code, out, errs)
		}
	})
	t.Run("a megabyte both ways", func(t *testing.T) {
		r := r.in(t)
		sent := noise(1 << 20)
		code, out, errs := r.run(bytes.NewReader(sent), "exec", console.Default, r.target(), "-i", "-c", "main", "--", "cat")
		if code != 0 || hashOf([]byte(out)) != hashOf(sent) {
			t.Errorf("%d, %d bytes, %q", code, len(out), errs)
		}
	})
	t.Run("without -i stdin is empty", func(t *testing.T) {
		r := r.in(t)
		code, out, _ := r.run(strings.NewReader("never read"), "exec", console.Default, r.target(), "--", "sh", "-c", "wc -c")
		if code != 0 || strings.TrimSpace(out) != "0" {
			t.Errorf("%d %q", code, out)
		}
	})
	t.Run("a shell reads its script", func(t *testing.T) {
		r := r.in(t)
		code, out, _ := r.run(strings.NewReader("echo $((6*7)); exit 3\n"), "exec", "-i", console.Default, r.target())
		if code != 3 || out != "42\n" {
			t.Errorf("%d %q", code, out)
		}
	})
	t.Run("a reader that has enough", func(t *testing.T) {
		r := r.in(t)
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		cmd := r.command(ctx, "exec", console.Default, r.target(), "--", "yes")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 1<<20)); err != nil {
			t.Error(err)
		}
		out.Close()
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 255 {
			t.Errorf("ended with %v", err)
		}
		r.wasLeft()
	})
	t.Run("a full disk", func(t *testing.T) {
		r := r.in(t)
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		var errs bytes.Buffer
		cmd := r.command(ctx, "exec", console.Default, r.target(), "--", "echo", "x")
		cmd.Stdout, cmd.Stderr = full, &errs
		_ = cmd.Run() // its state is looked at
		if wantWords(t, errs.String(), "could not be written", "no space left"); cmd.ProcessState.ExitCode() != 255 {
			t.Errorf("%v %q", cmd.ProcessState, errs.String())
		}
	})
	t.Run("Ctrl-C ends", func(t *testing.T) {
		r := r.in(t)
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		cmd := r.command(ctx, "exec", console.Default, r.target(), "--", "sh", "-c", "echo on; exec sleep 98763")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
			t.Error(err)
		}
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 130 {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestTerminal(t *testing.T) {
	r := newRig(t, console.Options{})
	t.Run("typing, sizes, the exit code", func(t *testing.T) {
		r := r.in(t)
		s := r.screen("exec", console.Default, r.target(), "-it")
		before := s.mode()
		s.types("stty size; echo on''e\r")
		s.shows("40 100")
		s.shows("one")
		if s.mode() == before {
			t.Error("the terminal is not raw")
		}
		s.size(120, 50)
		s.types("until [ \"$(stty size)\" = '50 120' ]; do :; done; echo grow''n\r")
		s.shows("grown")
		s.types("sh -c \"echo slee''ping; exec sleep 98764\"\r") // it says so itself: bash has given it the terminal
		s.shows("sleeping")
		s.types("\x03")
		s.shows("^C")
		s.types("echo stopp''ed\r")
		s.shows("stopped")
		s.types("exit 9\r")
		if code := s.exits(); code != 9 || s.mode() != before {
			t.Errorf("exit code %d, terminal as it was: %v", code, s.mode() == before)
		}
	})
	t.Run("a shell at a terminal needs no flags", func(t *testing.T) {
		r := r.in(t)
		s := r.screen("exec", console.Default, r.target())
		s.types("test -t 0 && echo tt''y; exit\r")
		s.shows("tty")
		if code := s.exits(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("tildes", func(t *testing.T) {
		r := r.in(t)
		s := r.screen("exec", "-it", console.Default, r.target(), "--", "sh")
		before := s.mode()
		s.shows("# ") // the shell's prompt: what is typed from now on is echoed once
		s.types("echo a~.b\r")
		s.shows("a~.b\r\na~.b")
		s.types("~?")
		s.shows("~~  a tilde")
		s.types("~~bin\r")
		s.shows("~bin")
		s.types("\r~.")
		if code := s.exits(); code != 0 || s.mode() != before {
			t.Errorf("exit code %d, terminal as it was: %v", code, s.mode() == before)
		}
	})
	t.Run("a reader that has gone", func(t *testing.T) {
		r := r.in(t)
		s, out := r.screenInto("exec", console.Default, r.target(), "-it", "--", "yes")
		before := s.mode()
		if _, err := io.ReadFull(out, make([]byte, 1<<20)); err != nil {
			t.Error(err)
		}
		if s.mode() == before {
			t.Error("the terminal is not raw")
		}
		out.Close()
		if code := s.exits(); code != 255 || s.mode() != before {
			t.Errorf("exit code %d, terminal as it was: %v; it said %q", code, s.mode() == before, s.shown())
		}
		r.wasLeft()
	})
	for name, sig := range map[string]syscall.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "QUIT": syscall.SIGQUIT} {
		t.Run("SIG"+name, func(t *testing.T) {
			r := r.in(t)
			s := r.screen("exec", "-it", console.Default, r.target(), "--", "sh")
			before := s.mode()
			s.types("echo o''n\r")
			s.shows("on")
			_ = s.cmd.Process.Signal(sig)
			if code := s.exits(); code != 128+int(sig) || s.mode() != before {
				t.Errorf("exit code %d, terminal as it was: %v", code, s.mode() == before)
			}
		})
	}
}

func TestWords(t *testing.T) {
	r := newRig(t, console.Options{Clusters: map[string]string{"real": "{}", "locked": "{enabled: false}", "why": "{requireReason: true}"}})
	for name, c := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"no such pod":       {[]string{"exec", "real", r.ns + "/nope", "--", "true"}, 255, []string{"nope", "E_NOT_FOUND, request "}},
		"no such cluster":   {[]string{"exec", "nope", r.target()}, 255, []string{"E_NOT_FOUND, request "}},
		"no such program":   {[]string{"exec", "real", r.target(), "--", "no-such-program"}, 255, []string{"no-such-program", "E_NOT_FOUND"}},
		"shells are off":    {[]string{"exec", "locked", r.target()}, 255, []string{"E_EXEC_DISABLED, request "}},
		"no reason given":   {[]string{"exec", "why", r.target()}, 255, []string{"reason", "E_INVALID_REQUEST"}},
		"no right":          {[]string{"exec", "real", "kube-system/x"}, 255, []string{"request "}},
		"no terminal here":  {[]string{"exec", "-it", "real", r.target()}, 2, []string{"stdin is none"}},
		"-t alone":          {[]string{"exec", "-t", "real", r.target()}, 2, []string{"-t needs -i"}},
		"no pod":            {[]string{"exec", "real"}, 2, []string{"NAMESPACE/POD"}},
		"half a pod":        {[]string{"exec", "real", "x"}, 2, []string{"NAMESPACE/POD"}},
		"an unknown flag":   {[]string{"exec", "--tyt", "real", r.target()}, 2, []string{"--tyt"}},
		"nobody there":      {[]string{"exec", "--server", "http://127.0.0.1:1", "real", r.target()}, 255, []string{"cannot be reached"}},
		"in the clear":      {[]string{"exec", "--server", "http://periscope.example.com", "real", r.target()}, 2, []string{"not encrypted"}},
		"a missing CA file": {[]string{"exec", "--ca-file", "/does/not/exist", "real", r.target()}, 255, []string{"authorities"}},
	} {
		code, out, errs := r.run(nil, c.args...)
		if code != c.code || out != "" {
			t.Errorf("%s: exit code %d, %q %q", name, code, out, errs)
		}
		wantWords(t, errs, c.says...)
	}
	code, out, _ := r.run(nil, "exec", "--reason", "a look", "why", r.target(), "--", "echo", "in")
	if code != 0 || out != "in\n" {
		t.Errorf("with a reason: %d %q", code, out)
	}
	if code, out, _ := r.run(nil, "exec", "--help"); code != 0 || !strings.Contains(out, "Exit codes") {
		t.Errorf("help: %d %q", code, out)
	}
}

// TestTokens: where a token comes from, and what is refused.
func TestTokens(t *testing.T) {
	r := newRig(t, console.Options{})
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(r.token.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := r.token.Secret
	r.token.Secret = ""
	args := []string{"exec", console.Default, r.target(), "--token-file", file, "--", "echo", "in"}
	if code, out, errs := r.run(nil, args...); code != 0 || out != "in\n" {
		t.Errorf("from a file: %d %q %q", code, out, errs)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	code, _, errs := r.run(nil, args...)
	if wantWords(t, errs, "others may read", "chmod 600"); code != 255 || strings.Contains(errs, good) {
		t.Errorf("a file for others too: %d %q", code, errs)
	}
	code, _, errs = r.run(nil, "exec", console.Default, r.target())
	if wantWords(t, errs, "nobody is logged in", "periscope login"); code != 255 {
		t.Errorf("no token: %d %q", code, errs)
	}
	r.token.Secret = good[:len(good)-1] + "_"
	code, _, errs = r.run(nil, "exec", console.Default, r.target())
	if wantWords(t, errs, "is no access token"); code != 255 || strings.Contains(errs, good[:20]) {
		t.Errorf("a crooked token: %d %q", code, errs)
	}
	r.token.Secret = good
	if err := r.login.Revoke(t.Context(), r.token.ID); err != nil {
		t.Fatal(err)
	}
	code, _, errs = r.run(nil, "exec", console.Default, r.target())
	if wantWords(t, errs, "E_UNAUTHENTICATED, request ", "periscope login"); code != 255 {
		t.Errorf("a revoked token: %d %q", code, errs)
	}
}

// TestEndings: what ends a session elsewhere is said here, in the server's words.
func TestEndings(t *testing.T) {
	r := newRig(t, console.Options{})
	s := r.screen("exec", "-it", console.Default, r.target())
	before := s.mode()
	s.types("echo o''n\r")
	s.shows("on")
	id := r.server.Events("pod.exec.session_start")[0].EventID
	if err := r.login.End(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s.shows("ended: " + string(podexec.ForcedClose))
	if code := s.exits(); code != 255 || s.mode() != before {
		t.Errorf("exit code %d", code)
	}
}
