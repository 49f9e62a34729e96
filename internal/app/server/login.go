package server

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/httpapi"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/devlogin"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

// maxLogins bounds the logins held in memory.
const maxLogins = 10_000

func (s *Server) buildLogins() error {
	auth := s.cfg.Auth
	actor, err := auth.Policy.Admit(identity.Actor{
		Issuer: devlogin.Issuer, Subject: auth.Dev.Subject, Email: auth.Dev.Email,
		Groups: auth.Dev.Groups, Admin: auth.Dev.Admin,
	})
	if err != nil {
		return err
	}
	s.logins = websession.New(websession.Options{
		Store: websession.NewMemory(maxLogins), CookieName: auth.Session.CookieName,
		Secure: s.cfg.Listen.TLS(), SameSite: http.SameSiteStrictMode,
		Idle: auth.Session.IdleTimeout, Absolute: auth.Session.AbsoluteTimeout, Log: s.opt.Log,
	})
	s.login = devlogin.New(devlogin.Options{
		Actor: actor, CodeRequired: auth.CodeRequired, Sessions: s.logins,
		Whoami: func(a identity.Actor) any { return s.who().WhoamiOf(a) },
		Audit:  s.auditLogin(audit.NewLines(s.opt.Audit)),
	})
	return nil
}

func (s *Server) who() httpapi.Who {
	return httpapi.Who{Mode: string(s.cfg.Auth.Mode), AuthzMode: string(s.cfg.Auth.Policy.Mode)}
}

// auditLogin records logins, logouts and refusals.
func (s *Server) auditLogin(to audit.Emitter) devlogin.Audit {
	return func(ctx context.Context, verb, outcome string, actor identity.Actor, reason string) {
		err := to.Emit(ctx, audit.Event{
			EventID: rand.Text(), Stage: audit.Completed, Timestamp: time.Now(), Verb: verb,
			Outcome: audit.Outcome(outcome), Actor: audit.ActorOf(actor), Reason: reason,
		})
		if err != nil {
			s.opt.Log.Error("audit.lost", "verb", verb, "error", err)
		}
	}
}

// guard allows the names of the public URL, or in dev mode those of loopback.
func (s *Server) guard() httpapi.Guard {
	g := httpapi.Guard{Probes: true, TLS: s.cfg.Listen.TLS()}
	if s.cfg.Listen.PublicURL != "" {
		u, err := url.Parse(s.cfg.Listen.PublicURL)
		if err != nil {
			panic(err) // config has parsed it
		}
		g.Hosts, g.Origins = []string{u.Host}, []string{u.Scheme + "://" + u.Host}
		g.TLS = g.TLS || u.Scheme == "https"
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
	return mux
}
