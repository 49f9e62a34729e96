package rbac

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kube"
)

// page is the document that says what is expected.
const page = "../../docs/rbac.md"

// row is a line of the page's matrix. want is by tier, in their order.
type row struct {
	verbs, resources []string
	namespaced       bool
	want             []bool
}

var ticked = regexp.MustCompile("`([^`]+)`")

// readMatrix reads the table that begins with "verbs".
func readMatrix(t *testing.T) []row {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "| verbs | resources | where | "+strings.Join(identity.Tiers(), " | ")+" |\n")
	if !ok {
		t.Fatalf("%s has no matrix of the tiers %v", page, identity.Tiers())
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var rows []row
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if strings.HasPrefix(cells[0], "---") {
			continue
		}
		rows = append(rows, readRow(t, cells))
	}
	if len(rows) < 20 {
		t.Fatalf("the matrix has %d lines", len(rows))
	}
	return rows
}

func readRow(t *testing.T, cells []string) row {
	t.Helper()
	if len(cells) != 3+len(identity.Tiers()) {
		t.Fatalf("a line of the matrix has %d cells: %q", len(cells), cells)
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	r := row{verbs: strings.Split(cells[0], ", "), namespaced: oneOf(t, cells[2], "namespace", "cluster")}
	for _, m := range ticked.FindAllStringSubmatch(cells[1], -1) {
		r.resources = append(r.resources, m[1])
	}
	for _, c := range cells[3:] {
		r.want = append(r.want, oneOf(t, c, "yes", "no"))
	}
	if len(r.resources) == 0 {
		t.Fatalf("a line of the matrix names no resource: %q", cells)
	}
	return r
}

// oneOf reports whether s is yes; it must be that or no.
func oneOf(t *testing.T, s, yes, no string) bool {
	t.Helper()
	if s != yes && s != no {
		t.Fatalf("%q is neither %q nor %q", s, yes, no)
	}
	return s == yes
}

// checkOf is a question in the words of the page: deployments.apps/scale.
func checkOf(verb, resource, namespace string) kube.Check {
	resource, sub, _ := strings.Cut(resource, "/")
	resource, group, _ := strings.Cut(resource, ".")
	return kube.Check{Verb: verb, Group: group, Resource: resource, Subresource: sub, Namespace: namespace}
}

// TestMatrix asks the apiserver about every line of the page, as every tier.
func TestMatrix(t *testing.T) {
	rows := readMatrix(t)
	eachForm(t, func(t *testing.T, w *world) {
		ns := w.cluster.Namespace(t)
		b := w.base(t)
		// One memory for all: nobody may be told another's answer, not even the same
		// person who has risen meanwhile.
		rights := kube.NewRights(time.Now)
		answers := map[string]map[kube.Check]bool{}
		for _, tier := range identity.Tiers() {
			answers[tier] = ask(t, b, rights, ada(t, tier), questions(rows, ns))
		}
		var table strings.Builder
		out := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
		fmt.Fprintf(out, "verbs\tresource\twhere\t%s\n", strings.Join(identity.Tiers(), "\t"))
		wrong := 0
		for _, r := range rows {
			wrong += r.print(out, ns, answers)
		}
		if err := out.Flush(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d questions, each as expected/actual\n%s", w.form, len(questions(rows, ns))*len(identity.Tiers()), &table)
		if wrong > 0 {
			t.Errorf("%d cells are not as %s says; they are marked with !", wrong, page)
		}
	})
}

func questions(rows []row, ns string) []kube.Check {
	var all []kube.Check
	for _, r := range rows {
		for _, resource := range r.resources {
			all = append(all, r.checks(resource, ns)...)
		}
	}
	return all
}

func (r row) checks(resource, ns string) []kube.Check {
	if !r.namespaced {
		ns = ""
	}
	var all []kube.Check
	for _, verb := range r.verbs {
		all = append(all, checkOf(verb, resource, ns))
	}
	return all
}

// ask puts the questions through the product's own client.
func ask(t *testing.T, b *kube.Base, rights *kube.Rights, who identity.Actor, checks []kube.Check) map[kube.Check]bool {
	t.Helper()
	c, err := b.Client(who.As, "")
	if err != nil {
		t.Fatal(err)
	}
	got := map[kube.Check]bool{}
	for some := range slices.Chunk(checks, kube.MaxChecks) {
		decisions, err := rights.CanI(t.Context(), c, who, some)
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range decisions {
			if !d.Decided {
				t.Fatalf("%s was not answered about %+v: %s", who.As.User, some[i], d.Reason)
			}
			got[some[i]] = d.Allowed
		}
	}
	return got
}

// print writes a line for each resource and counts the cells that are wrong.
func (r row) print(out *tabwriter.Writer, ns string, answers map[string]map[kube.Check]bool) (wrong int) {
	where := map[bool]string{true: "namespace", false: "cluster"}[r.namespaced]
	for _, resource := range r.resources {
		fmt.Fprintf(out, "%s\t%s\t%s", strings.Join(r.verbs, ","), resource, where)
		for i, tier := range identity.Tiers() {
			var other []string
			for _, c := range r.checks(resource, ns) {
				if answers[tier][c] != r.want[i] {
					other = append(other, c.Verb)
				}
			}
			actual := r.want[i] != (len(other) > 0)
			fmt.Fprintf(out, "\t%s/%s", word(r.want[i]), word(actual))
			if len(other) > 0 {
				wrong++
				fmt.Fprintf(out, "! %s", strings.Join(other, ","))
			}
		}
		fmt.Fprintln(out)
	}
	return wrong
}

func word(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// TestEachTierHoldsTheOneBefore is about the page: nobody loses by rising.
func TestEachTierHoldsTheOneBefore(t *testing.T) {
	for _, r := range readMatrix(t) {
		for i := 1; i < len(r.want); i++ {
			if r.want[i-1] && !r.want[i] {
				t.Errorf("%s may %v %v, but %s may not", identity.Tiers()[i-1], r.verbs, r.resources, identity.Tiers()[i])
			}
		}
	}
}

// TestClusterScopedReads asks about whatever the apiserver itself says to
// belong to no namespace: maintain lists all of it, and below it nobody any but
// namespaces.
func TestClusterScopedReads(t *testing.T) {
	eachForm(t, func(t *testing.T, w *world) {
		_, lists, err := w.cluster.Client.Discovery().ServerGroupsAndResources()
		if err != nil {
			t.Fatal(err)
		}
		var checks []kube.Check
		for _, list := range lists {
			for _, r := range list.APIResources {
				if !r.Namespaced && slices.Contains(r.Verbs, "list") {
					checks = append(checks, kube.Check{Verb: "list", Group: groupOf(t, list, r), Resource: r.Name})
				}
			}
		}
		if len(checks) < 20 {
			t.Fatalf("the apiserver told of %d resources", len(checks))
		}
		b := w.base(t)
		for i, tier := range identity.Tiers() {
			for c, may := range ask(t, b, kube.NewRights(time.Now), ada(t, tier), checks) {
				if want := i >= 3 || c.Resource == "namespaces"; may != want {
					t.Errorf("%s may list %s.%s: %v", tier, c.Resource, c.Group, may)
				}
			}
		}
	})
}

func groupOf(t *testing.T, list *metav1.APIResourceList, r metav1.APIResource) string {
	t.Helper()
	if r.Group != "" {
		return r.Group
	}
	group, _, found := strings.Cut(list.GroupVersion, "/")
	if !found {
		return ""
	}
	return group
}
