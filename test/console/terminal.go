package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/coder/websocket"
)

// Mode is which of the two protocols of api/terminal.md a client speaks.
type Mode string

// The two modes; a Mode is the subprotocol that asks for it.
const (
	Plain Mode = ""
	V2    Mode = "v2.exec.periscope"
)

// Target is the pod to enter.
type Target struct{ Cluster, Namespace, Pod string }

// Frame is what a test reads of the server's control frames.
type Frame struct {
	Type              string `json:"type"`
	SessionID         string `json:"sessionId"`
	Container         string `json:"container"`
	Transport         string `json:"transport"`
	ExitCode          *int   `json:"exitCode"`
	Reason            string `json:"reason"`
	Code              string `json:"code"`
	Message           string `json:"message"`
	RetryAfterSeconds int    `json:"retryAfterSeconds"`
}

// Terminal is one shell. Its socket is read all the time, as a browser does, so
// that pings are answered and output is acknowledged.
type Terminal struct {
	Hello Frame

	ws   *websocket.Conn
	raw  net.Conn
	mode Mode
	over chan struct{} // closed at the end of the connection

	mu    sync.Mutex
	news  chan struct{} // closed and replaced when something came
	out   []byte        // what Await has not passed
	total int64         // bytes of output so far
	hello *Frame
	last  *Frame // the closed frame
	fault *Frame // the error frame
	err   error  // how the connection ended; valid once over is closed
}

// Open opens a shell and waits for hello. It ends with the test, or by Cut.
func (l *Login) Open(ctx context.Context, at Target, mode Mode) (*Terminal, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	t := &Terminal{mode: mode, over: make(chan struct{}), news: make(chan struct{})}
	if err := t.dial(ctx, l, at); err != nil {
		return nil, err
	}
	l.server.t.Cleanup(func() {
		t.ws.CloseNow()
		<-t.over
	})
	go t.read()
	if mode == V2 {
		if err := t.control(ctx, map[string]any{"type": "open", "tty": true, "cols": 80, "rows": 24}); err != nil {
			return nil, err
		}
	}
	err := t.wait(ctx, func() bool { return t.hello != nil })
	if err != nil {
		return nil, fmt.Errorf("no hello: %w", err)
	}
	t.Hello = *t.hello
	return t, nil
}

func (t *Terminal) dial(ctx context.Context, l *Login, at Target) (err error) {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			var err error
			t.raw, err = (&net.Dialer{}).DialContext(ctx, network, address)
			return t.raw, err
		},
	}}
	opt := &websocket.DialOptions{HTTPClient: client, HTTPHeader: l.header.Clone()}
	if t.mode != Plain {
		opt.Subprotocols = []string{string(t.mode)}
	}
	path := "/api/clusters/" + at.Cluster + "/pods/" + at.Namespace + "/" + at.Pod + "/exec"
	t.ws, _, err = websocket.Dial(ctx, "ws"+strings.TrimPrefix(l.server.url, "http")+path, opt)
	if err == nil {
		t.ws.SetReadLimit(-1)
	}
	return err
}

// read ends with the connection.
func (t *Terminal) read() {
	defer close(t.over)
	for {
		kind, data, err := t.ws.Read(context.Background())
		if err == nil {
			err = t.take(kind, data)
		}
		t.mu.Lock()
		t.err = err
		close(t.news)
		t.news = make(chan struct{})
		t.mu.Unlock()
		if err != nil {
			t.ws.CloseNow()
			return
		}
	}
}

func (t *Terminal) take(kind websocket.MessageType, data []byte) error {
	if kind == websocket.MessageBinary {
		return t.show(data)
	}
	var f Frame
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("frame %q: %w", data, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch f.Type {
	case "hello":
		t.hello = &f
	case "error":
		t.fault = &f
	case "closed":
		t.last = &f
	}
	return nil
}

func (t *Terminal) show(data []byte) error {
	t.mu.Lock()
	t.out = append(t.out, data...)
	t.total += int64(len(data))
	total := t.total
	t.mu.Unlock()
	if t.mode == Plain {
		return nil
	}
	return t.control(context.Background(), map[string]any{"type": "ack", "offset": total})
}

func (t *Terminal) control(ctx context.Context, frame any) error {
	b, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	return t.ws.Write(ctx, websocket.MessageText, b)
}

// wait blocks until ok, which is asked under the lock, or the connection's end.
func (t *Terminal) wait(ctx context.Context, ok func() bool) error {
	for {
		t.mu.Lock()
		done, news, err := ok(), t.news, t.err
		t.mu.Unlock()
		switch {
		case done:
			return nil
		case err != nil:
			return t.ended(err)
		}
		select {
		case <-news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ended says how the connection ended, in the server's words where it had any.
func (t *Terminal) ended(err error) error {
	if t.fault != nil {
		return fmt.Errorf("%s: %s (%w)", t.fault.Code, t.fault.Message, err)
	}
	return fmt.Errorf("the connection has ended: %w", err)
}

// Type sends stdin.
func (t *Terminal) Type(ctx context.Context, keys string) error {
	return t.ws.Write(ctx, websocket.MessageBinary, []byte(keys))
}

// Resize says how large the window is now.
func (t *Terminal) Resize(ctx context.Context, cols, rows int) error {
	return t.control(ctx, map[string]any{"type": "resize", "cols": cols, "rows": rows})
}

// Close asks for the end of the shell; Closed waits for it.
func (t *Terminal) Close(ctx context.Context) error {
	return t.control(ctx, map[string]any{"type": "close"})
}

// Detach leaves the shell to the server, and waits until it has hung up.
func (t *Terminal) Detach(ctx context.Context) error {
	if err := t.control(ctx, map[string]any{"type": "detach"}); err != nil {
		return err
	}
	select {
	case <-t.over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the server does not hang up: %w", context.Cause(ctx))
	}
}

// Await waits until the output holds text after what was awaited before.
func (t *Terminal) Await(ctx context.Context, text string) error {
	err := t.wait(ctx, func() bool {
		i := bytes.Index(t.out, []byte(text))
		if i < 0 {
			return false
		}
		t.out = t.out[i+len(text):]
		return true
	})
	if err != nil {
		return fmt.Errorf("%q did not come: %w", text, err)
	}
	return nil
}

// Output is how many bytes of output have come so far.
func (t *Terminal) Output() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

// Over is closed when the connection has ended, however it did.
func (t *Terminal) Over() <-chan struct{} { return t.over }

// Closed waits for the end and returns the closed frame and the close code; an
// end without them is an error.
func (t *Terminal) Closed(ctx context.Context) (Frame, int, error) {
	select {
	case <-t.over:
	case <-ctx.Done():
		return Frame{}, 0, fmt.Errorf("the connection has not ended: %w", context.Cause(ctx))
	}
	var ce websocket.CloseError
	if t.last == nil || !errors.As(t.err, &ce) {
		return Frame{}, 0, fmt.Errorf("the connection ended without a word: %w", t.err)
	}
	return *t.last, int(ce.Code), nil
}

// Cut drops the connection as a network does, without a word.
func (t *Terminal) Cut() {
	if tcp, ok := t.raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	t.raw.Close()
}
