package node

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	podutil "k8s.io/kubernetes/pkg/util/pod"
)

const statusRetry = 500 * time.Millisecond

// statusWriter brings a pod's newest status to the API, beside the pod's own
// goroutine, so that a slow apiserver never delays a container. Statuses that
// were overtaken are not written.
type statusWriter struct {
	n    *Node
	pod  *corev1.Pod
	wake chan struct{}

	mu     sync.Mutex
	wanted *corev1.PodStatus

	writing sync.Mutex // one write at a time: run and flush
}

func newStatusWriter(n *Node, pod *corev1.Pod) *statusWriter {
	return &statusWriter{n: n, pod: pod, wake: make(chan struct{}, 1)}
}

func (s *statusWriter) set(status corev1.PodStatus) {
	s.mu.Lock()
	s.wanted = &status
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *statusWriter) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		for s.flush(ctx) != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(statusRetry):
			}
		}
	}
}

// flush writes the wanted status, if it differs from what the API has.
func (s *statusWriter) flush(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	wanted := s.wanted
	s.mu.Unlock()
	if wanted == nil {
		return nil
	}
	now, err := s.n.client.CoreV1().Pods(s.pod.Namespace).Get(ctx, s.pod.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && now.UID != s.pod.UID {
		return nil
	}
	if err != nil {
		return err
	}
	_, _, _, err = podutil.PatchPodStatus(ctx, s.n.client, s.pod.Namespace, s.pod.Name, s.pod.UID, now.Status, withOthers(*wanted, now.Status))
	if err != nil {
		s.n.o.Log.Warn("status is not accepted", "pod", s.pod.Namespace+"/"+s.pod.Name, "error", err)
	}
	return err
}

// withOthers keeps the conditions that other components have written since.
func withOthers(wanted, now corev1.PodStatus) corev1.PodStatus {
	for _, theirs := range now.Conditions {
		if !ownCondition(theirs.Type) {
			replaceCondition(&wanted, theirs)
		}
	}
	wanted.QOSClass = now.QOSClass
	wanted.NominatedNodeName = now.NominatedNodeName
	return wanted
}

func ownCondition(t corev1.PodConditionType) bool {
	switch t {
	case corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady:
		return true
	}
	return false
}

func replaceCondition(s *corev1.PodStatus, c corev1.PodCondition) {
	s.Conditions = append([]corev1.PodCondition(nil), s.Conditions...)
	for i := range s.Conditions {
		if s.Conditions[i].Type == c.Type {
			s.Conditions[i] = c
			return
		}
	}
	s.Conditions = append(s.Conditions, c)
}
