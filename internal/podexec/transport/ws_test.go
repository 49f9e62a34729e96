package transport

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/badnet"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/wsframe"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

var (
	shell  = Request{Namespace: "ns", Pod: "pod", Container: "c", Command: []string{"sh"}, Stdin: true, TTY: true, Size: Size{Cols: 80, Rows: 24}}
	script = Request{Namespace: "ns", Pod: "pod", Container: "c", Command: []string{"sh", "-c", "exit"}, Stdin: true}
)

const (
	success = `{"status":"Success"}`
	exit7   = `{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}`
)

func open(t *testing.T, cfg *rest.Config, req Request) Stream {
	t.Helper()
	s, err := New(WebSocket).Dial(context.Background(), cfg, req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// drain reads to the end with a buffer of the given size.
func drain(t *testing.T, s Stream, room int) (out, errs string) {
	t.Helper()
	var got [3]bytes.Buffer
	p := make([]byte, room)
	for {
		n, ch, err := s.Read(p)
		if errors.Is(err, io.EOF) {
			return got[Stdout].String(), got[Stderr].String()
		}
		if err != nil || n == 0 {
			t.Fatalf("%d bytes, error %v", n, err)
		}
		got[ch].Write(p[:n])
	}
}

func wantExit(t *testing.T, s Stream, code int) {
	t.Helper()
	if r := s.Result(); r.Err != nil || r.ExitCode == nil || *r.ExitCode != code {
		t.Errorf("result %+v, want exit code %d", r, code)
	}
}

func wantFault(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != kind {
		t.Errorf("got %v, want a fault %v", err, kind)
	} else if !strings.Contains(strings.TrimSuffix(f.Public, "."), " ") || !strings.HasSuffix(f.Public, ".") {
		t.Errorf("public words %q are no sentence", f.Public)
	}
}

// untilGone reads the client's frames until it has gone, so that it can say goodbye.
func (p *peer) untilGone() {
	for op := wsframe.Binary; op != 0; {
		op, _ = p.hear()
	}
}

func TestEcho(t *testing.T) {
	cfg := scripted(t, func(p *peer) {
		op, size := p.hear()
		if op != wsframe.Binary || string(size) != "\x04"+`{"Width":80,"Height":24}` {
			t.Errorf("first message %d %q is not the size", op, size)
		}
		_, in := p.hear()
		p.say(1, string(in[1:]))
		if _, again := p.hear(); string(again) != string(size) {
			t.Errorf("after the first output came %q, not the size again", again)
		}
		p.status(exit7)
		p.bye(1000)
		p.untilGone()
	})
	s := open(t, cfg, shell)
	if _, err := io.WriteString(s, "hello"); err != nil {
		t.Fatal(err)
	}
	if out, _ := drain(t, s, 100); out != "hello" {
		t.Errorf("out %q", out)
	}
	wantExit(t, s, 7)
	if _, _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

func TestStatusMayComeBeforeTheLastOutput(t *testing.T) {
	cfg := scripted(t, func(p *peer) {
		p.say(1, "one ")
		p.raw(frame(byte(wsframe.Binary), "\x03"+exit7[:20]) + frame(0x80, exit7[20:]))
		p.say(2, "err")
		p.say(1, "two")
		p.bye(1000)
		p.untilGone()
	})
	s := open(t, cfg, script)
	if out, errs := drain(t, s, 100); out != "one two" || errs != "err" {
		t.Errorf("out %q, errs %q", out, errs)
	}
	wantExit(t, s, 7)
}

// TestOutputUnderEverySplit sends one stream whole, in single bytes, and in
// odd pieces, and reads it into buffers of many sizes.
func TestOutputUnderEverySplit(t *testing.T) {
	// long has a length of eight bytes, and is more than any buffer holds.
	long, short := strings.Repeat("0123456789", 7_000), strings.Repeat("0123456789", 700)
	stream := func(big string) string {
		return frame(0x82, "\x01") + frame(0x82, "\x01a") + frame(0x82, "\x01b") + frame(0x02, "\x01c") + frame(0x89, "ping") + frame(0x80, "d") +
			frame(0x82, "\x02E") + frame(0x82, "\x01"+big) + frame(0x82, "\x63unknown channel") + frame(0x82, "") +
			frame(0x82, "\x03"+success) + frame(0x88, "\x03\xe8")
	}
	for _, step := range []int{1, 3, 4096, 1 << 20} {
		for _, room := range []int{1, 5, 4096, 32 << 10} {
			if step == 1 && room != 5 {
				continue // single bytes are slow, and the buffer decides nothing
			}
			big := long
			if step == 3 {
				big = short // as slow; single bytes take the long one to pieces
			}
			t.Run(fmt.Sprintf("step %d room %d", step, room), func(t *testing.T) {
				cfg := scripted(t, func(p *peer) {
					_, _ = io.WriteString(badnet.Chop(p.Conn, step), stream(big))
					p.untilGone()
				})
				cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					c, err := (&net.Dialer{}).DialContext(ctx, network, address)
					return badnet.Chop(c, step), err
				}
				s := open(t, cfg, script)
				if out, errs := drain(t, s, room); out != "abcd"+big || errs != "E" {
					t.Errorf("out %d bytes, errs %q", len(out), errs)
				}
				wantExit(t, s, 0)
			})
		}
	}
}

// TestTinyFramesAreJoined: each of the server's writes is a TLS record of its
// own, as when a program prints two bytes at a time.
func TestTinyFramesAreJoined(t *testing.T) {
	const frames = 2000
	sent := make(chan struct{})
	cfg := scripted(t, func(p *peer) {
		for range frames {
			p.say(1, "y\n")
		}
		close(sent)
		p.status(success)
		p.bye(1000)
		p.untilGone()
	})
	s := open(t, cfg, script)
	<-sent
	reads, total := 0, 0
	for p := make([]byte, 32<<10); ; reads++ {
		n, _, err := s.Read(p)
		if err != nil {
			break
		}
		total += n
	}
	if total != 2*frames || reads > frames/15 {
		t.Errorf("%d bytes in %d reads", total, reads)
	}
}

func TestBrokenRules(t *testing.T) {
	for name, bytes := range map[string]string{
		"text": frame(0x81, "hello"), "masked": "\x82\x81....x", "reserved bits": frame(0xc2, "x"),
		"bad status": frame(0x82, "\x03nonsense") + frame(0x88, "\x03\xe8"),
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, scripted(t, func(p *peer) {
				p.say(1, "before")
				p.raw(bytes)
				p.untilGone()
			}), script)
			if out, _ := drain(t, s, 100); out != "before" {
				t.Errorf("out %q", out)
			}
			wantFault(t, s.Result().Err, fault.ClusterUnreachable)
			if !errors.Is(s.Result().Err, ErrUnreadable) {
				t.Errorf("%v does not say that it was an answer", s.Result().Err)
			}
		})
	}
}

func TestLostConnections(t *testing.T) {
	for name, end := range map[string]func(p *peer){
		"cut":                     func(*peer) {},
		"cut in a header":         func(p *peer) { p.raw("\x82") },
		"cut in a frame":          func(p *peer) { p.raw("\x82\x05\x01") },
		"cut in the status":       func(p *peer) { p.raw(frame(0x02, "\x03"+exit7[:30])) },
		"closed without a status": func(p *peer) { p.bye(1000) },
		"closed in trouble":       func(p *peer) { p.bye(1011) },
		"reset": func(p *peer) {
			_ = p.tcp().SetLinger(0)
			_ = p.tcp().Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, scripted(t, func(p *peer) {
				p.say(1, "x")
				// The answer shows that "x" was read, not overtaken by a reset.
				p.hear()
				end(p)
			}), script)
			p := make([]byte, 10)
			if n, _, err := s.Read(p); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			_, _ = s.Write([]byte("go"))
			if _, _, err := s.Read(p); !errors.Is(err, io.EOF) {
				t.Errorf("read: %v", err)
			}
			wantFault(t, s.Result().Err, fault.ClusterUnreachable)
		})
	}
}

func TestStatusThenCutIsAnEnd(t *testing.T) {
	s := open(t, scripted(t, func(p *peer) { p.status(exit7) }), script)
	drain(t, s, 10)
	wantExit(t, s, 7)
}

func TestStdinIsCutIntoFrames(t *testing.T) {
	want := make([]byte, 1<<20+17)
	for i := range want {
		want[i] = byte(rand.Uint32())
	}
	got := make(chan []byte, 1)
	s := open(t, scripted(t, func(p *peer) {
		var all []byte
		for {
			op, m := p.hear()
			if op != wsframe.Binary || m[0] == streamClose {
				break
			}
			if m[0] != 0 || len(m) > stdinFrame+1 {
				t.Errorf("channel %d, %d bytes", m[0], len(m))
			}
			all = append(all, m[1:]...)
		}
		got <- all
		p.status(success)
		p.bye(1000)
		p.untilGone()
	}), script)
	if n, err := s.Write(want); n != len(want) || err != nil {
		t.Fatal(n, err)
	}
	for range 2 { // the second does nothing
		if err := s.CloseWrite(); err != nil {
			t.Error(err)
		}
	}
	if !bytes.Equal(<-got, want) {
		t.Error("stdin differs")
	}
	_, err := s.Write([]byte("x"))
	wantFault(t, err, fault.Invalid)
	drain(t, s, 10)
}

func TestNoStdin(t *testing.T) {
	req := script
	req.Stdin = false
	s := open(t, scripted(t, func(p *peer) {
		if q := p.req.URL.Query(); q.Get("stdin") != "false" || q.Get("stderr") != "true" || q.Get("tty") != "false" {
			t.Errorf("query %v", q)
		}
		p.untilGone()
	}), req)
	_, err := s.Write([]byte("x"))
	wantFault(t, err, fault.Invalid)
	if err := s.CloseWrite(); err != nil {
		t.Error(err)
	}
}

// TestAFullSocketHoldsNothingUpButStdin: the server does not read, so Write
// blocks; Resize, Read and Close do not.
func TestAFullSocketHoldsNothingUpButStdin(t *testing.T) {
	release := make(chan struct{})
	sizes := make(chan string, 100)
	s := open(t, scripted(t, func(p *peer) {
		p.hear() // the first size
		p.raw(frame(0x89, "are you there"))
		p.say(1, "still reading")
		<-release
		for stdin := 0; ; {
			op, m := p.hear()
			switch {
			case op == 0:
				return
			case op == wsframe.Pong:
				sizes <- "pong"
			case op == wsframe.Binary && m[0] == 4:
				sizes <- fmt.Sprint(string(m[1:]), " after ", stdin)
			default:
				stdin += len(m)
			}
		}
	}), shell)
	const all = 16 << 20
	wrote := make(chan error, 1)
	go func() {
		_, err := s.Write(make([]byte, all))
		wrote <- err
	}()
	if n, _, err := s.Read(make([]byte, 100)); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	select {
	case err := <-wrote:
		t.Fatalf("16 MiB went into a socket that nobody reads: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	sent := make(chan int, 50)
	for i := range 50 {
		s.Resize(Size{Cols: uint16(100 + i), Rows: 30}, func() { sent <- i })
	}
	if len(sent) > 0 {
		t.Error("a size is said to be on its way while nothing is")
	}
	close(release)
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	if i := <-sent; i != 49 || len(sent) > 0 {
		t.Errorf("size %d and %d others were said to be sent", i, len(sent))
	}
	seen := map[string]bool{}
	for !seen[`{"Width":149,"Height":30}`] {
		msg, _, _ := strings.Cut(<-sizes, " after ")
		seen[msg] = true
	}
	if seen[`{"Width":148,"Height":30}`] || !seen["pong"] {
		t.Errorf("went out: %v", seen)
	}
}

func TestCloseUnblocksReadAndWrite(t *testing.T) {
	over := make(chan struct{})
	s := open(t, scripted(t, func(*peer) { <-over }), script)
	defer close(over)
	wrote, read := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.Write(make([]byte, 32<<20))
		wrote <- err
	}()
	go func() {
		_, _, err := s.Read(make([]byte, 1))
		read <- err
	}()
	time.Sleep(50 * time.Millisecond) // lets both block; passes either way
	began := time.Now()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	wantFault(t, <-wrote, fault.Gone)
	if err := <-read; !errors.Is(err, io.EOF) {
		t.Errorf("read: %v", err)
	}
	wantFault(t, s.Result().Err, fault.Gone)
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("close took %v", d)
	}
	s.Resize(Size{1, 1}, nil)
}
