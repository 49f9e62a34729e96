// Package provider is an OpenID provider for demo and tests: code flow with PKCE,
// refresh with rotation, logout, and switches that make it fail.
//
// It owns its users, clients, keys, logins and tokens, all in memory. It asks
// for no password: whoever reaches it is whomever they choose. It starts no
// goroutines. The protocol is fosite's; what is ours is around it.
package provider

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/storage"
	"github.com/ory/fosite/token/jwt"
)

const (
	maxBody    = 64 << 10 // bytes of a request
	maxClients = 100      // clients, and redirect URIs of each
	maxSecret  = 72       // bytes, bcrypt's limit
	codeTTL    = time.Minute
)

var scopes = []string{"openid", "profile", "email", "groups", "offline_access"}

// Client is a program that people log in to.
type Client struct {
	ID          string `json:"id"`
	Secret      string `json:"secret"`
	RedirectURI string `json:"redirectURI"`
}

// Options are all that a provider is made from.
type Options struct {
	Issuer     string // http://127.0.0.1:PORT
	Users      []User
	Clients    []Client // one of the same ID adds a redirect URI
	AccessTTL  time.Duration
	RefreshTTL time.Duration
	Algorithm  string // RS256 or ES256
	Admin      bool   // serve /admin/
}

// Provider answers HTTP.
type Provider struct {
	issuer *url.URL
	oauth  fosite.OAuth2Provider
	users  *directory
	keys   *keyring
	logins *logins
	faults *faults
	admin  bool

	// tokens is held while codes and refresh tokens are used, so that of two
	// who bring the same one only one is served.
	tokens    sync.Mutex
	store     *storage.MemoryStore
	forgotten time.Time // when expired tokens were dropped last; guarded by tokens

	mu      sync.Mutex // guards clients and the fields of those inside
	clients map[string]*fosite.DefaultClient
}

// New makes a provider.
func New(o Options) (*Provider, error) {
	issuer, err := url.Parse(o.Issuer)
	if err != nil || issuer.Scheme != "http" || issuer.Host == "" {
		return nil, fmt.Errorf("the issuer %q is not http://HOST:PORT", o.Issuer)
	}
	users, err := newDirectory(o.Users)
	if err != nil {
		return nil, err
	}
	keys, err := newKeyring(o.Algorithm)
	if err != nil {
		return nil, err
	}
	p := &Provider{
		issuer: issuer, users: users, keys: keys, logins: newLogins(), faults: newFaults(), admin: o.Admin,
		store: storage.NewMemoryStore(), clients: map[string]*fosite.DefaultClient{},
	}
	p.oauth = p.compose(o)
	for _, c := range o.Clients {
		if err := p.addClient(c); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *Provider) compose(o Options) fosite.OAuth2Provider {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	config := &fosite.Config{
		AccessTokenLifespan: o.AccessTTL, IDTokenLifespan: o.AccessTTL, RefreshTokenLifespan: o.RefreshTTL,
		AuthorizeCodeLifespan: codeTTL, GlobalSecret: secret, IDTokenIssuer: o.Issuer,
		EnforcePKCE: true, ScopeStrategy: fosite.ExactScopeStrategy,
		RefreshTokenScopes: []string{"offline_access"}, HashCost: 4,
	}
	sign := &signer{DefaultSigner: jwt.DefaultSigner{GetPrivateKey: p.keys.current}, users: p.users}
	strategy := &compose.CommonStrategy{
		CoreStrategy:               compose.NewOAuth2HMACStrategy(config),
		OpenIDConnectTokenStrategy: &openid.DefaultStrategy{Signer: sign, Config: config},
		Signer:                     sign,
	}
	return compose.Compose(config, p.store, strategy,
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2RefreshTokenGrantFactory,
		compose.OpenIDConnectExplicitFactory, compose.OpenIDConnectRefreshFactory,
		compose.OAuth2TokenIntrospectionFactory, compose.OAuth2TokenRevocationFactory, compose.OAuth2PKCEFactory)
}

// addClient adds a client, or a redirect URI to one that is there.
func (p *Provider) addClient(c Client) error {
	u, err := url.Parse(c.RedirectURI)
	switch {
	case c.ID == "" || c.Secret == "" || len(c.Secret) > maxSecret:
		return fmt.Errorf("a client needs an id and a secret of at most %d bytes", maxSecret)
	case err != nil || u.Host == "" || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("the redirect URI %q is not an absolute one of http or https", c.RedirectURI)
	}
	hash, err := (&fosite.BCrypt{Config: &fosite.Config{HashCost: 4}}).Hash(nil, []byte(c.Secret)) //nolint:staticcheck // unused there
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	added := &fosite.DefaultClient{
		ID: c.ID, Secret: hash, Scopes: scopes, ResponseTypes: []string{"code"},
		GrantTypes: []string{"authorization_code", "refresh_token"},
	}
	if old, ok := p.clients[c.ID]; ok {
		added.RedirectURIs = slices.Clone(old.RedirectURIs)
	}
	added.RedirectURIs = append(added.RedirectURIs, c.RedirectURI)
	if len(p.clients) >= maxClients || len(added.RedirectURIs) > maxClients {
		return fmt.Errorf("more than %d clients or redirect URIs", maxClients)
	}
	p.clients[c.ID] = added
	p.tokens.Lock() // the store's map has a lock that nobody outside can take
	defer p.tokens.Unlock()
	p.store.Clients[c.ID] = added
	return nil
}

// redirects holds for a registered redirect URI, compared whole: fosite alone
// would let other ports of loopback pass.
func (p *Provider) redirects(client, uri string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.clients[client]
	return ok && slices.Contains(c.RedirectURIs, uri)
}

// Rotate makes a new signing key; tokens of the two before stay good.
func (p *Provider) Rotate() error { return p.keys.rotate() }

// Close lets go of requests that hang.
func (p *Provider) Close() { p.faults.close() }

// Handler serves the issuer.
func (p *Provider) Handler() http.Handler {
	mux := http.NewServeMux()
	endpoint := func(name, path string, h http.HandlerFunc) {
		bounded := http.MaxBytesHandler(h, maxBody)
		mux.Handle(path, p.faults.wrap(name, bounded))
	}
	endpoint("discovery", "GET /.well-known/openid-configuration", p.discovery)
	endpoint("jwks", "GET /jwks", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, p.keys.public()) })
	endpoint("authorize", "/authorize", p.authorize)
	endpoint("token", "POST /token", p.locked(p.token))
	endpoint("userinfo", "/userinfo", p.locked(p.userinfo))
	endpoint("revoke", "POST /revoke", p.locked(p.revoke))
	endpoint("logout", "/logout", p.logout)
	mux.HandleFunc("GET /style.css", serveStyle)
	mux.HandleFunc("GET /{$}", p.home)
	if p.admin {
		p.adminRoutes(mux)
	}
	return p.guard(http.NewCrossOriginProtection().Handler(mux))
}

// guard refuses other names for this address: a page whose name was rebound to
// it must not reach it.
func (p *Provider) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != p.issuer.Host {
			http.Error(w, "this provider is reached as "+p.issuer.String()+" only", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'")
		next.ServeHTTP(w, r)
	})
}

func (p *Provider) locked(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// The body is read before the lock: a slow client holds up nobody.
		if err := r.ParseForm(); err != nil {
			status := http.StatusBadRequest
			if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(w, "the form cannot be read: "+err.Error(), status)
			return
		}
		p.tokens.Lock()
		defer p.tokens.Unlock()
		next(w, r)
	}
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	base := strings.TrimSuffix(p.issuer.String(), "/")
	writeJSON(w, map[string]any{
		"issuer": p.issuer.String(), "authorization_endpoint": base + "/authorize", "token_endpoint": base + "/token",
		"jwks_uri": base + "/jwks", "userinfo_endpoint": base + "/userinfo", "revocation_endpoint": base + "/revoke",
		"end_session_endpoint":                  base + "/logout",
		"response_types_supported":              []string{"code"},
		"grant_types_supported":                 []string{"authorization_code", "refresh_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{p.keys.algorithm},
		"scopes_supported":                      scopes,
		"code_challenge_methods_supported":      []string{"S256"},
		"prompt_values_supported":               []string{"none", "login"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // fails only where the client has gone
}
