// Package entry is what the ways to log in have in common at their HTTP edge:
// rows of their routes and the shapes of their answers.
//
// It owns those shapes and which status a fault has there. It does not own any
// route; devlogin and oidc do. It starts no goroutines.
package entry

import (
	"encoding/json"
	"net/http"

	"github.com/periscope-console/periscope/internal/fault"
)

// Route is one row of a way to log in.
type Route struct {
	Method, Path string
	// Limited is true where a request costs before anybody knows who sends it.
	Limited bool
	// Visited is true where a browser goes to the address, and nothing in a page asks
	// for it.
	Visited bool
	Serve   http.HandlerFunc
}

// Handler serves routes alone. The server mounts them among its own instead.
func Handler(routes []Route) http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.Method+" "+r.Path, r.Serve)
	}
	return mux
}

// Config is the answer of GET /api/auth/config.
type Config struct {
	Mode         string   `json:"mode" enum:"dev,oidc" doc:"How one logs in"`
	CodeRequired bool     `json:"codeRequired" doc:"Whether POST /api/auth/dev needs the one-time code"`
	ProviderName string   `json:"providerName" doc:"Name of the login provider; empty in dev mode"`
	Failure      *Failure `json:"failure" doc:"Why the last try to log in from this browser failed, told once; null when none did"`
}

// Failure is why a login failed, in words that its person may pass on.
type Failure struct {
	Message   string `json:"message" doc:"What happened and what to do"`
	RequestID string `json:"requestId" doc:"Finds the try in the server's log"`
}

// LoggedOut is the answer of POST /api/auth/logout and /logout/everywhere.
type LoggedOut struct {
	Redirect string `json:"redirect" doc:"Where to go to end the login at the provider as well; empty where nothing is left to do"`
}

// statuses has every kind that logins answer with.
var statuses = map[fault.Kind]int{
	fault.Internal:        http.StatusInternalServerError,
	fault.Invalid:         http.StatusBadRequest,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.Forbidden:       http.StatusForbidden,
	fault.RateLimited:     http.StatusTooManyRequests,
	fault.TooLarge:        http.StatusRequestEntityTooLarge,
	fault.MediaType:       http.StatusUnsupportedMediaType,
	fault.Timeout:         http.StatusGatewayTimeout,

	fault.AuditUnavailable: http.StatusServiceUnavailable,
}

// Fail answers with a fault.
func Fail(w http.ResponseWriter, err error) {
	kind := fault.KindOf(err)
	status, known := statuses[kind]
	if !known {
		kind, status = fault.Internal, http.StatusInternalServerError
	}
	Answer(w, status, map[string]string{
		"error": kind.Code(), "message": fault.PublicOf(err), "requestId": w.Header().Get("X-Request-Id"),
	})
}

// Answer answers with a JSON value that nobody may keep.
func Answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that has gone hears nothing
}
