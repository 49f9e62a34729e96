// Package logins proves from outside that logins belong to the store and not to a
// process: the built Periscope is killed, started again, and run twice beside
// itself.
package logins

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/childtest"
	"github.com/periscope-console/periscope/internal/idptest"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/pgtest"
	"github.com/periscope-console/periscope/test/console"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

const (
	// wait bounds each step.
	wait = time.Minute
	// told is how long a logout at one process may take to end shells of another:
	// 15 s, and the way.
	told = 20 * time.Second
)

// group is servers on one store, each a process of its own.
type group struct {
	t       *testing.T
	idp     *idptest.Provider
	cluster *kubetest.Cluster
	at      console.Target
	store   string
}

func newGroup(t *testing.T, store string) *group {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	return &group{
		t: t, cluster: c, store: store, at: console.Target{Cluster: console.Default, Namespace: ns, Pod: pod.Name},
		idp: idptest.Start(t, idptest.User{Sub: "ada", Groups: []string{ns}}),
	}
}

// port is one for a server: the provider must know where that is.
func port(t *testing.T) string {
	t.Helper()
	p, err := childtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (g *group) start(port string) *console.Server {
	g.t.Helper()
	back := "http://127.0.0.1:" + port + "/api/auth/callback"
	g.idp.AllowRedirect(back)
	return console.Start(g.t, g.cluster, g.at.Namespace, console.Options{
		Auth: fmt.Sprintf("mode: oidc\nauthorization: {mode: raw}\noidc: {issuer: %q, clientID: %s, clientSecret: %q, redirectURL: %q}\n",
			g.idp.Issuer, g.idp.ClientID, g.idp.ClientSecret, back),
		Environ: []string{"PORT=" + port, "PERISCOPE_DATABASE_URL=" + g.store},
	})
}

// open opens a shell and waits for its prompt's process.
func (g *group) open(ctx context.Context, l *console.Login) *console.Terminal {
	g.t.Helper()
	term, err := l.Open(ctx, g.at, console.V2)
	if err == nil {
		err = term.Type(ctx, "echo he''re\n")
	}
	if err == nil {
		err = term.Await(ctx, "here")
	}
	if err != nil {
		g.t.Fatal(err)
	}
	return term
}

// gone waits for the end of a shell whose login was ended at that time.
func gone(ctx context.Context, t *testing.T, what string, term *console.Terminal, since time.Time) {
	t.Helper()
	last, code, err := term.Closed(ctx)
	took := time.Since(since)
	t.Logf("%s: ended after %v", what, took.Round(10*time.Millisecond))
	if err != nil || last.Reason != "unauthorized" || code != 1008 || took > told {
		t.Errorf("%s: %+v with %d after %v: %v", what, last, code, took, err)
	}
}

// TestTwoProcessesOnOneStore: a login made at one holds at the other, and ends
// at both, with its shells.
func TestTwoProcessesOnOneStore(t *testing.T) {
	pg := pgtest.Start(t)
	for name, store := range map[string]string{
		"sqlite":   "sqlite:" + filepath.Join(t.TempDir(), "periscope.db"),
		"postgres": pg.Database(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			g := newGroup(t, store)
			one, two := g.start(port(t)), g.start(port(t))
			one.AwaitReady()
			two.AwaitReady()
			here := one.LoginBy(g.idp, "ada")
			there := here.At(two)
			mine, theirs := g.open(ctx, here), g.open(ctx, there)
			left := time.Now()
			if err := here.Logout(ctx); err != nil {
				t.Fatal(err)
			}
			gone(ctx, t, "the same process", mine, left)
			gone(ctx, t, "the other process", theirs, left)
			if there.Holds(ctx) == nil {
				t.Error("the login holds at the other process")
			}

			office, home := one.LoginBy(g.idp, "ada"), two.LoginBy(g.idp, "ada")
			mine, theirs = g.open(ctx, office), g.open(ctx, home)
			left = time.Now()
			if err := office.LogoutEverywhere(ctx); err != nil {
				t.Fatal(err)
			}
			gone(ctx, t, "everywhere, the same process", mine, left)
			gone(ctx, t, "everywhere, the other process", theirs, left)
			if home.Holds(ctx) == nil || home.At(one).Holds(ctx) == nil {
				t.Error("a login is left")
			}
		})
	}
}

// TestAKilledServerKeepsLogins ends the process in the middle of work, without a
// word, and starts it anew.
func TestAKilledServerKeepsLogins(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	g := newGroup(t, "sqlite:"+filepath.Join(t.TempDir(), "periscope.db"))
	at := port(t)
	first := g.start(at)
	first.AwaitReady()
	ada := first.LoginBy(g.idp, "ada")
	g.open(ctx, ada)
	if err := first.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := first.Exit(ctx); err == nil {
		t.Fatal("killed, and yet it ended well")
	}
	second := g.start(at)
	if err := ada.At(second).Holds(ctx); err != nil {
		t.Fatalf("the login was lost: %v", err)
	}
	g.open(ctx, ada.At(second))
}
