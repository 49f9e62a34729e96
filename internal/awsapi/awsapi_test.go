package awsapi_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/periscope-console/periscope/internal/awsapi"
	"github.com/periscope-console/periscope/internal/awstest"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// answered is an answer of AWS as the SDK makes it an error.
func answered(status int, code string, header http.Header) error {
	if header.Get("Date") == "" {
		header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	return &smithy.OperationError{ServiceID: "EKS", OperationName: "DescribeCluster", Err: &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: header}},
		Err:      &smithy.GenericAPIError{Code: code, Message: "m"},
	}}}
}

func dated(ahead time.Duration) http.Header {
	return http.Header{"Date": {time.Now().UTC().Add(ahead).Format(http.TimeFormat)}}
}

func nobody(err error) error {
	_, e := awsapi.Credentials(context.Background(), aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, err }))
	return e
}

func TestFault(t *testing.T) {
	certificate := func(err error) error { return &tls.CertificateVerificationError{Err: err} }
	year := 365*24*time.Hour + time.Minute
	for name, c := range map[string]struct {
		err  error
		kind fault.Kind
		want string
	}{
		"given up":               {context.Canceled, fault.Timeout, "given up"},
		"too slow":               {context.DeadlineExceeded, fault.Timeout, "did not answer in time"},
		"throttled":              {answered(400, "ThrottlingException", http.Header{}), fault.RateLimited, "takes no more calls"},
		"throttled by status":    {answered(429, "Other", http.Header{}), fault.RateLimited, "takes no more calls"},
		"expired":                {answered(403, "ExpiredTokenException", http.Header{}), fault.ClusterUnreachable, "have expired"},
		"unknown key":            {answered(403, "UnrecognizedClientException", http.Header{}), fault.ClusterUnreachable, "does not know the server's credentials"},
		"denied":                 {answered(403, "AccessDeniedException", http.Header{}), fault.ClusterUnreachable, "does not allow it"},
		"denied by a proxy":      {answered(403, "", http.Header{}), fault.ClusterUnreachable, "does not allow it"},
		"clock ahead":            {answered(403, "InvalidSignatureException", dated(-year)), fault.ClusterUnreachable, "is 365 days ahead of that of AWS"},
		"clock behind":           {answered(400, "RequestTimeTooSkewed", dated(3*time.Hour+time.Minute)), fault.ClusterUnreachable, "is 3 hours behind that of AWS"},
		"clock a little behind":  {answered(403, "SignatureDoesNotMatch", dated(10*time.Minute+30*time.Second)), fault.ClusterUnreachable, "is 10 minutes behind"},
		"clock within bounds":    {answered(403, "SignatureDoesNotMatch", dated(4*time.Minute)), fault.ClusterUnreachable, "does not know the server's credentials"},
		"certificate by clock":   {certificate(x509.CertificateInvalidError{Reason: x509.Expired}), fault.ClusterUnreachable, "must set its clock"},
		"certificate":            {certificate(x509.UnknownAuthorityError{}), fault.ClusterUnreachable, "AWS_CA_BUNDLE"},
		"name":                   {&net.DNSError{Name: "eks"}, fault.ClusterUnreachable, "the region and the name service"},
		"network":                {&net.OpError{Op: "dial", Err: errors.New("refused")}, fault.ClusterUnreachable, "cannot be reached"},
		"nobody":                 {nobody(errors.New("no role")), fault.ClusterUnreachable, "gets no AWS credentials"},
		"nobody, and no network": {nobody(&net.OpError{Op: "dial", Err: errors.New("no route")}), fault.ClusterUnreachable, "gets no AWS credentials"},
		"nobody, by the name":    {nobody(&net.DNSError{Name: "sts"}), fault.ClusterUnreachable, "the region and the name service"},
		"down":                   {answered(500, "InternalFailure", http.Header{}), fault.ClusterUnreachable, "refused or failed"},
	} {
		err := awsapi.Fault(c.err, fault.ClusterUnreachable, "op", "look")
		if fault.KindOf(err) != c.kind || !strings.Contains(fault.PublicOf(err), c.want) || !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	already := fault.New(fault.NotFound, "x", "It is gone.")
	if got := awsapi.Fault(already, fault.Invalid, "op", "look"); !errors.Is(got, already) || fault.KindOf(got) != fault.NotFound || awsapi.Fault(nil, fault.Invalid, "op", "look") != nil {
		t.Error("a fault is changed")
	}
}

func TestPause(t *testing.T) {
	after := func(s string) http.Header { return http.Header{"Retry-After": {s}} }
	for name, c := range map[string]struct {
		err  error
		want time.Duration
	}{
		"any":            {errors.New("x"), 5 * time.Second},
		"throttled":      {answered(400, "Throttling", http.Header{}), 30 * time.Second},
		"as AWS asks":    {answered(429, "", after("90")), 90 * time.Second},
		"for ever":       {answered(429, "", after("999999")), 5 * time.Minute},
		"nonsense":       {answered(503, "", after("soon")), 5 * time.Second},
		"in the past":    {answered(503, "", after("-7")), 5 * time.Second},
		"within a fault": {awsapi.Fault(answered(429, "", after("60")), fault.Invalid, "op", "look"), time.Minute},
	} {
		if got := awsapi.Pause(c.err); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestDenied keeps "you may not" apart from "who are you" and "not as that role".
func TestDenied(t *testing.T) {
	denied := answered(403, "AccessDenied", http.Header{})
	if !awsapi.Denied(denied) || awsapi.Denied(nobody(denied)) || !awsapi.CredentialsDenied(nobody(denied)) || awsapi.CredentialsDenied(denied) {
		t.Error("a refused role and a refused call are not told apart")
	}
}

// TestChain has the region of whoever asks, the chain's own where that is none,
// and a home where the chain has none.
func TestChain(t *testing.T) {
	a := awstest.Start(t)
	env := a.User("arn:aws:iam::111111111111:user/x").Environ()
	chain := a.Chain(t, env)
	for region, want := range map[string]string{"": "eu-west-1", "us-east-1": "us-east-1"} {
		if cfg, err := chain.Config(t.Context(), region, "cn-north-1"); err != nil || cfg.Region != want {
			t.Errorf("%q: %q, %v", region, cfg.Region, err)
		}
	}
	env["AWS_REGION"] = ""
	if cfg, err := a.Chain(t, env).Config(t.Context(), "", "cn-north-1"); err != nil || cfg.Region != "cn-north-1" {
		t.Errorf("%q, %v", cfg.Region, err)
	}
}

// TestAnswersAreBounded is an AWS that talks without end.
func TestAnswersAreBounded(t *testing.T) {
	a := awstest.Start(t)
	cfg, err := a.Chain(t, a.User("arn:aws:iam::111111111111:user/"+strings.Repeat("x", 2<<20)).Environ()).Config(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil); err == nil {
		t.Errorf("an answer of 2 MiB was read: %d bytes", len(*out.Arn))
	}
}
