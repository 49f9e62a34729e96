package rbac

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/identity"
)

// eachBridge runs f as each of the server's identities, in either form.
func eachBridge(t *testing.T, f func(*testing.T, *world, *rest.Config)) {
	eachForm(t, func(t *testing.T, w *world) {
		for name, bridge := range w.bridges {
			t.Run(name, func(t *testing.T) { f(t, w, bridge) })
		}
	})
}

// TestTheBridgeAlone: without impersonation the server's identity may do nothing
// that is of use.
func TestTheBridgeAlone(t *testing.T) {
	eachBridge(t, func(t *testing.T, w *world, bridge *rest.Config) {
		set := w.set(t)
		set.cfg, set.as, set.tier = bridge, clientOf(t, rest.CopyConfig(bridge)), "read"
		for _, a := range acts {
			if err := a.do(t.Context(), set); !isForbidden(err) {
				t.Errorf("%s: %v", a.name, err)
			}
		}
		review, err := set.as.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), &authorizationv1.SelfSubjectRulesReview{
			Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: set.ns},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range review.Status.ResourceRules {
			if !everybodys(r) && !slices.ContainsFunc(r.Verbs, func(v string) bool { return strings.HasPrefix(v, "impersonate") }) {
				t.Errorf("it may %v %v of %q", r.Verbs, r.Resources, r.APIGroups)
			}
		}
	})
}

// everybodys are the rules of system:basic-user.
func everybodys(r authorizationv1.ResourceRule) bool {
	about := []string{"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}
	return slices.Equal(r.Verbs, []string{"create"}) &&
		!slices.ContainsFunc(r.Resources, func(s string) bool { return !slices.Contains(about, s) })
}

// TestTheBridge: whom the server may act as, beyond what its own code would ask.
func TestTheBridge(t *testing.T) {
	type as = rest.ImpersonationConfig
	triage := []string{"periscope-tier:triage"}
	const node, nodes = "system:node:none", "system:nodes"
	yes := []string{"classic", "constrained"}
	cases := []struct {
		name string
		as   as
		in   []string // the forms in which it may
	}{
		{"a user of a tier", as{UserName: "ada", Groups: triage}, yes},
		{"a user of no group", as{UserName: "ada"}, yes},
		{"a user of two tiers", as{UserName: "ada", Groups: []string{"periscope-tier:read", "periscope-tier:admin"}}, yes},
		// No rule can narrow users; see docs/rbac.md.
		{"a controller by its name", as{UserName: "system:kube-controller-manager"}, yes},
		{"a node by its name", as{UserName: node}, []string{"classic"}},

		{"a node", as{UserName: node, Groups: []string{nodes}}, nil},
		{"the masters", as{UserName: "ada", Groups: []string{"system:masters"}}, nil},
		{"the masters beside a tier", as{UserName: "ada", Groups: []string{"periscope-tier:read", "system:masters"}}, nil},
		{"a group that is not named", as{UserName: "ada", Groups: []string{"periscope:dev"}}, nil},
		{"a tier that there is not", as{UserName: "ada", Groups: []string{"periscope-tier:root"}}, nil},
		{"five groups, one not named", as{UserName: "ada", Groups: append(slices.Repeat(triage, 4), "dev")}, nil},
		{"its own group", as{UserName: "ada", Groups: []string{identity.BridgeGroup}}, nil},
		{"everybody's group", as{UserName: "ada", Groups: []string{"system:authenticated"}}, nil},
		{"a service account", as{UserName: "system:serviceaccount:kube-system:default"}, nil},
		{"a service account of a tier", as{UserName: "system:serviceaccount:kube-system:default", Groups: triage}, nil},
		{"a uid", as{UserName: "ada", Groups: triage, UID: "1"}, nil},
		{"an extra", as{UserName: "ada", Groups: triage, Extra: map[string][]string{"scopes": {"all"}}}, nil},
	}
	eachBridge(t, func(t *testing.T, w *world, bridge *rest.Config) {
		for _, c := range cases {
			got, err := whoAmI(t.Context(), w.client(t, rest.CopyConfig(bridge), c.as))
			may := slices.Contains(c.in, w.form)
			switch {
			case may && (err != nil || got.Username != c.as.UserName || !sameGroups(got.Groups, c.as.Groups)):
				t.Errorf("%s: %+v, %v", c.name, got, err)
			case !may && (!isForbidden(err) || !strings.Contains(err.Error(), "impersonate")):
				t.Errorf("%s: %+v, %v; want a refusal to impersonate", c.name, got, err)
			}
		}
	})
}

// sameGroups leaves out the group that the apiserver adds.
func sameGroups(got, asked []string) bool {
	return slices.Equal(got, append(slices.Clone(asked), "system:authenticated"))
}

// TestALeftoverGrant is why one form replaces the other: the apiserver falls back
// to the bare verb, so that the constrained form beside it narrows nothing.
func TestALeftoverGrant(t *testing.T) {
	eachForm(t, func(t *testing.T, w *world) {
		if w.form != "constrained" {
			return
		}
		bridge := w.bridges["certificate"]
		w.leaveBehind(t)
		c := w.client(t, rest.CopyConfig(bridge), rest.ImpersonationConfig{UserName: "system:node:none"})
		eventually(t, "the leftover grant counts", func(ctx context.Context) bool {
			_, err := whoAmI(ctx, c)
			return err == nil
		})
	})
}

// leaveBehind binds the bare verb to the bridge until the test ends.
func (w *world) leaveBehind(t *testing.T) {
	t.Helper()
	role, binding := leftover()
	roles, bindings := w.cluster.Client.RbacV1().ClusterRoles(), w.cluster.Client.RbacV1().ClusterRoleBindings()
	_, err := roles.Create(t.Context(), role, metav1.CreateOptions{})
	if err == nil {
		_, err = bindings.Create(t.Context(), binding, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bindings.Delete(context.Background(), binding.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Error(fmt.Errorf("the leftover grant is left: %w", err))
		}
		_ = roles.Delete(context.Background(), role.Name, metav1.DeleteOptions{}) // grants nothing any more
	})
}
