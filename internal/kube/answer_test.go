package kube

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/periscope-console/periscope/internal/fault"
)

// calls is one of each kind that is made of a cluster, but for streams.
var calls = map[string]func(*testing.T, *Client) error{
	"list": func(t *testing.T, c *Client) error {
		_, err := c.Core.Pods("shop").List(t.Context(), metav1.ListOptions{Limit: 500})
		return c.Fault(err, "t", "list the pods")
	},
	"get": func(t *testing.T, c *Client) error {
		_, err := c.Core.Pods("shop").Get(t.Context(), "web-0", metav1.GetOptions{})
		return c.Fault(err, "t", "read the pod")
	},
	"get a pod called version": func(t *testing.T, c *Client) error {
		_, err := c.Core.Pods("shop").Get(t.Context(), "version", metav1.GetOptions{})
		return c.Fault(err, "t", "read the pod")
	},
	"patch": func(t *testing.T, c *Client) error {
		_, err := c.Core.Pods("shop").Patch(t.Context(), "web-0", types.MergePatchType, []byte("{}"), metav1.PatchOptions{})
		return c.Fault(err, "t", "change the pod")
	},
	"can-i": func(t *testing.T, c *Client) error {
		_, err := CanI(t.Context(), c, mayExec)
		return err
	},
	"version": func(t *testing.T, c *Client) error {
		_, err := c.Version(t.Context())
		return err
	},
}

// TestAnAnswerThatIsNone: neither a list of nothing nor a no comes of what an
// apiserver has not said, however well it reads.
func TestAnAnswerThatIsNone(t *testing.T) {
	for _, body := range []string{
		`{}`, `null`,
		`{"message":"maintenance"}`,
		`{"status":"ok"}`,
		`{"items":[],"metadata":{"resourceVersion":"1"}}`,
		`{"apiVersion":"v1","metadata":{"name":"web-0"}}`,
		`{"kind":"Pod","metadata":{"name":"web-0"}}`,
		`{"kind":"ConfigMap","apiVersion":"v1"}`,
		`{"kind":"Status","apiVersion":"v1","status":"Success"}`,
	} {
		cfg, _ := apiserver(t, plain(200, "application/json", body))
		c := client(t, base(t, cfg), alice, "")
		for name, call := range calls {
			err := call(t, c)
			if fault.KindOf(err) != fault.ClusterUnreachable || Denied(err) || !strings.Contains(fault.PublicOf(err), "is not a Kubernetes apiserver") {
				t.Errorf("%s answered with %s: %v", name, body, err)
			}
		}
	}
}

// TestAnAnswerInJSON is what a cluster may give that knows no protobuf.
func TestAnAnswerInJSON(t *testing.T) {
	cfg, _ := apiserver(t, plain(200, "application/json", `{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"web-0"}}]}`))
	got, err := client(t, base(t, cfg), alice, "").Core.Pods("shop").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(got.Items) != 1 || got.Items[0].Name != "web-0" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestAStatusInPlaceOfAnAnswer is a refusal, whatever its code on the wire.
func TestAStatusInPlaceOfAnAnswer(t *testing.T) {
	cfg, _ := apiserver(t, plain(200, "application/json", `{"kind":"Status","apiVersion":"v1","status":"Failure","code":404,"message":"no such pod"}`))
	if err := calls["get"](t, client(t, base(t, cfg), alice, "")); fault.KindOf(err) != fault.NotFound {
		t.Error(err)
	}
}
