// Package kubeconfig reaches a cluster through a context of a kubeconfig file.
//
// It owns reading the file, and reading it again when it has changed; paths
// inside it count from its folder, and its proxy-url and exec plugins are
// honoured. It does not own what runs over the connection. It starts no
// goroutines. It guarantees that a file which becomes unreadable never leaves
// the old credentials in use.
package kubeconfig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
)

// maxFile bounds a kubeconfig; certificates make it some tens of KiB.
const maxFile = 4 << 20

// stamp tells one version of the file from the next. Editors and ConfigMap
// mounts put a new file in the old one's place, and a restored backup may be
// older, so any difference counts.
type stamp struct {
	modified time.Time
	size     int64
	path     string // where symbolic links led
}

// backend implements clusters.Backend.
type backend struct {
	name, path, context string

	mu     sync.Mutex // guards what follows
	read   stamp
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
	now, err := look(b.path)
	if err == nil && b.cfg != nil && now == b.read {
		return b.cfg, nil
	}
	if err == nil {
		b.cfg, err = load(b.path, b.context)
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

func look(path string) (stamp, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return stamp{}, unreadable(path, err)
	}
	info, err := os.Stat(real)
	if err != nil {
		return stamp{}, unreadable(path, err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return stamp{}, fmt.Errorf("%s is no kubeconfig: a file of at most %d MiB is expected", path, maxFile>>20)
	}
	return stamp{modified: info.ModTime(), size: info.Size(), path: real}, nil
}

func unreadable(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the kubeconfig %s does not exist; check the path", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the kubeconfig %s may not be read by this user; change its permissions", path)
	}
	return fmt.Errorf("the kubeconfig %s cannot be read: %w", path, err)
}

func load(path, name string) (*rest.Config, error) {
	file, err := clientcmd.LoadFromFile(path)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return nil, unreadable(path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is no kubeconfig: %w", path, err)
	}
	if err := clientcmd.ResolveLocalPaths(file); err != nil {
		return nil, fmt.Errorf("the paths in the kubeconfig %s cannot be resolved: %w", path, err)
	}
	if name, err = choose(file, path, name); err != nil {
		return nil, err
	}
	cfg, err := clientcmd.NewNonInteractiveClientConfig(*file, name, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("the context %s of the kubeconfig %s cannot be used: %w", name, path, err)
	}
	return headless(cfg), nil
}

func choose(file *api.Config, path, name string) (string, error) {
	if name == "" {
		name = file.CurrentContext
	}
	if name == "" {
		return "", fmt.Errorf("the kubeconfig %s has no current context; name one of: %s", path, contexts(file))
	}
	if file.Contexts[name] == nil {
		return "", fmt.Errorf("the kubeconfig %s has no context %q; it has: %s", path, name, contexts(file))
	}
	return name, complete(file, path, name)
}

// complete sees to it that a context's parts exist: client-go takes a missing
// user for nobody, and then the cluster refuses everything without a reason.
func complete(file *api.Config, path, name string) error {
	c := file.Contexts[name]
	if file.Clusters[c.Cluster] == nil {
		return fmt.Errorf("the context %s of the kubeconfig %s names the cluster %s, which is not in the file", name, path, c.Cluster)
	}
	if c.AuthInfo != "" && file.AuthInfos[c.AuthInfo] == nil {
		return fmt.Errorf("the context %s of the kubeconfig %s names the user %s, who is not in the file", name, path, c.AuthInfo)
	}
	return nil
}

func contexts(file *api.Config) string {
	const most = 10
	names := make([]string, 0, len(file.Contexts))
	for name := range file.Contexts {
		names = append(names, name)
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return strings.Join(names, ", ")
}

// headless keeps an exec plugin from asking the terminal that the server was
// started in, where nobody would see the question.
func headless(cfg *rest.Config) *rest.Config {
	if cfg.ExecProvider != nil {
		cfg.ExecProvider.StdinUnavailable = true
		cfg.ExecProvider.StdinUnavailableMessage = "periscope runs without a terminal"
	}
	return cfg
}
