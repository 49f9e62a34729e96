// Package kubeconfig reaches a cluster through a context of a kubeconfig file.
//
// It owns reading the file again when it has changed, not what a kubeconfig says
// (package kubefile) nor what runs over the connection. It starts no goroutines.
// It guarantees that a file which becomes unreadable never leaves
// the old credentials in use.
package kubeconfig

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/kubefile"
)

// backend implements clusters.Backend.
type backend struct {
	name, path, context string

	mu     sync.Mutex // guards what follows
	read   kubefile.Version
	cfg    *rest.Config
	closed bool
}

// Open reads the file, so that what is wrong with it is known at once. Its
// errors are for whoever configures the server and name the file.
func Open(spec config.Cluster) (clusters.Backend, error) {
	b := &backend{name: spec.Name, path: spec.KubeconfigPath, context: spec.KubeconfigContext}
	if _, err := b.Config(context.Background()); err != nil {
		return nil, errors.Unwrap(err)
	}
	return b, nil
}

// Config implements clusters.Backend.
func (b *backend) Config(context.Context) (*rest.Config, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, fault.New(fault.ShuttingDown, "kubeconfig.Config", "The server is shutting down. Try again in a moment.")
	}
	now, err := kubefile.Look(b.path)
	if err == nil && b.cfg != nil && now == b.read {
		return b.cfg, nil
	}
	if err == nil {
		b.cfg, err = kubefile.Load(b.path, b.context)
	}
	if err != nil {
		b.cfg = nil
		return nil, b.unusable(err)
	}
	b.read = now
	return b.cfg, nil
}

// unusable keeps the file's path from users; it is in the cause.
func (b *backend) unusable(err error) error {
	return fault.Wrap(fmt.Errorf("cluster %s: %w", b.name, err), fault.ClusterUnreachable, "kubeconfig.Config",
		"The kubeconfig of cluster %s cannot be used at the moment. Whoever runs this server finds the reason in its log.", b.name)
}

// Close implements clusters.Backend.
func (b *backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.cfg = true, nil
	return nil
}
