package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"sync"

	"github.com/periscope-console/periscope/internal/tunnel"
)

// server is the server's end of one system: it answers the agent's request for a
// link and opens streams over it.
type server interface {
	http.Handler
	// open is a stream to a TCP address at the agent.
	open(ctx context.Context, class tunnel.Class, target string) (net.Conn, error)
	// linked is closed when there is a link.
	linked() <-chan struct{}
}

// system is one way to carry many streams over one WebSocket.
type system interface {
	server() server
	// agent dials u and carries streams to whatever TCP address they ask for, until
	// ctx is done or the link ends.
	agent(ctx context.Context, u *url.URL, t *tls.Config) error
}

// watched is a server's end that knows whether its agent is there.
type watched interface {
	server
	alive() bool
}

var systems = map[string]system{
	"ours":         muxSystem{overLine: true},
	"mux":          muxSystem{},
	"http2":        http2System{},
	"remotedialer": remotedialerSystem{},
}

// link is set once; what comes later is not taken.
type link[T any] struct {
	once  sync.Once
	value T
	done  chan struct{}
}

func newLink[T any]() *link[T] { return &link[T]{done: make(chan struct{})} }

func (l *link[T]) set(v T) {
	l.once.Do(func() {
		l.value = v
		close(l.done)
	})
}

func (l *link[T]) linked() <-chan struct{} { return l.done }
