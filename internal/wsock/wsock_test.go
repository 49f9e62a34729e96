package wsock

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/periscope-console/periscope/internal/badnet"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/leak"
	"github.com/periscope-console/periscope/internal/wsframe"
)

func TestMain(m *testing.M) { leak.Main(m) }

const limit = 100_000

// serve starts a server that hands each accepted connection to use.
func serve(t *testing.T, tls bool, use func(*Conn)) string {
	t.Helper()
	done := make(chan struct{}, 100)
	begun := 0
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "kept")
		c, err := Accept(w, r, "", limit)
		if err != nil {
			http.Error(w, fault.PublicOf(err), http.StatusBadRequest)
			return
		}
		begun++
		go func() {
			defer func() { done <- struct{}{} }()
			defer c.Abort()
			use(c)
		}()
	}))
	if tls {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(func() {
		srv.Close()
		for range begun {
			<-done
		}
	})
	client = srv.Client()
	return srv.URL
}

// client trusts the newest server.
var client *http.Client

func dial(t *testing.T, url string, o *websocket.DialOptions) *websocket.Conn {
	t.Helper()
	if o == nil {
		o = &websocket.DialOptions{}
	}
	o.HTTPClient = client
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ws, answer, err := websocket.Dial(ctx, url, o)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Header.Get("X-Request-Id") != "kept" {
		t.Error("the answer lost a header")
	}
	ws.SetReadLimit(-1)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

func echo(c *Conn) {
	for {
		binary, p, err := c.Read()
		if err != nil || c.Write(binary, p) != nil {
			return
		}
	}
}

func TestEcho(t *testing.T) {
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls %v", tls), func(t *testing.T) {
			ctx := context.Background()
			ws := dial(t, serve(t, tls, echo), nil)
			for i, size := range []int{0, 1, 125, 126, 511, 512, 513, smallFrame, smallFrame + 1, bigMessage, bigMessage + 1, limit, 3, 65535, 65536} {
				kind := websocket.MessageType(1 + i%2)
				sent := bytes.Repeat([]byte("p"), size)
				if err := ws.Write(ctx, kind, sent); err != nil {
					t.Fatal(err)
				}
				if k, got, err := ws.Read(ctx); err != nil || k != kind || !bytes.Equal(got, sent) {
					t.Fatalf("size %d: kind %v, %d bytes, %v", size, k, len(got), err)
				}
			}
		})
	}
}

func TestSlicedToSingleBytes(t *testing.T) {
	url := serve(t, false, echo)
	nc, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := badnet.Chop(nc, 1)
	// The first frames come with the request itself.
	fmt.Fprintf(nc, "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n%s",
		wsframe.Append(nil, wsframe.Binary, nil, []byte("early")))
	first := wsframe.Append(nil, wsframe.Text, nil, []byte("in two "))
	first[0] &^= 0x80
	rest := wsframe.Append(first, wsframe.Ping, nil, []byte("mid"))
	rest = wsframe.Append(rest, wsframe.Continuation, nil, []byte("pieces"))
	if _, err := c.Write(rest); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(nc)
	answer, err := http.ReadResponse(r, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Sec-Websocket-Accept") != wsframe.AcceptKey("AAAAAAAAAAAAAAAAAAAAAA==") {
		t.Fatalf("answer %v, %v", answer, err)
	}
	want := map[string]bool{"\x82\x05early": true, "\x8a\x03mid": true, "\x81\x0din two pieces": true}
	for range 3 {
		head, err := r.Peek(2)
		if err != nil {
			t.Fatal(err)
		}
		frame := make([]byte, 2+int(head[1]))
		if _, err := io.ReadFull(r, frame); err != nil || !want[string(frame)] {
			t.Errorf("frame %q, %v", frame, err)
		}
		delete(want, string(frame))
	}
}

func TestHandshakesRefused(t *testing.T) {
	url := serve(t, false, echo)
	good := map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
	}
	for name, change := range map[string][2]string{
		"no upgrade":  {"Upgrade", ""},
		"other":       {"Upgrade", "h2c"},
		"connection":  {"Connection", "close"},
		"version":     {"Sec-WebSocket-Version", "8"},
		"no key":      {"Sec-WebSocket-Key", ""},
		"short key":   {"Sec-WebSocket-Key", "AAAA"},
		"garbage key": {"Sec-WebSocket-Key", "!!!!"},
	} {
		req, _ := http.NewRequest(http.MethodGet, url, nil)
		for k, v := range good {
			req.Header.Set(k, v)
		}
		req.Header.Set(change[0], change[1])
		answer, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusBadRequest || answer.Header.Get("Sec-WebSocket-Version") != "13" || !strings.Contains(string(body), "Use a") {
			t.Errorf("%s: %d %q", name, answer.StatusCode, body)
		}
	}
	client.CloseIdleConnections()
}

func TestReadSaysHowItEnds(t *testing.T) {
	raw := func(b []byte) func(*testing.T, net.Conn) {
		return func(t *testing.T, nc net.Conn) {
			if _, err := nc.Write(b); err != nil {
				t.Error(err)
			}
		}
	}
	var rule wsframe.ProtocolError
	var closed *wsframe.CloseError
	for name, tt := range map[string]struct {
		do func(*testing.T, net.Conn)
		is func(error) bool
	}{
		"too big":   {raw(wsframe.Append(nil, wsframe.Binary, nil, make([]byte, limit+1))), func(err error) bool { return errors.Is(err, ErrTooBig) }},
		"unmasked":  {raw([]byte("\x82\x01x")), func(err error) bool { return errors.As(err, &rule) }},
		"not UTF-8": {raw(wsframe.Append(nil, wsframe.Text, nil, []byte("\xff"))), func(err error) bool { return errors.As(err, &rule) }},
		"closed":    {raw(wsframe.Append(nil, wsframe.Close, nil, []byte("\x03\xe9"))), func(err error) bool { return errors.As(err, &closed) }},
		"cut":       {func(_ *testing.T, nc net.Conn) { _ = nc.Close() }, func(err error) bool { return errors.Is(err, io.EOF) }},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan error, 1)
			url := serve(t, false, func(c *Conn) {
				_, _, err := c.Read()
				got <- err
				if name != "cut" {
					if err := c.Write(false, []byte("why")); err != nil {
						t.Error(err)
					}
				}
				c.Close(1008, "refused")
			})
			nc := upgrade(t, url)
			tt.do(t, nc)
			if err := <-got; !tt.is(err) {
				t.Errorf("read: %v", err)
			}
			if name == "cut" {
				return
			}
			want := "\x81\x03why\x88\x09\x03\xf0refused"
			frames := make([]byte, len(want))
			if _, err := io.ReadFull(nc, frames); err != nil || string(frames) != want {
				t.Errorf("last words %q, %v", frames, err)
			}
		})
	}
}

// upgrade is a connection after its handshake.
func upgrade(t *testing.T, url string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	var head []byte
	for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, one...) {
		if _, err := nc.Read(one); err != nil {
			t.Fatal(err)
		}
	}
	return nc
}

// TestReadingGoesOnWhileNothingIsTaken: the peer takes nothing in and sends
// pings; the reader reads on, and one goroutine is all that the pings cost.
func TestReadingGoesOnWhileNothingIsTaken(t *testing.T) {
	read := make(chan string, 1)
	nc := upgrade(t, serve(t, false, func(c *Conn) {
		wrote := make(chan struct{})
		go func() {
			defer close(wrote)
			for c.Write(true, make([]byte, bigMessage)) == nil {
			}
		}()
		_, p, err := c.Read()
		read <- fmt.Sprint(string(p), err)
		c.Abort()
		<-wrote
	}))
	for range 1000 {
		if _, err := nc.Write(wsframe.Append(nil, wsframe.Ping, nil, []byte("there?"))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := nc.Write(wsframe.Append(nil, wsframe.Binary, nil, []byte("^C"))); err != nil {
		t.Fatal(err)
	}
	if got := <-read; got != "^C<nil>" {
		t.Errorf("read %q", got)
	}
}

func TestCloseWaitsForThePeerAndNotForEver(t *testing.T) {
	took := make(chan time.Duration, 1)
	url := serve(t, false, func(c *Conn) {
		begun := time.Now()
		c.Close(1000, strings.Repeat("long", 100))
		took <- time.Since(begun)
		if err := c.Write(true, []byte("x")); !errors.Is(err, ErrClosed) {
			t.Errorf("a write after Close: %v", err)
		}
	})
	ws := dial(t, url, nil)
	_, _, err := ws.Read(context.Background())
	if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("the client saw %v", err)
	}
	if d := <-took; d >= closeWait {
		t.Errorf("a peer that answers was waited for %v", d)
	}
	deaf := upgrade(t, url)
	defer deaf.Close()
	if d := <-took; d < closeWait/2 || d > 2*closeWait {
		t.Errorf("a peer that does not answer was waited for %v", d)
	}
}

// TestCloseWhileReading: the reader of a connection learns of the end.
func TestCloseWhileReading(t *testing.T) {
	ended := make(chan error, 1)
	url := serve(t, false, func(c *Conn) {
		go func() {
			for {
				if _, _, err := c.Read(); err != nil {
					ended <- err
					return
				}
			}
		}()
		c.Close(1000, "")
	})
	ws := dial(t, url, nil)
	_, _, _ = ws.Read(context.Background())
	if err := <-ended; err == nil {
		t.Error("no error")
	}
}

// TestCloseLeavesTheLastMessage: what Read returned is its reader's, though what
// comes after it is thrown away.
func TestCloseLeavesTheLastMessage(t *testing.T) {
	kept := make(chan string, 1)
	url := serve(t, false, func(c *Conn) {
		_, p, err := c.Read()
		if err != nil {
			t.Error(err)
		}
		c.Close(1000, "")
		kept <- string(p)
		if _, _, err := c.Read(); !errors.Is(err, ErrClosed) {
			t.Errorf("a read after Close: %v", err)
		}
	})
	for _, size := range []int{10, smallMessage + 1, bigMessage + 1} {
		ws := dial(t, url, nil)
		for _, letter := range []string{"a", "b"} {
			if err := ws.Write(context.Background(), websocket.MessageText, []byte(strings.Repeat(letter, size))); err != nil {
				t.Fatal(err)
			}
		}
		_, _, _ = ws.Read(context.Background())
		if got := <-kept; got != strings.Repeat("a", size) {
			t.Errorf("of a message of %d bytes, %d remained", size, strings.Count(got, "a"))
		}
	}
}

func TestPingAndSilence(t *testing.T) {
	heard := make(chan bool, 1)
	url := serve(t, false, func(c *Conn) {
		c.heard.Store(-int64(time.Hour))
		if c.Silence() < time.Hour {
			t.Error("the silence is not counted")
		}
		if err := c.Ping(); err != nil {
			t.Error(err)
		}
		_, _, _ = c.Read() // the pong, then the end
		heard <- c.Silence() < time.Hour
	})
	ws := dial(t, url, nil)
	go func() { _, _, _ = ws.Read(context.Background()) }()
	_, _ = ws, ws.Ping(context.Background())
	_ = ws.CloseNow()
	if !<-heard {
		t.Error("what came did not break the silence")
	}
}

// TestRoom: a new connection takes a small message at once, and one whose peer
// reads nothing does not.
func TestRoom(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux is asked")
	}
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls %v", tls), func(t *testing.T) {
			room := make(chan bool, 2)
			_ = dial(t, serve(t, tls, func(c *Conn) {
				room <- c.HasRoom()
				filled := time.AfterFunc(100*time.Millisecond, func() { _ = c.nc.SetWriteDeadline(time.Now()) })
				defer filled.Stop()
				for c.Write(true, make([]byte, bigMessage)) == nil {
				}
				room <- c.HasRoom()
				c.Abort()
			}), nil)
			if first, full := <-room, <-room; !first || full {
				t.Errorf("room in a new connection: %v, in a full one: %v", first, full)
			}
		})
	}
}

func TestIdleHoldsLittle(t *testing.T) {
	c := newConn(nil, nil, limit)
	if got := cap(c.small) + wsframe.ClientAhead + cap(c.frame); got > 2<<10 {
		t.Errorf("%d bytes of buffers", got)
	}
	c.grow()
	c.grow()
	c.shrink()
	if len(c.buf) != smallMessage || c.pooled != nil {
		t.Errorf("a connection that waits holds a buffer of %d bytes", len(c.buf))
	}
}
