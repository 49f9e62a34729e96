package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"

	"k8s.io/client-go/tools/clientcmd"
)

const (
	// serviceAddress is the Service kubernetes, by which pods reach their apiserver. The
	// apiserver's certificate names it.
	serviceAddress = "10.96.0.1"
	serviceRange   = "10.96.0.0/16"
)

// service carries the one Service that pods need, as a kube-proxy would: from its
// address, which the bridge has as well, to the apiserver on loopback.
type service struct {
	listener  net.Listener
	apiserver string // host:port
	conns     sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool // nil once it is stopped
}

func (n *realNode) startService(ctx context.Context) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", n.kubeconfig())
	if err != nil {
		return err
	}
	at, err := url.Parse(cfg.Host)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(serviceAddress, "443"))
	if err != nil {
		return fmt.Errorf("the Service kubernetes: %w", err)
	}
	n.service = &service{listener: l, apiserver: at.Host, open: map[net.Conn]bool{}}
	n.service.conns.Go(n.service.accept)
	return nil
}

// stop ends every connection, and returns when all has ended.
func (s *service) stop() {
	_ = s.listener.Close()
	s.mu.Lock()
	for c := range s.open {
		_ = c.Close()
	}
	s.open = nil
	s.mu.Unlock()
	s.conns.Wait()
}

func (s *service) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return // it is stopped
		}
		s.conns.Go(func() { s.carry(c) })
	}
}

// keep has c closed by stop; false where that is over.
func (s *service) keep(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		return false
	}
	s.open[c] = true
	return true
}

// end closes c and forgets it.
func (s *service) end(c net.Conn) {
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// carry copies both ways until either has ended; nothing here is half closed.
func (s *service) carry(pod net.Conn) {
	defer s.end(pod)
	apiserver, err := net.Dial("tcp", s.apiserver)
	if err != nil {
		return // the pod sees a closed connection
	}
	defer s.end(apiserver)
	if !s.keep(pod) || !s.keep(apiserver) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(pod, apiserver)
		_ = pod.Close()
	})
	_, _ = io.Copy(apiserver, pod)
	_ = apiserver.Close()
	back.Wait()
}
