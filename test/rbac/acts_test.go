package rbac

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// scene is what the acts act on, and who acts.
type scene struct {
	cfg             *rest.Config
	as              *kubernetes.Clientset
	tier            string
	ns, pod, deploy string
}

// act is something that people do. Changes are dry runs: authorization,
// escalation checks and admission are those of the real thing.
type act struct {
	name string
	from string // the lowest tier that may
	do   func(context.Context, scene) error
}

var (
	dryRun       = []string{metav1.DryRunAll}
	dryCreate    = metav1.CreateOptions{DryRun: dryRun}
	dryPatch     = metav1.PatchOptions{DryRun: dryRun}
	clusterAdmin = rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}
)

// acts are in the order of the tiers.
var acts = []act{
	{"list pods", "read", func(ctx context.Context, s scene) error {
		_, err := s.as.CoreV1().Pods(s.ns).List(ctx, metav1.ListOptions{})
		return err
	}},
	{"read a log", "read", func(ctx context.Context, s scene) error {
		return s.as.CoreV1().Pods(s.ns).GetLogs(s.pod, &corev1.PodLogOptions{}).Do(ctx).Error()
	}},
	{"run a command over a WebSocket", "triage", command(transport.WebSocket)},
	{"run a command over SPDY", "triage", command(transport.SPDY)},
	{"delete a pod", "triage", func(ctx context.Context, s scene) error {
		return s.as.CoreV1().Pods(s.ns).Delete(ctx, s.pod, metav1.DeleteOptions{DryRun: dryRun})
	}},
	{"evict a pod", "triage", func(ctx context.Context, s scene) error {
		return s.as.PolicyV1().Evictions(s.ns).Evict(ctx, &policyv1.Eviction{
			ObjectMeta: metav1.ObjectMeta{Name: s.pod, Namespace: s.ns}, DeleteOptions: &metav1.DeleteOptions{DryRun: dryRun},
		})
	}},
	{"scale a deployment", "triage", func(ctx context.Context, s scene) error {
		_, err := s.as.AppsV1().Deployments(s.ns).UpdateScale(ctx, s.deploy, &autoscalingv1.Scale{
			ObjectMeta: metav1.ObjectMeta{Name: s.deploy, Namespace: s.ns}, Spec: autoscalingv1.ScaleSpec{Replicas: 2},
		}, metav1.UpdateOptions{DryRun: dryRun})
		return err
	}},
	{"label a pod", "write", patchPod(`{"metadata":{"labels":{"a":"b"}}}`)},
	{"change a pod's image", "write", patchPod(`{"spec":{"containers":[{"name":"main","image":"other"}]}}`)},
	{"restart a deployment", "write", patchDeployment(`{"spec":{"template":{"metadata":{"annotations":{"a":"b"}}}}}`)},
	{"change a deployment's service account", "write", patchDeployment(`{"spec":{"template":{"spec":{"serviceAccountName":"other"}}}}`)},
	{"read a secret", "write", func(ctx context.Context, s scene) error {
		_, err := s.as.CoreV1().Secrets(s.ns).Get(ctx, "secret", metav1.GetOptions{})
		return err
	}},
	{"take a service account's token", "write", func(ctx context.Context, s scene) error {
		_, err := s.as.CoreV1().ServiceAccounts(s.ns).CreateToken(ctx, "default", &authenticationv1.TokenRequest{}, dryCreate)
		return err
	}},
	{"bind view to somebody", "maintain", bindTo(rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"})},
	{"bind one's own role to somebody", "maintain", bindTo(rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "periscope-tier-maintain"})},
	{"create a role of rights one has", "maintain", createRole(rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "delete"}})},
	{"list nodes", "maintain", func(ctx context.Context, s scene) error {
		_, err := s.as.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		return err
	}},

	{"bind cluster-admin to oneself", "admin", bindTo(clusterAdmin)},
	{"join a binding to cluster-admin", "admin", func(ctx context.Context, s scene) error {
		patch := fmt.Sprintf(`{"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"periscope-tier:%s"}]}`, s.tier)
		_, err := s.as.RbacV1().RoleBindings(s.ns).Patch(ctx, "operators", types.MergePatchType, []byte(patch), dryPatch)
		return err
	}},
	{"create a role of rights one has not", "admin", createRole(rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"resourcequotas"}, Verbs: []string{"create"}})},
	{"create a role that adds debug containers", "admin", createRole(rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/ephemeralcontainers"}, Verbs: []string{"patch"}})},
	{"create a role that may bind any", "admin", createRole(rbacv1.PolicyRule{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"roles", "clusterroles"}, Verbs: []string{"bind"}})},
	{"create a role that may escalate", "admin", createRole(rbacv1.PolicyRule{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"roles"}, Verbs: []string{"escalate"}})},
	{"create a role that impersonates users", "admin", createRole(rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"users"}, Verbs: []string{"impersonate"}})},
	{"add a debug container", "admin", func(ctx context.Context, s scene) error {
		patch := `{"spec":{"ephemeralContainers":[{"name":"debug","image":"busybox","securityContext":{"privileged":true}}]}}`
		_, err := s.as.CoreV1().Pods(s.ns).Patch(ctx, s.pod, types.StrategicMergePatchType, []byte(patch), dryPatch, "ephemeralcontainers")
		return err
	}},
	{"widen a tier's role", "admin", func(ctx context.Context, s scene) error {
		patch := `{"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}`
		_, err := s.as.RbacV1().ClusterRoles().Patch(ctx, "periscope-triage", types.MergePatchType, []byte(patch), dryPatch)
		return err
	}},
	{"add to a tier's role by a label", "admin", func(ctx context.Context, s scene) error {
		_, err := s.as.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "more-", Labels: map[string]string{"periscope/aggregate-to-triage": "true"}},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}},
		}, dryCreate)
		return err
	}},
	{"bind in the whole cluster", "admin", func(ctx context.Context, s scene) error {
		_, err := s.as.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "more-"}, Subjects: subjects(s.tier),
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		}, dryCreate)
		return err
	}},
	{"lift a namespace's pod security", "admin", func(ctx context.Context, s scene) error {
		_, err := s.as.CoreV1().Namespaces().Patch(ctx, s.ns, types.MergePatchType,
			[]byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"privileged"}}}`), dryPatch)
		return err
	}},
	{"cordon a node", "admin", func(ctx context.Context, s scene) error {
		_, err := s.as.CoreV1().Nodes().Patch(ctx, "node-1", types.MergePatchType, []byte(`{"spec":{"unschedulable":true}}`), dryPatch)
		return err
	}},
}

func command(kind transport.Kind) func(context.Context, scene) error {
	return func(ctx context.Context, s scene) error {
		stream, err := transport.New(kind).Dial(ctx, s.cfg, transport.Request{Namespace: s.ns, Pod: s.pod, Command: []string{"echo", "here"}})
		if err != nil {
			return err
		}
		defer stream.Close()
		var out []byte
		for buf := make([]byte, 256); ; {
			n, _, err := stream.Read(buf)
			if out = append(out, buf[:n]...); err == nil {
				continue
			}
			if !errors.Is(err, io.EOF) || string(out) != "here\n" {
				return fmt.Errorf("it printed %q: %w", out, err)
			}
			return nil
		}
	}
}

func patchPod(patch string) func(context.Context, scene) error {
	return func(ctx context.Context, s scene) error {
		_, err := s.as.CoreV1().Pods(s.ns).Patch(ctx, s.pod, types.StrategicMergePatchType, []byte(patch), dryPatch)
		return err
	}
}

func patchDeployment(patch string) func(context.Context, scene) error {
	return func(ctx context.Context, s scene) error {
		_, err := s.as.AppsV1().Deployments(s.ns).Patch(ctx, s.deploy, types.StrategicMergePatchType, []byte(patch), dryPatch)
		return err
	}
}

func subjects(tier string) []rbacv1.Subject {
	return []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: identity.TierGroupPrefix + tier}}
}

func bindTo(role rbacv1.RoleRef) func(context.Context, scene) error {
	return func(ctx context.Context, s scene) error {
		_, err := s.as.RbacV1().RoleBindings(s.ns).Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "more-"}, RoleRef: role, Subjects: subjects(s.tier),
		}, dryCreate)
		return err
	}
}

func createRole(rules ...rbacv1.PolicyRule) func(context.Context, scene) error {
	return func(ctx context.Context, s scene) error {
		_, err := s.as.RbacV1().Roles(s.ns).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: "more-"}, Rules: rules}, dryCreate)
		return err
	}
}

// TestActs does each of them as every tier, through the product's own
// impersonation. Whoever may not must hear a 403.
func TestActs(t *testing.T) {
	eachForm(t, func(t *testing.T, w *world) {
		set := w.set(t)
		var table strings.Builder
		out := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
		fmt.Fprintf(out, "act\t%s\n", strings.Join(identity.Tiers(), "\t"))
		scenes := w.scenes(t, set)
		for _, a := range acts {
			fmt.Fprint(out, a.name)
			for i, s := range scenes {
				err := a.do(t.Context(), s)
				want := i >= slices.Index(identity.Tiers(), a.from)
				fmt.Fprintf(out, "\t%s/%s", word(want), word(err == nil))
				if want != (err == nil) || (err != nil && !isForbidden(err)) {
					t.Errorf("%s as %s: %v", a.name, s.tier, err)
				}
			}
			fmt.Fprintln(out)
		}
		if err := out.Flush(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: acts, each as expected/actual\n%s", w.form, &table)
	})
}

func isForbidden(err error) bool {
	return apierrors.IsForbidden(err) || fault.KindOf(err) == fault.Forbidden
}

// set is a namespace with something of each kind that the acts need.
func (w *world) set(t *testing.T) scene {
	t.Helper()
	c, ctx := w.cluster.Client, t.Context()
	ns := w.cluster.Namespace(t)
	pod := w.cluster.Pod(t, ns, kubetest.Labels(map[string]string{"app": "x"}))
	zero, labels := int32(0), map[string]string{"app": "none"}
	_, err := c.AppsV1().Deployments(ns).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &zero, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod.Spec},
		},
	}, metav1.CreateOptions{})
	if err == nil {
		_, err = c.CoreV1().Secrets(ns).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "secret"}}, metav1.CreateOptions{})
	}
	if err == nil {
		_, err = c.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "operators"}, RoleRef: clusterAdmin,
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "operators"}},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return scene{ns: ns, pod: pod.Name, deploy: "web"}
}

// scenes are the same for each tier, in their order.
func (w *world) scenes(t *testing.T, set scene) []scene {
	t.Helper()
	b := w.base(t)
	var all []scene
	for _, tier := range identity.Tiers() {
		cfg, err := b.Config(ada(t, tier).As, "")
		if err != nil {
			t.Fatal(err)
		}
		s := set
		s.tier, s.cfg, s.as = tier, cfg, clientOf(t, cfg)
		all = append(all, s)
	}
	return all
}
