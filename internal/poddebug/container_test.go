package poddebug

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

const image = "registry.example.com/tools/debug:1"

var isRunning = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}

// web is a pod that runs, changed by each.
func web(change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}, {Name: "proxy"}}, InitContainers: []corev1.Container{{Name: "sidecar"}, {Name: "init"}}},
		Status: corev1.PodStatus{
			Phase:                 corev1.PodRunning,
			ContainerStatuses:     []corev1.ContainerStatus{{Name: "app", State: isRunning}, {Name: "proxy"}},
			InitContainerStatuses: []corev1.ContainerStatus{{Name: "sidecar", State: isRunning}, {Name: "init", State: over}},
		},
	}
	for _, f := range change {
		f(p)
	}
	return p
}

var over = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}

// debugged adds an ephemeral container; without a state its node has said nothing.
func debugged(name, target string, state *corev1.ContainerState) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name}, TargetContainerName: target,
		})
		if state != nil {
			p.Status.EphemeralContainerStatuses = append(p.Status.EphemeralContainerStatuses, corev1.ContainerStatus{Name: name, State: *state})
		}
	}
}

func TestOneIsUsedUntilItEnds(t *testing.T) {
	app := namesFor("app", image)
	stuck := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want string
		adds bool
	}{
		"none":                      {web(), app + "1", true},
		"one that runs":             {web(debugged(app+"1", "app", &isRunning)), app + "1", false},
		"one that waits":            {web(debugged(app+"1", "app", &stuck)), app + "1", false},
		"one of which nobody knows": {web(debugged(app+"1", "app", nil)), app + "1", false},
		"one that ended":            {web(debugged(app+"1", "app", &over)), app + "2", true},
		"the ninth and tenth ended": {web(debugged(app+"9", "app", &over), debugged(app+"10", "app", &over)), app + "11", true},
		"the second runs":           {web(debugged(app+"1", "app", &over), debugged(app+"2", "app", &isRunning)), app + "2", false},
		"for another container":     {web(debugged(namesFor("proxy", image)+"1", "proxy", &isRunning)), app + "1", true},
		"of another image":          {web(debugged(namesFor("app", "other")+"1", "app", &isRunning)), app + "1", true},
		"of kubectl's":              {web(debugged("debugger-x7k2p", "app", &isRunning)), app + "1", true},
		"a name that looks alike":   {web(debugged(app+"x", "app", &isRunning)), app + "1", true},
		"another target under it":   {web(debugged(app+"1", "", &isRunning)), app + "2", true},
	} {
		got, err := planFor(c.pod, "app", image)
		if err != nil || got.name != c.want || (got.add != nil) != c.adds {
			t.Errorf("%s: %+v, %v; want %s", name, got, err, c.want)
		}
	}
}

// TestANameIsALabel for the longest target and image, and differs for each pair.
func TestANameIsALabel(t *testing.T) {
	seen := map[string]bool{}
	for _, target := range []string{"a", "ab", strings.Repeat("x", 63)} {
		for _, image := range []string{"b", "", strings.Repeat("y", 512)} {
			name := namesFor(target, image) + "999999999"
			if wrong := validation.IsDNS1123Label(name); len(wrong) > 0 || !debugName.MatchString(name) || seen[name] {
				t.Errorf("%s: %v", name, wrong)
			}
			seen[name] = true
		}
	}
}

func TestNoMoreThanTwenty(t *testing.T) {
	p := web()
	for i := range maxPerPod {
		debugged(fmt.Sprintf("debug-%08x-%d", i%3, i), "proxy", &over)(p)
	}
	debugged("debugger-kubectl", "app", &over)(p)
	_, err := planFor(p, "app", image)
	if fault.KindOf(err) != fault.Unprocessable || !strings.Contains(fault.PublicOf(err), "has had 20 debug containers, which is the limit") {
		t.Error(err)
	}
	p.Spec.EphemeralContainers = p.Spec.EphemeralContainers[1:]
	if got, err := planFor(p, "app", image); err != nil || got.add == nil {
		t.Errorf("the twentieth: %+v, %v", got, err)
	}
	debugged(namesFor("app", image)+"1", "app", &isRunning)(p)
	if got, err := planFor(p, "app", image); err != nil || got.add != nil {
		t.Errorf("one that runs beyond the limit: %+v, %v", got, err)
	}
}

func TestWhereItCannotBe(t *testing.T) {
	now := metav1.Now()
	for name, c := range map[string]struct {
		pod    *corev1.Pod
		target string
		kind   fault.Kind
		says   string
	}{
		"static":         {web(func(p *corev1.Pod) { p.Annotations = map[string]string{mirror: "x"} }), "app", fault.Unprocessable, "is a static pod"},
		"windows":        {web(func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} }), "app", fault.Unprocessable, "runs Windows"},
		"going":          {web(func(p *corev1.Pod) { p.DeletionTimestamp = &now }), "app", fault.Gone, "is being deleted"},
		"done":           {web(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }), "app", fault.Gone, "has ended"},
		"failed":         {web(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), "app", fault.Gone, "has ended"},
		"not running":    {web(), "proxy", fault.Gone, "Container proxy of pod web is not running"},
		"init, over":     {web(), "init", fault.Gone, "Container init of pod web is not running"},
		"missing":        {web(), "db", fault.NotFound, `no container "db". It has: app, proxy, sidecar, init.`},
		"one for itself": {web(debugged("debug-00000000-1", "app", &isRunning)), "debug-00000000-1", fault.Invalid, "is a debug container itself. Open a shell in it."},
	} {
		_, err := planFor(c.pod, c.target, image)
		if fault.KindOf(err) != c.kind || !strings.Contains(fault.PublicOf(err), c.says) || !strings.HasSuffix(fault.PublicOf(err), ".") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := planFor(web(), "sidecar", image); err != nil || got.add.TargetContainerName != "sidecar" {
		t.Errorf("a sidecar: %+v, %v", got, err)
	}
}

// TestSecurityFollowsTheTarget: what the debug container is allowed is what the
// target is.
func TestSecurityFollowsTheTarget(t *testing.T) {
	yes, uid := true, int64(1000)
	pod := func(sc *corev1.PodSecurityContext) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.SecurityContext = sc }
	}
	container := func(sc *corev1.SecurityContext) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Containers[0].SecurityContext = sc }
	}
	runsAs := func(uid, gid int64) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].User = &corev1.ContainerUser{Linux: &corev1.LinuxContainerUser{UID: uid, GID: gid}}
		}
	}
	restricted := &corev1.SecurityContext{
		RunAsNonRoot: &yes, AllowPrivilegeEscalation: new(bool), ReadOnlyRootFilesystem: &yes,
		Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	const closed = `"capabilities":{"drop":["ALL"]},%s"runAsNonRoot":true,"allowPrivilegeEscalation":false,"seccompProfile":{"type":"RuntimeDefault"}}`
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"nothing said":               {web(), `null`},
		"the image's root":           {web(runsAs(0, 0)), `null`},
		"the image's user":           {web(runsAs(65532, 65532)), `{"runAsUser":65532,"runAsGroup":65532}`},
		"the pod's user":             {web(runsAs(1000, 7), pod(&corev1.PodSecurityContext{RunAsUser: &uid})), `null`},
		"the container's user":       {web(runsAs(1000, 7), container(&corev1.SecurityContext{RunAsUser: &uid})), `{"runAsUser":1000}`},
		"the container's group":      {web(runsAs(65532, 7), container(&corev1.SecurityContext{RunAsGroup: &uid})), `{"runAsUser":65532,"runAsGroup":1000}`},
		"restricted":                 {web(container(restricted)), `{` + fmt.Sprintf(closed, "")},
		"restricted, of a known one": {web(container(restricted), runsAs(65532, 65532)), `{` + fmt.Sprintf(closed, `"runAsUser":65532,"runAsGroup":65532,`)},
		"only what is left out":      {web(container(&corev1.SecurityContext{ReadOnlyRootFilesystem: &yes})), `null`},
		"a privileged one":           {web(container(&corev1.SecurityContext{Privileged: &yes})), `{"privileged":true}`},
	} {
		plan, err := planFor(c.pod, "app", image)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(plan.add.SecurityContext); string(got) != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
	if restricted.ReadOnlyRootFilesystem == nil || restricted.RunAsUser != nil {
		t.Error("the target's own settings were changed")
	}
}
