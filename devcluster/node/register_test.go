package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// TestANewNodeIsWrittenToMeanwhile: a controller that is quicker than the node's status
// does not keep it from registering. When it writes is not ours to say, so the
// apiserver is a fake.
func TestANewNodeIsWrittenToMeanwhile(t *testing.T) {
	client := fake.NewClientset()
	conflicts := 2
	client.PrependReactor("update", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		if conflicts == 0 {
			return false, nil, nil
		}
		conflicts--
		return true, nil, apierrors.NewConflict(corev1.Resource("nodes"), "node-1", nil)
	})
	n := &Node{o: Options{Name: "node-1"}, client: client}
	if err := n.register(t.Context(), 10250); err != nil {
		t.Fatal(err)
	}
	node, err := client.CoreV1().Nodes().Get(t.Context(), "node-1", metav1.GetOptions{})
	if err != nil || node.Status.DaemonEndpoints.KubeletEndpoint.Port != 10250 || conflicts != 0 {
		t.Errorf("%+v, %v, %d conflicts to come", node.Status.DaemonEndpoints, err, conflicts)
	}
}

// TestALostNodeIsFoundAgain: the controller marks a node whose lease was late, and
// leaves it to the node to take that back.
func TestALostNodeIsFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &Node{o: Options{Name: "node-1"}, client: fake.NewClientset()}
		if err := n.register(t.Context(), 10250); err != nil {
			t.Fatal(err)
		}
		nodes := n.client.CoreV1().Nodes()
		node, err := nodes.Get(t.Context(), "node-1", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go n.heartbeat(ctx)
		synctest.Wait()
		for i := range node.Status.Conditions {
			node.Status.Conditions[i].Status = corev1.ConditionUnknown
		}
		if _, err := nodes.UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(leaseInterval)
		synctest.Wait()
		node, err = nodes.Get(t.Context(), "node-1", metav1.GetOptions{})
		if err != nil || !isReady(node) || node.Status.Conditions[0].Status != corev1.ConditionFalse {
			t.Errorf("%+v, %v", node.Status.Conditions, err)
		}
	})
}
