// Package bootprobe reaches every cluster once after the server's start, so that
// the first shell finds credentials fetched and its wire protocol decided.
//
// It owns which calls are made for that, how many at a time, and what the log
// says of them. It does not own health (clusters has its own checks) nor the
// choice of the wire protocol (transport has). It acts under the server's own
// identity alone and impersonates nobody. Run is the caller's; it ends the
// goroutines that it starts, and delays nothing: a cluster that cannot be
// reached costs a line in the log.
package bootprobe

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

const (
	// atATime bounds the clusters that are probed together.
	atATime = 4
	// limit bounds each cluster. Cold credentials of a cloud take 3 to 5 s.
	limit = 20 * time.Second
)

// Probe is one round over all clusters.
type Probe struct {
	Clusters *clusters.Registry
	Switch   *transport.Switch
	// Shared says that the server's own identity opens the shells, and so may
	// ask more of a cluster than its version.
	Shared bool
	Log    *slog.Logger
}

// Run makes the round, then waits for ctx to end: a part of the server ends
// only with it.
func (p *Probe) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	next := make(chan *clusters.Cluster)
	for range atATime {
		wg.Go(func() {
			for c := range next {
				p.probe(ctx, c)
			}
		})
	}
	p.hand(ctx, next)
	wg.Wait()
	<-ctx.Done()
	return nil
}

func (p *Probe) hand(ctx context.Context, next chan<- *clusters.Cluster) {
	defer close(next)
	for _, c := range p.Clusters.All() {
		select {
		case next <- c:
		case <-ctx.Done():
			return
		}
	}
}

func (p *Probe) probe(ctx context.Context, c *clusters.Cluster) {
	begun := time.Now()
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	version, err := c.Version(within)
	if ctx.Err() != nil {
		return // we gave up, not the cluster
	}
	if err != nil {
		p.warn(c, err, p.whyNoVersion(c, err))
		return
	}
	if !c.Exec().Enabled {
		p.Log.Info("cluster.probe", "cluster", c.Name(), "version", version, "duration_ms", time.Since(begun).Milliseconds())
		return
	}
	p.decide(within, c, version)
	if ctx.Err() != nil {
		return
	}
	choice := p.Switch.Look(c.Name())
	p.Log.Info("cluster.probe", "cluster", c.Name(), "version", version, "transport", choice.Kind,
		"circuit_breaker", choice.Breaker, "duration_ms", time.Since(begun).Milliseconds())
}

// decide finds out what it may about WebSockets. Where it may ask for the
// version alone, the first shell shows whether they reach the cluster.
func (p *Probe) decide(ctx context.Context, c *clusters.Cluster, version string) {
	switch {
	case !transport.SpeaksV5(version):
		p.Switch.Pin(c.Name())
	case p.Shared:
		p.tryWebSocket(ctx, c)
	}
}

func (p *Probe) tryWebSocket(ctx context.Context, c *clusters.Cluster) {
	cfg, err := c.Config(ctx, identity.Impersonation{None: true}, "")
	if err == nil {
		err = p.Switch.Probe(ctx, c.Name(), cfg)
	}
	if err != nil && ctx.Err() != context.Canceled {
		p.warn(c, err, whyNoWebSocket(err))
	}
}

func (p *Probe) warn(c *clusters.Cluster, err error, why string) {
	p.Log.Warn("cluster.probe.failed", "cluster", c.Name(), "why", why, "error", err)
}

func (p *Probe) whyNoVersion(c *clusters.Cluster, err error) string {
	if kube.Denied(err) {
		return "This server's own identity may not read /version of cluster " + c.Name() +
			". Bind it to the ClusterRole system:public-info-viewer there; until then its health is unknown."
	}
	return fault.PublicOf(err)
}

func whyNoWebSocket(err error) string {
	switch {
	case transport.IsUpgradeFailure(err):
		return "WebSockets do not reach this cluster, so its shells use SPDY. Let the proxies before it pass WebSocket upgrades."
	case fault.KindOf(err) == fault.Forbidden:
		return "This server's own identity may not watch namespaces, so the first shell shows whether WebSockets reach this cluster. Grant it that to have it known at the start."
	}
	return "Whether WebSockets reach this cluster could not be found out; the first shell shows it. Look at the error if shells fail too."
}
