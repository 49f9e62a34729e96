package podexec

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// A node that vanishes without a word leaves its streams standing. Where they lead
// through to the node its missing pongs tell; an apiserver that translates
// WebSockets answers pings for a dead node, and its TCP gives up after a quarter of
// an hour. But its pods say that the node no longer reports. That alone ends
// nothing, since such a node often still runs shells: it is knocked at.

const (
	// knockLimit is how long a node has to answer.
	knockLimit = 10 * time.Second
	// overdue is how much later than its grace period a pod may still be there.
	overdue = 30 * time.Second
)

// nodeSilent reports whether a pod's node has stopped reporting. The control plane
// then takes the pod's readiness away, but leaves that of its containers, which is
// the node's own to tell; and what it deletes does not go.
func nodeSilent(pod *corev1.Pod) bool {
	if at := pod.DeletionTimestamp; at != nil && time.Since(at.Time) > overdue {
		return true
	}
	conditions := map[corev1.PodConditionType]corev1.PodCondition{}
	for _, c := range pod.Status.Conditions {
		conditions[c.Type] = c
	}
	ready := conditions[corev1.PodReady]
	return ready.Status == corev1.ConditionFalse && ready.Reason != notReadyGates &&
		conditions[corev1.ContainersReady].Status == corev1.ConditionTrue
}

// notReadyGates is what a node itself says of a pod that is not ready although
// its containers are.
const notReadyGates = "ReadinessGatesNotReady"

// mayKnock has a silent node knocked at, once for all sessions of one right. The
// caller has ss.mu.
func (ss *Sessions) mayKnock(held *right, pod *corev1.Pod) {
	if pod == nil || held.knocking || len(held.holders) == 0 || !nodeSilent(pod) {
		return
	}
	held.knocking = true
	container := held.someContainer()
	ss.wg.Go(func() {
		begun := time.Now()
		err := held.knock(container)
		answers := !unreached(err) || errors.Is(err, transport.ErrUnreadable)
		ss.Log.Warn("exec.node.silent", "node", pod.Spec.NodeName, "cluster", held.key.cluster,
			"namespace", held.key.namespace, "pod", held.key.pod, "answers", answers, "error", err)
		ss.mu.Lock()
		defer ss.mu.Unlock()
		held.knocking = false
		if !answers {
			held.nodeLost(begun, pod.Spec.NodeName, err)
		}
	})
}

func (held *right) someContainer() string {
	for s := range held.holders {
		return s.Container
	}
	return ""
}

// knock runs nothing in the container, and reports whether its node says so. Any
// answer will do, such as that there is no sh.
func (held *right) knock(container string) error {
	ctx, cancel := context.WithTimeout(held.ctx, knockLimit)
	defer cancel()
	stream, _, err := held.upstream.Dial(ctx, newID(), transport.Request{
		Namespace: held.key.namespace, Pod: held.key.pod, Container: container, Command: []string{"sh", "-c", ":"},
	})
	if err != nil {
		return err
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, func() { stream.Close() })()
	buf := make([]byte, smallChunk)
	for err == nil {
		_, _, err = stream.Read(buf)
	}
	if ctx.Err() != nil {
		return fault.Wrap(ctx.Err(), fault.Timeout, "podexec.knock", "The node did not answer in time.")
	}
	return stream.Result().Err
}

// nodeLost ends the sessions on a node that did not answer, unless one proves that
// it lives. The caller has ss.mu.
func (held *right) nodeLost(since time.Time, node string, err error) {
	for s := range held.holders {
		if s.clock.lastOutput().After(since) {
			return
		}
	}
	held.end(refusal(fault.Wrap(err, fault.ClusterUnreachable, "podexec.node",
		"Node %s no longer answers, so the shell was ended here. It may still be running there: look at the pod, then open a new one.", node)))
}
