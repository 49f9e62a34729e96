package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/quota"
)

// identify finds out who sends a request: by the token that it presents, be that
// good or bad, and by its cookie only where it presents none.
func (s *server) identify(rt route, c *call) (err error) {
	if token.Presented(c.r) {
		return s.byToken(rt, c)
	}
	if c.actor, c.login, err = s.Logins.FromRequest(c.r); err != nil {
		return err
	}
	if !rt.background {
		s.Logins.Touch(c.login)
	}
	return nil
}

func (s *server) byToken(rt route, c *call) (err error) {
	if c.actor, c.token, err = s.Tokens.FromRequest(c.r, c.requestID); err == nil {
		err = c.inScope(rt)
	}
	switch fault.KindOf(err) {
	case fault.Unauthenticated:
		if over := s.tried(c.w, c.r); over != nil {
			return over
		}
		c.w.Header().Set("WWW-Authenticate", `Bearer realm="periscope"`) // RFC 6750, section 3
	case fault.Forbidden:
		s.denied(c.r, c.actor, err)
	}
	return err
}

// denial is what tells one refusal of somebody known from another.
type denial struct {
	issuer, subject, token string
	client                 netip.Prefix
	op                     string
}

// denied records a refusal of somebody known. Of the same again and again, which a
// script sends by the thousand, audit gets some and the number of the others.
func (s *server) denied(r *http.Request, who identity.Actor, err error) {
	what := denial{issuer: who.Issuer, subject: who.Subject, token: who.Token, client: quota.ClientOf(s.Proxies.Address(r))}
	if f := (*fault.Error)(nil); errors.As(err, &f) {
		what.op = f.Op
	}
	untold, now := s.denials.Tell(what)
	if !now {
		return
	}
	reason := fault.PublicOf(err)
	if untold > 0 {
		reason = fmt.Sprintf("%s (%d more like this since the record before)", reason, untold)
	}
	s.AuditLogin(r.Context(), audit.AuthDenied, audit.Denied, who, reason)
}

// inScope is nil where the caller's token may be used for this.
func (c *call) inScope(rt route) error {
	cluster := c.r.PathValue("cluster")
	switch {
	case rt.scope == "":
		return errBrowserOnly()
	case !c.token.Has(rt.scope):
		return fault.New(fault.Forbidden, "httpapi.inScope."+string(rt.scope),
			"This token lacks the scope %s, which this needs; it has %s. Make a token that has it on the page “Access tokens”.", rt.scope, words(c.token.Scopes))
	case cluster != "" && !c.token.Reaches(cluster):
		return fault.New(fault.Forbidden, "httpapi.inClusters",
			"This token is limited to %s. Make one for the cluster that you mean on the page “Access tokens”.", words(c.token.Clusters))
	}
	return nil
}

// inToken takes back what a caller may and its token is not for. Only reading goes
// without the scope exec.
func (c *call) inToken(checks []kube.Check, answers []kube.Decision) []kube.Decision {
	if c.token.ID == "" || c.token.Has(token.Exec) {
		return answers
	}
	within := slices.Clone(answers) // others are told the same ones
	for i, check := range checks {
		if within[i].Allowed && !check.Reads() {
			within[i] = kube.Decision{Decided: true, Reason: "You may, but this token may not: it lacks the scope " + string(token.Exec) + "."}
		}
	}
	return within
}

func errBrowserOnly() error {
	return fault.New(fault.Forbidden, "httpapi", "A token cannot do this. Logins and tokens are seen to in the browser alone; log in there.")
}

// words is a list for a sentence: a, b and c.
func words[T ~string](list []T) string {
	all := make([]string, len(list))
	for i, w := range list {
		all[i] = string(w)
	}
	last := len(all) - 1
	if last < 1 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:last], ", ") + " and " + all[last]
}

// withoutToken keeps tokens from the ways to log in and out: they read cookies, and
// a request that presents a token has none that count.
func withoutToken(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if token.Presented(r) {
			fail(w, errBrowserOnly())
			return
		}
		next(w, r)
	}
}
