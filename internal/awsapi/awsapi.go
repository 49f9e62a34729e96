// Package awsapi is how this process talks to AWS: with which credentials, within
// which bounds, and what it says when that fails.
//
// It owns the one credential chain of the process (the SDK's default one: the
// environment, a profile, web identity (IRSA), Pod Identity, the instance's role)
// and the words for what goes wrong with any call. It does not own the calls. It
// starts no goroutines of its own; the SDK's end with their call.
package awsapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

const (
	// CallLimit bounds one call with all its attempts.
	CallLimit = 20 * time.Second
	// maxAnswer bounds what AWS may answer, in bytes; the largest answer read here
	// is a secret of 64 KiB.
	maxAnswer = 1 << 20
	// Credentials are renewed this long before they end, so that what was signed
	// with them holds for a while.
	expiryWindow = 5 * time.Minute
)

// Option changes how the chain is loaded. Tests bring an HTTP client.
type Option = func(*config.LoadOptions) error

// Chain is the process's credentials, loaded when they are first asked for. They
// are shared by whoever uses the chain, so that one exchange serves all.
type Chain struct {
	options []Option

	mu     sync.Mutex // guards what follows
	loaded *aws.Config
}

// NewChain makes a chain that has read nothing yet.
func NewChain(options ...Option) *Chain { return &Chain{options: options} }

// Config is for calls to a region; the chain's own where it is empty. It reads
// environment and files alone. home is the region in which credentials are
// fetched where the chain knows none.
func (c *Chain) Config(ctx context.Context, region, home string) (aws.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded == nil {
		loaded, err := c.load(ctx, home)
		if err != nil {
			return aws.Config{}, fmt.Errorf("the settings for AWS cannot be used; check the AWS_… variables and the files that they name: %w", err)
		}
		c.loaded = &loaded
	}
	cfg := c.loaded.Copy()
	if region != "" {
		cfg.Region = region
	}
	return cfg, nil
}

func (c *Chain) load(ctx context.Context, home string) (aws.Config, error) {
	options := append([]Option{
		config.WithDefaultRegion(home),
		config.WithAppID("periscope"),
		config.WithCredentialsCacheOptions(ExpireEarly),
	}, c.options...)
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, err
	}
	cfg.HTTPClient = bounded{cfg.HTTPClient}
	return cfg, nil
}

// ExpireEarly is how every cache of credentials is set up here.
func ExpireEarly(o *aws.CredentialsCacheOptions) {
	o.ExpiryWindow, o.ExpiryWindowJitterFrac = expiryWindow, 0.5
}

// bounded cuts answers that are too long. It stands outside of the SDK's own
// client, which the SDK must be able to change (AWS_CA_BUNDLE).
type bounded struct{ next aws.HTTPClient }

func (b bounded) Do(r *http.Request) (*http.Response, error) {
	resp, err := b.next.Do(r)
	if resp != nil && resp.Body != nil {
		resp.Body = limited{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

type limited struct {
	io.Reader
	io.Closer
}

// Credentials fetches credentials, and says so in the error where there are none:
// the SDK would put that into the words of whatever call needed them.
func Credentials(ctx context.Context, from aws.CredentialsProvider) (aws.Credentials, error) {
	if from == nil {
		return aws.Credentials{}, &credentialsError{errors.New("the chain has no credentials")}
	}
	creds, err := from.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &credentialsError{err}
	}
	return creds, nil
}

// credentialsError is a call that failed because there was nobody to make it as.
type credentialsError struct{ cause error }

func (e *credentialsError) Error() string { return "no credentials: " + e.cause.Error() }
func (e *credentialsError) Unwrap() error { return e.cause }
