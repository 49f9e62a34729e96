package node

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/periscope-console/periscope/devcluster/shim"
)

// startIn starts cmd, inside the PID namespace of process join unless that is 0.
func startIn(cmd *exec.Cmd, join int) error {
	if join == 0 {
		return cmd.Start()
	}
	result := make(chan error, 1)
	go func() {
		// The thread belongs to the other namespace from here on; because it
		// is never unlocked, it ends with this goroutine.
		runtime.LockOSThread()
		result <- enterAndStart(cmd, join)
	}()
	return <-result
}

func enterAndStart(cmd *exec.Cmd, join int) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", join))
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWPID); err != nil {
		return fmt.Errorf("enter the process namespace of the other container: %w", err)
	}
	return cmd.Start()
}

// isolation decides how containers are kept apart, by what this user may do.
type isolation int

const (
	// namespaces: root; everything works.
	namespaces isolation = iota
	// userNamespaces: an ordinary user who is root inside; no process
	// namespace can be shared, and images must not change their user.
	userNamespaces
	// plain: processes of this user among others; volumes are not at their
	// mount paths, so paths in commands and environment are rewritten.
	plain
)

func (i isolation) String() string {
	return [...]string{"namespaces", "user namespaces", "none"}[i]
}

// home is a container's home folder, unless it names another one.
func (i isolation) home() string {
	if i == plain {
		return os.TempDir()
	}
	return "/root"
}

// user is what a status says of a container's first process. Plain processes are
// this program's user, whatever the pod says.
func (i isolation) user(p shim.Process) *corev1.ContainerUser {
	if i == plain {
		return nil
	}
	gid := int64(p.GID)
	return &corev1.ContainerUser{Linux: &corev1.LinuxContainerUser{UID: int64(p.UID), GID: gid, SupplementalGroups: []int64{gid}}}
}

// chooseIsolation tries the best way first: what is allowed depends on the
// user, the kernel, and the sandbox this program itself may be in.
func chooseIsolation(processes *Processes, scratch string, log *slog.Logger) isolation {
	for _, i := range []isolation{namespaces, userNamespaces} {
		if i == namespaces && os.Geteuid() != 0 {
			continue
		}
		c, err := createContainer(processes, i.placement(0), shim.Boot{
			Isolated: true, Hostname: "trial", Root: shim.Root{Scratch: scratch, ScratchSize: scratchSize, Foreign: i == userNamespaces},
		})
		if err == nil {
			c.kill()
			<-c.gone
			return i
		}
		log.Warn("pods are kept apart less than they could be", "not possible", i.String(), "error", err)
	}
	return plain
}

// placement is where a shim of this isolation starts; join is the process
// whose PID namespace it shares, or 0.
func (i isolation) placement(join int) placement {
	if i == plain {
		return placement{}
	}
	p := placement{flags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC, join: join}
	if join == 0 {
		p.flags |= syscall.CLONE_NEWPID
	}
	if i == userNamespaces {
		p.flags |= syscall.CLONE_NEWUSER
	}
	return p
}

// attributes are those of a session of its own in these namespaces.
func (p placement) attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true, Cloneflags: p.flags}
	if p.flags&syscall.CLONE_NEWUSER != 0 {
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return a
}

// patience is what a shim gets to end by itself. With a PID namespace of its
// own it needs none: the kernel takes everything along.
func (p placement) patience() time.Duration {
	if p.flags&syscall.CLONE_NEWPID != 0 {
		return 0
	}
	return 3 * time.Second
}
