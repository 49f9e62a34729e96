package websession

import (
	"context"
	"net/http"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
)

// Audit hears of every login, logout and refusal, by audit.AuthLogin, AuthLogout or
// AuthDenied. A success comes before the act; a failure follows it where the act did
// not happen. Its error, a fault, says that nothing was recorded: a login does not
// happen then, a logout does.
type Audit func(ctx context.Context, verb string, outcome audit.Outcome, actor identity.Actor, reason string) error

// Leaving is what a logout needs of a Manager.
type Leaving interface {
	FromRequest(r *http.Request) (identity.Actor, ID, error)
	Kept(r *http.Request) (Record, bool, error)
	End(w http.ResponseWriter, r *http.Request) (identity.Actor, bool, error)
	EndAll(ctx context.Context, a identity.Actor) (int, error)
}

// Leave ends the login of this browser, and has that recorded. It returns what was
// kept of it, nothing where nobody was logged in. Its errors are those of End.
func Leave(w http.ResponseWriter, r *http.Request, from Leaving, record Audit) (Record, error) {
	rec, known, err := from.Kept(r)
	if err != nil {
		return Record{}, err
	}
	if known {
		_ = record(r.Context(), audit.AuthLogout, audit.Success, rec.Actor, "")
	}
	if _, _, err = from.End(w, r); err != nil && known {
		_ = record(r.Context(), audit.AuthLogout, audit.Failure, rec.Actor, fault.PublicOf(err))
	}
	return rec, err
}

// LeaveEverywhere ends every login of whoever sends the request, and has that recorded.
// It returns as Leave does. Its errors are those of FromRequest and EndAll, too.
func LeaveEverywhere(w http.ResponseWriter, r *http.Request, from Leaving, record Audit) (Record, error) {
	who, _, err := from.FromRequest(r)
	if err != nil {
		return Record{}, err
	}
	_ = record(r.Context(), audit.AuthLogout, audit.Success, who, "everywhere")
	if _, err := from.EndAll(r.Context(), who); err != nil {
		_ = record(r.Context(), audit.AuthLogout, audit.Failure, who, fault.PublicOf(err))
		return Record{}, err
	}
	return Leave(w, r, from, record)
}
