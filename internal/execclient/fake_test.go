package execclient

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/periscope-console/periscope/internal/leak"
	"github.com/periscope-console/periscope/internal/wsock"
)

func TestMain(m *testing.M) { leak.Main(m) }

const secret = "0123456789abcdef"

// fake is a server with one session, whose output is given and whose stdin is
// kept. It holds both windows to the byte.
type fake struct {
	output []byte
	expect int  // bytes of stdin after which, and after all output, it ends
	toEOF  bool // and after stdin's end
	plain  bool // no resume token
	forget bool // no session to come back to
	jump   int64

	mu     sync.Mutex
	conn   *wsock.Conn // what is attached
	news   chan struct{}
	stdin  []byte
	eof    bool
	acked  int64
	sizes  []Size
	opened frameIn
	redrew []bool // of each attach: whether the program is to draw anew
	opens  int
	tries  int
	broken string // a rule that the client broke
	closed bool   // the client asked for the end
}

type frameIn struct {
	Type, Container, Reason, SessionID, ResumeToken string
	Command                                         []string
	TTY, Redraw                                     bool
	Cols, Rows                                      int
	Offset                                          int64
	ID                                              json.RawMessage
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer psc_x" || r.URL.Path != "/api/clusters/c/pods/n/p/exec" {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"E_UNAUTHENTICATED","message":"Who are you?","requestId":"r1"}`))
		return
	}
	conn, err := wsock.Accept(w, r, Protocol, 1<<20)
	if err != nil {
		return
	}
	defer conn.Abort()
	_, text, err := conn.Read()
	if err != nil {
		return
	}
	var first frameIn
	if json.Unmarshal(text, &first) != nil {
		return
	}
	if offset, ok := f.admit(conn, first); ok {
		f.serve(conn, offset)
	} else {
		say(conn, map[string]any{"type": "error", "code": "E_NOT_FOUND", "message": "There is no such shell.", "requestId": "r2"})
		say(conn, map[string]any{"type": "closed", "reason": "refused", "message": "There is no such shell."})
		conn.Close(1008, "refused")
	}
}

// admit makes conn the one that is attached and answers with hello.
func (f *fake) admit(conn *wsock.Conn, first frameIn) (int64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hello := map[string]any{"type": "hello", "sessionId": "s", "user": "ada", "shell": "sh"}
	switch {
	case first.Type == "open":
		f.opens, f.opened = f.opens+1, first
		if !f.plain {
			hello["resumeToken"] = secret
		}
	case first.SessionID != "s" || first.ResumeToken != secret || f.forget:
		f.tries++
		return 0, false
	default:
		f.redrew = append(f.redrew, first.Redraw)
	}
	defer f.tell()
	f.conn = conn // what an older one still brings is dropped
	at := first.Offset + f.jump
	hello["offset"], hello["stdinOffset"], hello["resumed"] = first.Offset, len(f.stdin), first.Type == "attach"
	say(conn, hello)
	if f.jump > 0 {
		say(conn, map[string]any{"type": "gap", "from": first.Offset, "to": at, "why": "buffer"})
	}
	f.jump, f.acked = 0, max(f.acked, at)
	return at, true
}

func say(conn *wsock.Conn, v any) { _ = conn.Write(false, encode(v)) }

func (f *fake) serve(conn *wsock.Conn, sent int64) {
	over := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(over)
		for f.read(conn) {
		}
	})
	defer reader.Wait()
	defer conn.Abort()
	for {
		f.mu.Lock()
		news, acked, closed := f.news, f.acked, f.closed
		fed := len(f.stdin) >= f.expect && (f.eof || !f.toEOF)
		f.mu.Unlock()
		if end := min(int64(len(f.output)), acked+Window); sent < end {
			p := f.output[sent:min(end, sent+1+rand.Int64N(20_000))]
			if conn.Write(true, p) != nil {
				return
			}
			sent += int64(len(p))
			continue
		}
		if closed || sent == int64(len(f.output)) && fed {
			f.end(conn, closed)
			return
		}
		select {
		case <-news:
		case <-over:
			return
		}
	}
}

func (f *fake) end(conn *wsock.Conn, closed bool) {
	if closed {
		say(conn, map[string]any{"type": "closed", "reason": "client_close", "exitCode": 0})
	} else {
		say(conn, map[string]any{"type": "closed", "reason": "completed", "exitCode": 7})
	}
	conn.Close(1000, "")
}

func (f *fake) read(conn *wsock.Conn) bool {
	binary, p, err := conn.Read()
	if err != nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn != conn {
		return false
	}
	defer f.tell()
	if binary {
		f.stdin = append(f.stdin, p...)
		say(conn, map[string]any{"type": "stdin_ack", "offset": len(f.stdin)})
		return true
	}
	var in frameIn
	if json.Unmarshal(p, &in) != nil {
		f.broken = string(p)
	}
	switch in.Type {
	case "ack":
		if in.Offset > int64(len(f.output)) {
			f.broken = "an ack of what was never sent"
		}
		f.acked = max(f.acked, in.Offset)
	case "eof":
		f.eof = true
	case "resize":
		f.sizes = append(f.sizes, Size{in.Cols, in.Rows})
	case "ping":
		say(conn, map[string]any{"type": "pong", "id": in.ID})
	case "close":
		f.closed = true
	default:
		f.broken = string(p)
	}
	return true
}

// tell wakes whoever waits for something new. The caller has mu.
func (f *fake) tell() {
	if f.news != nil {
		close(f.news)
	}
	f.news = make(chan struct{})
}

// await waits until ok, which is asked under the lock.
func (f *fake) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for {
		f.mu.Lock()
		if f.news == nil {
			f.tell()
		}
		done, news := ok(), f.news
		f.mu.Unlock()
		if done {
			return
		}
		select {
		case <-news:
		case <-t.Context().Done():
			t.Fatalf("never: %s", what)
		}
	}
}

func (f *fake) start(t *testing.T) *Client {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return clientOf(t, server.URL)
}

func clientOf(t *testing.T, address string) *Client {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return &Client{Server: u, Bearer: "psc_x"}
}

func request(stdin []byte, stdout *bytes.Buffer) Request {
	return Request{Cluster: "c", Namespace: "n", Pod: "p", Stdin: bytes.NewReader(stdin), Stdout: stdout}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func same(a, b []byte) bool { return sha256.Sum256(a) == sha256.Sum256(b) }
