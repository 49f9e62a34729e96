package kube

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"strings"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/periscope-console/periscope/internal/fault"
)

// Bounds of one question: each check is a call to the apiserver.
const (
	MaxChecks      = 64
	parallelChecks = 8
)

// Check is one right to ask about.
type Check struct {
	Verb        string `json:"verb" doc:"Verb, such as get or create"`
	Group       string `json:"group,omitempty" doc:"API group; empty for the core group"`
	Resource    string `json:"resource" doc:"Resource in the plural; pods/exec also names the subresource"`
	Subresource string `json:"subresource,omitempty" doc:"Subresource, such as exec"`
	Namespace   string `json:"namespace,omitempty" doc:"Namespace; empty for all"`
	Name        string `json:"name,omitempty" doc:"Object; empty for all"`
}

// Decision answers one Check.
type Decision struct {
	Allowed bool `json:"allowed" doc:"Whether the caller may"`
	// Decided is false where the cluster gave no answer; then Allowed is false too.
	Decided bool   `json:"decided" doc:"Whether the cluster has answered; without an answer nothing is allowed"`
	Reason  string `json:"reason" doc:"Why not, in words for the user; empty when allowed"`
}

// CanI asks the apiserver, in order and as the client's own user, by
// SelfSubjectAccessReview only: a rules review may leave rights out. Whatever
// is not answered is not allowed. It fails only when the question is
// malformed or nothing was answered at all.
func CanI(ctx context.Context, c *Client, checks []Check) ([]Decision, error) {
	return canI(ctx, checks, func(ctx context.Context, check Check) (Decision, error) { return ask(ctx, c, check) })
}

// asker finds out about one check.
type asker func(context.Context, Check) (Decision, error)

func canI(ctx context.Context, checks []Check, one asker) ([]Decision, error) {
	if len(checks) == 0 || len(checks) > MaxChecks {
		return nil, fault.New(fault.Invalid, "kube.CanI", "Ask about 1 to %d rights at a time; these are %d.", MaxChecks, len(checks))
	}
	asked := make([]Check, len(checks))
	for i, check := range checks {
		var err error
		if asked[i], err = check.normal(); err != nil {
			return nil, err
		}
	}
	return askAll(ctx, asked, one)
}

func askAll(ctx context.Context, checks []Check, one asker) ([]Decision, error) {
	out, errs := make([]Decision, len(checks)), make([]error, len(checks))
	var group errgroup.Group
	group.SetLimit(parallelChecks)
	for i, check := range checks {
		group.Go(func() error {
			out[i], errs[i] = one(ctx, check)
			return nil
		})
	}
	_ = group.Wait()
	answered := false
	for i, err := range errs {
		if answered = answered || err == nil; err != nil {
			out[i] = Decision{Reason: fault.PublicOf(err)}
		}
	}
	if !answered {
		return nil, errs[0]
	}
	return out, nil
}

func ask(ctx context.Context, c *Client, check Check) (Decision, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: check.Verb, Group: check.Group, Version: "*", Resource: check.Resource,
			Subresource: check.Subresource, Namespace: check.Namespace, Name: check.Name,
		},
	}}
	got, err := c.Authorization.SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return Decision{}, c.Fault(err, "kube.CanI", "ask whether you may "+check.words())
	}
	if got.Status.Allowed && !got.Status.Denied {
		return Decision{Allowed: true, Decided: true}, nil
	}
	if undecided(got.Status) {
		return Decision{}, fault.Wrap(errors.New(got.Status.EvaluationError), fault.ClusterUnreachable, "kube.CanI",
			"Cluster %s could not find out whether you may %s. Try again; if it goes on, ask whoever runs the cluster.", c.cluster, check.words())
	}
	return Decision{Decided: true, Reason: check.denial(got.Status)}, nil
}

// undecided tells a no from an authorizer that failed, such as a webhook that
// does not answer. RBAC is not of that kind: what it misses stands in the reason.
func undecided(st authorizationv1.SubjectAccessReviewStatus) bool {
	return !st.Allowed && !st.Denied && st.EvaluationError != ""
}

func (c Check) denial(st authorizationv1.SubjectAccessReviewStatus) string {
	s := "You may not " + c.words() + "."
	if why := sentence(st.Reason); why != "" {
		s += " " + why
	}
	return s
}

// Reads reports whether the right is one to look only. A subresource such as exec
// lets in by get as well as by create, so of those only the harmless ones count.
func (c Check) Reads() bool {
	_, sub, _ := strings.Cut(c.Resource, "/")
	switch cmp.Or(c.Subresource, sub) {
	case "", "log", "status", "scale":
		return c.Verb == "get" || c.Verb == "list" || c.Verb == "watch"
	}
	return false
}

// words reads after "may": "create pods/exec in namespace shop".
func (c Check) words() string {
	s := c.Verb + " " + c.Resource
	if c.Subresource != "" {
		s += "/" + c.Subresource
	}
	if c.Group != "" {
		s += " of " + c.Group
	}
	if c.Name != "" {
		s += " " + c.Name
	}
	if c.Namespace == "" {
		return s + " in all namespaces"
	}
	return s + " in namespace " + c.Namespace
}

var (
	verbs     = regexp.MustCompile(`^([a-z]{1,63}([:-][a-z]{1,63})*|\*)$`)
	resources = regexp.MustCompile(`^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\*)$`)
)

// normal splits "pods/exec" and checks every part.
func (c Check) normal() (Check, error) {
	if resource, sub, ok := strings.Cut(c.Resource, "/"); ok {
		if c.Subresource != "" && c.Subresource != sub {
			return c, wrongCheck("subresource", c.Subresource, "resource names another")
		}
		c.Resource, c.Subresource = resource, sub
	}
	switch {
	case !verbs.MatchString(c.Verb):
		return c, wrongCheck("verb", c.Verb, "it is a word such as get, list or create")
	case !resources.MatchString(c.Resource):
		return c, wrongCheck("resource", c.Resource, "it is a plural such as pods")
	case c.Subresource != "" && !resources.MatchString(c.Subresource):
		return c, wrongCheck("subresource", c.Subresource, "it is a word such as exec")
	case c.Group != "" && c.Group != "*" && len(validation.IsDNS1123Subdomain(c.Group)) > 0:
		return c, wrongCheck("group", c.Group, "it is a name such as apps or rbac.authorization.k8s.io")
	}
	return c, c.checkPlace()
}

func (c Check) checkPlace() error {
	if c.Namespace != "" {
		if err := CheckNamespace(c.Namespace); err != nil {
			return err
		}
	}
	if c.Name != "" {
		return checkObject(c.Name)
	}
	return nil
}

func wrongCheck(field, value, why string) error {
	return fault.New(fault.Invalid, "kube.CanI", "%s is no %s: %s.", quoted(value), field, why)
}
