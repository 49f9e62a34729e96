// Package rbac proves deploy/rbac and docs/rbac.md against a real apiserver:
// what each tier may do, and what the server itself may, in both forms of
// impersonation, through the product's own impersonating client.
package rbac

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/childtest"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/kubetest"
)

// manifests is where the files under test are.
const manifests = "../../deploy/rbac"

// wait bounds each wait.
const wait = 30 * time.Second

// TestMain takes a cluster of this package's own: the manifests give rights to
// everybody in it.
func TestMain(m *testing.M) { kubetest.MainAlone(m) }

// forms are the two ways to let the server impersonate. They share their names
// in the cluster, so that each replaces the other.
var forms = []string{"classic", "constrained"}

// world is a cluster with the manifests of one form, and the server's own
// identities in it.
type world struct {
	cluster *kubetest.Cluster
	form    string
	// bridges are the server's credentials, as docs/rbac.md hands them out.
	bridges map[string]*rest.Config
}

// eachForm applies the manifests as an operator does, and runs f under either
// form.
func eachForm(t *testing.T, f func(*testing.T, *world)) {
	c := kubetest.Shared(t)
	apply(t, c, "tiers.yaml")
	apply(t, c, "bridge-serviceaccount.yaml")
	bridges := map[string]*rest.Config{"certificate": byCertificate(t, c), "service account": byServiceAccount(t, c)}
	for _, form := range forms {
		t.Run(form, func(t *testing.T) {
			w := &world{cluster: c, form: form, bridges: bridges}
			apply(t, c, "impersonator-"+form+".yaml")
			w.awaitForm(t)
			f(t, w)
		})
	}
}

func apply(t *testing.T, c *kubetest.Cluster, name string) {
	t.Helper()
	applyWith(t.Context(), t, c, name)
}

func applyWith(ctx context.Context, t *testing.T, c *kubetest.Cluster, name string) {
	t.Helper()
	kubectl, err := childtest.Program("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, kubectl, "--kubeconfig", c.Kubeconfig, "apply", "-f", filepath.Join(manifests, name))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kubectl apply -f %s: %v\n%s", name, err, out)
	}
}

// awaitForm waits until the apiserver has taken the roles in, by what tells the
// forms apart: only the classic one lets the server act as a node.
func (w *world) awaitForm(t *testing.T) {
	t.Helper()
	for name, bridge := range w.bridges {
		node := w.client(t, rest.CopyConfig(bridge), rest.ImpersonationConfig{UserName: "system:node:none"})
		tier := w.client(t, rest.CopyConfig(bridge), rest.ImpersonationConfig{UserName: "ada", Groups: []string{"periscope-tier:maintain"}})
		eventually(t, name+" impersonates in the form "+w.form, func(ctx context.Context) bool {
			_, asNode := whoAmI(ctx, node)
			_, err := tier.RbacV1().ClusterRoles().List(ctx, metav1.ListOptions{Limit: 1})
			return err == nil && (asNode == nil) == (w.form == "classic")
		})
	}
}

// eventually polls: nothing tells when an apiserver's authorizer has seen a role.
func eventually(t *testing.T, what string, ok func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	for !ok(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("not in time: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// client is a plain client that impersonates whatever it is told, which the
// product's own would not.
func (w *world) client(t *testing.T, cfg *rest.Config, as rest.ImpersonationConfig) *kubernetes.Clientset {
	t.Helper()
	cfg.Impersonate = as
	return clientOf(t, cfg)
}

func clientOf(t *testing.T, cfg *rest.Config) *kubernetes.Clientset {
	t.Helper()
	hc, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hc.CloseIdleConnections)
	c, err := kubernetes.NewForConfigAndClient(cfg, hc)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// base is the product's own way into the cluster.
func (w *world) base(t *testing.T) *kube.Base {
	t.Helper()
	b, err := kube.NewBase("real", w.bridges["certificate"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// ada is one person who has logged in with that tier, by the product's own rule.
func ada(t *testing.T, tier string) identity.Actor {
	t.Helper()
	p := identity.Policy{Mode: identity.Tier, GroupTiers: map[string]string{"of-" + tier: tier}}
	a, err := p.Admit(identity.Actor{Issuer: "test", Subject: "ada", Groups: []string{"of-" + tier}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// whoAmI asks the apiserver whom a request comes from. Every identity may.
func whoAmI(ctx context.Context, c kubernetes.Interface) (authenticationv1.UserInfo, error) {
	r, err := c.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return authenticationv1.UserInfo{}, err
	}
	return r.Status.UserInfo, nil
}

// plain is the way to the apiserver without anybody's credentials.
func plain(c *kubetest.Cluster) *rest.Config {
	cfg := rest.AnonymousClientConfig(c.Config)
	cfg.QPS = -1
	return cfg
}

// byServiceAccount is the account of bridge-serviceaccount.yaml.
func byServiceAccount(t *testing.T, c *kubetest.Cluster) *rest.Config {
	t.Helper()
	seconds := int64(3600)
	token, err := c.Client.CoreV1().ServiceAccounts("periscope").CreateToken(t.Context(), "periscope",
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := plain(c)
	cfg.BearerToken = token.Status.Token
	return cfg
}

// byCertificate has a certificate with O=periscope-bridge signed by the cluster.
func byCertificate(t *testing.T, c *kubetest.Cluster) *rest.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	subject := pkix.Name{CommonName: "periscope", Organization: []string{identity.BridgeGroup}}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject}, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := plain(c)
	cfg.CertData = signed(t, c, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}))
	cfg.KeyData = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
	return cfg
}

func signed(t *testing.T, c *kubetest.Cluster, request []byte) []byte {
	t.Helper()
	all := c.Client.CertificatesV1().CertificateSigningRequests()
	csr, err := all.Create(t.Context(), &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "periscope-"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: request, SignerName: certificatesv1.KubeAPIServerClientSignerName,
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	csr.Status.Conditions = append(csr.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Test", Message: "by a test",
	})
	if _, err := all.UpdateApproval(t.Context(), csr.Name, csr, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	w, err := all.Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", csr.Name).String()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if got, ok := e.Object.(*certificatesv1.CertificateSigningRequest); ok && len(bytes.TrimSpace(got.Status.Certificate)) > 0 {
			return got.Status.Certificate
		}
	}
	t.Fatal("the cluster did not sign the certificate in time")
	return nil
}
