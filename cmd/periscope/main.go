// Periscope serves an audited shell into any container of a Kubernetes cluster
// to a browser, and is the command that opens one in a terminal.
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
	"slices"
	"syscall"

	"k8s.io/klog/v2"

	"github.com/periscope-console/periscope/internal/app/server"
	"github.com/periscope-console/periscope/internal/cli"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/web"
)

// version is set by the build.
var version = "dev"

const usage = `Usage: periscope COMMAND

Commands:
  serve     run the server; periscope serve --help lists its flags
  exec      a shell or a command in a container, through a server; periscope exec --help
  cp        files and folders from and to a container; periscope cp --help
  login     log this machine in at a server, by a browser; logout ends that
  version   print the version
`

// Exit codes: 1 when something failed, 2 for a wrong use or a wrong setting.
const (
	exitFailed = 1
	exitUsage  = 2
)

// gcPercent collects twice as often as Go's default. What a server holds is
// thousands of idle shells; what is fast allocates nothing. The variable GOGC
// decides otherwise.
const gcPercent = 50

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	if slices.Contains(cli.Commands(), command) {
		return cli.Run(context.Background(), command, args[1:], cli.Env{
			Stdin: os.Stdin, Stdout: stdout, Stderr: stderr, Getenv: os.Getenv, Version: version,
		})
	}
	switch command {
	case "serve":
		return serve(args[1:], stdout, stderr)
	case "version", "--version":
		fmt.Fprintln(stdout, version)
		return 0
	case "":
		fmt.Fprint(stderr, "periscope: say what to do\n\n"+usage)
		return exitUsage
	case "help", "--help", "-h":
		fmt.Fprint(stdout, usage)
		return 0
	}
	fmt.Fprintf(stderr, "periscope: %q is no command\n\n%s", command, usage)
	return exitUsage
}

func serve(args []string, stdout, stderr io.Writer) int {
	outliveReaders()
	cfg, warnings, err := config.Load(config.Sources{Args: args, Environ: os.Environ(), ReadFile: os.ReadFile})
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, config.Usage())
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "periscope: the settings are not right:\n%v\n", err)
		return exitUsage
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: cfg.LogLevel}))
	klog.SetSlogLogger(log) // client-go's own words join ours
	for _, w := range warnings {
		log.Warn("config.warning", "message", string(w))
	}
	return listen(cfg, log, stdout, stderr)
}

// outliveReaders has a write to stdout or stderr fail once nobody reads there any
// more: it would end the program at once, and every shell with it.
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

func listen(cfg config.Config, log *slog.Logger, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	s, err := server.New(cfg, server.Options{
		Version: version, Log: log, Audit: stdout, Pages: web.Pages(),
		Started: func(url string) { fmt.Fprintf(stderr, "Open %s\n", url) },
	})
	if err != nil {
		fmt.Fprintf(stderr, "periscope: %s\n", sentence(err))
		return exitFailed
	}
	if err := s.Run(ctx); err != nil {
		log.Error("serve.failed", "error", err)
		return exitFailed
	}
	return 0
}

// sentence is what a person at the command line needs: the public words where
// there are any, and the cause, which is nobody's secret here.
func sentence(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Cause != nil {
		return f.Public + " (" + f.Cause.Error() + ")"
	}
	if f != nil {
		return f.Public
	}
	return err.Error()
}
