package pki

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/fault"
)

// Secret is a Keeper: a Secret of the type kubernetes.io/tls in the server's own
// cluster. It needs the verbs get on that Secret and create on Secrets in its
// namespace, and no more.
type Secret struct {
	namespace, name string
	client          rest.Interface
}

// NewSecret keeps the CA under that name, reached by cfg. It makes no connection.
func NewSecret(cfg *rest.Config, namespace, name string) (*Secret, error) {
	// The one group alone: the whole client would cost an agent megabytes.
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	own := rest.CopyConfig(cfg)
	own.APIPath, own.GroupVersion = "/api", &corev1.SchemeGroupVersion
	own.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(own)
	if err != nil {
		return nil, err
	}
	return &Secret{namespace: namespace, name: name, client: client}, nil
}

func (s *Secret) String() string { return fmt.Sprintf("the Secret %s/%s", s.namespace, s.name) }

// Load implements Keeper.
func (s *Secret) Load(ctx context.Context) (Pair, error) {
	var kept corev1.Secret
	err := s.client.Get().Namespace(s.namespace).Resource("secrets").Name(s.name).Do(ctx).Into(&kept)
	if apierrors.IsNotFound(err) {
		return Pair{}, ErrNone
	}
	if err != nil {
		return Pair{}, s.failed(err, "get")
	}
	p := Pair{Cert: kept.Data[corev1.TLSCertKey], Key: kept.Data[corev1.TLSPrivateKeyKey]}
	if len(p.Cert) > maxKept || len(p.Key) > maxKept {
		return Pair{}, s.failed(errors.New("it is too large"), "get")
	}
	return p, nil
}

// Create implements Keeper. The apiserver lets one of several creators win.
func (s *Secret) Create(ctx context.Context, p Pair) (Pair, error) {
	immutable := true
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: s.name, Namespace: s.namespace, Labels: map[string]string{"app.kubernetes.io/managed-by": "periscope"}},
		Type:       corev1.SecretTypeTLS, Immutable: &immutable,
		Data: map[string][]byte{corev1.TLSCertKey: p.Cert, corev1.TLSPrivateKeyKey: p.Key},
	}
	err := s.client.Post().Namespace(s.namespace).Resource("secrets").Body(secret).Do(ctx).Error()
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return Pair{}, s.failed(err, "create")
	}
	return s.Load(ctx)
}

func (s *Secret) failed(err error, verb string) error {
	return fault.Wrap(err, fault.Invalid, "pki.Secret",
		"The agents' CA cannot be kept in %v: %v. The server's service account needs the verb %s on secrets in the namespace %s (docs/agent-onboarding.md).", s, err, verb, s.namespace)
}
