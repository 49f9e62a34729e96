package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/devlogin"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

func (s *Server) buildTokens(kept token.Store) {
	set := s.cfg.Auth.Tokens
	s.tokens = token.New(token.Options{
		Store: kept, Admit: s.admitOwner, Audit: s.audit, Acts: s.acts, Log: s.opt.Log,
		Limits: token.Limits{
			Enabled: set.Enabled, MaxLifetime: set.MaxLifetime, NoExpiry: set.NoExpiry,
			OwnerSeen: set.OwnerSeenWithin, MaxPerPerson: set.MaxPerPerson,
		},
	})
}

// admitOwner asks the policy of logins about a token's owner. Only people of the
// way to log in that is set now are let in: who came by another is nobody here.
func (s *Server) admitOwner(a identity.Actor) (identity.Actor, error) {
	issuer, dev := s.cfg.Auth.OIDC.Issuer, s.cfg.Auth.Dev
	if s.cfg.Auth.Mode == config.AuthDev {
		issuer = devlogin.Issuer
		a.Admin = dev.Admin && a.Subject == dev.Subject
	}
	if a.Issuer != issuer {
		return identity.Actor{}, errElsewhere()
	}
	return s.cfg.Auth.Policy.Admit(a)
}

func errElsewhere() error {
	return fault.New(fault.Forbidden, "server.admitOwner",
		"The owner of this token logged in by a provider that this server no longer uses. Log in again and make a new token.")
}

// sessions are the logins as the ways to log in see them: what ends a person's
// logins everywhere ends their tokens too.
type sessions struct {
	*websession.Manager
	tokens *token.Keeper
}

func (s *Server) loginsAndTokens() sessions { return sessions{s.logins, s.tokens} }

// EndAll ends the logins first, by which somebody could make more tokens, and each
// kind whatever came of the other: tokens that cannot be revoked, for want of a
// record, keep no thief logged in.
func (s sessions) EndAll(ctx context.Context, a identity.Actor) (int, error) {
	n, err := s.Manager.EndAll(ctx, a)
	if _, left := s.tokens.RevokeAll(ctx, a, ""); left != nil {
		err = errors.Join(err, fault.Wrap(left, fault.KindOf(left), "server.EndAll",
			"Your logins have ended, but access tokens of yours still hold. Log in again and revoke them on the page “Access tokens”; if that fails too, tell whoever runs this server."))
	}
	return n, err
}

// devSessions also tell who has logged in; a provider's are told by oidc.
type devSessions struct{ sessions }

func (s devSessions) Start(w http.ResponseWriter, r *http.Request, g websession.Grant) (identity.Actor, error) {
	if err := s.tokens.See(r.Context(), g.Actor); err != nil {
		return identity.Actor{}, err
	}
	return s.sessions.Start(w, r, g)
}
