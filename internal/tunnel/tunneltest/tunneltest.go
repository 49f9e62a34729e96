// Package tunneltest runs both ends of agents' links for tests: the hub behind a TLS
// listener with real enrolment, and agents that serve a cluster.
//
// It owns what it starts, until the test ends.
package tunneltest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/store"
	"github.com/periscope-console/periscope/internal/tunnel/agent"
	"github.com/periscope-console/periscope/internal/tunnel/contract"
	"github.com/periscope-console/periscope/internal/tunnel/enrol"
	"github.com/periscope-console/periscope/internal/tunnel/hub"
	"github.com/periscope-console/periscope/internal/tunnel/line"
	"github.com/periscope-console/periscope/internal/tunnel/pki"
)

// wait bounds every wait.
const wait = 30 * time.Second

// Admin may do all that there is to do about agents.
var Admin = identity.Actor{Subject: "ada", Email: "ada@example.com", Admin: true}

// Rig is the server's end.
type Rig struct {
	Hub   *hub.Hub
	Enrol *enrol.Keeper
	// Address is host:port of the listener, URL where agents dial.
	Address string
	URL     *url.URL
	Log     *Text
	Audit   *Text

	life    time.Duration // of agents' certificates
	changed chan struct{} // has room for one
}

// Option changes how Start starts the rig.
type Option func(*Rig, *hub.Options)

// Line sets the links' times.
func Line(s line.Settings) Option { return func(_ *Rig, o *hub.Options) { o.Line = s } }

// Life is that of agents' certificates; a day without it.
func Life(d time.Duration) Option { return func(r *Rig, _ *hub.Options) { r.life = d } }

// Audit takes the hub's records instead of the rig's own.
func Audit(e audit.Emitter) Option { return func(_ *Rig, o *hub.Options) { o.Audit = e } }

// Text is what was written, for many at once.
type Text struct {
	mu    sync.Mutex
	text  strings.Builder
	wrote func() // may be nil
}

func (x *Text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.wrote != nil {
		defer x.wrote()
	}
	return x.text.Write(p)
}

func (x *Text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.text.String()
}

// Events are those of audit with that verb, in order.
func (r *Rig) Events(verb string) (found []audit.Event) {
	for line := range strings.Lines(r.Audit.String()) {
		var e audit.Event
		if json.Unmarshal([]byte(line), &e) == nil && e.Verb == verb {
			found = append(found, e)
		}
	}
	return found
}

// Start runs a hub for these clusters until the test ends.
func Start(t testing.TB, clusters []string, opts ...Option) *Rig {
	t.Helper()
	r := &Rig{changed: make(chan struct{}, 1), life: 24 * time.Hour}
	r.Log, r.Audit = &Text{wrote: r.tell}, &Text{wrote: r.tell}
	log := slog.New(slog.NewJSONHandler(r.Log, nil))
	ca, err := pki.Open(t.Context(), pki.File(filepath.Join(t.TempDir(), "ca.pem")))
	must(t, err)
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "agents.db"))
	must(t, err)
	o := hub.Options{Audit: audit.NewLines(r.Audit), Log: log, Changed: func(string) { r.tell() }}
	for _, opt := range opts {
		opt(r, &o)
	}
	r.Enrol = enrol.New(enrol.Options{Store: db.Agents(), CA: ca, Clusters: clusters, Life: r.life, Audit: audit.NewLines(r.Audit), Log: log})
	o.Admit = r.Enrol.Admit
	r.Hub = hub.New(o)
	r.listen(t, ca)
	ctx, stop := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = r.Enrol.Run(ctx) })
	parts.Go(func() { _ = r.Hub.Run(ctx) })
	t.Cleanup(func() {
		stop()
		parts.Wait()
		must(t, db.Close())
		if t.Failed() {
			t.Logf("the hub's log:\n%s", r.Log)
		}
	})
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listen serves the hub and registration, as the server's own listener does.
func (r *Rig) listen(t testing.TB, ca *pki.Authority) {
	serving, err := ca.Serving([]string{"127.0.0.1"})
	must(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+contract.ConnectPath, func(w http.ResponseWriter, q *http.Request) {
		if err := r.Hub.Connect(w, q); err != nil {
			refuse(w, err)
		}
	})
	mux.HandleFunc("POST "+contract.RegisterPath, r.register)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", serving.TLS())
	must(t, err)
	s := &http.Server{Handler: mux, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0), ReadHeaderTimeout: wait}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	r.Address = ln.Addr().String()
	r.URL = &url.URL{Scheme: "wss", Host: r.Address, Path: contract.ConnectPath}
}

func (r *Rig) register(w http.ResponseWriter, q *http.Request) {
	var ask contract.RegisterAsk
	if err := json.NewDecoder(q.Body).Decode(&ask); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	got, err := r.Enrol.Register(q.Context(), enrol.Ask{Token: ask.Token, Cluster: ask.Cluster, Request: ask.CSR})
	if err != nil {
		refuse(w, err)
		return
	}
	_ = json.NewEncoder(w).Encode(contract.Certified{Certificate: string(got.PEM), CA: string(got.CA)})
}

// refuse is how the server's edge refuses, in short.
func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": fault.KindOf(err).Code(), "message": fault.PublicOf(err)})
}

func (r *Rig) tell() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Await waits until the cluster's state is as want says, which may also look at Log
// and Audit.
func (r *Rig) Await(t testing.TB, cluster string, want func(hub.State) bool) hub.State {
	t.Helper()
	late := time.After(wait)
	for {
		if s := r.Hub.State(cluster); want(s) {
			return s
		}
		select {
		case <-r.changed:
		case <-late:
			t.Fatalf("the link of %s is %v since %v; log:\n%s", cluster, r.Hub.State(cluster).Line, r.Hub.State(cluster).Since, r.Log)
		}
	}
}

// Is makes a condition for Await.
func Is(s line.State) func(hub.State) bool {
	return func(is hub.State) bool { return is.Line == s }
}

// Agent is a running agent.
type Agent struct {
	Options agent.Options
	Log     *Text
	agent   *agent.Agent
	stop    context.CancelFunc
	ended   chan error
}

// Enrolled are credentials for the cluster, by a token, kept in a file of the test's.
func (r *Rig) Enrolled(t testing.TB, cluster string) agent.Options {
	t.Helper()
	_, secret, err := r.Enrol.Mint(t.Context(), Admin, "", cluster)
	must(t, err)
	_, pin := r.Enrol.CA()
	return agent.Options{
		Cluster: cluster, Server: r.URL, Keeper: agent.File(filepath.Join(t.TempDir(), "agent.json")), Shells: true, Version: "test",
		Registration: agent.Registration{
			URL:     &url.URL{Scheme: "https", Host: r.Address, Path: contract.RegisterPath},
			Cluster: cluster, Token: secret.Reveal(), Pin: pin,
		},
	}
}

// Agent runs one for the cluster that cfg reaches, and waits for its link.
func (r *Rig) Agent(t testing.TB, cluster string, cfg *rest.Config) *Agent {
	t.Helper()
	o := r.Enrolled(t, cluster)
	p, err := agent.NewProxy(cfg, true, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(p.Close)
	o.Proxy = p
	return r.Linked(t, o)
}

// Linked is Run, and waits until both ends have the link.
func (r *Rig) Linked(t testing.TB, o agent.Options) *Agent {
	t.Helper()
	a := r.Run(t, o)
	r.Await(t, o.Cluster, func(s hub.State) bool { return s.Line == line.Connected && a.Ready() == nil })
	return a
}

// Run runs an agent until the test ends, or Stop.
func (r *Rig) Run(t testing.TB, o agent.Options) *Agent {
	t.Helper()
	a := &Agent{Log: &Text{wrote: r.tell}, ended: make(chan error, 1)}
	if o.Log == nil {
		o.Log = slog.New(slog.NewJSONHandler(a.Log, nil))
	}
	a.Options = o
	a.agent = agent.New(o)
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	go func() { a.ended <- a.agent.Run(ctx) }()
	t.Cleanup(func() {
		if err := a.Stop(t); t.Failed() {
			t.Logf("the agent ended with %v; its log:\n%s", err, a.Log)
		}
	})
	return a
}

// Ready is the agent's own word.
func (a *Agent) Ready() error { return a.agent.Ready() }

// Stop ends the agent and returns what it ended with. Twice is once.
func (a *Agent) Stop(t testing.TB) error {
	t.Helper()
	a.stop()
	return a.Wait(t)
}

// Wait is Stop for an agent that ends by itself.
func (a *Agent) Wait(t testing.TB) error {
	t.Helper()
	select {
	case err := <-a.ended:
		a.ended <- err // for whoever asks again
		return err
	case <-time.After(wait):
		t.Fatalf("the agent did not end; log:\n%s", a.Log)
		return nil
	}
}
