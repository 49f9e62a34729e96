package objects

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/kubetest"
)

func as(t *testing.T, c *kubetest.Cluster, imp identity.Impersonation) *kube.Client {
	t.Helper()
	b, err := kube.NewBase("test", c.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	client, err := b.Client(imp, "objects-test")
	if err != nil {
		t.Fatal(err)
	}
	return client
}

var admin = identity.Impersonation{None: true}

func TestReadingARealCluster(t *testing.T) {
	cluster := kubetest.Shared(t)
	ns, client := cluster.Namespace(t), as(t, cluster, admin)
	one := cluster.Pod(t, ns, kubetest.Containers("a", "b"), kubetest.Labels(map[string]string{"app": "one"}))
	two := cluster.Pod(t, ns, kubetest.Labels(map[string]string{"app": "two"}))

	t.Run("namespaces", func(t *testing.T) {
		list, err := Namespaces(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range list.Namespaces {
			if n.Name == ns && n.Phase == "Active" && time.Since(n.CreatedAt) < time.Hour {
				return
			}
		}
		t.Errorf("%s is not in %+v", ns, list)
	})
	t.Run("pods", func(t *testing.T) {
		list, err := Pods(t.Context(), client, PodQuery{Namespace: ns})
		if err != nil || len(list.Pods) != 2 || list.ResourceVersion == "" || list.Continue != "" {
			t.Fatalf("%+v, %v", list, err)
		}
		list, err = Pods(t.Context(), client, PodQuery{Namespace: ns, LabelSelector: "app=one"})
		if err != nil || len(list.Pods) != 1 || list.Pods[0].Name != one.Name || len(list.Pods[0].Containers) != 2 || list.Pods[0].Status != "Running" {
			t.Fatalf("%+v, %v", list, err)
		}
	})
	t.Run("pages", func(t *testing.T) {
		first, err := Pods(t.Context(), client, PodQuery{Namespace: ns, Limit: 1})
		if err != nil || len(first.Pods) != 1 || first.Continue == "" {
			t.Fatalf("%+v, %v", first, err)
		}
		second, err := Pods(t.Context(), client, PodQuery{Namespace: ns, Limit: 1, Continue: first.Continue})
		if err != nil || len(second.Pods) != 1 || second.Pods[0].Name == first.Pods[0].Name {
			t.Fatalf("%+v, %v", second, err)
		}
		if _, err := Pods(t.Context(), client, PodQuery{Namespace: ns, Limit: 1, Continue: "nonsense"}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("a continue token of nobody's: %v", err)
		}
	})
	t.Run("pod", func(t *testing.T) {
		d, err := PodByName(t.Context(), client, ns, two.Name)
		if err != nil || d.UID != string(two.UID) || d.Labels["app"] != "two" || len(d.Containers) != 1 || d.Containers[0].StartedAt == nil || d.ServiceAccount != "default" {
			t.Fatalf("%+v, %v", d, err)
		}
	})
	t.Run("missing", func(t *testing.T) {
		_, err := PodByName(t.Context(), client, ns, "no-such-pod")
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.NotFound || f.Status.(metav1.Status).Code != 404 || !strings.Contains(f.Public, `pods "no-such-pod" not found`) {
			t.Fatal(err)
		}
	})
	t.Run("as kubectl prints it", func(t *testing.T) { likeKubectl(t, cluster, client, ns) })
	t.Run("events", func(t *testing.T) { podEvents(t, cluster, client, one) })
}

// likeKubectl holds our words and counts against the table that the apiserver
// makes for kubectl.
func likeKubectl(t *testing.T, cluster *kubetest.Cluster, client *kube.Client, ns string) {
	no := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "gated"},
		Spec: corev1.PodSpec{
			SchedulingGates: []corev1.PodSchedulingGate{{Name: "example.com/wait"}},
			Containers:      []corev1.Container{{Name: "a", Image: "busybox"}},
		},
	}
	if _, err := cluster.Client.CoreV1().Pods(ns).Create(t.Context(), no, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	statuses := []corev1.PodStatus{
		pod("Pending", initC("i", done("", 2, 15))).Status,
		pod("Running", mainC("a", restarted(waiting("CrashLoopBackOff"), 7, 50))).Status,
		pod("Running", initC("i", done("Completed", 0, 0)), mainC("a", done("Completed", 0, 0)), mainC("b", running(true)), cond("Ready", "True", "")).Status,
		pod("Running", initC("i", restarted(done("Completed", 0, 0), 4, 9)), mainC("a", done("OOMKilled", 137, 9)), mainC("b", running(true))).Status,
		pod("Running", sidecar("s", restarted(waiting("CrashLoopBackOff"), 5, 40)), mainC("a", running(true)), cond("Initialized", "True", "")).Status,
		pod("Pending", sidecar("s", restarted(running(true), 5, 40)), initC("i", waiting("CrashLoopBackOff")), mainC("a", waiting("PodInitializing"))).Status,
		pod("Failed", reason("Evicted")).Status,
		pod("Succeeded", mainC("a", done("", 0, 0))).Status,
	}
	for i, st := range statuses {
		made := kept(t, cluster, ns, fmt.Sprintf("kept-%d", i))
		made.Status = st
		if _, err := cluster.Client.CoreV1().Pods(ns).UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	table := printed(t, cluster, ns)
	list, err := Pods(t.Context(), client, PodQuery{Namespace: ns})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list.Pods {
		ours := fmt.Sprintf("%d/%d %s %d", p.ReadyContainers, p.TotalContainers, p.Status, p.Restarts)
		if theirs := table[p.Name]; theirs != ours {
			t.Errorf("%s: kubectl prints %s, we say %s", p.Name, theirs, ours)
		}
	}
	if len(list.Pods) != len(table) {
		t.Errorf("%d pods, %d rows", len(list.Pods), len(table))
	}
}

// kept is a pod for a node that does not exist, so that nobody but the test
// writes its status. It has one container of each kind that the table names.
func kept(t *testing.T, cluster *kubetest.Cluster, ns, name string) *corev1.Pod {
	t.Helper()
	always := corev1.ContainerRestartPolicyAlways
	now := int64(0)
	made, err := cluster.Client.CoreV1().Pods(ns).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			SchedulerName: "nobody", TerminationGracePeriodSeconds: &now,
			InitContainers: []corev1.Container{{Name: "s", Image: "x", RestartPolicy: &always}, {Name: "i", Image: "x"}},
			Containers:     []corev1.Container{{Name: "a", Image: "x"}, {Name: "b", Image: "x"}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// printed is what kubectl shows of each pod: READY STATUS RESTARTS, without
// the age of the last restart.
func printed(t *testing.T, cluster *kubetest.Cluster, ns string) map[string]string {
	t.Helper()
	raw, err := cluster.Client.CoreV1().RESTClient().Get().Namespace(ns).Resource("pods").
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Rows []struct{ Cells []any }
	}
	if err := json.Unmarshal(raw, &table); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, row := range table.Rows {
		restarts, _, _ := strings.Cut(fmt.Sprint(row.Cells[3]), " ")
		out[fmt.Sprint(row.Cells[0])] = fmt.Sprintf("%v %v %s", row.Cells[1], row.Cells[2], restarts)
	}
	return out
}

// podEvents makes an event of this pod and one of an earlier pod of its name.
func podEvents(t *testing.T, cluster *kubetest.Cluster, client *kube.Client, p *corev1.Pod) {
	// Event times are whole seconds: only a later one is surely the newest.
	later := metav1.NewTime(time.Now().Add(time.Minute))
	for uid, reason := range map[types.UID]string{p.UID: "Mine", "earlier": "NotMine"} {
		_, err := cluster.Client.CoreV1().Events(p.Namespace).Create(t.Context(), &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{GenerateName: "e-"},
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: uid},
			Reason:         reason, Message: "x", Type: "Normal", Count: 2, LastTimestamp: later, FirstTimestamp: metav1.Now(),
			Source: corev1.EventSource{Component: "test"},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	list, err := PodEvents(t.Context(), client, p.Namespace, p.Name)
	if err != nil || len(list.Events) == 0 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, e := range list.Events {
		if e.Reason == "NotMine" {
			t.Errorf("an earlier pod's event: %+v", e)
		}
	}
	if list.Events[0].Reason != "Mine" || list.Events[0].Count != 2 || list.Events[0].LastSeen == nil {
		t.Errorf("%+v", list.Events)
	}
}

func TestRightsOfARealCluster(t *testing.T) {
	cluster := kubetest.Shared(t)
	ns := cluster.Namespace(t)
	stranger := as(t, cluster, identity.Impersonation{User: "stranger", Groups: []string{"periscope:none"}})
	_, err := Pods(t.Context(), stranger, PodQuery{Namespace: ns})
	if p := fault.PublicOf(err); fault.KindOf(err) != fault.Forbidden || !strings.Contains(p, `User "stranger" cannot list resource "pods"`) || !strings.Contains(p, ns) {
		t.Errorf("got %v", err)
	}
	checks := []kube.Check{{Verb: "create", Resource: "pods/exec", Namespace: ns}, {Verb: "get", Resource: "pods"}}
	for who, want := range map[*kube.Client]bool{stranger: false, as(t, cluster, admin): true} {
		got, err := kube.CanI(t.Context(), who, checks)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range got {
			if d.Allowed != want {
				t.Errorf("allowed %v, want %v: %+v", d.Allowed, want, d)
			}
		}
	}
}
