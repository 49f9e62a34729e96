// Package eks reaches clusters of Amazon EKS.
//
// It owns where such a cluster is (DescribeCluster), the tokens by which its
// apiserver knows the server, and the role sessions behind them. It does not own
// the credentials below (package awsapi has the process's one chain) nor what runs
// over the connection. Fetches run in goroutines that Close waits for. It
// guarantees that any number of requests costs one fetch at a time of each, and
// that a token made for one user serves no other.
package eks

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/awsapi"
	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/flight"
)

const op = "eks.Config"

// How long what DescribeCluster said is good. An endpoint does not change while a
// cluster lives, but one may be deleted and made anew under its name.
const (
	describeEvery = 10 * time.Minute
	describeLast  = 20 * time.Minute
	// describedStale is how long a cluster is reached by what was known of it while
	// AWS cannot be asked.
	describedStale = 6 * time.Hour
)

// Source opens the EKS clusters of a process. Tests have their own.
type Source struct {
	Chain *awsapi.Chain
	// Now is time.Now where it is nil. It says how old what is kept is.
	Now func() time.Time
}

// Open reads the settings for AWS, so that what is wrong with them is known at
// once. Its errors are for whoever configures the server.
func (s Source) Open(spec config.Cluster) (clusters.Backend, error) {
	cfg, err := s.Chain.Config(context.Background(), spec.Region, spec.Region)
	if err != nil {
		return nil, err
	}
	group := flight.NewGroup(awsapi.CallLimit, s.Now)
	b := &backend{spec: spec, group: group, wallet: newWallet(spec, cfg, group)}
	b.found = flight.New(group, b.describe, awsapi.Pause)
	return b, nil
}

// backend implements clusters.Backend.
type backend struct {
	spec   config.Cluster
	group  *flight.Group
	wallet *wallet
	found  *flight.Value[place]

	mu   sync.Mutex // guards what follows
	cfg  *rest.Config
	made place // what cfg was made of
}

// place is where a cluster is.
type place struct{ host, ca string }

// Config implements clusters.Backend. It has no token in it: the transport adds
// that to each request, so that a new one costs no connection.
func (b *backend) Config(ctx context.Context) (*rest.Config, error) {
	found, err := b.found.Get(ctx)
	if err == nil {
		// Better told here than by the first request.
		_, err = b.wallet.token(ctx, "")
	}
	if err != nil {
		return nil, b.fault(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cfg == nil || b.made != found {
		b.cfg, b.made = b.config(found), found
	}
	return b.cfg, nil
}

func (b *backend) config(p place) *rest.Config {
	return &rest.Config{
		Host:            p.host,
		TLSClientConfig: rest.TLSClientConfig{CAData: []byte(p.ca)},
		WrapTransport:   func(next http.RoundTripper) http.RoundTripper { return bearer{next, b} },
	}
}

// Close implements clusters.Backend.
func (b *backend) Close() error {
	b.group.Close()
	return nil
}

// fault is for what a fetch said, and for who gave up waiting for it.
func (b *backend) fault(err error) error {
	if errors.Is(err, flight.ErrClosed) {
		return fault.Wrap(err, fault.ShuttingDown, op, "The server is shutting down. Try again in a moment.")
	}
	return awsapi.Fault(err, fault.ClusterUnreachable, op, "reach cluster "+b.spec.Name)
}

// unusable is for what whoever runs the server must mend.
func (b *backend) unusable(cause error, format string, args ...any) error {
	return fault.Wrap(cause, fault.ClusterUnreachable, op, format, args...)
}

// describe asks EKS where the cluster is.
func (b *backend) describe(ctx context.Context) (place, flight.Life, error) {
	p, err := b.look(ctx)
	now := b.group.Now()
	return p, flight.Life{Renew: now.Add(describeEvery), Expire: now.Add(describeLast), Stale: now.Add(describedStale)}, err
}

func (b *backend) look(ctx context.Context) (place, error) {
	what := "look up cluster " + b.spec.Name + " at EKS"
	creds := b.wallet.credentials("")
	if _, err := awsapi.Credentials(ctx, creds); err != nil {
		return place{}, b.wallet.fault(err)
	}
	cfg := b.wallet.cfg.Copy()
	cfg.Credentials = creds
	out, err := eks.NewFromConfig(cfg).DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &b.spec.EKSName})
	switch {
	case awsapi.Code(err) == "ResourceNotFoundException":
		return place{}, b.unusable(err, "EKS has no cluster for %s in region %s of the account that is asked. Whoever runs this server must check its arn, and whether it needs assumeRoleArn.", b.spec.Name, b.spec.Region)
	case awsapi.Denied(err):
		return place{}, b.unusable(err, "AWS does not let this server look up cluster %s. Whoever runs it must give its role, or that of assumeRoleArn, eks:DescribeCluster on the cluster.", b.spec.Name)
	case err != nil:
		return place{}, awsapi.Fault(err, fault.ClusterUnreachable, op, what)
	}
	if err := checkClock(out, what); err != nil {
		return place{}, err
	}
	return b.read(out.Cluster)
}

// checkClock finds a clock that is off where the call went well all the same: the
// SDK sets its own by AWS's, but no cluster would take our tokens.
func checkClock(out *eks.DescribeClusterOutput, what string) error {
	theirs, ok := middleware.GetServerTime(out.ResultMetadata)
	ours, ok2 := middleware.GetResponseAt(out.ResultMetadata)
	if skew := theirs.Sub(ours); ok && ok2 && awsapi.TooFar(skew) {
		return awsapi.Skewed(nil, skew, fault.ClusterUnreachable, op, what)
	}
	return nil
}

// read takes what EKS says of a cluster for nothing more than it is.
func (b *backend) read(c *types.Cluster) (place, error) {
	if c == nil {
		return place{}, b.unusable(nil, "EKS answered nothing about cluster %s. Try again.", b.spec.Name)
	}
	// The name alone was asked for, and other accounts may use it too.
	if arn := aws.ToString(c.Arn); arn != b.spec.ARN {
		return place{}, b.unusable(errors.New("it is "+arn), "The server's AWS credentials lead to another cluster than %s, of the same name. Whoever runs this server must check arn, and whether it needs assumeRoleArn.", b.spec.Name)
	}
	if c.Status != types.ClusterStatusActive && c.Status != types.ClusterStatusUpdating {
		return place{}, b.unusable(nil, "Cluster %s is %s, says EKS. Try again when it is ACTIVE.", b.spec.Name, c.Status)
	}
	p := place{host: aws.ToString(c.Endpoint)}
	if c.CertificateAuthority != nil {
		pem, err := base64.StdEncoding.DecodeString(aws.ToString(c.CertificateAuthority.Data))
		if err != nil {
			return place{}, b.nonsense(err)
		}
		p.ca = string(pem)
	}
	// Without a CA of its own the system's would be trusted: anybody's.
	if u, err := url.Parse(p.host); err != nil || u.Scheme != "https" || u.Host == "" || !x509.NewCertPool().AppendCertsFromPEM([]byte(p.ca)) {
		return place{}, b.nonsense(err)
	}
	return p, nil
}

func (b *backend) nonsense(err error) error {
	return b.unusable(err, "EKS says nothing useful about where cluster %s is. Try again; if it goes on, whoever runs this server finds the cause in its log.", b.spec.Name)
}
