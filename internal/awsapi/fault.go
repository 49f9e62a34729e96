package awsapi

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/periscope-console/periscope/internal/fault"
)

// maxSkew is how far AWS lets a signature's time be off.
const maxSkew = 5 * time.Minute

// Fault says what went wrong with a call. what says what was tried, so that it
// reads after "could not". Kind is for all that is not the caller's impatience or
// AWS's. What a caller knows better it says before it asks here. An error that is
// a fault already stays as it is.
func Fault(err error, kind fault.Kind, op, what string) error {
	var already *fault.Error
	if err == nil || errors.As(err, &already) {
		return err
	}
	if skew, ok := skewOf(err, time.Now()); ok {
		return Skewed(err, skew, kind, op, what)
	}
	for _, r := range reasons {
		if r.is(err) {
			if r.kind != fault.Internal {
				kind = r.kind
			}
			return fault.Wrap(err, kind, op, "Could not %s: %s", what, r.says)
		}
	}
	return fault.Wrap(err, kind, op, "Could not %s: AWS refused or failed. Try again; if it goes on, whoever runs this server finds the cause in its log.", what)
}

// reasons is in order: the first that fits is the one told. Kind Internal leaves
// the caller's.
var reasons = []struct {
	is   func(error) bool
	kind fault.Kind
	says string
}{
	{isErr(context.Canceled), fault.Timeout, "the request was given up before AWS had answered. Try again."},
	{isThrottled, fault.RateLimited, "AWS takes no more calls from this account just now. Wait a minute, then try again."},
	{isWrongTime, 0, "a certificate of AWS is not valid at this server's time. Whoever runs this server must set its clock."},
	{isCode("ExpiredToken", "ExpiredTokenException", "RequestExpired"), 0, "the server's AWS credentials have expired. Whoever runs this server must renew them; a Pod Identity or IRSA role is renewed by itself."},
	{isCode("InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException", "InvalidIdentityToken", "AuthFailure"), 0, "AWS does not know the server's credentials. Whoever runs this server must check its role or keys."},
	{isDenied, 0, "AWS does not allow it to this server. Whoever runs this server must give its role the permission."},
	{isCertificate, 0, "what answers in the place of AWS shows a certificate that is not trusted. Whoever runs this server must check its proxy and AWS_CA_BUNDLE."},
	{isDNS, 0, "the address of AWS is unknown. Whoever runs this server must check the region and the name service."},
	// Before the rest: a chain without credentials ends at an instance's role,
	// whose address does not answer elsewhere.
	{isCredentials, 0, "the server gets no AWS credentials. Whoever runs this server must give it a role, by Pod Identity or IRSA, and a way to AWS."},
	{isErr(context.DeadlineExceeded), fault.Timeout, "AWS did not answer in time. Try again; if it goes on, whoever runs this server must check its way to AWS."},
	{isNet, 0, "AWS cannot be reached. Whoever runs this server must check its way to AWS."},
}

func isErr(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// Code is the name that AWS gave to an error; empty where it gave none.
func Code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

func isCode(codes ...string) func(error) bool {
	return func(err error) bool { return slices.Contains(codes, Code(err)) }
}

// isThrottled looks at the status too: some services say so by it alone.
func isThrottled(err error) bool {
	_, known := retry.DefaultThrottleErrorCodes[Code(err)]
	return known || statusOf(err) == http.StatusTooManyRequests
}

func isDenied(err error) bool {
	return isCode("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")(err) || Code(err) == "" && statusOf(err) == http.StatusForbidden
}

// Denied reports whether AWS understood who asks, and said no.
func Denied(err error) bool { return isDenied(err) && !isCredentials(err) }

// CredentialsDenied reports whether AWS refused the server the role it wanted.
func CredentialsDenied(err error) bool { return isDenied(err) && isCredentials(err) }

func isCredentials(err error) bool { return as[*credentialsError](err) }

func isWrongTime(err error) bool {
	e, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && e.Reason == x509.Expired
}

func isCertificate(err error) bool {
	return as[x509.UnknownAuthorityError](err) || as[x509.HostnameError](err) || as[x509.CertificateInvalidError](err)
}

func isDNS(err error) bool { return as[*net.DNSError](err) }

func isNet(err error) bool { return as[net.Error](err) || as[*net.OpError](err) }

// answerOf is the head of AWS's answer; status 0 where there was none.
func answerOf(err error) (status int, header http.Header) {
	var e *awshttp.ResponseError
	if errors.As(err, &e) && e.Response != nil && e.Response.Response != nil {
		return e.Response.StatusCode, e.Response.Header
	}
	return 0, http.Header{}
}

func statusOf(err error) int {
	status, _ := answerOf(err)
	return status
}

// skewOf is how far AWS's clock is ahead of ours, by a refusal whose reason that
// may be. AWS names a dozen codes for it; its own time is in every answer.
func skewOf(err error, now time.Time) (time.Duration, bool) {
	status, header := answerOf(err)
	if status < 400 || status >= 500 {
		return 0, false
	}
	theirs, e := http.ParseTime(header.Get("Date"))
	if e != nil {
		return 0, false
	}
	skew := theirs.Sub(now)
	return skew, skew.Abs() > maxSkew
}

// TooFar reports whether clocks differ by more than AWS allows.
func TooFar(skew time.Duration) bool { return skew.Abs() > maxSkew }

// Skewed is the fault of a clock: AWS's is ahead of ours by skew.
func Skewed(cause error, skew time.Duration, kind fault.Kind, op, what string) error {
	side := "behind"
	if skew < 0 {
		side = "ahead of"
	}
	return fault.Wrap(cause, kind, op, "Could not %s: the clock of this server is %s %s that of AWS, which then takes no signature. Whoever runs this server must set its clock.", what, roughly(skew.Abs()), side)
}

// roughly is a time that a person reads.
func roughly(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return fmt.Sprintf("%d minutes", d/time.Minute)
}

// How long to leave AWS alone after a failure.
const (
	pauseFailed    = 5 * time.Second
	pauseThrottled = 30 * time.Second
	maxPause       = 5 * time.Minute
)

// Pause is how long the next call waits after err: as long as AWS asks, within
// bounds.
func Pause(err error) time.Duration {
	pause := pauseFailed
	if isThrottled(err) {
		pause = pauseThrottled
	}
	_, header := answerOf(err)
	if s, e := strconv.Atoi(header.Get("Retry-After")); e == nil && s > 0 {
		pause = max(pause, time.Duration(min(s, int(maxPause/time.Second)))*time.Second)
	}
	return pause
}

// Lifetime is until when what was signed with creds holds: until latest, or
// until they end.
func Lifetime(creds aws.Credentials, latest time.Time) time.Time {
	if creds.CanExpire && creds.Expires.Before(latest) {
		return creds.Expires
	}
	return latest
}
