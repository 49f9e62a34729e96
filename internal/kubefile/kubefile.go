// Package kubefile reads a context of a kubeconfig file.
//
// It owns what makes a file usable, in sentences for whoever configures the
// process: paths inside it count from its folder, its proxy-url and exec plugins are
// honoured, and plugins are told that there is no terminal. It starts no goroutines.
// It guarantees that nothing but the file is asked: one without a context is an error,
// and never means the cluster that the process runs in.
package kubefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// maxFile bounds a kubeconfig; certificates make it some tens of KiB.
const maxFile = 4 << 20

// Version tells one version of a file from the next. Editors and ConfigMap mounts
// put a new file in the old one's place, and a restored backup may be older, so any
// difference counts.
type Version struct {
	modified time.Time
	size     int64
	path     string // where symbolic links led
}

// Look says which version of the file is there. An error says why it cannot be read.
func Look(path string) (Version, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Version{}, unreadable(path, err)
	}
	info, err := os.Stat(real)
	if err != nil {
		return Version{}, unreadable(path, err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return Version{}, fmt.Errorf("%s is no kubeconfig: a file of at most %d MiB is expected", path, maxFile>>20)
	}
	return Version{modified: info.ModTime(), size: info.Size(), path: real}, nil
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

// Load makes the file's context of that name, its current one where name is empty,
// what client-go dials by.
func Load(path, name string) (*rest.Config, error) {
	if _, err := Look(path); err != nil {
		return nil, err
	}
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
		return fmt.Errorf("the context %s of the kubeconfig %s names the cluster %s, which is not in the file; add it, or name another context", name, path, c.Cluster)
	}
	if c.AuthInfo != "" && file.AuthInfos[c.AuthInfo] == nil {
		return fmt.Errorf("the context %s of the kubeconfig %s names the user %s, who is not in the file; add them, or name another context", name, path, c.AuthInfo)
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
