package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
)

// MaxRequest bounds a certificate signing request, in bytes of PEM.
const MaxRequest = 8 << 10

// Sizes of RSA keys, in bits. Larger ones only cost.
const minRSA, maxRSA = 2048, 4096

// Why a request is not signed.
var (
	// ErrRequest is a request that nobody's would be signed like.
	ErrRequest = errors.New("the certificate signing request cannot be used")
	// ErrOtherName is a request that names something else than the cluster.
	ErrOtherName = errors.New("the certificate signing request names something else")
)

// NewRequest is the agent's side: a new key, PKCS #8 in PEM, and a request for
// that cluster's certificate.
func NewRequest(cluster string) (keyPEM, csrPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: cluster}}, key)
	if err != nil {
		return nil, nil, err
	}
	p, err := pairOf(key)
	return p.Key, pem.EncodeToMemory(&pem.Block{Type: blockRequest, Bytes: der}), err
}

// Request is a request whose form, key and signature hold. What it names is not
// checked yet.
type Request struct {
	public crypto.PublicKey
	names  []string
}

// ParseRequest reads a request in PEM. Its errors are ErrRequest.
func ParseRequest(csrPEM []byte) (Request, error) {
	if len(csrPEM) > MaxRequest {
		return Request{}, fmt.Errorf("%w: it is larger than %d KiB", ErrRequest, MaxRequest>>10)
	}
	der, err := oneBlock(csrPEM, blockRequest)
	if err != nil {
		return Request{}, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return Request{}, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if err := checkKey(csr.PublicKey); err != nil { // first: it bounds what the signature costs
		return Request{}, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if err := csr.CheckSignature(); err != nil {
		return Request{}, fmt.Errorf("%w: its signature does not hold: %w", ErrRequest, err)
	}
	return Request{public: csr.PublicKey, names: namesOf(csr)}, nil
}

func checkKey(public crypto.PublicKey) error {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() {
			return nil
		}
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits >= minRSA && bits <= maxRSA && key.E == 65537 {
			return nil
		}
	}
	return fmt.Errorf("its key is none of ECDSA P-256 or P-384, Ed25519, RSA of %d to %d bits", minRSA, maxRSA)
}

// namesOf is all that a request wants to be named.
func namesOf(csr *x509.CertificateRequest) (names []string) {
	if cn := csr.Subject.CommonName; cn != "" {
		names = append(names, cn)
	}
	names = append(names, csr.DNSNames...)
	names = append(names, csr.EmailAddresses...)
	for _, ip := range csr.IPAddresses {
		names = append(names, ip.String())
	}
	for _, u := range csr.URIs {
		names = append(names, u.String())
	}
	return names
}

// Fits is ErrOtherName for a request that names anything but the cluster.
func (r Request) Fits(cluster string) error {
	other := slices.IndexFunc(r.names, func(n string) bool { return n != cluster && n != identityOf(cluster).String() })
	if other >= 0 {
		return fmt.Errorf("%w: %.80q, and not %s", ErrOtherName, r.names[other], cluster)
	}
	return nil
}

// Issued is a client certificate.
type Issued struct {
	Cluster string
	// Serial is as in Peer.
	Serial          string
	Fingerprint     Fingerprint
	PEM             []byte
	Issued, Expires time.Time
}

// identityOf is the name by which a certificate is a cluster's agent's.
func identityOf(cluster string) *url.URL {
	return &url.URL{Scheme: "periscope", Host: "agent", Path: "/" + cluster}
}

// Sign makes the cluster's agent a certificate of that life, or to the CA's own
// end where that is sooner. Of the request it takes the public key alone. Its
// errors are ErrOtherName, or none of the asker's doing.
func (a *Authority) Sign(r Request, cluster string, life time.Duration) (Issued, error) {
	if !isLabel(cluster) {
		return Issued{}, fmt.Errorf("%.80q is no name of a cluster", cluster)
	}
	if err := r.Fits(cluster); err != nil {
		return Issued{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: cluster}, URIs: []*url.URL{identityOf(cluster)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := a.sign(template, r.public, now, life)
	if err != nil {
		return Issued{}, err
	}
	return Issued{
		Cluster: cluster, Serial: serialText(template.SerialNumber), Fingerprint: sha256.Sum256(der), PEM: certPEM(der),
		Issued: now, Expires: template.NotAfter,
	}, nil
}

// sign fills in serial and times. Times of certificates are whole seconds.
func (a *Authority) sign(template *x509.Certificate, public crypto.PublicKey, now time.Time, life time.Duration) ([]byte, error) {
	if err := inTime(a.cert, now); err != nil {
		return nil, fmt.Errorf("the agents' CA: %w", err)
	}
	template.SerialNumber, template.BasicConstraintsValid = newSerial(), true
	template.NotBefore = later(now.Add(-backdate), a.cert.NotBefore).UTC().Truncate(time.Second)
	template.NotAfter = now.Add(life).UTC().Truncate(time.Second)
	if template.NotAfter.After(a.cert.NotAfter) {
		template.NotAfter = a.cert.NotAfter
	}
	return x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
