package agentlink_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/clusters/agentlink"
	"github.com/periscope-console/periscope/internal/clusters/clusterstest"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/sendq"
	"github.com/periscope-console/periscope/internal/tunnel"
	"github.com/periscope-console/periscope/internal/tunnel/hub"
	"github.com/periscope-console/periscope/internal/tunnel/line"
	"github.com/periscope-console/periscope/internal/tunnel/tunneltest"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

// TestSuite runs over a real agent in front of a real apiserver.
func TestSuite(t *testing.T) {
	cluster := kubetest.Shared(t)
	bindOwn(t, cluster)
	r := tunneltest.Start(t, []string{"subject"})
	a := r.Agent(t, "subject", cluster.Config)
	clusterstest.Run(t, clusterstest.Subject{
		Open:   func(t *testing.T) clusters.Backend { return open(t, hubLinks{r.Hub}) },
		Broken: fault.AgentDisconnected,
		Break: func(t *testing.T) {
			_ = a.Stop(t)
			r.Await(t, "subject", tunneltest.Is(line.Gone))
		},
		Mend:   func(*testing.T) { a = r.Linked(t, a.Options) }, // for the whole test
		Hidden: []string{r.Address, "agent.json"},
	})
}

// bindOwn lets the server's own name watch namespaces, which the suite asks for.
func bindOwn(t *testing.T, c *kubetest.Cluster) {
	t.Helper()
	b := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "periscope-own-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: agentlink.OwnName}},
	}
	made, err := c.Client.RbacV1().ClusterRoleBindings().Create(t.Context(), b, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Client.RbacV1().ClusterRoleBindings().Delete(context.Background(), made.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}

func open(t *testing.T, l agentlink.Links) clusters.Backend {
	t.Helper()
	b, err := agentlink.Source{Links: l, Now: time.Now}.Open(config.Cluster{Name: "subject"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hubLinks is what app/server makes of a hub.
type hubLinks struct{ *hub.Hub }

func (h hubLinks) Dial(ctx context.Context, cluster string, _ bool) (net.Conn, error) {
	return h.Hub.Dial(ctx, cluster, tunnel.Interactive)
}

func (h hubLinks) Link(cluster string) clusters.Link {
	if h.State(cluster).Line == line.Gone {
		return clusters.Link{State: clusters.LinkAway}
	}
	return clusters.Link{State: clusters.LinkConnected}
}

func (hubLinks) Lost(err error) bool {
	return errors.Is(err, hub.ErrLost) || errors.Is(err, hub.ErrAway)
}

// TestAKeystrokeNeedNotWait: the connection that a shell is given says by its stream
// that there is room for a keystroke, and none once it is closed.
func TestAKeystrokeNeedNotWait(t *testing.T) {
	cluster := kubetest.Shared(t)
	r := tunneltest.Start(t, []string{"subject"})
	r.Agent(t, "subject", cluster.Config)
	cfg, err := open(t, hubLinks{r.Hub}).Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := cfg.Dial(t.Context(), "tcp", "x:80")
	if err != nil {
		t.Fatal(err)
	}
	q := sendq.Of(c)
	if !q.HasRoom() {
		t.Error("no room on a link that nobody uses")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if q.HasRoom() {
		t.Error("room on a stream that is closed")
	}
}

// links is a hub whose answers are given.
type links struct {
	link clusters.Link
	err  error
}

func (l links) Dial(context.Context, string, bool) (net.Conn, error) { return nil, l.err }
func (l links) Link(string) clusters.Link                            { return l.link }
func (l links) Lost(err error) bool                                  { return errors.Is(err, hub.ErrLost) }

func TestSentences(t *testing.T) {
	now := time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)
	since := now.Add(-90 * time.Second)
	for name, c := range map[string]struct {
		link clusters.Link
		says string
	}{
		"never seen":   {clusters.Link{State: clusters.LinkAway}, "has not been connected since this server started"},
		"seen before":  {clusters.Link{State: clusters.LinkAway, Since: &since}, "has been away since 19:58:30 UTC (1m0s)"},
		"reconnecting": {clusters.Link{State: clusters.LinkReconnecting, Since: &since}, ""},
		"connected":    {clusters.Link{State: clusters.LinkConnected, Since: &since}, ""},
	} {
		b, err := agentlink.Source{Links: links{link: c.link}, Now: func() time.Time { return now }}.Open(config.Cluster{Name: "east"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Config(t.Context())
		if (err == nil) != (c.says == "") || err != nil && (!strings.Contains(fault.PublicOf(err), c.says) || fault.KindOf(err) != fault.AgentDisconnected) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestADialSaysWhatItMet: the link's end is one thing, and what the agent met another.
func TestADialSaysWhatItMet(t *testing.T) {
	for _, c := range []struct {
		err  error
		kind fault.Kind
	}{{hub.ErrLost, fault.AgentDisconnected}, {tunnel.ErrBusy, fault.Internal}} {
		b := open(t, links{link: clusters.Link{State: clusters.LinkConnected}, err: c.err})
		cfg, err := b.Config(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cfg.Dial(t.Context(), "tcp", "x:80"); !errors.Is(err, c.err) || fault.KindOf(err) != c.kind {
			t.Errorf("%v became %v", c.err, err)
		}
	}
}
