package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/tunnel/kubesecret"
	"github.com/periscope-console/periscope/internal/tunnel/pki"
)

// ErrNone says that no credentials are kept yet.
var ErrNone = errors.New("no credentials are kept yet")

// maxKept bounds what is read back, in bytes.
const maxKept = 64 << 10

// Credentials are what the agent shows the server and by what it knows it, in PEM.
type Credentials struct {
	Key         []byte `json:"key"`
	Certificate []byte `json:"certificate"`
	CA          []byte `json:"ca"`
}

// parse checks that the three belong together, and that they are the cluster's: a copy
// of another's would let this agent in as that one's, and throw its own out.
func (c Credentials) parse(cluster string) (tls.Certificate, *x509.CertPool, error) {
	pair, err := tls.X509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return pair, nil, fmt.Errorf("the agent's certificate and key: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(c.CA) {
		return pair, nil, errors.New("the server's CA is no certificate")
	}
	switch named, ok := pki.ClusterOf(pair.Leaf); {
	case !ok:
		return pair, nil, fmt.Errorf("the certificate is no agent's; %s", enrolAnew)
	case named != cluster:
		return pair, nil, fmt.Errorf("the certificate is that of the agent of cluster %s, and this is the agent of cluster %s (PERISCOPE_CLUSTER_NAME); %s", named, cluster, enrolAnew)
	}
	return pair, roots, nil
}

// enrolAnew is what to do about a certificate that is not one's own.
const enrolAnew = "remove what is kept, and enrol this cluster with a token of its own"

// Keeper keeps the agent's credentials over restarts.
type Keeper interface {
	// Load returns ErrNone where nothing is kept.
	Load(ctx context.Context) (Credentials, error)
	// Save replaces what is kept, as a whole or not at all.
	Save(ctx context.Context, c Credentials) error
	String() string
}

// File keeps them in a file that nobody else may read.
type File string

func (f File) String() string { return "the file " + string(f) }

// Load implements Keeper.
func (f File) Load(context.Context) (Credentials, error) {
	info, err := os.Stat(string(f))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Credentials{}, ErrNone
	case err != nil:
		return Credentials{}, err
	case info.Mode().Perm()&0o077 != 0:
		return Credentials{}, fmt.Errorf("%s holds the agent's key and may be read by others (mode %04o); run chmod 600 on it", f, info.Mode().Perm())
	case info.Size() > maxKept:
		return Credentials{}, fmt.Errorf("%s is larger than %d KiB; is it the right file?", f, maxKept>>10)
	}
	text, err := os.ReadFile(string(f))
	if err != nil {
		return Credentials{}, err
	}
	var c Credentials
	if err := json.Unmarshal(text, &c); err != nil {
		return Credentials{}, fmt.Errorf("%s holds no credentials of an agent: %w", f, err)
	}
	return c, nil
}

// Save implements Keeper.
func (f File) Save(_ context.Context, c Credentials) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(string(f)), ".periscope-agent-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // it is gone where all went well
	_, err = temp.Write(text)
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), string(f))
}

// keyCA is the key of the Secret that has the server's CA.
const keyCA = "ca.crt"

// Secret keeps them in a Secret of the agent's own namespace. It needs the verbs
// get and update on that Secret, and create on Secrets of the namespace where it is
// not made beforehand.
type Secret struct{ client *kubesecret.Client }

// NewSecret reaches the Secret by cfg. It makes no connection.
func NewSecret(cfg *rest.Config, namespace, name string) (*Secret, error) {
	client, err := kubesecret.New(cfg, namespace, name)
	if err != nil {
		return nil, err
	}
	return &Secret{client}, nil
}

func (s *Secret) String() string { return s.client.String() }

// Load implements Keeper. A Secret without data is one that was made beforehand.
func (s *Secret) Load(ctx context.Context) (Credentials, error) {
	kept, err := s.client.Get(ctx)
	if apierrors.IsNotFound(err) || err == nil && len(kept.Data) == 0 {
		return Credentials{}, ErrNone
	}
	if err != nil {
		return Credentials{}, fmt.Errorf("%s: %w", s, err)
	}
	return Credentials{Key: kept.Data[kubesecret.TLSKey], Certificate: kept.Data[kubesecret.TLSCert], CA: kept.Data[keyCA]}, nil
}

// Save implements Keeper. The last of two writers wins: each has a certificate that
// holds.
func (s *Secret) Save(ctx context.Context, c Credentials) error {
	data := map[string][]byte{kubesecret.TLSKey: c.Key, kubesecret.TLSCert: c.Certificate, keyCA: c.CA}
	kept, err := s.client.Get(ctx)
	switch {
	case apierrors.IsNotFound(err):
		err = s.client.Create(ctx, kubesecret.Secret{Data: data}, nil)
	case err == nil:
		kept.Data = data
		err = s.client.Replace(ctx, kept)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	return nil
}
