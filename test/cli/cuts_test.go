package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"hash"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/badnet"
	"github.com/periscope-console/periscope/internal/childtest"
	"github.com/periscope-console/periscope/test/console"
)

var (
	cuts = flag.Int("cuts", 25, "how often the network is cut during each transfer")
	mib  = flag.Int("mib", 8, "how much output is read meanwhile, in MiB")
)

// transferLimit bounds a transfer: each cut costs an attach, which asks the
// cluster about the right.
const transferLimit = 5 * time.Minute

// behind is a rig whose server is met through a bad network.
func behind(t *testing.T, environ ...string) (*rig, *badnet.Proxy) {
	t.Helper()
	port, err := childtest.FreePort() // which the network must know, whose address the server must know
	if err != nil {
		t.Fatal(err)
	}
	proxy := badnet.Start(t, "127.0.0.1:"+port)
	return newRig(t, console.Options{
		Environ: append([]string{"PORT=" + port, "PERISCOPE_PUBLIC_URL=http://" + proxy.Addr()}, environ...),
	}), proxy
}

// cutter cuts the network as bytes pass it, a number of times over a size.
type cutter struct {
	proxy *badnet.Proxy
	every int
	left  int // cuts
	next  int
	seen  int
	done  int           // cuts that met a connection
	said  func() string // what the command has said; nil where bytes pass only when it is attached
}

func newCutter(p *badnet.Proxy, size, n int) *cutter {
	every := size / (n + n/4 + 1)
	return &cutter{proxy: p, every: every, left: n, next: every}
}

func (c *cutter) pass(n int) {
	c.seen += n
	if c.left == 0 || c.seen < c.next {
		return
	}
	c.next = c.seen + c.every/2 + rand.IntN(c.every)
	if c.said == nil {
		c.cut()
		return
	}
	// Where the command is attached, and now and then once more while it comes back.
	lost, _ := told(c.said())
	ok := c.await(func() bool { l, b := told(c.said()); lost = l; return l == b }) && c.cut() &&
		c.await(func() bool { l, _ := told(c.said()); return l > lost })
	if ok && c.left > 0 && rand.IntN(4) == 0 {
		c.cut()
	}
}

func (c *cutter) cut() bool {
	if !c.await(func() bool { return c.proxy.Cut(badnet.How(c.done%2)) > 0 }) {
		return false
	}
	c.done++
	c.left--
	return true
}

// await is false when ok never was; the test then says that cuts are left.
func (c *cutter) await(ok func() bool) bool {
	for ends := time.Now().Add(wait); !ok(); <-time.After(time.Millisecond) {
		if time.Now().After(ends) {
			c.next = math.MaxInt // once is enough
			return false
		}
	}
	return true
}

// told is how often the command has said that the connection was lost, and back.
func told(said string) (lost, back int) {
	return strings.Count(said, "connection lost; coming back…"), strings.Count(said, "same shell, nothing lost")
}

// numbers is what seq prints, up to a size.
func numbers(size int) hash.Hash {
	h := sha256.New()
	for i, left := 1, size; left > 0; i++ {
		line := strconv.Itoa(i) + "\n"
		line = line[:min(len(line), left)]
		left -= len(line)
		_, _ = io.WriteString(h, line)
	}
	return h
}

func wantBack(t *testing.T, errs string, cut *cutter) {
	t.Helper()
	if cut.left > 0 {
		t.Errorf("%d cuts are left", cut.left)
	}
	lost, back := told(errs)
	if lost == 0 || lost != back || strings.Contains(errs, "missing") {
		t.Errorf("%d cuts, %d times lost, %d times back; it ends with %q", cut.done, lost, back, errs[max(0, len(errs)-500):])
	}
	t.Logf("%d cuts, %d times lost and back", cut.done, lost)
}

// TestOutputThroughCuts: many MiB of output, the network cut again and again, and
// each byte comes once.
func TestOutputThroughCuts(t *testing.T) {
	r, proxy := behind(t)
	size := *mib << 20
	ctx, cancel := context.WithTimeout(t.Context(), transferLimit)
	defer cancel()
	cmd := r.command(ctx, "exec", console.Default, r.target(), "--", "sh", "-c", fmt.Sprintf("seq 1 100000000 | head -c %d; exit 5", size))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cut, got, p, n := newCutter(proxy, size, *cuts), sha256.New(), make([]byte, 16<<10), 0
	for {
		m, err := out.Read(p)
		got.Write(p[:m])
		cut.pass(m)
		n += m
		if err != nil {
			break
		}
	}
	_ = cmd.Wait() // its state is looked at
	if code := cmd.ProcessState.ExitCode(); code != 5 || n != size || !bytes.Equal(got.Sum(nil), numbers(size).Sum(nil)) {
		t.Errorf("exit code %d, %d bytes of %d; stderr ends with %q", code, n, size, errs.String()[max(0, errs.Len()-500):])
	}
	wantBack(t, errs.String(), cut)
	t.Logf("%d MiB in %v", *mib, time.Since(began).Round(time.Millisecond))
}

// locked is a buffer that may be read while it is written.
type locked struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// letters are bytes that no terminal makes anything else of.
func letters(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + rand.IntN(26))
	}
	return b
}

// TestInputThroughCuts: a megabyte of stdin through a pipe, and as much pasted into
// a terminal, through as many cuts.
func TestInputThroughCuts(t *testing.T) {
	r, proxy := behind(t)
	const size = 1 << 20
	t.Run("a pipe", func(t *testing.T) {
		r := r.in(t)
		sent := noise(size)
		cut := newCutter(proxy, size, *cuts)
		ctx, cancel := context.WithTimeout(t.Context(), transferLimit)
		defer cancel()
		cmd := r.command(ctx, "exec", console.Default, r.target(), "-i", "--", "sh", "-c", "read go; echo $go; sha256sum")
		errs := &locked{}
		cmd.Stderr, cut.said = errs, errs.String
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Whoever is lost before the server has heard anything is not waited for.
		if _, err := io.WriteString(in, "on\n"); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
			t.Error(err)
		}
		for rest := sent; len(rest) > 0 && err == nil; rest = rest[min(len(rest), 2000):] {
			_, err = in.Write(rest[:min(len(rest), 2000)])
			cut.pass(2000)
		}
		in.Close()
		said, _ := io.ReadAll(out) // ends with the process
		_ = cmd.Wait()             // its state is looked at
		if code := cmd.ProcessState.ExitCode(); code != 0 || err != nil || !strings.HasPrefix(string(said), hashOf(sent)) {
			t.Errorf("%d %q %v", code, said, err)
		}
		wantBack(t, errs.String(), cut)
	})
	t.Run("a terminal", func(t *testing.T) {
		s := r.in(t).screen("exec", console.Default, r.target(), "-it")
		sent := letters(size)
		s.types(fmt.Sprintf("stty raw -echo; echo read''y; head -c %d | sha256sum; stty sane\r", size))
		s.shows("ready")
		cut := newCutter(proxy, size, *cuts)
		cut.said = s.shown
		for rest := sent; len(rest) > 0; rest = rest[min(len(rest), 2000):] {
			s.types(string(rest[:min(len(rest), 2000)]))
			cut.pass(2000)
		}
		s.shows(hashOf(sent))
		s.types("exit 4\r")
		if code := s.exits(); code != 4 {
			t.Errorf("exit code %d", code)
		}
		wantBack(t, s.shown(), cut)
	})
}

// TestTheShellIsGone: where the shell has ended while nobody was there to hear it,
// that is what is said, and never a new one opened.
func TestTheShellIsGone(t *testing.T) {
	r, proxy := behind(t, "PERISCOPE_EXEC_RESUME_SECONDS=1")
	s := r.screen("exec", console.Default, r.target(), "-it")
	before := s.mode()
	s.types("echo o''n\r")
	s.shows("on")
	proxy.Refuse(true)
	proxy.Cut(badnet.RST)
	s.shows("connection lost; coming back…")
	ends := time.Now().Add(wait)
	for len(r.server.Events("pod.exec.session_end")) == 0 && time.Now().Before(ends) {
		<-time.After(20 * time.Millisecond)
	}
	proxy.Refuse(false)
	s.shows("the shell is gone: the server has ended or forgotten it")
	if code := s.exits(); code != 255 || s.mode() != before {
		t.Errorf("exit code %d", code)
	}
	if n := len(r.server.Events("pod.exec.session_start")); n != 1 {
		t.Errorf("%d shells were opened", n)
	}
}

// TestWithoutResume: a server that keeps no shells is said to keep none.
func TestWithoutResume(t *testing.T) {
	r, proxy := behind(t, "PERISCOPE_EXEC_RESUME_SECONDS=0")
	s := r.screen("exec", console.Default, r.target(), "-it")
	s.types("echo o''n\r")
	s.shows("on")
	proxy.Cut(badnet.RST)
	s.shows("keeps no shells to come back to")
	if code := s.exits(); code != 255 {
		t.Errorf("exit code %d", code)
	}
}

// TestAFullScreenProgramIsDrawnAnew: our own lines do not stay in the middle of it.
// The size is the same afterwards, so it hears of one only where it was nudged. It
// asks for the size outside of the trap: bash forgets a signal that comes while the
// trap of the same runs.
func TestAFullScreenProgramIsDrawnAnew(t *testing.T) {
	r, proxy := behind(t)
	s := r.screen("exec", console.Default, r.target(), "-it", "--", "bash", "-c",
		"trap 'told=1' WINCH; printf '\\033[?1049h'; echo ready; while :; do [ $told ] && told= && stty size; sleep 0.1; done")
	s.shows("ready")
	s.size(90, 30) // whoever is lost before the server has heard anything is not waited for
	s.shows("30 90")
	proxy.Cut(badnet.RST)
	s.shows("same shell, nothing lost")
	s.shows("30 90")
	s.types("\x03")
}
