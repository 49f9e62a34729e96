package objects

import (
	"context"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/kube"
)

// PodDetail is the answer of GET …/pods/{namespace}/{pod}.
type PodDetail struct {
	Pod
	Labels         map[string]string `json:"labels" doc:"Labels"`
	Annotations    map[string]string `json:"annotations" doc:"Annotations"`
	Owner          *Owner            `json:"owner" doc:"What controls the pod; null where nothing does"`
	ServiceAccount string            `json:"serviceAccount" doc:"Service account it runs as"`
	QoSClass       string            `json:"qosClass" enum:"Guaranteed,Burstable,BestEffort," doc:"Quality of service class"`
	HostIP         string            `json:"hostIP" doc:"Address of its node"`
	OS             string            `json:"os" doc:"Operating system it asks for; empty where it names none"`
	Conditions     []PodCondition    `json:"conditions" doc:"Conditions"`
	Containers     []Container       `json:"containers" doc:"Containers, then init, then ephemeral ones"`
}

// Owner is the controller of a pod.
type Owner struct {
	Kind string `json:"kind" doc:"Kind, such as ReplicaSet"`
	Name string `json:"name" doc:"Name"`
}

// PodCondition is one condition of a pod.
type PodCondition struct {
	Type             string     `json:"type" doc:"Type, such as Ready"`
	Status           string     `json:"status" enum:"True,False,Unknown" doc:"Whether it holds"`
	Reason           string     `json:"reason" doc:"Reason in one word"`
	Message          string     `json:"message" doc:"Reason in words"`
	LastTransitionAt *time.Time `json:"lastTransitionAt" doc:"When it last changed"`
}

// Container is a container on a pod's page.
type Container struct {
	Name    string `json:"name" doc:"Name"`
	Kind    string `json:"kind" enum:"container,init,ephemeral" doc:"Kind"`
	Target  string `json:"target" doc:"Container whose processes an ephemeral one sees; empty for any other"`
	Image   string `json:"image" doc:"Image as the pod names it"`
	ImageID string `json:"imageID" doc:"Image that was pulled"`
	ContainerState
	Restarts  int             `json:"restarts" doc:"Restarts"`
	Ready     bool            `json:"ready" doc:"Whether it is ready"`
	Ports     []Port          `json:"ports" doc:"Ports it names"`
	LastState *ContainerState `json:"lastState" doc:"How it ended before its last restart; null where it did not"`
}

// ContainerState is what a container does or did.
type ContainerState struct {
	State      string     `json:"state" enum:"running,waiting,terminated" doc:"State"`
	Reason     string     `json:"reason" doc:"Reason in one word"`
	Message    string     `json:"message" doc:"Reason in words"`
	ExitCode   *int       `json:"exitCode" doc:"Exit code; null unless terminated"`
	StartedAt  *time.Time `json:"startedAt" doc:"When it started"`
	FinishedAt *time.Time `json:"finishedAt" doc:"When it ended"`
}

// Port is a port that a container names.
type Port struct {
	Name     string `json:"name" doc:"Name, where it has one"`
	Port     int    `json:"port" doc:"Number"`
	Protocol string `json:"protocol" enum:"TCP,UDP,SCTP" doc:"Protocol"`
}

// PodByName reads one pod for its page.
func PodByName(ctx context.Context, c *kube.Client, namespace, name string) (PodDetail, error) {
	p, err := Get(ctx, c, namespace, name)
	if err != nil {
		return PodDetail{}, err
	}
	return Describe(p), nil
}

// Describe makes a page of a pod.
func Describe(p *corev1.Pod) PodDetail {
	d := PodDetail{
		Pod: podOf(p), Labels: copied(p.Labels), Annotations: copied(p.Annotations), Owner: ownerOf(p),
		ServiceAccount: p.Spec.ServiceAccountName, QoSClass: string(p.Status.QOSClass), HostIP: p.Status.HostIP,
		Conditions: []PodCondition{}, Containers: []Container{},
	}
	if p.Spec.OS != nil {
		d.OS = string(p.Spec.OS.Name)
	}
	for _, c := range p.Status.Conditions {
		d.Conditions = append(d.Conditions, PodCondition{
			Type: string(c.Type), Status: string(c.Status), Reason: c.Reason, Message: c.Message,
			LastTransitionAt: stamp(c.LastTransitionTime),
		})
	}
	for _, m := range members(p) {
		d.Containers = append(d.Containers, containerOf(m))
	}
	return d
}

// copied is never nil: an object of the JSON, not null.
func copied(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	maps.Copy(out, m)
	return out
}

func ownerOf(p *corev1.Pod) *Owner {
	ref := metav1.GetControllerOfNoCopy(p)
	if ref == nil {
		return nil
	}
	return &Owner{Kind: ref.Kind, Name: ref.Name}
}

func containerOf(m member) Container {
	c := Container{
		Name: m.name, Kind: m.kind, Target: m.target, Image: m.image, ImageID: m.status.ImageID,
		ContainerState: describeState(m.status.State),
		Restarts:       int(m.status.RestartCount), Ready: m.status.Ready, Ports: []Port{},
	}
	for _, p := range m.ports {
		c.Ports = append(c.Ports, Port{Name: p.Name, Port: int(p.ContainerPort), Protocol: string(p.Protocol)})
	}
	if m.status.LastTerminationState.Terminated != nil {
		last := describeState(m.status.LastTerminationState)
		c.LastState = &last
	}
	return c
}

func describeState(s corev1.ContainerState) ContainerState {
	out := ContainerState{State: stateOf(s)}
	switch {
	case s.Running != nil:
		out.StartedAt = stamp(s.Running.StartedAt)
	case s.Terminated != nil:
		code := int(s.Terminated.ExitCode)
		out.Reason, out.Message, out.ExitCode = s.Terminated.Reason, s.Terminated.Message, &code
		out.StartedAt, out.FinishedAt = stamp(s.Terminated.StartedAt), stamp(s.Terminated.FinishedAt)
	case s.Waiting != nil:
		out.Reason, out.Message = s.Waiting.Reason, s.Waiting.Message
	}
	return out
}
