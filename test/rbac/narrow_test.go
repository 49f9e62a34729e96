package rbac

import (
	"context"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/periscope-console/periscope/internal/identity"
)

// change changes the server's role, as an operator may, until the test ends.
func (w *world) change(t *testing.T, f func(*rbacv1.PolicyRule)) {
	t.Helper()
	roles := w.cluster.Client.RbacV1().ClusterRoles()
	role, err := roles.Get(t.Context(), "periscope-impersonator", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range role.Rules {
		f(&role.Rules[i])
	}
	if _, err := roles.Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// asActor goes through the product's own impersonation.
func (w *world) asActor(t *testing.T, p identity.Policy, groups ...string) *kubernetes.Clientset {
	t.Helper()
	a, err := p.Admit(identity.Actor{Issuer: "test", Subject: "raw-ada", Groups: groups})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := w.base(t).Config(a.As, "")
	if err != nil {
		t.Fatal(err)
	}
	return clientOf(t, cfg)
}

// TestModeRaw names people's own groups, as the page says: whoever is in others
// too is refused as a whole.
func TestModeRaw(t *testing.T) {
	raw := identity.Policy{Mode: identity.Raw, GroupPrefix: "periscope:"}
	eachForm(t, func(t *testing.T, w *world) {
		ns := w.cluster.Namespace(t)
		w.cluster.Bind(t, ns, "view", "periscope:developers")
		w.change(t, func(r *rbacv1.PolicyRule) {
			if slices.Equal(r.Resources, []string{"groups"}) {
				r.ResourceNames = []string{"periscope:developers", "periscope:sre"}
			}
		})
		t.Cleanup(func() { applyAgain(t, w) })
		pods := func(ctx context.Context, c kubernetes.Interface) error {
			_, err := c.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
			return err
		}
		member := w.asActor(t, raw, "developers", "sre")
		eventually(t, "the group may be acted as", func(ctx context.Context) bool { return pods(ctx, member) == nil })
		for name, groups := range map[string][]string{"one more": {"developers", "cooks"}, "another": {"cooks"}} {
			if err := pods(t.Context(), w.asActor(t, raw, groups...)); !isForbidden(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := pods(t.Context(), w.asActor(t, raw)); !isForbidden(err) {
			t.Errorf("in no group: %v", err)
		}
		tier := identity.Policy{Mode: identity.Tier, DefaultTier: "admin"}
		eventually(t, "the tiers may no longer be acted as", func(ctx context.Context) bool { return isForbidden(pods(ctx, w.asActor(t, tier))) })
	})
}

// applyAgain is for a cleanup, when the test's context is done.
func applyAgain(t *testing.T, w *world) {
	t.Helper()
	applyWith(context.Background(), t, w.cluster, "impersonator-"+w.form+".yaml")
}

// TestFewerVerbs narrows the whole server, which the constrained form alone can.
func TestFewerVerbs(t *testing.T) {
	eachForm(t, func(t *testing.T, w *world) {
		if w.form != "constrained" {
			return
		}
		set := w.set(t)
		w.change(t, func(r *rbacv1.PolicyRule) {
			r.Verbs = slices.DeleteFunc(r.Verbs, func(v string) bool { return v == "impersonate-on:user-info:delete" })
		})
		t.Cleanup(func() { applyAgain(t, w) })
		admin := w.asActor(t, identity.Policy{Mode: identity.Tier, DefaultTier: "admin"})
		eventually(t, "nobody deletes", func(ctx context.Context) bool {
			return isForbidden(admin.CoreV1().Pods(set.ns).Delete(ctx, set.pod, metav1.DeleteOptions{DryRun: dryRun}))
		})
		if _, err := admin.CoreV1().Pods(set.ns).Get(t.Context(), set.pod, metav1.GetOptions{}); err != nil {
			t.Errorf("nor reads: %v", err)
		}
	})
}

// TestATierInOneNamespace leaves a tier's binding out and binds its role in one
// namespace, as the page says.
func TestATierInOneNamespace(t *testing.T) {
	eachForm(t, func(t *testing.T, w *world) {
		here, elsewhere := w.set(t), w.set(t)
		bindings := w.cluster.Client.RbacV1().ClusterRoleBindings()
		if err := bindings.Delete(t.Context(), "periscope-tier-triage", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { applyWith(context.Background(), t, w.cluster, "tiers.yaml") })
		w.cluster.Bind(t, here.ns, "periscope-tier-triage", "periscope-tier:triage")
		triage := w.scenes(t, here)[1]
		evict := acts[slices.IndexFunc(acts, func(a act) bool { return a.name == "evict a pod" })]
		run := acts[slices.IndexFunc(acts, func(a act) bool { return a.name == "run a command over a WebSocket" })]
		there := triage
		there.ns, there.pod = elsewhere.ns, elsewhere.pod
		eventually(t, "the tier is gone elsewhere", func(ctx context.Context) bool { return isForbidden(evict.do(ctx, there)) })
		for _, a := range []act{evict, run} {
			if err := a.do(t.Context(), triage); err != nil {
				t.Errorf("%s here: %v", a.name, err)
			}
			if err := a.do(t.Context(), there); !isForbidden(err) {
				t.Errorf("%s elsewhere: %v", a.name, err)
			}
		}
	})
}
