package proxy

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/periscope-console/periscope/test/proc"
)

// program is where Debian puts it, which is not in everybody's PATH.
const program = "/usr/sbin/haproxy"

// settings of a proxy as operators put before a console: it knows nothing of
// terminals and cuts a tunnel in which nothing moves for the limit.
const settings = `global
    maxconn 100
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout tunnel %dms
    default_backend periscope
frontend browsers
    bind fd@3
backend periscope
    server only %s
`

// listen takes a free port for a proxy, whose clients wait until it runs.
func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener)
}

// haproxy runs the proxy on ln before a server, until the test ends.
func haproxy(t *testing.T, ln *net.TCPListener, limit time.Duration, server string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(config, fmt.Appendf(nil, settings, limit.Milliseconds(), server), 0o600); err != nil {
		t.Fatal(err)
	}
	socket, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	process, _, err := proc.Start(ctx, proc.Spec{
		Name: "haproxy", Path: program, Args: []string{"-V", "-db", "-f", config},
		Ready: "Using epoll", Files: []*os.File{socket},
	})
	if err != nil {
		t.Fatalf("%v (`make deps` installs it)", err)
	}
	t.Cleanup(process.Stop)
}
