package podexec

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// Registry is the Directory of the process's clusters.
type Registry struct {
	Clusters *clusters.Registry
	Switch   *transport.Switch
	// Replay is how much output is held for one session, in bytes.
	Replay int64
	// Resume is how long a session waits for a client that was lost.
	Resume time.Duration
	// MaxFile bounds a file that is copied, in bytes.
	MaxFile int64
}

// Find is the named cluster as the actor sees it.
func (r Registry) Find(_ context.Context, name string, actor identity.Actor) (Place, error) {
	c, err := r.Clusters.Get(name)
	if err != nil {
		return Place{}, err
	}
	return Place{
		Cluster: name, Settings: r.settings(c.Exec()),
		Upstream: upstream{cluster: c, as: actor.As, sw: r.Switch},
	}, nil
}

func (r Registry) settings(p config.ExecPolicy) Settings {
	return Settings{
		Enabled: p.Enabled, ServerIdle: p.ServerIdle, IdleWarn: p.IdleWarn, Heartbeat: p.Heartbeat,
		MaxSessionsPerUser: p.MaxSessionsPerUser, MaxSessionsTotal: p.MaxSessionsTotal,
		RequireReason: p.RequireReason, Replay: r.Replay, Resume: r.Resume, MaxFile: r.MaxFile,
	}
}

type upstream struct {
	cluster *clusters.Cluster
	as      identity.Impersonation
	sw      *transport.Switch
}

func (u upstream) Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	client, err := u.cluster.Client(ctx, u.as, newID())
	if err != nil {
		return nil, err
	}
	pod, err := client.Core.Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, client.Fault(err, "podexec.Pod", "read pod "+namespace+"/"+name)
	}
	return pod, nil
}

// CheckExec asks the apiserver on every cluster version: before Kubernetes 1.35
// the verb get sufficed for an exec over a WebSocket.
func (u upstream) CheckExec(ctx context.Context, namespace, name string) error {
	client, err := u.cluster.Client(ctx, u.as, newID())
	if err != nil {
		return err
	}
	answers, err := kube.CanI(ctx, client, []kube.Check{{
		Verb: "create", Resource: "pods", Subresource: "exec", Namespace: namespace, Name: name,
	}})
	if err != nil {
		return err
	}
	if !answers[0].Allowed {
		return fault.New(fault.Forbidden, "podexec.CheckExec",
			"%s may not open a shell in namespace %s of cluster %s: the right to create pods/exec is missing. Ask whoever manages that cluster's roles.",
			u.who(), namespace, u.cluster.Name())
	}
	return nil
}

func (u upstream) who() string {
	if u.as.None {
		return "This server's own identity"
	}
	return u.as.User
}

func (u upstream) Dial(ctx context.Context, auditID string, req transport.Request) (transport.Stream, transport.Choice, error) {
	cfg, err := u.cluster.Config(ctx, u.as, auditID)
	if err != nil {
		return nil, transport.Choice{}, err
	}
	return u.sw.Dial(ctx, u.cluster.Name(), cfg, req)
}
