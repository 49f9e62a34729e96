package clusters

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// fake is a backend whose apiserver is a function.
type fake struct {
	mu     sync.Mutex
	cfg    *rest.Config
	err    error
	closed atomic.Bool
}

type answer func(*http.Request) (*http.Response, error)

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func newFake(a answer) *fake {
	f := &fake{}
	f.become(a)
	return f
}

func (f *fake) become(a answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cfg = &rest.Config{Host: "http://fake.invalid", Transport: a}
}

func (f *fake) Config(context.Context) (*rest.Config, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cfg, f.err
}

func (f *fake) Close() error { f.closed.Store(true); return nil }

func version(v string) answer {
	return func(*http.Request) (*http.Response, error) {
		body := fmt.Sprintf(`{"gitVersion":%q}`, v)
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func dead(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func openers(fakes map[string]*fake) map[config.BackendKind]Opener {
	return map[config.BackendKind]Opener{"fake": func(c config.Cluster) (Backend, error) {
		if f := fakes[c.Name]; f != nil {
			return f, nil
		}
		return nil, fmt.Errorf("cluster %s: it cannot be opened", c.Name)
	}}
}

func specs(names ...string) (all []config.Cluster) {
	for _, name := range names {
		all = append(all, config.Cluster{Name: name, Backend: "fake"})
	}
	return all
}

func registry(t *testing.T, log io.Writer, fakes map[string]*fake, names ...string) *Registry {
	t.Helper()
	r, err := New(specs(names...), openers(fakes), slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestGet(t *testing.T) {
	r := registry(t, io.Discard, map[string]*fake{"prod": newFake(version("v1"))}, "prod")
	if c, err := r.Get("prod"); err != nil || c.Name() != "prod" {
		t.Error(err)
	}
	if _, err := r.Get("dev"); fault.KindOf(err) != fault.NotFound || !strings.Contains(fault.PublicOf(err), "no cluster named dev") {
		t.Error(err)
	}
	for _, name := range []string{"", "..", "a/b", "Prod", strings.Repeat("a", 64)} {
		if _, err := r.Get(name); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestNewOpensAllOrNone(t *testing.T) {
	good := newFake(version("v1"))
	all := append(specs("good", "good", "bad"), config.Cluster{Name: "odd", Backend: "eks"})
	_, err := New(all, openers(map[string]*fake{"good": good}), slog.New(slog.DiscardHandler))
	for _, want := range []string{"Two clusters are named good", "cluster bad: it cannot be opened", `Cluster odd has the backend "eks"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if !good.closed.Load() {
		t.Error("what was opened stays open")
	}
}

func TestSummaryShowsNothingOfTheWay(t *testing.T) {
	spec := config.Cluster{
		Name: "prod", Backend: "fake", KubeconfigPath: "/secret/path", KubeconfigContext: "ctx", Region: "eu", ARN: "arn:x",
		Environment: "prod", Tags: map[string]string{"team": "pay"}, Exec: config.ExecPolicy{Enabled: true},
	}
	f := newFake(version("v1"))
	f.err = fault.Wrap(errors.New("/secret/path"), fault.ClusterUnreachable, "x", "It is down.")
	r, err := New([]config.Cluster{spec}, openers(map[string]*fake{"prod": f}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	before, _ := json.Marshal(r.List())
	want := `[{"name":"prod","backend":"fake","region":"eu","arn":"arn:x","environment":"prod","tags":{"team":"pay"},"execEnabled":true,"requireReason":false,"connected":false,"version":"","message":"Not checked yet.","checkedAt":null,"link":null}]`
	if string(before) != want {
		t.Errorf("got  %s\nwant %s", before, want)
	}
	r.ProbeAll(t.Context())
	after, _ := json.Marshal(r.List())
	if strings.Contains(string(after), "secret") || !strings.Contains(string(after), "It is down.") {
		t.Errorf("got %s", after)
	}
	r.List()[0].Tags["team"] = "changed"
	if r.List()[0].Tags["team"] != "pay" {
		t.Error("a summary shares the registry's tags")
	}
}

func TestEmptyListIsNoNull(t *testing.T) {
	if out, _ := json.Marshal(registry(t, io.Discard, nil).List()); string(out) != "[]" {
		t.Errorf("got %s", out)
	}
}

func TestDeadClusterDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var probes atomic.Int64
		fakes := map[string]*fake{"dead": newFake(dead), "live": newFake(func(r *http.Request) (*http.Response, error) {
			probes.Add(1)
			return version("v1.36.3")(r)
		})}
		r := registry(t, io.Discard, fakes, "dead", "live")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()

		synctest.Wait()
		if all := r.List(); all[0].CheckedAt != nil || !all[1].Connected || all[1].Version != "v1.36.3" {
			t.Errorf("at once: %+v", all)
		}
		time.Sleep(probeTimeout)
		synctest.Wait()
		if d := r.List()[0]; d.Connected || d.CheckedAt == nil || !strings.Contains(d.Message, "did not answer in time") {
			t.Errorf("after the timeout: %+v", d)
		}
		time.Sleep(10 * time.Minute)
		if n := probes.Load(); n < 600/18 || n > 600/12+2 {
			t.Errorf("%d probes in ten minutes", n)
		}
		fakes["dead"].become(version("v1.35.0"))
		time.Sleep(2 * probeEvery)
		if d := r.List()[0]; !d.Connected || d.Version != "v1.35.0" || d.Message != "" {
			t.Errorf("back again: %+v", d)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestLookChecksAtOnce: who knows that a link came back does not wait for the next
// round.
func TestLookChecksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var probes atomic.Int64
		r := registry(t, io.Discard, map[string]*fake{"c": newFake(func(r *http.Request) (*http.Response, error) {
			probes.Add(1)
			return version("v1.36.3")(r)
		})}, "c")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()
		synctest.Wait()
		for want := int64(2); want < 4; want++ {
			r.Look("c")
			r.Look("nobody's")
			synctest.Wait()
			if n := probes.Load(); n != want {
				t.Errorf("%d checks, not %d", n, want)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestShutdownIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(version("v1.36.3"))
		r := registry(t, io.Discard, map[string]*fake{"a": f}, "a")
		r.ProbeAll(t.Context())
		f.become(dead)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); cancel() }()
		r.ProbeAll(ctx)
		if !r.List()[0].Connected {
			t.Error("a probe that we gave up marks the cluster as down")
		}
	})
}

func TestOnlyChangesAreLogged(t *testing.T) {
	var log bytes.Buffer
	f := newFake(dead)
	f.err = fault.Wrap(errors.New("the cause"), fault.ClusterUnreachable, "x", "It is down.")
	r := registry(t, &log, map[string]*fake{"a": f}, "a")
	for range 5 {
		r.ProbeAll(t.Context())
	}
	f.err = nil
	f.become(version("v1.36.3"))
	for range 5 {
		r.ProbeAll(t.Context())
	}
	if lines := strings.Split(strings.TrimSpace(log.String()), "\n"); len(lines) != 2 || !strings.Contains(lines[0], "the cause") || !strings.Contains(lines[1], "cluster.connected") {
		t.Errorf("log:\n%s", &log)
	}
}

func TestClientFollowsTheBackend(t *testing.T) {
	f := newFake(version("v1.1.0"))
	r := registry(t, io.Discard, map[string]*fake{"a": f}, "a")
	c, err := r.Get("a")
	if err != nil {
		t.Fatal(err)
	}
	ask := func() string {
		client, err := c.Client(t.Context(), identity.Impersonation{User: "alice"}, "id")
		if err != nil {
			t.Fatal(err)
		}
		v, err := client.Version(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := ask(); v != "v1.1.0" {
		t.Error(v)
	}
	first, _ := c.current(t.Context())
	if again, _ := c.current(t.Context()); again != first {
		t.Error("an unchanged config gives a new transport")
	}
	f.become(version("v1.2.0"))
	if v := ask(); v != "v1.2.0" {
		t.Error(v)
	}
	if _, err := c.Client(t.Context(), identity.Impersonation{}, ""); err == nil {
		t.Error("nobody in particular got a client")
	}
	if _, err := c.Config(t.Context(), identity.Impersonation{}, ""); err == nil {
		t.Error("nobody in particular got a config")
	}
}
