// Package node is a Kubernetes node whose containers are processes of this
// machine. It does for the API what a kubelet with a container runtime does:
// it registers itself, runs the pods that are bound to it, reports on them,
// and serves exec, attach, port forwarding and logs.
//
// It keeps pods apart well enough to look real, not well enough to be safe:
// what runs here must be trusted. Run starts all goroutines and returns when
// they have ended and no process of a pod is left.
package node

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	"github.com/periscope-console/periscope/devcluster/pki"
	// The API types of events, for the recorder.
	_ "k8s.io/kubernetes/pkg/apis/core/install"
)

const (
	// hostIP is where all nodes live.
	hostIP = "127.0.0.1"
	// program is this program, even if the file has been replaced since.
	program = "/proc/self/exe"
)

// Options describes one node.
type Options struct {
	Name       string
	Index      int // from 0
	Dir        string
	Client     *rest.Config
	Serving    pki.Pair
	ClientCA   *x509.CertPool
	APIServer  *net.TCPAddr
	Images     map[string]string
	WebSockets bool // accept WebSockets from the apiserver, not only SPDY
	Processes  *Processes
	Log        *slog.Logger
	Registered func() // called when the API knows the node
}

// Identity is how a node of that name appears at the apiserver.
func Identity(name string) pki.Subject {
	return pki.Subject{Name: "system:node:" + name, Group: "system:nodes"}
}

// KubeletClient is how the apiserver appears at a node.
var KubeletClient = pki.Subject{Name: "kube-apiserver-kubelet-client", Group: "system:masters"}

// Serving is the subject of the certificate that a node shows.
func Serving(name string) pki.Subject {
	return pki.Subject{Name: "system:node:" + name, Group: "system:nodes", Hosts: []string{name, hostIP}}
}

// Node is a running node.
type Node struct {
	o         Options
	client    kubernetes.Interface
	recorder  record.EventRecorder
	isolation isolation
	addresses addresses

	mu     sync.Mutex // guards what follows
	pods   map[types.UID]*pod
	nextIP int
}

// Run is the node's life.
func Run(ctx context.Context, o Options) error {
	n, err := newNode(o)
	if err != nil {
		return err
	}
	defer n.addresses.release()
	stopEvents := n.startEvents()
	defer stopEvents()
	server, err := n.newServer()
	if err != nil {
		return err
	}
	defer server.stop()
	if err := n.register(ctx, server.port()); err != nil {
		return fmt.Errorf("node %s cannot be registered: %w", o.Name, err)
	}
	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all.Go(func() { n.heartbeat(ctx) })
	return n.watchPods(ctx, &all, o.Registered)
}

func newNode(o Options) (*Node, error) {
	client, err := kubernetes.NewForConfig(o.Client)
	if err != nil {
		return nil, err
	}
	n := &Node{o: o, client: client, pods: map[types.UID]*pod{}}
	if err := os.MkdirAll(n.scratch(), 0o755); err != nil {
		return nil, err
	}
	n.isolation = chooseIsolation(o.Processes, n.scratch(), o.Log)
	n.addresses, err = claimAddresses(firstAddresses + o.Index)
	return n, err
}

// scratch is a folder to mount on, inside each container's own mount namespace.
func (n *Node) scratch() string { return filepath.Join(n.o.Dir, "scratch") }

func (n *Node) startEvents() (stop func()) {
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: n.client.CoreV1().Events("")})
	n.recorder = broadcaster.NewRecorder(legacyscheme.Scheme, corev1.EventSource{Component: "kubelet", Host: n.o.Name})
	return broadcaster.Shutdown
}

func (n *Node) event(about *corev1.Pod, kind, reason, message string) {
	n.recorder.Event(about, kind, reason, message)
}

// containerEvent names the container too, as the kubelet's events do.
func (n *Node) containerEvent(about *corev1.Pod, t *tracked, kind, reason, message string) {
	list := "spec.containers"
	switch t.kind {
	case initContainer, sidecarContainer:
		list = "spec.initContainers"
	case ephemeralContainer:
		list = "spec.ephemeralContainers"
	}
	n.recorder.Event(&corev1.ObjectReference{
		Kind: "Pod", APIVersion: "v1", Namespace: about.Namespace, Name: about.Name, UID: about.UID,
		ResourceVersion: about.ResourceVersion, FieldPath: list + "{" + t.spec.Name + "}",
	}, kind, reason, message)
}

// watchPods runs pods until ctx ends, and waits for all of them.
func (n *Node) watchPods(ctx context.Context, all *sync.WaitGroup, synced func()) error {
	factory := informers.NewSharedInformerFactoryWithOptions(n.client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", n.o.Name).String()
	}))
	informer := factory.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { n.observe(ctx, all, o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { n.observe(ctx, all, o.(*corev1.Pod)) },
		DeleteFunc: n.forget,
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		n.dropFolders(informer.GetStore())
		if synced != nil {
			synced()
		}
	}
	<-ctx.Done()
	return nil
}

// dropFolders removes what pods left that were deleted while no node ran. A pod that
// comes now makes its folder after the folders are read, or is in the store.
func (n *Node) dropFolders(store cache.Store) {
	pods := filepath.Join(n.o.Dir, "pods")
	entries, err := os.ReadDir(pods)
	if err != nil {
		return // no pod yet
	}
	alive := map[string]bool{}
	for _, o := range store.List() {
		alive[string(o.(*corev1.Pod).UID)] = true
	}
	for _, e := range entries {
		if !alive[e.Name()] {
			removeFolder(filepath.Join(pods, e.Name()), n.o.Log)
		}
	}
}

// removeFolder removes a pod's folder, where a container may have left folders that
// not even their owner may write to.
func removeFolder(dir string, log *slog.Logger) {
	err := os.RemoveAll(dir)
	if errors.Is(err, fs.ErrPermission) {
		_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, _ error) error {
			if e != nil && e.IsDir() {
				_ = os.Chmod(path, 0o700) // the second try says what stays
			}
			return nil
		})
		err = os.RemoveAll(dir)
	}
	if err != nil {
		log.Warn("the folder of the pod remains", "error", err)
	}
}

func (n *Node) observe(ctx context.Context, all *sync.WaitGroup, spec *corev1.Pod) {
	n.mu.Lock()
	p, ok := n.pods[spec.UID]
	n.mu.Unlock()
	if ok {
		p.update(spec)
		return
	}
	p = newPod(n, spec)
	n.mu.Lock()
	n.pods[spec.UID] = p
	n.mu.Unlock()
	all.Go(func() {
		p.run(ctx)
		n.mu.Lock()
		delete(n.pods, p.uid)
		n.mu.Unlock()
	})
}

func (n *Node) forget(o any) {
	if unknown, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = unknown.Obj
	}
	spec, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	n.mu.Lock()
	p := n.pods[spec.UID]
	n.mu.Unlock()
	if p != nil {
		p.forget()
	}
}

// find looks a pod up as requests name it. Of two with one name, one is
// already going away; the other one is meant.
func (n *Node) find(key string) *pod {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found *pod
	for _, p := range n.pods {
		if p.key != key {
			continue
		}
		if _, gone := p.seen(); !gone || found == nil {
			found = p
		}
	}
	return found
}

// nextPodIP: every pod gets a loopback address of its own to listen on.
func (n *Node) nextPodIP() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nextIP = n.nextIP%65000 + 1
	return fmt.Sprintf("127.%d.%d.%d", n.addresses.octet, (n.nextIP+256)>>8&0xff, n.nextIP&0xff)
}

// confirmDeletion tells the API that nothing of the pod is left.
func (n *Node) confirmDeletion(ctx context.Context, spec *corev1.Pod) {
	zero := int64(0)
	uid := spec.UID
	options := metav1.DeleteOptions{GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &uid}}
	for {
		err := n.client.CoreV1().Pods(spec.Namespace).Delete(ctx, spec.Name, options)
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return
		}
		n.o.Log.Warn("deletion is not accepted", "pod", spec.Name, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(statusRetry):
		}
	}
}
