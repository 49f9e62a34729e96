package objects

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/kube"
)

// Bounds of a list of pods.
const (
	DefaultLimit = 500
	MaxLimit     = 1000
	maxSelector  = 1 << 10
	maxContinue  = 4 << 10
)

// DefaultContainer is the annotation by which a pod names the container that
// people mean.
const DefaultContainer = "kubectl.kubernetes.io/default-container"

// PodQuery says which pods.
type PodQuery struct {
	// Namespace is empty for all.
	Namespace     string
	LabelSelector string
	// Limit is how many at most; 0 for DefaultLimit.
	Limit int
	// Continue is that of the page before, or empty.
	Continue string
}

func (q PodQuery) options() (metav1.ListOptions, error) {
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	switch {
	case q.Limit < 1 || q.Limit > MaxLimit:
		return metav1.ListOptions{}, wrong("The limit is %d; it must be 1 to %d.", q.Limit, MaxLimit)
	case len(q.LabelSelector) > maxSelector:
		return metav1.ListOptions{}, wrong("The label selector is longer than %d bytes. Use a shorter one.", maxSelector)
	case len(q.Continue) > maxContinue:
		return metav1.ListOptions{}, wrong("The continue token is not one of ours. Start again from the first page.")
	}
	if q.Namespace != "" {
		if err := kube.CheckNamespace(q.Namespace); err != nil {
			return metav1.ListOptions{}, err
		}
	}
	if err := checkSelector(q.LabelSelector); err != nil {
		return metav1.ListOptions{}, err
	}
	return metav1.ListOptions{LabelSelector: q.LabelSelector, Limit: int64(q.Limit), Continue: q.Continue}, nil
}

// checkSelector refuses what is none. A NUL ends one for labels.Parse, so that
// what follows would count for nothing.
func checkSelector(s string) error {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return wrong("The label selector holds a control character. Write it as kubectl -l takes it, such as app=web,tier!=db.")
	}
	if _, err := labels.Parse(s); err != nil {
		return fault.Wrap(err, fault.Invalid, "objects.Pods", "The label selector cannot be read: %s. Write it as kubectl -l takes it, such as app=web,tier!=db.", err)
	}
	return nil
}

func wrong(format string, args ...any) error {
	return fault.New(fault.Invalid, "objects.Pods", format, args...)
}

// PodList is the answer of GET …/pods.
type PodList struct {
	Pods            []PodSummary `json:"pods" doc:"Pods of this page"`
	Continue        string       `json:"continue" doc:"Asks for the next page; empty on the last"`
	ResourceVersion string       `json:"resourceVersion" doc:"Version of the list, for a watch"`
}

// PodSummary is a row of a list of pods.
type PodSummary struct {
	Pod
	Containers []ContainerSummary `json:"containers" doc:"Containers, then init, then ephemeral ones"`
}

// Pod is what a row and a page both tell of a pod.
type Pod struct {
	Namespace        string     `json:"namespace" doc:"Namespace"`
	Name             string     `json:"name" doc:"Name"`
	UID              string     `json:"uid" doc:"Unique id, never used again"`
	Status           string     `json:"status" doc:"As kubectl get pods prints it"`
	Phase            string     `json:"phase" enum:"Pending,Running,Succeeded,Failed,Unknown" doc:"Lifecycle phase"`
	Reason           string     `json:"reason" doc:"Reason of the phase, where one is given"`
	ReadyContainers  int        `json:"readyContainers" doc:"Containers that are ready"`
	TotalContainers  int        `json:"totalContainers" doc:"Containers that should be"`
	Restarts         int        `json:"restarts" doc:"Restarts of its containers"`
	LastRestartAt    *time.Time `json:"lastRestartAt" doc:"When a container last ended and was restarted"`
	CreatedAt        time.Time  `json:"createdAt" doc:"When it was created"`
	Node             string     `json:"node" doc:"Node; empty until scheduled"`
	IP               string     `json:"ip" doc:"Address; empty until known"`
	DefaultContainer string     `json:"defaultContainer" doc:"Container that a shell opens in when none is chosen"`
}

// The kinds of containers and their states, as the JSON has them.
const (
	KindContainer = "container"
	KindInit      = "init"
	KindEphemeral = "ephemeral"

	StateRunning    = "running"
	StateWaiting    = "waiting"
	StateTerminated = "terminated"
)

// ContainerSummary is a container in a row.
type ContainerSummary struct {
	Name  string `json:"name" doc:"Name"`
	Kind  string `json:"kind" enum:"container,init,ephemeral" doc:"Kind"`
	State string `json:"state" enum:"running,waiting,terminated" doc:"State"`
	Ready bool   `json:"ready" doc:"Whether it is ready"`
	// Target makes an ephemeral container known as one for debugging.
	Target string `json:"target" doc:"Container whose processes an ephemeral one sees; empty for any other"`
}

// Pods lists a page of them.
func Pods(ctx context.Context, c *kube.Client, q PodQuery) (PodList, error) {
	opts, err := q.options()
	if err != nil {
		return PodList{}, err
	}
	list, err := c.Core.Pods(q.Namespace).List(ctx, opts)
	if err != nil {
		return PodList{}, c.Fault(err, "objects.Pods", "list the pods of "+place(q.Namespace))
	}
	out := PodList{Pods: make([]PodSummary, 0, len(list.Items)), Continue: list.Continue, ResourceVersion: list.ResourceVersion}
	for i := range list.Items {
		out.Pods = append(out.Pods, Summarize(&list.Items[i]))
	}
	return out, nil
}

func place(namespace string) string {
	if namespace == "" {
		return "all namespaces"
	}
	return "namespace " + namespace
}

// Get reads one pod as Kubernetes has it.
func Get(ctx context.Context, c *kube.Client, namespace, name string) (*corev1.Pod, error) {
	if err := kube.CheckNamespace(namespace); err != nil {
		return nil, err
	}
	if err := kube.CheckPod(name); err != nil {
		return nil, err
	}
	pod, err := c.Core.Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, c.Fault(err, "objects.Get", "read pod "+name+" of "+place(namespace))
	}
	return pod, nil
}

// Summarize makes a row of a pod.
func Summarize(p *corev1.Pod) PodSummary {
	out := PodSummary{Pod: podOf(p), Containers: []ContainerSummary{}}
	for _, m := range members(p) {
		out.Containers = append(out.Containers, ContainerSummary{
			Name: m.name, Kind: m.kind, State: stateOf(m.status.State), Ready: m.status.Ready, Target: m.target,
		})
	}
	return out
}

func podOf(p *corev1.Pod) Pod {
	v := verdictOf(p)
	return Pod{
		Namespace: p.Namespace, Name: p.Name, UID: string(p.UID),
		Status: v.status, Phase: string(p.Status.Phase), Reason: p.Status.Reason,
		ReadyContainers: v.ready, TotalContainers: v.total, Restarts: v.restarts, LastRestartAt: stamp(v.lastRestart),
		CreatedAt: p.CreationTimestamp.UTC(), Node: p.Spec.NodeName, IP: p.Status.PodIP,
		DefaultContainer: DefaultContainerOf(p),
	}
}

// DefaultContainerOf is the container that is meant where none is named: the
// one of the annotation if the pod has it, else the first.
func DefaultContainerOf(p *corev1.Pod) string {
	named := p.Annotations[DefaultContainer]
	if slices.ContainsFunc(members(p), func(m member) bool { return m.name == named }) {
		return named
	}
	if len(p.Spec.Containers) == 0 {
		return ""
	}
	return p.Spec.Containers[0].Name
}

// HasContainer reports whether the pod has a container of any kind by that
// name.
func HasContainer(p *corev1.Pod, name string) bool {
	return slices.ContainsFunc(members(p), func(m member) bool { return m.name == name })
}

// member is a container of any kind with its status, zero where there is none
// yet.
type member struct {
	name, kind, image string
	ports             []corev1.ContainerPort
	status            corev1.ContainerStatus
	target            string // of an ephemeral one, where it has one
}

func members(p *corev1.Pod) []member {
	var all []member
	for _, c := range p.Spec.Containers {
		all = append(all, member{c.Name, KindContainer, c.Image, c.Ports, statusOf(p.Status.ContainerStatuses, c.Name), ""})
	}
	for _, c := range p.Spec.InitContainers {
		all = append(all, member{c.Name, KindInit, c.Image, c.Ports, statusOf(p.Status.InitContainerStatuses, c.Name), ""})
	}
	for _, c := range p.Spec.EphemeralContainers {
		all = append(all, member{c.Name, KindEphemeral, c.Image, c.Ports, statusOf(p.Status.EphemeralContainerStatuses, c.Name), c.TargetContainerName})
	}
	return all
}

func statusOf(all []corev1.ContainerStatus, name string) corev1.ContainerStatus {
	for i := range all {
		if all[i].Name == name {
			return all[i]
		}
	}
	return corev1.ContainerStatus{}
}

func stateOf(s corev1.ContainerState) string {
	switch {
	case s.Running != nil:
		return StateRunning
	case s.Terminated != nil:
		return StateTerminated
	}
	return StateWaiting
}
