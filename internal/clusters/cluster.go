package clusters

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kube"
)

// Backend is one way to reach one cluster. Every backend passes the suite of
// package clusterstest.
type Backend interface {
	// Config is how the server reaches the cluster under its own identity. It
	// returns the same pointer for as long as nothing has changed, and nobody
	// writes to what it points to. Its errors are faults.
	Config(ctx context.Context) (*rest.Config, error)
	// Close frees what the backend holds. Config fails afterwards.
	Close() error
}

// Linked is a Backend whose way to the cluster is a link that its agent keeps.
type Linked interface {
	// Link is how it stands with the link now. It does not block.
	Link() Link
}

// LinkState says whether a link is there.
type LinkState string

// The states of a link. A link that is Reconnecting keeps all it carries, for its
// grace; one that is Away has lost it.
const (
	LinkConnected    LinkState = "connected"
	LinkReconnecting LinkState = "reconnecting"
	LinkAway         LinkState = "away"
)

// Link is what is known of a cluster's agent.
type Link struct {
	State LinkState `json:"state" enum:"connected,reconnecting,away" doc:"Whether the agent's link is there; one that reconnects keeps its shells for a while"`
	// Since is nil where there has been no link since the server's start.
	Since        *time.Time `json:"since" doc:"Since when it is in this state; null: no link since the server's start"`
	AgentVersion string     `json:"agentVersion" doc:"The agent's version; empty while it is not known"`
	// NoShells says that the cluster's owner lets nobody into a container.
	NoShells bool `json:"-"`
}

// Cluster is one member of the registry.
type Cluster struct {
	spec    config.Cluster
	backend Backend
	health  atomic.Pointer[health]
	look    chan struct{} // asks for a check now; has room for one

	mu   sync.Mutex // guards what follows
	cfg  *rest.Config
	base *kube.Base
}

// health is what the last probe found; checkedAt is nil before the first.
type health struct {
	err       error
	version   string
	checkedAt *time.Time
}

func (h health) connected() bool { return h.err == nil && h.checkedAt != nil }

func (h health) message() string {
	switch {
	case h.checkedAt == nil:
		return "Not checked yet."
	case h.err != nil:
		return fault.PublicOf(h.err)
	}
	return ""
}

func newCluster(spec config.Cluster, backend Backend) *Cluster {
	c := &Cluster{spec: spec, backend: backend, look: make(chan struct{}, 1)}
	c.health.Store(&health{})
	return c
}

// Name is the cluster's name in the registry.
func (c *Cluster) Name() string { return c.spec.Name }

// Exec is what shells into this cluster are bound by. Where its agent says that its
// owner lets nobody in, nobody is.
func (c *Cluster) Exec() config.ExecPolicy {
	policy := c.spec.Exec
	if l := c.link(); l != nil && l.NoShells {
		policy.Enabled = false
	}
	return policy
}

// link is nil where the cluster has no agent.
func (c *Cluster) link() *Link {
	if linked, ok := c.backend.(Linked); ok {
		l := linked.Link()
		return &l
	}
	return nil
}

// Client is a way in for one request, as imp. auditID may be empty.
func (c *Cluster) Client(ctx context.Context, imp identity.Impersonation, auditID string) (*kube.Client, error) {
	base, err := c.current(ctx)
	if err != nil {
		return nil, err
	}
	return base.Client(imp, auditID)
}

// Config is for streams, which dial for themselves, as imp. auditID may be
// empty.
func (c *Cluster) Config(ctx context.Context, imp identity.Impersonation, auditID string) (*rest.Config, error) {
	base, err := c.current(ctx)
	if err != nil {
		return nil, err
	}
	return base.Config(imp, auditID)
}

// current is the base of the backend's config of now. The one it replaces
// keeps its requests under way and loses its idle connections.
func (c *Cluster) current(ctx context.Context) (*kube.Base, error) {
	cfg, err := c.backend.Config(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base != nil && c.cfg == cfg {
		return c.base, nil
	}
	base, err := kube.NewBase(c.spec.Name, cfg)
	if err != nil {
		return nil, err
	}
	c.closeBase()
	c.cfg, c.base = cfg, base
	return base, nil
}

// closeBase needs mu.
func (c *Cluster) closeBase() {
	if c.base != nil {
		c.base.Close()
	}
	c.base = nil
}

func (c *Cluster) close() error {
	c.mu.Lock()
	c.closeBase()
	c.mu.Unlock()
	return c.backend.Close()
}

// probe asks for the version under the server's own identity and keeps what
// it found.
func (c *Cluster) probe(ctx context.Context) health {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	version, err := c.Version(ctx)
	now := time.Now().UTC()
	return health{err: err, version: version, checkedAt: &now}
}

// Version asks for the cluster's version under the server's own identity, over
// the connections that everybody's requests share.
func (c *Cluster) Version(ctx context.Context) (string, error) {
	client, err := c.Client(ctx, identity.Impersonation{None: true}, "")
	if err != nil {
		return "", err
	}
	return client.Version(ctx)
}

// Summary is what a user sees of a cluster: nothing of how it is reached.
type Summary struct {
	Name        string            `json:"name" doc:"Name of the cluster, unique"`
	Backend     string            `json:"backend" enum:"eks,kubeconfig,in-cluster,agent" doc:"How the server reaches it"`
	Region      string            `json:"region" doc:"Region, where one is configured"`
	ARN         string            `json:"arn" doc:"ARN, where one is configured"`
	Environment string            `json:"environment" doc:"Environment, where one is configured"`
	Tags        map[string]string `json:"tags" doc:"Tags from the configuration"`
	ExecEnabled bool              `json:"execEnabled" doc:"Whether shells may be opened here"`
	// RequireReason makes the UI ask before it opens a shell.
	RequireReason bool `json:"requireReason" doc:"Whether a reason must be given before a shell opens"`

	Connected bool       `json:"connected" doc:"Whether the last check got an answer"`
	Version   string     `json:"version" doc:"Kubernetes version; empty while not connected"`
	Message   string     `json:"message" doc:"Why it is not connected, in words for the user"`
	CheckedAt *time.Time `json:"checkedAt" doc:"When it was last checked"`
	Link      *Link      `json:"link" doc:"The link of its agent; null where it has none"`
}

// Summary does not block: it tells what the last probe found.
func (c *Cluster) Summary() Summary {
	h, tags := c.health.Load(), map[string]string{}
	for k, v := range c.spec.Tags {
		tags[k] = v
	}
	sum := Summary{
		Name: c.spec.Name, Backend: string(c.spec.Backend), Region: c.spec.Region, ARN: c.spec.ARN,
		Environment: c.spec.Environment, Tags: tags, ExecEnabled: c.Exec().Enabled,
		RequireReason: c.spec.Exec.RequireReason,
		Connected:     h.connected(), Version: h.version, Message: h.message(), CheckedAt: h.checkedAt, Link: c.link(),
	}
	if sum.Link != nil {
		sum.byLink(c)
	}
	return sum
}

// byLink corrects what the last check found by what the link has known since.
func (s *Summary) byLink(c *Cluster) {
	if s.Link.State != LinkAway {
		return
	}
	_, err := c.backend.Config(context.Background())
	s.Connected, s.Version = false, ""
	if err != nil {
		s.Message = fault.PublicOf(err)
	}
}
