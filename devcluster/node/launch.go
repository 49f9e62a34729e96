package node

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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
	// plain: processes of this user among others; volumes are not at their
	// mount paths, so paths in commands and environment are rewritten.
	plain
)

func chooseIsolation() isolation {
	if os.Geteuid() == 0 {
		return namespaces
	}
	return plain
}

func (i isolation) placement(join int) placement {
	if i == plain {
		return placement{}
	}
	flags := uintptr(syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC)
	if join == 0 {
		flags |= syscall.CLONE_NEWPID
	}
	return placement{flags: flags, join: join}
}

// patience is what a shim gets to end by itself. With a PID namespace of its
// own it needs none: the kernel takes everything along.
func (p placement) patience() time.Duration {
	if p.flags&syscall.CLONE_NEWPID != 0 {
		return 0
	}
	return 3 * time.Second
}
