package devlogin

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

const maxBody = 4 << 10

// Issuer is the Issuer of actors who log in here.
const Issuer = "dev"

// Sessions is what devlogin needs of websession.Manager.
type Sessions interface {
	Start(w http.ResponseWriter, r *http.Request, g websession.Grant) (identity.Actor, error)
	End(w http.ResponseWriter, r *http.Request) (identity.Actor, bool, error)
}

// Handler serves GET /api/auth/config, POST /api/auth/dev and POST
// /api/auth/logout. All are for people who are not logged in.
func (l *Login) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/auth/config", l.config)
	mux.HandleFunc("POST /api/auth/dev", l.login)
	mux.HandleFunc("POST /api/auth/logout", l.logout)
	return mux
}

// Config is the answer of GET /api/auth/config.
type Config struct {
	Mode         string `json:"mode" enum:"dev,oidc" doc:"How one logs in"`
	CodeRequired bool   `json:"codeRequired" doc:"Whether POST /api/auth/dev needs the one-time code"`
	ProviderName string `json:"providerName" doc:"Name of the login provider; empty in dev mode"`
}

func (l *Login) config(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, Config{Mode: "dev", CodeRequired: l.o.CodeRequired})
}

func (l *Login) login(w http.ResponseWriter, r *http.Request) {
	code, err := readCode(w, r)
	if err != nil {
		fail(w, err)
		return
	}
	actor, err := l.Exchange(code)
	if err != nil {
		l.denied(r, err)
		fail(w, err)
		return
	}
	started, err := l.o.Sessions.Start(w, r, websession.Grant{Actor: actor})
	if err != nil {
		l.o.Audit(r.Context(), "auth.login", "failure", actor, fault.PublicOf(err))
		fail(w, err)
		return
	}
	l.o.Audit(r.Context(), "auth.login", "success", started, "")
	answer(w, http.StatusOK, l.o.Whoami(started))
}

// denied leaves out the tries beyond the bound, or a program that guesses
// would fill the audit trail.
func (l *Login) denied(r *http.Request, err error) {
	if fault.KindOf(err) != fault.RateLimited {
		l.o.Audit(r.Context(), "auth.denied", "denied", identity.Actor{Issuer: Issuer}, fault.PublicOf(err))
	}
}

func (l *Login) logout(w http.ResponseWriter, r *http.Request) {
	actor, ok, err := l.o.Sessions.End(w, r)
	if err != nil {
		fail(w, err)
		return
	}
	if ok {
		l.o.Audit(r.Context(), "auth.logout", "success", actor, "")
	}
	w.WriteHeader(http.StatusNoContent)
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
	if err == nil && dec.More() {
		err = errors.New("more than one value")
	}
	if errors.Is(err, io.EOF) {
		return "", nil
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return "", fault.New(fault.TooLarge, "devlogin", "That is too long for a code. Open the address that the server printed in its terminal.")
	}
	if err != nil {
		return "", fault.Wrap(err, fault.Invalid, "devlogin", "Send the code as JSON: {\"code\":\"…\"}.")
	}
	return body.Code, nil
}

// statuses has every kind that these routes answer with.
var statuses = map[fault.Kind]int{
	fault.Internal:        http.StatusInternalServerError,
	fault.Invalid:         http.StatusBadRequest,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.RateLimited:     http.StatusTooManyRequests,
	fault.TooLarge:        http.StatusRequestEntityTooLarge,
	fault.MediaType:       http.StatusUnsupportedMediaType,
}

func fail(w http.ResponseWriter, err error) {
	kind := fault.KindOf(err)
	answer(w, statuses[kind], map[string]string{
		"error": kind.Code(), "message": fault.PublicOf(err), "requestId": w.Header().Get("X-Request-Id"),
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that has gone hears nothing
}
