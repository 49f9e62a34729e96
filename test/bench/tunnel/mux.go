package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/periscope-console/periscope/internal/sendq"
	"github.com/periscope-console/periscope/internal/tunnel"
	"github.com/periscope-console/periscope/internal/tunnel/carrier"
	"github.com/periscope-console/periscope/internal/tunnel/line"
)

// muxSystem is internal/tunnel over a carrier, as the product has it with a line
// between.
type muxSystem struct{ overLine bool }

type muxServer struct {
	system muxSystem
	host   line.Host
	*link[*tunnel.Link]
}

func (s muxSystem) server() server {
	m := &muxServer{system: s, link: newLink[*tunnel.Link]()}
	if s.overLine {
		return lineServer{m}
	}
	return m
}

// lineServer is one that the line tells of its agent.
type lineServer struct{ *muxServer }

func (s lineServer) alive() bool { return s.host.Status(lineName).State == line.Connected }

func (s *muxServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := acceptCarrier(w, r)
	if err != nil {
		return
	}
	if s.system.overLine {
		var resumed bool
		if c, resumed, err = s.host.Accept(lineName, c); err != nil || resumed {
			return
		}
	}
	l := tunnel.New(c, tunnel.Server)
	s.set(l)
	_ = l.Run(context.Background())
}

// lineName is whose line it is, of one agent.
const lineName = "agent"

func acceptCarrier(w http.ResponseWriter, r *http.Request) (net.Conn, error) {
	c, err := carrier.Accept(w, r)
	if err != nil {
		return nil, err
	}
	return c, sendq.KeepShort(c)
}

func (s *muxServer) open(ctx context.Context, class tunnel.Class, target string) (net.Conn, error) {
	return s.value.Open(ctx, class, target)
}

func (s muxSystem) agent(ctx context.Context, u *url.URL, t *tls.Config) error {
	c, err := s.dial(ctx, u, t)
	if err != nil {
		return err
	}
	l := tunnel.New(c, tunnel.Agent)
	go func() {
		for {
			o, err := l.Accept(ctx)
			if err != nil {
				return
			}
			go answer(o)
		}
	}()
	return l.Run(ctx)
}

func (s muxSystem) dial(ctx context.Context, u *url.URL, t *tls.Config) (net.Conn, error) {
	dial := func(ctx context.Context) (net.Conn, error) { return dialCarrier(ctx, u, t) }
	if !s.overLine {
		return dial(ctx)
	}
	return (&line.Dialer{Dial: dial, Instance: "bench"}).Begin(ctx, false)
}

func dialCarrier(ctx context.Context, u *url.URL, t *tls.Config) (net.Conn, error) {
	c, err := (&carrier.Dialer{URL: u, TLS: t}).Open(ctx)
	if err != nil {
		return nil, err
	}
	return c, sendq.KeepShort(c)
}

func answer(o *tunnel.Offer) {
	c, err := net.Dial("tcp", o.Target)
	if err != nil {
		o.Refuse(err)
		return
	}
	bridge(o.Accept(), c.(*net.TCPConn))
}

// bridge copies both ways until both have ended.
func bridge(s *tunnel.Stream, c *net.TCPConn) {
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, err := io.Copy(plainWriter{s}, plainReader{c})
		if err != nil {
			_ = c.Close()
		}
		_ = s.CloseWrite()
	}()
	_, err := io.Copy(plainWriter{c}, plainReader{s})
	if err != nil {
		_ = c.Close()
	}
	_ = c.CloseWrite()
	<-back
	_ = s.Close()
	_ = c.Close()
}

// The plain ones hide what the kernel could do between two sockets, so that all
// systems copy alike.
type (
	plainWriter struct{ io.Writer }
	plainReader struct{ io.Reader }
)
