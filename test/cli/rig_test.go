// Package cli proves what docs/cli.md promises: the built periscope as a command,
// in pipes and in a real terminal, against the built server over a real control
// plane.
package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"

	"github.com/periscope-console/periscope/internal/childtest"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/test/console"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

// wait bounds each step.
const wait = 60 * time.Second

// rig is a server, a pod behind it, and a person with a token.
type rig struct {
	t       *testing.T
	server  *console.Server
	login   *console.Login
	token   console.Token
	ns, pod string
	config  string // folder of the command's settings
	at      string // the server, as the command is told
}

func newRig(t *testing.T, o console.Options) *rig {
	t.Helper()
	r := newServer(t, o)
	var err error
	if r.token, err = r.login.MakeToken(t.Context(), "cli", "read,exec"); err != nil {
		t.Fatal(err)
	}
	return r
}

// in is the same rig for a subtest.
func (r *rig) in(t *testing.T) *rig {
	sub := *r
	sub.t = t
	return &sub
}

// newServer has no token.
func newServer(t *testing.T, o console.Options) *rig {
	t.Helper()
	c := kubetest.Shared(t)
	r := &rig{t: t, ns: c.Namespace(t), config: t.TempDir()}
	r.pod = c.Pod(t, r.ns, kubetest.Image("dev.local/busybox:1")).Name
	r.server = console.Start(t, c, r.ns, o)
	r.login = r.server.Login()
	r.at = r.server.URL()
	return r
}

func (r *rig) target() string { return r.ns + "/" + r.pod }

// command is periscope with these arguments, as the person with the token.
func (r *rig) command(ctx context.Context, args ...string) *exec.Cmd {
	r.t.Helper()
	program, err := childtest.Program("periscope")
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.config, "XDG_CONFIG_HOME=" + r.config, "NO_PROXY=*",
		"PERISCOPE_URL=" + r.at, "PERISCOPE_TOKEN=" + r.token.Secret,
	}
	return cmd
}

// run runs periscope to its end.
func (r *rig) run(stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), wait)
	defer cancel()
	cmd := r.command(ctx, args...)
	return r.finish(cmd, stdin)
}

func (r *rig) finish(cmd *exec.Cmd, stdin io.Reader) (code int, stdout, stderr string) {
	r.t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// wasLeft waits for the end of every session so far. The last was the command's own
// doing: the server keeps nothing for it to come back to.
func (r *rig) wasLeft() {
	r.t.Helper()
	begun := len(r.server.Events("pod.exec.session_start"))
	over := r.server.Events("pod.exec.session_end")
	for limit := time.Now().Add(wait); len(over) < begun && time.Now().Before(limit); <-time.After(20 * time.Millisecond) {
		over = r.server.Events("pod.exec.session_end")
	}
	if len(over) < begun || over[begun-1].Extra["close_reason"] != "client_close" {
		r.t.Errorf("%d sessions of %d have ended: %+v", len(over), begun, over)
	}
}

// screen is periscope in a terminal of its own.
type screen struct {
	t     *testing.T
	cmd   *exec.Cmd
	pt    *os.File // the person's side
	tty   *os.File // the program's side
	ended chan struct{}
	over  chan struct{} // the reader has ended

	mu   sync.Mutex
	news chan struct{}
	seen []byte
	from int // what has been awaited ends here
}

func (r *rig) screen(args ...string) *screen {
	r.t.Helper()
	return r.show(nil, args...)
}

// screenInto is the same, but for its stdout.
func (r *rig) screenInto(args ...string) (s *screen, stdout *os.File) {
	r.t.Helper()
	stdout, w, err := os.Pipe()
	if err != nil {
		r.t.Fatal(err)
	}
	defer w.Close()
	r.t.Cleanup(func() { stdout.Close() })
	return r.show(w, args...), stdout
}

// show is for both; a nil stdout is the terminal.
func (r *rig) show(stdout *os.File, args ...string) *screen {
	r.t.Helper()
	pt, tty, err := pty.Open()
	if err != nil {
		r.t.Fatal(err)
	}
	s := &screen{t: r.t, pt: pt, tty: tty, ended: make(chan struct{}), over: make(chan struct{}), news: make(chan struct{})}
	s.size(100, 40)
	s.cmd = r.command(r.t.Context(), args...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	if stdout != nil {
		s.cmd.Stdout = stdout
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		_ = s.cmd.Wait() // its state is looked at
	}()
	go s.read()
	r.t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.ended
		tty.Close()
		pt.Close()
		<-s.over
	})
	return s
}

func (s *screen) read() {
	defer close(s.over)
	p := make([]byte, 4096)
	for {
		n, err := s.pt.Read(p)
		s.mu.Lock()
		s.seen = append(s.seen, p[:n]...)
		close(s.news)
		s.news = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *screen) size(cols, rows int) {
	s.t.Helper()
	if err := pty.Setsize(s.pt, &pty.Winsize{Cols: uint16(cols), Rows: uint16(rows)}); err != nil {
		s.t.Fatal(err)
	}
}

// types fails where the program takes nothing for too long; what it was at then is
// on the screen.
func (s *screen) types(text string) {
	s.t.Helper()
	stuck := time.AfterFunc(wait, func() { _ = s.cmd.Process.Signal(syscall.SIGABRT) })
	_, err := io.WriteString(s.pt, text)
	if !stuck.Stop() || err != nil {
		s.t.Fatalf("typing was not taken (%v); the screen shows %q", err, s.shown())
	}
}

// shows waits for text after what was waited for before.
func (s *screen) shows(text string) {
	s.t.Helper()
	limit := time.NewTimer(wait)
	defer limit.Stop()
	for {
		s.mu.Lock()
		at, news := bytes.Index(s.seen[s.from:], []byte(text)), s.news
		if at >= 0 {
			s.from += at + len(text)
		}
		s.mu.Unlock()
		if at >= 0 {
			return
		}
		select {
		case <-news:
		case <-limit.C:
			s.t.Fatalf("the screen never showed %q after %q", text, s.shown())
		}
	}
}

func (s *screen) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.seen)
}

// exits waits for the end.
func (s *screen) exits() int {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(wait):
		s.t.Fatalf("it does not end; the screen shows %q", s.shown())
	}
	return s.cmd.ProcessState.ExitCode()
}

// mode is the terminal's, in a form to compare.
func (s *screen) mode() string {
	s.t.Helper()
	state, err := term.GetState(int(s.tty.Fd()))
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprintf("%+v", *state)
}

func wantWords(t *testing.T, said string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(said, w) {
			t.Errorf("%q does not say %q", said, w)
		}
	}
}
