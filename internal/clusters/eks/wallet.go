package eks

import (
	"context"
	"encoding/base64"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/periscope-console/periscope/internal/awsapi"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/flight"
	"github.com/periscope-console/periscope/internal/kube"
)

// A token is a request to STS, signed for somebody else to make: EKS makes it and
// learns from STS who signed. sigs.k8s.io/aws-iam-authenticator has the format.
const (
	tokenPrefix   = "k8s-aws-v1."
	clusterHeader = "x-k8s-aws-id"
	// expiresParam is what the request says of its own life, in seconds. STS passes
	// over it and takes the request for 15 minutes.
	expiresParam = 60
)

const (
	// tokenRenew is when a new token is made, tokenLife when the old one is no
	// longer sent: a minute before STS would refuse it.
	tokenRenew = 10 * time.Minute
	tokenLife  = 14 * time.Minute
	// sessionLife is that of a role session, the longest that a role reached by
	// another role's session may have.
	sessionLife = time.Hour
	// maxUsers bounds the users whose sessions are kept for a cluster; the one not
	// seen for the longest time makes room.
	maxUsers = 512
	// refusedAfter is how old a token must be for its refusal to be worth another:
	// one that was refused when it was new is so for a reason.
	refusedAfter = 30 * time.Second
)

// wallet has the credentials and tokens for one cluster. Where no role is taken
// there is one of each, else one for the server and one for each user: the role
// sessions bear their names, and what was signed in one is nobody else's.
type wallet struct {
	spec  config.Cluster
	cfg   aws.Config
	group *flight.Group

	mu     sync.Mutex // guards what follows
	purses map[string]*purse
	asked  uint64 // how often a purse was asked for
}

// purse is one identity's.
type purse struct {
	creds aws.CredentialsProvider
	token *flight.Value[token]
	last  uint64 // of asked
}

// token is what a cluster takes for proof.
type token struct {
	text string
	at   time.Time
}

func newWallet(spec config.Cluster, cfg aws.Config, group *flight.Group) *wallet {
	return &wallet{spec: spec, cfg: cfg, group: group, purses: map[string]*purse{}}
}

// of is the purse of a user's subject; empty is the server's own.
func (w *wallet) of(subject string) *purse {
	if w.spec.AssumeRoleARN == "" {
		subject = ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.purses[subject]
	if p == nil {
		w.makeRoom()
		p = w.open(subject)
		w.purses[subject] = p
	}
	w.asked++
	p.last = w.asked
	return p
}

func (w *wallet) open(subject string) *purse {
	p := &purse{creds: w.session(subject)}
	p.token = flight.New(w.group, func(ctx context.Context) (token, flight.Life, error) { return w.sign(ctx, p.creds) }, awsapi.Pause)
	return p
}

// session is how a subject's credentials come about.
func (w *wallet) session(subject string) aws.CredentialsProvider {
	if w.spec.AssumeRoleARN == "" {
		return w.cfg.Credentials
	}
	take := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(w.cfg), w.spec.AssumeRoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName, o.Duration = sessionName(subject), sessionLife
	})
	return aws.NewCredentialsCache(take, awsapi.ExpireEarly)
}

// makeRoom needs mu. The server's own purse stays.
func (w *wallet) makeRoom() {
	if len(w.purses) <= maxUsers {
		return
	}
	oldest := ""
	for subject, p := range w.purses {
		if subject != "" && (oldest == "" || p.last < w.purses[oldest].last) {
			oldest = subject
		}
	}
	delete(w.purses, oldest)
}

func (w *wallet) credentials(subject string) aws.CredentialsProvider { return w.of(subject).creds }

// token proves the server to the cluster, in the name of a subject.
func (w *wallet) token(ctx context.Context, subject string) (string, error) {
	t, err := w.of(subject).token.Get(ctx)
	return t.text, err
}

// refused is told that the cluster did not take a token. It was good once, unless
// it is new: a clock that was set since may be why, also one that was set back.
func (w *wallet) refused(subject, text string) {
	now := w.group.Now()
	w.of(subject).token.Drop(func(t token) bool {
		return t.text == text && now.Sub(t.at).Abs() > refusedAfter
	})
}

// sign makes a token. It asks nobody but, where there are none, for credentials.
func (w *wallet) sign(ctx context.Context, from aws.CredentialsProvider) (token, flight.Life, error) {
	creds, err := awsapi.Credentials(ctx, from)
	if err != nil {
		return token{}, flight.Life{}, w.fault(err)
	}
	now := w.group.Now()
	signed, err := sts.NewPresignClient(sts.NewFromConfig(w.cfg)).PresignGetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, func(o *sts.PresignOptions) {
		o.ClientOptions = append(o.ClientOptions, func(o *sts.Options) {
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil })
			o.APIOptions = append(o.APIOptions,
				smithyhttp.SetHeaderValue(clusterHeader, w.spec.EKSName),
				smithyhttp.SetHeaderValue("X-Amz-Expires", strconv.Itoa(expiresParam)))
		})
	})
	if err != nil {
		return token{}, flight.Life{}, awsapi.Fault(err, fault.ClusterUnreachable, op, "make a token for cluster "+w.spec.Name)
	}
	expire := awsapi.Lifetime(creds, now.Add(tokenLife))
	renew := awsapi.Lifetime(creds, now.Add(tokenRenew))
	return token{tokenPrefix + base64.RawURLEncoding.EncodeToString([]byte(signed.URL)), now}, flight.Life{Renew: renew, Expire: expire}, nil
}

// fault is for credentials that cannot be had.
func (w *wallet) fault(err error) error {
	if w.spec.AssumeRoleARN != "" && awsapi.CredentialsDenied(err) {
		return fault.Wrap(err, fault.ClusterUnreachable, op,
			"AWS does not let this server take the role for cluster %s. Whoever runs it must check assumeRoleArn, and that the role trusts the server's own for sts:AssumeRole.", w.spec.Name)
	}
	return awsapi.Fault(err, fault.ClusterUnreachable, op, "get AWS credentials for cluster "+w.spec.Name)
}

// bearer adds the token of whoever a request is for.
type bearer struct {
	next http.RoundTripper
	b    *backend
}

// RoundTrip implements http.RoundTripper. What it adds replaces what was there:
// nothing from a client gets here, and nothing could say who the server is.
func (t bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	subject := kube.SubjectOf(r.Context())
	text, err := t.b.wallet.token(r.Context(), subject)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, t.b.fault(err)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+text)
	resp, err := t.next.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		t.b.wallet.refused(subject, text)
	}
	return resp, err
}

// WrappedRoundTripper lets client-go find the transport beneath.
func (t bearer) WrappedRoundTripper() http.RoundTripper { return t.next }
