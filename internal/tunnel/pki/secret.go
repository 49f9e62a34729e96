package pki

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/tunnel/kubesecret"
)

// Secret is a Keeper: a Secret of the type kubernetes.io/tls in the server's own
// cluster. It needs the verbs get on that Secret and create on Secrets in its
// namespace, and no more.
type Secret struct {
	namespace string
	client    *kubesecret.Client
}

// NewSecret keeps the CA under that name, reached by cfg. It makes no connection.
func NewSecret(cfg *rest.Config, namespace, name string) (*Secret, error) {
	client, err := kubesecret.New(cfg, namespace, name)
	if err != nil {
		return nil, err
	}
	return &Secret{namespace: namespace, client: client}, nil
}

func (s *Secret) String() string { return s.client.String() }

// Load implements Keeper.
func (s *Secret) Load(ctx context.Context) (Pair, error) {
	kept, err := s.client.Get(ctx)
	if apierrors.IsNotFound(err) {
		return Pair{}, ErrNone
	}
	if err != nil {
		return Pair{}, s.failed(err, "get")
	}
	p := Pair{Cert: kept.Data[kubesecret.TLSCert], Key: kept.Data[kubesecret.TLSKey]}
	if len(p.Cert) > maxKept || len(p.Key) > maxKept {
		return Pair{}, s.failed(errors.New("it is too large"), "get")
	}
	return p, nil
}

// Create implements Keeper. The apiserver lets one of several creators win.
func (s *Secret) Create(ctx context.Context, p Pair) (Pair, error) {
	secret := kubesecret.Secret{
		Type: kubesecret.TLS, Immutable: true, Data: map[string][]byte{kubesecret.TLSCert: p.Cert, kubesecret.TLSKey: p.Key},
	}
	err := s.client.Create(ctx, secret, map[string]string{"app.kubernetes.io/managed-by": "periscope"})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return Pair{}, s.failed(err, "create")
	}
	return s.Load(ctx)
}

func (s *Secret) failed(err error, verb string) error {
	return fault.Wrap(err, fault.Invalid, "pki.Secret",
		"The agents' CA cannot be kept in %v: %v. The server's service account needs the verb %s on secrets in the namespace %s (docs/agent-onboarding.md).", s, err, verb, s.namespace)
}
