package agent

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/tunnel/pki"
)

func TestKeepersKeep(t *testing.T) {
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	secret := func(name string) Keeper {
		s, err := NewSecret(c.Config, ns, name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	beforehand := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "empty", Labels: map[string]string{"of": "a-chart"}}}
	if _, err := c.Client.CoreV1().Secrets(ns).Create(t.Context(), beforehand, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]Keeper{
		"a file": File(filepath.Join(t.TempDir(), "agent.json")), "a Secret": secret("agent"), "a Secret made beforehand": secret("empty"),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := k.Load(t.Context()); !errors.Is(err, ErrNone) {
				t.Errorf("before it was saved: %v", err)
			}
			for _, version := range []string{"first", "second"} {
				want := Credentials{Key: []byte("k " + version), Certificate: []byte("c " + version), CA: []byte("ca " + version)}
				if err := k.Save(t.Context(), want); err != nil {
					t.Fatal(err)
				}
				if got, err := k.Load(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%s: %s, %v", version, got.Key, err)
				}
			}
		})
	}
	kept, err := c.Client.CoreV1().Secrets(ns).Get(t.Context(), "empty", metav1.GetOptions{})
	if err != nil || kept.Labels["of"] != "a-chart" {
		t.Errorf("what others wrote is gone: %+v, %v", kept, err)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		says string
	}{
		"others may read it": {"{}", 0o640, "chmod 600"},
		"no credentials":     {"-----BEGIN", 0o600, "holds no credentials"},
		"too large":          {strings.Repeat("x", maxKept+1), 0o600, "larger than"},
	} {
		path := filepath.Join(t.TempDir(), "agent.json")
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := File(path).Load(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// issued are credentials as the server gives them to the cluster.
func issued(t *testing.T, ca *pki.Authority, cluster string) Credentials {
	t.Helper()
	key, csr, err := pki.NewRequest(cluster)
	must(t, err)
	request, err := pki.ParseRequest(csr)
	must(t, err)
	got, err := ca.Sign(request, cluster, time.Hour)
	must(t, err)
	return Credentials{Key: key, Certificate: got.PEM, CA: ca.PEM()}
}

func TestCredentialsThatDoNotFit(t *testing.T) {
	file := pki.File(filepath.Join(t.TempDir(), "ca.pem"))
	ca, err := pki.Open(t.Context(), file)
	must(t, err)
	own, err := file.Load(t.Context())
	must(t, err)
	west := issued(t, ca, "west")
	for name, c := range map[string]struct {
		kept Credentials
		says string
	}{
		"nonsense":             {Credentials{Key: []byte("k"), Certificate: []byte("c"), CA: []byte("ca")}, "certificate and key"},
		"another key":          {Credentials{Key: issued(t, ca, "west").Key, Certificate: west.Certificate, CA: west.CA}, "certificate and key"},
		"no CA":                {Credentials{Key: west.Key, Certificate: west.Certificate, CA: []byte("ca")}, "no certificate"},
		"another cluster's":    {issued(t, ca, "east"), "of cluster east, and this is the agent of cluster west"},
		"the CA's":             {Credentials{Key: own.Key, Certificate: own.Cert, CA: own.Cert}, "is no agent's; remove what is kept"},
		"those of the cluster": {west, ""},
	} {
		if err := c.kept.check("west"); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
