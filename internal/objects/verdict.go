package objects

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// verdict is the one word and the counts that sum a pod up. They are those of
// `kubectl get pods`, which people know by heart.
type verdict struct {
	status       string
	ready, total int
	restarts     int
	lastRestart  metav1.Time
}

// nodeLost is the reason that the node controller leaves on pods of a node
// that no longer answers.
const nodeLost = "NodeLost"

func verdictOf(p *corev1.Pod) verdict {
	v := verdict{status: string(p.Status.Phase), total: len(p.Spec.Containers)}
	if p.Status.Reason != "" {
		v.status = p.Status.Reason
	}
	if c := condition(p, corev1.PodScheduled); c != nil && c.Reason == corev1.PodReasonSchedulingGated {
		v.status = corev1.PodReasonSchedulingGated
	}
	if !v.initContainers(p) || isTrue(condition(p, corev1.PodInitialized)) {
		v.mainContainers(p)
	}
	v.deletion(p)
	return v
}

func condition(p *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	i := slices.IndexFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == kind })
	if i < 0 {
		return nil
	}
	return &p.Status.Conditions[i]
}

func isTrue(c *corev1.PodCondition) bool { return c != nil && c.Status == corev1.ConditionTrue }

// sidecars are the init containers that go on beside the main ones.
func sidecars(p *corev1.Pod) map[string]bool {
	names := map[string]bool{}
	for _, c := range p.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			names[c.Name] = true
		}
	}
	return names
}

// initContainers looks for the first one that keeps the others waiting, and
// reports whether there is one. Once the main containers run, the restarts of
// plain init containers count no more, those of sidecars do.
func (v *verdict) initContainers(p *corev1.Pod) (waiting bool) {
	side, plain := sidecars(p), verdict{}
	v.total += len(side)
	for i, st := range p.Status.InitContainerStatuses {
		if side[st.Name] {
			v.count(st)
		} else {
			plain.count(st)
		}
		switch {
		case st.State.Terminated != nil && st.State.Terminated.ExitCode == 0:
		case side[st.Name] && st.Started != nil && *st.Started:
			if st.Ready {
				v.ready++
			}
		default:
			v.status = initStatus(st.State, i, len(p.Spec.InitContainers))
			waiting = true
		}
		if waiting {
			break
		}
	}
	if waiting && !isTrue(condition(p, corev1.PodInitialized)) {
		v.add(plain)
	}
	return waiting
}

func initStatus(s corev1.ContainerState, i, n int) string {
	switch {
	case s.Terminated != nil:
		return "Init:" + ended(s.Terminated)
	case s.Waiting != nil && s.Waiting.Reason != "" && s.Waiting.Reason != "PodInitializing":
		return "Init:" + s.Waiting.Reason
	}
	return fmt.Sprintf("Init:%d/%d", i, n)
}

func ended(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return fmt.Sprintf("Signal:%d", t.Signal)
	}
	return fmt.Sprintf("ExitCode:%d", t.ExitCode)
}

// mainContainers lets the first container that has something to say decide,
// except that one which still runs keeps the pod from being called completed.
func (v *verdict) mainContainers(p *corev1.Pod) {
	running := false
	for _, st := range slices.Backward(p.Status.ContainerStatuses) {
		v.count(st)
		switch s := st.State; {
		case s.Waiting != nil && s.Waiting.Reason != "":
			v.status = s.Waiting.Reason
		case s.Terminated != nil:
			v.status = ended(s.Terminated)
		case st.Ready && s.Running != nil:
			running = true
			v.ready++
		}
	}
	if v.status == "Completed" && running {
		v.status = "NotReady"
		if isTrue(condition(p, corev1.PodReady)) {
			v.status = "Running"
		}
	}
}

func (v *verdict) deletion(p *corev1.Pod) {
	switch terminal := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed; {
	case p.DeletionTimestamp == nil:
	case p.Status.Reason == nodeLost:
		v.status = "Unknown"
	case !terminal:
		v.status = "Terminating"
	}
}

func (v *verdict) count(st corev1.ContainerStatus) {
	v.restarts += int(st.RestartCount)
	if t := st.LastTerminationState.Terminated; t != nil && v.lastRestart.Before(&t.FinishedAt) {
		v.lastRestart = t.FinishedAt
	}
}

func (v *verdict) add(o verdict) {
	v.restarts += o.restarts
	if v.lastRestart.Before(&o.lastRestart) {
		v.lastRestart = o.lastRestart
	}
}
