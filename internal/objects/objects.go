// Package objects reads what a cluster holds, for people to look at.
//
// It owns the JSON of namespaces, pods and their events, and the bounds of
// every question. It does not own as whom it reads: each call gets a client
// that acts as somebody. It keeps nothing between calls and starts no
// goroutines. It guarantees that names and selectors from a client are checked
// before they reach a path.
package objects

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/kube"
)

const (
	namespacePage = 1000
	// maxNamespacePages bounds the answer; 20,000 namespaces is twice what
	// Kubernetes is tested with.
	maxNamespacePages = 20
)

// NamespaceList is the answer of GET …/namespaces.
type NamespaceList struct {
	Namespaces []Namespace `json:"namespaces" doc:"Namespaces by name"`
}

// Namespace is one of them.
type Namespace struct {
	Name      string    `json:"name" doc:"Name"`
	Phase     string    `json:"phase" enum:"Active,Terminating" doc:"Lifecycle phase"`
	CreatedAt time.Time `json:"createdAt" doc:"When it was created"`
}

// Namespaces lists them all.
func Namespaces(ctx context.Context, c *kube.Client) (NamespaceList, error) {
	out := NamespaceList{Namespaces: []Namespace{}}
	page := metav1.ListOptions{Limit: namespacePage}
	for range maxNamespacePages {
		list, err := c.Core.Namespaces().List(ctx, page)
		if err != nil {
			return NamespaceList{}, c.Fault(err, "objects.Namespaces", "list the namespaces")
		}
		for i := range list.Items {
			out.Namespaces = append(out.Namespaces, namespaceOf(&list.Items[i]))
		}
		if page.Continue = list.Continue; page.Continue == "" {
			break
		}
	}
	return out, nil
}

func namespaceOf(n *corev1.Namespace) Namespace {
	return Namespace{Name: n.Name, Phase: string(n.Status.Phase), CreatedAt: n.CreationTimestamp.UTC()}
}

// stamp is nil for a time that is not known.
func stamp(t metav1.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	u := t.UTC()
	return &u
}
