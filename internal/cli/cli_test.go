package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/periscope-console/periscope/internal/execclient"
	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestEscapes(t *testing.T) {
	for in, want := range map[string]string{
		"ls\r":          "ls\r",
		"a~.b\r":        "a~.b\r",
		"~.rest":        "[left]",
		"x\r~.":         "x\r[left]",
		"x\n~.":         "x\n[left]",
		"~~x\r~~.":      "~x\r~.",
		"~x":            "~x",
		"~?~.":          "[help][left]",
		"~\r~.":         "~\r[left]",
		"~~~.":          "~~.",
		"x ~.":          "x ~.",
		"\x03~.":        "\x03~.",
		"é\r~.":         "é\r[left]",
		"~":             "",
		"a\r\n~~\r~/ls": "a\r\n~\r~/ls",
	} {
		for name, src := range map[string]io.Reader{"whole": strings.NewReader(in), "bytes": iotest.OneByteReader(strings.NewReader(in))} {
			if got := typed(src, 64); got != want {
				t.Errorf("%q, %s: %q, want %q", in, name, got, want)
			}
		}
	}
}

// typed is what the shell gets, and what the person gets between.
func typed(src io.Reader, room int) string {
	var out strings.Builder
	e := &escapes{src: src}
	var told []string
	e.leave = func() { told = append(told, "[left]") }
	e.help = func() { told = append(told, "[help]") }
	for p := make([]byte, room); ; {
		n, err := e.Read(p)
		if len(told) > 0 && n > 0 && told[0] == "[left]" {
			out.Write(p[:n])
			n = 0
		}
		out.WriteString(strings.Join(told, ""))
		out.Write(p[:n])
		told = nil
		if err != nil {
			return out.String()
		}
	}
}

// FuzzEscapes: how what is typed comes in pieces changes nothing, and without a
// tilde nothing is changed.
func FuzzEscapes(f *testing.F) {
	f.Add([]byte("a\r~~b\r~?c~.\r~.d"))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole := (&escapes{leave: func() {}, help: func() {}}).filter(in, nil)
		split := &escapes{leave: func() {}, help: func() {}}
		var pieces []byte
		for _, b := range in {
			if !split.left {
				pieces = split.filter([]byte{b}, pieces)
			}
		}
		if !bytes.Equal(whole, pieces) || len(whole) > len(in) {
			t.Errorf("%q whole, %q in pieces", whole, pieces)
		}
		if !bytes.ContainsRune(in, '~') && !bytes.Equal(whole, in) {
			t.Errorf("%q became %q", in, whole)
		}
	})
}

func TestParseExec(t *testing.T) {
	for line, want := range map[string]string{
		"demo shop/web":                       "demo shop web  false false []",
		"demo shop/web -it":                   "demo shop web  true true []",
		"-ti -c app demo shop/web":            "demo shop web app true true []",
		"demo -capp shop/web -i -- ls -l --":  "demo shop web app true false [ls -l --]",
		"demo shop/web --container=app -t":    "demo shop web app false true []",
		"demo shop/web -itc app -- sh -c x":   "demo shop web app true true [sh -c x]",
		"demo shop/web --stdin --tty -- -c":   "demo shop web  true true [-c]",
		"demo shop/web -c":                    "",
		"demo shop/web -x":                    "",
		"demo shop/web -ix":                   "",
		"demo shop/web --tty=yes":             "",
		"demo shop/web --nothing":             "",
		"demo shop/web more":                  "",
		"demo shop":                           "",
		"demo shop/":                          "",
		"demo /web":                           "",
		"demo shop/web/x":                     "",
		"demo -- ls":                          "",
		"--reason why demo shop/web -- - a=b": "demo shop web  false false [- a=b]",
	} {
		a, err := parseExec(strings.Fields(line))
		var wrong usageError
		if want == "" {
			if !errors.As(err, &wrong) {
				t.Errorf("%q: %v", line, err)
			}
			continue
		}
		got := strings.Join([]string{a.cluster, a.namespace, a.pod, a.container, yes(a.stdin), yes(a.tty), "[" + strings.Join(a.command, " ") + "]"}, " ")
		if err != nil || got != want {
			t.Errorf("%q: %q, want %q (%v)", line, got, want, err)
		}
	}
}

func yes(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// FuzzParseExec: whatever is written, words and command come from it untouched.
func FuzzParseExec(f *testing.F) {
	f.Add("-it demo shop/web -c app -- sh -c x")
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, " ")
		a, err := parseExec(args)
		if err != nil || a.help {
			return
		}
		if len(a.command) > 0 && !slices.Equal(a.command, args[len(args)-len(a.command):]) {
			t.Errorf("%q: command %q", line, a.command)
		}
		if a.namespace == "" || a.pod == "" || strings.Contains(a.pod, "/") {
			t.Errorf("%q: pod %q/%q", line, a.namespace, a.pod)
		}
	})
}

func TestServerURL(t *testing.T) {
	for text, want := range map[string]string{
		"https://periscope.example.com":         "https://periscope.example.com",
		"https://Periscope.Example.com:8443/p/": "https://periscope.example.com:8443/p",
		"http://127.0.0.1:8080":                 "http://127.0.0.1:8080",
		"http://localhost:8080/":                "http://localhost:8080",
		"http://[::1]:8080":                     "http://[::1]:8080",
		"http://periscope.example.com":          "",
		"http://127.0.0.1.example.com":          "",
		"http://localhost.example.com":          "",
		"https://user@periscope.example.com":    "",
		"https://periscope.example.com/?x=y":    "",
		"https://periscope.example.com/#code=1": "",
		"periscope.example.com":                 "",
		"ftp://periscope.example.com":           "",
		"https://":                              "",
		"":                                      "",
	} {
		got, err := serverURL(text)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// TestLoginsThatEndAtOnce are all kept.
func TestLoginsThatEndAtOnce(t *testing.T) {
	e := Env{ConfigDir: t.TempDir(), Getenv: func(string) string { return "" }}
	const logins = 40
	var all sync.WaitGroup
	for i := range logins {
		all.Go(func() {
			err := e.change(func(c *credentials) bool {
				if c.Servers == nil {
					c.Servers = map[string]account{}
				}
				c.Servers[strconv.Itoa(i)] = account{ID: "i"}
				return true
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if c, err := e.credentials(); err != nil || len(c.Servers) != logins {
		t.Errorf("%d of %d are left (%v)", len(c.Servers), logins, err)
	}
}

func TestCredentials(t *testing.T) {
	e := Env{ConfigDir: t.TempDir(), Getenv: func(string) string { return "" }}
	if c, err := e.credentials(); err != nil || len(c.Servers) != 0 {
		t.Fatalf("before the first login: %v, %v", c, err)
	}
	token := "psc_" + strings.Repeat("a", 49)
	kept := credentials{Current: "https://p", Servers: map[string]account{"https://p": {Token: token, ID: "i", Subject: "ada"}}}
	for range 2 {
		if err := e.keep(kept); err != nil {
			t.Fatal(err)
		}
	}
	name, _ := e.credentialsFile()
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(name)); len(left) != 1 {
		t.Errorf("%d files", len(left))
	}
	c, err := e.reach(where{})
	if err != nil || c.Bearer != token || c.Server.Host != "p" {
		t.Errorf("%v, %v", c, err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := e.reach(where{}); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if err := os.WriteFile(name, []byte(`{"servers": "`+token), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Chmod(name, 0o600)
	if _, err := e.reach(where{}); err == nil || strings.Contains(err.Error(), token) {
		t.Errorf("a damaged file: %v", err)
	}
}

// TestWordsOfAServerDoNotSteerTheTerminal: control characters are shown as marks.
func TestWordsOfAServerDoNotSteerTheTerminal(t *testing.T) {
	var said bytes.Buffer
	e := Env{Stderr: &said}
	e.explain(&execclient.Refusal{Code: "E_X", Message: "no\x1b[2J\x07\u202e way\n", RequestID: "r\x1b]0;x\x07"})
	if strings.ContainsAny(said.String(), "\x1b\x07\u202e") {
		t.Errorf("%q", said.String())
	}
}

// TestFullScreen: switches to the second screen and back are seen, however they
// come in pieces, and what is written is passed on as it is.
func TestFullScreen(t *testing.T) {
	for text, want := range map[string]bool{
		"plain": false, "\x1b[?1049h": true, "a\x1b[?1049hb\x1b[?25l": true, "\x1b[?1049h\x1b[?1049l": false,
		"\x1b[?47h": true, "\x1b[?1047h\x1b[?47l": false, "\x1b[?1049l\x1b[?1047h": true, "\x1b[?1049": false, "\x1b[?10490h": false,
	} {
		var whole, pieces bytes.Buffer
		a, b := &fullScreen{Writer: &whole}, &fullScreen{Writer: &pieces}
		_, _ = io.WriteString(a, text)
		for i := range len(text) {
			_, _ = io.WriteString(b, text[i:i+1])
		}
		if a.on != want || b.on != want || whole.String() != text || pieces.String() != text {
			t.Errorf("%q: %v whole, %v in pieces", text, a.on, b.on)
		}
	}
}
