package kubesecret

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/kubetest"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

// TestSecret goes through a Secret's life at a real apiserver.
func TestSecret(t *testing.T) {
	cluster := kubetest.Shared(t)
	ns := cluster.Namespace(t)
	c, err := New(cluster.Config, ns, "it")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	if _, err := c.Get(t.Context()); !apierrors.IsNotFound(err) {
		t.Errorf("before it is there: %v", err)
	}
	fresh := Secret{Type: "example.com/kind", Data: map[string][]byte{"a": {0, 1}}}
	if err := c.Create(t.Context(), fresh, map[string]string{"of": "a-chart"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context(), fresh, nil); !apierrors.IsAlreadyExists(err) {
		t.Errorf("made twice: %v", err)
	}
	kept, err := c.Get(t.Context())
	if err != nil || string(kept.Data["a"]) != "\x00\x01" || kept.Type != fresh.Type || kept.Immutable {
		t.Fatalf("%+v, %v", kept, err)
	}
	kept.Data = map[string][]byte{"b": []byte("2")}
	for range 2 { // the second with an old version
		if err := c.Replace(t.Context(), kept); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := cluster.Client.CoreV1().Secrets(ns).Get(t.Context(), "it", metav1.GetOptions{})
	if err != nil || len(whole.Data) != 1 || string(whole.Data["b"]) != "2" || whole.Labels["of"] != "a-chart" {
		t.Errorf("%+v, %v", whole, err)
	}
	whole.Immutable = new(bool)
	*whole.Immutable = true
	if _, err := cluster.Client.CoreV1().Secrets(ns).Update(t.Context(), whole, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Replace(t.Context(), kept); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "immutable") {
		t.Errorf("what cannot be changed: %v", err)
	}
}

// TestStrangeAnswers are those of whoever stands where an apiserver should.
func TestStrangeAnswers(t *testing.T) {
	for name, want := range map[string]struct {
		code int
		body string
		says string
	}{
		"a proxy's error": {502, "<html>" + strings.Repeat("x", 1000), "has prevented the request"},
		"no JSON":         {200, "<html>", "invalid character"},
		"without an end":  {200, `{"data":{"a":"` + strings.Repeat("A", maxAnswer), "unexpected end"},
		"another status":  {403, `{"kind":"Status","message":"no","reason":"Forbidden","code":403}`, "no"},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(want.code)
			_, _ = w.Write([]byte(want.body))
		}))
		c, err := New(&rest.Config{Host: srv.URL + "/below"}, "ns", "it")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Get(t.Context()); err == nil || !strings.Contains(err.Error(), want.says) || len(err.Error()) > 500 {
			t.Errorf("%s: %v", name, err)
		}
		if at := c.all.String(); at != srv.URL+"/below/api/v1/namespaces/ns/secrets" {
			t.Errorf("asked at %s", at)
		}
		c.http.CloseIdleConnections()
		srv.Close()
	}
}
