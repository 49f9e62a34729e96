package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/periscope-console/periscope/test/proc"
)

const (
	startLimit = 2 * time.Minute
	nodeName   = "real"
	// The node's address on the bridge of its pods, in a network of its own.
	nodeAddress = "10.244.0.1"
	podRange    = "10.244.0.0/24"
	bridge      = "pods0"
	// The bridge keeps its link address. Without one of its own it has the lowest of
	// its pods', and when that pod goes the others do not find their way for a minute.
	bridgeLink = "02:00:00:00:00:01"
)

// realNode is the inner half.
type realNode struct {
	options
	out     *os.File
	parts   []*proc.Process // in the order of their start
	service *service        // nil before it is started
}

func runInside(ctx context.Context, o options) error {
	n := &realNode{options: o}
	out, err := os.Create(o.log)
	if err != nil {
		return err
	}
	defer out.Close()
	n.out = out
	defer n.stop()
	if err := n.start(ctx); ctx.Err() != nil {
		return errors.New("interrupted")
	} else if err != nil {
		return err
	}
	return n.beside(ctx)
}

// beside runs the command while the node is up.
func (n *realNode) beside(ctx context.Context) error {
	temp := filepath.Join(n.dir, "tmp")
	if err := os.Mkdir(temp, 0o711); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, n.command[0], n.command[1:]...)
	cmd.Env = append(os.Environ(), "PERISCOPE_TEST_KUBECONFIG="+n.kubeconfig(), "PERISCOPE_TEST_NODE_ADDRESS="+nodeAddress, "TMPDIR="+temp)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	return cmd.Run()
}

func (n *realNode) kubeconfig() string { return filepath.Join(n.dir, "cluster", "kubeconfig") }

func (n *realNode) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for _, step := range []struct {
		say string
		do  func(context.Context) error
	}{
		{"Giving the node a network of its own", n.network},
		{"Starting a control plane", n.startControlPlane},
		{"Giving pods the way to it", n.startService},
		{"Starting containerd", n.startContainerd},
		{"Making images", n.importImages},
		{"Starting a kubelet", n.startKubelet},
		{"Waiting until the node is ready", n.awaitReady},
	} {
		fmt.Println(step.say)
		if err := step.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the parts, the last one first; containers end with the namespace.
func (n *realNode) stop() {
	if n.service != nil {
		n.service.stop()
	}
	for i := len(n.parts) - 1; i >= 0; i-- {
		n.parts[i].Stop()
	}
}

func (n *realNode) run(ctx context.Context, s proc.Spec) error {
	s.Log = n.out
	p, _, err := proc.Start(ctx, s)
	if err == nil {
		n.parts = append(n.parts, p)
	}
	return err
}

// network has loopback and the bridge that will carry the pods: a kubelet does
// not take a loopback address. /proc and /sys must be those of the namespaces.
func (n *realNode) network(ctx context.Context) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts apart: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, words := range []string{
		"link set lo up",
		"link add " + bridge + " address " + bridgeLink + " type bridge",
		"address add " + nodeAddress + "/24 dev " + bridge,
		"address add " + serviceAddress + "/32 dev " + bridge,
		"link set " + bridge + " up",
	} {
		if err := command(ctx, "ip", strings.Fields(words)...); err != nil {
			return err
		}
	}
	return nil
}

// command runs a program to its end.
func command(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

func (n *realNode) startControlPlane(ctx context.Context) error {
	return n.run(ctx, proc.Spec{
		Name: "devcluster", Path: filepath.Join(n.bin, "devcluster"), Ready: "ready",
		Args: []string{"--dir", filepath.Join(n.dir, "cluster"), "--join", nodeName + "=" + nodeAddress, "--exit-with-parent"},
	})
}

// awaitReady watches the node that the kubelet registers.
func (n *realNode) awaitReady(ctx context.Context) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", n.kubeconfig())
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	w, err := client.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if node, ok := e.Object.(*corev1.Node); ok && usable(node) {
			info := node.Status.NodeInfo
			fmt.Printf("Node %s is ready: kubelet %s, %s, kernel %s\n", node.Name, info.KubeletVersion, info.ContainerRuntimeVersion, info.KernelVersion)
			return nil
		}
	}
	return fmt.Errorf("the node is not ready: %w", context.Cause(ctx))
}

// usable holds once pods will be scheduled to the node.
func usable(node *corev1.Node) bool {
	for _, taint := range node.Spec.Taints {
		if taint.Effect == corev1.TaintEffectNoSchedule {
			return false
		}
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
