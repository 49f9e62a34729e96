// Package kube reaches one cluster as somebody.
//
// It owns the only place where an impersonation is set, the few typed clients
// the services use, the words and kinds that a cluster's refusals turn into,
// and the checks of names that become path segments. It does not own which
// clusters exist or how their credentials come about (package clusters does),
// nor what is read through its clients. It starts no goroutines that outlive a
// call. It guarantees that no request leaves under an identity that was not
// said: the zero Impersonation is refused; and that no answer of a typed client
// counts that does not say that it is what was asked for.
package kube

import (
	"context"
	"net/http"
	"regexp"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
)

// AuditIDHeader joins the apiserver's audit log to ours.
const AuditIDHeader = "Audit-ID"

// As is a copy of base whose requests bear imp, and auditID where it is not
// empty. It is for streams, which dial for themselves; other calls go through
// Base.Client, which shares connections.
func As(base *rest.Config, imp identity.Impersonation, auditID string) (*rest.Config, error) {
	cfg := rest.CopyConfig(base)
	if err := identify(cfg, imp, auditID); err != nil {
		return nil, err
	}
	return cfg, nil
}

// identify is where an impersonation is set. It replaces the whole of it, so
// that neither a UID nor an extra of the base survives.
func identify(cfg *rest.Config, imp identity.Impersonation, auditID string) error {
	if err := mark(cfg, imp.Subject, auditID); err != nil {
		return err
	}
	switch own := cfg.Impersonate; {
	case imp.None && imp.User == "" && len(imp.Groups) == 0:
		return nil
	case imp.None || imp.User == "":
		return fault.New(fault.Internal, "kube.As", "This request has no identity to act as, so it was not sent. Log in again; if it happens again, give the request id to whoever runs this server.")
	case own.UserName != "" || own.UID != "" || len(own.Groups) > 0 || len(own.Extra) > 0:
		// Overwriting it would run with the rights of the credentials behind
		// it, which the kubeconfig's owner chose not to use.
		return fault.New(fault.ClusterUnreachable, "kube.As", "This cluster's credentials act as another user already, so nobody else can be acted as. Whoever runs this server must remove “as” from its kubeconfig or use mode shared.")
	}
	cfg.Impersonate = rest.ImpersonationConfig{UserName: imp.User, Groups: imp.Groups}
	return nil
}

// OwnAs makes the server itself come as user where it acts as nobody: for a way to a
// cluster that lets nothing through without an impersonation. It changes cfg.
func OwnAs(cfg *rest.Config, user string) {
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return own{rt, user} })
}

// own stands beneath what sets a user's impersonation, and so sees it.
type own struct {
	next http.RoundTripper
	user string
}

func (o own) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get(transport.ImpersonateUserHeader) == "" {
		r = r.Clone(r.Context())
		r.Header.Set(transport.ImpersonateUserHeader, o.user)
	}
	return o.next.RoundTrip(r)
}

// WrappedRoundTripper lets client-go find the transport beneath.
func (o own) WrappedRoundTripper() http.RoundTripper { return o.next }

// The apiserver keeps an Audit-ID of at most 64 bytes.
var auditIDs = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// mark puts on every request whose it is and under which id it is audited.
func mark(cfg *rest.Config, subject, auditID string) error {
	if auditID == "" && subject == "" {
		return nil
	}
	if auditID != "" && !auditIDs.MatchString(auditID) {
		return fault.New(fault.Internal, "kube.As", "This request has a malformed audit id, so it was not sent. Give the request id to whoever runs this server.")
	}
	cfg.WrapTransport = transport.Wrappers(cfg.WrapTransport, func(rt http.RoundTripper) http.RoundTripper {
		return marked{rt, subject, auditID}
	})
	return nil
}

// marked sets the Audit-ID of every request that passes, and tells the transport
// beneath for whom it is.
type marked struct {
	next             http.RoundTripper
	subject, auditID string
}

func (m marked) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(context.WithValue(r.Context(), subjectKey{}, m.subject))
	if m.auditID != "" {
		r.Header.Set(AuditIDHeader, m.auditID)
	}
	return m.next.RoundTrip(r)
}

// WrappedRoundTripper lets client-go find the transport beneath.
func (m marked) WrappedRoundTripper() http.RoundTripper { return m.next }

type subjectKey struct{}

// SubjectOf is the Subject of the impersonation that a request bears, for a
// backend's transport; empty for the server's own requests. Nobody but this
// package sets it.
func SubjectOf(ctx context.Context) string {
	subject, _ := ctx.Value(subjectKey{}).(string)
	return subject
}
