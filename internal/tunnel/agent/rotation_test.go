package agent

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/kubetest"
)

// patience bounds each wait for the apiserver, which remembers for ten seconds that
// a token was good.
const patience = time.Minute

// TestTheApiserverSeesTheNewToken: a ServiceAccount's token is replaced as the kubelet
// does it, while the agent runs, and the old one ends. The apiserver refuses at most
// one request: the next one has the new token.
func TestTheApiserverSeesTheNewToken(t *testing.T) {
	c := kubetest.Shared(t)
	sa := newAccount(t, c)
	old := sa.token("first")
	volume := mount(t, old)
	cfg := rest.AnonymousClientConfig(c.Config)
	cfg.BearerTokenFile = filepath.Join(volume, "token")
	p, err := NewProxy(cfg, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	sa.await("the account may act as somebody", func(context.Context) bool { return sa.asks(p) == http.StatusCreated })

	swap(t, volume, sa.token("second"))
	sa.end("first")
	sa.await("the old token has ended", func(ctx context.Context) bool {
		review, err := c.Client.AuthenticationV1().TokenReviews().Create(ctx,
			&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: old}}, metav1.CreateOptions{})
		return err == nil && !review.Status.Authenticated
	})
	// It is read anew every minute too, so the first one may have it already.
	if code := sa.asks(p); code != http.StatusUnauthorized && code != http.StatusCreated {
		t.Errorf("the first request afterwards: %d", code)
	}
	for range 3 {
		if code := sa.asks(p); code != http.StatusCreated {
			t.Errorf("a request with the new token: %d", code)
		}
	}
}

// account is an agent's, which may act as one user.
type account struct {
	t        *testing.T
	c        *kubetest.Cluster
	ns, user string
}

func newAccount(t *testing.T, c *kubetest.Cluster) *account {
	t.Helper()
	ns := c.Namespace(t)
	a := &account{t: t, c: c, ns: ns, user: "user-of-" + ns}
	meta := metav1.ObjectMeta{Name: ns}
	_, err := c.Client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"users"}, Verbs: []string{"impersonate"}, ResourceNames: []string{a.user}},
	}}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		must(t, c.Client.RbacV1().ClusterRoles().Delete(context.WithoutCancel(t.Context()), ns, metav1.DeleteOptions{}))
	})
	_, err = c.Client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: ns},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: "default"}},
	}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		must(t, c.Client.RbacV1().ClusterRoleBindings().Delete(context.WithoutCancel(t.Context()), ns, metav1.DeleteOptions{}))
	})
	return a
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// token makes one that holds as long as a Secret of that name.
func (a *account) token(name string) string {
	a.t.Helper()
	made, err := a.c.Client.CoreV1().Secrets(a.ns).Create(a.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	must(a.t, err)
	life := int64(time.Hour / time.Second)
	got, err := a.c.Client.CoreV1().ServiceAccounts(a.ns).CreateToken(a.t.Context(), "default", &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{
			ExpirationSeconds: &life,
			BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: name, UID: made.UID},
		},
	}, metav1.CreateOptions{})
	must(a.t, err)
	return got.Status.Token
}

func (a *account) end(name string) {
	a.t.Helper()
	must(a.t, a.c.Client.CoreV1().Secrets(a.ns).Delete(a.t.Context(), name, metav1.DeleteOptions{}))
}

// asks sends the apiserver's question who one is, as the user, and gives the status.
func (a *account) asks(p *Proxy) int {
	a.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/apis/authentication.k8s.io/v1/selfsubjectreviews",
		strings.NewReader(`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`)).WithContext(a.t.Context())
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Impersonate-User", a.user)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	said, _ := io.ReadAll(w.Body)
	if w.Code == http.StatusCreated && !strings.Contains(string(said), `"username":"`+a.user+`"`) {
		a.t.Errorf("somebody else has asked: %s", said)
	}
	return w.Code
}

// await asks again and again: nothing tells of the moment.
func (a *account) await(what string, ok func(context.Context) bool) {
	a.t.Helper()
	err := wait.PollUntilContextTimeout(a.t.Context(), 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) { return ok(ctx), nil })
	if err != nil {
		a.t.Fatalf("never: %s: %v", what, err)
	}
}

// mount is a volume with a token, laid out as the kubelet does: the file is a link
// into ..data, which is a link to a folder.
func mount(t *testing.T, token string) string {
	t.Helper()
	volume := t.TempDir()
	swap(t, volume, token)
	must(t, os.Symlink(filepath.Join("..data", "token"), filepath.Join(volume, "token")))
	return volume
}

// swap makes ..data another folder at once, and removes the one before.
func swap(t *testing.T, volume, token string) {
	t.Helper()
	data := filepath.Join(volume, "..data")
	before, err := os.Readlink(data)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp(volume, "..")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folder, "token"), []byte(token), 0o600))
	must(t, os.Symlink(filepath.Base(folder), data+"_tmp"))
	must(t, os.Rename(data+"_tmp", data))
	if before != "" {
		must(t, os.RemoveAll(filepath.Join(volume, before)))
	}
}
