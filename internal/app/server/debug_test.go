package server_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/periscope-console/periscope/internal/kubetest"
)

const (
	debugImage  = "dev.local/busybox:1" // images that a real node has, too
	otherImage  = "dev.local/tools:1"
	brokenImage = "registry.invalid/tools/missing:1"
	debugImages = "PERISCOPE_DEBUG_IMAGES=" + debugImage + "," + otherImage + "," + brokenImage
)

// debugAnswer is a DebugContainer or an ErrorBody.
type debugAnswer struct {
	Container, Target, Image, Error, Message, RequestID string
	Created                                             bool
	Status                                              *metav1.Status
}

// debug asks for a debug container.
func (p *product) debug(cluster, ns, pod string, body map[string]any) (debugAnswer, int) {
	p.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	var a debugAnswer
	code := p.call("POST", "/api/clusters/"+cluster+"/pods/"+ns+"/"+pod+"/debug", string(raw), &a)
	return a, code
}

// awaitDebug waits until a debug container is as the test wants it.
func awaitDebug(t *testing.T, c *kubetest.Cluster, ns, pod, name string, is func(corev1.ContainerState) bool) {
	t.Helper()
	c.AwaitPod(t, ns, pod, func(p *corev1.Pod) (bool, error) {
		return slices.ContainsFunc(p.Status.EphemeralContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == name && is(s.State) }), nil
	})
}

func runs(s corev1.ContainerState) bool { return s.Running != nil }

func ephemerals(t *testing.T, c *kubetest.Cluster, ns, pod string) []string {
	t.Helper()
	p, err := c.Client.CoreV1().Pods(ns).Get(t.Context(), pod, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range p.Spec.EphemeralContainers {
		names = append(names, e.Name)
	}
	return names
}

// targetMark is in the environment of the containers of a marked pod.
const targetMark = "MARK=is-the-targets"

func marked(p *corev1.Pod) {
	for i := range p.Spec.Containers {
		p.Spec.Containers[i].Env = []corev1.EnvVar{{Name: "MARK", Value: "is-the-targets"}}
	}
}

// TestADebugContainer goes the whole way: no shell, a debug container, a shell
// there that sees the target's processes, the same container for the next one, and
// a fresh one after its end.
func TestADebugContainer(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns, kubetest.Image("distroless"), kubetest.Command(), marked)
	p := start(t, c, debugImages)
	name := p.clusterName()

	first, code := p.debug(name, ns, pod.Name, map[string]any{"container": "main"})
	if code != http.StatusOK || !first.Created || first.Target != "main" || first.Image != debugImage || !strings.HasPrefix(first.Container, "debug-") {
		t.Fatalf("%d %+v", code, first)
	}
	awaitDebug(t, c, ns, pod.Name, first.Container, runs)
	term := p.open(name, ns, pod.Name, map[string]any{"container": first.Container})
	term.send("cat /proc/[0-9]*/environ | tr '\\0' ' '; echo se''en\n")
	term.expect("seen")
	if !strings.Contains(string(term.out), targetMark) {
		t.Errorf("the target's process is not to be seen: %q", term.out)
	}
	var detail struct {
		Containers []struct{ Name, Kind, Target string }
	}
	p.call("GET", "/api/clusters/"+name+"/pods/"+ns+"/"+pod.Name, "", &detail)
	if last := detail.Containers[len(detail.Containers)-1]; last.Name != first.Container || last.Kind != "ephemeral" || last.Target != "main" {
		t.Errorf("the pod's page says %+v", detail)
	}

	again, code := p.debug(name, ns, pod.Name, map[string]any{"container": "main", "image": debugImage})
	if code != http.StatusOK || again.Created || again.Container != first.Container {
		t.Errorf("the one that runs: %d %+v", code, again)
	}
	other, code := p.debug(name, ns, pod.Name, map[string]any{"container": "main", "image": otherImage})
	if code != http.StatusOK || !other.Created || other.Container == first.Container || other.Image != otherImage {
		t.Errorf("another image: %d %+v", code, other)
	}

	term.send("for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline | grep -q '^sh -c trap' && kill ${p#/proc/}; done\n")
	awaitDebug(t, c, ns, pod.Name, first.Container, func(s corev1.ContainerState) bool { return s.Terminated != nil })
	fresh, code := p.debug(name, ns, pod.Name, map[string]any{"container": "main"})
	if code != http.StatusOK || !fresh.Created || fresh.Container == first.Container || !strings.HasSuffix(fresh.Container, "-2") {
		t.Errorf("after its end: %d %+v", code, fresh)
	}
	if got := ephemerals(t, c, ns, pod.Name); len(got) != 3 {
		t.Errorf("the pod has %v", got)
	}
	p.mustRecordDebug(ns, pod.Name, first.Container, other.Container, fresh.Container)
}

// mustRecordDebug holds the audit of a pod's debug containers against those that
// were made, in their order.
func (p *product) mustRecordDebug(ns, pod string, made ...string) {
	p.t.Helper()
	var order []map[string]any
	for line := range strings.Lines(p.audit.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			p.t.Fatal(err)
		}
		if e["verb"] == "pod.debug.create" {
			order = append(order, e)
		}
	}
	if len(order) != 2*len(made) {
		p.t.Fatalf("%d records for %d containers: %v", len(order), len(made), order)
	}
	for i, name := range made {
		before, after := order[2*i], order[2*i+1]
		extra, _ := after["extra"].(map[string]any)
		resource, _ := after["resource"].(map[string]any)
		requested, _ := before["extra"].(map[string]any)
		if before["stage"] != "requested" || before["outcome"] != nil || after["stage"] != "completed" || after["outcome"] != "success" ||
			before["eventId"] != after["eventId"] || before["eventId"] == "" || requested["container"] != name || extra["container"] != name ||
			extra["target"] != "main" || extra["created"] != true || extra["image"] == "" || extra["client_address"] != "127.0.0.1" ||
			resource["resource"] != "pods/ephemeralcontainers" || resource["namespace"] != ns || resource["name"] != pod || requested["image"] != extra["image"] {
			p.t.Errorf("%s is recorded as\n%v\n%v", name, before, after)
		}
	}
}

// TestDebugAsTheImagesUser: where only the image of the target names a user, the
// debug container has that one, starts under runAsNonRoot, and sees the target's
// environment. It needs a node that tells users, which as root the dev cluster's
// does; containerd before 2 does not.
func TestDebugAsTheImagesUser(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns, kubetest.Image("distroless:nonroot"), kubetest.Command(), marked)
	want := "uid=0"
	if u := pod.Status.ContainerStatuses[0].User; u != nil && u.Linux != nil && u.Linux.UID > 0 {
		want = "uid=65532"
	}
	p := start(t, c, debugImages)
	name := p.clusterName()
	a, code := p.debug(name, ns, pod.Name, map[string]any{"container": "main"})
	if code != http.StatusOK {
		t.Fatalf("%d %+v", code, a)
	}
	awaitDebug(t, c, ns, pod.Name, a.Container, runs)
	term := p.open(name, ns, pod.Name, map[string]any{"container": a.Container})
	term.send("id; cat /proc/[0-9]*/environ | tr '\\0' ' '; echo se''en\n")
	term.expect("seen")
	if out := string(term.out); !strings.Contains(out, want) || want == "uid=65532" && !strings.Contains(out, targetMark) {
		t.Errorf("want %s and the target's environment: %q", want, out)
	}
}

// TestTwoDebugAtOnce: thirty people ask for the same, and get one container.
func TestTwoDebugAtOnce(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns, kubetest.Image("distroless"), kubetest.Command())
	p := start(t, c, debugImages)
	name := p.clusterName()
	var wg sync.WaitGroup
	answers := make([]debugAnswer, 30)
	for i := range answers {
		wg.Go(func() {
			var code int
			if answers[i], code = p.debug(name, ns, pod.Name, map[string]any{"container": "main"}); code != http.StatusOK {
				t.Errorf("%d %+v", code, answers[i])
			}
		})
	}
	wg.Wait()
	created := 0
	for _, a := range answers {
		if a.Created {
			created++
		}
		if a.Container != answers[0].Container {
			t.Errorf("%s and %s", a.Container, answers[0].Container)
		}
	}
	if got := ephemerals(t, c, ns, pod.Name); created != 1 || len(got) != 1 {
		t.Errorf("%d were created; the pod has %v", created, got)
	}
	if asked, done := p.events("pod.debug.create", "requested"), p.events("pod.debug.create", "completed"); len(asked) != len(done) || len(asked) == 0 {
		t.Errorf("%d requested, %d completed", len(asked), len(done))
	}
}

// TestNoRecordNoDebugContainer: what cannot be recorded is not done.
func TestNoRecordNoDebugContainer(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c, debugImages)
	name := p.clusterName()
	p.audit.fail(errors.New("no space left on device"))
	a, code := p.debug(name, ns, pod.Name, map[string]any{"container": "main"})
	if code != http.StatusServiceUnavailable || a.Error != "E_AUDIT_UNAVAILABLE" || !strings.Contains(a.Message, "no debug container was made") {
		t.Errorf("%d %+v", code, a)
	}
	if got := ephemerals(t, c, ns, pod.Name); len(got) != 0 {
		t.Errorf("the pod has %v", got)
	}
	p.audit.fail(nil)
	if a, code := p.debug(name, ns, pod.Name, map[string]any{"container": "main"}); code != http.StatusOK || !a.Created {
		t.Errorf("once it can be: %d %+v", code, a)
	}
}

// forgetful stands before an apiserver. It hangs up where the answer to the adding of a
// debug container would be and, if it is told to, on whoever looks after that.
func forgetful(t *testing.T, c *kubetest.Cluster, blind bool) (kubeconfig string) {
	t.Helper()
	target, err := url.Parse(kubetest.NewFront(t, c).Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	var added atomic.Bool
	upstream := &http.Transport{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: upstream,
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method == http.MethodPatch {
				added.Store(true)
				panic(http.ErrAbortHandler)
			}
			return nil
		},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if blind && added.Load() {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		upstream.CloseIdleConnections()
	})
	return kubetest.Anonymous(t, srv.URL)
}

// TestADebugContainerWhoseAnswerWasLost is there all the same, and audit says so, or
// that nobody knows.
func TestADebugContainerWhoseAnswerWasLost(t *testing.T) {
	c := kubetest.Shared(t)
	for name, blind := range map[string]bool{"looked at again": false, "out of sight": true} {
		t.Run(name, func(t *testing.T) {
			ns := c.Namespace(t)
			pod := c.Pod(t, ns)
			p := startWith(t, []string{"--kubeconfig", forgetful(t, c, blind)}, debugImages)
			a, code := p.debug(p.clusterName(), ns, pod.Name, map[string]any{"container": "main"})
			if blind && code < 500 || !blind && (code != http.StatusOK || !a.Created) {
				t.Errorf("%d %+v", code, a)
			}
			if got := ephemerals(t, c, ns, pod.Name); len(got) != 1 {
				t.Fatalf("the pod has %v", got)
			}
			e := p.events("pod.debug.create", "completed")
			want := any(true)
			if blind {
				want = nil
			}
			if len(e) != 1 || e[0]["extra"].(map[string]any)["created"] != want {
				t.Errorf("audit %+v", e)
			}
		})
	}
}

// TestDebugRefusals: each by its sentence, in audit, and with nothing added.
func TestDebugRefusals(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c, debugImages)
	name := p.clusterName()
	for what, r := range map[string]struct {
		cluster, ns, pod string
		body             map[string]any
		code             int
		word, says       string
	}{
		"an image of nobody's":    {name, ns, pod.Name, map[string]any{"container": "main", "image": "evil:1"}, 403, "E_FORBIDDEN", `The image "evil:1" may not be used for debug containers here. Take one of: ` + debugImage},
		"an image of two lines":   {name, ns, pod.Name, map[string]any{"container": "main", "image": debugImage + "\nx"}, 403, "E_FORBIDDEN", "may not be used"},
		"no container":            {name, ns, pod.Name, map[string]any{}, 400, "E_INVALID_REQUEST", "The container has no name. Give one."},
		"a container that climbs": {name, ns, pod.Name, map[string]any{"container": "../main"}, 400, "E_INVALID_REQUEST", "is no name of a container"},
		"another container":       {name, ns, pod.Name, map[string]any{"container": "db"}, 404, "E_NOT_FOUND", `no container "db". It has: main.`},
		"another pod":             {name, ns, "gone", map[string]any{"container": "main"}, 404, "E_NOT_FOUND", `pods "gone" not found`},
		"a pod of no name":        {name, ns, "Web_0", map[string]any{"container": "main"}, 400, "E_INVALID_REQUEST", "is no name of a pod"},
		"another cluster":         {"none", ns, pod.Name, map[string]any{"container": "main"}, 404, "E_NOT_FOUND", ""},
		"a reason of two lines":   {name, ns, pod.Name, map[string]any{"container": "main", "reason": "a\nb"}, 400, "E_INVALID_REQUEST", "one line of at most 512 bytes"},
		"a reason without end":    {name, ns, pod.Name, map[string]any{"container": "main", "reason": strings.Repeat("a", 513)}, 400, "E_INVALID_REQUEST", "one line of at most 512 bytes"},
	} {
		before := len(p.events("pod.debug.create", "completed"))
		a, code := p.debug(r.cluster, r.ns, r.pod, r.body)
		if code != r.code || a.Error != r.word || !strings.Contains(a.Message, r.says) || a.RequestID == "" {
			t.Errorf("%s: %d %+v", what, code, a)
		}
		events := p.events("pod.debug.create", "completed")
		if len(events) != before+1 {
			t.Fatalf("%s: %d records", what, len(events)-before)
		}
		last := events[before]
		extra, _ := last["extra"].(map[string]any)
		if want := map[bool]string{true: "denied", false: "failure"}[code == 403]; last["outcome"] != want || extra["error"] != r.word || extra["created"] != false || last["requestId"] != a.RequestID {
			t.Errorf("%s is recorded as %v", what, last)
		}
	}
	// What is no such request at all never gets as far.
	for _, body := range []string{`{"container":"main","privileged":true}`, `[]`, `{"container":"` + strings.Repeat("a", 70<<10) + `"}`} {
		if code := p.call("POST", "/api/clusters/"+name+"/pods/"+ns+"/"+pod.Name+"/debug", body, nil); code != 400 && code != 413 {
			t.Errorf("%.40s: %d", body, code)
		}
	}
	if asked := p.events("pod.debug.create", "requested"); len(asked) != 0 {
		t.Errorf("requested: %v", asked)
	}
	if got := ephemerals(t, c, ns, pod.Name); len(got) != 0 {
		t.Errorf("the pod has %v", got)
	}
}

// TestDebugNeedsRights: both of them, and each is named.
func TestDebugNeedsRights(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := startWith(t, authFiles(t, c, ns), debugImages)
	body := map[string]any{"container": "main"}
	c.Bind(t, ns, "edit", "periscope:"+ns) // may exec, as triage and write may
	a, code := p.debug("real", ns, pod.Name, body)
	if code != http.StatusForbidden || a.Error != "E_FORBIDDEN" || !strings.Contains(a.Message, "ada may not open a debug container in namespace "+ns) ||
		!strings.Contains(a.Message, "the right to patch pods/ephemeralcontainers is missing") {
		t.Errorf("without it: %d %+v", code, a)
	}
	if e := p.events("pod.debug.create", "completed"); len(e) != 1 || e[0]["outcome"] != "denied" {
		t.Errorf("recorded as %v", e)
	}
	grant(t, c, ns, "debugger", "periscope:"+ns, "patch", "pods/ephemeralcontainers")
	eventually(t, "the right has arrived", func() bool { a, code = p.debug("real", ns, pod.Name, body); return code == http.StatusOK })
	if !a.Created {
		t.Errorf("with it: %+v", a)
	}
	last := p.events("pod.debug.create", "completed")
	if extra, _ := last[len(last)-1]["extra"].(map[string]any); extra["k8s_identity"] != "ada" {
		t.Errorf("done as %v", extra)
	}

	alone := c.Namespace(t) // the right to add, but not to enter
	lone := c.Pod(t, alone)
	c.Bind(t, alone, "view", "periscope:"+ns)
	grant(t, c, alone, "debugger", "periscope:"+ns, "patch", "pods/ephemeralcontainers")
	eventually(t, "the other right is asked for", func() bool {
		a, code = p.debug("real", alone, lone.Name, body)
		return strings.Contains(a.Message, "the right to create pods/exec is missing")
	})
	if got := ephemerals(t, c, alone, lone.Name); code != http.StatusForbidden || len(got) != 0 {
		t.Errorf("%d, the pod has %v", code, got)
	}
}

// grant lets a group do one thing in a namespace.
func grant(t *testing.T, c *kubetest.Cluster, ns, role, group, verb, resource string) {
	t.Helper()
	_, err := c.Client.RbacV1().Roles(ns).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: role},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{resource}, Verbs: []string{verb}}},
	}, metav1.CreateOptions{})
	if err == nil {
		_, err = c.Client.RbacV1().RoleBindings(ns).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: group}},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDebugUnderPodSecurity: a target that a strict namespace admits gets a debug
// container that it admits too; the namespace's own no is passed on.
func TestDebugUnderPodSecurity(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	enforce(t, c, ns, "restricted")
	good := c.Pod(t, ns, func(p *corev1.Pod) {
		yes, uid := true, int64(65532)
		p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: &yes}
		p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
			RunAsUser: &uid, AllowPrivilegeEscalation: new(bool), ReadOnlyRootFilesystem: &yes,
			Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		}
	})
	p := start(t, c, debugImages)
	name := p.clusterName()
	if a, code := p.debug(name, ns, good.Name, map[string]any{"container": "main"}); code != http.StatusOK || !a.Created {
		t.Errorf("in a restricted namespace: %d %+v", code, a)
	}
	p.mustLog(t, "exec.debug.created", map[string]any{"pod": good.Name, "target": "main", "image": debugImage})

	later := c.Namespace(t)
	old := c.Pod(t, later) // from before the rule
	enforce(t, c, later, "restricted")
	var a debugAnswer
	var code int
	eventually(t, "the namespace is restricted", func() bool {
		a, code = p.debug(name, later, old.Name, map[string]any{"container": "main"})
		return code == http.StatusForbidden
	})
	if a.Error != "E_FORBIDDEN" || !strings.Contains(a.Message, "does not admit the debug container, which has the security settings of container main") ||
		!strings.Contains(a.Message, `violates PodSecurity "restricted:latest"`) || !strings.HasSuffix(a.Message, "Ask whoever manages the policy of namespace "+later+".") ||
		a.Status == nil || a.Status.Code != 403 {
		t.Errorf("%+v", a)
	}
	done := p.events("pod.debug.create", "completed")
	if e := done[len(done)-1]; e["outcome"] != "denied" {
		t.Errorf("recorded as %v", e)
	}
	p.mustLog(t, "exec.debug.failed", map[string]any{"pod": old.Name, "namespace": later, "requestId": a.RequestID})
}

// mustLog looks for a line of the log with these fields.
func (p *product) mustLog(t *testing.T, msg string, fields map[string]any) {
	t.Helper()
	for line := range strings.Lines(p.log.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		found := l["msg"] == msg
		for k, v := range fields {
			found = found && l[k] == v
		}
		if found {
			return
		}
	}
	t.Errorf("no line %s with %v", msg, fields)
}

func enforce(t *testing.T, c *kubetest.Cluster, ns, level string) {
	t.Helper()
	patch := `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"` + level + `"}}}`
	if _, err := c.Client.CoreV1().Namespaces().Patch(t.Context(), ns, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestDebugImageThatIsNotThere: the answer comes at once, and the pod says why the
// container does not run.
func TestDebugImageThatIsNotThere(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := start(t, c, debugImages)
	name := p.clusterName()
	a, code := p.debug(name, ns, pod.Name, map[string]any{"container": "main", "image": brokenImage})
	if code != http.StatusOK || !a.Created {
		t.Fatalf("%d %+v", code, a)
	}
	var detail struct {
		Containers []struct{ Name, State, Reason, Message string }
	}
	eventually(t, "the pod says why", func() bool {
		p.call("GET", "/api/clusters/"+name+"/pods/"+ns+"/"+pod.Name, "", &detail)
		last := detail.Containers[len(detail.Containers)-1]
		return last.Name == a.Container && last.State == "waiting" && (last.Reason == "ErrImagePull" || last.Reason == "ImagePullBackOff") && strings.Contains(last.Message, brokenImage)
	})
	if again, _ := p.debug(name, ns, pod.Name, map[string]any{"container": "main", "image": brokenImage}); again.Created || again.Container != a.Container {
		t.Errorf("a second one beside the one that is pulled: %+v", again)
	}
}

// TestThePodGoesUnderADebugContainer: a pod that is deleted while somebody asks
// says so, and its shell ends as any other.
func TestThePodGoesUnderADebugContainer(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns, kubetest.Image("distroless"), kubetest.Command())
	p := start(t, c, debugImages)
	name := p.clusterName()
	a, _ := p.debug(name, ns, pod.Name, map[string]any{"container": "main"})
	awaitDebug(t, c, ns, pod.Name, a.Container, runs)
	term := p.open(name, ns, pod.Name, map[string]any{"container": a.Container})
	if err := c.Client.CoreV1().Pods(ns).Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if closed, _ := term.closed(); closed["reason"] != "pod_deleted" && closed["reason"] != "container_exit" {
		t.Errorf("closed %v", closed)
	}
	eventually(t, "nothing is added to it any more", func() bool {
		a, code := p.debug(name, ns, pod.Name, map[string]any{"container": "main"})
		return code == http.StatusNotFound && a.Error == "E_NOT_FOUND"
	})
}

// TestDebugIsOffWhereShellsAre: by a cluster's settings, and where no image is
// listed.
func TestDebugIsOffWhereShellsAre(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	body := map[string]any{"container": "main"}
	var features struct {
		Exec struct{ DebugImages []string }
	}

	none := start(t, c)
	if a, code := none.debug(none.clusterName(), ns, pod.Name, body); code != 403 || !strings.Contains(a.Message, "PERISCOPE_DEBUG_IMAGES") {
		t.Errorf("without images: %d %+v", code, a)
	}
	if none.call("GET", "/api/features", "", &features); features.Exec.DebugImages == nil || len(features.Exec.DebugImages) != 0 {
		t.Errorf("features %+v", features)
	}
	none.end()

	locked := withPolicy(t, c, "{enabled: false}", debugImages)
	if a, code := locked.debug("real", ns, pod.Name, body); code != 403 || a.Error != "E_EXEC_DISABLED" {
		t.Errorf("where shells are off: %d %+v", code, a)
	}
	locked.end()

	p := withPolicy(t, c, "{requireReason: true}", debugImages)
	c.Bind(t, ns, "admin", "periscope:anybody")
	grant(t, c, ns, "debugger", "periscope:anybody", "patch", "pods/ephemeralcontainers")
	if a, code := p.debug("real", ns, pod.Name, body); code != 400 || !strings.Contains(a.Message, "Give a reason in one line") {
		t.Errorf("without a reason: %d %+v", code, a)
	}
	body["reason"] = "ticket 7"
	eventually(t, "with a reason", func() bool { a, code := p.debug("real", ns, pod.Name, body); return code == 200 && a.Created })
	if e := p.events("pod.debug.create", "requested"); len(e) != 1 || e[0]["reason"] != "ticket 7" {
		t.Errorf("recorded as %v", e)
	}
	if p.call("GET", "/api/features", "", &features); len(features.Exec.DebugImages) != 3 || features.Exec.DebugImages[0] != debugImage {
		t.Errorf("features %+v", features)
	}
}
