package httpapi

import (
	"errors"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/token"
)

// maxLifetime keeps seconds within a time.Duration.
const maxLifetime = 100 * 365 * 24 * 3600

func (s *server) tokenRoutes() []route {
	return []route{
		get("/api/auth/tokens", "listTokens", "Access tokens: one's own, to an administrator everybody's", s.listTokens).polled().byBrowser().with(
			param{"everybody", "true: everybody's, for an administrator", "boolean"}),
		post("/api/auth/tokens", "createToken", "Make an access token; the answer alone shows it", s.createToken).counted(),
		remove("/api/auth/tokens", "revokeTokens", "Revoke all of the caller's own tokens, and end their shells", s.revokeTokens),
		remove("/api/auth/tokens/{id}", "revokeToken", "Revoke a token, and end its shells", s.revokeToken),
	}
}

// AccessToken is a personal access token as lists show it.
type AccessToken struct {
	ID        string        `json:"id" doc:"Names the token, also in audit; nobody can act by it"`
	Name      string        `json:"name"`
	Scopes    []token.Scope `json:"scopes" enum:"read,exec,admin" doc:"What it may be used for"`
	Clusters  []string      `json:"clusters" doc:"Where it may be used; empty for all clusters"`
	CreatedAt time.Time     `json:"createdAt"`
	UsedAt    *time.Time    `json:"usedAt" doc:"When it was last used, to the minute; null for never"`
	ExpiresAt *time.Time    `json:"expiresAt" doc:"When it ends; null for never"`
	Own       bool          `json:"own" doc:"Whether it is the caller's"`
	Subject   string        `json:"subject" doc:"Subject of its owner"`
	Email     string        `json:"email" doc:"E-mail address of its owner; may be empty"`
}

// TokenLimits are what whoever runs the server allows.
type TokenLimits struct {
	MaxLifetimeSeconds int64 `json:"maxLifetimeSeconds" doc:"Longest life of a token"`
	NoExpiry           bool  `json:"noExpiry" doc:"Whether one may live for ever"`
	MaxPerPerson       int   `json:"maxPerPerson" doc:"How many a person may have"`
}

// AccessTokenList is the answer of listTokens.
type AccessTokenList struct {
	Tokens []AccessToken `json:"tokens" doc:"The newest first, at most 1000"`
	Scope  string        `json:"scope" enum:"self,all" doc:"Whose tokens these are"`
	Admin  bool          `json:"admin" doc:"Whether the caller may ask for everybody's"`
	Limits TokenLimits   `json:"limits"`
}

// NewToken is what a token is wanted for.
type NewToken struct {
	Name            string        `json:"name" doc:"1 to 64 characters, unique among the caller's"`
	Scopes          []token.Scope `json:"scopes" enum:"read,exec,admin" doc:"What it may be used for; one at least"`
	Clusters        []string      `json:"clusters,omitempty" doc:"Where it may be used; empty for all clusters"`
	LifetimeSeconds int64         `json:"lifetimeSeconds" doc:"How long it holds; 0 for ever, where that is allowed"`
}

// MadeToken is the answer of createToken.
type MadeToken struct {
	Token  AccessToken `json:"token"`
	Secret string      `json:"secret" doc:"The token itself, which is never shown again"`
}

// UsedToken is the token by which a caller acts.
type UsedToken struct {
	ID       string        `json:"id"`
	Name     string        `json:"name"`
	Scopes   []token.Scope `json:"scopes" enum:"read,exec,admin"`
	Clusters []string      `json:"clusters" doc:"Where it may be used; empty for all clusters"`
}

// usedToken is nil for a browser.
func usedToken(t token.Token) *UsedToken {
	if t.ID == "" {
		return nil
	}
	return &UsedToken{ID: string(t.ID), Name: t.Name, Scopes: t.Scopes, Clusters: append([]string{}, t.Clusters...)}
}

func (s *server) tokenOf(c *call, h token.Held) AccessToken {
	t := h.Token
	return AccessToken{
		ID: string(t.ID), Name: t.Name, Scopes: t.Scopes, Clusters: append([]string{}, t.Clusters...),
		CreatedAt: t.Created.UTC(), UsedAt: unlessZero(t.Used), ExpiresAt: unlessZero(s.Tokens.Expires(t)),
		Own: c.actor.Same(identity.Actor{Issuer: t.Issuer, Subject: t.Subject}), Subject: t.Subject, Email: h.Owner.Email,
	}
}

func unlessZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (s *server) listTokens(c *call) (AccessTokenList, error) {
	everybody, err := c.flag("everybody", false)
	if err != nil {
		return AccessTokenList{}, err
	}
	held, err := s.Tokens.List(c.ctx(), c.actor, everybody)
	if err != nil {
		return AccessTokenList{}, err
	}
	limits := s.Tokens.Limits()
	list := AccessTokenList{
		Tokens: make([]AccessToken, 0, len(held)), Scope: "self", Admin: c.actor.Admin,
		Limits: TokenLimits{MaxLifetimeSeconds: int64(limits.MaxLifetime / time.Second), NoExpiry: limits.NoExpiry, MaxPerPerson: limits.MaxPerPerson},
	}
	if everybody {
		list.Scope = "all"
	}
	for _, h := range held {
		list.Tokens = append(list.Tokens, s.tokenOf(c, h))
	}
	return list, nil
}

func (s *server) createToken(c *call, in NewToken) (MadeToken, error) {
	if in.LifetimeSeconds < 0 || in.LifetimeSeconds > maxLifetime {
		return MadeToken{}, fault.New(fault.Invalid, "httpapi.createToken", "The field lifetimeSeconds must be a number of seconds, such as 2592000 for 30 days.")
	}
	for _, name := range in.Clusters {
		if _, err := s.Clusters.Get(name); err != nil {
			return MadeToken{}, err
		}
	}
	t, secret, err := s.Tokens.Create(c.ctx(), c.actor, c.requestID, token.Wish{
		Name: in.Name, Scopes: in.Scopes, Clusters: in.Clusters, Lifetime: time.Duration(in.LifetimeSeconds) * time.Second,
	})
	if err == nil {
		err = s.stillIn(c, t)
	}
	if err != nil {
		return MadeToken{}, err
	}
	owner := token.Person{Subject: c.actor.Subject, Email: c.actor.Email}
	return MadeToken{Token: s.tokenOf(c, token.Held{Token: t, Owner: owner}), Secret: secret.Reveal()}, nil
}

// stillIn takes a token away again whose maker was logged out while it was made:
// who signs out everywhere ends the logins, then the tokens that are there by
// then.
func (s *server) stillIn(c *call, t token.Token) error {
	_, _, out := s.Logins.FromRequest(c.r)
	if out == nil {
		return nil
	}
	return errors.Join(out, s.Tokens.Revoke(c.ctx(), c.actor, c.requestID, t.ID))
}

func (s *server) revokeToken(c *call) error {
	id := c.r.PathValue("id")
	if len(id) != token.IDSize {
		id = "" // and so unknown
	}
	return s.Tokens.Revoke(c.ctx(), c.actor, c.requestID, token.ID(id))
}

func (s *server) revokeTokens(c *call) error {
	_, err := s.Tokens.RevokeAll(c.ctx(), c.actor, c.requestID)
	return err
}
