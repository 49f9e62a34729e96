package rbac

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/periscope-console/periscope/internal/identity"
)

// file is one manifest file.
type file struct {
	roles    map[string]rbacv1.ClusterRole
	bindings map[string]rbacv1.ClusterRoleBinding
}

func read(t *testing.T, name string) file {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(manifests, name))
	if err != nil {
		t.Fatal(err)
	}
	f := file{roles: map[string]rbacv1.ClusterRole{}, bindings: map[string]rbacv1.ClusterRoleBinding{}}
	for docs := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return f
		}
		if err != nil {
			t.Fatal(err)
		}
		f.add(t, doc)
	}
}

func (f file) add(t *testing.T, doc []byte) {
	t.Helper()
	var kind metav1.TypeMeta
	var role rbacv1.ClusterRole
	var binding rbacv1.ClusterRoleBinding
	if err := yaml.Unmarshal(doc, &kind); err != nil {
		t.Fatal(err)
	}
	switch kind.Kind {
	case "ClusterRole":
		if err := yaml.UnmarshalStrict(doc, &role); err != nil {
			t.Fatal(err)
		}
		f.roles[role.Name] = role
	case "ClusterRoleBinding":
		if err := yaml.UnmarshalStrict(doc, &binding); err != nil {
			t.Fatal(err)
		}
		f.bindings[binding.Name] = binding
	}
}

// TestTiersAreBoundAsThePageSays holds the bindings against the page's table.
func TestTiersAreBoundAsThePageSays(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	f := read(t, "tiers.yaml")
	if len(f.bindings) != len(identity.Tiers()) {
		t.Errorf("%d bindings for the tiers %v", len(f.bindings), identity.Tiers())
	}
	for _, tier := range identity.Tiers() {
		said := regexp.MustCompile("(?m)^\\| `" + tier + "` \\| [^|]*`([^`|]+)` \\|").FindSubmatch(text)
		if said == nil {
			t.Errorf("the page does not say which role %s has", tier)
			continue
		}
		b := f.bindings["periscope-tier-"+tier]
		if b.RoleRef.Kind != "ClusterRole" || b.RoleRef.Name != string(said[1]) {
			t.Errorf("%s is bound to %+v, the page says %s", tier, b.RoleRef, said[1])
		}
		onlyGroup(t, b, identity.TierGroupPrefix+tier)
	}
}

func onlyGroup(t *testing.T, b rbacv1.ClusterRoleBinding, group string) {
	t.Helper()
	want := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: group}}
	if !slices.Equal(b.Subjects, want) {
		t.Errorf("binding %s has the subjects %+v, want %+v", b.Name, b.Subjects, want)
	}
}

// TestTheTiersOwnRoles: what is written out names everything, and nothing that
// would lead further.
func TestTheTiersOwnRoles(t *testing.T) {
	f := read(t, "tiers.yaml")
	for name, role := range f.roles {
		if role.AggregationRule != nil && role.Rules != nil {
			t.Errorf("%s writes rules out, even if none: each kubectl apply would empty it for a moment", name)
		}
		for _, r := range role.Rules {
			if further(r) {
				t.Errorf("%s leads further: %+v", name, r)
			}
		}
	}
	for _, r := range f.roles["periscope-maintain"].Rules {
		for _, v := range r.Verbs {
			if !slices.Contains([]string{"get", "list", "watch"}, v) {
				t.Errorf("maintain's reads hold the verb %s: %+v", v, r)
			}
		}
	}
}

func further(r rbacv1.PolicyRule) bool {
	bad := func(s string) bool {
		return s == "*" || slices.Contains([]string{"bind", "escalate", "impersonate", "secrets", "nodes/proxy", "serviceaccounts/token", "pods/ephemeralcontainers"}, s)
	}
	return len(r.NonResourceURLs) > 0 || slices.ContainsFunc(r.Verbs, bad) || slices.ContainsFunc(r.Resources, bad) || slices.Contains(r.APIGroups, "*")
}

// TestTriageIsInTheMatrix: no right of triage's own goes unsaid.
func TestTriageIsInTheMatrix(t *testing.T) {
	said := map[string]bool{}
	for _, r := range readMatrix(t) {
		for _, resource := range r.resources {
			for _, verb := range r.verbs {
				said[verb+" "+resource] = r.want[1]
			}
		}
	}
	rules := read(t, "tiers.yaml").roles["periscope-triage"].Rules
	if len(rules) == 0 {
		t.Fatal("triage has no rules of its own")
	}
	for _, r := range rules {
		for _, resource := range r.Resources {
			for _, verb := range r.Verbs {
				if name := verb + " " + dotted(resource, r.APIGroups[0]); !said[name] {
					t.Errorf("triage may %s, and the page does not say so", name)
				}
			}
		}
	}
}

// dotted is a resource as the page writes it: deployments.apps/scale.
func dotted(resource, group string) string {
	if group == "" {
		return resource
	}
	name, sub, found := strings.Cut(resource, "/")
	if found {
		sub = "/" + sub
	}
	return name + "." + group + sub
}

// TestTheImpersonators: both forms name all tiers and nothing else.
func TestTheImpersonators(t *testing.T) {
	var tiers []string
	for _, tier := range identity.Tiers() {
		tiers = append(tiers, identity.TierGroupPrefix+tier)
	}
	groups := map[string]string{"classic": "", "constrained": "authentication.k8s.io"}
	verbs := map[string]string{"classic": "impersonate", "constrained": "impersonate:user-info"}
	for _, form := range forms {
		f := read(t, "impersonator-"+form+".yaml")
		if len(f.roles) != 1 || len(f.bindings) != 1 {
			t.Fatalf("%s holds %d roles and %d bindings", form, len(f.roles), len(f.bindings))
		}
		onlyGroup(t, f.bindings["periscope-impersonator"], identity.BridgeGroup)
		want := func(resource string, names []string) rbacv1.PolicyRule {
			return rbacv1.PolicyRule{APIGroups: []string{groups[form]}, Resources: []string{resource}, Verbs: []string{verbs[form]}, ResourceNames: names}
		}
		rules := f.roles["periscope-impersonator"].Rules
		if len(rules) < 2 || rules[0].String() != ptr(want("users", nil)).String() || rules[1].String() != ptr(want("groups", tiers)).String() {
			t.Errorf("%s: %+v", form, rules)
			continue
		}
		for _, r := range rules[2:] {
			for _, v := range r.Verbs {
				if form == "classic" || !strings.HasPrefix(v, "impersonate-on:user-info:") {
					t.Errorf("%s also grants %s", form, v)
				}
			}
		}
	}
}

func ptr[T any](v T) *T { return &v }

// leftover is a grant of the bare verb that somebody forgot.
func leftover() (*rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding) {
	name := metav1.ObjectMeta{Name: "leftover-impersonator"}
	role := &rbacv1.ClusterRole{ObjectMeta: name, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"users"}, Verbs: []string{"impersonate"}}}}
	return role, &rbacv1.ClusterRoleBinding{
		ObjectMeta: name, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: identity.BridgeGroup}},
	}
}

// TestApplyingAgain changes nothing: an aggregated role that is emptied for a
// moment takes everybody's rights away for a moment, and their shells.
func TestApplyingAgain(t *testing.T) {
	eachForm(t, func(t *testing.T, w *world) {
		version := func(name string) string {
			role, err := w.cluster.Client.RbacV1().ClusterRoles().Get(t.Context(), name, metav1.GetOptions{})
			if err != nil || len(role.Rules) == 0 {
				t.Fatalf("%s: %v, %d rules", name, err, len(role.Rules))
			}
			return role.ResourceVersion
		}
		names := []string{"periscope-tier-triage", "periscope-tier-maintain", "periscope-impersonator"}
		var before []string
		for _, name := range names {
			before = append(before, version(name))
		}
		apply(t, w.cluster, "tiers.yaml")
		apply(t, w.cluster, "impersonator-"+w.form+".yaml")
		for i, name := range names {
			if now := version(name); now != before[i] {
				t.Errorf("%s was changed", name)
			}
		}
	})
}
