package execclient

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/badnet"
	"github.com/periscope-console/periscope/internal/wsframe"
)

func wantExit7(t *testing.T, r Result, err error) {
	t.Helper()
	if err != nil || r.Reason != "completed" || r.ExitCode == nil || *r.ExitCode != 7 {
		t.Fatalf("ended with %+v, %v", r, err)
	}
}

func TestBothWays(t *testing.T) {
	f := &fake{output: noise(1 << 20), toEOF: true}
	c := f.start(t)
	var out bytes.Buffer
	sent := noise(1<<20 + 1)[1:]
	req := request(sent, &out)
	req.Container, req.Command, req.TTY, req.Size, req.Reason = "app", []string{"sh", "-c", "x"}, true, Size{100, 40}, "why"
	var hello Hello
	req.Events.Hello = func(h Hello) { hello = h }
	r, err := New(c, req).Run(t.Context())
	wantExit7(t, r, err)
	if !same(out.Bytes(), f.output) || !same(f.stdin, sent) || !f.eof {
		t.Errorf("%d bytes out, %d in, eof %v", out.Len(), len(f.stdin), f.eof)
	}
	o := f.opened
	if o.Container != "app" || len(o.Command) != 3 || !o.TTY || o.Cols != 100 || o.Rows != 40 || o.Reason != "why" || f.broken != "" {
		t.Errorf("opened %+v, broken %q", o, f.broken)
	}
	if hello.SessionID != "s" || hello.User != "ada" || !hello.Resumable {
		t.Errorf("hello %+v", hello)
	}
}

// TestCuts: the connection is cut 60 times and more while bytes go both ways, and all of
// them arrive once.
func TestCuts(t *testing.T) {
	const cuts = 60
	f := &fake{output: noise(16 << 20), expect: 1 << 20}
	server := httptest.NewServer(f)
	defer server.Close()
	proxy := badnet.Start(t, server.Listener.Addr().String())
	c := clientOf(t, "http://"+proxy.Addr())
	sent := noise(1 << 20)
	hash := &cutting{proxy: proxy, every: int64(len(f.output)) / (cuts + 10)}
	req := Request{Cluster: "c", Namespace: "n", Pod: "p", Stdout: hash}
	req.Stdin = &paced{sent: sent, out: hash, per: len(f.output) / len(sent)}
	var lost, back int
	req.Events = Events{
		Lost: func(error) { lost++ }, Back: func(whole bool) {
			if back++; !whole {
				t.Error("back without something")
			}
		},
		Gap: func(n int64, why string) { t.Errorf("a gap of %d bytes: %s", n, why) },
	}
	r, err := New(c, req).Run(t.Context())
	wantExit7(t, r, err)
	if !same(hash.Bytes(), f.output) || !same(f.stdin, sent) || f.broken != "" || f.opens != 1 {
		t.Errorf("%d bytes out, %d in, %d opens, broken %q", hash.Len(), len(f.stdin), f.opens, f.broken)
	}
	if lost < cuts || back != lost {
		t.Errorf("%d times lost, %d times back", lost, back)
	}
	t.Logf("%d cuts, %d times lost and back", hash.cuts, lost)
}

// cutting cuts the network now and then while it is written.
type cutting struct {
	bytes.Buffer
	proxy *badnet.Proxy
	every int64
	next  int64
	cuts  int
	total atomic.Int64
}

func (c *cutting) Write(p []byte) (int, error) {
	n, err := c.Buffer.Write(p)
	if total := c.total.Add(int64(n)); total >= c.next {
		c.next = total + c.every/2 + rand.Int64N(c.every/2)
		c.proxy.Cut(badnet.How(c.cuts % 2))
		c.cuts++
	}
	return n, err
}

// paced gives stdin as the output goes on, so that cuts meet both.
type paced struct {
	sent []byte
	out  *cutting
	per  int
	at   int
}

func (p *paced) Read(b []byte) (int, error) {
	if p.at == len(p.sent) {
		return 0, io.EOF
	}
	for int64(p.at*p.per) > p.out.total.Load() {
		time.Sleep(time.Millisecond) // paces the test; nothing depends on it
	}
	n := copy(b[:min(len(b), 5000)], p.sent[p.at:])
	p.at += n
	return n, nil
}

func TestGone(t *testing.T) {
	f := &fake{output: noise(1000), expect: 1, forget: true}
	server := httptest.NewServer(f)
	defer server.Close()
	proxy := badnet.Start(t, server.Listener.Addr().String())
	r, w := io.Pipe()
	defer w.Close()
	req := Request{Cluster: "c", Namespace: "n", Pod: "p", Stdin: r, Stdout: io.Discard}
	req.Events.Hello = func(Hello) { proxy.Cut(badnet.RST) }
	_, err := New(clientOf(t, "http://"+proxy.Addr()), req).Run(t.Context())
	var no *Refusal
	if !errors.Is(err, ErrGone) || !errors.As(err, &no) || no.RequestID != "r2" || no.SessionID != "s" || f.tries != 1 || f.opens != 1 {
		t.Errorf("%v; %d tries, %d opens", err, f.tries, f.opens)
	}
}

func TestWithoutResume(t *testing.T) {
	f := &fake{output: noise(1000), expect: 1, plain: true}
	server := httptest.NewServer(f)
	defer server.Close()
	proxy := badnet.Start(t, server.Listener.Addr().String())
	r, w := io.Pipe()
	defer w.Close()
	req := Request{Cluster: "c", Namespace: "n", Pod: "p", Stdin: r, Stdout: io.Discard}
	req.Events = Events{Hello: func(Hello) { proxy.Cut(badnet.RST) }, Lost: func(error) { t.Error("sought again") }}
	if _, err := New(clientOf(t, "http://"+proxy.Addr()), req).Run(t.Context()); !errors.Is(err, ErrNoResume) {
		t.Error(err)
	}
}

// TestGap: what the server has no more is told where it is missing.
func TestGap(t *testing.T) {
	f := &fake{output: noise(200_000), expect: 10}
	server := httptest.NewServer(f)
	defer server.Close()
	proxy := badnet.Start(t, server.Listener.Addr().String())
	in, typed := io.Pipe()
	var out bytes.Buffer
	req := Request{Cluster: "c", Namespace: "n", Pod: "p", Stdin: in}
	var before, missing int64
	var once sync.Once
	req.Stdout = writer(func(p []byte) (int, error) {
		once.Do(func() {
			f.mu.Lock()
			f.jump = 50_000
			f.mu.Unlock()
			proxy.Cut(badnet.RST)
		})
		return out.Write(p)
	})
	req.Events = Events{
		Gap: func(n int64, why string) {
			before, missing = int64(out.Len()), n
			if why != "buffer" {
				t.Errorf("why %q", why)
			}
		},
		Back: func(whole bool) {
			if whole {
				t.Error("back, and nothing is missing")
			}
			go typed.Write(make([]byte, 10))
		},
	}
	defer typed.Close()
	r, err := New(clientOf(t, "http://"+proxy.Addr()), req).Run(t.Context())
	wantExit7(t, r, err)
	want := append(bytes.Clone(f.output[:before]), f.output[before+missing:]...)
	if missing != 50_000 || !bytes.Equal(out.Bytes(), want) {
		t.Errorf("%d missing after %d, %d written", missing, before, out.Len())
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestResizeAndLeave(t *testing.T) {
	f := &fake{expect: 1}
	c := f.start(t)
	in, typed := io.Pipe()
	defer typed.Close()
	ctx, leave := context.WithCancelCause(t.Context())
	s := New(c, Request{Cluster: "c", Namespace: "n", Pod: "p", Stdin: in, Stdout: io.Discard, TTY: true, Size: Size{80, 24}})
	go func() {
		f.await(t, "opened", func() bool { return f.opens == 1 })
		s.Resize(Size{90, 30})
		f.await(t, "resized", func() bool { return len(f.sizes) == 1 })
		leave(errLeft)
	}()
	r, err := s.Run(ctx)
	if !errors.Is(err, errLeft) || r.Reason != "client_close" || f.sizes[0] != (Size{90, 30}) {
		t.Errorf("%+v, %v, sizes %v", r, err, f.sizes)
	}
}

// TestRedraw: whether the program is to draw anew is asked at each coming back.
func TestRedraw(t *testing.T) {
	f := &fake{expect: 3}
	server := httptest.NewServer(f)
	defer server.Close()
	proxy := badnet.Start(t, server.Listener.Addr().String())
	in, typed := io.Pipe()
	var asked atomic.Int64
	req := Request{Cluster: "c", Namespace: "n", Pod: "p", Stdin: in, Stdout: io.Discard, TTY: true, Size: Size{80, 24}}
	req.Redraw = func() bool { return asked.Add(1) == 2 }
	go func() {
		defer typed.Close()
		for n := 1; n <= 3; n++ { // whoever is lost before the server has heard anything is not waited for
			_, _ = typed.Write([]byte("x"))
			f.await(t, "taken", func() bool { return len(f.stdin) == n })
			if n < 3 {
				proxy.Cut(badnet.RST)
				f.await(t, "back", func() bool { return len(f.redrew) == n })
			}
		}
	}()
	r, err := New(clientOf(t, "http://"+proxy.Addr()), req).Run(t.Context())
	wantExit7(t, r, err)
	if fmt.Sprint(f.redrew) != "[false true]" {
		t.Errorf("asked to draw anew: %v", f.redrew)
	}
}

var errLeft = errors.New("left")

// TestOutputFails: a closed pipe ends the command, which the server is told.
func TestOutputFails(t *testing.T) {
	f := &fake{output: noise(4 << 20), expect: 1}
	c := f.start(t)
	in, typed := io.Pipe()
	defer typed.Close()
	broken := errors.New("broken pipe")
	req := Request{Cluster: "c", Namespace: "n", Pod: "p", Stdin: in, Stdout: writer(func([]byte) (int, error) { return 0, broken })}
	_, err := New(c, req).Run(t.Context())
	f.mu.Lock()
	defer f.mu.Unlock()
	if !errors.Is(err, ErrOutput) || !errors.Is(err, broken) || !f.closed {
		t.Errorf("%v, told %v", err, f.closed)
	}
}

// TestASlowWriter: what is not written is not acknowledged, and no more than a
// window waits.
func TestASlowWriter(t *testing.T) {
	f := &fake{output: noise(1 << 20)}
	c := f.start(t)
	hold := make(chan struct{})
	var out bytes.Buffer
	s := New(c, Request{Cluster: "c", Namespace: "n", Pod: "p", Stdout: writer(func(p []byte) (int, error) {
		<-hold
		return out.Write(p)
	})})
	go func() {
		defer close(hold)
		for deadline := time.Now().Add(10 * time.Second); s.out.waiting() < Window; {
			if time.Now().After(deadline) {
				t.Error("the window never filled")
				return
			}
			time.Sleep(time.Millisecond)
		}
		if f.mu.Lock(); f.acked != 0 {
			t.Errorf("%d bytes acknowledged that nobody has", f.acked)
		}
		f.mu.Unlock()
	}()
	r, err := s.Run(t.Context())
	wantExit7(t, r, err)
	if !same(out.Bytes(), f.output) {
		t.Errorf("%d bytes", out.Len())
	}
}

func (o *output) waiting() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.unacked
}

// TestAPanicIsTheCallers: whoever runs a session can put a terminal in order.
func TestAPanicIsTheCallers(t *testing.T) {
	f := &fake{output: noise(1000)}
	c := f.start(t)
	defer func() {
		if v := recover(); v == nil || !strings.Contains(v.(string), "no good") {
			t.Errorf("recovered %v", v)
		}
	}()
	_, _ = New(c, Request{Cluster: "c", Namespace: "n", Pod: "p", Stdout: writer(func([]byte) (int, error) { panic("no good") })}).Run(t.Context())
}

func TestRefusals(t *testing.T) {
	f := &fake{}
	c := f.start(t)
	bad := *c
	bad.Bearer = "psc_y"
	_, err := New(&bad, request(nil, &bytes.Buffer{})).Run(t.Context())
	var no *Refusal
	if !errors.As(err, &no) || no.Code != "E_UNAUTHENTICATED" || no.Message != "Who are you?" || no.RequestID != "r1" || no.Status != 401 {
		t.Errorf("by status: %v", err)
	}
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	defer elsewhere.Close()
	_, err = New(clientOf(t, elsewhere.URL), request(nil, &bytes.Buffer{})).Run(t.Context())
	if !errors.As(err, &no) || no.Status != 404 || !strings.Contains(no.Message, "not Periscope") {
		t.Errorf("another server: %v", err)
	}
	for _, name := range []string{"", "..", "."} {
		if _, err := New(c, Request{Cluster: "c", Namespace: name, Pod: "p"}).Run(t.Context()); err == nil || f.opens != 0 {
			t.Errorf("namespace %q: %v", name, err)
		}
	}
	if _, err := New(clientOf(t, "http://127.0.0.1:1"), request(nil, &bytes.Buffer{})).Run(t.Context()); err == nil {
		t.Error("nobody there, and no error")
	}
}

// TestPrivateAuthorityThroughAProxy: TLS by an authority of one's own, by an HTTP
// proxy that is asked to connect.
func TestPrivateAuthorityThroughAProxy(t *testing.T) {
	f := &fake{output: noise(300_000), expect: 5}
	server := httptest.NewTLSServer(f)
	defer server.Close()
	asked := make(chan struct{}, 10)
	var carried sync.WaitGroup
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Header.Get("Authorization") != "" {
			t.Errorf("the proxy got %s with %v", r.Method, r.Header)
		}
		up, err := net.Dial("tcp", r.Host)
		if err != nil {
			t.Error(err)
			return
		}
		down, _, _ := http.NewResponseController(w).Hijack()
		_, _ = io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
		carried.Go(func() { io.Copy(up, down); up.Close() })
		carried.Go(func() { io.Copy(down, up); down.Close() })
		asked <- struct{}{}
	}))
	defer proxy.Close()
	defer carried.Wait()
	c := clientOf(t, server.URL)
	var out bytes.Buffer
	if _, err := New(c, request([]byte("12345"), &out)).Run(t.Context()); err == nil {
		t.Error("an unknown authority is believed")
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	c.Proxy = http.ProxyURL(at)
	r, err := New(c, request([]byte("12345"), &out)).Run(t.Context())
	wantExit7(t, r, err)
	<-asked
	if len(asked) > 0 || !same(out.Bytes(), f.output) {
		t.Errorf("proxy asked %d times more, %d bytes", len(asked), out.Len())
	}
}

// TestSilence: a server that says nothing is given up after 25 s, and sought
// until it says that the shell is gone.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, typed := io.Pipe()
		var dials atomic.Int32
		c := clientOf(t, "http://x")
		c.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
		c.Dial = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			first := dials.Add(1) == 1
			go silent(t, theirs, first)
			return ours, nil
		}
		began := time.Now()
		var lost time.Duration
		var why error
		req := Request{Cluster: "c", Namespace: "n", Pod: "p", Stdin: in, Stdout: io.Discard}
		req.Events.Lost = func(err error) { lost, why = time.Since(began), err }
		_, err := New(c, req).Run(t.Context())
		typed.Close()
		synctest.Wait()
		if !errors.Is(err, ErrGone) || !errors.Is(why, errSilent) || lost < silence || lost > silence+2*time.Second || dials.Load() != 2 {
			t.Errorf("%v; lost after %v: %v; %d dials", err, lost, why, dials.Load())
		}
	})
}

// silent says hello and nothing else, or that there is nothing to come back to.
func silent(t *testing.T, conn net.Conn, first bool) {
	defer conn.Close()
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		t.Error(err)
		return
	}
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: " + Protocol +
		"\r\nSec-WebSocket-Accept: " + wsframe.AcceptKey(r.Header.Get("Sec-WebSocket-Key")) + "\r\n\r\n"
	_, _ = io.WriteString(conn, answer)
	go func() {
		text := `{"type":"hello","sessionId":"s","resumeToken":"t"}`
		if !first {
			text = `{"type":"error","code":"E_NOT_FOUND","message":"gone"}`
		}
		_, _ = conn.Write(append(wsframe.AppendHeader(nil, wsframe.Text, len(text)), text...))
		if !first {
			_, _ = conn.Write([]byte{0x88, 0})
		}
	}()
	_, _ = io.Copy(io.Discard, conn) // hears, and never answers
}

func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPause()
		most := firstDelay
		for range 12 {
			began := time.Now()
			if err := p.wait(t.Context()); err != nil || time.Since(began) > most {
				t.Errorf("%v of %v: %v", time.Since(began), most, err)
			}
			most = min(2*most, lastDelay)
		}
		if p.most != lastDelay {
			t.Errorf("grew to %v", p.most)
		}
	})
}

// TestUntrue: an account of the session that cannot be ends it, rather than to
// lose or double a byte.
func TestUntrue(t *testing.T) {
	in := newStdin()
	in.push([]byte("hello"))
	in.take(make([]byte, 3))
	if err := in.ack(4); !errors.Is(err, ErrUntrue) {
		t.Errorf("an ack of what was not sent: %v", err)
	}
	if err := in.ack(2); err != nil {
		t.Error(err)
	}
	for _, offset := range []int64{1, 6} {
		if err := in.attach(offset, StdinWindow); !errors.Is(err, ErrUntrue) || lost(err) {
			t.Errorf("stdin from %d on: %v", offset, err)
		}
	}
	p := make([]byte, 10)
	if err := in.attach(2, StdinWindow); err != nil {
		t.Error(err)
	} else if n, _ := in.take(p); string(p[:n]) != "llo" {
		t.Errorf("goes on with %q", p[:n])
	}
	o := newOutput()
	for err := error(nil); err == nil; err = o.push(make([]byte, 1000)) {
		if o.unacked > 2*Window {
			t.Fatal("holds more than two windows")
		}
	}
}
