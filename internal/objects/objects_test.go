package objects

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/kubetest"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

// sortedJSON is v as the browser gets it, indented.
func sortedJSON(t *testing.T, v any) string {
	t.Helper()
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestNothingIsNull(t *testing.T) {
	for name, v := range map[string]any{
		"summary":    Summarize(&corev1.Pod{}),
		"detail":     Describe(&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}}}}),
		"namespaces": NamespaceList{Namespaces: []Namespace{}},
		"events":     EventList{Events: newest(nil)},
	} {
		out := sortedJSON(t, v)
		for _, line := range strings.Split(out, "\n") {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			nullable := map[string]bool{`"lastRestartAt"`: true, `"owner"`: true, `"exitCode"`: true, `"startedAt"`: true, `"finishedAt"`: true, `"lastState"`: true}
			if strings.HasPrefix(value, "null") && !nullable[key] {
				t.Errorf("%s: %s is null", name, key)
			}
		}
	}
}

func TestSummaryJSON(t *testing.T) {
	p := pod("Running", sidecar("s", running(true)), mainC("a", restarted(running(true), 2, 50)), mainC("b", waiting("CrashLoopBackOff")))
	p.Namespace, p.Name, p.UID = "shop", "web-0", "u-1"
	p.CreationTimestamp = metav1.NewTime(time.Unix(0, 0).In(time.FixedZone("x", 3600)))
	p.Spec.NodeName, p.Status.PodIP = "n1", "10.0.0.7"
	p.Annotations = map[string]string{DefaultContainer: "b"}
	p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "dbg"}, TargetContainerName: "a"}}
	want := `{"namespace":"shop","name":"web-0","uid":"u-1","status":"CrashLoopBackOff","phase":"Running","reason":"","readyContainers":2,"totalContainers":3,` +
		`"restarts":2,"lastRestartAt":"1970-01-01T00:00:50Z","createdAt":"1970-01-01T00:00:00Z","node":"n1","ip":"10.0.0.7","defaultContainer":"b","containers":[` +
		`{"name":"a","kind":"container","state":"running","ready":true,"target":""},{"name":"b","kind":"container","state":"waiting","ready":false,"target":""},` +
		`{"name":"s","kind":"init","state":"running","ready":true,"target":""},{"name":"dbg","kind":"ephemeral","state":"waiting","ready":false,"target":"a"}]}`
	got, _ := json.Marshal(Summarize(p))
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDetailJSON(t *testing.T) {
	yes := true
	p := pod("Running", mainC("a", restarted(done("Error", 1, 0), 1, 50)), cond("Ready", "False", "ContainersNotReady"))
	p.Labels = map[string]string{"app": "web"}
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: "other"}, {Kind: "ReplicaSet", Name: "web-5f", Controller: &yes}}
	p.Spec.ServiceAccountName, p.Status.QOSClass, p.Status.HostIP = "sa", "Burstable", "10.0.0.1"
	p.Spec.OS = &corev1.PodOS{Name: "linux"}
	p.Spec.Containers[0].Image = "web:1"
	p.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: "TCP"}}
	p.Status.ContainerStatuses[0].ImageID = "sha256:1"
	want := `"labels":{"app":"web"},"annotations":{},"owner":{"kind":"ReplicaSet","name":"web-5f"},"serviceAccount":"sa","qosClass":"Burstable","hostIP":"10.0.0.1","os":"linux",` +
		`"conditions":[{"type":"Ready","status":"False","reason":"ContainersNotReady","message":"","lastTransitionAt":null}],` +
		`"containers":[{"name":"a","kind":"container","target":"","image":"web:1","imageID":"sha256:1","state":"terminated","reason":"Error","message":"","exitCode":1,"startedAt":null,"finishedAt":null,` +
		`"restarts":1,"ready":false,"ports":[{"name":"http","port":8080,"protocol":"TCP"}],` +
		`"lastState":{"state":"terminated","reason":"","message":"","exitCode":0,"startedAt":null,"finishedAt":"1970-01-01T00:00:50Z"}}]}`
	got, _ := json.Marshal(Describe(p))
	if !strings.HasSuffix(string(got), want) {
		t.Errorf("got  %s\nwant …%s", got, want)
	}
}

func TestDefaultContainer(t *testing.T) {
	p := pod("Running", initC("i", done("", 0, 0)), mainC("a", running(true)), mainC("b", running(true)))
	for annotation, want := range map[string]string{"": "a", "b": "b", "i": "i", "gone": "a", "../x": "a"} {
		p.Annotations = map[string]string{DefaultContainer: annotation}
		if got := DefaultContainerOf(p); got != want {
			t.Errorf("%q: %s, want %s", annotation, got, want)
		}
	}
	if DefaultContainerOf(&corev1.Pod{}) != "" || !HasContainer(p, "i") || HasContainer(p, "") {
		t.Error("a container that is not there")
	}
}

func TestNewestEvents(t *testing.T) {
	at := func(s int64) metav1.Time { return metav1.Unix(s, 0) }
	events := []corev1.Event{
		{Reason: "old", FirstTimestamp: at(1), LastTimestamp: at(10), Count: 3, Source: corev1.EventSource{Component: "kubelet"}},
		{Reason: "series", EventTime: metav1.NewMicroTime(time.Unix(5, 0)), ReportingController: "scheduler", Series: &corev1.EventSeries{Count: 7, LastObservedTime: metav1.NewMicroTime(time.Unix(30, 0))}},
		{Reason: "micro", EventTime: metav1.NewMicroTime(time.Unix(20, 0))},
		{Reason: "bare", ObjectMeta: metav1.ObjectMeta{CreationTimestamp: at(15)}},
	}
	got := newest(events)
	summary := ""
	for _, e := range got {
		summary += fmt.Sprintf("%s %d %d-%d %s;", e.Reason, e.Count, e.FirstSeen.Unix(), e.LastSeen.Unix(), e.Source)
	}
	if want := "series 7 5-30 scheduler;micro 1 20-20 ;bare 1 15-15 ;old 3 1-10 kubelet;"; summary != want {
		t.Errorf("got  %s\nwant %s", summary, want)
	}
	if n := len(newest(make([]corev1.Event, 500))); n != maxEvents {
		t.Errorf("%d events", n)
	}
}

func TestEventNamesItsContainer(t *testing.T) {
	for path, want := range map[string]string{
		"spec.containers{web}":              "web",
		"spec.initContainers{wait-for-db}":  "wait-for-db",
		"spec.ephemeralContainers{debug-1}": "debug-1",
		"":                                  "",
		"spec.containers[0]":                "",
		"spec.containers{}":                 "",
		"spec.containers{web}\n":            "",
		"spec.containers{a b}":              "",
		"spec.volumes{data}":                "",
		"spec.containers{" + strings.Repeat("a", 63) + "}": strings.Repeat("a", 63),
		"spec.containers{" + strings.Repeat("a", 64) + "}": "",
		"x.spec.containers{web}":                           "",
		"spec.containers{web}.spec.containers{other}":      "",
		"spec.containers{\u202eweb}":                       "",
	} {
		e := eventOf(&corev1.Event{ObjectMeta: metav1.ObjectMeta{UID: "e-1"}, InvolvedObject: corev1.ObjectReference{FieldPath: path}})
		if e.UID != "e-1" || e.Container != want {
			t.Errorf("%q: uid %q, container %q, want %q", path, e.UID, e.Container, want)
		}
	}
	// Of an event that lacks everything they are there, and empty.
	if got, _ := json.Marshal(eventOf(&corev1.Event{})); !strings.HasPrefix(string(got), `{"uid":"","container":"",`) {
		t.Errorf("%s", got)
	}
}

// nobody is a client whose cluster must not be asked.
func nobody(t *testing.T) *kube.Client {
	t.Helper()
	b, err := kube.NewBase("x", &rest.Config{Host: "http://x", Transport: refuse{t}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Client(identity.Impersonation{User: "alice"}, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type refuse struct{ t *testing.T }

func (r refuse) RoundTrip(req *http.Request) (*http.Response, error) {
	r.t.Errorf("%s was asked for", req.URL)
	return nil, http.ErrAbortHandler
}

func TestBadQuestionsStayHere(t *testing.T) {
	c := nobody(t)
	for name, q := range map[string]PodQuery{
		"limit":       {Limit: 100000000000},
		"negative":    {Limit: -1},
		"over":        {Limit: 1001},
		"namespace":   {Namespace: "../kube-system"},
		"selector":    {LabelSelector: "a=b,,,=("},
		"NUL":         {LabelSelector: "app=web\x00,tier=db"},
		"newline":     {LabelSelector: "app=web\n"},
		"long":        {LabelSelector: strings.Repeat("a", 1025)},
		"continue":    {Continue: strings.Repeat("a", 5000)},
		"upper":       {Namespace: "Shop"},
		"percent":     {Namespace: "a%2f"},
		"one too far": {Namespace: strings.Repeat("a", 64)},
	} {
		if _, err := Pods(t.Context(), c, q); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, path := range [][2]string{{"", "a"}, {"a", ""}, {"..", "a"}, {"a", ".."}, {"a", "b/c"}, {"a", "A"}, {"a", "b?x"}} {
		if _, err := PodByName(t.Context(), c, path[0], path[1]); fault.KindOf(err) != fault.Invalid {
			t.Errorf("pod %q: %v", path, err)
		}
		if _, err := PodEvents(t.Context(), c, path[0], path[1]); fault.KindOf(err) != fault.Invalid {
			t.Errorf("events %q: %v", path, err)
		}
	}
}

func FuzzSelector(f *testing.F) {
	f.Add("app=web,tier!=db")
	f.Add("a in (b,c),!d")
	f.Fuzz(func(t *testing.T, s string) {
		opts, err := PodQuery{LabelSelector: s}.options()
		if err != nil && fault.KindOf(err) != fault.Invalid {
			t.Error(err)
		}
		if err == nil && (opts.LabelSelector != s || opts.Limit != DefaultLimit) {
			t.Errorf("%+v", opts)
		}
	})
}
