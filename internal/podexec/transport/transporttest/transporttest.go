// Package transporttest is the contract of transport.Dialer as tests: what every
// wire protocol does against a real apiserver.
//
// It owns the pods it makes, in a namespace of its own. It starts goroutines only
// inside its tests and waits for them.
package transporttest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/badnet"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// limit bounds every wait of a test.
const limit = 60 * time.Second

// Run proves that d keeps the contract on cluster c, and that it speaks kind.
func Run(t *testing.T, c *kubetest.Cluster, d transport.Dialer, kind transport.Kind) {
	s := &suite{cluster: c, dialer: d, kind: kind}
	s.ns = c.Namespace(t)
	s.pod = c.Pod(t, s.ns, kubetest.Containers("main", "side")).Name
	for name, test := range map[string]func(*suite, *testing.T){
		"Echo":                      (*suite).echo,
		"BinaryBothWays":            (*suite).binaryBothWays,
		"BinaryThroughATerminal":    (*suite).binaryThroughATerminal,
		"StderrApart":               (*suite).stderrApart,
		"OneOutputOfATerminal":      (*suite).oneOutputOfATerminal,
		"Sizes":                     (*suite).sizes,
		"ExitCodes":                 (*suite).exitCodes,
		"OutputAfterHalfClose":      (*suite).outputAfterHalfClose,
		"TheNamedContainer":         (*suite).theNamedContainer,
		"CommandNotFound":           (*suite).commandNotFound,
		"PodWithoutAShell":          (*suite).podWithoutAShell,
		"Forbidden":                 (*suite).forbidden,
		"Missing":                   (*suite).missing,
		"PodDeletedUnderASession":   (*suite).podDeleted,
		"CancelledDial":             (*suite).cancelledDial,
		"CloseWhileReadWaits":       (*suite).closeWhileReadWaits,
		"PausedReaderMissesNothing": (*suite).pausedReader,
		"StdinThatNobodyReads":      (*suite).unreadStdin,
		"CutConnection":             (*suite).cutConnection,
		"SlicedConnection":          (*suite).slicedConnection,
		"ManyStreams":               (*suite).manyStreams,
	} {
		t.Run(name, func(t *testing.T) { test(s, t) })
	}
}

type suite struct {
	cluster *kubetest.Cluster
	dialer  transport.Dialer
	kind    transport.Kind
	ns, pod string
}

func (s *suite) request(command ...string) transport.Request {
	return transport.Request{Namespace: s.ns, Pod: s.pod, Container: "main", Command: command, Stdin: true}
}

func (s *suite) dial(ctx context.Context, cfg *rest.Config, r transport.Request) (transport.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return s.dialer.Dial(ctx, cfg, r)
}

// open dials as the administrator. A stream that outlasts limit is closed, so
// that a test ends with words and not with the binary's timeout.
func (s *suite) open(t *testing.T, r transport.Request) transport.Stream {
	t.Helper()
	return s.openVia(t, s.cluster.Config, r)
}

func (s *suite) openVia(t *testing.T, cfg *rest.Config, r transport.Request) transport.Stream {
	t.Helper()
	st, err := s.dial(t.Context(), cfg, r)
	if err != nil {
		t.Fatal(err)
	}
	if st.Kind() != s.kind {
		t.Errorf("opened by %s", st.Kind())
	}
	late := time.AfterFunc(limit, func() { _ = st.Close() })
	t.Cleanup(func() {
		late.Stop()
		if err := st.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return st
}

// outputs is what a stream gave, by channel.
type outputs [3]bytes.Buffer

func (o *outputs) out() string { return o[transport.Stdout].String() }
func (o *outputs) err() string { return o[transport.Stderr].String() }

// until reads until done says so, or the end.
func (o *outputs) until(t *testing.T, st transport.Stream, done func() bool) {
	t.Helper()
	p := make([]byte, 32<<10)
	for !done() {
		n, ch, err := st.Read(p)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil || n == 0 || ch != transport.Stdout && ch != transport.Stderr {
			t.Fatalf("read %d bytes of channel %d, error %v", n, ch, err)
		}
		o[ch].Write(p[:n])
	}
}

func drain(t *testing.T, st transport.Stream) *outputs {
	t.Helper()
	o := &outputs{}
	o.until(t, st, func() bool { return false })
	return o
}

// await reads until stdout holds want.
func (o *outputs) await(t *testing.T, st transport.Stream, want string) {
	t.Helper()
	o.until(t, st, func() bool { return strings.Contains(o.out(), want) })
	if !strings.Contains(o.out(), want) {
		t.Fatalf("%q never came, but %q and the end %+v", want, o.out(), st.Result())
	}
}

func write(t *testing.T, st transport.Stream, text string) {
	t.Helper()
	if _, err := io.WriteString(st, text); err != nil {
		t.Fatal(err)
	}
}

func wantExit(t *testing.T, st transport.Stream, code int) {
	t.Helper()
	if r := st.Result(); r.Err != nil || r.ExitCode == nil || *r.ExitCode != code {
		t.Errorf("result %s, want exit code %d", describe(r), code)
	}
}

func describe(r transport.Result) string {
	if r.ExitCode != nil {
		return fmt.Sprintf("exit code %d, error %v", *r.ExitCode, r.Err)
	}
	return fmt.Sprintf("no exit code, error %v", r.Err)
}

func wantFault(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	_ = theFault(t, err, kind)
}

// theFault is err as a fault of this kind that says nothing about the protocol.
func theFault(t *testing.T, err error, kind fault.Kind) *fault.Error {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != kind || f.Public == "" {
		t.Fatalf("got %v, want a fault %v", err, kind)
	}
	if transport.IsUpgradeFailure(err) {
		t.Errorf("counts as an upgrade failure: %v", err)
	}
	return f
}

func (s *suite) echo(t *testing.T) {
	st, o := s.open(t, s.request("cat")), &outputs{}
	for _, line := range []string{"hello\n", "again\n"} {
		write(t, st, line)
		o.await(t, st, line)
	}
	if err := st.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest := drain(t, st); rest.out() != "" || rest.err() != "" {
		t.Errorf("also %q and %q", rest.out(), rest.err())
	}
	wantExit(t, st, 0)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	src := rand.NewChaCha8([32]byte{1})
	_, _ = src.Read(b)
	return b
}

func (s *suite) binaryBothWays(t *testing.T) {
	data := randomBytes(1 << 20)
	st := s.open(t, s.request("cat"))
	wrote := make(chan error, 1)
	go func() {
		_, err := st.Write(data)
		wrote <- errors.Join(err, st.CloseWrite())
	}()
	o := drain(t, st)
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	if sha256.Sum256([]byte(o.out())) != sha256.Sum256(data) || o.err() != "" {
		t.Errorf("%d bytes came back differently; stderr %q", len(o.out()), o.err())
	}
	wantExit(t, st, 0)
}

// binaryThroughATerminal is what a paste into a full-screen program is.
func (s *suite) binaryThroughATerminal(t *testing.T) {
	data := randomBytes(200 << 10)
	r := s.request("sh", "-c", fmt.Sprintf("stty raw -echo; echo ready; head -c %d | sha256sum", len(data)))
	r.TTY, r.Size = true, transport.Size{Cols: 80, Rows: 24}
	st, o := s.open(t, r), &outputs{}
	o.await(t, st, "ready")
	if _, err := st.Write(data); err != nil {
		t.Fatal(err)
	}
	o.await(t, st, fmt.Sprintf("%x", sha256.Sum256(data)))
	drain(t, st)
	wantExit(t, st, 0)
}

func (s *suite) stderrApart(t *testing.T) {
	st := s.open(t, s.request("sh", "-c", "echo out; echo err >&2"))
	if o := drain(t, st); o.out() != "out\n" || o.err() != "err\n" {
		t.Errorf("stdout %q, stderr %q", o.out(), o.err())
	}
	wantExit(t, st, 0)
}

func (s *suite) oneOutputOfATerminal(t *testing.T) {
	r := s.request("sh", "-c", "echo out; echo err >&2; tty")
	r.TTY, r.Size = true, transport.Size{Cols: 80, Rows: 24}
	st := s.open(t, r)
	if o := drain(t, st); !strings.HasPrefix(o.out(), "out\r\nerr\r\n/dev/") || o.err() != "" {
		t.Errorf("stdout %q, stderr %q", o.out(), o.err())
	}
	wantExit(t, st, 0)
}

// sizes asks again and again, as a program that redraws would: a size takes
// effect soon, and the newest stays.
func (s *suite) sizes(t *testing.T) {
	r := s.request("sh", "-c", "stty -echo; echo ready; while read line; do stty size; done")
	r.TTY, r.Size = true, transport.Size{Cols: 101, Rows: 41}
	st, o := s.open(t, r), &outputs{}
	o.await(t, st, "ready")
	ask := func(want string) {
		o[transport.Stdout].Reset()
		for n := 1; !strings.Contains(o.out(), want); n++ {
			write(t, st, "\n")
			o.until(t, st, func() bool { return strings.Count(o.out(), "\n") >= n })
			if n > 2000 {
				t.Fatalf("never %q but %q", want, o.out()[len(o.out())-20:])
			}
		}
	}
	ask("41 101\r\n")
	for n := range uint16(100) {
		st.Resize(transport.Size{Cols: 120 + n, Rows: 50}, nil)
	}
	ask("50 219\r\n")
	st.Resize(transport.Size{}, nil)
	ask("50 219\r\n")
	write(t, st, "\x04")
	drain(t, st)
	wantExit(t, st, 0)
}

func (s *suite) exitCodes(t *testing.T) {
	for script, code := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -KILL $$": 137} {
		st := s.open(t, s.request("sh", "-c", script))
		drain(t, st)
		wantExit(t, st, code)
	}
}

func (s *suite) outputAfterHalfClose(t *testing.T) {
	st := s.open(t, s.request("sh", "-c", "wc -c; echo err >&2; echo done; exit 3"))
	write(t, st, "12345")
	if err := st.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if o := drain(t, st); strings.TrimSpace(o.out()) != "5\ndone" || o.err() != "err\n" {
		t.Errorf("stdout %q, stderr %q", o.out(), o.err())
	}
	wantExit(t, st, 3)
}

func (s *suite) theNamedContainer(t *testing.T) {
	r := s.request("sh", "-c", "echo here")
	r.Container, r.Stdin = "side", false
	st := s.open(t, r)
	if o := drain(t, st); o.out() != "here\n" {
		t.Errorf("stdout %q", o.out())
	}
	wantExit(t, st, 0)
}

// unstartable is an exec whose command cannot be started: the runtime says so
// before or after the upgrade.
func (s *suite) unstartable(t *testing.T, r transport.Request) error {
	st, err := s.dial(t.Context(), s.cluster.Config, r)
	if err != nil {
		return err
	}
	defer st.Close()
	drain(t, st)
	return st.Result().Err
}

func (s *suite) commandNotFound(t *testing.T) {
	for _, tty := range []bool{false, true} {
		r := s.request("no-such-command")
		r.TTY = tty
		f := theFault(t, s.unstartable(t, r), fault.NoShell)
		if st, ok := f.Status.(*metav1.Status); !ok || st.Message == "" {
			t.Errorf("the runtime's own words are missing: %v", f.Status)
		}
	}
}

func (s *suite) podWithoutAShell(t *testing.T) {
	pod := s.cluster.Pod(t, s.ns, kubetest.Image("distroless"), kubetest.Command())
	r := s.request("sh")
	r.Pod, r.TTY = pod.Name, true
	wantFault(t, s.unstartable(t, r), fault.NoShell)
}

func (s *suite) forbidden(t *testing.T) {
	cfg := rest.CopyConfig(s.cluster.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: "nobody@example.com"}
	_, err := s.dial(t.Context(), cfg, s.request("sh"))
	f := theFault(t, err, fault.Forbidden)
	if st, ok := f.Status.(*metav1.Status); !ok || st.Reason != metav1.StatusReasonForbidden {
		t.Errorf("status %v", f.Status)
	}
}

func (s *suite) missing(t *testing.T) {
	noPod, noContainer := s.request("sh"), s.request("sh")
	noPod.Pod, noContainer.Container = "nowhere", "nowhere"
	_, err := s.dial(t.Context(), s.cluster.Config, noPod)
	wantFault(t, err, fault.NotFound)
	_, err = s.dial(t.Context(), s.cluster.Config, noContainer)
	wantFault(t, err, fault.Invalid)
}

// podDeleted: the end may be told as an exit code or as a lost stream, but it
// comes, and it is no success.
func (s *suite) podDeleted(t *testing.T) {
	pod := s.cluster.Pod(t, s.ns)
	r := s.request("sh", "-c", "echo up; sleep 3600")
	r.Pod = pod.Name
	st, o := s.open(t, r), &outputs{}
	o.await(t, st, "up\n")
	now := int64(0)
	err := s.cluster.Client.CoreV1().Pods(s.ns).Delete(t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	if err != nil {
		t.Fatal(err)
	}
	drain(t, st)
	res := st.Result()
	if res.Err == nil && (res.ExitCode == nil || *res.ExitCode == 0) || fault.KindOf(res.Err) == fault.Gone {
		t.Errorf("result %s", describe(res))
	}
	t.Logf("told as %s", describe(res))
}

func (s *suite) cancelledDial(t *testing.T) {
	cfg, net := s.through(t)
	net.SetAll(badnet.Faults{Hold: true})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	_, err := s.dial(ctx, cfg, s.request("sh"))
	wantFault(t, err, fault.Gone)
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

func (s *suite) closeWhileReadWaits(t *testing.T) {
	st := s.open(t, s.request("sh", "-c", "echo up; sleep 30"))
	o := &outputs{}
	o.await(t, st, "up")
	ended := make(chan error, 1)
	go func() {
		_, _, err := st.Read(make([]byte, 1))
		ended <- err
	}()
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("read: %v", err)
	}
	wantFault(t, st.Result().Err, fault.Gone)
	_, err := st.Write([]byte("x"))
	wantFault(t, err, fault.Gone)
}

// lastNumber makes 23 MB of numbers, one a line.
const lastNumber = 3_000_000

// numbers is the sum of these lines; making them costs more than reading them.
var numbers = sync.OnceValue(func() []byte {
	sum := sha256.New()
	lines := bufio.NewWriterSize(sum, 1<<16)
	var line []byte
	for n := int64(1); n <= lastNumber; n++ {
		line = append(strconv.AppendInt(line[:0], n, 10), '\n')
		_, _ = lines.Write(line) // a sum takes everything
	}
	_ = lines.Flush()
	return sum.Sum(nil)
})

// pausedReader reads nothing while much more output waits than all buffers on
// the way can take.
func (s *suite) pausedReader(t *testing.T) {
	want := numbers()
	st := s.open(t, s.request("seq", "1", fmt.Sprint(lastNumber)))
	if _, _, err := st.Read(make([]byte, 0)); err != nil {
		t.Errorf("read of nothing: %v", err)
	}
	time.Sleep(2 * time.Second) // the pause itself
	got := sha256.New()
	for p := make([]byte, 10_000); ; {
		n, _, err := st.Read(p)
		if err != nil {
			break
		}
		got.Write(p[:n])
	}
	if !bytes.Equal(got.Sum(nil), want) {
		t.Errorf("output differs")
	}
	wantExit(t, st, 0)
}

// unreadStdin: a program that does not read holds up Write, and nothing else.
func (s *suite) unreadStdin(t *testing.T) {
	r := s.request("sh", "-c", "echo up; sleep 3600")
	st, o := s.open(t, r), &outputs{}
	o.await(t, st, "up")
	wrote := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			_, err = st.Write(make([]byte, 1<<20))
		}
		wrote <- err
	}()
	select {
	case err := <-wrote:
		t.Errorf("write: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	began := time.Now()
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	wantFault(t, <-wrote, fault.Gone)
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("close took %v", d)
	}
}

// through leads to the cluster over a bad network.
func (s *suite) through(t *testing.T) (*rest.Config, *badnet.Proxy) {
	t.Helper()
	u, err := url.Parse(s.cluster.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	net := badnet.Start(t, u.Host)
	cfg := rest.CopyConfig(s.cluster.Config)
	cfg.Host = u.Scheme + "://" + net.Addr()
	cfg.ServerName = u.Hostname()
	return cfg, net
}

func (s *suite) cutConnection(t *testing.T) {
	for _, how := range []badnet.How{badnet.FIN, badnet.RST} {
		cfg, net := s.through(t)
		st, o := s.openVia(t, cfg, s.request("cat")), &outputs{}
		write(t, st, "there\n")
		o.await(t, st, "there\n")
		if n := net.Cut(how); n != 1 {
			t.Errorf("%d connections", n)
		}
		if rest := drain(t, st); rest.out() != "" {
			t.Errorf("output %q", rest.out())
		}
		wantFault(t, st.Result().Err, fault.ClusterUnreachable)
	}
}

func (s *suite) slicedConnection(t *testing.T) {
	cfg, net := s.through(t)
	st := s.openVia(t, cfg, s.request("cat"))
	net.SetAll(badnet.Faults{Slice: 7, Delay: 5 * time.Millisecond})
	data := randomBytes(50_000)
	go func() {
		_, _ = st.Write(data)
		_ = st.CloseWrite()
	}()
	if o := drain(t, st); o.out() != string(data) {
		t.Errorf("%d bytes came back differently", len(o.out()))
	}
	wantExit(t, st, 0)
}

// manyStreams opens and ends streams side by side in every way there is.
func (s *suite) manyStreams(t *testing.T) {
	for range 5 {
		t.Run("side by side", func(t *testing.T) {
			for range 8 {
				t.Run("stream", func(t *testing.T) {
					t.Parallel()
					st, o := s.open(t, s.request("cat")), &outputs{}
					write(t, st, "x\n")
					o.await(t, st, "x\n")
				})
			}
		})
	}
}
