package httpapi

import (
	"net/http"
	"slices"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

// Login is one browser in which the caller is logged in.
type Login struct {
	ID      string    `json:"id" doc:"Names the login; nobody can log in with it"`
	Agent   string    `json:"agent" doc:"What the browser called itself"`
	Created time.Time `json:"createdAt" doc:"When the login began"`
	Active  time.Time `json:"activeAt" doc:"When its person last did something"`
	Expires time.Time `json:"expiresAt" doc:"When it ends at the latest"`
	Current bool      `json:"current" doc:"Whether it is the one that asks"`
}

// LoginList is the answer of listLogins.
type LoginList struct {
	Logins []Login `json:"logins" doc:"The caller's logins, the newest first"`
}

func (s *server) loginRoutes() []route {
	return []route{
		get("/api/auth/logins", "listLogins", "The caller's own logins", s.listLogins).polled().byBrowser(),
		{
			method: http.MethodPost, path: "/api/auth/active", id: "active",
			summary: "Count as activity of the login: its person did something in the page, whose other calls may be its timers'", serve: s.active,
		},
		remove("/api/auth/logins/{id}", "endLogin", "End one of the caller's own logins, and its shells", s.endLogin).byBrowser(),
	}
}

// active does nothing: what is not polled was counted before it came here.
func (s *server) active(c *call) error {
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) listLogins(c *call) (LoginList, error) {
	all, err := s.Logins.Of(c.ctx(), c.actor)
	if err != nil {
		return LoginList{}, err
	}
	list := LoginList{Logins: make([]Login, 0, len(all))}
	for _, r := range all {
		list.Logins = append(list.Logins, Login{
			ID: string(r.ID), Agent: r.Agent, Created: r.Created.UTC(), Active: r.Active.UTC(), Expires: r.Actor.Expires.UTC(), Current: r.ID == c.login,
		})
	}
	return list, nil
}

// endLogin records before it acts: a login that has ended cannot be asked. What is
// none of the caller's own is no logout, and nothing for audit.
func (s *server) endLogin(c *call) error {
	own, err := s.Logins.Of(c.ctx(), c.actor)
	if err != nil {
		return err
	}
	id := websession.ID(c.r.PathValue("id"))
	if !slices.ContainsFunc(own, func(r websession.Record) bool { return r.ID == id }) {
		return fault.New(fault.NotFound, "httpapi.endLogin", "There is no such login of yours. It may have ended already.")
	}
	s.AuditLogin(c.ctx(), audit.AuthLogout, audit.Success, c.actor, "one login, by its owner")
	if err = s.Logins.EndOne(c.ctx(), c.actor, id); err != nil {
		s.AuditLogin(c.ctx(), audit.AuthLogout, audit.Failure, c.actor, fault.PublicOf(err))
	}
	return err
}
