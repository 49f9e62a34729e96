package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"

	translator "k8s.io/apiserver/pkg/util/proxy"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

// translated lets WebSockets of the newest protocol in, as a kubelet does: it
// translates them to SPDY and speaks that with the stream routes.
func (s *server) translated(next http.Handler) http.Handler {
	if !s.n.o.WebSockets {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !wsstream.IsWebSocketRequestWithStreamCloseProtocol(r) {
			next.ServeHTTP(w, r)
			return
		}
		options, err := remotecommand.NewOptions(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		location := &url.URL{Scheme: "http", Host: "node", Path: r.URL.Path, RawQuery: r.URL.RawQuery}
		translator.NewStreamTranslatorHandler(location, s.inner.transport(), 0, translator.Options{
			Stdin: options.Stdin, Stdout: options.Stdout, Stderr: options.Stderr, Tty: options.TTY,
		}).ServeHTTP(w, r)
	})
}

// tunnelled does the same for port forwarding, where SPDY travels inside the
// WebSocket.
func (s *server) tunnelled(next http.Handler) http.Handler {
	if !s.n.o.WebSockets {
		return next
	}
	tunnel := translator.NewTunnelingHandler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wsstream.IsWebSocketRequestWithTunnelingProtocol(r) {
			tunnel.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// innerServer serves handlers to this process only, without a port.
type innerServer struct {
	conns chan net.Conn
	http  *http.Server
	quit  chan struct{}
	once  sync.Once
	done  chan struct{}
}

func newInnerServer(h http.Handler, log *slog.Logger) *innerServer {
	s := &innerServer{conns: make(chan net.Conn), http: &http.Server{Handler: h, ReadHeaderTimeout: headerPatience}, quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(s); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the node translates no WebSockets any more", "error", err)
		}
	}()
	return s
}

func (s *innerServer) transport() *http.Transport { return &http.Transport{DialContext: s.dial} }

func (s *innerServer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case s.conns <- theirs:
		return ours, nil
	case <-s.quit:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept, Close and Addr make it a net.Listener.
func (s *innerServer) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.quit:
		return nil, net.ErrClosed
	}
}

func (s *innerServer) Close() error {
	s.once.Do(func() { close(s.quit) })
	return nil
}

func (s *innerServer) Addr() net.Addr { return &net.UnixAddr{Name: "node", Net: "unix"} }

func (s *innerServer) stop() {
	if err := s.http.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		s.Close()
	}
	<-s.done
}
