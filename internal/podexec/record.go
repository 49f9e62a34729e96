package podexec

import (
	"context"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
)

// auditLimit is how long an audit record may take to become durable.
const auditLimit = 5 * time.Second

// event is what every record of the session has in common.
func (s *session) event(verb string) audit.Event {
	e := eventOf(s.Request, s.id)
	e.Verb = verb
	e.Extra["session_id"] = s.id
	e.Extra["k8s_identity"] = k8sIdentity(s.Request)
	if s.stream != nil {
		e.Extra["transport"] = string(s.stream.Kind())
		e.Extra["circuit_breaker"] = string(s.choice.Breaker)
	}
	return e
}

func eventOf(req Request, id string) audit.Event {
	e := audit.Event{
		EventID: id, Timestamp: time.Now(), RequestID: req.RequestID,
		Actor: audit.ActorOf(req.Actor), Verb: audit.ExecStart, Cluster: named(req.Cluster), Reason: req.Reason,
		Resource: &audit.Resource{Version: "v1", Resource: "pods/exec", Namespace: named(req.Namespace), Name: named(req.Pod)},
		Extra: map[string]any{
			"namespace": named(req.Namespace), "pod": named(req.Pod), "container": named(req.Container), "tty": req.TTY,
		},
	}
	if f := req.File; f != nil {
		e.Extra["file_op"] = named(string(f.Op))
		e.Extra["file_path"] = audit.OneLine(f.Path, maxPath)
	}
	return e
}

// maxNamed bounds a name that nobody has checked yet, in bytes: no name of
// Kubernetes is longer.
const maxNamed = 253

// named is what a refused request may write into audit and log for a name.
func named(s string) string { return audit.OneLine(s, maxNamed) }

func k8sIdentity(req Request) string {
	if req.Actor.As.None {
		return "" // the server's own identity; nobody is impersonated
	}
	return req.Actor.As.User
}

// auditStart records one stage of the start. An error is the reason not to go on.
func (s *session) auditStart(ctx context.Context, stage audit.Event) error {
	e := s.event(audit.ExecStart)
	e.Extra["client_address"] = s.Client
	e.Stage, e.Outcome = stage.Stage, stage.Outcome
	if err := s.svc.Audit.Emit(ctx, e); err != nil {
		return fault.Wrap(err, fault.AuditUnavailable, "podexec.audit",
			"The audit record could not be written, so no shell was opened. Tell whoever runs this server.")
	}
	return nil
}

// recordNoStart records that the session did not begin and, where a command was
// started nevertheless, what became of that; log and metrics, too.
func (s *session) recordNoStart(why error, how ended) {
	e := s.event(audit.ExecStart)
	e.Extra["client_address"] = s.Client
	e.Stage, e.Outcome = audit.Completed, outcomeOf(fault.KindOf(why))
	e.Extra["error"] = fault.KindOf(why).Code()
	if how != "" {
		e.Extra["ended"] = how
	}
	s.svc.emit(context.Background(), e)
	s.svc.Metrics.refused(why)
	s.svc.Log.Warn("exec.open.failed", "sessionId", s.id, "cluster", s.Cluster, "namespace", s.Namespace,
		"pod", s.Pod, "requestId", s.RequestID, "ended", how, "error", why)
}

// auditRefusal records a session that was not admitted, and logs why: its client is
// told what to do, not what the cluster said.
func (ss *Sessions) auditRefusal(ctx context.Context, req Request, why error) {
	e := eventOf(req, newID())
	e.Stage, e.Outcome = audit.Completed, outcomeOf(fault.KindOf(why))
	e.Extra["error"] = fault.KindOf(why).Code()
	e.Extra["k8s_identity"] = k8sIdentity(req)
	e.Extra["client_address"] = req.Client
	e.Reason = audit.OneLine(req.Reason, maxReason)
	ss.emit(ctx, e)
	ss.Refused(req, why)
}

// attachEvent is the first record of somebody's coming back to s.
func (s *session) attachEvent(req Request, a Attach, eventID string) audit.Event {
	e := eventOf(s.Request, eventID)
	e.Verb, e.Stage = audit.ExecAttach, audit.Requested
	e.Actor, e.RequestID, e.Reason = audit.ActorOf(req.Actor), req.RequestID, ""
	e.Extra["session_id"] = s.id
	e.Extra["taken_over"] = a.Token == ""
	e.Extra["client_address"] = req.Client
	return e
}

// auditAttachRefused records a coming back that was refused before it began: who
// asked may not, or the cluster could not be asked whether they may.
func (s *session) auditAttachRefused(ctx context.Context, req Request, a Attach, outcome audit.Outcome, why error) {
	e := s.attachEvent(req, a, newID())
	e.Stage, e.Outcome = audit.Completed, outcome
	e.Extra["error"] = fault.KindOf(why).Code()
	s.svc.emit(ctx, e)
}

// auditAttached completes the record and tells the log.
func (s *session) auditAttached(ctx context.Context, e audit.Event, b back, err error) {
	e.Stage, e.Outcome = audit.Completed, audit.Success
	if err != nil {
		e.Outcome = outcomeOf(fault.KindOf(err))
		e.Extra["error"] = fault.KindOf(err).Code()
		s.svc.emit(ctx, e)
		return
	}
	e.Extra["offset"], e.Extra["complete"] = b.offset, b.whole
	e.Extra["away_ms"] = b.away.Milliseconds()
	s.svc.emit(ctx, e)
	s.svc.Metrics.attaches.WithLabelValues(s.Cluster).Inc()
	s.svc.Log.Info("exec.session.attach", "sessionId", s.id, "actor", e.Actor.Sub, "cluster", s.Cluster,
		"namespace", s.Namespace, "pod", s.Pod, "container", s.Container, "taken_over", e.Extra["taken_over"],
		"offset", b.offset, "complete", b.whole, "away_ms", b.away.Milliseconds(), "requestId", e.RequestID)
}

// emit records what has happened already; a failure can only be logged.
func (ss *Sessions) emit(ctx context.Context, e audit.Event) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditLimit)
	defer cancel()
	if err := ss.Audit.Emit(ctx, e); err != nil {
		ss.Log.Error("audit.lost", "verb", e.Verb, "eventId", e.EventID, "error", err)
	}
}

func (s *session) logStart() {
	s.svc.Log.Info("exec.session.start", "sessionId", s.id, "actor", s.Actor.Subject, "cluster", s.Cluster,
		"namespace", s.Namespace, "pod", s.Pod, "container", s.Container, "tty", s.TTY,
		"transport", s.stream.Kind(), "requestId", s.RequestID)
}

// record writes the end of the session to audit, log and metrics.
func (s *session) record(how ended) {
	code := s.end.exitCode
	if code == nil {
		code = s.exitCode()
	}
	lasted := time.Since(s.started)
	stdin, stdout := s.in.total(), s.out.total()
	s.auditEnd(how, code, lasted, stdin, stdout)
	s.svc.Metrics.ended(s.Cluster, s.end.reason, stdin, stdout)
	s.svc.Log.Info("exec.session.end", "sessionId", s.id, "actor", s.Actor.Subject, "cluster", s.Cluster,
		"namespace", s.Namespace, "pod", s.Pod, "container", s.Container, "transport", s.stream.Kind(),
		"close_reason", s.end.reason, "exit_code", code, "ended", how,
		"duration_ms", lasted.Milliseconds(), "bytes_stdin", stdin, "bytes_stdout", stdout, "requestId", s.RequestID, "error", s.end.fault)
}

func (s *session) auditEnd(how ended, code *int, lasted time.Duration, stdin, stdout int64) {
	e := s.event(audit.ExecEnd)
	e.Stage, e.Outcome = audit.Completed, s.end.reason.Outcome()
	e.Extra["duration_ms"] = lasted.Milliseconds()
	e.Extra["exit_code"] = code
	if done := s.end.file; done != nil {
		e.Extra["file_bytes"] = done.Bytes
		e.Extra["file_sha256"] = done.SHA256
		e.Extra["file_verified"] = done.Verified
	}
	e.Extra["attaches"] = s.resume.came.Load()
	e.Extra["bytes_stdin"] = stdin
	e.Extra["bytes_stdout"] = stdout
	e.Extra["bytes_stderr"] = s.clock.stderr.Load()
	e.Extra["close_reason"] = s.end.reason
	e.Extra["ended"] = how
	s.svc.emit(context.Background(), e)
}

// exitCode is the command's own, nil where it is unknown: that of a shell which was
// asked about counts only where the answer bears it out, and a 0 of one that was to be
// ended only where there was an answer.
func (s *session) exitCode() *int {
	res := s.stream.Result()
	if s.asked && s.fate != fateAbsent && s.end.reason != Exited || s.unheard && s.doubtful(res) {
		return nil
	}
	return res.ExitCode
}
