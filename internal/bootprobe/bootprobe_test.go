package bootprobe_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/bootprobe"
	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

// wait bounds every wait in these tests.
const wait = 60 * time.Second

// told is a log whose lines a test waits for.
type told chan map[string]string

func (l told) Enabled(context.Context, slog.Level) bool { return true }
func (l told) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l told) WithGroup(string) slog.Handler            { return l }

func (l told) Handle(_ context.Context, r slog.Record) error {
	line := map[string]string{"msg": r.Message}
	r.Attrs(func(a slog.Attr) bool {
		line[a.Key] = a.Value.String()
		return true
	})
	l <- line
	return nil
}

// way is a backend that leads where a test says.
type way struct{ cfg *rest.Config }

func (w way) Config(context.Context) (*rest.Config, error) { return w.cfg, nil }
func (w way) Close() error                                 { return nil }

// round is one Probe and what it said.
type round struct {
	t     *testing.T
	probe *bootprobe.Probe
	log   told
	stop  context.CancelFunc
	ended chan error
}

type options struct {
	shared, noExec bool
	kind           transport.Kind
}

// run probes one cluster for each config; they are named c0, c1 and so on.
func run(t *testing.T, o options, cfgs ...*rest.Config) *round {
	t.Helper()
	var specs []config.Cluster
	ways := map[string]way{}
	for i, cfg := range cfgs {
		name := fmt.Sprint("c", i)
		specs = append(specs, config.Cluster{Name: name, Backend: "test", Exec: config.ExecPolicy{Enabled: !o.noExec}})
		ways[name] = way{cfg}
	}
	open := func(c config.Cluster) (clusters.Backend, error) { return ways[c.Name], nil }
	reg, err := clusters.New(specs, map[config.BackendKind]clusters.Opener{"test": open}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if o.kind == "" {
		o.kind = transport.Auto
	}
	r := &round{t: t, log: make(told, 100), ended: make(chan error, 1)}
	r.probe = &bootprobe.Probe{
		Clusters: reg, Switch: transport.NewSwitch(o.kind, time.Now), Shared: o.shared, Log: slog.New(r.log),
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.ended <- r.probe.Run(ctx) }()
	t.Cleanup(func() {
		r.end()
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *round) end() {
	r.stop()
	select {
	case err := <-r.ended:
		if err != nil {
			r.t.Errorf("Run: %v", err)
		}
		r.ended <- nil
	case <-time.After(wait):
		r.t.Fatal("Run did not end")
	}
}

// next is the next line of the log; want are some of its fields.
func (r *round) next(want map[string]string) map[string]string {
	r.t.Helper()
	select {
	case line := <-r.log:
		some := maps.Clone(line)
		maps.DeleteFunc(some, func(k, _ string) bool { _, ok := want[k]; return !ok })
		if !maps.Equal(some, want) {
			r.t.Fatalf("the log says %v, want %v", line, want)
		}
		return line
	case <-time.After(wait):
		r.t.Fatal("no line in the log")
		return nil
	}
}

// quiet asserts that all has been said.
func (r *round) quiet() {
	r.t.Helper()
	r.end()
	if len(r.log) > 0 {
		r.t.Errorf("the log also says %v", <-r.log)
	}
}

func says(t *testing.T, line map[string]string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(line["why"], w) {
			t.Errorf("the log says %q, without %q", line["why"], w)
		}
	}
}

func TestWebSocketsReachTheCluster(t *testing.T) {
	front := kubetest.NewFront(t, kubetest.Shared(t))
	r := run(t, options{shared: true}, front.Config)
	line := r.next(map[string]string{"msg": "cluster.probe", "cluster": "c0", "transport": "ws", "circuit_breaker": "closed"})
	if !strings.HasPrefix(line["version"], "v1.") {
		t.Errorf("version %q", line["version"])
	}
	r.quiet()
	if front.WebSockets() != 1 || front.SPDYs() != 0 {
		t.Errorf("%d WebSockets, %d SPDY", front.WebSockets(), front.SPDYs())
	}
}

// TestWebSocketsDoNotReachTheCluster: the first shell is then spared the tries.
func TestWebSocketsDoNotReachTheCluster(t *testing.T) {
	for name, fail := range map[string]func(*kubetest.Front){"strip": (*kubetest.Front).Strip, "403": func(f *kubetest.Front) { f.Refuse(403) }} {
		t.Run(name, func(t *testing.T) {
			c := kubetest.Shared(t)
			front := kubetest.NewFront(t, c)
			fail(front)
			r := run(t, options{shared: true}, front.Config)
			says(t, r.next(map[string]string{"msg": "cluster.probe.failed", "cluster": "c0"}), "use SPDY", "pass WebSocket upgrades")
			r.next(map[string]string{"msg": "cluster.probe", "transport": "spdy", "circuit_breaker": "open"})
			r.quiet()
			ns := c.Namespace(t)
			s, choice, err := r.probe.Switch.Dial(t.Context(), "c0", front.Config, transport.Request{Namespace: ns, Pod: c.Pod(t, ns).Name, Command: []string{"true"}})
			if err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
			if choice.Kind != transport.SPDY || front.WebSockets() != 3 {
				t.Errorf("the first shell comes by %s after %d tries of WebSocket", choice.Kind, front.WebSockets())
			}
		})
	}
}

// TestABadGatewayPinsNothing: it may be the cluster that is down.
func TestABadGatewayPinsNothing(t *testing.T) {
	front := kubetest.NewFront(t, kubetest.Shared(t))
	front.Refuse(502)
	r := run(t, options{shared: true}, front.Config)
	says(t, r.next(map[string]string{"msg": "cluster.probe.failed"}), "first shell")
	r.next(map[string]string{"msg": "cluster.probe", "transport": "ws", "circuit_breaker": "closed"})
}

// TestOnlyTheVersionUnderAnIdentityThatImpersonates: the server's own rights are
// not what opens shells, so they are not used beyond the version.
func TestOnlyTheVersionUnderAnIdentityThatImpersonates(t *testing.T) {
	front := kubetest.NewFront(t, kubetest.Shared(t))
	front.Refuse(403)
	r := run(t, options{}, front.Config)
	r.next(map[string]string{"msg": "cluster.probe", "transport": "ws", "circuit_breaker": "closed"})
	r.quiet()
	if front.WebSockets() != 0 {
		t.Errorf("%d WebSockets", front.WebSockets())
	}
}

// TestNothingIsTriedWithoutNeed: no shells, or no choice.
func TestNothingIsTriedWithoutNeed(t *testing.T) {
	front := kubetest.NewFront(t, kubetest.Shared(t))
	r := run(t, options{shared: true, noExec: true}, front.Config)
	if line := r.next(map[string]string{"msg": "cluster.probe"}); line["transport"] != "" {
		t.Errorf("the log says %v", line)
	}
	r.quiet()
	r = run(t, options{shared: true, kind: transport.SPDY}, front.Config)
	r.next(map[string]string{"msg": "cluster.probe", "transport": "spdy", "circuit_breaker": "closed"})
	r.quiet()
	if front.WebSockets() != 0 {
		t.Errorf("%d WebSockets", front.WebSockets())
	}
}

// versioned answers /version alone.
func versioned(t *testing.T, version string) *rest.Config {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/version" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		_, _ = fmt.Fprintf(w, `{"gitVersion":%q}`, version)
	}))
	t.Cleanup(srv.Close)
	return &rest.Config{Host: srv.URL}
}

func TestVersionsWithoutV5(t *testing.T) {
	for version, kind := range map[string]string{
		"v1.29.15-eks-1234": "spdy", "v1.8.0": "spdy", "v1.30.0": "ws", "v1.36.3+k3s1": "ws", "unheard-of": "ws",
	} {
		r := run(t, options{}, versioned(t, version))
		r.next(map[string]string{"msg": "cluster.probe", "version": version, "transport": kind})
		r.quiet()
	}
}

// TestWhoMayNot has the real apiserver refuse the server's own identity.
func TestWhoMayNot(t *testing.T) {
	c := kubetest.Start(t)
	nobody := rest.CopyConfig(c.Config)
	nobody.Impersonate = rest.ImpersonationConfig{UserName: "nobody-in-particular"}
	r := run(t, options{shared: true}, nobody)
	says(t, r.next(map[string]string{"msg": "cluster.probe.failed"}), "may not watch namespaces", "Grant it")
	r.next(map[string]string{"msg": "cluster.probe", "transport": "ws", "circuit_breaker": "closed"})
	r.quiet()

	for _, binding := range []string{"system:public-info-viewer", "system:discovery", "system:monitoring"} {
		if err := c.Client.RbacV1().ClusterRoleBindings().Delete(t.Context(), binding, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	forbidden(t, c, nobody)
	r = run(t, options{shared: true}, nobody)
	says(t, r.next(map[string]string{"msg": "cluster.probe.failed"}), "/version of cluster c0", "system:public-info-viewer")
	r.quiet()
}

// TestAProxyThatRefuses says nothing about anybody's rights.
func TestAProxyThatRefuses(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<html>", http.StatusForbidden)
	}))
	t.Cleanup(srv.Close)
	r := run(t, options{}, &rest.Config{Host: srv.URL})
	says(t, r.next(map[string]string{"msg": "cluster.probe.failed"}), "something between this server and cluster c0", "let through")
	r.quiet()
}

// forbidden waits until the apiserver's authorizer has seen the bindings go.
func forbidden(t *testing.T, c *kubetest.Cluster, cfg *rest.Config) {
	t.Helper()
	rt, err := rest.TransportFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: rt}
	for deadline := time.Now().Add(wait); ; <-time.After(20 * time.Millisecond) {
		resp, err := client.Get(c.Config.Host + "/version")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusForbidden {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the apiserver still lets everybody read /version")
		}
	}
}

func TestADeadClusterDelaysNoOther(t *testing.T) {
	r := run(t, options{}, &rest.Config{Host: "http://127.0.0.1:1"}, versioned(t, "v1.36.0"))
	lines := map[string]map[string]string{}
	for range 2 {
		line := r.next(nil)
		lines[line["cluster"]] = line
	}
	says(t, lines["c0"], "nothing listens", "try again")
	if lines["c1"]["msg"] != "cluster.probe" || r.probe.Switch.Look("c0").Breaker != transport.Closed {
		t.Errorf("%v", lines)
	}
	r.quiet()
}

// TestAFewAtATime holds every answer back until as many as may come have come.
func TestAFewAtATime(t *testing.T) {
	const all, few = 13, 4
	var now, most atomic.Int64
	came, release := make(chan struct{}, all), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		came <- struct{}{}
		<-release
		_, _ = io.WriteString(w, `{"gitVersion":"v1.36.0"}`)
	}))
	t.Cleanup(srv.Close)
	var cfgs []*rest.Config
	for range all {
		cfgs = append(cfgs, &rest.Config{Host: srv.URL})
	}
	r := run(t, options{}, cfgs...)
	for range few {
		<-came
	}
	close(release)
	for range all {
		r.next(map[string]string{"msg": "cluster.probe"})
	}
	if n := most.Load(); n != few {
		t.Errorf("%d clusters at a time, want %d", n, few)
	}
}

// mute is a backend whose credentials never come.
type mute struct{}

func (mute) Config(ctx context.Context) (*rest.Config, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (mute) Close() error { return nil }

// TestEachClusterHasItsTime: one that does not answer is given up, and said so.
func TestEachClusterHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := func(config.Cluster) (clusters.Backend, error) { return mute{}, nil }
		reg, err := clusters.New([]config.Cluster{{Name: "c0", Backend: "test"}}, map[config.BackendKind]clusters.Opener{"test": open}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		r := &round{t: t, log: make(told, 1), ended: make(chan error, 1)}
		r.probe = &bootprobe.Probe{Clusters: reg, Switch: transport.NewSwitch(transport.Auto, time.Now), Log: slog.New(r.log)}
		ctx, cancel := context.WithCancel(t.Context())
		r.stop = cancel
		begun := time.Now()
		go func() { r.ended <- r.probe.Run(ctx) }()
		r.next(map[string]string{"msg": "cluster.probe.failed", "cluster": "c0"})
		if took := time.Since(begun); took != 20*time.Second {
			t.Errorf("given up after %v", took)
		}
		r.quiet()
	})
}

// TestTheShutdownCutsItShort: a cluster that never answers, and no line that
// blames it.
func TestTheShutdownCutsItShort(t *testing.T) {
	asked, over := make(chan struct{}, 1), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-over
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(over) })
	r := run(t, options{}, &rest.Config{Host: srv.URL})
	<-asked
	r.quiet()
}
