package eks

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/awstest"
	"github.com/periscope-console/periscope/internal/childtest"
	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/kubetest"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

const (
	account     = "111111111111"
	baseRole    = "arn:aws:iam::" + account + ":role/periscope-base"
	baseSession = "arn:aws:sts::" + account + ":assumed-role/periscope-base/"
	clusterRole = "arn:aws:iam::222222222222:role/team/periscope-prod"
	roleSession = "arn:aws:sts::222222222222:assumed-role/periscope-prod/"
	prodARN     = "arn:aws:eks:eu-west-1:222222222222:cluster/prod-eu"
)

// rig is an AWS with one cluster, and a server with the role periscope-base.
type rig struct {
	aws   *awstest.AWS
	spec  config.Cluster
	chain map[string]string // the environment
	ahead atomic.Int64      // of the backend's clock
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{aws: awstest.Start(t), spec: config.Cluster{Name: "prod", Backend: config.EKS, Region: "eu-west-1", ARN: prodARN, EKSName: "prod-eu"}}
	r.chain = r.aws.Session(baseRole, "server", 12*time.Hour).Environ()
	r.aws.Role(clusterRole, baseSession)
	return r
}

// leadsTo makes the cluster one whose apiserver is at host.
func (r *rig) leadsTo(host string, ca []byte) {
	r.aws.SetCluster(awstest.Cluster{ARN: prodARN, Status: "ACTIVE", Endpoint: host, CA: ca, Readers: []string{baseSession, roleSession}})
}

// byRole makes the server take a role for the cluster.
func (r *rig) byRole() *rig {
	r.spec.AssumeRoleARN = clusterRole
	return r
}

func (r *rig) now() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) }

func (r *rig) open(t *testing.T) *backend {
	t.Helper()
	b, err := Source{Chain: r.aws.Chain(t, r.chain), Now: r.now}.Open(r.spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b.(*backend)
}

// apiserver is a stand-in that keeps the tokens it is shown.
type apiserver struct {
	*httptest.Server
	tokens chan string
	status atomic.Int64
}

func newAPIServer(t *testing.T) (*apiserver, []byte) {
	t.Helper()
	s := &apiserver{tokens: make(chan string, 4096)}
	s.status.Store(http.StatusOK)
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.tokens <- strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(s.status.Load()))
		_, _ = w.Write([]byte(`{"gitVersion":"v1.36.3"}`))
	}))
	t.Cleanup(s.Close)
	return s, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// standing is a rig whose cluster is the stand-in.
func standing(t *testing.T) (*rig, *apiserver) {
	t.Helper()
	r := newRig(t)
	s, ca := newAPIServer(t)
	r.leadsTo(s.URL, ca)
	return r, s
}

func base(t *testing.T, b clusters.Backend) *kube.Base {
	t.Helper()
	cfg, err := b.Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made, err := kube.NewBase("prod", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}

// webhook runs what stands before an EKS cluster's apiserver. Its address answers
// TokenReviews.
func (r *rig) webhook(t *testing.T, cluster, partition, region string) string {
	t.Helper()
	dir := t.TempDir()
	child, err := childtest.Start("ekswebhook", dir, "--sts", r.aws.Addr, "--sts-ca", r.aws.CAFile,
		"--cluster", cluster, "--partition", partition, "--region", region,
		"--role", strings.Replace(baseRole, "aws", partition, 1)+"=periscope-server=periscope-bridge",
		"--role", "arn:aws:iam::222222222222:role/periscope-prod=periscope-role=periscope-bridge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := child.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "ekswebhook.log"))
			t.Logf("ekswebhook:\n%s", log)
		}
	})
	return strings.TrimPrefix(child.Ready, "ready: ")
}

// observed is a backend whose requests are looked at as they leave.
type observed struct {
	clusters.Backend

	mu     sync.Mutex // guards what follows
	from   *rest.Config
	cfg    *rest.Config
	tokens map[string]bool
}

func (o *observed) Config(ctx context.Context) (*rest.Config, error) {
	from, err := o.Backend.Config(ctx)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.from != from {
		o.from, o.cfg = from, rest.CopyConfig(from)
		o.cfg.WrapTransport = func(next http.RoundTripper) http.RoundTripper { return from.WrapTransport(watcher{next, o}) }
	}
	return o.cfg, nil
}

// count is how many tokens were sent.
func (o *observed) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.tokens)
}

type watcher struct {
	next http.RoundTripper
	o    *observed
}

func (w watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	w.o.mu.Lock()
	w.o.tokens[r.Header.Get("Authorization")] = true
	w.o.mu.Unlock()
	return w.next.RoundTrip(r)
}

func (w watcher) WrappedRoundTripper() http.RoundTripper { return w.next }
