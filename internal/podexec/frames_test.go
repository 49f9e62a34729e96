package podexec

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/periscope-console/periscope/internal/fault"
)

func newContext(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

func TestTablesAreComplete(t *testing.T) {
	for _, k := range fault.Kinds() {
		reason, ok := refusals[k]
		if !ok {
			t.Errorf("refusals has no row for %s", k)
		}
		if closeCodes[reason] == 0 || sentences[reason] == "" {
			t.Errorf("reason %s of %s has no close code or no sentence", reason, k)
		}
	}
	for _, reason := range Reasons() {
		if sentences[reason] == "" {
			t.Errorf("reason %s has no sentence", reason)
		}
	}
}

func FuzzParseClientFrame(f *testing.F) {
	f.Add([]byte(`{"type":"open","command":["sh"],"tty":true,"cols":80,"rows":24}`))
	f.Add([]byte(`{"type":"ack","offset":-1}`))
	f.Add([]byte(`{"type":"ping","id":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := parseClientFrame(data)
		if err != nil {
			return
		}
		if frame.Type == "ping" && !json.Valid(encode(pong{"pong", frame.ID})) {
			t.Errorf("the pong to %q is not JSON", data)
		}
	})
}

func FuzzParseReport(f *testing.F) {
	f.Add([]byte("\x01periscope:n:12:345:bash\x02$ "))
	f.Add([]byte("\x01periscope:n:"))
	f.Fuzz(func(t *testing.T, out []byte) {
		p, rest, done := parseReport(out, "n")
		if len(rest) > len(out) {
			t.Error("the rest is longer than the whole")
		}
		if p.known() && !done {
			t.Error("a process of an unfinished report")
		}
		if p.known() && strings.Trim(p.start, "0123456789") != "" {
			t.Errorf("start time %q", p.start)
		}
	})
}

// startReal runs the start script as a container would: a session leader.
func startReal(t *testing.T, after string) (process, *exec.Cmd) {
	t.Helper()
	argv := shellCommand("n0")
	argv[2] = strings.Replace(argv[2], `exec "$b"`, after, 1)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var got []byte
	buf := make([]byte, 256)
	for {
		n, err := out.Read(buf)
		got = append(got, buf[:n]...)
		if p, _, done := parseReport(got, "n0"); done && len(got) > 0 {
			return p, cmd
		}
		if err != nil {
			t.Fatalf("no report in %q: %v", got, err)
		}
	}
}

func runEnd(t *testing.T, p process, environ ...string) fate {
	t.Helper()
	argv := endCommand([]process{p})
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = environ
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ending script: %v", err)
	}
	return parseFates(out)[p.word()]
}

// only is a folder of these programs and no other.
func only(t *testing.T, programs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range programs {
		program, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(program, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestTheDefaultShell runs the start script in images with and without bash: which
// shell it becomes, and what that has for a terminal.
func TestTheDefaultShell(t *testing.T) {
	for name, c := range map[string]struct {
		programs []string
		environ  []string
		shell    string
		term     string
	}{
		"bash where there is one":   {[]string{"bash", "sh"}, nil, "bash", "xterm-256color"},
		"else sh":                   {[]string{"sh"}, nil, "sh", "xterm-256color"},
		"a terminal of no name":     {[]string{"sh"}, []string{"TERM="}, "sh", "xterm-256color"},
		"a dumb terminal":           {[]string{"sh"}, []string{"TERM=dumb"}, "sh", "xterm-256color"},
		"a terminal of the image's": {[]string{"sh"}, []string{"TERM=screen"}, "sh", "screen"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := only(t, c.programs...)
			argv := shellCommand("n0")
			cmd := exec.Command(filepath.Join(dir, argv[0]), argv[1:]...)
			cmd.Env = slices.Concat(c.environ, []string{"PATH=" + dir})
			cmd.Stdin = strings.NewReader(`printf '%s by %s' "$TERM" "$0"`)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			p, rest, _ := parseReport(out, "n0")
			if want := c.term + " by " + c.shell; p.shell != c.shell || string(rest) != want {
				t.Errorf("%s was reported, %q printed, want %q", p.shell, rest, want)
			}
		})
	}
}

func TestScriptsEndARealShell(t *testing.T) {
	cases := map[string]struct {
		after   string
		want    fate
		environ []string
	}{
		"a shell and its child":         {"sleep 1000; :", fateGone, nil},
		"a child that ignores hang-ups": {"trap '' HUP; sleep 1000; :", fateGone, nil},
		"no cat in the image":           {"sleep 1000; :", fateGone, []string{"PATH=" + only(t, "sleep")}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, cmd := startReal(t, c.after)
			reaped := make(chan struct{})
			go func() { _ = cmd.Wait(); close(reaped) }()
			if p.pid != cmd.Process.Pid || !p.known() {
				t.Fatalf("reported %+v, the process is %d", p, cmd.Process.Pid)
			}
			if got := runEnd(t, p, c.environ...); got != c.want {
				t.Errorf("fate %v, want %v", got, c.want)
			}
			<-reaped
			if got := runEnd(t, p, c.environ...); got != fateAbsent {
				t.Errorf("fate %v of a shell that had ended", got)
			}
		})
	}
}

func TestEndingTouchesOnlyTheReportedProcess(t *testing.T) {
	p, cmd := startReal(t, "sleep 1000; :")
	reaped := make(chan struct{})
	go func() { _ = cmd.Wait(); close(reaped) }()
	start, err := strconv.Atoi(p.start)
	if err != nil {
		t.Fatal(err)
	}
	other := p
	other.start = strconv.Itoa(start + 1)
	if got := runEnd(t, other); got != fateAbsent {
		t.Errorf("fate %v", got)
	}
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a process with another start time was ended: %v", err)
	}
	runEnd(t, p)
	<-reaped
}

// FuzzParseFates: what a pod's sh printed says something only of the words in it.
func FuzzParseFates(f *testing.F) {
	for _, s := range []string{"", "7:123 gone\n", "7:123 absent\n", "7:123 left 2\n8:9 gone\n", "gone", "a b c d\n", "7:1 left\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		for word, how := range parseFates(out) {
			if !strings.Contains(string(out), word) || how != fateAbsent && how != fateGone && how != fateLeft {
				t.Errorf("%q became %v", word, how)
			}
		}
	})
}

// FuzzReason: a reason that is taken is one line of bounded length.
func FuzzReason(f *testing.F) {
	for _, s := range []string{"", "INC-7: disk full", "two\nlines", "\x1b[31m", "\u2028", "\xff", strings.Repeat("x", maxReason+1)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, reason string) {
		if checkReason(reason) != nil {
			return
		}
		if len(reason) > maxReason || !utf8.ValidString(reason) || strings.ContainsFunc(reason, unicode.IsControl) {
			t.Errorf("%q was taken", reason)
		}
	})
}
