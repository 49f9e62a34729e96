package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/periscope-console/periscope/devcluster/node"
)

// folder is the cluster's own folder. The lock belongs to the process: it is
// free again the moment the process is gone, however it went.
type folder struct {
	dir       string
	lock      *os.File
	processes *node.Processes
}

func (f *folder) logs() string       { return filepath.Join(f.dir, "logs") }
func (f *folder) kubeconfig() string { return filepath.Join(f.dir, "kubeconfig") }

// openFolder makes and locks the folder, and ends what an earlier run that
// crashed has left: its processes and its files that mean nothing any more.
func openFolder(dir string) (*folder, error) {
	for _, sub := range []string{"", "logs", "pki", "run", "nodes"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("the folder for the cluster cannot be made: %w", err)
		}
	}
	f := &folder{dir: dir}
	if err := f.takeLock(); err != nil {
		return nil, err
	}
	if err := os.Remove(f.kubeconfig()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.close()
		return nil, err
	}
	processes, err := node.OpenProcesses(filepath.Join(dir, "run", "processes"))
	if err != nil {
		f.close()
		return nil, err
	}
	f.processes = processes
	return f, nil
}

func (f *folder) takeLock() error {
	lock, err := os.OpenFile(filepath.Join(f.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		lock.Close()
		return fmt.Errorf("another devcluster already runs in %s: stop it, or choose another --dir", f.dir)
	}
	if err != nil {
		lock.Close()
		return fmt.Errorf("the folder %s cannot be locked: %w", f.dir, err)
	}
	f.lock = lock
	return nil
}

// close gives the lock back. The kubeconfig stays: it is good again when the
// cluster is started at the same address.
func (f *folder) close() { f.lock.Close() }
