package pki

import (
	"context"
	"crypto/x509"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/kubetest"
)

// agree opens the CA many times at once; all get the same.
func agree(t *testing.T, keeper func() Keeper) *Authority {
	t.Helper()
	var wg sync.WaitGroup
	all := make([]*Authority, 12)
	for i := range all {
		wg.Go(func() {
			a, err := Open(context.Background(), keeper())
			if err != nil {
				t.Error(err)
				return
			}
			all[i] = a
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, a := range all {
		if a.Pin() != all[0].Pin() {
			t.Fatalf("two servers have two CAs: %s and %s", a.Pin(), all[0].Pin())
		}
	}
	return all[0]
}

func TestFileIsMadeOnceAndKept(t *testing.T) {
	folder := t.TempDir()
	file := File(filepath.Join(folder, "ca.pem"))
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	first := agree(t, func() Keeper { return file })
	again, err := Open(t.Context(), file)
	if err != nil || again.Pin() != first.Pin() {
		t.Errorf("after a restart: %v", err)
	}
	if _, err := again.Verify([]*x509.Certificate{sign(t, first, "prod", day)}); err != nil {
		t.Errorf("a certificate from before: %v", err)
	}
	info, err := os.Stat(string(file))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFileIsRefused(t *testing.T) {
	made := &memory{}
	if _, err := Open(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	other := &memory{}
	if _, err := Open(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	cert, key := string(made.kept.Cert), string(made.kept.Key)
	old, err := newCA(time.Now().Add(-caLife - day))
	if err != nil {
		t.Fatal(err)
	}
	future, err := newCA(time.Now().Add(day))
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority(t).Sign(request(t, "prod"), "prod", day)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		mode fs.FileMode
		want string
	}{
		"the group may read":  {cert + key, 0o640, "may be read or written by others"},
		"others may read":     {cert + key, 0o604, "may be read or written by others"},
		"others may write":    {cert + key, 0o602, "may be read or written by others"},
		"empty":               {"", 0o600, "no PEM block"},
		"garbage":             {"garbage", 0o600, "no PEM"},
		"cut short":           {cert + key[:len(key)/2], 0o600, "no PEM"},
		"no key":              {cert, 0o600, `no PEM block "PRIVATE KEY"`},
		"no certificate":      {key, 0o600, `no PEM block "CERTIFICATE"`},
		"the key of another":  {cert + string(other.kept.Key), 0o600, errKeys.Error()},
		"two certificates":    {cert + cert + key, 0o600, "more than one"},
		"something else":      {cert + key + strings.ReplaceAll(cert, "CERTIFICATE", "X509 CRL"), 0o600, `"X509 CRL"`},
		"no CA's certificate": {string(leaf.PEM) + key, 0o600, errNoCA.Error()},
		"large":               {cert + key + strings.Repeat("\n", maxKept), 0o600, "larger than 64 KiB"},
		"over":                {string(old.Cert) + string(old.Key), 0o600, "this server's clock says"},
		"a clock that is off": {string(future.Cert) + string(future.Key), 0o600, "is not valid before"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := Open(t.Context(), File(path))
			if err == nil || !strings.Contains(fault.PublicOf(err), c.want) || !strings.Contains(fault.PublicOf(err), path) {
				t.Errorf("%q, want %q", fault.PublicOf(err), c.want)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != c.text {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
}

func TestFileThatCannotBe(t *testing.T) {
	folder := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(folder, "none", "ca.pem"): "a folder that exists",
		folder:                                  "no regular file",
	} {
		if _, err := Open(t.Context(), File(path)); err == nil || !strings.Contains(fault.PublicOf(err), want) {
			t.Errorf("%s: %q, want %q", path, fault.PublicOf(err), want)
		}
	}
}

func FuzzSplit(f *testing.F) {
	made := &memory{}
	if _, err := Open(f.Context(), made); err != nil {
		f.Fatal(err)
	}
	f.Add(append(append([]byte{}, made.kept.Cert...), made.kept.Key...))
	f.Fuzz(func(_ *testing.T, text []byte) {
		if p, err := split(text); err == nil {
			_, _ = parseCA(p) // must not panic
		}
	})
}

// server is a service account that may do what the page tells operators to allow.
func server(t *testing.T, cluster *kubetest.Cluster, namespace string, rules ...rbacv1.PolicyRule) *rest.Config {
	t.Helper()
	ctx, c := t.Context(), cluster.Client
	meta := metav1.ObjectMeta{Name: "periscope", Namespace: namespace}
	_, err := c.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.RbacV1().Roles(namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = c.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: meta.Name, Namespace: namespace}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	token, err := c.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, meta.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := rest.AnonymousClientConfig(cluster.Config)
	cfg.BearerToken = token.Status.Token
	return cfg
}

func secretIn(t *testing.T, cfg *rest.Config, namespace string) Keeper {
	t.Helper()
	s, err := NewSecret(cfg, namespace, "periscope-agent-ca")
	if err != nil {
		t.Fatal(err)
	}
	rt, err := rest.TransportFor(cfg) // the one that client-go keeps for cfg
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(rt) })
	return s
}

// narrow is what docs/agent-onboarding.md tells operators to allow.
var narrow = []rbacv1.PolicyRule{
	{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}, ResourceNames: []string{"periscope-agent-ca"}},
	{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create"}},
}

func TestSecretIsMadeOnceAndKept(t *testing.T) {
	cluster := kubetest.Shared(t)
	ns := cluster.Namespace(t)
	cfg := server(t, cluster, ns, narrow...)
	first := agree(t, func() Keeper { return secretIn(t, cfg, ns) })
	again, err := Open(t.Context(), secretIn(t, cfg, ns))
	if err != nil || again.Pin() != first.Pin() {
		t.Errorf("after a restart: %v", err)
	}
	kept, err := cluster.Client.CoreV1().Secrets(ns).Get(t.Context(), "periscope-agent-ca", metav1.GetOptions{})
	if err != nil || kept.Type != corev1.SecretTypeTLS || kept.Immutable == nil || !*kept.Immutable || PinOf(parse(t, kept.Data["tls.crt"])) != first.Pin() {
		t.Errorf("%+v, %v", kept, err)
	}
}

func TestSecretWithoutRights(t *testing.T) {
	cluster := kubetest.Shared(t)
	for want, rules := range map[string][]rbacv1.PolicyRule{"the verb get": nil, "the verb create": narrow[:1]} {
		ns := cluster.Namespace(t)
		_, err := Open(t.Context(), secretIn(t, server(t, cluster, ns, rules...), ns))
		if err == nil || !strings.Contains(fault.PublicOf(err), want) || !strings.Contains(fault.PublicOf(err), ns+"/periscope-agent-ca") {
			t.Errorf("%q, want %q", fault.PublicOf(err), want)
		}
	}
}

func TestSecretOfSomethingElse(t *testing.T) {
	cluster := kubetest.Shared(t)
	ns := cluster.Namespace(t)
	cfg := server(t, cluster, ns, narrow...)
	for name, data := range map[string]map[string][]byte{
		"nothing":  {"tls.crt": {}, "tls.key": {}},
		"too much": {"tls.crt": make([]byte, maxKept+1), "tls.key": {}},
		"garbage":  {"tls.crt": []byte("x"), "tls.key": []byte("y")},
	} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "periscope-agent-ca"}, Type: corev1.SecretTypeTLS, Data: data}
		if _, err := cluster.Client.CoreV1().Secrets(ns).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), secretIn(t, cfg, ns)); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
		if err := cluster.Client.CoreV1().Secrets(ns).Delete(t.Context(), "periscope-agent-ca", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSecretOfAClusterThatIsAway: the server does not start with a CA of its own
// instead.
func TestSecretOfAClusterThatIsAway(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	_, err = Open(t.Context(), secretIn(t, &rest.Config{Host: fmt.Sprintf("http://%s", ln.Addr())}, "x"))
	if err == nil || !strings.Contains(fault.PublicOf(err), "refused") {
		t.Errorf("%v", err)
	}
}
