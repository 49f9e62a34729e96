package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/tunnel"
)

// http2System is the standard library's HTTP/2 with its roles reversed: the agent
// dials and then serves. A stream is a POST whose body goes up and whose answer
// comes down.
type http2System struct{}

// http2Settings are those found best: small windows for streams, none that
// matters for the connection, small frames, no pings.
func http2Settings() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          4096,
		MaxReadFrameSize:              16 << 10,
		MaxReceiveBufferPerStream:     64 << 10,
		MaxReceiveBufferPerConnection: 1 << 30,
	}
}

func unencrypted() *http.Protocols {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	return &p
}

type http2Server struct {
	*link[*http.ClientConn]
	ended chan struct{}
}

func (http2System) server() server {
	return &http2Server{link: newLink[*http.ClientConn](), ended: make(chan struct{})}
}

func (s *http2Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := acceptCarrier(w, r)
	if err != nil {
		return
	}
	t := &http.Transport{
		Protocols:   unencrypted(),
		HTTP2:       http2Settings(),
		DialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil },
	}
	cc, err := t.NewClientConn(context.Background(), "http", "agent:80")
	if err != nil {
		return
	}
	s.set(cc)
}

func (s *http2Server) open(ctx context.Context, _ tunnel.Class, target string) (net.Conn, error) {
	body, writer := io.Pipe()
	r, err := http.NewRequest(http.MethodPost, "http://agent/"+target, body)
	if err != nil {
		return nil, err
	}
	answer, err := s.value.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		_ = answer.Body.Close()
		return nil, errors.New(answer.Status)
	}
	return &http2Stream{ReadCloser: answer.Body, WriteCloser: writer}, nil
}

// http2Stream is as much of a net.Conn as the benchmark needs.
type http2Stream struct {
	io.ReadCloser
	io.WriteCloser
	net.Conn
}

func (s *http2Stream) Read(p []byte) (int, error)  { return s.ReadCloser.Read(p) }
func (s *http2Stream) Write(p []byte) (int, error) { return s.WriteCloser.Write(p) }
func (s *http2Stream) Close() error {
	return errors.Join(s.WriteCloser.Close(), s.ReadCloser.Close())
}

func (http2System) agent(ctx context.Context, u *url.URL, t *tls.Config) error {
	c, err := dialCarrier(ctx, u, t)
	if err != nil {
		return err
	}
	h := &http.Server{
		Handler: http.HandlerFunc(serveHTTP2), Protocols: unencrypted(), HTTP2: http2Settings(),
		ReadHeaderTimeout: time.Minute,
	}
	defer context.AfterFunc(ctx, func() { _ = h.Close() })()
	return h.Serve(&oneConn{conn: c, done: ctx.Done()})
}

func serveHTTP2(w http.ResponseWriter, r *http.Request) {
	c, err := net.Dial("tcp", r.URL.Path[1:])
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer c.Close()
	rc := http.NewResponseController(w)
	_ = rc.Flush()
	go func() {
		_, _ = io.Copy(plainWriter{c}, plainReader{r.Body})
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(flushing{w, rc}, plainReader{c})
}

// flushing sends each write at once.
type flushing struct {
	io.Writer
	rc *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if err != nil {
		return n, err
	}
	return n, f.rc.Flush()
}

// oneConn is a listener that accepts one connection and then waits.
type oneConn struct {
	conn net.Conn
	once sync.Once
	done <-chan struct{}
}

func (l *oneConn) Accept() (c net.Conn, err error) {
	l.once.Do(func() { c = l.conn })
	if c != nil {
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
