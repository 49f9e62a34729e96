package poddebug

import (
	"context"
	"slices"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
)

// event is what every record of a debug container has in common.
func event(req Request) audit.Event {
	identity := req.Actor.As.User
	if req.Actor.As.None {
		identity = "" // the server's own; nobody is impersonated
	}
	return audit.Event{
		EventID: req.EventID, Timestamp: time.Now(), RequestID: req.RequestID,
		Actor: audit.ActorOf(req.Actor), Verb: audit.DebugCreate, Cluster: name(req.Cluster),
		Reason:   audit.OneLine(req.Reason, maxReason),
		Resource: &audit.Resource{Version: "v1", Resource: "pods/ephemeralcontainers", Namespace: name(req.Namespace), Name: name(req.Pod)},
		Extra: map[string]any{
			"namespace": name(req.Namespace), "pod": name(req.Pod), "target": name(req.Target), "image": req.Image,
			"client_address": req.Client, "k8s_identity": identity,
		},
	}
}

// name bounds what a refused request may write into audit for a name.
func name(s string) string { return audit.OneLine(s, 253) }

// requested records what is about to be done. An error is the reason not to.
func (m *Maker) requested(ctx context.Context, w *wish) error {
	e := event(w.Request)
	e.Stage = audit.Requested
	e.Extra["container"] = w.plan.name
	ctx, cancel := context.WithTimeout(ctx, auditLimit)
	defer cancel()
	if err := m.Audit.Emit(ctx, e); err != nil {
		return fault.Wrap(err, fault.AuditUnavailable, "poddebug.audit",
			"The audit record could not be written, so no debug container was made. Tell whoever runs this server.")
	}
	return nil
}

// completed records what became of it. The container's name is another one than
// was requested where somebody else's ended in the same moment.
func (m *Maker) completed(ctx context.Context, w *wish, created fate, why error) {
	e := event(w.Request)
	e.Stage, e.Outcome = audit.Completed, outcomeOf(why)
	e.Extra["container"], e.Extra["created"] = w.plan.name, created == made
	if created == unknown {
		e.Extra["created"] = nil
	}
	if why != nil {
		e.Extra["error"] = fault.KindOf(why).Code()
		m.Log.Warn("exec.debug.failed", "cluster", w.Cluster, "namespace", w.Namespace, "pod", w.Pod, "target", w.Target,
			"image", w.Image, "requestId", w.RequestID, "error", why)
	} else if created == made {
		m.Log.Info("exec.debug.created", "cluster", w.Cluster, "namespace", w.Namespace, "pod", w.Pod, "target", w.Target,
			"image", w.Image, "container", w.plan.name, "actor", w.Actor.Subject, "requestId", w.RequestID)
	}
	m.emit(ctx, e)
}

// refused records what was not begun. An image of nobody's list is none that anybody
// looks for.
func (m *Maker) refused(ctx context.Context, req Request, why error) {
	if !slices.Contains(m.Images, req.Image) {
		req.Image = ""
	}
	e := event(req)
	e.Stage, e.Outcome = audit.Completed, outcomeOf(why)
	e.Extra["created"], e.Extra["error"] = false, fault.KindOf(why).Code()
	m.emit(ctx, e)
}

// emit records what has happened already; a failure can only be logged.
func (m *Maker) emit(ctx context.Context, e audit.Event) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditLimit)
	defer cancel()
	if err := m.Audit.Emit(ctx, e); err != nil {
		m.Log.Error("audit.lost", "verb", e.Verb, "eventId", e.EventID, "error", err)
	}
}

func outcomeOf(err error) audit.Outcome {
	if err == nil {
		return audit.Success
	}
	switch fault.KindOf(err) {
	case fault.Forbidden, fault.ExecDisabled:
		return audit.Denied
	}
	return audit.Failure
}
