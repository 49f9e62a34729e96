package transport

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/fault"
)

const op = "transport.Dial"

// refusalSize bounds what is read of an answer that is no upgrade.
const refusalSize = 64 << 10

// upgradeFailure is the cause of a fault that says nothing about the request.
type upgradeFailure struct{ cause error }

func (e *upgradeFailure) Error() string { return "wire protocol refused: " + e.cause.Error() }
func (e *upgradeFailure) Unwrap() error { return e.cause }

// IsUpgradeFailure says that the cluster, or something on the way to it, does
// not speak the wire protocol, so that another one may work. It is false where
// the request itself was judged, where nobody answered, and where the answer got
// lost: then the command may have started, and must not start again.
func IsUpgradeFailure(err error) bool {
	var u *upgradeFailure
	return errors.As(err, &u)
}

// gatewayTrouble is the cause of a fault that a proxy between us and the cluster
// brought about: it got no answer, or one that it did not understand, such as a
// 101.
type gatewayTrouble struct{ cause error }

func (e *gatewayTrouble) Error() string { return e.cause.Error() }
func (e *gatewayTrouble) Unwrap() error { return e.cause }

// perhapsUpgradeFailure says that only another wire protocol can tell whether
// the cluster or the upgrade was the trouble. As kubectl does, one may try it.
func perhapsUpgradeFailure(err error) bool {
	var g *gatewayTrouble
	return errors.As(err, &g)
}

func notSpoken(format string, args ...any) *fault.Error {
	cause := &upgradeFailure{fmt.Errorf(format, args...)}
	return fault.Wrap(cause, fault.ClusterUnreachable, op,
		"The cluster, or a proxy in front of it, does not let a shell's connection through. Ask whoever runs it to allow WebSocket and SPDY upgrades.")
}

// refusal reads the answer to an upgrade that was not made. The caller closes
// its body.
func refusal(resp *http.Response) *fault.Error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, refusalSize))
	if err != nil {
		body = nil // half a Status tells less than the code
	}
	st := statusIn(body)
	if notUnderstood(resp.StatusCode, st) {
		return notSpoken("answered %s: %.200q", resp.Status, body)
	}
	if st != nil {
		return statusFault(st)
	}
	cause := fmt.Errorf("answered %s: %.200q", resp.Status, body)
	if resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusServiceUnavailable {
		cause = &gatewayTrouble{cause}
	}
	return codeFault(resp.StatusCode, cause)
}

// statusIn is the Status object in body, or nil.
func statusIn(body []byte) *metav1.Status {
	st := &metav1.Status{}
	if json.Unmarshal(body, st) != nil || st.Status != metav1.StatusFailure {
		return nil
	}
	return st
}

// notUnderstood says whether an answer speaks of the upgrade and not of the
// request. A Status is the apiserver's word on the request, with one exception:
// a request whose upgrade headers got lost on the way. Without a Status the
// answer is a proxy's, or that of a kubelet which does not know our subprotocol
// (403 and an empty body).
func notUnderstood(code int, st *metav1.Status) bool {
	if st != nil {
		return code == http.StatusUpgradeRequired || code == http.StatusBadRequest && saysUpgradeLost(st.Message)
	}
	switch code {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
		http.StatusUpgradeRequired, http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return true
	}
	return code < 400
}

// statusFault translates the apiserver's own refusal.
func statusFault(st *metav1.Status) *fault.Error {
	f := codeFault(int(st.Code), errors.New(st.Message))
	f.Status = st
	return f
}

// codeFault has one row for every status code the apiserver answers an exec with.
func codeFault(code int, cause error) *fault.Error {
	kind, public := fault.ClusterUnreachable,
		"The cluster could not run the command just now. Try again; if it goes on, ask whoever runs the cluster."
	switch code {
	case http.StatusBadRequest:
		kind, public = fault.Invalid, "The cluster cannot run this command. Check that the pod is running and has this container."
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		// Not fault.Unauthenticated: the user's own login is as good as it was.
		public = "The cluster did not accept Periscope's own credentials. Ask whoever runs Periscope to renew them."
	case http.StatusForbidden:
		kind, public = fault.Forbidden, "The cluster does not let you run commands in this pod. Ask its administrators for the right to create pods/exec in this namespace."
	case http.StatusNotFound:
		kind, public = fault.NotFound, "The cluster does not know this pod. It may have been replaced: look at the list of pods again."
	case http.StatusConflict:
		kind, public = fault.Conflict, "The pod is changing just now. Try again in a moment."
	case http.StatusGone:
		kind, public = fault.Gone, "The pod is gone. Look at the list of pods again."
	case http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong:
		kind, public = fault.TooLarge, "The command is too long for the cluster. Shorten it, or put it into a file."
	case http.StatusUnprocessableEntity:
		kind, public = fault.Unprocessable, "The cluster found a mistake in the request. See its own words, and correct them."
	case http.StatusTooManyRequests:
		kind, public = fault.RateLimited, "The cluster has too much to do just now. Try again in a moment."
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		kind, public = fault.Timeout, "The cluster took too long to answer. Try again."
	}
	return fault.Wrap(cause, kind, op, "%s", public)
}

// dialFault translates a dial that got no answer.
func dialFault(ctx context.Context, err error) *fault.Error {
	var already *fault.Error
	// What ended the dial, or what a backend says of its own credentials.
	if errors.As(context.Cause(ctx), &already) || errors.As(err, &already) {
		return already
	}
	var untrusted *tls.CertificateVerificationError
	var slow net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fault.Wrap(err, fault.Gone, op, "The shell was closed before it had opened. Open it again.")
	case ctx.Err() != nil, errors.As(err, &slow) && slow.Timeout():
		return fault.Wrap(err, fault.Timeout, op, "The cluster did not answer in time. Try again; if it goes on, ask whoever runs the cluster.")
	case errors.As(err, &untrusted):
		return fault.Wrap(err, fault.ClusterUnreachable, op, "The cluster's certificate is not signed by the authority that Periscope expects. Ask whoever runs Periscope to check the cluster's address and CA.")
	}
	return fault.Wrap(err, fault.ClusterUnreachable, op, "The cluster cannot be reached. Try again; if it goes on, ask whoever runs the cluster.")
}
