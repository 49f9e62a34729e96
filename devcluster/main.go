// Command devcluster runs a whole Kubernetes cluster in one process: etcd,
// kube-apiserver, kube-controller-manager, kube-scheduler, and nodes whose
// containers are processes of this machine. For development and tests only.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/periscope-console/periscope/devcluster/cluster"
	"github.com/periscope-console/periscope/devcluster/controlplane"
	// Becomes the first process of a container, when started as one; before
	// the packages of Kubernetes are initialised.
	_ "github.com/periscope-console/periscope/devcluster/shim"
)

func main() {
	if controlplane.IsTrial(os.Args) {
		os.Exit(controlplane.RunTrial(os.Args))
	}
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	o, err := parseFlags(args)
	switch {
	case errors.Is(err, errHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "devcluster:", err)
		return 2
	}
	o.cluster.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	defer stop()
	if o.exitWithParent {
		if ctx, err = whileParentLives(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "devcluster:", err)
			return 1
		}
	}
	if err := cluster.Run(ctx, o.cluster, func() { fmt.Println("ready") }); err != nil {
		fmt.Fprintln(os.Stderr, "devcluster:", err)
		return 1
	}
	return 0
}

// stopSignals include the end of the terminal, unless nohup asked to ignore it.
func stopSignals() []os.Signal {
	signals := []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}
