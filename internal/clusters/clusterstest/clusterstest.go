// Package clusterstest holds what every clusters.Backend must do.
//
// It owns the suite; each backend's own test brings a running cluster and a
// way to break what the backend depends on. Tests alone import it.
package clusterstest

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authentication "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/connrotation"

	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kube"
)

// Subject is a backend under test. The server's own identity must be allowed
// to impersonate any user and group.
type Subject struct {
	// Open makes a backend that works.
	Open func(t *testing.T) clusters.Backend
	// Break takes away what the backend reads, Mend brings it back.
	Break, Mend func(t *testing.T)
	// Hidden must not be in any sentence: paths and secrets.
	Hidden []string
	// Broken is the kind of fault while it is broken; ClusterUnreachable where it
	// is zero.
	Broken fault.Kind
}

// Run holds s to the contract.
func Run(t *testing.T, s Subject) {
	t.Run("reaches the cluster as the server", s.asServer)
	t.Run("reaches the cluster as somebody", s.asSomebody)
	t.Run("carries streams", s.streams)
	t.Run("keeps its config while nothing changes", s.samePointer)
	t.Run("is used by many at once", s.concurrent)
	t.Run("breaks with a sentence and mends by itself", s.breaks)
	t.Run("fails once closed", s.closes)
	t.Run("lives in a registry", s.registry)
}

func (s Subject) open(t *testing.T) clusters.Backend {
	t.Helper()
	b := s.Open(t)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func configOf(t *testing.T, b clusters.Backend) *rest.Config {
	t.Helper()
	cfg, err := b.Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func base(t *testing.T, b clusters.Backend) *kube.Base {
	t.Helper()
	base, err := kube.NewBase("subject", configOf(t, b))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(base.Close)
	return base
}

func (s Subject) asServer(t *testing.T) {
	c, err := base(t, s.open(t)).Client(identity.Impersonation{None: true}, "")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.Version(t.Context()); err != nil || !strings.HasPrefix(v, "v") {
		t.Fatalf("version %q, %v", v, err)
	}
}

func (s Subject) asSomebody(t *testing.T) {
	b := base(t, s.open(t))
	for _, user := range []string{"alice", "bob"} {
		got := whoAmI(t, b, identity.Impersonation{User: user, Groups: []string{"periscope:" + user}})
		if got.Username != user || !slices.Contains(got.Groups, "periscope:"+user) || len(got.Extra) > 0 {
			t.Errorf("%s arrives as %+v", user, got)
		}
	}
	if own := whoAmI(t, b, identity.Impersonation{None: true}); own.Username == "alice" || own.Username == "bob" || own.Username == "system:anonymous" {
		t.Errorf("the server arrives as %+v", own)
	}
}

func whoAmI(t *testing.T, b *kube.Base, imp identity.Impersonation) authenticationv1.UserInfo {
	t.Helper()
	cfg, hc := stream(t, b, imp)
	c, err := authentication.NewForConfigAndClient(cfg, hc)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return got.Status.UserInfo
}

// stream is what a dialler makes of a config. Its connections end with the test: one
// whose last answer was left half way is not idle yet.
func stream(t *testing.T, b *kube.Base, imp identity.Impersonation) (*rest.Config, *http.Client) {
	t.Helper()
	cfg, err := b.Config(imp, "suite-1")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{}).DialContext
	}
	conns := connrotation.NewDialer(cfg.Dial)
	cfg.Dial = conns.DialContext
	t.Cleanup(conns.CloseAll)
	hc, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, hc
}

// streams asks for a stream that has no end, and reads its beginning.
func (s Subject) streams(t *testing.T) {
	cfg, hc := stream(t, base(t, s.open(t)), identity.Impersonation{None: true})
	host, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, host.JoinPath("/api/v1/namespaces").String()+"?watch=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", resp.Status, err)
	}
}

func (s Subject) samePointer(t *testing.T) {
	b := s.open(t)
	if first := configOf(t, b); first != configOf(t, b) {
		t.Error("each call makes a config anew, so connections cannot be shared")
	}
}

func (s Subject) concurrent(t *testing.T) {
	b := s.open(t)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 10 {
				if _, err := b.Config(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func (s Subject) breaks(t *testing.T) {
	b := s.open(t)
	configOf(t, b)
	s.Break(t)
	for range 2 {
		_, err := b.Config(t.Context())
		if kind := cmp.Or(s.Broken, fault.ClusterUnreachable); fault.KindOf(err) != kind {
			t.Errorf("broken, it says %v", err)
		}
		s.checkSentence(t, fault.PublicOf(err))
	}
	s.Mend(t)
	configOf(t, b)
}

func (s Subject) checkSentence(t *testing.T, sentence string) {
	t.Helper()
	for _, hidden := range s.Hidden {
		if strings.Contains(sentence, hidden) {
			t.Errorf("%q shows %q", sentence, hidden)
		}
	}
}

func (s Subject) closes(t *testing.T) {
	b := s.Open(t)
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Config(t.Context()); fault.KindOf(err) != fault.ShuttingDown {
		t.Errorf("closed, it says %v", err)
	}
}

func (s Subject) registry(t *testing.T) {
	open := func(config.Cluster) (clusters.Backend, error) { return s.Open(t), nil }
	r, err := clusters.New([]config.Cluster{{Name: "subject", Backend: "x"}}, map[config.BackendKind]clusters.Opener{"x": open}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	r.ProbeAll(t.Context())
	if sum := r.List()[0]; !sum.Connected || !strings.HasPrefix(sum.Version, "v") || sum.Message != "" {
		t.Errorf("healthy: %+v", sum)
	}
	s.Break(t)
	r.ProbeAll(t.Context())
	sum := r.List()[0]
	if sum.Connected || sum.Message == "" || sum.Version != "" {
		t.Errorf("broken: %+v", sum)
	}
	s.checkSentence(t, sum.Message)
	s.Mend(t)
	r.ProbeAll(t.Context())
	if sum := r.List()[0]; !sum.Connected {
		t.Errorf("mended: %+v", sum)
	}
}
