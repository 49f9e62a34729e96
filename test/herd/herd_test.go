// Package herd has many agents lose their server at once, and come back to it without
// a stampede. It runs in make soak alone.
package herd

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/childtest"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/test/console"
)

var (
	agents = flag.Int("agents", 0, "how many agents; 0: the test is left out")
	down   = flag.Duration("down", 10*time.Second, "how long the server is away")
)

func TestMain(m *testing.M) { kubetest.Main(m) }

const (
	// enrolling is how many agents come in at the same time.
	enrolling = 8
	wait      = 2 * time.Minute
	exitLimit = 10 * time.Second
	// window is the time in which no more than a share of all may come in: with
	// nothing that spreads them it would be all of them.
	window = 100 * time.Millisecond
	share  = 1. / 3
)

// TestTheHerd restarts the server in both ways. The bounds are those of
// internal/tunnel/line: a line that waits to go on is asked for within a tenth of its
// grace of 30 s, and a new one follows within a quarter of a second; after a word of the
// server, and where lines end within 5 s of their beginning, the waits grow to 30 s. On
// top of that is what a busy machine takes.
func TestTheHerd(t *testing.T) {
	if *agents == 0 {
		t.Skip("make soak has as many agents as it takes")
	}
	port, err := childtest.FreePort() // each server listens where the one before it did
	if err != nil {
		t.Fatal(err)
	}
	h := &herd{T: t, cluster: kubetest.Shared(t), dir: t.TempDir(), listen: "127.0.0.1:" + port}
	h.ns = h.cluster.Namespace(t)
	h.start()
	h.enrol()
	for _, way := range []struct {
		name   string
		signal syscall.Signal
		within time.Duration
	}{
		{"cut off by a kill", syscall.SIGKILL, 3*time.Second + 250*time.Millisecond + 10*time.Second},
		{"told by the server", syscall.SIGTERM, 30*time.Second + 10*time.Second},
	} {
		h.leave(way.signal)
		h.back(way.name, way.within)
	}
}

// herd is a server and all of its agents.
type herd struct {
	*testing.T
	cluster *kubetest.Cluster
	ns, dir string
	listen  string // where the server listens for agents
	server  *console.Server
	login   *console.Login
	all     []*remote
	up      time.Time // when the server was of use
}

func name(i int) string { return fmt.Sprintf("far-%03d", i) }

func (h *herd) start() {
	var names []string
	for i := range *agents {
		names = append(names, name(i))
	}
	h.server = console.Start(h.T, h.cluster, h.ns, console.Options{Far: names, Environ: []string{
		"PERISCOPE_AGENT_LISTEN_ADDR=" + h.listen, "PERISCOPE_AGENT_TUNNEL_SANS=127.0.0.1",
		"PERISCOPE_DATABASE_URL=sqlite:" + filepath.Join(h.dir, "periscope.db"),
		"PERISCOPE_LOGIN_RATE_PER_CLIENT=100000", "PERISCOPE_LOGIN_RATE_TOTAL=100000",
	}})
	h.up = time.Now()
	h.login = h.server.Login()
}

// enrol lets every agent in by a token of its own.
func (h *herd) enrol() {
	begun := time.Now()
	h.all = make([]*remote, *agents)
	turns := make(chan struct{}, enrolling)
	var parts sync.WaitGroup
	for i := range h.all {
		parts.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			h.all[i] = h.join(name(i))
		})
	}
	parts.Wait()
	if h.Failed() {
		h.FailNow()
	}
	h.await(begun.Add(wait), begun)
	fmt.Printf("%d agents have registered and connected in %.1f s\n", len(h.all), time.Since(begun).Seconds())
}

// join starts one agent, nil where that fails.
func (h *herd) join(cluster string) *remote {
	ctx, cancel := context.WithTimeout(h.Context(), wait)
	defer cancel()
	variables, err := h.login.AgentVariables(ctx, cluster)
	if err != nil {
		h.Error(err)
		return nil
	}
	r, err := start(h.cluster.Kubeconfig, append(variables,
		"PERISCOPE_AGENT_HEALTH_ADDR=127.0.0.1:0", "PERISCOPE_AGENT_CREDENTIALS_FILE="+filepath.Join(h.dir, cluster+".json")))
	if err != nil {
		h.Error(err)
		return nil
	}
	h.Cleanup(func() {
		if err := r.stop(); err != nil {
			h.Errorf("the agent of %s ended with %v", cluster, err)
		}
	})
	return r
}

// leave ends the server for a while. The next one is found where it was.
func (h *herd) leave(signal syscall.Signal) {
	ctx, cancel := context.WithTimeout(h.Context(), wait)
	defer cancel()
	if err := h.server.Signal(signal); err != nil {
		h.Fatal(err)
	}
	ended, stop := context.WithTimeout(ctx, exitLimit)
	defer stop()
	if err := h.server.Exit(ended); err != nil && (signal != syscall.SIGKILL || ended.Err() != nil) {
		h.Fatal(err)
	}
	select { // it is away, which is what this is about
	case <-time.After(*down):
	case <-ctx.Done():
	}
}

// back starts the server, and holds the agents to their bounds.
func (h *herd) back(way string, within time.Duration) {
	gone := time.Now()
	h.start()
	times := h.await(h.up.Add(within), gone)
	var after []time.Duration
	for _, at := range times {
		after = append(after, max(0, at.Sub(h.up)))
	}
	slices.Sort(after)
	most := crowd(times)
	last := len(after) - 1
	fmt.Printf("PASS %d agents %s for %v: the first back after %.2f s, half after %.2f s, nine of ten after %.2f s, all after %.2f s (at most %.0f s); at most %d within %v\n",
		len(after), way, *down, after[0].Seconds(), after[last/2].Seconds(), after[last*9/10].Seconds(), after[last].Seconds(), within.Seconds(), most, window)
	if float64(most) > max(3, share*float64(len(after))) {
		h.Errorf("%d of %d came within %v: nothing spreads them", most, len(after), window)
	}
	h.whole()
}

// await waits until every agent has a link that began after since, and returns when.
func (h *herd) await(until, since time.Time) []time.Time {
	h.Helper()
	ctx, cancel := context.WithDeadline(h.Context(), until)
	defer cancel()
	var times []time.Time
	for i, r := range h.all {
		at, err := r.connected(ctx, since)
		if err != nil {
			h.Fatalf("%s is not back: %v; %d are", name(i), err, i)
		}
		times = append(times, at)
	}
	return times
}

// crowd is how many came within the fullest window.
func crowd(times []time.Time) (most int) {
	times = slices.Clone(times)
	slices.SortFunc(times, time.Time.Compare)
	first := 0
	for i, at := range times {
		for at.Sub(times[first]) > window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// whole asks for something through every link, and finds no error in the server's log.
func (h *herd) whole() {
	ctx, cancel := context.WithTimeout(h.Context(), wait)
	defer cancel()
	for i := range h.all {
		if err := h.login.AwaitLink(ctx, name(i), "connected"); err != nil {
			h.Error(err)
		} else if err := h.login.ReachesPods(ctx, name(i), h.ns); err != nil {
			h.Error(err)
		}
	}
	if lines := h.server.Lines("ERROR"); len(lines) > 0 {
		h.Errorf("the server's log has %d errors, such as %s", len(lines), lines[0])
	}
}
