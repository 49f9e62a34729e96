package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"sync"
	"time"
)

// servingLife is of the server's own certificate, which nobody has to keep.
const servingLife = 90 * 24 * time.Hour

// Serving is the server's certificate for the agents' listener.
type Serving struct {
	a     *Authority
	names []string

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
}

// Serving makes a certificate for those DNS names and IP addresses.
func (a *Authority) Serving(names []string) (*Serving, error) {
	s := &Serving{a: a, names: names}
	var err error
	s.current, err = s.make()
	return s, err
}

// Certificate is for tls.Config.GetCertificate. It makes a new one when two
// thirds of the life of the last are over, and where the clock was set back.
func (s *Serving) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	leaf, now := s.current.Leaf, time.Now()
	if now.Before(RenewAt(leaf.NotBefore, leaf.NotAfter)) && !now.Before(leaf.NotBefore) {
		return s.current, nil
	}
	next, err := s.make()
	if err == nil {
		s.current = next
	} else if inTime(leaf, now) == nil {
		err = nil // the old one still does
	}
	return s.current, err
}

// RenewAt is when two thirds of a life are over.
func RenewAt(from, to time.Time) time.Time { return from.Add(to.Sub(from) / 3 * 2) }

// make puts the CA behind the certificate, so that an agent with nothing but its
// pin can find it.
func (s *Serving) make() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: "periscope"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range s.names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := s.a.sign(template, key.Public(), time.Now(), servingLife)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, s.a.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// TLS is how the agents' listener speaks: TLS 1.3, and it asks every client for a
// certificate without refusing any. Whoever serves it verifies what was shown
// (enrol.Keeper.Admit), and so can say in words what is wrong with it.
func (s *Serving) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, GetCertificate: s.Certificate, ClientAuth: tls.RequestClientCert,
		// Each connection shows its certificate again.
		SessionTicketsDisabled: true,
	}
}
