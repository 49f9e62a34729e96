package execclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/periscope-console/periscope/internal/wsframe"
)

var (
	errSilent = errors.New("the server said nothing for 25 seconds")
	errShut   = errors.New("the server closed the connection without a word")
)

// link is one WebSocket. Reads belong to one goroutine; send may be called by any.
type link struct {
	raw   net.Conn // below TLS, so that closing it waits for nobody
	body  io.ReadWriteCloser
	in    *wsframe.Reader
	text  []byte // the text message that is being read
	buf   []byte
	heard atomic.Int64 // when something came last, in nanoseconds since born
	born  time.Time
	again notice                // rung when another ping is wanted now
	size  Size                  // as the server knows it; belongs to feed once that runs
	cause atomic.Pointer[error] // why this side gave up

	writing sync.Mutex
	out     []byte
}

// dial asks the server for a WebSocket into the pod.
func (s *Session) dial(ctx context.Context) (*link, error) {
	l := &link{born: time.Now(), buf: make([]byte, pieceSize), again: newNotice()}
	req, err := s.client.request(ctx, http.MethodGet, "api", "clusters", s.req.Cluster, "pods", s.req.Namespace, s.req.Pod, "exec")
	if err != nil {
		return nil, err
	}
	how := wsframe.Opening{TLS: s.client.TLS, Proxy: s.client.Proxy, Dial: s.client.Dial}
	opened, refused, err := how.Open(req, Protocol)
	switch {
	case err != nil:
		return nil, err
	case refused != nil:
		defer func() { _ = refused.Body.Close() }()
		return nil, refusalOf(refused)
	}
	l.raw, l.body = opened.Raw, opened.Stream
	l.in = wsframe.NewTextReader(source{l}, l.control)
	return l, nil
}

// request builds what every request to the server has in common. Segments of the
// path are escaped; none may be empty or lead elsewhere.
func (c *Client) request(ctx context.Context, method string, path ...string) (*http.Request, error) {
	for i, p := range path {
		if p == "" || p == "." || p == ".." {
			return nil, fmt.Errorf("%q cannot be part of an address", p)
		}
		path[i] = url.PathEscape(p)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Server.JoinPath(path...).String(), nil)
	if err != nil {
		return nil, err
	}
	if c.Bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.Bearer)
	}
	if c.Agent != "" {
		req.Header.Set("User-Agent", c.Agent)
	}
	return req, nil
}

// maxRefusal bounds the body of a refusal.
const maxRefusal = 64 << 10

// refusalOf reads the JSON error of an answer that is no upgrade. A proxy's own
// page has none.
func refusalOf(resp *http.Response) error {
	r := &Refusal{
		Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id"),
		Retryable: resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout,
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // what was cut off is no JSON
	var body struct{ Error, Message, RequestID string }
	if json.Unmarshal(text, &body) == nil && body.Error != "" {
		r.Code, r.Message = body.Error, body.Message
		if body.RequestID != "" {
			r.RequestID = body.RequestID
		}
		return r
	}
	r.Code = fmt.Sprintf("HTTP %d", resp.StatusCode)
	r.Message = "What answers at this address is not Periscope, or a proxy before it lets no WebSocket pass. Check the address of the server."
	return r
}

// source counts what is heard.
type source struct{ l *link }

func (s source) Read(p []byte) (int, error) {
	n, err := s.l.body.Read(p)
	if n > 0 {
		s.l.heard.Store(int64(time.Since(s.l.born)))
	}
	return n, err
}

// Poll is never asked: everything is waited for.
func (source) Poll([]byte) (int, error) { return 0, wsframe.ErrWouldWait }

func (l *link) control(op wsframe.Opcode, payload []byte) {
	if op == wsframe.Ping {
		_ = l.write(wsframe.Pong, payload) // what cannot be written has failed the link
	}
}

// send sends a text frame.
func (l *link) send(text []byte) error { return l.write(wsframe.Text, text) }

// write blocks for as long as the socket does, which fail ends.
func (l *link) write(op wsframe.Opcode, p []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.out = wsframe.Append(l.out[:0], op, nil, p)
	if _, err := l.body.Write(l.out); err != nil {
		l.fail(err)
		return err
	}
	return nil
}

// next is a whole text message, or a piece of a binary one, valid until the next
// call.
func (l *link) next() (binary bool, p []byte, err error) {
	for {
		n, end, err := l.in.Read(l.buf, true)
		if err != nil {
			return false, nil, l.why(err)
		}
		if l.in.Kind() == wsframe.Binary {
			if n > 0 {
				return true, l.buf[:n], nil
			}
			continue
		}
		if l.text = append(l.text, l.buf[:n]...); len(l.text) > maxControl {
			return false, nil, fmt.Errorf("%w: it is over %d bytes", errFrame, maxControl)
		}
		if end {
			p, l.text = l.text, l.text[:0]
			return false, p, nil
		}
	}
}

// why is the reason of this side where it has one.
func (l *link) why(err error) error {
	if cause := l.cause.Load(); cause != nil {
		return *cause
	}
	var closed *wsframe.CloseError
	if errors.As(err, &closed) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w (%w)", errShut, err)
	}
	return err
}

// fail ends the link; the first cause is what its reader gets.
func (l *link) fail(cause error) {
	l.cause.CompareAndSwap(nil, &cause)
	l.abort()
}

func (l *link) abort() { _ = l.raw.Close() }

func (l *link) silence() time.Duration {
	return time.Since(l.born) - time.Duration(l.heard.Load())
}

// lost reports whether a link ended for a reason that another one may not have.
func lost(err error) bool {
	var rule wsframe.ProtocolError
	return !errors.Is(err, ErrUntrue) && !errors.Is(err, errFrame) && !errors.As(err, &rule)
}
