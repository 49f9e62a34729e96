package pki

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// pinPrefix names the hash, as kubeadm's --discovery-token-ca-cert-hash does.
const pinPrefix = "sha256:"

// Why a pin does not let a connection stand.
var (
	ErrPinForm = errors.New("a pin is sha256: and 64 hexadecimal digits")
	ErrPin     = errors.New("no certificate of the server has the pinned key")
)

// PinOf is the certificate's pin: the SHA-256 of its SubjectPublicKeyInfo.
func PinOf(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return pinPrefix + hex.EncodeToString(sum[:])
}

// CheckPin is nil where the certificate has the pin, ErrPin where it has not, and
// ErrPinForm where the pin is none.
func CheckPin(pin string, cert *x509.Certificate) error {
	want, err := normalPin(pin)
	if err != nil {
		return err
	}
	if PinOf(cert) != want {
		return ErrPin
	}
	return nil
}

func normalPin(pin string) (string, error) {
	digits, ok := strings.CutPrefix(pin, pinPrefix)
	sum, err := hex.DecodeString(digits)
	if !ok || err != nil || len(sum) != sha256.Size {
		return "", ErrPinForm
	}
	return pinPrefix + hex.EncodeToString(sum), nil
}

// PinnedTLS is for a client that knows of its server nothing but the name and a
// pin: of the CA, or of a self-signed certificate itself. The server must show
// the certificate with that key, and one for its name that the key has signed.
func PinnedTLS(pin, serverName string) (*tls.Config, error) {
	want, err := normalPin(pin)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: serverName,
		InsecureSkipVerify: true, // VerifyConnection does it, with the pinned certificate for a root
		VerifyConnection:   func(is tls.ConnectionState) error { return verifyPinned(want, serverName, is.PeerCertificates) },
	}, nil
}

func verifyPinned(pin, serverName string, shown []*x509.Certificate) error {
	roots, others, found := x509.NewCertPool(), x509.NewCertPool(), false
	for _, cert := range shown {
		if PinOf(cert) == pin {
			roots.AddCert(cert)
			found = true
		} else {
			others.AddCert(cert)
		}
	}
	if !found {
		return ErrPin
	}
	_, err := shown[0].Verify(x509.VerifyOptions{DNSName: serverName, Roots: roots, Intermediates: others, CurrentTime: time.Now()})
	if err != nil {
		return fmt.Errorf("the server has the pinned key, but its certificate does not hold: %w", err)
	}
	return nil
}
