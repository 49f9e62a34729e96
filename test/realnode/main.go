// Realnode runs a command beside a real Kubernetes node on this machine:
// containerd, runc and a kubelet, joined to the dev cluster's control plane.
//
//	realnode [--bin DIR] [--log FILE] [--image NAME=DOCKERFILE]… -- COMMAND ARG…
//
// It needs root. All of it, the command too, lives in network, process and mount
// namespaces of its own, so that the kernel ends every process, mount and bridge
// with them, however this program ends; a folder and empty cgroups that a killed
// one leaves are removed by the next. PERISCOPE_TEST_KUBECONFIG names the control
// plane to the command, PERISCOPE_TEST_NODE_ADDRESS where pods find what the command
// listens at, and TMPDIR a folder of its own. The images busybox and
// distroless, one without a shell, are made here, and nothing can be pulled.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
)

// insideCommand is the first argument of the half that runs in the namespaces.
const insideCommand = "inside"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(max(1, exit.ExitCode()))
	case err != nil:
		fmt.Fprintln(os.Stderr, "realnode:", err)
		os.Exit(1)
	}
}

type options struct {
	bin, log string
	name     string // of what the outer half makes and removes (traces.go)
	dir      string // the folder among them
	images   imageFlags
	command  []string
}

func run(ctx context.Context, args []string) error {
	inside := len(args) > 0 && args[0] == insideCommand
	if inside {
		args = args[1:]
	}
	var o options
	flags := flag.NewFlagSet("realnode", flag.ContinueOnError)
	flags.StringVar(&o.bin, "bin", "bin", "folder of the built programs")
	flags.StringVar(&o.log, "log", os.DevNull, "file for all that the node's parts write")
	flags.Var(&o.images, "image", "`NAME=DOCKERFILE`: an image more, of a Dockerfile that begins FROM scratch; what it copies is looked for from here")
	flags.StringVar(&o.dir, "dir", "", "for the inner half")
	flags.StringVar(&o.name, "name", "", "for the inner half")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.command = flags.Args(); len(o.command) == 0 {
		return errors.New("name the command to run beside the node, after --")
	}
	if inside {
		return runInside(ctx, o)
	}
	return runOutside(ctx, o)
}

// runOutside starts the inner half in namespaces of its own, where it is process
// 1: when it has ended, nothing of them is left. What remains is taken away here.
func runOutside(ctx context.Context, o options) error {
	if os.Geteuid() != 0 {
		return errors.New("a real node needs root; run this as root")
	}
	sweep()
	o.name = traces + strconv.Itoa(os.Getpid())
	o.dir = folder(o.name)
	defer remove(o.name)
	// Others may pass through it, as PostgreSQL does, which takes no root.
	if err := os.Mkdir(o.dir, 0o711); err != nil {
		return err
	}
	if err := makeCgroups(o.name); err != nil {
		return err
	}
	runtime.LockOSThread() // Pdeathsig means the end of this thread
	defer runtime.UnlockOSThread()
	words := []string{insideCommand, "--bin", o.bin, "--log", o.log, "--dir", o.dir, "--name", o.name}
	for _, im := range o.images {
		words = append(words, "--image", im.name+"="+im.dockerfile)
	}
	cmd := exec.Command("/proc/self/exe", append(append(words, "--"), o.command...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setpgid:    true, Pdeathsig: syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("namespaces of its own: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })()
	return cmd.Wait()
}
