// Package cluster puts a development cluster together: it owns the folder, the
// order in which things start and stop, and the kubeconfig that says that the
// cluster is usable. Run blocks until everything it started has ended.
package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/periscope-console/periscope/devcluster/controlplane"
	"github.com/periscope-console/periscope/devcluster/logfile"
	"github.com/periscope-console/periscope/devcluster/node"
	"github.com/periscope-console/periscope/devcluster/pki"
)

const (
	usableTimeout = 60 * time.Second
	pollInterval  = 25 * time.Millisecond
)

// Options are the command line's, validated.
type Options struct {
	Dir              string
	Addr             string
	Nodes            int
	Join             *Joining // nil where no other node joins
	WebSocketKubelet bool
	AuditLog         string
	AuditPolicy      string
	TokenWebhook     string
	Images           map[string]string
	Log              *slog.Logger
}

// Run runs a cluster until ctx ends; usable is called once, when pods can be
// created and the kubeconfig exists.
func Run(ctx context.Context, o Options, usable func()) error {
	f, err := openFolder(o.Dir)
	if err != nil {
		return err
	}
	defer f.close()
	klog, err := logfile.Open(filepath.Join(f.logs(), "kubernetes.log"))
	if err != nil {
		return err
	}
	defer klog.Close()
	controlplane.LogTo(klog)
	c, err := newCluster(o, f)
	if err != nil {
		return err
	}
	return c.run(ctx, usable)
}

type cluster struct {
	o     Options
	f     *folder
	plane controlplane.Options
	admin kubernetes.Interface
}

func newCluster(o Options, f *folder) (*cluster, error) {
	authority, err := pki.Open(filepath.Join(o.Dir, "pki"))
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s (choose another --addr, port 0 takes a free one): %w", o.Addr, err)
	}
	plane := controlplane.Options{
		Dir: o.Dir, Logs: f.logs(), Listener: listener, Authority: authority, KubeletClient: node.KubeletClient,
		AuditLog: o.AuditLog, AuditPolicy: o.AuditPolicy, TokenWebhook: o.TokenWebhook, Log: o.Log,
	}
	cfg, err := controlplane.RESTConfig(plane, controlplane.Admin)
	if err != nil {
		return nil, err
	}
	admin, err := kubernetes.NewForConfig(cfg)
	return &cluster{o: o, f: f, plane: plane, admin: admin}, err
}

// run starts the control plane, then the nodes; it stops the nodes first, so
// that no process of a pod outlives the place that knows of it.
func (c *cluster) run(ctx context.Context, usable func()) error {
	planeCtx, stopPlane := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPlane()
	ready := make(chan struct{})
	plane := make(chan error, 1)
	go func() { plane <- controlplane.Run(planeCtx, c.plane, func() { close(ready) }) }()
	select {
	case err := <-plane:
		return err
	case <-ctx.Done():
		stopPlane()
		return <-plane
	case <-ready:
	}
	nodesCtx, stopNodes := context.WithCancel(ctx)
	defer stopNodes()
	nodes := make(chan error, 1)
	go func() { nodes <- c.runNodes(nodesCtx, usable) }()
	var err error
	select {
	case err = <-plane:
		stopNodes()
		<-nodes
		return err
	case err = <-nodes:
	}
	stopPlane()
	if planeErr := <-plane; err == nil {
		err = planeErr
	}
	return err
}

// runNodes runs all nodes and announces the cluster when it is usable.
func (c *cluster) runNodes(ctx context.Context, usable func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	results := make(chan error, c.o.Nodes+1)
	var registered sync.WaitGroup
	for i := range c.o.Nodes {
		registered.Add(1)
		once := sync.OnceFunc(registered.Done)
		go func() {
			defer once()
			results <- c.runNode(ctx, i, once)
		}()
	}
	go func() {
		registered.Wait()
		results <- c.announce(ctx, usable)
	}()
	var first error
	for range c.o.Nodes + 1 {
		if err := <-results; err != nil && first == nil {
			first = err
			stop()
		}
	}
	return first
}

func nodeName(i int) string { return fmt.Sprintf("node-%d", i+1) }

func (c *cluster) runNode(ctx context.Context, i int, registered func()) error {
	name := nodeName(i)
	cfg, err := controlplane.RESTConfig(c.plane, node.Identity(name))
	if err != nil {
		return err
	}
	serving, err := c.plane.Authority.Issue(node.Serving(name))
	if err != nil {
		return err
	}
	log, err := logfile.Open(filepath.Join(c.f.logs(), name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	return node.Run(ctx, node.Options{
		Name:       name,
		Index:      i,
		Dir:        filepath.Join(c.o.Dir, "nodes", name),
		Client:     cfg,
		Serving:    serving,
		ClientCA:   c.plane.Authority.Pool(),
		APIServer:  c.plane.Listener.Addr().(*net.TCPAddr),
		Images:     c.o.Images,
		WebSockets: c.o.WebSocketKubelet,
		Processes:  c.f.processes,
		Log:        slog.New(slog.NewTextHandler(log, nil)),
		Registered: registered,
	})
}

// announce waits until a pod can be created and will be scheduled by the nodes
// of this process, and then writes the kubeconfig. It stays until ctx ends.
func (c *cluster) announce(ctx context.Context, usable func()) error {
	waitCtx, cancel := context.WithTimeout(ctx, usableTimeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	if err := c.dropNodes(waitCtx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("the nodes of an earlier run cannot be removed: %w", err)
	}
	for !c.isUsable(waitCtx) {
		select {
		case <-ctx.Done():
			return nil
		case <-waitCtx.Done():
			return fmt.Errorf("the cluster is not usable after %s, see %s", usableTimeout, c.f.logs())
		case <-ticker.C:
		}
	}
	if c.o.Join != nil {
		if err := c.prepareJoin(); err != nil {
			return err
		}
	}
	data, err := controlplane.Kubeconfig(c.plane, controlplane.Admin)
	if err != nil {
		return err
	}
	if err := c.f.writeKubeconfig(data); err != nil {
		return err
	}
	usable()
	<-ctx.Done()
	return nil
}

// dropNodes removes the nodes of an earlier run that had more of them: pods would be
// bound to them for as long as they count as ready.
func (c *cluster) dropNodes(ctx context.Context) error {
	nodes := c.admin.CoreV1().Nodes()
	all, err := nodes.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, n := range all.Items {
		if c.has(n.Name) {
			continue
		}
		if err := nodes.Delete(ctx, n.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// has says whether a node of that name belongs to this run.
func (c *cluster) has(name string) bool {
	for i := range c.o.Nodes {
		if nodeName(i) == name {
			return true
		}
	}
	return c.o.Join != nil && c.o.Join.Name == name
}

func (c *cluster) isUsable(ctx context.Context) bool {
	_, err := c.admin.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
	if err != nil {
		return false
	}
	for i := range c.o.Nodes {
		n, err := c.admin.CoreV1().Nodes().Get(ctx, nodeName(i), metav1.GetOptions{})
		if err != nil || !schedulable(n) {
			return false
		}
	}
	return true
}

func schedulable(n *corev1.Node) bool {
	for _, taint := range n.Spec.Taints {
		if taint.Key == corev1.TaintNodeNotReady || taint.Key == corev1.TaintNodeUnreachable {
			return false
		}
	}
	for _, condition := range n.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (f *folder) writeKubeconfig(data []byte) error {
	temporary := f.kubeconfig() + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, f.kubeconfig())
}
