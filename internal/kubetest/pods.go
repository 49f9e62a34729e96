package kubetest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// waitLimit bounds each wait; a loaded machine takes a few seconds at most.
const waitLimit = 60 * time.Second

// PodOption changes the pod that Pod makes.
type PodOption func(*corev1.Pod)

// Image sets the image of every container.
func Image(name string) PodOption {
	return func(p *corev1.Pod) {
		for i := range p.Spec.Containers {
			p.Spec.Containers[i].Image = name
		}
	}
}

// Command sets what every container runs.
func Command(args ...string) PodOption {
	return func(p *corev1.Pod) {
		for i := range p.Spec.Containers {
			p.Spec.Containers[i].Command = args
		}
	}
}

// Containers gives the pod containers of these names, each like the first.
func Containers(names ...string) PodOption {
	return func(p *corev1.Pod) {
		like := p.Spec.Containers[0]
		p.Spec.Containers = nil
		for _, name := range names {
			c := *like.DeepCopy()
			c.Name = name
			p.Spec.Containers = append(p.Spec.Containers, c)
		}
	}
}

// Labels adds labels.
func Labels(labels map[string]string) PodOption {
	return func(p *corev1.Pod) { p.Labels = labels }
}

// Namespace makes a namespace of the test's own, and ends all pods in it when the
// test ends. The namespace stays as long as the cluster, which ends after its
// tests: to delete one, the control plane asks for each kind of thing that could
// be in it, which costs a tenth of a second of a processor.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	ns, err := c.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "t-" + label(t.Name()) + "-"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("kubetest: namespace: %v", err)
	}
	t.Cleanup(func() { c.emptyNamespace(t, ns.Name) })
	c.awaitServiceAccount(t, ns.Name)
	return ns.Name
}

// emptyNamespace does not wait for the end of its pods: nobody else uses them. A
// test may have stopped the cluster itself.
func (c *Cluster) emptyNamespace(t testing.TB, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	now := int64(0)
	err := c.Client.CoreV1().Pods(name).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{})
	if err != nil {
		t.Logf("kubetest: the pods in namespace %s are left: %v", name, err)
	}
	if rt, err := rest.TransportFor(c.Config); err == nil {
		closeIdle(rt)
	}
}

// label makes of a test's name what a namespace may be called.
func label(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	return strings.Trim(clean[:min(len(clean), 40)], "-")
}

// awaitServiceAccount waits for what pods need and a controller makes.
func (c *Cluster) awaitServiceAccount(t testing.TB, ns string) {
	t.Helper()
	await(t, "service account default in "+ns, func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		return c.Client.CoreV1().ServiceAccounts(ns).Watch(ctx, o)
	}, "default", func(e watch.Event) (bool, error) { return e.Type != watch.Deleted, nil })
}

// Pod makes a pod that sleeps, changed by opts, and waits until it runs and is
// ready.
func (c *Cluster) Pod(t testing.TB, ns string, opts ...PodOption) *corev1.Pod {
	t.Helper()
	now := int64(0)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "pod-"},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &now,
			Containers: []corev1.Container{{
				Name: "main", Image: "busybox", ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"sleep", "86400"},
			}},
		},
	}
	for _, o := range opts {
		o(pod)
	}
	pod, err := c.Client.CoreV1().Pods(ns).Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("kubetest: pod: %v", err)
	}
	return c.AwaitPod(t, ns, pod.Name, ready)
}

// ready says whether a pod runs with all its containers ready; an error says
// that it never will.
func ready(p *corev1.Pod) (bool, error) {
	if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		return false, fmt.Errorf("it ended: %s %s", p.Status.Phase, p.Status.Message)
	}
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue, nil
		}
	}
	return false, nil
}

// AwaitPod watches a pod until it is as the test wants it, and returns it so.
func (c *Cluster) AwaitPod(t testing.TB, ns, name string, until func(*corev1.Pod) (bool, error)) *corev1.Pod {
	t.Helper()
	var last *corev1.Pod
	await(t, "pod "+ns+"/"+name, func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		return c.Client.CoreV1().Pods(ns).Watch(ctx, o)
	}, name, func(e watch.Event) (bool, error) {
		pod, ok := e.Object.(*corev1.Pod)
		if !ok || e.Type == watch.Deleted {
			return false, fmt.Errorf("watch: %s", e.Type)
		}
		last = pod
		return until(pod)
	})
	return last
}

// await watches one object until done says so.
func await(t testing.TB, what string, open func(context.Context, metav1.ListOptions) (watch.Interface, error),
	name string, done func(watch.Event) (bool, error),
) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	w, err := open(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()})
	if err != nil {
		t.Fatalf("kubetest: %s: %v", what, err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if ok, err := done(e); err != nil {
			t.Fatalf("kubetest: %s: %v", what, err)
		} else if ok {
			return
		}
	}
	t.Fatalf("kubetest: %s was not there in time: %v", what, context.Cause(ctx))
}

// closeIdle drops idle connections, whose goroutines would count as leaks.
func closeIdle(rt http.RoundTripper) {
	for rt != nil {
		if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
			c.CloseIdleConnections()
			return
		}
		w, ok := rt.(utilnet.RoundTripperWrapper)
		if !ok {
			return
		}
		rt = w.WrappedRoundTripper()
	}
}
