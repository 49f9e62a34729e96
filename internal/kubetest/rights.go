package kubetest

import (
	"context"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// Bind gives a group the rights of a ClusterRole in a namespace, and returns
// when they count: the apiserver authorizes by what its watches have brought,
// which is a little later than the answer to a create. Nothing tells of that
// moment, so it is asked for, by SubjectAccessReview. The binding has the role's
// name and goes with the namespace; a second one of the same changes nothing.
func (c *Cluster) Bind(t testing.TB, ns, role, group string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	_, err := c.Client.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: group}},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatalf("kubetest: binding %s to %s: %v", role, group, err)
	}
	err = wait.PollUntilContextCancel(ctx, 5*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		return c.mayReadPods(ctx, ns, group)
	})
	if err != nil {
		t.Fatalf("kubetest: the binding of %s to %s does not count: %v", role, group, err)
	}
}

// mayReadPods asks for the one right that every role has that tests bind.
func (c *Cluster) mayReadPods(ctx context.Context, ns, group string) (bool, error) {
	review, err := c.Client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "kubetest", Groups: []string{group},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "pods", Namespace: ns},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}
