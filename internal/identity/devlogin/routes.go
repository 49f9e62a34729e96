package devlogin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/entry"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

const maxBody = 4 << 10

// Issuer is the Issuer of actors who log in here.
const Issuer = "dev"

// Sessions is what devlogin needs of websession.Manager.
type Sessions interface {
	websession.Leaving
	Start(w http.ResponseWriter, r *http.Request, g websession.Grant) (identity.Actor, error)
	Of(ctx context.Context, a identity.Actor) ([]websession.Record, error)
}

// Routes are those below /api/auth/.
func (l *Login) Routes() []entry.Route {
	return []entry.Route{
		{Method: http.MethodGet, Path: "/api/auth/config", Serve: l.config},
		{Method: http.MethodPost, Path: "/api/auth/dev", Serve: l.login, Limited: true},
		{Method: http.MethodPost, Path: "/api/auth/logout", Serve: l.logout},
		{Method: http.MethodPost, Path: "/api/auth/logout/everywhere", Serve: l.logoutEverywhere},
	}
}

// config is asked by whoever has to log in.
func (l *Login) config(w http.ResponseWriter, r *http.Request) {
	l.renew(r.Context())
	entry.Answer(w, http.StatusOK, entry.Config{Mode: "dev", CodeRequired: l.o.CodeRequired})
}

func (l *Login) login(w http.ResponseWriter, r *http.Request) {
	code, err := readCode(w, r)
	if err != nil {
		entry.Fail(w, err)
		return
	}
	actor, err := l.Exchange(code)
	if err != nil {
		l.denied(r, err)
		entry.Fail(w, err)
		return
	}
	defer l.entered()
	if err := l.o.Audit(r.Context(), audit.AuthLogin, audit.Success, actor, ""); err != nil {
		l.giveBack(code)
		entry.Fail(w, err)
		return
	}
	started, err := l.o.Sessions.Start(w, r, websession.Grant{Actor: actor})
	if err != nil {
		_ = l.o.Audit(r.Context(), audit.AuthLogin, audit.Failure, actor, fault.PublicOf(err))
		entry.Fail(w, err)
		return
	}
	entry.Answer(w, http.StatusOK, l.o.Whoami(started))
}

// denied leaves out the tries beyond the bound, or a program that guesses
// would fill the audit trail.
func (l *Login) denied(r *http.Request, err error) {
	if fault.KindOf(err) != fault.RateLimited {
		_ = l.o.Audit(r.Context(), audit.AuthDenied, audit.Denied, identity.Actor{Issuer: Issuer}, fault.PublicOf(err))
	}
}

func (l *Login) logout(w http.ResponseWriter, r *http.Request) {
	_, err := websession.Leave(w, r, l.o.Sessions, l.o.Audit)
	left(w, err)
}

func (l *Login) logoutEverywhere(w http.ResponseWriter, r *http.Request) {
	_, err := websession.LeaveEverywhere(w, r, l.o.Sessions, l.o.Audit)
	left(w, err)
}

func left(w http.ResponseWriter, err error) {
	if err != nil {
		entry.Fail(w, err)
		return
	}
	entry.Answer(w, http.StatusOK, entry.LoggedOut{})
}

// readCode takes {"code":"…"} as JSON alone: a form of another page cannot
// send that content type without asking first.
func readCode(w http.ResponseWriter, r *http.Request) (string, error) {
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/json" {
		return "", fault.New(fault.MediaType, "devlogin", "Send the code as JSON, with the content type application/json.")
	}
	var body struct{ Code string }
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	err := dec.Decode(&body)
	if errors.Is(err, io.EOF) {
		return "", nil
	}
	if err == nil {
		if err = dec.Decode(new(json.RawMessage)); errors.Is(err, io.EOF) {
			return body.Code, nil
		}
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return "", fault.New(fault.TooLarge, "devlogin", "That is too long for a code. Open the address that the server printed in its terminal.")
	}
	return "", fault.Wrap(err, fault.Invalid, "devlogin", "Send the code as JSON: {\"code\":\"…\"}, and nothing after it.")
}
