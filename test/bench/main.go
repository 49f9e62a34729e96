// Bench measures what a user of Periscope feels against what client-go does on
// the same apiserver, and prints the ratios beside their targets.
//
//	bench [-rows 1,5] [-pairs N] [-bin DIR] [-log FILE]
//
// It owns a dev cluster and a Periscope of its own for the time of its run and
// talks to both over loopback: "ours" is the browser's protocol through
// Periscope, "reference" is client-go's WebSocket executor straight to the
// apiserver. Each row runs the two in turns, so that noise meets both. It is no
// test: a missed target is printed, and the exit code stays 0.
// docs/performance.md says what each row means.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

// wholeLimit bounds the whole run.
const wholeLimit = 20 * time.Minute

func main() {
	klog.SetLogger(logr.Discard()) // client-go's words on connections that end are no news here
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil && ctx.Err() != nil:
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == readCommand {
		return referenceRead(ctx, args[1:])
	}
	opt, err := parse(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wholeLimit)
	defer cancel()
	r, err := newRig(opt)
	if err != nil {
		return err
	}
	defer r.stop()
	fmt.Printf("%d cores, %s, load %s\n", runtime.NumCPU(), runtime.Version(), load())
	if err := r.start(ctx); err != nil {
		return err
	}
	var t table
	for _, row := range opt.rows {
		err := t.measure(ctx, r, row, opt.pairs)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			fmt.Printf("\n  row %d could not be measured: %v\n", row.number, err)
		}
	}
	fmt.Printf("\nload %s\n\n", load())
	return t.print(os.Stdout)
}

type options struct {
	rows  []row
	pairs int
	bin   string
	log   string
}

func parse(args []string) (o options, err error) {
	var only string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&only, "rows", "", "rows to measure, such as 1,5 (default all)")
	flags.IntVar(&o.pairs, "pairs", 0, "pairs of runs in each row (default each row's own)")
	flags.StringVar(&o.bin, "bin", "bin", "folder of the built programs")
	flags.StringVar(&o.log, "log", os.DevNull, "file for all that the cluster and Periscope write")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.pairs < 0 {
		return o, errors.New("bench takes flags alone, and pairs are not negative; see -help")
	}
	o.rows, err = choose(only)
	return o, err
}

// choose picks rows by their numbers.
func choose(only string) ([]row, error) {
	if only == "" {
		return rows, nil
	}
	var chosen []row
	for word := range strings.SplitSeq(only, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		of := numbered(n)
		if err != nil || len(of) == 0 {
			return nil, fmt.Errorf("there is no row %q; see docs/performance.md", word)
		}
		chosen = append(chosen, of...)
	}
	return chosen, nil
}

func numbered(n int) []row {
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.number != n })
}

// load is the machine's load average over the last minute: what else runs shows
// in it.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}
