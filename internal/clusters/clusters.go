// Package clusters knows which clusters there are and how each is reached.
//
// It owns the registry, the Backend contract, the limits of shells per cluster
// and the health of each. It does not own credentials (each backend has its
// own), impersonation (package kube sets it) or what is read from a cluster.
// Run is the caller's; it probes each cluster in a goroutine of its own and
// returns when all have ended, so that a dead cluster delays no other. Reading
// the registry never waits for a cluster.
package clusters

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/kube"
)

const (
	probeEvery   = 15 * time.Second
	probeTimeout = 5 * time.Second
	// probeJitter keeps the probes of many clusters, and of many servers, from
	// falling together.
	probeJitter = 0.2
)

// Opener makes the backend of one cluster. It reads what it needs at once, so
// that a server with a wrong setting does not start, but dials nothing.
type Opener func(config.Cluster) (Backend, error)

// Registry holds the clusters of a process.
type Registry struct {
	log    *slog.Logger
	order  []*Cluster
	byName map[string]*Cluster
}

// New opens every cluster, or none: its error names each that cannot be.
func New(specs []config.Cluster, openers map[config.BackendKind]Opener, log *slog.Logger) (*Registry, error) {
	r := &Registry{log: log, byName: make(map[string]*Cluster, len(specs))}
	var errs []error
	for _, spec := range specs {
		errs = append(errs, r.add(spec, openers[spec.Backend]))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Registry) add(spec config.Cluster, open Opener) error {
	if open == nil {
		return fault.New(fault.Invalid, "clusters.New", "Cluster %s has the backend %q, which this version does not support.", spec.Name, spec.Backend)
	}
	if r.byName[spec.Name] != nil {
		return fault.New(fault.Invalid, "clusters.New", "Two clusters are named %s. Give one of them another name.", spec.Name)
	}
	backend, err := open(spec)
	if err != nil {
		return err
	}
	c := newCluster(spec, backend)
	r.order, r.byName[spec.Name] = append(r.order, c), c
	return nil
}

// Get finds a cluster by the name a client gave.
func (r *Registry) Get(name string) (*Cluster, error) {
	if err := kube.CheckCluster(name); err != nil {
		return nil, err
	}
	if c, ok := r.byName[name]; ok {
		return c, nil
	}
	return nil, fault.New(fault.NotFound, "clusters.Get", "There is no cluster named %s here. The list of clusters has the names of those there are.", name)
}

// All lists the clusters as configured.
func (r *Registry) All() []*Cluster { return append([]*Cluster(nil), r.order...) }

// List sums every cluster up, in the order of the configuration.
func (r *Registry) List() []Summary {
	all := make([]Summary, 0, len(r.order))
	for _, c := range r.order {
		all = append(all, c.Summary())
	}
	return all
}

// ProbeAll checks every cluster once and waits for all, at most a probe's
// time: for whoever wants credentials warm before the first user comes.
func (r *Registry) ProbeAll(ctx context.Context) {
	var wg sync.WaitGroup
	for _, c := range r.order {
		wg.Go(func() { r.probe(ctx, c) })
	}
	wg.Wait()
}

// Run watches every cluster's health until ctx is done.
func (r *Registry) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, c := range r.order {
		wg.Go(func() { r.watch(ctx, c) })
	}
	wg.Wait()
	return nil
}

func (r *Registry) watch(ctx context.Context, c *Cluster) {
	for {
		r.probe(ctx, c)
		select {
		case <-ctx.Done():
			return
		case <-c.look:
		case <-time.After(pause()):
		}
	}
}

// Look has the named cluster checked at once: something is known to have changed. It
// does not block, and does nothing where there is no such cluster.
func (r *Registry) Look(name string) {
	if c := r.byName[name]; c != nil {
		select {
		case c.look <- struct{}{}:
		default: // it is about to be checked
		}
	}
}

func pause() time.Duration {
	spread := 1 + probeJitter*(2*rand.Float64()-1) // no secret depends on it
	return time.Duration(float64(probeEvery) * spread)
}

// probe logs a change of state alone: an hour of a dead cluster is one line.
func (r *Registry) probe(ctx context.Context, c *Cluster) {
	found := c.probe(ctx)
	if ctx.Err() != nil {
		return // we gave up, not the cluster
	}
	before := c.health.Swap(&found)
	switch {
	case found.connected() && (!before.connected() || before.version != found.version):
		r.log.Info("cluster.connected", "cluster", c.Name(), "version", found.version)
	case !found.connected() && (before.connected() || before.checkedAt == nil):
		r.log.Warn("cluster.unreachable", "cluster", c.Name(), "error", found.err)
	}
}

// Close closes every backend.
func (r *Registry) Close() error {
	var errs []error
	for _, c := range r.order {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}
