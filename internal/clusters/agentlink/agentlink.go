// Package agentlink reaches a cluster through its agent.
//
// It owns how a stream of the agent's link becomes a connection to the cluster, and
// what is said while the agent is away. It does not own the link (Links does), nor
// credentials: the agent has its own, and no secret of the cluster is ever here. It
// starts no goroutines.
package agentlink

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/lane"
)

const op = "agentlink"

// OwnName is as whom the server asks for a cluster's version: its agent forwards
// nothing that nobody asks. It needs no right but those of everybody.
const OwnName = "periscope:server"

// Links are the agents' links as this package needs them.
type Links interface {
	// Dial opens a stream to the cluster's agent, one for a person's typing or one
	// for bulk. It waits while the link is being restored, as long as ctx allows.
	Dial(ctx context.Context, cluster string, typing bool) (net.Conn, error)
	// Link is how it stands with the cluster's link.
	Link(cluster string) clusters.Link
	// Lost reports whether an error of a stream says that its link is gone.
	Lost(err error) bool
}

// Source opens backends over Links.
type Source struct {
	Links Links
	// Now is the clock of its sentences.
	Now func() time.Time
}

// backend implements clusters.Backend.
type backend struct {
	Source
	name string
	cfg  *rest.Config

	mu     sync.Mutex // guards closed
	closed bool
}

// Open makes the backend. The agent may come later.
func (s Source) Open(spec config.Cluster) (clusters.Backend, error) {
	b := &backend{Source: s, name: spec.Name}
	b.cfg = &rest.Config{
		// The name resolves nowhere, should anything ever dial it by other means.
		Host:  "http://" + spec.Name + ".agent.invalid",
		Dial:  b.dial,
		Proxy: func(*http.Request) (*url.URL, error) { return nil, nil }, // the link is the way
	}
	kube.OwnAs(b.cfg, OwnName)
	return b, nil
}

// Config implements clusters.Backend. It fails while the agent is away.
func (b *backend) Config(context.Context) (*rest.Config, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, fault.New(fault.ShuttingDown, op, "The server is shutting down. Try again in a moment.")
	}
	if l := b.Link(); l.State == clusters.LinkAway {
		return nil, b.away(l.Since)
	}
	return b.cfg, nil
}

// Link implements clusters.Linked.
func (b *backend) Link() clusters.Link { return b.Links.Link(b.name) }

// Close implements clusters.Backend.
func (b *backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

func (b *backend) away(since *time.Time) error {
	if since == nil {
		return fault.New(fault.AgentDisconnected, op, "The agent of cluster %s has not been connected since this server started. Check that it runs in the cluster, and its log.", b.name)
	}
	f := fault.New(fault.AgentDisconnected, op, "The agent of cluster %s has been away since %s UTC (%s). It comes back by itself when it can; check that it runs in the cluster, and its log.",
		b.name, since.UTC().Format("15:04:05"), ago(b.Now().Sub(*since)))
	f.Detail = map[string]any{"since": since.UTC().Format(time.RFC3339)}
	return f
}

// ago is a time that has passed, as coarse as a person asks.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Truncate(time.Second).String()
	case d < 48*time.Hour:
		return d.Truncate(time.Minute).String()
	}
	return d.Truncate(time.Hour).String()
}

func (b *backend) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	c, err := b.Links.Dial(ctx, b.name, lane.IsTyping(ctx))
	if err == nil {
		return conn{c, b}, nil
	}
	return nil, b.explain(err)
}

// explain makes the link's end a fault that every edge knows. What the agent's own
// dial met stays as it is.
func (b *backend) explain(err error) error {
	if !b.Links.Lost(err) {
		return err
	}
	return fault.Wrap(err, fault.AgentDisconnected, op, "The link to the agent of cluster %s was lost. It comes back by itself; try again in a moment.", b.name)
}

// conn is a stream whose errors say when the link is to blame.
type conn struct {
	net.Conn
	b *backend
}

func (c conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		err = c.b.explain(err)
	}
	return n, err
}

func (c conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		err = c.b.explain(err)
	}
	return n, err
}

// NetConn is the stream, which knows whether a keystroke would wait.
func (c conn) NetConn() net.Conn { return c.Conn }

// CloseWrite is the stream's half-close.
func (c conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
