// Package poddebug gives a pod whose image has no shell a debug container: an
// ephemeral container from an image of the operator's list, which sees the
// processes of the container that it is for.
//
// It owns which images may be used, when a container that is there already is
// used again, what a new one looks like, and the audit record of its making. It
// does not own the shell that is opened there (podexec), nor waiting until the
// container runs: the pod tells. It keeps nothing between calls and starts no
// goroutines. It guarantees that nothing is added to a pod that could not be
// recorded, that it is added as the user and by the user's own right, and that two
// who ask at once get one container.
package poddebug

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/life"
)

const (
	// tries bounds how often a pod that changes under the request is read again.
	// Who loses against somebody with the same wish has what they want at once; so
	// only the status of a busy pod is in the way, a few times a second at most.
	tries = 8
	// actLimit bounds the adding, once it has been recorded as requested.
	actLimit = 15 * time.Second
	// lookLimit bounds the look at what became of it, where the answer was lost.
	lookLimit = 5 * time.Second
	// auditLimit is how long an audit record may take to become durable.
	auditLimit = 5 * time.Second
	maxReason  = 512
)

// Options are what a Maker needs from outside.
type Options struct {
	Clusters *clusters.Registry
	// Images may be used, and no others; the first is the default. Where there are
	// none, there are no debug containers.
	Images []string
	Audit  audit.Emitter
	// Acts has the adding of containers; its own where it is nil.
	Acts *life.Acts
	Log  *slog.Logger
}

// Maker makes debug containers.
type Maker struct{ Options }

// New makes a Maker. It starts nothing.
func New(o Options) *Maker {
	if o.Acts == nil {
		o.Acts = life.NewActs()
	}
	return &Maker{o}
}

// Request is one wish for a debug container.
type Request struct {
	Actor identity.Actor
	// EventID is that of the audit event, and goes upstream as Audit-ID.
	EventID   string
	RequestID string
	// Client is the address that it came from.
	Client    string
	Cluster   string
	Namespace string
	Pod       string
	// Target is the container whose processes are to be seen.
	Target string
	Image  string // empty: the default
	Reason string
}

// Container is a debug container: made now, or there already and not ended. It may
// not run yet; the pod's status says.
type Container struct {
	Container string `json:"container" doc:"Name of the debug container, in which a shell may be opened once it runs"`
	Target    string `json:"target" doc:"Container whose processes it sees"`
	Image     string `json:"image" doc:"Its image"`
	Created   bool   `json:"created" doc:"Whether it was made now; false where one was there already"`
}

// Ensure finds the debug container of a pod, target and image that has not ended,
// or adds one. Refusals and additions are audited; finding changes nothing, and
// the shell that follows has its own record.
func (m *Maker) Ensure(ctx context.Context, req Request) (Container, error) {
	w, err := m.admit(ctx, &req)
	if err != nil {
		m.refused(ctx, req, err)
		return Container{}, err
	}
	if w.plan.add == nil {
		return w.result(false), nil
	}
	return m.add(ctx, w)
}

// wish is a Request that may be done, and how.
type wish struct {
	Request
	cluster *clusters.Cluster
	pod     *corev1.Pod
	plan    plan
}

func (w *wish) result(created bool) Container {
	return Container{Container: w.plan.name, Target: w.Target, Image: w.Image, Created: created}
}

// admit makes every check that comes before the act: the request's own shape, the
// cluster, shells enabled, the rights, the pod.
func (m *Maker) admit(ctx context.Context, req *Request) (*wish, error) {
	if err := m.check(req); err != nil {
		return nil, err
	}
	cluster, err := m.Clusters.Get(req.Cluster)
	if err != nil {
		return nil, err
	}
	if !cluster.Exec().Enabled {
		return nil, fault.New(fault.ExecDisabled, "poddebug.Ensure",
			"Shells are switched off for cluster %s, and debug containers with them. Ask whoever runs this server if you need one.", req.Cluster)
	}
	if cluster.Exec().RequireReason && req.Reason == "" {
		return nil, fault.New(fault.Invalid, "poddebug.Ensure", "This cluster asks why you open a shell. Give a reason in one line.")
	}
	w := &wish{Request: *req, cluster: cluster}
	client, err := cluster.Client(ctx, req.Actor.As, "")
	if err != nil {
		return nil, err
	}
	if err := w.may(ctx, client); err != nil {
		return nil, err
	}
	return w, w.read(ctx, client)
}

// check bounds what came from outside before anything is asked with it, and puts
// the default image in.
func (m *Maker) check(req *Request) error {
	if err := kube.CheckNamespace(req.Namespace); err != nil {
		return err
	}
	if err := kube.CheckPod(req.Pod); err != nil {
		return err
	}
	if err := kube.CheckContainer(req.Target); err != nil {
		return err
	}
	if len(req.Reason) > maxReason || audit.OneLine(req.Reason, maxReason) != req.Reason {
		return fault.New(fault.Invalid, "poddebug.Ensure", "The reason must be one line of at most %d bytes, without control characters.", maxReason)
	}
	if len(m.Images) == 0 {
		return fault.New(fault.Forbidden, "poddebug.Ensure",
			"This server offers no debug containers. Ask whoever runs it to list an image for them in PERISCOPE_DEBUG_IMAGES.")
	}
	if req.Image == "" {
		req.Image = m.Images[0]
	}
	if !slices.Contains(m.Images, req.Image) {
		return fault.New(fault.Forbidden, "poddebug.Ensure",
			"The image %q may not be used for debug containers here. Take one of: %s. Whoever runs this server lists them in PERISCOPE_DEBUG_IMAGES.",
			audit.OneLine(req.Image, 128), strings.Join(m.Images, ", "))
	}
	return nil
}

// may is nil where the user may add the container and enter it: one that nobody can
// enter would stay in the pod for nothing.
func (w *wish) may(ctx context.Context, client *kube.Client) error {
	checks := []kube.Check{
		{Verb: "patch", Resource: "pods", Subresource: "ephemeralcontainers", Namespace: w.Namespace, Name: w.Pod},
		{Verb: "create", Resource: "pods", Subresource: "exec", Namespace: w.Namespace, Name: w.Pod},
	}
	answers, err := kube.CanI(ctx, client, checks)
	if err != nil {
		return err
	}
	for i, a := range answers {
		switch {
		case a.Allowed:
		case !a.Decided:
			return fault.New(fault.ClusterUnreachable, "poddebug.may", "%s", a.Reason)
		default:
			return fault.New(fault.Forbidden, "poddebug.may",
				"%s may not open a debug container in namespace %s of cluster %s: the right to %s pods/%s is missing. Ask whoever manages that cluster's roles.",
				w.who(), w.Namespace, w.Cluster, checks[i].Verb, checks[i].Subresource)
		}
	}
	return nil
}

func (w *wish) who() string {
	if w.Actor.As.None {
		return "This server's own identity"
	}
	return w.Actor.As.User
}

// read reads the pod and plans by it.
func (w *wish) read(ctx context.Context, client *kube.Client) (err error) {
	if w.pod, err = client.Core.Pods(w.Namespace).Get(ctx, w.Pod, metav1.GetOptions{}); err != nil {
		return client.Fault(err, "poddebug.read", "read pod "+w.Namespace+"/"+w.Pod)
	}
	w.plan, err = planFor(w.pod, w.Target, w.Image)
	return err
}

// add records, acts and records. Whoever hangs up meanwhile changes nothing, nor does
// a shutdown: what was begun is brought to its end, so that the record says what
// became of it.
func (m *Maker) add(ctx context.Context, w *wish) (Container, error) {
	client, err := w.cluster.Client(ctx, w.Actor.As, w.EventID)
	if err != nil {
		m.refused(ctx, w.Request, err)
		return Container{}, err
	}
	act, done := m.Acts.Begin(context.WithoutCancel(ctx))
	defer done()
	if err := m.requested(act, w); err != nil {
		return Container{}, err
	}
	created, err := w.settle(act, client)
	m.completed(ctx, w, created, err)
	if err != nil {
		return Container{}, err
	}
	return w.result(created == made), nil
}

// fate is what became of a container that was asked for.
type fate string

const (
	made    fate = "made"
	notMade fate = "not made"
	unknown fate = "unknown"
)

// settle adds the container. A pod that has changed since it was read is read
// again: somebody else may have added the same. Where act is cut there is no time
// to look at what became of it.
func (w *wish) settle(act context.Context, client *kube.Client) (created fate, err error) {
	ctx, cancel := context.WithTimeout(act, actLimit)
	defer cancel()
	for range tries {
		if w.plan.add == nil {
			return notMade, nil
		}
		if err = w.patch(ctx, client); err == nil {
			return made, nil
		}
		switch fault.KindOf(err) {
		case fault.Timeout, fault.ClusterUnreachable, fault.AgentDisconnected:
			return w.look(act, client, err)
		case fault.Conflict:
		default:
			return notMade, err
		}
		if err := w.read(ctx, client); err != nil {
			return notMade, err
		}
	}
	return notMade, fault.Wrap(err, fault.Conflict, "poddebug.add",
		"Pod %s kept changing while the debug container was to be added. Try again in a moment.", w.Pod)
}

// look follows a patch whose answer was lost: it may have been done.
func (w *wish) look(act context.Context, client *kube.Client, lost error) (fate, error) {
	ctx, cancel := context.WithTimeout(act, lookLimit)
	defer cancel()
	pod, err := client.Core.Pods(w.Namespace).Get(ctx, w.Pod, metav1.GetOptions{})
	switch {
	case err != nil:
		return unknown, lost
	case slices.ContainsFunc(pod.Spec.EphemeralContainers, func(c corev1.EphemeralContainer) bool { return c.Name == w.plan.name }):
		return made, nil
	}
	return notMade, lost
}

// patch asks for what `kubectl debug` asks for, and only of the pod as it was read.
func (w *wish) patch(ctx context.Context, client *kube.Client) error {
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": w.pod.ResourceVersion},
		"spec":     map[string]any{"ephemeralContainers": []*corev1.EphemeralContainer{w.plan.add}},
	})
	if err != nil {
		return err
	}
	_, err = client.Core.Pods(w.Namespace).Patch(ctx, w.Pod, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "ephemeralcontainers")
	if err == nil {
		return nil
	}
	return w.notAdmitted(client.Fault(err, "poddebug.patch", "add a debug container to pod "+w.Namespace+"/"+w.Pod))
}
