package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"

	"github.com/gorilla/websocket"
	"github.com/rancher/remotedialer"

	"github.com/periscope-console/periscope/internal/tunnel"
)

// remotedialerSystem is rancher/remotedialer as it comes.
type remotedialerSystem struct{}

const remotedialerKey = "agent"

type remotedialerServer struct {
	*remotedialer.Server
	*link[struct{}]
}

func (remotedialerSystem) server() server {
	anybody := func(*http.Request) (string, bool, error) { return remotedialerKey, true, nil }
	return &remotedialerServer{remotedialer.New(anybody, remotedialer.DefaultErrorWriter), newLink[struct{}]()}
}

func (s *remotedialerServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.set(struct{}{}) // there is a session by the time that the agent answers for itself
	s.Server.ServeHTTP(w, r)
}

func (s *remotedialerServer) open(ctx context.Context, _ tunnel.Class, target string) (net.Conn, error) {
	return s.Dialer(remotedialerKey)(ctx, "tcp", target)
}

func (s *remotedialerServer) alive() bool { return len(s.ListClients()) > 0 }

func (remotedialerSystem) agent(ctx context.Context, u *url.URL, t *tls.Config) error {
	d := &websocket.Dialer{TLSClientConfig: t, HandshakeTimeout: remotedialer.HandshakeTimeOut}
	anywhere := func(string, string) bool { return true }
	return remotedialer.ConnectToProxy(ctx, u.String(), nil, anywhere, d, nil)
}
