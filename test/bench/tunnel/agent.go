package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os/exec"
	"strings"
	"sync"
)

// orders are what the agent's process is told on its standard input.
type orders struct {
	Setup   []string // commands for its network
	Server  string   // host:port
	Cert    []byte   // the server's, DER
	Systems []string
}

// The agent's services, by the first byte that comes.
const (
	serviceEcho   = 'e' // sends back what comes
	serviceFlood  = 'f' // sends for ever
	serviceSource = 's' // sends as many bytes as the next eight say
)

// runAgent is the agent's process: it has a link of each system and serves until
// its standard input ends.
func runAgent(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	told := json.NewDecoder(in)
	var o orders
	if err := told.Decode(&o); err != nil {
		return err
	}
	if err := setUp(ctx, o.Setup); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	go serveAll(l)
	t, err := trust(o.Cert)
	if err != nil {
		return err
	}
	var links sync.WaitGroup
	for _, name := range o.Systems {
		u := &url.URL{Scheme: "wss", Host: o.Server, Path: "/" + name}
		links.Go(func() {
			err := systems[name].agent(ctx, u, t.Clone())
			stop(fmt.Errorf("%s: the link ended: %w", name, err))
		})
	}
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		stop(errStopped)
	}()
	links.Wait()
	if err := context.Cause(ctx); !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

var errStopped = errors.New("told to stop")

func setUp(ctx context.Context, commands []string) error {
	for _, c := range commands {
		words := strings.Fields(c)
		if out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", c, err, out)
		}
	}
	return nil
}

func trust(cert []byte) (*tls.Config, error) {
	c, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(c)
	return &tls.Config{RootCAs: roots, ServerName: c.DNSNames[0]}, nil
}

func serveAll(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_ = serveOne(c)
		}()
	}
}

func serveOne(c net.Conn) error {
	var head [9]byte
	if _, err := io.ReadFull(c, head[:1]); err != nil {
		return err
	}
	switch head[0] {
	case serviceEcho:
		_, err := io.Copy(plainWriter{c}, plainReader{c})
		return err
	case serviceFlood:
		return write(c, 1<<62)
	}
	if _, err := io.ReadFull(c, head[1:]); err != nil {
		return err
	}
	return write(c, binary.BigEndian.Uint64(head[1:]))
}

// write sends n bytes, 32 KiB at a time as a proxy does.
func write(c net.Conn, n uint64) error {
	b := make([]byte, 32<<10)
	for n > 0 {
		done, err := c.Write(b[:min(uint64(len(b)), n)])
		if err != nil {
			return err
		}
		n -= uint64(done)
	}
	return nil
}
