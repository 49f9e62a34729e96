package config

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/secret"
)

const (
	callbackPath = "/api/auth/callback"
	// defaultDatabase keeps logins where nobody has said where.
	defaultDatabase = "sqlite:periscope.db"
	maxScopes       = 32
)

// oidc turns the block oidc into settings.
func (l *loader) oidc(name string, f oidcFile, groupsClaim, userClaim string) {
	l.address(name, "oidc.issuer", f.Issuer, "https://login.example.com/", "")
	if f.ClientID == "" || len(f.ClientID) > maxText {
		l.wrong("%s: oidc.clientID is %q; give the name that this application has at the provider", name, f.ClientID)
	}
	l.address(name, "oidc.redirectURL", f.RedirectURL, "https://periscope.example.com"+callbackPath, callbackPath)
	if f.PostLogoutRedirect != "" {
		l.address(name, "oidc.postLogoutRedirect", f.PostLogoutRedirect, "https://periscope.example.com/api/auth/loggedout", "")
	}
	l.scopes(name, f.Scopes)
	source, err := secret.Parse(f.ClientSecret, l.variable)
	if err != nil {
		l.wrong("%s: oidc.clientSecret: %s", name, fault.PublicOf(err))
	}
	l.oneLine(name, map[string]string{"oidc.audience": f.Audience, "oidc.providerName": f.ProviderName, "authorization.groupsClaim": groupsClaim, "authorization.userClaim": userClaim})
	l.cfg.Auth.OIDC = OIDC{
		Issuer: f.Issuer, ClientID: f.ClientID, ClientSecret: source, RedirectURL: f.RedirectURL, PostLogoutRedirect: f.PostLogoutRedirect,
		Scopes: f.Scopes, Audience: f.Audience, ProviderName: f.ProviderName, GroupsClaim: groupsClaim,
	}
}

func (l *loader) variable(name string) (string, bool) {
	v, ok := l.env[name]
	return v, ok
}

// address takes an absolute address that nobody can listen in on: https, or
// http on this machine. Where path is given it must have that.
func (l *loader) address(name, key, v, example, path string) {
	u, err := url.Parse(v)
	switch {
	case v == "":
		l.wrong("%s: %s is missing; write it, such as %s", name, key, example)
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Contains(v, "#") || len(v) > maxText:
		l.wrong("%s: %s is %q, which is no address; write it such as %s", name, key, v, example)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Scheme+"://"+u.Host)):
		l.wrong("%s: %s is %q; it must begin with https://, so that nobody on the way can read a login", name, key, v)
	case path != "" && u.Path != path:
		l.wrong("%s: %s is %q; its path must be %s, such as %s", name, key, v, path, example)
	}
}

func (l *loader) scopes(name string, scopes []string) {
	wrong := func(s string) bool {
		return s == "" || len(s) > maxText || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > unicode.MaxASCII || c == '"' || c == '\\' })
	}
	if len(scopes) > maxScopes || slices.ContainsFunc(scopes, wrong) {
		l.wrong("%s: oidc.scopes must be at most %d words; write a list such as [openid, profile, email]", name, maxScopes)
	}
	if !slices.Contains(scopes, "openid") {
		l.wrong("%s: oidc.scopes has no openid, without which no provider says who somebody is; add it", name)
	}
}

func (l *loader) oneLine(name string, all map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if v := all[key]; len(v) > maxText || strings.ContainsFunc(v, unicode.IsControl) {
			l.wrong("%s: %s must be one line of at most %d bytes", name, key, maxText)
		}
	}
}

// publicURL is where browsers are: where the provider sends them back to.
func (l *loader) publicURL() {
	var back string
	u, err := url.Parse(l.cfg.Auth.OIDC.RedirectURL)
	if err != nil || origin(u.Scheme+"://"+u.Host, &back) != nil {
		return // said already
	}
	if public := l.cfg.Listen.PublicURL; public != "" && public != back {
		l.wrong("PERISCOPE_PUBLIC_URL is %s and oidc.redirectURL is at %s; a login would end elsewhere than it began, so make them agree or remove PERISCOPE_PUBLIC_URL", public, back)
	}
	l.cfg.Listen.PublicURL = cmp.Or(l.cfg.Listen.PublicURL, back)
}
