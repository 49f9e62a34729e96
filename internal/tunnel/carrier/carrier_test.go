package carrier

import (
	"bytes"
	"context"
	"crypto/sha256"
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
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/periscope-console/periscope/internal/badnet"
	"github.com/periscope-console/periscope/internal/leak"
	"github.com/periscope-console/periscope/internal/wsframe"
)

func TestMain(m *testing.M) { leak.Main(m) }

// serve runs h behind TLS and returns a Dialer to it.
func serve(t *testing.T, h http.HandlerFunc) *Dialer {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.Scheme = "wss"
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &Dialer{URL: u, TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}}
}

// pair is both ends of one carrier.
func pair(t *testing.T, change ...func(*Dialer)) (client, server *Conn) {
	t.Helper()
	accepted := make(chan *Conn, 1)
	d := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r)
		if err != nil {
			t.Errorf("accept: %v", err)
		}
		accepted <- c
	})
	for _, f := range change {
		f(d)
	}
	client, err := d.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server = <-accepted
	t.Cleanup(func() {
		_ = client.Abort()
		_ = server.Abort()
	})
	return client, server
}

// send writes size bytes in writes of all sizes and returns their hash.
func send(t *testing.T, c io.Writer, size int) []byte {
	sum, r := sha256.New(), rand.NewChaCha8([32]byte{1})
	for left := size; left > 0; {
		p := make([]byte, min(left, 1+rand.IntN(200<<10)))
		_, _ = r.Read(p)
		sum.Write(p)
		before := bytes.Clone(p)
		if n, err := c.Write(p); err != nil || n != len(p) {
			t.Errorf("wrote %d of %d: %v", n, len(p), err)
			return nil
		}
		if !bytes.Equal(p, before) {
			t.Error("the caller's bytes were masked")
		}
		left -= len(p)
	}
	return sum.Sum(nil)
}

func receive(t *testing.T, c io.Reader, size int) []byte {
	sum := sha256.New()
	if n, err := io.CopyBuffer(sum, struct{ io.Reader }{io.LimitReader(c, int64(size))}, make([]byte, 1+rand.IntN(100<<10))); err != nil || n != int64(size) {
		t.Errorf("received %d of %d: %v", n, size, err)
	}
	return sum.Sum(nil)
}

func TestBytesBothWays(t *testing.T) {
	const size = 16 << 20
	client, server := pair(t)
	var all sync.WaitGroup
	for _, ends := range [][2]*Conn{{client, server}, {server, client}} {
		all.Go(func() {
			var sent, got []byte
			var both sync.WaitGroup
			both.Go(func() { sent = send(t, ends[0], size) })
			both.Go(func() { got = receive(t, ends[1], size) })
			both.Wait()
			if !bytes.Equal(sent, got) {
				t.Error("what came is not what was sent")
			}
		})
	}
	all.Wait()
}

func TestEverySliceOfTheSocket(t *testing.T) {
	for _, slice := range []int{1, 2, 3, 17} {
		client, server := pair(t, func(d *Dialer) {
			d.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := (&net.Dialer{}).DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return badnet.Chop(c, slice), nil
			}
		})
		const size = 40 << 10
		var writing sync.WaitGroup
		var up, down []byte
		writing.Go(func() { up = send(t, client, size) })
		writing.Go(func() { down = send(t, server, size) })
		if gotDown, gotUp := receive(t, client, size), receive(t, server, size); true {
			writing.Wait()
			if !bytes.Equal(up, gotUp) || !bytes.Equal(down, gotDown) {
				t.Errorf("slice %d: differs", slice)
			}
		}
	}
}

// TestWithAnotherImplementation: both ends speak the protocol, and not a dialect.
func TestWithAnotherImplementation(t *testing.T) {
	echoed := make(chan error, 1)
	d := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			echoed <- err
			return
		}
		c.SetReadLimit(-1)
		n := websocket.NetConn(r.Context(), c, websocket.MessageBinary)
		_, err = io.CopyN(n, n, 1<<20)
		if err == nil {
			pinged := make(chan error, 1)
			go func() { pinged <- c.Ping(r.Context()) }()
			_, _, _ = c.Reader(r.Context()) // the pong is read here
			err = <-pinged
		}
		echoed <- err
	})
	c, err := d.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	var sent []byte
	var writing sync.WaitGroup
	writing.Go(func() { sent = send(t, c, 1<<20) })
	got := receive(t, c, 1<<20)
	writing.Wait()
	if !bytes.Equal(sent, got) {
		t.Error("the echo differs")
	}
	_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if _, err := c.Write([]byte("x")); err != nil { // the message that ends its Reader
		t.Error(err)
	}
	if err := <-echoed; err != nil {
		t.Errorf("the peer: %v", err)
	}
}

func TestAcceptsAnotherImplementation(t *testing.T) {
	done := make(chan struct{})
	d := serve(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		c, err := Accept(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if _, err := io.CopyN(c, struct{ io.Reader }{c}, 1<<20); err != nil {
			t.Error(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("read past the end")
		}
	})
	at := *d.URL
	at.Scheme = "https"
	ws, _, err := websocket.Dial(t.Context(), at.String(), &websocket.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: d.TLS}}})
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	n := websocket.NetConn(t.Context(), ws, websocket.MessageBinary)
	var sent []byte
	var writing sync.WaitGroup
	writing.Go(func() { sent = send(t, n, 1<<20) })
	got := receive(t, n, 1<<20)
	writing.Wait()
	if !bytes.Equal(sent, got) {
		t.Error("the echo differs")
	}
	ctx := ws.CloseRead(t.Context())
	if err := ws.Ping(ctx); err != nil {
		t.Errorf("ping: %v", err)
	}
	_ = ws.CloseNow()
	<-done
}

func TestLeadAndBytesAreOneStretch(t *testing.T) {
	client, server := pair(t)
	for _, ends := range [][2]*Conn{{client, server}, {server, client}} {
		for _, size := range []int{0, 1, frameSize - 5, frameSize - 4, frameSize, 3*frameSize + 1} {
			p := bytes.Repeat([]byte("x"), size)
			go func() {
				if n, err := ends[0].WriteLead([]byte("lead:"), p); n != size || err != nil {
					t.Errorf("%d bytes: wrote %d, %v", size, n, err)
				}
			}()
			got := make([]byte, 5+size)
			if _, err := io.ReadFull(ends[1], got); err != nil || string(got) != "lead:"+string(p) {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
	}
	if _, err := client.WriteLead(make([]byte, maxLead+1), nil); err == nil {
		t.Error("a lead that is too long went out")
	}
}

func TestCloseIsSaid(t *testing.T) {
	client, server := pair(t)
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after a normal close: %v", err)
	}
	for _, c := range []*Conn{client, server} {
		_ = c.Close()
		if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write after close: %v", err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after close: %v", err)
		}
	}
}

// TestCloseWithReason: the words arrive although the peer has sent what nobody read.
func TestCloseWithReason(t *testing.T) {
	client, server := pair(t)
	if _, err := client.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := client.Read(make([]byte, 1))
		read <- err
		_ = client.Abort()
	}()
	_ = server.CloseWith(1008, "revoked"+strings.Repeat("é", 100))
	var closed *wsframe.CloseError
	if err := <-read; !errors.As(err, &closed) || closed.Code != 1008 || !strings.HasPrefix(closed.Reason, "revokedé") {
		t.Errorf("got %v", err)
	}
}

// TestCloseWaitsForNobody: neither a writer that is stuck nor a full socket.
func TestCloseWaitsForNobody(t *testing.T) {
	client, server := pair(t)
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			if _, err := client.Write(make([]byte, 1<<20)); err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("the stuck write: %v", err)
				}
				return
			}
		}
	})
	if _, err := io.ReadFull(server, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_ = client.Abort()
	writing.Wait()
	if d := time.Since(began); d > lastWords {
		t.Errorf("took %v", d)
	}
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{server}); err == nil {
		t.Error("an abort looks like a goodbye")
	}
}

func TestReadDeadlines(t *testing.T) {
	client, server := pair(t)
	for _, ends := range [][2]*Conn{{client, server}, {server, client}} {
		for range 20 {
			_ = ends[0].SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := ends[0].Read(make([]byte, 9)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
		}
		_ = ends[0].SetReadDeadline(time.Time{})
		go func() { _, _ = ends[1].Write([]byte("after")) }()
		p := make([]byte, 5)
		if _, err := io.ReadFull(ends[0], p); err != nil || string(p) != "after" {
			t.Errorf("%q %v", p, err)
		}
	}
}

// TestTheHandshakesContextIsNotTheCarriers.
func TestTheHandshakesContextIsNotTheCarriers(t *testing.T) {
	accepted := make(chan *Conn, 1)
	d := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, _ := Accept(w, r)
		accepted <- c
	})
	ctx, cancel := context.WithCancel(t.Context())
	client, err := d.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Abort()
	server := <-accepted
	defer server.Abort()
	cancel()
	go func() { _, _ = server.Write([]byte("still")) }()
	if _, err := io.ReadFull(client, make([]byte, 5)); err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	d := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Cluster") == "json" {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error":"E_FORBIDDEN","message":"The certificate is\nrevoked.","requestId":"r1"}`)
			return
		}
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, strings.Repeat("<html>", 1<<20))
	})
	d.Header = http.Header{"X-Cluster": {"json"}}
	var no *Refusal
	if _, err := d.Open(t.Context()); !errors.As(err, &no) || no.Status != 403 || no.Code != "E_FORBIDDEN" || no.Message != "The certificate is revoked." || no.RequestID != "r1" {
		t.Errorf("%v", err)
	}
	d.Header = nil
	if _, err := d.Open(t.Context()); !errors.As(err, &no) || no.Status != 502 || no.Code != "" || !strings.Contains(no.Error(), "not Periscope") {
		t.Errorf("%v", err)
	}
}

func TestAcceptRefusesWhatIsNoHandshake(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"plain":   func(r *http.Request) { r.Header.Del("Upgrade") },
		"method":  func(r *http.Request) { r.Method = http.MethodPost },
		"version": func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "12") },
		"key":     func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "short") },
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for k, v := range map[string]string{"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": wsframe.NewKey()} {
			r.Header.Set(k, v)
		}
		change(r)
		var bad wsframe.RequestError
		if _, err := Accept(httptest.NewRecorder(), r); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnlyTLS(t *testing.T) {
	for _, at := range []string{"ws://h/", "https://h/", "wss:///x"} {
		u, _ := url.Parse(at)
		if _, err := (&Dialer{URL: u}).Open(t.Context()); err == nil || !strings.Contains(err.Error(), "wss://") {
			t.Errorf("%s: %v", at, err)
		}
	}
	d := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a server that is not trusted was asked") })
	d.TLS = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "example.com"}
	var unknown x509.UnknownAuthorityError
	if _, err := d.Open(t.Context()); !errors.As(err, &unknown) {
		t.Errorf("an unknown authority: %v", err)
	}
}

// TestAHandshakeIsBounded: against a network that takes bytes and gives none.
func TestAHandshakeIsBounded(t *testing.T) {
	d := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = Accept(w, r) })
	p := badnet.Start(t, d.URL.Host)
	p.Set(badnet.Down, badnet.Faults{Hold: true})
	d.URL.Host = p.Addr()
	d.Timeout = 100 * time.Millisecond
	if _, err := d.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "no answer to the handshake in 100ms") {
		t.Errorf("%v", err)
	}
}

func TestThroughAProxy(t *testing.T) {
	var tunnels sync.WaitGroup
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			t.Errorf("%s %s", r.Method, r.URL)
			return
		}
		target, err := net.Dial("tcp", r.Host)
		if err != nil {
			t.Error(err)
			return
		}
		w.WriteHeader(http.StatusOK)
		nc, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		tunnels.Go(func() {
			_, _ = io.Copy(target, buffered) // the first bytes may be there already
			_ = target.Close()
		})
		tunnels.Go(func() {
			_, _ = io.Copy(nc, target)
			_ = nc.Close()
		})
	}))
	t.Cleanup(func() { proxy.Close(); tunnels.Wait() })
	via, _ := url.Parse(proxy.URL)
	client, server := pair(t, func(d *Dialer) { d.Proxy = http.ProxyURL(via) })
	go func() { _, _ = client.Write([]byte("through")) }()
	p := make([]byte, 7)
	if _, err := io.ReadFull(server, p); err != nil || string(p) != "through" {
		t.Errorf("%q %v", p, err)
	}
	if client.ConnectionState() == nil || server.ConnectionState() == nil {
		t.Error("no TLS state")
	}
	if _, ok := client.NetConn().(*net.TCPConn); !ok {
		t.Errorf("the socket is a %T", client.NetConn())
	}
}

// TestBytesThatCameWithTheRequest are the first to be read.
func TestBytesThatCameWithTheRequest(t *testing.T) {
	read := make(chan string, 1)
	d := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Abort()
		p := make([]byte, 10)
		_, err = io.ReadFull(c, p)
		read <- fmt.Sprintf("%s %v", p, err)
	})
	nc, err := tls.Dial("tcp", d.URL.Host, d.TLS)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	request := "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + wsframe.NewKey() + "\r\n\r\n"
	if _, err := nc.Write(wsframe.Append([]byte(request), wsframe.Binary, nil, []byte("early"))); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Write(wsframe.Append(nil, wsframe.Binary, nil, []byte(" late"))); err != nil {
		t.Fatal(err)
	}
	if got := <-read; got != "early late <nil>" {
		t.Error(got)
	}
}

// TestAWriteDeadlineEndsACarrier: half a frame cannot be called back.
func TestAWriteDeadlineEndsACarrier(t *testing.T) {
	client, server := pair(t)
	_ = client.SetDeadline(time.Now().Add(50 * time.Millisecond))
	var err error
	for err == nil {
		_, err = client.Write(make([]byte, 1<<20))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	_ = client.SetDeadline(time.Time{})
	if _, again := client.Write([]byte("x")); again == nil {
		t.Error("written after half a frame")
	}
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{server}); err == nil {
		t.Error("the peer saw a clean end")
	}
	if client.LocalAddr().String() != server.RemoteAddr().String() {
		t.Errorf("%v is not %v", client.LocalAddr(), server.RemoteAddr())
	}
}

// TestGarbageEndsACarrier: text, frames without a mask, an endless length.
func TestGarbageEndsACarrier(t *testing.T) {
	for name, raw := range map[string]string{"text": "\x81\x85\x00\x00\x00\x00hello", "unmasked": "\x82\x01x", "random": "GET / HTTP/1.1\r\n\r\n"} {
		client, server := pair(t)
		if _, err := client.stream.Write([]byte(raw)); err != nil {
			t.Fatal(err)
		}
		var rule wsframe.ProtocolError
		if _, err := server.Read(make([]byte, 10)); !errors.As(err, &rule) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
