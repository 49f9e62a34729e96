package provider

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"sync"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite/token/jwt"
)

// maxKeys is how many keys /jwks shows: the one that signs and those before it,
// whose tokens are still about.
const maxKeys = 3

// keyring signs ID tokens. The newest key is the first.
type keyring struct {
	algorithm string // RS256 or ES256
	mu        sync.Mutex
	made      int
	keys      []jose.JSONWebKey
}

func newKeyring(algorithm string) (*keyring, error) {
	k := &keyring{algorithm: algorithm}
	return k, k.rotate()
}

// rotate makes a new key to sign with; the oldest beyond maxKeys is forgotten.
func (k *keyring) rotate() error {
	private, err := newKey(k.algorithm)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.made++
	key := jose.JSONWebKey{Key: private, KeyID: fmt.Sprintf("key-%d", k.made), Algorithm: k.algorithm, Use: "sig"}
	k.keys = append([]jose.JSONWebKey{key}, k.keys[:min(len(k.keys), maxKeys-1)]...)
	return nil
}

func newKey(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "RS256":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return nil, fmt.Errorf("the algorithm %q is neither RS256 nor ES256", algorithm)
}

func (k *keyring) current(context.Context) (any, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.keys[0]
	return &key, nil
}

func (k *keyring) public() jose.JSONWebKeySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, key := range k.keys {
		set.Keys = append(set.Keys, key.Public())
	}
	return set
}

// signer signs what the directory says at that moment, so that a refreshed
// token carries the groups of now.
type signer struct {
	jwt.DefaultSigner
	users *directory
}

// Generate puts the user's claims over those of the protocol and signs.
func (s *signer) Generate(ctx context.Context, claims jwt.MapClaims, header jwt.Mapper) (token, signature string, err error) {
	sub, _ := claims["sub"].(string)
	if u, ok := s.users.active(sub); ok {
		u.claimsOf(claims)
	}
	return s.DefaultSigner.Generate(ctx, claims, header)
}
