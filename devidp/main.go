// Command devidp is an OpenID provider for demo and tests. It asks for no
// password: whoever reaches it is whomever they choose. Loopback only.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/periscope-console/periscope/devidp/provider"
)

const (
	headerLimit = 10 * time.Second
	drainLimit  = 5 * time.Second
	maxHeader   = 64 << 10 // bytes
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	o, err := parseFlags(args)
	switch {
	case errors.Is(err, errHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "devidp:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if o.exitWithParent {
		if ctx, err = whileParentLives(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "devidp:", err)
			return 1
		}
	}
	if err := serve(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "devidp:", err)
		return 1
	}
	return 0
}

// serve answers until the context ends. SIGHUP makes a new signing key.
func serve(ctx context.Context, o options) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	o.provider.Issuer = "http://" + listener.Addr().String()
	p, err := provider.New(o.provider)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: p.Handler(), ReadHeaderTimeout: headerLimit, ReadTimeout: 2 * headerLimit, MaxHeaderBytes: maxHeader}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	slog.Warn("for demo and tests only: this provider asks for no password", "issuer", o.provider.Issuer)
	fmt.Println("ready:", o.provider.Issuer)
	for {
		select {
		case <-hangups:
			if err := p.Rotate(); err != nil {
				slog.Error("the signing key was not rotated", "error", err)
			}
		case err := <-ended:
			return err
		case <-ctx.Done():
			p.Close()
			return shutDown(server, ended)
		}
	}
}

func shutDown(server *http.Server, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainLimit)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close() // somebody is too slow; the program ends all the same
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
