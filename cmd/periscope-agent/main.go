// Periscope-agent connects the cluster it runs in to a Periscope server elsewhere: it
// dials out, and forwards what users ask to the cluster's own apiserver.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"k8s.io/klog/v2"

	"github.com/periscope-console/periscope/internal/app/agent"
	"github.com/periscope-console/periscope/internal/config/agentconfig"
)

// version is set by the build.
var version = "dev"

// Exit codes: 1 when something failed, 2 for a wrong use or a wrong setting.
const (
	exitFailed = 1
	exitUsage  = 2
)

// gcPercent collects twice as often as Go's default: the agent stands idle in
// somebody else's cluster. The variable GOGC decides otherwise.
const gcPercent = 50

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

func run(args, environ []string, stdout, stderr io.Writer) int {
	if len(args) == 1 && (args[0] == "version" || args[0] == "--version") {
		fmt.Fprintln(stdout, version)
		return 0
	}
	outliveReaders()
	cfg, warnings, err := agentconfig.Load(args, environ)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, agentconfig.Usage())
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "periscope-agent: the settings are not right:\n%v\n", err)
		return exitUsage
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: cfg.LogLevel}))
	klog.SetSlogLogger(log) // client-go's own words join ours
	for _, w := range warnings {
		log.Warn("config.warning", "message", w)
	}
	return serve(cfg, log, stderr)
}

// outliveReaders has a write to stderr fail once nobody reads there any more: it
// would end the program at once, and the link with it.
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

func serve(cfg agentconfig.Config, log *slog.Logger, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	a, err := agent.New(cfg, agent.Options{Version: version, Log: log, Started: func(address string) {
		log.Info("agent.started", "cluster", cfg.Cluster, "server", cfg.Server.Redacted(), "health", address, "shells", cfg.Exec, "version", version)
	}})
	if err != nil {
		fmt.Fprintf(stderr, "periscope-agent: %v\n", err)
		return exitFailed
	}
	if err := a.Run(ctx); err != nil {
		log.Error("agent.failed", "error", err.Error())
		fmt.Fprintf(stderr, "periscope-agent: %v\n", err)
		return exitFailed
	}
	return 0
}
