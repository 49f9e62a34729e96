package incluster

import (
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/clusters/clusterstest"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/kubetest"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

func source(t *testing.T, host, token, ca string) Source {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "token"), token)
	write(t, filepath.Join(dir, "ca.crt"), ca)
	h, p, err := net.SplitHostPort(host)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"KUBERNETES_SERVICE_HOST": h, "KUBERNETES_SERVICE_PORT": p}
	return Source{Folder: dir, Getenv: func(name string) string { return env[name] }}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSentencesAtStart(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Source)
		want   string
	}{
		"outside a pod": {func(s *Source) { s.Getenv = func(string) string { return "" } }, "needs a server that runs in a pod"},
		"no token":      {func(s *Source) { _ = os.Remove(s.token()) }, "automountServiceAccountToken"},
		"no CA":         {func(s *Source) { _ = os.Remove(filepath.Join(s.Folder, "ca.crt")) }, "no cluster CA"},
	} {
		s := source(t, "[::1]:6443", "t", "ca")
		c.change(&s)
		if _, err := s.Open(config.Cluster{Name: "here"}); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "cluster here: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfig(t *testing.T) {
	s := source(t, "[::1]:6443", "t", "ca")
	b, err := s.Open(config.Cluster{Name: "here"})
	if err != nil {
		t.Fatal(err)
	}
	first, err := b.Config(t.Context())
	if err != nil || first.Host != "https://[::1]:6443" || string(first.CAData) != "ca" || first.BearerTokenFile != s.token() || first.BearerToken != "" {
		t.Fatalf("%+v, %v", first, err)
	}
	write(t, filepath.Join(s.Folder, "ca.crt"), "newer")
	if second, err := b.Config(t.Context()); err != nil || second == first || string(second.CAData) != "newer" {
		t.Errorf("a new CA: %+v, %v", second, err)
	}
}

// TestSuite runs as a service account that may impersonate, as the chart makes
// one.
func TestSuite(t *testing.T) {
	cluster := kubetest.Shared(t)
	u, err := url.Parse(cluster.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	token := serviceAccount(t, cluster)
	s := source(t, u.Host, token, string(cluster.Config.CAData))
	clusterstest.Run(t, clusterstest.Subject{
		Open: func(t *testing.T) clusters.Backend {
			b, err := s.Open(config.Cluster{Name: "subject"})
			if err != nil {
				t.Fatal(err)
			}
			return b
		},
		Break: func(t *testing.T) {
			if err := os.Remove(s.token()); err != nil {
				t.Fatal(err)
			}
		},
		Mend:   func(t *testing.T) { write(t, s.token(), token) },
		Hidden: []string{s.Folder, token},
	})
}

func serviceAccount(t *testing.T, cluster *kubetest.Cluster) (token string) {
	t.Helper()
	ns := cluster.Namespace(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "periscope"}}
	_, err := cluster.Client.CoreV1().ServiceAccounts(ns).Create(t.Context(), account, metav1.CreateOptions{})
	must(err)
	role, err := cluster.Client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "incluster-"},
		Rules: []rbacv1.PolicyRule{
			{Verbs: []string{"impersonate"}, APIGroups: []string{""}, Resources: []string{"users", "groups"}},
			{Verbs: []string{"watch", "list"}, APIGroups: []string{""}, Resources: []string{"namespaces"}},
		},
	}, metav1.CreateOptions{})
	must(err)
	binding, err := cluster.Client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "incluster-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: ns, Name: "periscope"}},
	}, metav1.CreateOptions{})
	must(err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_ = cluster.Client.RbacV1().ClusterRoleBindings().Delete(ctx, binding.Name, metav1.DeleteOptions{})
		_ = cluster.Client.RbacV1().ClusterRoles().Delete(ctx, role.Name, metav1.DeleteOptions{})
	})
	tr, err := cluster.Client.CoreV1().ServiceAccounts(ns).CreateToken(t.Context(), "periscope", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(err)
	return tr.Status.Token
}
