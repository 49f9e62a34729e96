// Package pki is the certificates by which agents and this server know each
// other: a CA of the server's own, a client certificate for each agent, and the
// server's own for the agents' listener.
//
// It owns how the CA is kept (in a file or in a Kubernetes Secret), what a
// certificate says and how one is checked: which CA, which use, which time, which
// cluster; and the pin by which an agent knows the CA before it has it. It does not
// own who may have a certificate, nor which were revoked: package enrol does. It
// starts no goroutines; an Authority and a Serving are safe for any of them.
//
// It guarantees that a certificate says nothing that its asker chose but the
// public key, and that a certificate for one use or cluster is none for another.
package pki

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
)

const (
	// caLife is long: each agent must be enrolled again when it is over.
	caLife = 10 * 365 * 24 * time.Hour
	// backdate lets a peer whose clock is a little slow take a new certificate.
	backdate = time.Hour
	caName   = "periscope agents"
)

// The types of PEM blocks.
const (
	blockCert    = "CERTIFICATE"
	blockKey     = "PRIVATE KEY" // PKCS #8
	blockRequest = "CERTIFICATE REQUEST"
)

// Authority is the CA. It signs nothing but what this package's methods make.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
	pool *x509.CertPool
}

// Open is the CA that k keeps; one is made where k keeps none. Servers that start
// at the same time on one keeper get the same. Its errors are faults whose public
// sentence is for whoever starts the server.
func Open(ctx context.Context, k Keeper) (*Authority, error) {
	kept, err := k.Load(ctx)
	if errors.Is(err, ErrNone) {
		if kept, err = newCA(time.Now()); err == nil {
			kept, err = k.Create(ctx, kept)
		}
	}
	if err != nil {
		return nil, err
	}
	a, err := parseCA(kept)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "pki.Open",
			"What is kept as the agents' CA in %v cannot be used: %v. Put back what was there, or remove it and enrol every agent anew.", k, err)
	}
	return a, nil
}

// newCA is a CA that nobody has seen yet.
func newCA(now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: caName},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return Pair{}, err
	}
	return pairOf(key, der)
}

// pairOf encodes a key and the certificates that belong to it, its own first.
func pairOf(key *ecdsa.PrivateKey, chain ...[]byte) (Pair, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	p := Pair{Key: pem.EncodeToMemory(&pem.Block{Type: blockKey, Bytes: der})}
	for _, cert := range chain {
		p.Cert = append(p.Cert, certPEM(cert)...)
	}
	return p, nil
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockCert, Bytes: der})
}

// newSerial is 127 random bits: positive, and never two the same.
func newSerial() *big.Int {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand
	b[0] &= 0x7f
	b[0] |= 0x40 // always of the same length
	return new(big.Int).SetBytes(b[:])
}

// serialText is how a serial number is kept and logged: 32 hexadecimal digits.
func serialText(n *big.Int) string { return hex.EncodeToString(n.Bytes()) }

// Why what is kept is no CA.
var (
	errNoCA = errors.New("the certificate is not one of a CA")
	errKeys = errors.New("the key is not the certificate's")
	errKind = errors.New("the key is no ECDSA key on P-256")
)

func parseCA(kept Pair) (*Authority, error) {
	der, err := oneBlock(kept.Cert, blockCert)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(kept.Key)
	if err != nil {
		return nil, err
	}
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, errNoCA
	case !key.PublicKey.Equal(cert.PublicKey):
		return nil, errKeys
	}
	if err := inTime(cert, time.Now()); err != nil {
		return nil, err
	}
	a := &Authority{cert: cert, key: key, pem: certPEM(cert.Raw), pool: x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a, nil
}

func parseKey(text []byte) (*ecdsa.PrivateKey, error) {
	der, err := oneBlock(text, blockKey)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errKind
	}
	return key, nil
}

// oneBlock is the content of text's only PEM block.
func oneBlock(text []byte, kind string) ([]byte, error) {
	block, rest := pem.Decode(text)
	switch {
	case block == nil || block.Type != kind:
		return nil, fmt.Errorf("it holds no PEM block %q", kind)
	case len(trimSpace(rest)) > 0:
		return nil, fmt.Errorf("it holds more than one PEM block %q", kind)
	}
	return block.Bytes, nil
}

// PEM is the CA's certificate, which agents trust for the link.
func (a *Authority) PEM() []byte { return append([]byte(nil), a.pem...) }

// Pin is the CA's pin, as PinOf writes it.
func (a *Authority) Pin() string { return PinOf(a.cert) }

// Expires is when the CA ends, and with it each of its certificates.
func (a *Authority) Expires() time.Time { return a.cert.NotAfter }
