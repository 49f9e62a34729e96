// Package proxy proves that a quiet shell outlives the idle limit of a real
// reverse proxy. `make test` does it with a short limit, `make soak` for as long
// as people leave a shell alone.
package proxy

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/childtest"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/test/console"
)

var (
	limit = flag.Duration("limit", 8*time.Second, "idle limit of the proxy")
	quiet = flag.Duration("quiet", 20*time.Second, "how long the shells are left alone")
)

func TestMain(m *testing.M) { kubetest.Main(m) }

// wait bounds each step but the quiet itself.
const wait = 30 * time.Second

// Clusters of the server: one pings as the operators' guide says, twice within
// the proxy's limit, the other hardly ever.
const (
	pinging = "pinging"
	silent  = "silent"
)

// rig is a Periscope behind a proxy, and a pod.
type rig struct {
	login          *console.Login
	namespace, pod string
}

func start(t *testing.T) rig {
	t.Helper()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	ln := listen(t)
	port, err := childtest.FreePort() // a server does not say its own where it has a public address
	if err != nil {
		t.Fatal(err)
	}
	periscope := console.Start(t, c, ns, console.Options{
		Clusters: map[string]string{
			pinging: fmt.Sprintf("{serverIdleSeconds: 1800, heartbeatSeconds: %d}", *limit/2/time.Second),
			silent:  "{serverIdleSeconds: 1800, heartbeatSeconds: 300}",
		},
		Environ: []string{"PORT=" + port, "PERISCOPE_PUBLIC_URL=http://" + ln.Addr().String()},
	})
	haproxy(t, ln, *limit, "127.0.0.1:"+port)
	return rig{periscope.Login(), ns, pod.Name}
}

// open opens a shell and waits until it has said all that it says by itself.
func (r rig) open(t *testing.T, cluster string, mode console.Mode) *console.Terminal {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	shell, err := r.login.Open(ctx, console.Target{Cluster: cluster, Namespace: r.namespace, Pod: r.pod}, mode)
	if err != nil {
		t.Fatal(err)
	}
	ask(t, shell, "first")
	return shell
}

// ask types a command and waits for its answer and the prompt after it.
func ask(t *testing.T, shell *console.Terminal, word string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	if err := shell.Type(ctx, "PS1='ready> '; echo an''swer "+word+"\n"); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"answer " + word, "ready> "} {
		if err := shell.Await(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAQuietShellOutlivesTheProxysLimit leaves shells alone for many limits.
func TestAQuietShellOutlivesTheProxysLimit(t *testing.T) {
	r := start(t)
	for name, mode := range map[string]console.Mode{"v2": console.V2, "plain": console.Plain} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shell := r.open(t, pinging, mode)
			before := shell.Output()
			leave(t, shell)
			if got := shell.Output() - before; got != 0 {
				t.Errorf("%d bytes of output: the shell was not quiet", got)
			}
			ask(t, shell, "last")
		})
	}
}

// leave leaves a shell alone, and says now and then that it lives.
func leave(t *testing.T, shell *console.Terminal) {
	t.Helper()
	begun := time.Now()
	end := time.NewTimer(*quiet)
	defer end.Stop()
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-shell.Over():
			_, _, err := shell.Closed(t.Context())
			t.Fatalf("the shell ended after %.1f s: %v", time.Since(begun).Seconds(), err)
		case <-tick.C:
			t.Logf("quiet for %.0f of %.0f minutes", time.Since(begun).Minutes(), quiet.Minutes())
		case <-end.C:
			return
		}
	}
}

// TestTheLimitBites shows that it is the pings that keep the shells above alive:
// without them the proxy cuts a shell at its limit.
func TestTheLimitBites(t *testing.T) {
	shell := start(t).open(t, silent, console.Plain)
	begun := time.Now()
	select {
	case <-shell.Over():
	case <-time.After(*limit + wait):
		t.Fatal("a shell without pings is not cut: the proxy has no limit")
	}
	lasted := time.Since(begun)
	if lasted < *limit*9/10 {
		t.Errorf("cut after %v, before the limit of %v: that was not the limit", lasted, *limit)
	}
	if _, _, err := shell.Closed(t.Context()); err == nil {
		t.Error("the server ended the shell, not the proxy")
	}
	t.Logf("without pings cut after %.1f s", lasted.Seconds())
}
