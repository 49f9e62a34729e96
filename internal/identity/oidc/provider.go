package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/periscope-console/periscope/internal/fault"
)

const (
	// callLimit bounds one request to the provider, maxAnswer what it may answer.
	callLimit = 10 * time.Second
	maxAnswer = 2 << 20
	// Discovery is tried again after these pauses.
	firstPause = time.Second
	maxPause   = 30 * time.Second
	// skew is how far the clocks may differ.
	skew = 5 * time.Minute
)

// signatures are the algorithms that tokens may be signed with: none is missing,
// and so are those with a shared secret.
var signatures = []string{
	gooidc.RS256, gooidc.RS384, gooidc.RS512, gooidc.ES256, gooidc.ES384, gooidc.ES512,
	gooidc.PS256, gooidc.PS384, gooidc.PS512, gooidc.EdDSA,
}

// found is what the provider's discovery document says.
type found struct {
	issuer   string
	provider *gooidc.Provider
	keys     gooidc.KeySet
	accepted *gooidc.Config // what ID tokens are
	metadata metadata
}

// metadata is the part of the document that go-oidc leaves to us (OpenID Connect
// Discovery 1.0, section 3; RP-Initiated Logout 1.0; RFC 9207).
type metadata struct {
	EndSession     string   `json:"end_session_endpoint"`
	Scopes         []string `json:"scopes_supported"`
	Signatures     []string `json:"id_token_signing_alg_values_supported"`
	PKCE           []string `json:"code_challenge_methods_supported"`
	SendsIssuer    bool     `json:"authorization_response_iss_parameter_supported"`
	AuthMethods    []string `json:"token_endpoint_auth_methods_supported"`
	TokenEndpoint  string   `json:"token_endpoint"`
	AuthorizeURL   string   `json:"authorization_endpoint"`
	Prompts        []string `json:"prompt_values_supported"`
	UserinfoTarget string   `json:"userinfo_endpoint"`
	Keys           string   `json:"jwks_uri"`
}

// directory finds the provider once, and keeps trying until it has.
type directory struct {
	issuer, clientID string
	client           *http.Client

	mu    sync.Mutex // guards what follows
	found *found
	why   error // of the last try
}

func newDirectory(issuer, clientID string, transport http.RoundTripper) *directory {
	return &directory{
		issuer: issuer, clientID: clientID,
		client: &http.Client{Transport: bounded{transport}, Timeout: callLimit, CheckRedirect: noRedirect},
		why:    errors.New("it has not been asked yet"),
	}
}

// noRedirect: the provider is where its issuer says, and secrets go nowhere else.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// bounded cuts answers that are too long.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = limited{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

type limited struct {
	io.Reader
	io.Closer
}

// context makes the libraries use our client. Nobody but the provider's keys
// outlives the call, and they ask anew.
func (d *directory) context(ctx context.Context) context.Context {
	return gooidc.ClientContext(ctx, d.client)
}

// get is the provider, or why it is not known.
func (d *directory) get() (*found, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.found == nil {
		return nil, fault.Wrap(d.why, fault.Timeout, "oidc",
			"The login provider %s cannot be used yet: %s. It is asked again every few seconds; if it stays so, whoever runs this server must check oidc.issuer.", d.issuer, oneLine(d.why))
	}
	return d.found, nil
}

// find asks until the provider has answered or ctx ends. tried is called after
// each try that failed.
func (d *directory) find(ctx context.Context, tried func(error)) {
	pause := firstPause
	for {
		f, err := d.discover(ctx)
		d.mu.Lock()
		d.found, d.why = f, err
		d.mu.Unlock()
		if err == nil || ctx.Err() != nil {
			return
		}
		tried(err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, maxPause)
		}
	}
}

func (d *directory) discover(ctx context.Context) (*found, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	// The library keeps the client of this context, not its end, for the keys.
	p, err := gooidc.NewProvider(d.context(ctx), d.issuer)
	if err != nil {
		return nil, err
	}
	var m metadata
	if err := p.Claims(&m); err != nil {
		return nil, err
	}
	if open := m.inTheOpen(d.issuer); open != "" {
		return nil, fmt.Errorf("it names an address without TLS, %s", open)
	}
	allowed := allowedSignatures(m.Signatures)
	if len(allowed) == 0 {
		return nil, fmt.Errorf("it signs with %v, of which none can be accepted", m.Signatures)
	}
	if len(m.PKCE) > 0 && !slices.Contains(m.PKCE, "S256") {
		return nil, fmt.Errorf("it supports PKCE by %v, but not by S256", m.PKCE)
	}
	return &found{
		issuer: d.issuer, provider: p, keys: gooidc.NewRemoteKeySet(d.context(ctx), m.Keys),
		accepted: &gooidc.Config{ClientID: d.clientID, SupportedSigningAlgs: allowed}, metadata: m,
	}, nil
}

// verify checks an ID token. Its error is a fault Timeout where the keys for that
// cannot be fetched, which says nothing about the token, and a refusal otherwise.
func (f *found) verify(ctx context.Context, raw string) (*gooidc.IDToken, error) {
	keys := &fetching{KeySet: f.keys}
	id, err := gooidc.NewVerifier(f.issuer, keys, f.accepted).Verify(ctx, raw)
	if keys.failed != nil {
		return nil, fault.Wrap(keys.failed, fault.Timeout, "oidc", "Your login provider does not hand out the keys that it signs logins with. Try again in a moment; if it stays so, tell whoever runs this server.")
	}
	if err != nil {
		return nil, verifyFault(err)
	}
	return id, nil
}

// fetching remembers why keys could not be fetched for one token: the verifier
// passes on the words of an error alone.
type fetching struct {
	gooidc.KeySet
	failed error
}

func (k *fetching) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, jwt)
	if errors.Unwrap(err) != nil { // of its errors that of fetching alone has a cause
		k.failed = err
	}
	return payload, err
}

// inTheOpen is an address of the provider's that others could listen in on, which
// its issuer does not let them.
func (m metadata) inTheOpen(issuer string) string {
	if !strings.HasPrefix(issuer, "https://") {
		return "" // config takes such an issuer on this machine alone
	}
	for _, address := range []string{m.AuthorizeURL, m.TokenEndpoint, m.UserinfoTarget, m.Keys, m.EndSession} {
		if address != "" && !strings.HasPrefix(address, "https://") {
			return address
		}
	}
	return ""
}

// scopes are those that were set, but for offline_access where the provider lists
// its scopes and has none of that name: Google refuses it.
func (f *found) scopes(set []string) []string {
	if len(f.metadata.Scopes) == 0 || slices.Contains(f.metadata.Scopes, gooidc.ScopeOfflineAccess) {
		return set
	}
	return slices.DeleteFunc(slices.Clone(set), func(s string) bool { return s == gooidc.ScopeOfflineAccess })
}

// allowedSignatures is RS256 where the document names none, as it must.
func allowedSignatures(said []string) []string {
	if len(said) == 0 {
		return []string{gooidc.RS256}
	}
	var all []string
	for _, s := range said {
		if slices.Contains(signatures, s) {
			all = append(all, s)
		}
	}
	return all
}

// google knows no prompt=login, and does not list which it knows.
const google = "https://accounts.google.com"

// otherAccount is the prompt that lets somebody choose another account, whom the
// provider would otherwise send straight back as who they were.
func (f *found) otherAccount() string {
	if f.issuer == google || slices.Contains(f.metadata.Prompts, "select_account") {
		return "select_account"
	}
	return "login"
}

// endpoint prefers to send the secret in a header, as the standard's default is.
func (f *found) endpoint() oauth2.Endpoint {
	e := f.provider.Endpoint()
	e.AuthStyle = oauth2.AuthStyleInHeader
	if m := f.metadata.AuthMethods; len(m) > 0 && !slices.Contains(m, "client_secret_basic") {
		e.AuthStyle = oauth2.AuthStyleInParams
	}
	return e
}
