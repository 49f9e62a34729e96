package httpapi

import (
	"slices"

	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/podexec"
)

// maxSessions bounds the list of sessions.
const maxSessions = 1000

// sessionRoutes are the list of open shells and the ending of one.
func (s *server) sessionRoutes() []route {
	return []route{
		get("/api/exec/sessions", "listExecSessions", "Open shells: one's own, to an administrator everybody's", s.listSessions).polled().with(
			param{"limit", "At most so many, the first of the list, 1 to 1000", "integer"}),
		remove("/api/exec/sessions/{session}", "endExecSession", "End a shell", s.endSession).by(token.Exec),
	}
}

// SessionList is the answer of listExecSessions.
type SessionList struct {
	Sessions []podexec.Info `json:"sessions" doc:"One's own, then everybody else's, each newest first"`
	Scope    string         `json:"scope" enum:"self,all" doc:"Whose shells the caller sees"`
	Total    int            `json:"total" doc:"How many there are, also where the limit cut the list"`
}

func (s *server) listSessions(c *call) (SessionList, error) {
	limit, err := c.number("limit", maxSessions, 1, maxSessions)
	if err != nil {
		return SessionList{}, err
	}
	all := s.reached(c)
	list := SessionList{Sessions: firstOf(all, limit), Scope: "self", Total: len(all)}
	if c.actor.Admin {
		list.Scope = "all"
	}
	return list, nil
}

// firstOf cuts the list. One's own stand first: an administrator must not lose sight of
// them among everybody's.
func firstOf(all []podexec.Info, limit int) []podexec.Info {
	slices.SortStableFunc(all, func(a, b podexec.Info) int {
		switch {
		case a.Own == b.Own:
			return 0
		case a.Own:
			return -1
		}
		return 1
	})
	return all[:min(limit, len(all))]
}

// reached are the sessions that the caller may see, in clusters that it may use.
func (s *server) reached(c *call) []podexec.Info {
	return slices.DeleteFunc(s.Sessions.List(c.actor), func(i podexec.Info) bool { return !c.token.Reaches(i.Cluster) })
}

func (s *server) endSession(c *call) error {
	id := c.r.PathValue("session")
	if !slices.ContainsFunc(s.reached(c), func(i podexec.Info) bool { return i.SessionID == id }) {
		id = "" // and so unknown, as any other that the caller may not end
	}
	return s.Sessions.End(c.ctx(), c.actor, c.requestID, id)
}
