package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/fault"
)

var errNoVersion = errors.New("the answer of /version names no version")

// maxMessage bounds how much of a cluster's own words goes into a sentence.
const maxMessage = 600

// Fault turns what a cluster (or the way to it) answered into a fault. what
// says what was tried, so that it reads after "could not": "list the pods of
// namespace shop". A Kubernetes Status is kept; of an answer that was none, but a
// proxy's page, the code alone. An error that is a fault already stays as it is.
func Fault(err error, op, what string) error { return toFault("", err, op, what) }

func toFault(cluster string, err error, op, what string) error {
	if err == nil {
		return nil
	}
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	t := trouble{cluster: "The cluster", op: op, what: what, cause: err}
	if cluster != "" {
		t.cluster = "Cluster " + cluster
	}
	var st apierrors.APIStatus
	if errors.As(err, &st) {
		return t.refused(st.Status())
	}
	return t.broken()
}

// trouble is one failed call, with what its sentence needs.
type trouble struct {
	cluster, op, what string
	cause             error
}

func (t trouble) fault(kind fault.Kind, format string, args ...any) *fault.Error {
	return fault.Wrap(t.cause, kind, t.op, format, args...)
}

// refused is for answers that the apiserver gave as a Status, or that
// client-go made one of.
func (t trouble) refused(st metav1.Status) error {
	f := t.byCode(st)
	if foreign(st) {
		st.Message, st.Details = "", &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: metav1.CauseTypeUnexpectedServerResponse}}}
	}
	st.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	f.Status = st
	return f
}

func (t trouble) byCode(st metav1.Status) *fault.Error {
	if kind, judges := judgements[st.Code]; judges && foreign(st) {
		return t.fault(kind, "Could not %s: something between this server and %s, such as a proxy, refused it with HTTP status %d. Whoever runs this server must have it let through.", t.what, lower(t.cluster), st.Code)
	}
	msg := sentence(st.Message)
	switch st.Code {
	case http.StatusBadRequest:
		return t.fault(fault.Invalid, "%s did not take the request to %s: %s", t.cluster, t.what, msg)
	case http.StatusUnauthorized:
		return t.fault(fault.ClusterUnreachable, "%s refused the server's own credentials, so it could not %s. Whoever runs this server must renew them.", t.cluster, t.what)
	case http.StatusForbidden:
		return t.forbidden(st, msg)
	case http.StatusNotFound:
		return t.notFound(st, msg)
	case http.StatusConflict:
		return t.fault(fault.Conflict, "Could not %s, because it was changed in the meantime: %s Look at it again, then retry.", t.what, msg)
	case http.StatusGone:
		return t.fault(fault.Gone, "Could not %s from where it stood, because the list has moved on. Start again from the first page.", t.what)
	case http.StatusRequestEntityTooLarge:
		return t.fault(fault.TooLarge, "%s would not %s, because the request is too large: %s", t.cluster, t.what, msg)
	case http.StatusUnprocessableEntity:
		return t.fault(fault.Unprocessable, "%s did not take the request to %s: %s", t.cluster, t.what, msg)
	case http.StatusTooManyRequests:
		return t.fault(fault.RateLimited, "%s is too busy to %s. Wait a moment, then try again.", t.cluster, t.what)
	case http.StatusGatewayTimeout:
		return t.fault(fault.Timeout, "%s took too long to %s. Try again; a narrower question may help.", t.cluster, t.what)
	default:
		if foreign(st) {
			msg = fmt.Sprintf("it, or something on the way to it, answered with HTTP status %d.", st.Code)
		}
		return t.fault(fault.ClusterUnreachable, "%s could not %s: %s Try again; if it goes on, ask whoever runs the cluster.", t.cluster, t.what, msg)
	}
}

// judgements are the codes by which an apiserver judges a request or whose it is. From
// anybody else they say nothing of either, and come with a page that is not for users.
var judgements = map[int32]fault.Kind{
	http.StatusBadRequest:            fault.Invalid,
	http.StatusForbidden:             fault.Forbidden,
	http.StatusConflict:              fault.Conflict,
	http.StatusRequestEntityTooLarge: fault.TooLarge,
	http.StatusUnprocessableEntity:   fault.Unprocessable,
}

// forbidden tells the user's missing right from the server's: a refusal that
// concerns users or groups is one to impersonate.
func (t trouble) forbidden(st metav1.Status, msg string) *fault.Error {
	if d := st.Details; d != nil && slices.Contains([]string{"users", "groups"}, d.Kind) && slices.Contains([]string{"", "authentication.k8s.io"}, d.Group) {
		return t.fault(fault.Forbidden, "The server may not act as you in this cluster: %s Whoever manages the cluster must let it impersonate you.", msg)
	}
	return t.fault(fault.Forbidden, "You may not %s: %s Ask whoever manages the cluster for that right.", t.what, msg)
}

// notFound keeps the apiserver's "not found" apart from that of a web server
// which happens to live at the address.
func (t trouble) notFound(st metav1.Status, msg string) *fault.Error {
	if foreign(st) {
		return t.nonsense()
	}
	return t.fault(fault.NotFound, "Could not %s: %s It may have been deleted; go back to the list.", t.what, msg)
}

// foreign reports whether client-go made the Status of an answer that was none.
func foreign(st metav1.Status) bool {
	return st.Details != nil && slices.ContainsFunc(st.Details.Causes, func(c metav1.StatusCause) bool {
		return c.Type == metav1.CauseTypeUnexpectedServerResponse
	})
}

// Denied reports whether err is the cluster's own no. The 403 of a proxy on the
// way to it is none: it says nothing about anybody's rights.
func Denied(err error) bool {
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Forbidden {
		return false
	}
	st, ok := f.Status.(metav1.Status)
	return !ok || !foreign(st)
}

func (t trouble) nonsense() *fault.Error {
	return t.fault(fault.ClusterUnreachable, "Could not %s: what answers at the address of %s is not a Kubernetes apiserver. Whoever runs this server must check the address.", t.what, lower(t.cluster))
}

// broken is for calls that got no answer, or none that makes sense.
func (t trouble) broken() error {
	name := lower(t.cluster)
	for _, r := range reasons {
		if r.is(t.cause) {
			return t.fault(r.kind, "Could not %s: "+r.says, t.what, name)
		}
	}
	return t.nonsense()
}

// reasons is in order: the first that fits is the one told. Each sentence gets
// the cluster's name.
var reasons = []struct {
	is   func(error) bool
	kind fault.Kind
	says string
}{
	{isErr(context.Canceled), fault.Timeout, "the request to %s was given up before an answer came. Try again."},
	{isErr(context.DeadlineExceeded), fault.Timeout, "%s did not answer in time. Try again; if it goes on, ask whoever runs the cluster."},
	{isCertificate, fault.ClusterUnreachable, "the certificate that %s shows is not trusted. Whoever runs this server must check the address and the CA."},
	{isTLS, fault.ClusterUnreachable, "no secure connection to %s could be made. Whoever runs this server must check its address and client certificate."},
	{isDNS, fault.ClusterUnreachable, "the address of %s is unknown. Whoever runs this server must check it and the name service."},
	{isErr(syscall.ECONNREFUSED), fault.ClusterUnreachable, "nothing listens at the address of %s. Check that the cluster runs, then try again."},
	{isNetTimeout, fault.ClusterUnreachable, "%s does not answer. Check that it runs and that the network lets this server through, then try again."},
	{isTransport, fault.ClusterUnreachable, "%s could not be reached. Try again; if it goes on, whoever runs this server finds the cause in its log."},
}

func isErr(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func isCertificate(err error) bool {
	return as[*tls.CertificateVerificationError](err) || as[x509.UnknownAuthorityError](err) ||
		as[x509.HostnameError](err) || as[x509.CertificateInvalidError](err)
}

func isTLS(err error) bool {
	return as[tls.AlertError](err) || as[tls.RecordHeaderError](err) || as[*tls.ECHRejectionError](err) || errors.Is(err, http.ErrSchemeMismatch)
}

func isDNS(err error) bool { return as[*net.DNSError](err) }

func isNetTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// isTransport is true of everything that failed below HTTP's answer.
func isTransport(err error) bool { return as[*url.Error](err) || as[*net.OpError](err) }

// sentence makes a cluster's message one line with a full stop.
func sentence(msg string) string {
	msg = strings.Join(strings.Fields(msg), " ")
	if r := []rune(msg); len(r) > maxMessage {
		msg = string(r[:maxMessage]) + "…"
	}
	if msg == "" || strings.HasSuffix(msg, ".") {
		return msg
	}
	return msg + "."
}

// lower is a cluster's name inside a sentence.
func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }
