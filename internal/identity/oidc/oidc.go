// Package oidc lets people in by an OpenID provider: authorization code with
// PKCE (OpenID Connect Core 1.0, RFC 7636).
//
// It owns the routes of the login, the checks of what the provider says, and
// what renewing a login asks it. It does not own the session (websession does),
// nor what a person may do (identity.Policy does), nor the Host and Origin checks
// that stand before its routes. Run is its only goroutine and the caller's. It
// guarantees that nobody is let in by a token that has not been verified, and
// that a provider which cannot be reached lets nobody in.
package oidc

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/websession"
	"github.com/periscope-console/periscope/internal/secret"
)

// Sessions is what a login needs of websession.Manager.
type Sessions interface {
	websession.Leaving
	Start(w http.ResponseWriter, r *http.Request, g websession.Grant) (identity.Actor, error)
	EndOne(ctx context.Context, a identity.Actor, id websession.ID) error
}

// Options of a Login. All are needed but See, Audience, PostLogoutRedirect,
// ProviderName, Soonest and Transport.
type Options struct {
	// Issuer is an https address without query or fragment; http on loopback.
	Issuer, ClientID string
	Secret           secret.Source
	// RedirectURL is our /api/auth/callback as browsers reach it.
	RedirectURL string
	// PostLogoutRedirect is where the provider sends people after a logout.
	PostLogoutRedirect string
	// Scopes always has openid.
	Scopes []string
	// Audience is sent along where a provider wants it, as Auth0 does.
	Audience     string
	ProviderName string
	// GroupsClaim names the claim that lists the groups, or a path to it.
	GroupsClaim string
	// UserClaim names the claim that names the user in clusters, or a path to it.
	UserClaim string
	// Secure is true where browsers reach us over TLS.
	Secure bool
	// Admit decides what a person may, or refuses them.
	Admit func(identity.Actor) (identity.Actor, error)
	// See hears of everybody whom the provider tells of, before Admit decides: also
	// of those who may come in no more. Nobody passes whom it does not take.
	See      func(context.Context, identity.Actor) error
	Sessions Sessions
	// Soonest is how long a login is left alone at least before it is renewed; a
	// minute where it is 0.
	Soonest time.Duration
	Audit   websession.Audit
	Log     *slog.Logger
	// Transport is http.DefaultTransport where it is nil.
	Transport http.RoundTripper
}

// Login lets people in.
type Login struct {
	o   Options
	dir *directory
}

// New makes a login; Run must be running for it to let anybody in.
func New(o Options) *Login {
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	o.Soonest = cmp.Or(o.Soonest, soonest)
	return &Login{o: o, dir: newDirectory(o.Issuer, o.ClientID, o.Transport)}
}

// Run reads the secret and finds the provider, however long that takes, and then
// waits for ctx.
func (l *Login) Run(ctx context.Context) error {
	if !l.awaitSecret(ctx) {
		return nil
	}
	l.dir.find(ctx, func(err error) {
		l.o.Log.Error("login.provider.unusable", "issuer", l.o.Issuer, "error", err)
	})
	<-ctx.Done()
	return nil
}

// Ready is nil once secret and provider are known.
func (l *Login) Ready() error {
	_, err := l.dir.get()
	return err
}

// oneLine is an error in one bounded line.
func oneLine(err error) string {
	if err == nil {
		err = errors.New("no reason given")
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	const most = 300
	if r := []rune(line); len(r) > most {
		line = string(r[:most]) + "…"
	}
	return strings.TrimRight(line, ". ")
}
