package httpapi

import (
	"context"
	"errors"
	"io"

	"github.com/coder/websocket"

	"github.com/periscope-console/periscope/internal/podexec"
)

const (
	firstBuffer = 1 << 10
	// keptBuffer is the largest read buffer that outlives its message.
	keptBuffer = 32 << 10
)

// socket is a podexec.Conn over a WebSocket (RFC 6455).
type socket struct {
	ws  *websocket.Conn
	buf []byte // of the reader
}

func (s *socket) Read(ctx context.Context) (bool, []byte, error) {
	kind, r, err := s.ws.Reader(ctx)
	if err != nil {
		return false, nil, err
	}
	if len(s.buf) > keptBuffer || s.buf == nil {
		s.buf = make([]byte, firstBuffer)
	}
	n, err := s.fill(r)
	return kind == websocket.MessageBinary, s.buf[:n], err
}

// fill reads a whole message into buf, which grows as far as the limit.
func (s *socket) fill(r io.Reader) (int, error) {
	n := 0
	for {
		m, err := r.Read(s.buf[n:])
		n += m
		switch {
		case n > podexec.MaxFrame:
			return 0, podexec.ErrTooBig
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return 0, err
		case n == len(s.buf):
			bigger := make([]byte, min(2*len(s.buf), podexec.MaxFrame+1))
			copy(bigger, s.buf)
			s.buf = bigger
		}
	}
}

func (s *socket) Write(ctx context.Context, binary bool, p []byte) error {
	kind := websocket.MessageText
	if binary {
		kind = websocket.MessageBinary
	}
	return s.ws.Write(ctx, kind, p)
}

func (s *socket) Ping(ctx context.Context) error { return s.ws.Ping(ctx) }

func (s *socket) Close(code int, reason string) { _ = s.ws.Close(websocket.StatusCode(code), reason) }

func (s *socket) Abort() { _ = s.ws.CloseNow() }
