package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Why a certificate is not taken. Each comes with words for the log.
var (
	ErrNoCertificate = errors.New("no certificate was shown")
	ErrOtherCA       = errors.New("the certificate is not of this server's CA")
	ErrExpired       = errors.New("the certificate has expired")
	ErrNotYet        = errors.New("the certificate is not valid yet")
	ErrUse           = errors.New("the certificate is not an agent's")
)

// Peer is who has proved to be whom.
type Peer struct {
	Cluster string
	// Serial is the certificate's serial number, 32 hexadecimal digits.
	Serial string
	// Fingerprint tells it from any other, also from one of the same serial number.
	Fingerprint Fingerprint
	Expires     time.Time
}

// Fingerprint is the SHA-256 of a whole certificate.
type Fingerprint [sha256.Size]byte

// Verify is which cluster's agent shows that certificate, the first of those that
// TLS has found to be the peer's own. The URI alone decides, to the letter.
// Whether the certificate was revoked is package enrol's to say.
func (a *Authority) Verify(shown []*x509.Certificate) (Peer, error) {
	if len(shown) == 0 {
		return Peer{}, ErrNoCertificate
	}
	cert, now := shown[0], time.Now()
	if err := cert.CheckSignatureFrom(a.cert); err != nil {
		return Peer{}, fmt.Errorf("%w: it is of %.80q", ErrOtherCA, cert.Issuer.CommonName)
	}
	if err := inTime(cert, now); err != nil {
		return Peer{}, err
	}
	cluster, ok := ClusterOf(cert)
	if !ok || cert.IsCA || !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
		return Peer{}, ErrUse
	}
	// All that is asked above is asked for its words; this is what is relied on.
	_, err := cert.Verify(x509.VerifyOptions{Roots: a.pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return Peer{}, fmt.Errorf("%w: %w", ErrUse, err)
	}
	return Peer{Cluster: cluster, Serial: serialText(cert.SerialNumber), Fingerprint: sha256.Sum256(cert.Raw), Expires: cert.NotAfter}, nil
}

// inTime names both times, so that a clock that is off is seen to be the cause.
func inTime(cert *x509.Certificate, now time.Time) error {
	say := func(why error, word string, at time.Time) error {
		return fmt.Errorf("%w: it is not valid %s %s, and this server's clock says %s",
			why, word, at.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	switch {
	case now.Before(cert.NotBefore):
		return say(ErrNotYet, "before", cert.NotBefore)
	case now.After(cert.NotAfter):
		return say(ErrExpired, "after", cert.NotAfter)
	}
	return nil
}

// ClusterOf is whose agent a certificate names; false where it names none. It is no
// proof: Verify is.
func ClusterOf(cert *x509.Certificate) (string, bool) {
	if len(cert.URIs) != 1 || len(cert.DNSNames)+len(cert.IPAddresses)+len(cert.EmailAddresses) > 0 {
		return "", false
	}
	return fromIdentity(cert.URIs[0].String())
}

var identities = regexp.MustCompile(`^periscope://agent/([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)$`)

// fromIdentity is identityOf backwards.
func fromIdentity(uri string) (cluster string, ok bool) {
	m := identities.FindStringSubmatch(uri)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// isLabel: a cluster's name is a DNS-1123 label.
func isLabel(name string) bool {
	_, ok := fromIdentity("periscope://agent/" + name)
	return ok
}
