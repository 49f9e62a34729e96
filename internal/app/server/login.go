package server

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/httpapi"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/devlogin"
	"github.com/periscope-console/periscope/internal/identity/entry"
	"github.com/periscope-console/periscope/internal/identity/grant"
	"github.com/periscope-console/periscope/internal/identity/oidc"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/identity/websession"
	"github.com/periscope-console/periscope/internal/store"
)

const (
	// maxLogins bounds the logins held in memory.
	maxLogins = 10_000
	// auditLimit is how long an audit record may take to become durable.
	auditLimit = 5 * time.Second
)

// way is one way to log in.
type way interface {
	// Routes are those below /api/auth/.
	Routes() []entry.Route
}

func (s *Server) buildLogins(ctx context.Context) error {
	logins, tokens, grants, err := s.openStore(ctx)
	if err != nil {
		return err
	}
	s.buildTokens(tokens)
	s.grants = grant.New(grants)
	auth := s.cfg.Auth
	o := websession.Options{
		Store: logins, CookieName: auth.Session.CookieName, Secure: s.secure(),
		SameSite: http.SameSiteStrictMode, Idle: auth.Session.IdleTimeout, Absolute: auth.Session.AbsoluteTimeout, Log: s.opt.Log,
	}
	if auth.Mode == config.AuthDev {
		return s.buildDevLogin(o)
	}
	s.buildProvider(o)
	return nil
}

// openStore keeps logins, tokens and what waits for an answer in the database, or
// in memory where there is none.
func (s *Server) openStore(ctx context.Context) (_ websession.Store, _ token.Store, _ grant.Store, err error) {
	if s.cfg.DatabaseURL == "" {
		return websession.NewMemory(maxLogins), token.NewMemory(maxLogins), grant.NewMemory(), nil
	}
	if s.db, err = store.Open(ctx, s.cfg.DatabaseURL); err != nil {
		return nil, nil, nil, err
	}
	return s.db.Logins(), s.db.Tokens(), s.db.Grants(), nil
}

func (s *Server) buildDevLogin(o websession.Options) error {
	auth := s.cfg.Auth
	actor, err := auth.Policy.Admit(identity.Actor{
		Issuer: devlogin.Issuer, Subject: auth.Dev.Subject, Email: auth.Dev.Email,
		Groups: auth.Dev.Groups, Admin: auth.Dev.Admin,
	})
	if err != nil {
		return err
	}
	o.Admit = func(was identity.Actor) (identity.Actor, error) {
		if !was.Same(actor) {
			return identity.Actor{}, errOtherWay()
		}
		is := actor
		is.Expires = was.Expires
		return is, nil
	}
	o.Ended = s.ended
	s.logins = websession.New(o)
	s.dev = devlogin.New(devlogin.Options{
		Actor: actor, CodeRequired: auth.CodeRequired, Sessions: devSessions{s.loginsAndTokens()},
		Whoami: func(a identity.Actor) any { return s.who().WhoamiOf(a) },
		Audit:  s.auditLogin,
		Renewed: func() {
			if s.opt.Started != nil {
				s.opt.Started(s.URL())
			}
		},
	})
	s.entry = s.dev
	return nil
}

func (s *Server) buildProvider(o websession.Options) {
	set := s.cfg.Auth.OIDC
	o.SameSite = http.SameSiteLaxMode
	o.Renew = func(ctx context.Context, r websession.Record) (websession.Grant, error) {
		return s.provider.Renew(ctx, r)
	}
	o.Admit = s.readmit
	o.Ended = s.ended
	s.logins = websession.New(o)
	s.provider = oidc.New(oidc.Options{
		Issuer: set.Issuer, ClientID: set.ClientID, Secret: set.ClientSecret, RedirectURL: set.RedirectURL,
		PostLogoutRedirect: set.PostLogoutRedirect, Scopes: set.Scopes, Audience: set.Audience,
		ProviderName: set.ProviderName, GroupsClaim: set.GroupsClaim, UserClaim: s.cfg.Auth.Policy.UserClaim,
		Secure: s.secure(), Soonest: s.opt.Renew,
		Admit: s.cfg.Auth.Policy.Admit, See: s.tokens.See, Sessions: s.loginsAndTokens(),
		Audit: s.auditLogin, Log: s.opt.Log,
	})
	s.entry = s.provider
}

// readmit is the rule of today for a login of yesterday. Who administered then
// does so only if that rule says so, and whoever came by another provider is
// nobody here: the same name there may be somebody else's.
func (s *Server) readmit(a identity.Actor) (identity.Actor, error) {
	if a.Issuer != s.cfg.Auth.OIDC.Issuer {
		return identity.Actor{}, errOtherWay()
	}
	a.Tier, a.Admin, a.AuditAll, a.As = "", false, false, identity.Impersonation{}
	return s.cfg.Auth.Policy.Admit(a)
}

func errOtherWay() error {
	return fault.New(fault.Unauthenticated, "server.readmit", "You logged in by a way that this server no longer has. Log in again.")
}

// secure reports whether browsers reach us over TLS.
func (s *Server) secure() bool {
	return s.cfg.Listen.TLS() || strings.HasPrefix(s.cfg.Listen.PublicURL, "https://")
}

func (s *Server) who() httpapi.Who {
	return httpapi.Who{Mode: string(s.cfg.Auth.Mode), AuthzMode: string(s.cfg.Auth.Policy.Mode)}
}

// auditLogin records logins, logouts and refusals. Where it cannot, the log has it
// and whoever asked hears of it: no login happens that was not recorded. A logout
// does, as does a refusal; whoever asked for one and hung up is recorded like any.
func (s *Server) auditLogin(ctx context.Context, verb string, outcome audit.Outcome, actor identity.Actor, reason string) error {
	from := audit.SourceOf(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditLimit)
	defer cancel()
	e := audit.Event{
		EventID: rand.Text(), Stage: audit.Completed, Timestamp: time.Now(), Verb: verb,
		Outcome: outcome, Actor: audit.ActorOf(actor), Reason: reason, RequestID: from.RequestID,
		Extra: map[string]any{"client_address": from.Address},
	}
	if err := s.audit.Emit(ctx, e); err != nil {
		s.opt.Log.Error("audit.lost", "verb", verb, "eventId", e.EventID, "error", err)
		return fault.Wrap(err, fault.AuditUnavailable, "server.auditLogin", "Your login could not be recorded, so you were not let in. Tell whoever runs this server.")
	}
	return nil
}

// ended records a login that ended without anybody's asking for it. What cannot be
// recorded is in the log.
func (s *Server) ended(ctx context.Context, who identity.Actor, why string) {
	_ = s.auditLogin(ctx, audit.AuthLogout, audit.Success, who, why)
}

// guard allows the names of the public URL, or in dev mode those of loopback.
func (s *Server) guard() httpapi.Guard {
	g := httpapi.Guard{Probes: true, TLS: s.secure()}
	if s.cfg.Listen.PublicURL != "" {
		u, err := url.Parse(s.cfg.Listen.PublicURL)
		if err != nil {
			panic(err) // config has parsed it
		}
		g.Hosts, g.Origins = []string{u.Host}, []string{u.Scheme + "://" + u.Host}
		return g
	}
	for _, name := range []string{"127.0.0.1", "localhost", "[::1]"} {
		host := name + ":" + s.port()
		g.Hosts = append(g.Hosts, host)
		g.Origins = append(g.Origins, s.scheme()+"://"+host)
	}
	g.Origins = append(g.Origins, s.cfg.Listen.DevAllowOrigins...)
	return g
}

func metricsHandler(reg *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	return httpapi.Hurried(mux)
}
