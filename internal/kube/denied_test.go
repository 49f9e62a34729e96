package kube

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/fault"
)

func TestDeniedIsTheClustersOwnWord(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    bool
	}{
		"forbidden":       {status(403, "Forbidden", "no", &metav1.StatusDetails{Kind: "pods"}), true},
		"no impersonator": {status(403, "Forbidden", "no", &metav1.StatusDetails{Kind: "users"}), true},
		"a proxy's 403":   {plain(403, "text/html", "<html>"), false},
		"credentials":     {status(401, "Unauthorized", "no", nil), false},
		"not found":       {status(404, "NotFound", "no", &metav1.StatusDetails{Kind: "pods"}), false},
		"busy":            {plain(429, "text/plain", "busy"), false},
	} {
		cfg, _ := apiserver(t, c.handler)
		if err := listPods(t.Context(), t, cfg); err == nil || Denied(err) != c.want {
			t.Errorf("%s: Denied is %v of %v", name, Denied(err), err)
		}
	}
	if Denied(nil) || Denied(errors.New("forbidden")) || !Denied(fault.New(fault.Forbidden, "t", "No.")) {
		t.Error("faults without a Status")
	}
}

// TestAnAuthorizerThatFails tells its silence from a no.
func TestAnAuthorizerThatFails(t *testing.T) {
	verdict := map[string]any{"allowed": false, "evaluationError": "webhook authorizer: connection refused"}
	c := review(t, func(map[string]string) (int, any) {
		return http.StatusCreated, map[string]any{"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": verdict}
	})
	question := []Check{{Verb: "create", Resource: "pods/exec", Namespace: "shop"}}
	_, err := CanI(t.Context(), c, question)
	if fault.KindOf(err) != fault.ClusterUnreachable || Denied(err) {
		t.Errorf("got %v", err)
	}
	checkSentence(t, fault.PublicOf(err))
	verdict["denied"] = true
	if got, err := CanI(t.Context(), c, question); err != nil || got[0].Allowed {
		t.Errorf("denied by another authorizer: %v, %v", got, err)
	}
}

// TestAReasonIsBounded: decisions are remembered, and a cluster may say any number of words.
func TestAReasonIsBounded(t *testing.T) {
	for _, yes := range []bool{true, false} {
		c := review(t, func(map[string]string) (int, any) {
			return http.StatusCreated, allowed(yes, strings.Repeat("because ", 2_000))
		})
		got, err := CanI(t.Context(), c, mayExec)
		if err != nil || got[0].Allowed != yes {
			t.Fatalf("%v, %v", got, err)
		}
		if n := len(got[0].Reason); n > 1_000 || (n == 0) != yes {
			t.Errorf("allowed %v for a reason of %d bytes", yes, n)
		}
	}
}
