// Package httpapi is the HTTP edge: routes as data, the checks that come before
// every one of them, the WebSocket adaptor of the terminal, and the pages.
//
// It owns how a fault looks in HTTP and what the API's description
// (api/openapi.yaml) says. It does not own logins (their handlers are mounted
// beside it), sessions or clusters: it calls them. It starts no goroutines; a
// terminal's request returns when its socket is finished with.
package httpapi

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"

	"golang.org/x/time/rate"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/entry"
	"github.com/periscope-console/periscope/internal/identity/grant"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/identity/websession"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/peer"
	"github.com/periscope-console/periscope/internal/poddebug"
	"github.com/periscope-console/periscope/internal/podexec"
	"github.com/periscope-console/periscope/internal/quota"
	"github.com/periscope-console/periscope/internal/tunnel/enrol"
)

// Logins finds out who sends a request.
type Logins interface {
	// FromRequest is an Unauthenticated fault where there is no valid login.
	FromRequest(*http.Request) (identity.Actor, websession.ID, error)
	// Touch counts as activity of the login. It does not block.
	Touch(websession.ID)
	// Present is who the login is now, as FromRequest would say.
	Present(context.Context, websession.ID) (identity.Actor, error)
	// Done is closed when the login ends.
	Done(websession.ID) <-chan struct{}
	// Of lists a person's logins.
	Of(context.Context, identity.Actor) ([]websession.Record, error)
	// EndOne ends one of the person's own; any other is a NotFound fault.
	EndOne(context.Context, identity.Actor, websession.ID) error
}

// Options are what the edge needs from outside.
type Options struct {
	Version string
	Guard   Guard
	Logins  Logins
	Login   []entry.Route // below /api/auth/
	// Proxies are believed about their clients' addresses.
	Proxies peer.Proxies
	// Quota bounds the routes that are limited; nil bounds nothing.
	Quota    *quota.Quota
	Tokens   *token.Keeper
	Grants   *grant.Keeper
	Clusters *clusters.Registry
	Sessions *podexec.Sessions
	// Resume says whether a shell waits for a client that was lost.
	Resume bool
	// MaxFile bounds a file that is copied, in bytes; 0: none are.
	MaxFile int64
	Debug   *poddebug.Maker
	// Agents enrols agents; nil where no cluster is reached through one.
	Agents *enrol.Keeper
	// AgentURLs are what commands for new agents are made of.
	AgentURLs AgentURLs
	Rights    *kube.Rights
	Who       Who
	Pages     fs.FS // the built UI
	Log       *slog.Logger
	// Ready is nil when every part that a request needs is up.
	Ready func(context.Context) error
	// AuditLogin records what somebody does to a login.
	AuditLogin func(ctx context.Context, verb string, outcome audit.Outcome, actor identity.Actor, reason string)
}

// Who is what whoami says of the server rather than of the caller.
type Who struct {
	Mode      string
	AuthzMode string
}

type server struct {
	Options
	floods *rate.Sometimes // of refusals by the quota, in the log
	strays *rate.Sometimes // of those by the guard

	denials *quota.Digest[denial] // in audit
	lists   *lists                // under way
}

func newServer(o Options) *server {
	return &server{Options: o, floods: perFlood(), strays: perFlood(), denials: quota.NewDigest[denial](), lists: newLists()}
}

// New builds the handler of the main listener.
func New(o Options) http.Handler {
	s := newServer(o)
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.HandleFunc(r.method+" "+r.path, s.handler(r))
	}
	for _, r := range o.Login {
		mux.Handle(r.Method+" "+r.Path, visited(r.Visited, s.bounded(r.Limited, withoutToken(r.Serve))))
	}
	mux.HandleFunc("/api/", s.unknown)
	mux.Handle("/", newPages(o.Pages))
	return Hurried(s.observed(s.guarded(s.refuseCrooked(mux))))
}
