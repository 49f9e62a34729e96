package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/coder/websocket"
)

const (
	subprotocol = "v2.exec.periscope"
	// ackEvery is how often the page's terminal acknowledges, in bytes.
	ackEvery = 32 << 10
)

// ours is the browser's protocol through a Periscope, by one of the ways to the
// cluster.
type ours struct {
	server  *periscope
	cluster string
}

func (o ours) open(ctx context.Context, c command) (*session, error) {
	s, _, err := o.server.dial(ctx, o.cluster, c)
	return s, err
}

func (o ours) read(ctx context.Context, c command) (reading, error) {
	m := newMeter()
	c.out = m
	before, err := cpuTime(o.server.process.PID())
	if err != nil {
		return reading{}, err
	}
	s, err := o.open(ctx, c)
	if err != nil {
		return reading{}, err
	}
	if err := s.finish(ctx, ""); err != nil {
		return reading{}, err
	}
	after, err := cpuTime(o.server.process.PID())
	return reading{m.n, after - before}, err
}

// terminal is a client of the terminal's WebSocket (api/terminal.md).
type terminal struct {
	ws     *websocket.Conn
	out    sink
	buf    []byte
	hello  chan frame // gets the one hello
	offset int64      // output so far, gaps included
	acked  int64
	// stalled takes what is sent and acknowledges nothing.
	stalled bool
	last    frame // the closed frame
	refuse  frame // the error frame
}

type frame struct {
	Type    string `json:"type"`
	Shell   string `json:"shell"`
	To      int64  `json:"to"`
	Reason  string `json:"reason"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// dial asks for a command in the pod of a cluster. The session ends with ctx.
func (p *periscope) dial(ctx context.Context, cluster string, c command) (*session, *terminal, error) {
	ws, _, err := websocket.Dial(ctx, p.execURL(cluster), &websocket.DialOptions{
		Subprotocols: []string{subprotocol}, HTTPHeader: http.Header{"Cookie": {p.cookie}},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("the terminal's socket: %w", err)
	}
	ws.SetReadLimit(-1)
	open, err := json.Marshal(map[string]any{"type": "open", "command": c.Argv, "tty": c.TTY, "cols": cols, "rows": lines})
	if err == nil {
		err = ws.Write(ctx, websocket.MessageText, open)
	}
	if err != nil {
		ws.CloseNow()
		return nil, nil, err
	}
	t := &terminal{ws: ws, out: c.out, stalled: c.Stalled, buf: make([]byte, ackEvery), hello: make(chan frame, 1)}
	s := &session{
		over: make(chan struct{}),
		send: func(p []byte) error { return ws.Write(ctx, websocket.MessageBinary, p) },
	}
	go func() {
		defer close(s.over)
		s.err = t.follow(ctx)
	}()
	return s, t, nil
}

// follow reads until the server closes the socket.
func (t *terminal) follow(ctx context.Context) error {
	defer t.ws.CloseNow()
	for {
		kind, r, err := t.ws.Reader(ctx)
		if err == nil && kind == websocket.MessageBinary {
			err = t.output(ctx, r)
		} else if err == nil {
			err = t.control(r)
		}
		if err != nil {
			return t.verdict(err)
		}
	}
}

// verdict is nil for a command that ended by itself.
func (t *terminal) verdict(err error) error {
	switch {
	case t.last.Reason == "completed":
		return nil
	case t.refuse.Code != "":
		return fmt.Errorf("%s: %s", t.refuse.Code, t.refuse.Message)
	case t.last.Reason != "":
		return fmt.Errorf("closed: %s", t.last.Reason)
	}
	return err
}

func (t *terminal) output(ctx context.Context, r io.Reader) error {
	for {
		n, err := r.Read(t.buf)
		if n > 0 {
			if err := t.show(ctx, t.buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// show hands output on and acknowledges what the sink has taken.
func (t *terminal) show(ctx context.Context, p []byte) error {
	if _, err := t.out.Write(p); err != nil {
		return err
	}
	t.offset += int64(len(p))
	if t.stalled || t.offset-t.acked < ackEvery {
		return nil
	}
	t.acked = t.offset
	return t.ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"type":"ack","offset":%d}`, t.offset))
}

func (t *terminal) control(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	var f frame
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&f); err != nil {
		return fmt.Errorf("frame %q: %w", b, err)
	}
	switch f.Type {
	case "hello":
		t.hello <- f
	case "gap":
		t.offset = f.To
	case "error":
		t.refuse = f
	case "closed":
		t.last = f
	}
	return nil
}
