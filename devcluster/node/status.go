package node

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kind is the role of a container in its pod.
type kind int

const (
	appContainer kind = iota
	initContainer
	sidecarContainer // an init container that keeps running
	ephemeralContainer
)

// containerFacts is what is known of one container at one moment.
type containerFacts struct {
	name     string
	image    string
	imageID  string
	user     *corev1.ContainerUser
	kind     kind
	state    corev1.ContainerState // none set: not started yet
	last     corev1.ContainerState
	restarts int32
	id       string
	ready    bool
	started  bool
	again    bool // not running now, but will be started again
}

func (c containerFacts) running() bool    { return c.state.Running != nil }
func (c containerFacts) terminated() bool { return c.state.Terminated != nil && !c.again }
func (c containerFacts) succeeded() bool  { return c.terminated() && c.state.Terminated.ExitCode == 0 }

// podFacts is what is known of a pod at one moment.
type podFacts struct {
	pod        *corev1.Pod
	hostIP     string
	podIP      string
	started    time.Time
	containers []containerFacts
	// failure overrides what the containers say.
	failure, failureMessage string
}

// computeStatus writes the status as the kubelet does. It keeps conditions
// that belong to others, and times of transitions that did not happen.
func computeStatus(f podFacts, now time.Time) corev1.PodStatus {
	s := *f.pod.Status.DeepCopy()
	s.ObservedGeneration = f.pod.Generation
	s.HostIP, s.PodIP = f.hostIP, f.podIP
	s.HostIPs = []corev1.HostIP{{IP: f.hostIP}}
	s.PodIPs = []corev1.PodIP{{IP: f.podIP}}
	if s.StartTime == nil {
		at := metav1.NewTime(f.started).Rfc3339Copy()
		s.StartTime = &at
	}
	s.Phase = f.phase()
	if f.failure != "" {
		s.Reason, s.Message = f.failure, f.failureMessage
	}
	s.InitContainerStatuses = f.statuses(initContainer, sidecarContainer)
	s.ContainerStatuses = f.statuses(appContainer)
	s.EphemeralContainerStatuses = f.statuses(ephemeralContainer)
	for _, c := range f.conditions(s.Phase) {
		c.ObservedGeneration = f.pod.Generation
		setCondition(&s, c, now)
	}
	return s
}

func (f podFacts) each(kinds ...kind) []containerFacts {
	var some []containerFacts
	for _, c := range f.containers {
		for _, k := range kinds {
			if c.kind == k {
				some = append(some, c)
			}
		}
	}
	return some
}

// initialized: all init containers have done their work.
func (f podFacts) initialized() bool {
	for _, c := range f.each(initContainer, sidecarContainer) {
		if c.kind == initContainer && !c.succeeded() {
			return false
		}
		if c.kind == sidecarContainer && !c.started && !c.terminated() {
			return false
		}
	}
	return true
}

func (f podFacts) initFailed() bool {
	for _, c := range f.each(initContainer) {
		if c.terminated() && !c.succeeded() {
			return true
		}
	}
	return false
}

func (f podFacts) phase() corev1.PodPhase {
	if f.failure != "" || f.initFailed() {
		return corev1.PodFailed
	}
	var fresh, alive, failed int
	for _, c := range f.each(appContainer) {
		switch {
		case c.running() || c.again:
			alive++
		case !c.terminated():
			fresh++
		case !c.succeeded():
			failed++
		}
	}
	switch {
	case !f.initialized() && alive == 0 && fresh > 0:
		return corev1.PodPending
	case fresh > 0:
		return corev1.PodPending
	case alive > 0:
		return corev1.PodRunning
	case failed > 0:
		return corev1.PodFailed
	}
	return corev1.PodSucceeded
}

func (f podFacts) statuses(kinds ...kind) []corev1.ContainerStatus {
	var statuses []corev1.ContainerStatus
	for _, c := range f.each(kinds...) {
		state := c.state
		if state == (corev1.ContainerState{}) {
			state.Waiting = &corev1.ContainerStateWaiting{Reason: f.waitingReason(c)}
		}
		started := c.started
		status := corev1.ContainerStatus{
			Name: c.name, State: state, LastTerminationState: c.last, Ready: c.ready,
			RestartCount: c.restarts, Image: c.image, ImageID: c.imageID, Started: &started,
		}
		if c.running() {
			status.User = c.user
		}
		if c.id != "" {
			status.ContainerID = "process://" + c.id
		} else {
			status.ImageID = ""
		}
		if c.kind == ephemeralContainer {
			status.Started = nil
		}
		statuses = append(statuses, status)
	}
	return statuses
}

func (f podFacts) waitingReason(c containerFacts) string {
	if c.kind == ephemeralContainer {
		return "ContainerCreating"
	}
	if len(f.each(initContainer, sidecarContainer)) > 0 && (c.kind != appContainer || !f.initialized()) {
		return "PodInitializing"
	}
	return "ContainerCreating"
}

func (f podFacts) conditions(phase corev1.PodPhase) []corev1.PodCondition {
	over := phase == corev1.PodSucceeded || phase == corev1.PodFailed
	alive := false
	for _, c := range f.containers {
		alive = alive || c.id != ""
	}
	ready := f.containersReady(phase)
	gated := ready
	if ready.Status == corev1.ConditionTrue {
		if missing := f.missingGate(); missing != "" {
			gated = corev1.PodCondition{Status: corev1.ConditionFalse, Reason: "ReadinessGatesNotReady",
				Message: fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist or is not True.", missing)}
		}
	}
	gated.Type = corev1.PodReady
	ready.Type = corev1.ContainersReady
	return []corev1.PodCondition{
		{Type: corev1.PodReadyToStartContainers, Status: boolStatus(alive && !over)},
		f.initializedCondition(phase), gated, ready,
	}
}

func (f podFacts) initializedCondition(phase corev1.PodPhase) corev1.PodCondition {
	c := corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue}
	switch {
	case phase == corev1.PodSucceeded:
		c.Reason = "PodCompleted"
	case !f.initialized():
		c.Status = corev1.ConditionFalse
		c.Reason = "ContainersNotInitialized"
		c.Message = fmt.Sprintf("containers with incomplete status: %v", f.names(func(c containerFacts) bool {
			return c.kind == initContainer && !c.succeeded() || c.kind == sidecarContainer && !c.started
		}))
	}
	return c
}

func (f podFacts) containersReady(phase corev1.PodPhase) corev1.PodCondition {
	switch phase {
	case corev1.PodSucceeded:
		return corev1.PodCondition{Status: corev1.ConditionFalse, Reason: "PodCompleted"}
	case corev1.PodFailed:
		return corev1.PodCondition{Status: corev1.ConditionFalse, Reason: "PodFailed"}
	}
	unready := f.names(func(c containerFacts) bool {
		return (c.kind == appContainer || c.kind == sidecarContainer) && !c.ready
	})
	if len(unready) > 0 {
		return corev1.PodCondition{Status: corev1.ConditionFalse, Reason: "ContainersNotReady",
			Message: fmt.Sprintf("containers with unready status: %v", unready)}
	}
	return corev1.PodCondition{Status: corev1.ConditionTrue}
}

func (f podFacts) names(which func(containerFacts) bool) []string {
	var names []string
	for _, c := range f.containers {
		if which(c) {
			names = append(names, c.name)
		}
	}
	return names
}

func (f podFacts) missingGate() string {
	for _, gate := range f.pod.Spec.ReadinessGates {
		met := false
		for _, c := range f.pod.Status.Conditions {
			met = met || c.Type == gate.ConditionType && c.Status == corev1.ConditionTrue
		}
		if !met {
			return string(gate.ConditionType)
		}
	}
	return ""
}

func boolStatus(b bool) corev1.ConditionStatus {
	if b {
		return corev1.ConditionTrue
	}
	return corev1.ConditionFalse
}

func setCondition(s *corev1.PodStatus, c corev1.PodCondition, now time.Time) {
	c.LastTransitionTime = metav1.NewTime(now).Rfc3339Copy()
	for i, old := range s.Conditions {
		if old.Type == c.Type {
			if old.Status == c.Status {
				c.LastTransitionTime = old.LastTransitionTime
			}
			s.Conditions[i] = c
			return
		}
	}
	s.Conditions = append(s.Conditions, c)
}

// startsAgain decides over a container that has ended.
func startsAgain(k kind, policy corev1.RestartPolicy, code int32) bool {
	switch k {
	case ephemeralContainer:
		return false
	case sidecarContainer:
		return true
	case initContainer:
		return code != 0 && policy != corev1.RestartPolicyNever
	}
	return policy == corev1.RestartPolicyAlways || policy == corev1.RestartPolicyOnFailure && code != 0
}
