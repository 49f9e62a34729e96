// Package incluster reaches the cluster that the server itself runs in.
//
// It owns where a pod finds its apiserver, token and CA. The token is read
// again while the server runs, because the kubelet replaces it; a new CA is
// taken up likewise. It does not own what runs over the connection. It starts
// no goroutines.
package incluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
)

// Folder is where the kubelet mounts a pod's service account.
const Folder = "/var/run/secrets/kubernetes.io/serviceaccount"

const op = "incluster.Config"

// Source says where to look. Tests have their own.
type Source struct {
	Folder string
	Getenv func(string) string
}

// backend implements clusters.Backend.
type backend struct {
	name string
	src  Source

	mu     sync.Mutex // guards what follows
	ca     string
	cfg    *rest.Config
	closed bool
}

// Open is for a server that runs in a pod.
func Open(spec config.Cluster) (clusters.Backend, error) {
	return Source{Folder: Folder, Getenv: os.Getenv}.Open(spec)
}

// Open looks once, so that a server outside a pod says so at its start.
func (s Source) Open(spec config.Cluster) (clusters.Backend, error) {
	b := &backend{name: spec.Name, src: s}
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
		return nil, fault.New(fault.ShuttingDown, op, "The server is shutting down. Try again in a moment.")
	}
	ca, err := b.src.read()
	if err != nil {
		return nil, fault.Wrap(fmt.Errorf("cluster %s: %w", b.name, err), fault.ClusterUnreachable, op,
			"The service account of cluster %s cannot be used at the moment. Whoever runs this server finds the reason in its log.", b.name)
	}
	if b.cfg == nil || ca != b.ca {
		b.ca, b.cfg = ca, b.src.config(ca)
	}
	return b.cfg, nil
}

// Close implements clusters.Backend.
func (b *backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.cfg = true, nil
	return nil
}

// read is the CA, once all else that config needs is known to be there.
func (s Source) read() (ca string, err error) {
	if s.Getenv("KUBERNETES_SERVICE_HOST") == "" || s.Getenv("KUBERNETES_SERVICE_PORT") == "" {
		return "", errors.New("the backend in-cluster needs a server that runs in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; use the backend kubeconfig elsewhere")
	}
	if _, err := os.Stat(s.token()); err != nil {
		return "", fmt.Errorf("the pod has no service account token (%w); do not switch automountServiceAccountToken off", err)
	}
	pem, err := os.ReadFile(filepath.Join(s.Folder, "ca.crt"))
	if err != nil {
		return "", fmt.Errorf("the pod has no cluster CA: %w", err)
	}
	return string(pem), nil
}

func (s Source) token() string { return filepath.Join(s.Folder, "token") }

// config leaves the token's reading to client-go, which looks again every
// minute.
func (s Source) config(ca string) *rest.Config {
	return &rest.Config{
		Host:            "https://" + net.JoinHostPort(s.Getenv("KUBERNETES_SERVICE_HOST"), s.Getenv("KUBERNETES_SERVICE_PORT")),
		TLSClientConfig: rest.TLSClientConfig{CAData: []byte(ca)},
		BearerTokenFile: s.token(),
	}
}
