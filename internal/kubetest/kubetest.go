// Package kubetest gives tests a real control plane: namespaces of their own and
// pods that run, and end with their test.
//
// It owns the dev clusters it starts, one child process each, and the pods in the
// namespaces it makes; never what else a test makes in them, which ends with the
// cluster. It starts no goroutines. Every wait is a watch with a bound, and nothing
// is ever skipped: a test that cannot have its cluster fails and says which command
// builds it.
//
// Shared is for tests that leave the cluster as it was, each in a namespace of
// its own; Start is for those that break nodes or apiservers, or want flags. A
// package whose tests use Shared runs them by Main, or by MainAlone.
package kubetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/periscope-console/periscope/internal/childtest"
	"github.com/periscope-console/periscope/internal/leak"
)

// Cluster is a control plane with one node.
type Cluster struct {
	// Config is the administrator's. Tests that act as somebody else copy it.
	Config *rest.Config
	// Client is the administrator's too, and outlives no test in particular.
	Client kubernetes.Interface
	// Kubeconfig is the file that Config was read from.
	Kubeconfig string

	child *childtest.Child // nil where somebody else runs the cluster
}

// Option changes how Start starts a cluster.
type Option func(*[]string)

// WebSocketKubelet makes the apiserver pass WebSockets through to the node, as
// to a kubelet of 1.36, rather than translate them to SPDY.
func WebSocketKubelet() Option { return Args("--websocket-kubelet") }

// Args are further flags of bin/devcluster.
func Args(args ...string) Option {
	return func(all *[]string) { *all = append(*all, args...) }
}

// Start runs a cluster of the test's own, until the test ends.
func Start(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	var args []string
	for _, o := range opts {
		o(&args)
	}
	c, err := run(t.TempDir(), args)
	if err != nil {
		t.Fatalf("kubetest: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("kubetest: the dev cluster did not end well: %v", err)
		}
	})
	return c
}

// shared is this process's own cluster, where PERISCOPE_TEST_KUBECONFIG names none.
var shared struct {
	mu      sync.Mutex
	cluster *Cluster
	dir     string
	managed bool // Main runs the tests and will stop the cluster
	own     bool // whatever PERISCOPE_TEST_KUBECONFIG names
}

// Shared is the cluster that PERISCOPE_TEST_KUBECONFIG names, as `make test`
// does, else one that lives as long as this test process.
func Shared(t testing.TB) *Cluster {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.cluster == nil {
		c, err := sharedCluster()
		if err != nil {
			t.Fatalf("kubetest: %v", err)
		}
		shared.cluster = c
	}
	return shared.cluster
}

func sharedCluster() (*Cluster, error) {
	if path := others(); path != "" {
		return connect(path)
	}
	if !shared.managed {
		return nil, fmt.Errorf("this package's TestMain must call kubetest.Main, which ends the cluster")
	}
	dir, err := os.MkdirTemp("", "kubetest")
	if err != nil {
		return nil, err
	}
	shared.dir = dir
	c, err := run(dir, nil)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir)) // the error has the log's end
	}
	return c, nil
}

// others is the kubeconfig of a cluster that somebody else runs, or empty. Who
// wants none does not look for one: go test would not remember their results
// where another one is named.
func others() string {
	if shared.own {
		return ""
	}
	return os.Getenv("PERISCOPE_TEST_KUBECONFIG")
}

// MainAlone is Main for packages whose Shared is their own alone, since they
// change what everybody in a cluster may do.
func MainAlone(m *testing.M) {
	shared.own = true
	Main(m)
}

// Main is leak.Main for packages that use Shared: it ends the process's own
// cluster before it looks for leaks.
func Main(m *testing.M) {
	shared.managed = true
	leak.Main(runner{m})
}

type runner struct{ m *testing.M }

func (r runner) Run() int {
	code := r.m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "kubetest: the dev cluster did not end well:", err)
		return max(code, 1)
	}
	return code
}

func stopShared() error {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.cluster == nil {
		return nil
	}
	err := shared.cluster.Stop()
	if shared.dir == "" {
		return err // somebody else's
	}
	return errors.Join(err, os.RemoveAll(shared.dir))
}

func run(dir string, args []string) (*Cluster, error) {
	ch, err := startChild(dir, args)
	if err != nil {
		return nil, err
	}
	c, err := connect(filepath.Join(dir, "kubeconfig"))
	if err != nil {
		_ = ch.Stop()
		return nil, err
	}
	c.child = ch
	return c, nil
}

func startChild(dir string, args []string) (*childtest.Child, error) {
	return childtest.Start("devcluster", dir, append([]string{"--dir", dir, "--addr", "127.0.0.1:0"}, args...)...)
}

func connect(kubeconfig string) (*Cluster, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	// Tests come in bursts, and nobody else is on this apiserver.
	cfg.QPS, cfg.Burst = -1, 0
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return &Cluster{Config: cfg, Client: client, Kubeconfig: kubeconfig}, nil
}

// Stop ends a cluster of the process's own and drops idle connections to it. It
// may be called early, by a test about what happens then.
func (c *Cluster) Stop() error {
	if t, err := rest.TransportFor(c.Config); err == nil {
		closeIdle(t)
	}
	return c.child.Stop()
}
