package transport

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/rest"
	clientremote "k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
	streamspdy "k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/periscope-console/periscope/internal/wsframe"
)

// spdyDialer makes the connection itself, as wsDialer does, and hands it to
// client-go: its own dialers ignore rest.Config.Dial, and make a text of what
// the cluster says when it refuses.
type spdyDialer struct{ *upgrader }

func (d *spdyDialer) Dial(ctx context.Context, cfg *rest.Config, req Request) (Stream, error) {
	u, err := execURL(cfg, req)
	if err != nil {
		return nil, err
	}
	l, answer, err := d.upgrade(inLane(ctx, req), cfg, http.MethodPost, u, http.Header{
		"Upgrade": {streamspdy.HeaderSpdy31},
		// Older versions say how a command ended in words alone.
		httpstream.HeaderProtocolVersion: {remotecommand.StreamProtocolV5Name, remotecommand.StreamProtocolV4Name},
	})
	if err != nil {
		return nil, err
	}
	if !wsframe.HasToken(answer.Values("Connection"), "upgrade") || !wsframe.HasToken(answer.Values("Upgrade"), streamspdy.HeaderSpdy31) {
		_ = l.abort()
		return nil, notSpoken("switched to %q, not to SPDY", answer.Get("Upgrade"))
	}
	return newSPDYStream(l, answer, req)
}

// executor makes client-go believe that it upgraded the connection, wherever to.
func (t *taken) executor() (clientremote.Executor, error) {
	u := &url.URL{Scheme: "http", Host: "upgraded"}
	return clientremote.NewSPDYExecutorForTransports(t, spdy.NewUpgraderForStreaming(t), http.MethodPost, u)
}

// taken is a connection that is upgraded already, in the shape of client-go's
// upgrader. It keeps what comes over the error stream: client-go makes a text of
// it, and takes a lost connection for a command that ended well.
type taken struct {
	conn   *spdyConn
	answer http.Header

	mu     sync.Mutex
	status []byte
}

func (t *taken) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusSwitchingProtocols, ProtoMajor: 1, ProtoMinor: 1,
		Header: t.answer, Body: http.NoBody, Request: req,
	}, nil
}

func (t *taken) NewConnection(*http.Response) (httpstream.Connection, error) {
	return watched{t.conn, t}, nil
}

func (t *taken) keep(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status = append(t.status, p...)
}

func (t *taken) kept() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}

// watched is a connection whose error stream is listened in on.
type watched struct {
	httpstream.Connection
	by *taken
}

func (w watched) CreateStream(h http.Header) (httpstream.Stream, error) {
	s, err := w.Connection.CreateStream(h)
	if err == nil && h.Get(corev1.StreamType) == corev1.StreamTypeError {
		return errorStream{s, io.LimitReader(s, statusSize), w.by}, nil
	}
	return s, err
}

type errorStream struct {
	httpstream.Stream
	bounded io.Reader
	by      *taken
}

func (s errorStream) Read(p []byte) (int, error) {
	n, err := s.bounded.Read(p)
	s.by.keep(p[:n])
	return n, err
}

// linkConn is a link as the net.Conn that spdystream wants, read through a guard. It
// asks for no more than reading, writing and closing.
type linkConn struct {
	*link
	guard *spdyGuard
}

func (c linkConn) Read(p []byte) (int, error) { return c.guard.Read(p) }

// Close may come second: spdystream would wait a second to report that.
func (c linkConn) Close() error {
	_ = c.link.Close()
	return nil
}

func (linkConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (linkConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (linkConn) SetDeadline(time.Time) error      { return nil }
func (linkConn) SetReadDeadline(time.Time) error  { return nil }
func (linkConn) SetWriteDeadline(time.Time) error { return nil }
