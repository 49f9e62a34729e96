package node

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/periscope-console/periscope/devcluster/shim"
)

func TestBackoff(t *testing.T) {
	var b backoff
	for i, want := range []time.Duration{0, 10, 20, 40, 80, 160, 300, 300, 300} {
		if got := b.next(time.Second); got != want*time.Second {
			t.Errorf("failure %d: %s, want %s", i, got, want*time.Second)
		}
	}
	if got := b.next(backoffReset); got != 0 {
		t.Errorf("after a long run: %s", got)
	}
	if got := b.next(time.Second); got != backoffFirst {
		t.Errorf("and again: %s", got)
	}
}

func TestStartsAgain(t *testing.T) {
	for _, test := range []struct {
		kind   kind
		policy corev1.RestartPolicy
		code   int32
		want   bool
	}{
		{appContainer, corev1.RestartPolicyAlways, 0, true},
		{appContainer, corev1.RestartPolicyAlways, 1, true},
		{appContainer, corev1.RestartPolicyOnFailure, 0, false},
		{appContainer, corev1.RestartPolicyOnFailure, 1, true},
		{appContainer, corev1.RestartPolicyNever, 1, false},
		{initContainer, corev1.RestartPolicyAlways, 0, false},
		{initContainer, corev1.RestartPolicyAlways, 1, true},
		{initContainer, corev1.RestartPolicyNever, 1, false},
		{sidecarContainer, corev1.RestartPolicyNever, 0, true},
		{ephemeralContainer, corev1.RestartPolicyAlways, 1, false},
	} {
		if got := startsAgain(test.kind, test.policy, test.code); got != test.want {
			t.Errorf("%+v: got %v", test, got)
		}
	}
}

func testPod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u", Labels: map[string]string{"app": "shop"}},
		Spec:       corev1.PodSpec{NodeName: "node-1", ServiceAccountName: "default"},
		Status:     corev1.PodStatus{PodIP: "127.10.1.1"},
	}
}

func TestVariables(t *testing.T) {
	yes := true
	client := fake.NewClientset(
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "cm", Namespace: "n"}, Data: map[string]string{"A": "1", "B": "2"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "n"}, Data: map[string][]byte{"K": []byte("hidden")}},
	)
	key := func(name, key string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
	c := &corev1.Container{
		EnvFrom: []corev1.EnvFromSource{
			{Prefix: "CM_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: key("cm", "")}},
			{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: key("missing", ""), Optional: &yes}},
		},
		Env: []corev1.EnvVar{
			{Name: "PLAIN", Value: "x"},
			{Name: "JOINED", Value: "$(PLAIN)-$(CM_A)-$(LATER)-$$(PLAIN)"},
			{Name: "LATER", Value: "y"},
			{Name: "PATH", Value: "/mine"},
			{Name: "LABEL", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['app']"}}},
			{Name: "IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
			{Name: "SECRET", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: key("s", "K"), Key: "K"}}},
			{Name: "ABSENT", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: key("cm", ""), Key: "Z", Optional: &yes}}},
		},
	}
	e := environment{client: client, pod: testPod(), base: []string{"PATH=/usual", "HOME=/root"}, api: map[string]string{"API": "here"}}
	env, _, err := e.variables(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"HOME=/root", "API=here", "CM_A=1", "CM_B=2", "PLAIN=x", "JOINED=x-1-$(LATER)-$(PLAIN)", "LATER=y", "PATH=/mine",
		"LABEL=shop", "IP=127.10.1.1", "SECRET=hidden",
	}
	if !slices.Equal(env, want) {
		t.Errorf("got\n%q\nwant\n%q", env, want)
	}
	c.Env = []corev1.EnvVar{{Name: "X", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: key("s", ""), Key: "none"}}}}
	if _, _, err := e.variables(t.Context(), c); err == nil || err.Error() != "couldn't find key none in secret n/s" {
		t.Errorf("missing key: %v", err)
	}
}

func TestCommandLine(t *testing.T) {
	values := map[string]string{"A": "1"}
	for _, test := range []struct {
		command, args, image, want []string
	}{
		{[]string{"sh", "-c"}, []string{"echo $(A) $(B) $$(A)"}, []string{"sleep"}, []string{"sh", "-c", "echo 1 $(B) $(A)"}},
		{nil, nil, []string{"sleep", "infinity"}, []string{"sleep", "infinity"}},
		{nil, []string{"ls", "/"}, []string{"sleep", "infinity"}, []string{"ls", "/"}},
		{nil, []string{"--say=x"}, []string{"/app"}, []string{"/app", "--say=x"}},
		{[]string{"x"}, nil, []string{"/app"}, []string{"x"}},
	} {
		c := &corev1.Container{Command: test.command, Args: test.args}
		if got := commandLine(c, test.image, values); !slices.Equal(got, test.want) {
			t.Errorf("%q %q: got %q, want %q", test.command, test.args, got, test.want)
		}
	}
}

func TestImages(t *testing.T) {
	folders := map[string]string{"registry.local/a:1": "/exact", "registry.local:5000/b": "/any"}
	for name, want := range map[string]string{
		"registry.local/a:1": "/exact", "registry.local/a:2": "", "registry.local:5000/b": "/any",
		"registry.local:5000/b:9": "/any", "registry.local:5000/b@sha256:00": "/any", "b": "",
	} {
		if im, err := resolveImage(name, folders, false); err != nil || im.folder != want {
			t.Errorf("%s: %q, %v, want %q", name, im.folder, err, want)
		}
	}
	if _, err := resolveImage("registry.invalid/x:1", nil, false); err == nil {
		t.Error("an image of .invalid exists")
	}
	if im, _ := resolveImage("r/x-distroless:1", nil, false); !im.bare {
		t.Error("distroless has a shell")
	}
	if im, _ := resolveImage("r/x-distroless:nonroot", nil, false); !im.bare || im.user != nonroot {
		t.Error("nonroot is root")
	}
	if im, _ := resolveImage("busybox", nil, true); !slices.Equal(im.command, []string{"sh"}) {
		t.Errorf("an interactive container runs %q", im.command)
	}
}

func TestRewrite(t *testing.T) {
	mounts := []shim.Mount{{Source: "/h/inner", Target: "/data/inner"}, {Source: "/h/data", Target: "/data/"}, {Source: "/h/sa", Target: "/var/run/secrets"}}
	for in, want := range map[string]string{
		"/data":                  "/h/data",
		"/data/x /data/inner/y":  "/h/data/x /h/inner/y",
		"cat </data/x>/tmp/data": "cat </h/data/x>/tmp/data",
		"/database /my/data":     "/database /my/data",
		"a=/var/run/secrets:b":   "a=/h/sa:b",
		"":                       "",
	} {
		if got := rewrite(in, mounts); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
