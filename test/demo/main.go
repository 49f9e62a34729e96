// Demo runs the whole product on one machine: a real control plane with pods, one
// that only an agent reaches, and Periscope over both. It is what `make demo` and the browser tests start.
//
//	demo [--dir DIR] [--cluster DIR] [--port PORT] [--oidc] [-- COMMAND ARG…]
//
// Without a command it stays in the foreground until Ctrl-C. With one it runs it
// beside the system, with PERISCOPE_URL, PERISCOPE_PID, PERISCOPE_AGENT_PID and
// KUBECONFIG set, and ends with its exit code. With --oidc people log in by a provider, in tiers; a
// command also gets PERISCOPE_IDP and PERISCOPE_DEMO_PASSWORD. With --cluster it joins a devcluster
// that runs in that folder, with the demo's workloads, beside whoever else is there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/periscope-console/periscope/test/proc"
)

const startLimit = 3 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(max(1, exit.ExitCode()))
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo is the running system.
type demo struct {
	bin, dir, port, seed string
	cluster              string // folder of the devcluster
	joins                bool   // which runs already, with the workloads
	login                *login // nil: whoever comes is in
	rbac                 string
	more                 string // further clusters
	debugImages          string // for pods without a shell
	command              bool   // there is one to run beside it
	edge                 string // kubeconfig of the cluster behind an agent
	agentPID             string
	lock                 *os.File // of the folder
	log                  io.Writer
	parts                []*proc.Process // in the order of their start
	url, pid             string          // Periscope's
}

func run(ctx context.Context, args []string) error {
	d := &demo{debugImages: "registry.local/platform/debug:1.0,registry.local/platform/netshoot:0.14"}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.StringVar(&d.bin, "bin", "bin", "folder of the built programs")
	flags.StringVar(&d.seed, "seed", "devcluster/seed", "folder of the demo's manifests")
	flags.StringVar(&d.dir, "dir", ".demo", "folder for the demo's data")
	flags.StringVar(&d.cluster, "cluster", "", "folder of a devcluster that runs already, with the demo's workloads; none: its own")
	flags.StringVar(&d.port, "port", "0", "port of the page; 0 takes a free one")
	oidc := flags.Bool("oidc", false, "log in by an OpenID provider, with a user of each tier")
	flags.StringVar(&d.rbac, "rbac", "deploy/rbac", "folder of the tiers' manifests")
	if err := flags.Parse(args); err != nil {
		return err
	}
	d.command = flags.NArg() > 0
	d.joins = d.cluster != ""
	if !*oidc {
		d.more = edgeYAML
	}
	if d.command {
		d.more += testClusters
		d.debugImages += ",registry.invalid/platform/missing:1.0" // one that no node can fetch
	}
	if *oidc {
		d.login = &login{admin: flags.NArg() > 0}
	}
	if err := d.prepare(); err != nil {
		return err
	}
	defer d.stop()
	if err := d.start(ctx); ctx.Err() != nil {
		return nil // Ctrl-C during the start is an ordinary end
	} else if err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return d.beside(ctx, flags.Args())
	}
	d.announce(os.Stdout)
	return d.wait(ctx)
}

// announce tells people how to go on. The addresses come last, for those who wait
// for them.
func (d *demo) announce(w io.Writer) {
	if d.login == nil {
		fmt.Fprintf(w, "\nAny program on this machine may use this demo: it has no login. Ctrl-C ends everything.\n\n")
	} else {
		fmt.Fprintf(w, "\n%s\n", d.login.users())
	}
	program := filepath.Join(d.bin, "periscope")
	fmt.Fprintf(w, "in a terminal: %s login --server %s && %s exec demo tools/toolbox\n", program, strings.TrimSuffix(d.url, "/"), program)
	fmt.Fprintf(w, "periscope ready: %s\nkubeconfig: %s\n", d.url, d.kubeconfig())
}

func (d *demo) prepare() (err error) {
	if d.dir, err = filepath.Abs(d.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return err
	}
	if err := d.takeLock(); err != nil {
		return err
	}
	if !d.joins {
		d.cluster = d.path("cluster")
	}
	log, err := os.Create(filepath.Join(d.dir, "demo.log"))
	if err != nil {
		return err
	}
	d.log = log
	if d.login != nil {
		return nil // what it is made from is not there yet
	}
	return errors.Join(d.write("clusters.yaml", clusters(d.kubeconfig(), d.more)), d.write("auth.yaml", authYAML))
}

// takeLock keeps the folder for this process until it is gone.
func (d *demo) takeLock() error {
	lock, err := os.OpenFile(d.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	d.lock = lock
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("another demo already runs in %s: stop it, or choose another folder with DEMO_DIR, or --dir", d.dir)
	}
	return err
}

// clusters is clusters.yaml: all by one kubeconfig.
func clusters(kubeconfig, more string) string {
	return strings.ReplaceAll(clustersYAML+more, "KUBECONFIG", kubeconfig)
}

const clustersYAML = `clusters:
  - name: demo
    backend: kubeconfig
    kubeconfigPath: KUBECONFIG
    environment: demo
    tags: {team: platform}
`

// testClusters are the same control plane under other rules, for the tests: one
// without shells, and one that asks why, ends idle shells after seconds and
// lets a person have two shells at most.
const testClusters = `  - name: locked
    backend: kubeconfig
    kubeconfigPath: KUBECONFIG
    exec: {enabled: false}
  - name: strict
    backend: kubeconfig
    kubeconfigPath: KUBECONFIG
    exec: {requireReason: true, serverIdleSeconds: 30, idleWarnSeconds: 25, maxSessionsPerUser: 2}
`

const authYAML = `mode: dev
authorization: {mode: raw}
dev: {subject: dev@local, email: dev@local, groups: [dev], admin: true}
`

func (d *demo) write(name, text string) error { return os.WriteFile(d.path(name), []byte(text), 0o600) }

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

func (d *demo) kubeconfig() string { return filepath.Join(d.cluster, "kubeconfig") }

func (d *demo) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if !d.joins {
		if err := d.startCluster(ctx); err != nil {
			return err
		}
	}
	if err := d.startBeside(ctx); err != nil {
		return err
	}
	say("Starting Periscope")
	line, err := d.run(ctx, proc.Spec{
		Name: "periscope", Path: filepath.Join(d.bin, "periscope"), Args: []string{"serve"}, Ready: "Open http", Log: d.log,
		Env: append(d.agentEnv(),
			"PORT="+d.port, "PERISCOPE_BIND_ADDRESS=127.0.0.1",
			"PERISCOPE_CLUSTERS_FILE="+d.path("clusters.yaml"), "PERISCOPE_AUTH_FILE="+d.path("auth.yaml"),
			"PERISCOPE_DATABASE_URL="+d.database(),
			"PERISCOPE_DEBUG_IMAGES="+d.debugImages,
		),
	})
	if err != nil {
		return err
	}
	_, d.url, _ = strings.Cut(line, "Open ")
	d.pid = strconv.Itoa(d.parts[len(d.parts)-1].PID())
	if d.login != nil {
		return d.ready(ctx)
	}
	return d.startAgent(ctx)
}

func (d *demo) startCluster(ctx context.Context) error {
	say("Starting a Kubernetes control plane and a node")
	if _, err := d.run(ctx, proc.Spec{
		Name: "devcluster", Path: filepath.Join(d.bin, "devcluster"), Ready: "ready", Log: d.log,
		Args: []string{"--dir", d.cluster, "--addr", "127.0.0.1:0", "--exit-with-parent"},
	}); err != nil {
		return err
	}
	say("Applying the demo's workloads")
	return d.kubectl(ctx, "apply", "-f", d.seed)
}

// startBeside starts what is beside the control plane: a provider, or another cluster.
func (d *demo) startBeside(ctx context.Context) error {
	if d.login != nil {
		return d.startLogin(ctx)
	}
	return d.startEdge(ctx)
}

// database is empty, which is memory, where there is no provider.
func (d *demo) database() string {
	if d.login == nil {
		return ""
	}
	return "sqlite:" + d.path("periscope.db")
}

func say(what string) { fmt.Printf("%s …\n", what) }

func (d *demo) run(ctx context.Context, s proc.Spec) (string, error) {
	p, line, err := proc.Start(ctx, s)
	if err != nil {
		return "", fmt.Errorf("%w\nThe whole log is in %s", err, filepath.Join(d.dir, "demo.log"))
	}
	d.parts = append(d.parts, p)
	return line, nil
}

func (d *demo) kubectl(ctx context.Context, args ...string) error {
	return d.kubectlAt(ctx, d.kubeconfig(), args...)
}

func (d *demo) kubectlAt(ctx context.Context, kubeconfig string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// wait blocks until Ctrl-C or until a part ends by itself, which is an error.
func (d *demo) wait(ctx context.Context) error {
	ended := make(chan error, len(d.parts))
	for _, p := range d.parts {
		go func() {
			<-p.Done()
			ended <- fmt.Errorf("a part of the demo ended by itself: %w; see %s", p.Err(), filepath.Join(d.dir, "demo.log"))
		}()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		return err
	}
}

// beside runs a command while the system is up.
func (d *demo) beside(ctx context.Context, argv []string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "PERISCOPE_URL="+d.url, "PERISCOPE_PID="+d.pid, "PERISCOPE_AGENT_PID="+d.agentPID, "KUBECONFIG="+d.kubeconfig())
	if d.login != nil {
		cmd.Env = append(cmd.Env, "PERISCOPE_IDP="+d.login.issuer, "PERISCOPE_DEMO_PASSWORD="+d.login.password)
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// stop ends the parts, the last one first.
func (d *demo) stop() {
	for i := len(d.parts) - 1; i >= 0; i-- {
		d.parts[i].Stop()
	}
}
