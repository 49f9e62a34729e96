// Package awstest is AWS as far as Periscope meets it, in the test's process.
//
// It owns a TLS server that answers under AWS's own names, checks every signature
// by itself, and knows principals, roles, EKS clusters, secrets and parameters
// that tests give it; calls can be counted, refused and held. Its clock may differ
// from the machine's. It is no AWS: of each call it has what the product uses, and
// policies are lists of who may. Its goroutines end with the test.
package awstest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/periscope-console/periscope/internal/awsapi"
)

// maxBody bounds a request.
const maxBody = 1 << 20

// AWS is one cloud.
type AWS struct {
	// Addr is where it listens, CAFile the authority for all its names.
	Addr, CAFile string

	pool *x509.CertPool
	srv  *httptest.Server

	mu         sync.Mutex // guards what follows
	ahead      time.Duration
	keys       map[string]principal // by access key id
	roles      map[string]role      // by ARN
	web        map[string]string    // role ARN by web identity token
	clusters   map[string]Cluster   // by region/name
	secrets    map[string]string    // by region/name
	parameters map[string]string
	failures   map[string]Failure
	holds      map[string]chan struct{}
	calls      map[string]int
	hosts      map[string]int
	sessions   []string
	wait       map[string]chan struct{}
}

// Failure is what a call is answered with.
type Failure struct {
	Status     int
	Code       string
	RetryAfter string
}

// Start runs an AWS until the test ends.
func Start(t testing.TB) *AWS {
	t.Helper()
	a := &AWS{
		keys: map[string]principal{}, roles: map[string]role{}, web: map[string]string{}, clusters: map[string]Cluster{},
		secrets: map[string]string{}, parameters: map[string]string{}, failures: map[string]Failure{},
		holds: map[string]chan struct{}{}, calls: map[string]int{}, hosts: map[string]int{}, wait: map[string]chan struct{}{},
		pool: x509.NewCertPool(),
	}
	cert, ca := certificate(t)
	a.pool.AppendCertsFromPEM(ca)
	a.CAFile = filepath.Join(t.TempDir(), "aws.crt")
	if err := os.WriteFile(a.CAFile, ca, 0o600); err != nil {
		t.Fatalf("awstest: %v", err)
	}
	a.srv = httptest.NewUnstartedServer(http.HandlerFunc(a.serve))
	a.srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	a.srv.StartTLS()
	a.Addr = a.srv.Listener.Addr().String()
	t.Cleanup(a.srv.Close)
	return a
}

// certificate is for every name of the partitions.
func certificate(t testing.TB) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("awstest: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "awstest"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, p := range Partitions {
		for _, service := range []string{"sts", "sts-fips", "eks", "fips.eks", "eks-fips", "secretsmanager", "ssm"} {
			template.DNSNames = append(template.DNSNames, service+"."+p.Region+"."+p.Domain)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatalf("awstest: %v", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// Partition is one of AWS's worlds, with a region of it.
type Partition struct{ Name, Region, Domain string }

// Partitions are all there are.
var Partitions = []Partition{
	{"aws", "eu-west-1", "amazonaws.com"},
	{"aws", "us-east-1", "amazonaws.com"},
	{"aws-cn", "cn-north-1", "amazonaws.com.cn"},
	{"aws-us-gov", "us-gov-west-1", "amazonaws.com"},
	{"aws-iso", "us-iso-east-1", "c2s.ic.gov"},
	{"aws-iso-b", "us-isob-east-1", "sc2s.sgov.gov"},
	{"aws-iso-e", "eu-isoe-west-1", "cloud.adc-e.uk"},
	{"aws-iso-f", "us-isof-south-1", "csp.hci.ic.gov"},
	{"aws-eusc", "eusc-de-east-1", "amazonaws.eu"},
}

// Transport leads every name to this AWS. Addresses of the machine stay: the
// agent of Pod Identity has one.
func (a *AWS) Transport() *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if host, _, err := net.SplitHostPort(address); err != nil || net.ParseIP(host) == nil {
				address = a.Addr
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{RootCAs: a.pool, MinVersion: tls.VersionTLS12},
		// Connections that nobody uses would count as leaks.
		DisableKeepAlives: true,
	}
}

// Client makes the SDK talk to this AWS.
func (a *AWS) Client() awsapi.Option {
	return config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		own := a.Transport()
		t.DialContext, t.TLSClientConfig, t.DisableKeepAlives = own.DialContext, own.TLSClientConfig, true
	}))
}

// Chain is the default one of the SDK, in the environment of the test alone: none
// of the machine's own credentials is used.
func (a *AWS) Chain(t *testing.T, environ map[string]string) *awsapi.Chain {
	t.Helper()
	Environ(t, environ)
	return awsapi.NewChain(a.Client(), quick)
}

// quick makes the SDK's attempts follow each other sooner than they would.
func quick(o *config.LoadOptions) error {
	o.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 10 * time.Millisecond })
	}
	return nil
}

// Environ sets the SDK's variables to these, and the rest of them to nothing.
func Environ(t *testing.T, environ map[string]string) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	for name, value := range environ {
		t.Setenv(name, value)
	}
}

// SetClock puts this AWS's clock ahead of the machine's.
func (a *AWS) SetClock(ahead time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ahead = ahead
}

// now needs mu.
func (a *AWS) now() time.Time { return time.Now().UTC().Add(a.ahead) }

// Fail answers a call, as "eks.DescribeCluster", with f from now on.
func (a *AWS) Fail(call string, f Failure) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failures[call] = f
}

// Mend answers it as before.
func (a *AWS) Mend(call string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.failures, call)
}

// Hold keeps every such call waiting until release is called, or its client has
// gone. arrived is closed when the first has come.
func (a *AWS) Hold(call string) (arrived <-chan struct{}, release func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	hold, came := make(chan struct{}), make(chan struct{})
	a.holds[call], a.wait[call] = hold, came
	return came, sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.holds, call)
		close(hold)
	})
}

// Calls is how often a call was made, refused ones among them.
func (a *AWS) Calls(call string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls[call]
}

// Asked reports whether a host was asked for anything.
func (a *AWS) Asked(host string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hosts[host] > 0
}

// Sessions are the names of the role sessions that were made.
func (a *AWS) Sessions() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.sessions...)
}

// request is one call, its signature checked.
type request struct {
	*http.Request
	body   []byte
	who    principal
	region string
}

func (a *AWS) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	a.hosts[r.Host]++
	w.Header().Set("Date", a.now().Format(http.TimeFormat))
	a.mu.Unlock()
	service, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.Host, "fips."), "eks-fips."), ".")
	service = strings.TrimSuffix(service, "-fips")
	p, known := protocols[service]
	if !known {
		http.Error(w, "awstest has no "+r.Host, http.StatusNotFound)
		return
	}
	req := &request{Request: r, body: body}
	call, answer := p.route(req)
	if f := a.meet(r.Context(), service+"."+call); f != nil {
		w.Header().Set("Retry-After", f.RetryAfter)
		p.refuse(w, *f, "it was told to fail")
		return
	}
	if answer == nil {
		p.refuse(w, Failure{Status: http.StatusBadRequest, Code: "InvalidAction"}, "awstest has no "+call)
		return
	}
	if f := a.authenticate(req, service, call); f != nil {
		p.refuse(w, f.Failure, f.why)
		return
	}
	out, f := answer(a, req)
	if f != nil {
		p.refuse(w, f.Failure, f.why)
		return
	}
	w.Header().Set("Content-Type", p.contentType(r))
	_, _ = w.Write(out)
}

// meet counts a call, and holds or fails it where a test wants that.
func (a *AWS) meet(ctx context.Context, call string) *Failure {
	a.mu.Lock()
	a.calls[call]++
	hold := a.holds[call]
	f, fails := a.failures[call]
	if came := a.wait[call]; came != nil {
		close(came)
		delete(a.wait, call)
	}
	a.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	if fails {
		return &f
	}
	return nil
}

// refusal is a failure and why.
type refusal struct {
	Failure
	why string
}

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{Failure{Status: status, Code: code}, fmt.Sprintf(format, args...)}
}

// anonymous are the calls that need no signature: the token is the proof.
var anonymous = map[string]bool{"sts.AssumeRoleWithWebIdentity": true}

func (a *AWS) authenticate(r *request, service, call string) *refusal {
	if anonymous[service+"."+call] {
		return nil
	}
	s, err := signatureOf(r.Request)
	if err != nil {
		return refuse(http.StatusForbidden, "MissingAuthenticationToken", "%v", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	who, ok := a.keys[s.key]
	switch {
	case !ok || who.token != s.token:
		return refuse(http.StatusForbidden, unknownKey[service], "The security token included in the request is invalid.")
	case who.expires.Before(a.now()) && !who.expires.IsZero():
		return refuse(http.StatusForbidden, expired[service], "The security token included in the request is expired")
	case s.service != service:
		return refuse(http.StatusForbidden, mismatch[service], "signed for %s", s.service)
	case !strings.Contains(r.Host, "."+s.region+"."):
		return refuse(http.StatusForbidden, mismatch[service], "signed for %s", s.region)
	case !s.matches(r.Request, r.body, who.secret):
		return refuse(http.StatusForbidden, mismatch[service], "The request signature we calculated does not match the signature you provided.")
	}
	if err := s.current(a.now()); err != nil {
		return refuse(http.StatusForbidden, mismatch[service], "%v", err)
	}
	r.who, r.region = who, s.region
	return nil
}

// Each kind of service has names of its own for the same mistakes.
var (
	unknownKey = map[string]string{"sts": "InvalidClientTokenId", "eks": "UnrecognizedClientException", "secretsmanager": "UnrecognizedClientException", "ssm": "UnrecognizedClientException"}
	expired    = map[string]string{"sts": "ExpiredToken", "eks": "ExpiredTokenException", "secretsmanager": "ExpiredTokenException", "ssm": "ExpiredTokenException"}
	mismatch   = map[string]string{"sts": "SignatureDoesNotMatch", "eks": "InvalidSignatureException", "secretsmanager": "InvalidSignatureException", "ssm": "InvalidSignatureException"}
)
