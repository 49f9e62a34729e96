package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

const (
	// A login is renewed when its access token runs out, within these bounds.
	soonest, latest = time.Minute, 15 * time.Minute
	// maxHint bounds the ID token that is kept for the logout.
	maxHint = 8 << 10
)

// renewal is what a session keeps of the provider.
type renewal struct {
	Refresh string `json:"refresh,omitempty"`
	// Hint is the ID token, which the provider's logout wants to see.
	Hint string `json:"hint,omitempty"`
}

func (r renewal) encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings
	}
	return b
}

func (l *Login) config(ctx context.Context, f *found) (*oauth2.Config, error) {
	clientSecret, err := l.o.Secret.Get(ctx)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "oidc", "The server's own secret for the login provider cannot be read. Tell whoever runs this server.")
	}
	return &oauth2.Config{
		ClientID: l.o.ClientID, ClientSecret: clientSecret, Endpoint: f.endpoint(), RedirectURL: l.o.RedirectURL, Scopes: f.scopes(l.o.Scopes),
	}, nil
}

// exchange turns the code into a login, or says why not.
func (l *Login) exchange(ctx context.Context, code string, p pending) (websession.Grant, error) {
	f, err := l.dir.get()
	if err != nil {
		return websession.Grant{}, err
	}
	config, err := l.config(ctx, f)
	if err != nil {
		return websession.Grant{}, err
	}
	ctx = l.dir.context(ctx)
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(p.Verifier))
	if err != nil {
		return websession.Grant{}, exchangeFault(err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok || raw == "" {
		return websession.Grant{}, refuse(nil, "Your login provider sent no ID token. Ask whoever runs this server to check that oidc.scopes has openid.")
	}
	id, err := l.verify(ctx, f, raw, token)
	if err != nil {
		return websession.Grant{}, err
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(p.Nonce)) != 1 {
		return websession.Grant{}, refuse(nil, "Your login provider answered another login than this one. Log in again; if it stays so, tell whoever runs this server.")
	}
	return l.grant(ctx, f, token, id, raw)
}

func exchangeFault(err error) error {
	var said *oauth2.RetrieveError
	switch unreached := (*url.Error)(nil); {
	case errors.As(err, &unreached):
		return fault.Wrap(err, fault.Timeout, "oidc", "Your login provider does not answer. Try again in a moment; if it stays so, tell whoever runs this server.")
	case !errors.As(err, &said): // the library takes 1 MiB at most
		return refuse(err, "Your login provider's answer cannot be read; it may be too long, as with very many groups. Tell whoever runs your login provider.")
	case said.ErrorCode == "invalid_grant":
		return refuse(err, "This login has been used already, or took too long. Log in again.")
	case said.ErrorCode == "invalid_client" || said.ErrorCode == "unauthorized_client":
		return fault.Wrap(err, fault.Internal, "oidc", "Your login provider does not accept this server (%s). Ask whoever runs it to check oidc.clientID and oidc.clientSecret.", said.ErrorCode)
	default:
		return fault.Wrap(err, fault.Internal, "oidc", "Your login provider did not complete the login. Try again in a moment; if it stays so, tell whoever runs this server.")
	}
}

// verify checks an ID token as OpenID Connect Core 1.0, section 3.1.3.7, asks.
func (l *Login) verify(ctx context.Context, f *found, raw string, token *oauth2.Token) (*gooidc.IDToken, error) {
	id, err := f.verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if ahead := time.Until(id.IssuedAt); ahead > skew {
		return nil, refuse(nil, "Your login was made %v in the future, so the clock of this server or of your login provider is wrong. Tell whoever runs this server.", ahead.Round(time.Minute))
	}
	var c struct {
		AuthorizedParty string `json:"azp"`
	}
	if err := id.Claims(&c); err != nil {
		return nil, verifyFault(err)
	}
	if c.AuthorizedParty != "" && c.AuthorizedParty != l.o.ClientID || c.AuthorizedParty == "" && len(id.Audience) > 1 {
		return nil, refuse(nil, "Your login was made for another application. Ask whoever runs this server to check oidc.clientID.")
	}
	if id.AccessTokenHash != "" && token.AccessToken != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return nil, verifyFault(err)
		}
	}
	return id, nil
}

func verifyFault(err error) error {
	var expired *gooidc.TokenExpiredError
	if errors.As(err, &expired) {
		return refuse(err, "Your login ran out %v ago, before it could be used. The clock of this server or of your login provider may be wrong; tell whoever runs this server.", time.Since(expired.Expiry).Round(time.Minute))
	}
	return refuse(err, "Your login could not be verified. Log in again; if it stays so, give the request id to whoever runs this server.")
}

// grant is who the token is about and when to ask again.
func (l *Login) grant(ctx context.Context, f *found, token *oauth2.Token, id *gooidc.IDToken, raw string) (websession.Grant, error) {
	var payload json.RawMessage
	if err := id.Claims(&payload); err != nil {
		return websession.Grant{}, verifyFault(err)
	}
	c, err := parseClaims(payload)
	if err != nil {
		return websession.Grant{}, err
	}
	if c, err = l.complete(ctx, f, token, c); err != nil {
		return websession.Grant{}, err
	}
	a, err := c.person(l.o.Issuer, l.o.GroupsClaim, l.o.UserClaim)
	if err != nil {
		return websession.Grant{}, err
	}
	return l.admit(ctx, a, token, raw)
}

// complete adds what the ID token lacks from userinfo, about the same person.
func (l *Login) complete(ctx context.Context, f *found, token *oauth2.Token, c claims) (claims, error) {
	_, grouped := c.find(l.o.GroupsClaim)
	_, named := c.find(l.o.UserClaim)
	enough := (grouped || c.overage(l.o.GroupsClaim)) && (named || slices.Contains(ownClaims, l.o.UserClaim))
	if enough || f.metadata.UserinfoTarget == "" {
		return c, nil
	}
	// A token of a few seconds must not be refreshed here: that would use up what is kept.
	info, err := f.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, fault.Wrap(err, fault.Timeout, "oidc", "Your login provider does not say which groups you are in. Try again in a moment; if it stays so, tell whoever runs this server.")
	}
	if subject, err := c.text("sub"); err != nil || subject != info.Subject {
		return nil, refuse(err, "Your login provider answered about somebody else. Tell whoever runs this server.")
	}
	var payload json.RawMessage
	if err := info.Claims(&payload); err != nil {
		return nil, verifyFault(err)
	}
	more, err := parseClaims(payload)
	if err != nil {
		return nil, err
	}
	for name, raw := range more {
		if _, known := c[name]; !known {
			c[name] = raw
		}
	}
	return c, nil
}

func (l *Login) admit(ctx context.Context, a identity.Actor, token *oauth2.Token, raw string) (websession.Grant, error) {
	if l.o.See != nil {
		if err := l.o.See(ctx, a); err != nil {
			return websession.Grant{Actor: a}, err
		}
	}
	admitted, err := l.o.Admit(a)
	if err != nil {
		return websession.Grant{Actor: a}, err
	}
	g := websession.Grant{Actor: admitted}
	keep := renewal{Refresh: token.RefreshToken}
	if len(raw) <= maxHint {
		keep.Hint = raw
	}
	if keep.Refresh != "" {
		g.Due = time.Now().Add(due(token, l.o.Soonest))
	}
	g.Renewal = keep.encode()
	return g, nil
}

func due(token *oauth2.Token, soonest time.Duration) time.Duration {
	if token.Expiry.IsZero() {
		return latest
	}
	return min(max(time.Until(token.Expiry), soonest), latest)
}

// Renew asks the provider about a login whose time has come. It is the Renew of
// websession.Options. Where the provider has handed out another refresh token, and
// then gives no answer, that token comes beside the error.
func (l *Login) Renew(ctx context.Context, r websession.Record) (websession.Grant, error) {
	f, err := l.dir.get()
	if err != nil {
		return websession.Grant{}, err
	}
	config, err := l.config(ctx, f)
	if err != nil {
		return websession.Grant{}, err
	}
	var kept renewal
	if err := json.Unmarshal(r.Renewal, &kept); err != nil || kept.Refresh == "" {
		return websession.Grant{}, ended(err)
	}
	ctx = l.dir.context(ctx)
	token, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: kept.Refresh}).Token()
	if said := (*oauth2.RetrieveError)(nil); errors.As(err, &said) && said.ErrorCode == "invalid_grant" {
		return websession.Grant{}, ended(err)
	}
	if err != nil {
		return websession.Grant{}, err
	}
	g, err := l.regrant(ctx, f, token, kept, r.Actor)
	switch {
	case err == nil:
		return g, nil
	case fault.KindOf(err) == fault.Forbidden:
		// What the provider says now lets this person in no more.
		return websession.Grant{}, fault.Wrap(err, fault.Unauthenticated, "oidc.Renew", "%s", fault.PublicOf(err))
	case token.RefreshToken == kept.Refresh:
		return websession.Grant{}, err
	}
	kept.Refresh = token.RefreshToken // the one before may hold no more
	return websession.Grant{Renewal: kept.encode()}, err
}

func ended(cause error) error {
	return fault.Wrap(cause, fault.Unauthenticated, "oidc.Renew", "Your login provider has ended your login. Log in again.")
}

// regrant reads the renewed login. A provider need not send another ID token
// (OpenID Connect Core 1.0, section 12.2); then userinfo is asked.
func (l *Login) regrant(ctx context.Context, f *found, token *oauth2.Token, kept renewal, was identity.Actor) (websession.Grant, error) {
	if token.RefreshToken == "" {
		token.RefreshToken = kept.Refresh
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return l.byUserinfo(ctx, f, token, kept, was)
	}
	id, err := l.verify(ctx, f, raw, token)
	if err != nil {
		return websession.Grant{}, err
	}
	if id.Subject != was.Subject {
		return websession.Grant{}, refuse(nil, "Your login provider renewed somebody else's login. Tell whoever runs this server.")
	}
	return l.grant(ctx, f, token, id, raw)
}

func (l *Login) byUserinfo(ctx context.Context, f *found, token *oauth2.Token, kept renewal, was identity.Actor) (websession.Grant, error) {
	if f.metadata.UserinfoTarget == "" {
		return l.admit(ctx, identity.Actor{Issuer: was.Issuer, Subject: was.Subject, Email: was.Email, Name: was.Name, Groups: slices.Clone(was.Groups)}, token, kept.Hint)
	}
	c, err := l.complete(ctx, f, token, claims{"sub": quoted(was.Subject)})
	if err != nil {
		return websession.Grant{}, err
	}
	a, err := c.person(l.o.Issuer, l.o.GroupsClaim, l.o.UserClaim)
	if err != nil {
		return websession.Grant{}, err
	}
	return l.admit(ctx, a, token, kept.Hint)
}

func quoted(s string) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string
	}
	return b
}
