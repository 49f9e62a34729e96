// Bench/tunnel measures what an agent's link does to what people feel: a
// keystroke beside a flood, copies, and a network that is gone without a word (rows
// 3, 12 and 9 of docs/performance.md).
//
//	tunnel [-rows 3,9,12] [-pairs N] [-systems ours,remotedialer,http2]
//
// Ours is internal/tunnel over line over carrier, as the product has it;
// compared are rancher/remotedialer, and HTTP/2 with its roles reversed over our
// carrier, both in the same run, in turns. The agent is a process of its own, on
// the loopback and then behind an uplink of 20 Mbit/s, for which the program
// makes network namespaces; that takes root, ip and tc. It is no test: a missed
// target is printed, and the exit code stays 0.
//
// This program is a module of its own so that remotedialer is no dependency of
// the product.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
)

// wholeLimit bounds the whole run.
const wholeLimit = 15 * time.Minute

// The program starts itself again in these parts.
const (
	agentPart  = "agent"
	shapedPart = "shaped"
)

func main() {
	logrus.SetOutput(io.Discard) // remotedialer's words on connections that end are no news here
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, wholeLimit)
	err := run(ctx, os.Args[1:])
	cancel()
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench/tunnel:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == agentPart {
		return runAgent(ctx, os.Stdin, os.Stdout)
	}
	shaped := len(args) > 0 && args[0] == shapedPart
	if shaped {
		args = args[1:]
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	if shaped {
		return runShaped(ctx, o)
	}
	fmt.Printf("%d cores, %s, load %s\n", runtime.NumCPU(), runtime.Version(), load())
	t := table{systems: o.systems}
	if asked := o.of(healthRows); len(asked) > 0 {
		got, err := measureHealth(ctx, o)
		if err != nil {
			return fmt.Errorf("row 9: %w", err)
		}
		t.add(asked, got)
	}
	if asked := o.of(loopbackRows); len(asked) > 0 {
		got, err := measureAll(ctx, o, onLoopback(), asked)
		if err != nil {
			return err
		}
		t.add(asked, got)
	}
	if shaped := o.of(shapedRows); len(shaped) > 0 {
		got, err := inNamespaces(ctx, args)
		if err != nil {
			fmt.Printf("\n  the shaped uplink could not be measured: %v\n", err)
		}
		t.add(shaped, got)
	}
	fmt.Printf("\nload %s\n\n", load())
	return t.print(os.Stdout)
}

type options struct {
	rows    string
	systems []string
	pairs   int
}

// of are those of rows that were asked for.
func (o options) of(rows []row) []row {
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool {
		return !slices.Contains(strings.Split(o.rows, ","), strconv.Itoa(r.number))
	})
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench/tunnel", flag.ContinueOnError)
	flags.StringVar(&o.rows, "rows", "3,9,12", "which rows to measure")
	only := flags.String("systems", "ours,remotedialer,http2", "which to measure: the first against each of the others; also mux, ours without line")
	flags.IntVar(&o.pairs, "pairs", 7, "runs of each system in each row")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.pairs < 1 {
		return o, errors.New("there are flags alone, and at least one pair; see -help")
	}
	o.systems = strings.Split(*only, ",")
	for _, name := range o.systems {
		if systems[name] == nil {
			return o, fmt.Errorf("there is no system %q", name)
		}
	}
	return o, nil
}

// samples are what was measured: by row's measure, then by system, run for run.
type samples map[string]map[string][]float64

func (s samples) add(measure, system string, v float64) {
	if s[measure] == nil {
		s[measure] = map[string][]float64{}
	}
	s[measure][system] = append(s[measure][system], v)
}

// measureAll runs each row, the systems in turns. A reference that fails is left out
// from there on, and what it has done until then counts.
func measureAll(ctx context.Context, o options, p place, rows []row) (samples, error) {
	w, err := newWorld(ctx, o.systems, p)
	if err != nil {
		return nil, err
	}
	defer w.stop()
	all, up := samples{}, slices.Clone(o.systems)
	for _, r := range o.of(rows) {
		fmt.Fprintf(os.Stderr, "row %2d  %s ", r.number, r.title)
		begun := time.Now()
		for range o.pairs {
			for _, name := range slices.Clone(up) {
				err := once(ctx, w, r, name, all)
				if err != nil && name == o.systems[0] {
					return nil, fmt.Errorf("%s: %s: %w", r.title, name, err)
				}
				if err != nil {
					fmt.Fprintf(os.Stderr, "\n  %s failed and is left out from here on: %v\n", name, err)
					up = slices.DeleteFunc(up, func(n string) bool { return n == name })
				}
			}
			fmt.Fprint(os.Stderr, ".")
		}
		fmt.Fprintf(os.Stderr, " %.0f s\n", time.Since(begun).Seconds())
	}
	return all, nil
}

// runLimit bounds one run of one system.
const runLimit = time.Minute

func once(ctx context.Context, w *world, r row, name string, into samples) error {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	values, err := r.run(ctx, w.end(name))
	if err != nil {
		return err
	}
	for i, v := range values {
		into.add(r.measures[i].name, name, v)
	}
	return nil
}

// inNamespaces runs the shaped part in a network namespace of its own, which the
// kernel takes away when it has ended.
func inNamespaces(ctx context.Context, args []string) (samples, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("it takes root")
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", slices.Concat([]string{shapedPart}, args)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	var s samples
	return s, json.Unmarshal(out.Bytes(), &s)
}

func runShaped(ctx context.Context, o options) error {
	s, err := measureAll(ctx, o, behindUplink(), shapedRows)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

// load is the machine's load average over the last minute.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}
