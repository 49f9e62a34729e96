package node

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/component-base/version"
)

const (
	leaseSeconds  = 40
	leaseInterval = 10 * time.Second
	// extendWebSockets is a node feature: the apiserver hands WebSockets through.
	extendWebSockets = "ExtendWebSocketsToKubelet"
)

// register makes or updates the Node object. The controllers write to a new one at
// once (taints, a range of addresses), so its status may meet a newer object.
func (n *Node) register(ctx context.Context, port int32) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error { return n.registerOnce(ctx, n.object(port)) })
}

func (n *Node) registerOnce(ctx context.Context, wanted *corev1.Node) error {
	nodes := n.client.CoreV1().Nodes()
	now, err := nodes.Get(ctx, n.o.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		now, err = nodes.Create(ctx, wanted, metav1.CreateOptions{})
	}
	if err != nil {
		return err
	}
	now.Status = wanted.Status
	_, err = nodes.UpdateStatus(ctx, now, metav1.UpdateOptions{})
	return err
}

func (n *Node) object(port int32) *corev1.Node {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("16"),
		corev1.ResourceMemory:           resource.MustParse("64Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("256Gi"),
		corev1.ResourcePods:             resource.MustParse("500"),
	}
	status := corev1.NodeStatus{
		Capacity: capacity, Allocatable: capacity, Phase: corev1.NodeRunning,
		Conditions: conditions(time.Now()),
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: hostIP}, {Type: corev1.NodeHostName, Address: n.o.Name},
		},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: port}},
		NodeInfo:        nodeInfo(),
	}
	if n.o.WebSockets {
		status.DeclaredFeatures = []string{extendWebSockets}
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.o.Name, Labels: map[string]string{
			corev1.LabelHostname: n.o.Name, corev1.LabelOSStable: runtime.GOOS, corev1.LabelArchStable: runtime.GOARCH,
		}},
		Status: status,
	}
}

func conditions(now time.Time) []corev1.NodeCondition {
	at := metav1.NewTime(now)
	condition := func(t corev1.NodeConditionType, s corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: t, Status: s, LastHeartbeatTime: at, LastTransitionTime: at, Reason: reason, Message: message}
	}
	return []corev1.NodeCondition{
		condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status"),
	}
}

func nodeInfo() corev1.NodeSystemInfo {
	read := func(path string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			return "unknown"
		}
		return strings.TrimSpace(string(data))
	}
	return corev1.NodeSystemInfo{
		MachineID: read("/etc/machine-id"), SystemUUID: read("/proc/sys/kernel/random/boot_id"), BootID: read("/proc/sys/kernel/random/boot_id"),
		KernelVersion: read("/proc/sys/kernel/osrelease"), OSImage: "devcluster process node",
		ContainerRuntimeVersion: "process://1.0", KubeletVersion: version.Get().GitVersion,
		OperatingSystem: runtime.GOOS, Architecture: runtime.GOARCH,
	}
}

// heartbeat keeps the node's lease, without which it counts as lost, and finds it
// again where it did.
func (n *Node) heartbeat(ctx context.Context) {
	ticker := time.NewTicker(leaseInterval)
	defer ticker.Stop()
	for {
		if err := n.renew(ctx); err != nil && ctx.Err() == nil {
			n.o.Log.Warn("lease is not renewed", "error", err)
		}
		if err := n.reassure(ctx); err != nil && ctx.Err() == nil {
			n.o.Log.Warn("conditions are not written again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// reassure writes the conditions again where a controller has marked the node, as it
// does when a lease was late: a fresh lease alone does not take that back.
func (n *Node) reassure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseInterval)
	defer cancel()
	nodes := n.client.CoreV1().Nodes()
	now, err := nodes.Get(ctx, n.o.Name, metav1.GetOptions{})
	if err != nil || isReady(now) {
		return err
	}
	now.Status.Conditions = conditions(time.Now())
	_, err = nodes.UpdateStatus(ctx, now, metav1.UpdateOptions{})
	return err
}

func isReady(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

func (n *Node) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseInterval)
	defer cancel()
	leases := n.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	seconds, now := int32(leaseSeconds), metav1.NowMicro()
	spec := coordinationv1.LeaseSpec{HolderIdentity: &n.o.Name, LeaseDurationSeconds: &seconds, RenewTime: &now}
	lease, err := leases.Get(ctx, n.o.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: n.o.Name}, Spec: spec}, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	lease.Spec = spec
	_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}
