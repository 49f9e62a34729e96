package podexec

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// Info describes a session that has not ended.
type Info struct {
	SessionID      string    `json:"sessionId" doc:"Id of the session, also in audit and in the apiserver's own audit log"`
	Subject        string    `json:"subject" doc:"Subject of the login whose shell it is"`
	Email          string    `json:"email" doc:"E-mail address of that login; may be empty"`
	Own            bool      `json:"own" doc:"Whether it is the caller's"`
	Cluster        string    `json:"cluster"`
	Namespace      string    `json:"namespace"`
	Pod            string    `json:"pod"`
	Container      string    `json:"container"`
	TTY            bool      `json:"tty" doc:"Whether it has a terminal"`
	Transport      string    `json:"transport" enum:",ws,spdy" doc:"How the cluster is spoken to; empty while the shell opens"`
	Reason         string    `json:"reason" doc:"Why the shell was opened, as its owner said; may be empty"`
	StartedAt      time.Time `json:"startedAt"`
	LastActivityAt time.Time `json:"lastActivityAt" doc:"When something was last typed or printed, or its owner asked to stay"`
	BytesIn        int64     `json:"bytesIn" doc:"Bytes of stdin so far"`
	BytesOut       int64     `json:"bytesOut" doc:"Bytes of output so far"`
	File           string    `json:"file" doc:"Path of the file that it copies; empty for a shell"`
	State          string    `json:"state" enum:"attached,detached" doc:"Whether somebody is at it"`
}

// List describes the sessions that a may see and end, newest first: those of
// the same person, to an administrator everybody's.
func (ss *Sessions) List(a identity.Actor) []Info {
	return ss.list(a, func(s *session) bool { return mayEnd(a, s) })
}

// of describes a person's own sessions: those that count for the caps.
func (ss *Sessions) of(a identity.Actor) []Info {
	return ss.list(a, func(s *session) bool { return s.Actor.Same(a) })
}

func (ss *Sessions) list(a identity.Actor, wanted func(*session) bool) []Info {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	list := []Info{}
	for _, s := range ss.live {
		if s.ctx.Err() == nil && wanted(s) {
			list = append(list, s.info(a))
		}
	}
	slices.SortFunc(list, func(a, b Info) int {
		return cmp.Or(b.StartedAt.Compare(a.StartedAt), cmp.Compare(a.SessionID, b.SessionID))
	})
	return list
}

func mayEnd(a identity.Actor, s *session) bool { return a.Admin || s.Actor.Same(a) }

// info is the session as the caller is told about it.
func (s *session) info(caller identity.Actor) Info {
	kind, _ := s.kind.Load().(transport.Kind)
	return Info{
		File:      s.filePath(),
		SessionID: s.id, Subject: s.Actor.Subject, Email: s.Actor.Email, Own: s.Actor.Same(caller),
		Cluster: s.Cluster, Namespace: s.Namespace, Pod: s.Pod, Container: s.Container,
		TTY: s.TTY, Transport: string(kind), Reason: s.Reason,
		StartedAt: s.started.UTC(), LastActivityAt: s.clock.lastActivity().UTC(),
		BytesIn: s.in.total(), BytesOut: s.out.total(), State: s.state(),
	}
}

func (s *session) filePath() string {
	if s.file == nil {
		return ""
	}
	return s.file.Path
}

func (s *session) state() string {
	if s.at.Load() == nil {
		return "detached"
	}
	return "attached"
}

// lastActivity is when stdin or output was last seen, at first the start.
func (c *clock) lastActivity() time.Time {
	return c.base.Add(time.Duration(max(c.in.Load(), c.out.Load())))
}

var sessionIDs = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// End ends a session of the caller's own, or anybody's for an administrator. It
// is audited before it happens, and does not happen where it cannot be. A
// session that is somebody else's is answered like one that does not exist.
func (ss *Sessions) End(ctx context.Context, a identity.Actor, requestID, id string) error {
	s := ss.find(id)
	if s != nil && !mayEnd(a, s) {
		ss.emit(ctx, s.killDenied(a, requestID))
		s = nil
	}
	if s == nil {
		return fault.New(fault.NotFound, "podexec.End", "There is no such shell, or it has ended already. Load the list of sessions again.")
	}
	eventID := newID()
	if err := ss.emitRequested(ctx, s.killEvent(a, requestID, eventID), "so the shell was not ended"); err != nil {
		return err
	}
	s.finish(ending{reason: ForcedClose, message: s.endedBy(a)})
	done := s.killEvent(a, requestID, eventID)
	done.Stage, done.Outcome = audit.Completed, audit.Success
	done.Extra["close_reason"] = s.end.reason // another one where it ended by itself meanwhile
	ss.emit(ctx, done)
	return nil
}

// find is the live session of that id, nil where there is none.
func (ss *Sessions) find(id string) *session {
	if !sessionIDs.MatchString(id) {
		return nil
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.live[id]
	if s == nil || s.ctx.Err() != nil {
		return nil
	}
	return s
}

// killEvent is the first record of the ending of s by a.
func (s *session) killEvent(a identity.Actor, requestID, eventID string) audit.Event {
	e := eventOf(s.Request, eventID)
	e.Verb, e.Stage = audit.ExecKill, audit.Requested
	e.Actor, e.RequestID, e.Reason = audit.ActorOf(a), requestID, ""
	e.Extra["session_id"] = s.id
	e.Extra["session_actor"] = map[string]any{"sub": s.Actor.Subject, "email": s.Actor.Email}
	return e
}

// killDenied is the record of somebody who tried to end another person's session.
func (s *session) killDenied(a identity.Actor, requestID string) audit.Event {
	e := s.killEvent(a, requestID, newID())
	e.Stage, e.Outcome = audit.Completed, audit.Denied
	return e
}

// emitRequested records what is about to be done. An error is the reason not to;
// it says what follows.
func (ss *Sessions) emitRequested(ctx context.Context, e audit.Event, follows string) error {
	ctx, cancel := context.WithTimeout(ctx, auditLimit)
	defer cancel()
	if err := ss.Audit.Emit(ctx, e); err != nil {
		return fault.Wrap(err, fault.AuditUnavailable, "podexec.audit",
			"The audit record could not be written, %s. Tell whoever runs this server.", follows)
	}
	return nil
}

// endedBy says to the owner who ended the shell.
func (s *session) endedBy(a identity.Actor) string {
	if s.Actor.Same(a) {
		return "You ended this shell from the list of sessions."
	}
	return "The administrator " + nameOf(a) + " ended this shell from the list of sessions."
}

// nameOf is how people know each other.
func nameOf(a identity.Actor) string { return cmp.Or(a.Email, a.Subject) }
