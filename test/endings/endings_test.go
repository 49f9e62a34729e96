// Package endings proves that no end of a shell leaves a process in its pod,
// whoever ends it: the built Periscope is met from outside, by its users'
// protocols alone. The same tests run on the dev cluster's process node (make
// test) and on a real node (make e2e-real).
package endings

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/test/console"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

const (
	// openers is how many shells open at the same time.
	openers = 8
	// wait bounds each step.
	wait = time.Minute
	// exitLimit is how long a server may take to end after SIGTERM.
	exitLimit = 10 * time.Second
)

// way is one way in which shells end.
type way struct {
	shells int
	// names is how many the cluster is known by, 0 for one: shells of different
	// names share no exec that ends them, as those of different users do not.
	names   int
	environ []string
	// act ends all shells of the crowd.
	act func(*crowd) error
	// early is whether the first shells may end before the last one has opened.
	early bool
	// alone is the one mode that they speak; empty: both in turns.
	alone console.Mode
	// reason is what audit must say of each; code is what each client must see,
	// 0 where it cannot see anything.
	reason string
	code   int
}

var ways = map[string]way{
	"dropped":      {shells: 100, environ: []string{"PERISCOPE_EXEC_RESUME_SECONDS=2"}, act: (*crowd).drop, reason: "client_lost"},
	"detached":     {shells: 50, environ: []string{"PERISCOPE_EXEC_RESUME_SECONDS=10"}, act: (*crowd).detach, alone: console.V2, reason: "client_lost"},
	"idle":         {shells: 100, environ: []string{"PERISCOPE_EXEC_IDLE_SECONDS=20"}, act: (*crowd).leave, early: true, reason: "server_idle", code: 1000},
	"ended":        {shells: 100, act: (*crowd).end, reason: "forced_close", code: 1000},
	"logged out":   {shells: 100, act: (*crowd).logout, reason: "unauthorized", code: 1008},
	"shutdown":     {shells: 20, act: (*crowd).shutdown, reason: "shutdown", code: 1012},
	"of several":   {shells: 60, names: 6, act: (*crowd).shutdown, reason: "shutdown", code: 1012},
	"big shutdown": {shells: 100, act: (*crowd).shutdown, reason: "shutdown", code: 1012},
}

// TestNothingIsLeft has a command in the foreground of each of many shells, ends
// them, and counts what is left in the pod.
func TestNothingIsLeft(t *testing.T) {
	c := kubetest.Shared(t)
	for name, w := range ways {
		t.Run(name, func(t *testing.T) {
			ns := c.Namespace(t)
			pod := place{c, ns, c.Pod(t, ns, kubetest.Image("dev.local/busybox:1")).Name}
			before := pod.settled(t)
			crowd := gather(t, pod, w)
			begun := time.Now()
			if err := w.act(crowd); err != nil {
				t.Fatal(err)
			}
			crowd.awaitClosed(w.reason, w.code)
			told := time.Since(begun)
			pod.await(t, "no command runs any more", func(now counts) bool { return now.commands == 0 })
			gone := time.Since(begun)
			pod.await(t, fmt.Sprintf("no shell is left, as before: %+v", before), func(now counts) bool { return now == before })
			crowd.awaitAudit(w.reason)
			t.Logf("%d shells %s: opened in %.1f s; clients told after %.1f s, no command left after %.1f s, nothing left after %.1f s",
				w.shells, name, crowd.opened.Seconds(), told.Seconds(), gone.Seconds(), time.Since(begun).Seconds())
		})
	}
}

// modes take turns.
var modes = []console.Mode{console.V2, console.Plain}

// crowd is many shells of one login, each with a command in its foreground.
type crowd struct {
	t      *testing.T
	ctx    context.Context
	server *console.Server
	login  *console.Login
	shells []*console.Terminal
	opened time.Duration
}

func gather(t *testing.T, pod place, w way) *crowd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	t.Cleanup(cancel)
	most := fmt.Sprint(w.shells)
	server := console.Start(t, pod.cluster, pod.namespace, console.Options{Clusters: clusters(w.names), Environ: append([]string{
		"PERISCOPE_EXEC_MAX_SESSIONS_PER_USER=" + most, "PERISCOPE_EXEC_MAX_SESSIONS_TOTAL=" + most,
	}, w.environ...)})
	g := &crowd{t: t, ctx: ctx, server: server, login: server.Login(), shells: make([]*console.Terminal, w.shells)}
	begun := time.Now()
	g.each(func(i int) (err error) {
		target := console.Target{Cluster: name(i % max(1, w.names)), Namespace: pod.namespace, Pod: pod.name}
		mode := cmp.Or(w.alone, modes[i%len(modes)])
		if g.shells[i], err = g.login.Open(ctx, target, mode); err == nil {
			err = g.shells[i].Type(ctx, "echo run''s; sleep 4321\n")
		}
		if err == nil {
			err = g.shells[i].Await(ctx, "runs")
		}
		return err
	})
	g.opened = time.Since(begun)
	if w.early {
		return g
	}
	pod.await(t, "a command runs in each shell", func(now counts) bool { return now.commands == w.shells })
	return g
}

// clusters are n names of the one control plane.
func clusters(n int) map[string]string {
	all := map[string]string{}
	for i := range max(1, n) {
		all[name(i)] = "{}"
	}
	return all
}

func name(i int) string { return fmt.Sprint(console.Default, "-", i) }

// each does f for each shell, a few at a time.
func (g *crowd) each(f func(i int) error) {
	g.t.Helper()
	queue, errs := make(chan int, len(g.shells)), make(chan error, len(g.shells))
	for i := range g.shells {
		queue <- i
	}
	close(queue)
	var wg sync.WaitGroup
	for range openers {
		wg.Go(func() {
			for i := range queue {
				errs <- f(i)
			}
		})
	}
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	if err := errors.Join(all...); err != nil {
		g.t.Fatal(err)
	}
}

func (g *crowd) drop() error {
	for _, shell := range g.shells {
		shell.Cut()
	}
	return nil
}

// detach leaves the shells to the server, which keeps all of them for a while and
// none for longer.
func (g *crowd) detach() error {
	g.each(func(i int) error { return g.shells[i].Detach(g.ctx) })
	return errors.Join(g.awaitListed("detached", len(g.shells)), g.awaitListed("", 0))
}

// awaitListed waits until n shells are listed in a state; in any where it is empty.
func (g *crowd) awaitListed(state string, n int) (err error) {
	now := 0
	if !poll(func() bool { now, err = g.login.Shells(g.ctx, state); return err != nil || now == n }) {
		err = fmt.Errorf("%d shells are listed %s, not %d", now, state, n)
	}
	return err
}

// leave does nothing: the idle time does the rest.
func (g *crowd) leave() error { return nil }

// end is what an administrator does in the list of sessions, in another browser.
func (g *crowd) end() error {
	admin := g.server.Login()
	g.each(func(i int) error { return admin.End(g.ctx, g.shells[i].Hello.SessionID) })
	if !poll(func() bool { return len(g.server.Events("pod.exec.session_kill")) == len(g.shells) }) {
		return errors.New("not every ending is in audit")
	}
	return nil
}

func (g *crowd) logout() error { return g.login.Logout(g.ctx) }

// shutdown wants the whole process gone, with exit code 0, in time.
func (g *crowd) shutdown() error {
	if err := g.server.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(g.ctx, exitLimit)
	defer cancel()
	return g.server.Exit(ctx)
}

// awaitClosed wants every client to have been told why its shell ended.
func (g *crowd) awaitClosed(reason string, code int) {
	g.t.Helper()
	if code == 0 {
		return
	}
	for _, shell := range g.shells {
		last, got, err := shell.Closed(g.ctx)
		if err != nil || last.Reason != reason || got != code {
			g.t.Errorf("closed %q with %d, want %q with %d (%v)", last.Reason, got, reason, code, err)
		}
		if code == 1012 && last.RetryAfterSeconds == 0 {
			g.t.Error("a client was not told when to come back")
		}
	}
}

// awaitAudit wants exactly one start and one end of every session, the end with
// its reason and with the word of somebody who has looked.
func (g *crowd) awaitAudit(reason string) {
	g.t.Helper()
	poll(func() bool { return len(g.server.Events("pod.exec.session_end")) >= len(g.shells) })
	for _, verb := range []string{"pod.exec.session_start", "pod.exec.session_end"} {
		seen := map[string]int{}
		for _, e := range g.server.Events(verb) {
			seen[e.Extra["session_id"].(string)]++
		}
		for _, shell := range g.shells {
			if n := seen[shell.Hello.SessionID]; n != 1 {
				g.t.Errorf("%d events %s of session %s", n, verb, shell.Hello.SessionID)
			}
		}
	}
	words := map[string]int{}
	for _, e := range g.server.Events("pod.exec.session_end") {
		words[fmt.Sprint(e.Extra["close_reason"], " ", e.Extra["ended"])]++
	}
	if len(words) != 1 || words[reason+" verified"] != len(g.shells) {
		g.t.Errorf("ends in audit %v, want all %s and verified", words, reason)
	}
}

// poll asks until ok; the state of another process cannot be awaited. It asks less
// and less often, since each look at hundreds of processes is work for all of them.
func poll(ok func() bool) bool {
	const longest = 200 * time.Millisecond
	deadline := time.Now().Add(wait)
	for pause := 50 * time.Millisecond; !ok(); pause = min(2*pause, longest) {
		if time.Now().After(deadline) {
			return false
		}
		<-time.After(pause)
	}
	return true
}
