package pki

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/kubetest"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

const day = 24 * time.Hour

// memory is a Keeper of one test's own.
type memory struct{ kept Pair }

func (m *memory) String() string { return "memory" }

func (m *memory) Load(context.Context) (Pair, error) {
	if m.kept.Cert == nil {
		return Pair{}, ErrNone
	}
	return m.kept, nil
}

func (m *memory) Create(ctx context.Context, p Pair) (Pair, error) {
	m.kept = p
	return m.Load(ctx)
}

func authority(t testing.TB) *Authority {
	t.Helper()
	a, err := Open(t.Context(), &memory{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func request(t testing.TB, cluster string) Request {
	t.Helper()
	_, csr, err := NewRequest(cluster)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRequest(csr)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sign(t testing.TB, a *Authority, cluster string, life time.Duration) *x509.Certificate {
	t.Helper()
	issued, err := a.Sign(request(t, cluster), cluster, life)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, issued.PEM)
}

func parse(t testing.TB, text []byte) *x509.Certificate {
	t.Helper()
	der, err := oneBlock(text, blockCert)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// forge signs whatever a test wants with a's key.
func forge(t testing.TB, a *Authority, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		Subject: pkix.Name{CommonName: "prod"}, URIs: []*url.URL{identityOf("prod")}, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// TestWhatACertificateSays: the cluster by its URI, the use, the life, and nothing
// that its asker chose but the key.
func TestWhatACertificateSays(t *testing.T) {
	a := authority(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wish := &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "prod", Organization: []string{"system:masters"}},
		ExtraExtensions: []pkix.Extension{
			{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}}, // a CA
		},
	}
	r, err := ParseRequest(csrOf(t, wish, key))
	if err != nil {
		t.Fatal(err)
	}
	issued, err := a.Sign(r, "prod", 90*day)
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, issued.PEM)
	if cert.IsCA || cert.Subject.String() != "CN=prod" || len(cert.URIs) != 1 || cert.URIs[0].String() != "periscope://agent/prod" ||
		!key.PublicKey.Equal(cert.PublicKey) || len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
		t.Errorf("%v %v %v %v", cert.Subject, cert.URIs, cert.IsCA, cert.ExtKeyUsage)
	}
	if left := time.Until(cert.NotAfter); left > 90*day || left < 90*day-time.Minute || !cert.NotAfter.Equal(issued.Expires) {
		t.Errorf("it holds for %v, and is told to end at %v", left, issued.Expires)
	}
	peer, err := a.Verify([]*x509.Certificate{cert})
	if want := (Peer{Cluster: "prod", Serial: issued.Serial, Fingerprint: sha256.Sum256(cert.Raw), Expires: cert.NotAfter}); err != nil || peer != want || len(peer.Serial) != 32 {
		t.Errorf("%+v, %v, want %+v", peer, err, want)
	}
}

func TestACertificateEndsWithTheCA(t *testing.T) {
	a := authority(t)
	if cert := sign(t, a, "prod", 100*365*day); !cert.NotAfter.Equal(a.Expires()) {
		t.Errorf("it ends %v, the CA %v", cert.NotAfter, a.Expires())
	}
}

func TestVerify(t *testing.T) {
	a, other := authority(t), authority(t)
	serving, err := a.Serving([]string{"agents.example"})
	if err != nil {
		t.Fatal(err)
	}
	none := func(*x509.Certificate) {}
	uri := func(all ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.URIs = nil
			for _, s := range all {
				u, err := url.Parse(s)
				if err != nil {
					t.Fatal(err)
				}
				c.URIs = append(c.URIs, u)
			}
		}
	}
	clock := "and this server's clock says " + time.Now().UTC().Format("2006-01-02T")
	for name, c := range map[string]struct {
		cert  *x509.Certificate
		want  error
		words string
	}{
		"good":            {forge(t, a, none), nil, ""},
		"of another CA":   {forge(t, other, none), ErrOtherCA, `of "periscope agents"`},
		"expired":         {forge(t, a, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), ErrExpired, clock},
		"not yet valid":   {forge(t, a, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), ErrNotYet, clock},
		"the CA itself":   {a.cert, ErrUse, ""},
		"a CA":            {forge(t, a, func(c *x509.Certificate) { c.IsCA = true }), ErrUse, ""},
		"the server's":    {serving.current.Leaf, ErrUse, ""},
		"of another use":  {forge(t, a, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), ErrUse, ""},
		"of any use":      {forge(t, a, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }), ErrUse, ""},
		"without a use":   {forge(t, a, func(c *x509.Certificate) { c.ExtKeyUsage = nil }), ErrUse, ""},
		"the name alone":  {forge(t, a, uri()), ErrUse, ""},
		"two clusters":    {forge(t, a, uri("periscope://agent/prod", "periscope://agent/test")), ErrUse, ""},
		"upper case":      {forge(t, a, uri("periscope://agent/Prod")), ErrUse, ""},
		"another scheme":  {forge(t, a, uri("https://agent/prod")), ErrUse, ""},
		"another host":    {forge(t, a, uri("periscope://user/prod")), ErrUse, ""},
		"a port":          {forge(t, a, uri("periscope://agent:1/prod")), ErrUse, ""},
		"a longer path":   {forge(t, a, uri("periscope://agent/prod/x")), ErrUse, ""},
		"no path":         {forge(t, a, uri("periscope://agent/")), ErrUse, ""},
		"an escaped one":  {forge(t, a, uri("periscope://agent/pro%64")), ErrUse, ""},
		"a query":         {forge(t, a, uri("periscope://agent/prod?x")), ErrUse, ""},
		"an empty query":  {forge(t, a, uri("periscope://agent/prod?")), ErrUse, ""},
		"a fragment":      {forge(t, a, uri("periscope://agent/prod#x")), ErrUse, ""},
		"a user":          {forge(t, a, uri("periscope://x@agent/prod")), ErrUse, ""},
		"a DNS name too":  {forge(t, a, func(c *x509.Certificate) { c.DNSNames = []string{"prod"} }), ErrUse, ""},
		"an address too":  {forge(t, a, func(c *x509.Certificate) { c.IPAddresses = []net.IP{{127, 0, 0, 1}} }), ErrUse, ""},
		"what is unknown": {forge(t, a, func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3}, Critical: true}} }), ErrUse, ""},
	} {
		t.Run(name, func(t *testing.T) {
			peer, err := a.Verify([]*x509.Certificate{c.cert, a.cert})
			if c.want == nil && (err != nil || peer.Cluster != "prod") || c.want != nil && (!errors.Is(err, c.want) || peer != Peer{}) {
				t.Fatalf("%+v, %v, want %v", peer, err, c.want)
			}
			if c.words != "" && !strings.Contains(err.Error(), c.words) {
				t.Errorf("%q does not say %q", err, c.words)
			}
		})
	}
	if _, err := a.Verify(nil); !errors.Is(err, ErrNoCertificate) {
		t.Error(err)
	}
}

// TestTheCAOfTheSameNameIsAnother: issuers are told apart by their keys.
func TestTheCAOfTheSameNameIsAnother(t *testing.T) {
	a, other := authority(t), authority(t)
	if a.Pin() == other.Pin() || a.cert.Subject.String() != other.cert.Subject.String() {
		t.Fatal("the test has no case")
	}
	if _, err := a.Verify([]*x509.Certificate{sign(t, other, "prod", day), other.cert}); !errors.Is(err, ErrOtherCA) {
		t.Error(err)
	}
}

func csrOf(t testing.TB, template *x509.CertificateRequest, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: blockRequest, Bytes: der})
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestRequests(t *testing.T) {
	plain := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "prod"}}
	p256 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := csrOf(t, plain, p256)
	block, _ := pem.Decode(good)
	block.Bytes[len(block.Bytes)-1] ^= 1
	broken := pem.EncodeToMemory(block)
	renamed, _ := pem.Decode(good)
	renamed.Bytes = []byte(strings.Replace(string(renamed.Bytes), "prod", "test", 1))
	for name, c := range map[string]struct {
		csr  []byte
		want string // "" for one that is taken
	}{
		"P-256":                    {good, ""},
		"P-384":                    {csrOf(t, plain, must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))), ""},
		"Ed25519":                  {csrOf(t, plain, edwards), ""},
		"RSA":                      {csrOf(t, plain, must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))), ""},
		"P-224":                    {csrOf(t, plain, must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))), "its key is none of"},
		"a small RSA key":          {csrOf(t, plain, must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 1024))), "its key is none of"},
		"a broken signature":       {broken, "its signature does not hold"},
		"a name put in afterwards": {pem.EncodeToMemory(renamed), "its signature does not hold"},
		"nothing":                  {nil, "no PEM block"},
		"garbage":                  {[]byte("garbage"), "no PEM block"},
		"garbage in PEM":           {pem.EncodeToMemory(&pem.Block{Type: blockRequest, Bytes: []byte("garbage")}), "asn1"},
		"a certificate":            {authority(t).PEM(), "no PEM block"},
		"two":                      {append(append([]byte{}, good...), good...), "more than one"},
		"a large one":              {append(good, make([]byte, MaxRequest)...), "larger than 8 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseRequest(c.csr)
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestARequestNamesItsClusterOrNothing(t *testing.T) {
	a := authority(t)
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	for name, c := range map[string]struct {
		template x509.CertificateRequest
		fits     bool
	}{
		"no name":             {x509.CertificateRequest{}, true},
		"its name":            {x509.CertificateRequest{Subject: pkix.Name{CommonName: "prod"}}, true},
		"its URI":             {x509.CertificateRequest{URIs: []*url.URL{identityOf("prod")}}, true},
		"another name":        {x509.CertificateRequest{Subject: pkix.Name{CommonName: "test"}}, false},
		"upper case":          {x509.CertificateRequest{Subject: pkix.Name{CommonName: "PROD"}}, false},
		"another URI":         {x509.CertificateRequest{Subject: pkix.Name{CommonName: "prod"}, URIs: []*url.URL{identityOf("test")}}, false},
		"another DNS name":    {x509.CertificateRequest{Subject: pkix.Name{CommonName: "prod"}, DNSNames: []string{"test"}}, false},
		"an address":          {x509.CertificateRequest{IPAddresses: []net.IP{{127, 0, 0, 1}}}, false},
		"somebody's mailbox":  {x509.CertificateRequest{EmailAddresses: []string{"prod@example.com"}}, false},
		"a very long name":    {x509.CertificateRequest{Subject: pkix.Name{CommonName: strings.Repeat("x", 3000)}}, false},
		"a name on two lines": {x509.CertificateRequest{Subject: pkix.Name{CommonName: "prod\nfake=log"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ParseRequest(csrOf(t, &c.template, key))
			if err != nil {
				t.Fatal(err)
			}
			_, err = a.Sign(r, "prod", day)
			if c.fits && err != nil || !c.fits && !errors.Is(err, ErrOtherName) {
				t.Fatalf("%v", err)
			}
			if err != nil && (len(err.Error()) > 250 || strings.Contains(err.Error(), "\n")) {
				t.Errorf("no line for a log: %q", err)
			}
		})
	}
	for _, name := range []string{"", "-", "Prod", "a.b", "a/b", strings.Repeat("a", 64)} {
		if issued, err := a.Sign(request(t, ""), name, day); err == nil {
			t.Errorf("a certificate for %q: %+v", name, issued)
		}
	}
}

// TestTheServersCertificateIsRenewed without a restart, at two thirds of its life,
// and holds at any time.
func TestTheServersCertificateIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := authority(t)
		s, err := a.Serving([]string{"agents.example", "192.0.2.7", "2001:db8::1"})
		if err != nil {
			t.Fatal(err)
		}
		made := map[string]int{}
		for range 365 {
			cert := must[*tls.Certificate](t)(s.Certificate(nil))
			made[cert.Leaf.SerialNumber.String()]++
			for _, name := range []string{"agents.example", "192.0.2.7", "2001:db8::1"} {
				_, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: a.pool, CurrentTime: time.Now(), DNSName: name})
				if err != nil || len(cert.Certificate) != 2 {
					t.Fatalf("%s, after %d certificates: %v", name, len(made), err)
				}
			}
			time.Sleep(day)
		}
		// One each 60 days and a few minutes, the first a little sooner.
		if len(made) != 7 {
			t.Errorf("%d certificates a year: %v", len(made), made)
		}
	})
}

func TestServingRefusesOtherNames(t *testing.T) {
	s, err := authority(t).Serving([]string{"agents.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"other.example", "x.agents.example", "192.0.2.7"} {
		if s.current.Leaf.VerifyHostname(name) == nil {
			t.Errorf("it holds for %s too", name)
		}
	}
}

func TestPin(t *testing.T) {
	a := authority(t)
	spki := must[[]byte](t)(x509.MarshalPKIXPublicKey(a.cert.PublicKey))
	pin := fmt.Sprintf("sha256:%x", sha256.Sum256(spki))
	if a.Pin() != pin {
		t.Errorf("%s, want %s", a.Pin(), pin)
	}
	for _, good := range []string{pin, "sha256:" + strings.ToUpper(pin[7:])} {
		if err := CheckPin(good, a.cert); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if err := CheckPin(pin, authority(t).cert); !errors.Is(err, ErrPin) {
		t.Errorf("another CA: %v", err)
	}
	for _, bad := range []string{"", "sha256:", pin[7:], pin[:70], pin + "00", "sha1:" + pin[7:], "SHA256:" + pin[7:], pin + "\n", "sha256:" + strings.Repeat("g", 64)} {
		if err := CheckPin(bad, a.cert); !errors.Is(err, ErrPinForm) {
			t.Errorf("%q: %v", bad, err)
		}
		if _, err := PinnedTLS(bad, "agents.example"); !errors.Is(err, ErrPinForm) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// shake is one handshake; it returns what the server was shown.
func shake(t *testing.T, server, client *tls.Config) (shown []*x509.Certificate, clientErr error) {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	done := make(chan tls.ConnectionState, 1)
	go func() {
		conn := tls.Server(ours, server)
		err := conn.Handshake()
		if err == nil {
			_, err = conn.Write([]byte{1})
		}
		if err != nil {
			ours.Close()
		}
		done <- conn.ConnectionState()
	}()
	conn := tls.Client(theirs, client)
	if clientErr = conn.Handshake(); clientErr == nil {
		_, clientErr = conn.Read(make([]byte, 1))
	}
	theirs.Close()
	return (<-done).PeerCertificates, clientErr
}

func TestPinnedHandshake(t *testing.T) {
	a, other := authority(t), authority(t)
	s, err := a.Serving([]string{"agents.example"})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Serving([]string{"agents.example"})
	if err != nil {
		t.Fatal(err)
	}
	stolen := *s.current // the pinned CA is shown, but signed something else
	stolen.Certificate = [][]byte{foreign.current.Certificate[0], a.cert.Raw}
	stolen.PrivateKey = foreign.current.PrivateKey
	self := selfSigned(t, "agents.example")
	for name, c := range map[string]struct {
		server    *tls.Config
		pin, host string
		want      string
	}{
		"the CA's":              {s.TLS(), a.Pin(), "agents.example", ""},
		"another CA's":          {foreign.TLS(), a.Pin(), "agents.example", ErrPin.Error()},
		"another name":          {s.TLS(), a.Pin(), "other.example", "not other.example"},
		"a CA shown, not used":  {&tls.Config{Certificates: []tls.Certificate{stolen}}, a.Pin(), "agents.example", "does not hold"},
		"a self-signed one":     {&tls.Config{Certificates: []tls.Certificate{self}}, PinOf(self.Leaf), "agents.example", ""},
		"a self-signed other":   {&tls.Config{Certificates: []tls.Certificate{self}}, a.Pin(), "agents.example", ErrPin.Error()},
		"a self-signed, named":  {&tls.Config{Certificates: []tls.Certificate{self}}, PinOf(self.Leaf), "other.example", "does not hold"},
		"the certificate's own": {s.TLS(), PinOf(s.current.Leaf), "agents.example", ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := must[*tls.Config](t)(PinnedTLS(c.pin, c.host))
			_, err := shake(t, c.server, client)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func selfSigned(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
	}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must[*x509.Certificate](t)(x509.ParseCertificate(der))}
}

// TestTheListenerAsksEveryClient, and refuses none: a certificate of another CA
// comes through to where it is said what is wrong with it; one without its key
// does not.
func TestTheListenerAsksEveryClient(t *testing.T) {
	a, other := authority(t), authority(t)
	s, err := a.Serving([]string{"agents.example"})
	if err != nil {
		t.Fatal(err)
	}
	key, csr, err := NewRequest("prod")
	if err != nil {
		t.Fatal(err)
	}
	r := must[Request](t)(ParseRequest(csr))
	for name, c := range map[string]struct {
		by   *Authority
		want error
	}{"ours": {a, nil}, "another's": {other, ErrOtherCA}, "none": {nil, ErrNoCertificate}} {
		t.Run(name, func(t *testing.T) {
			client := &tls.Config{RootCAs: a.pool, ServerName: "agents.example"}
			if c.by != nil {
				issued := must[Issued](t)(c.by.Sign(r, "prod", day))
				client.Certificates = []tls.Certificate{must[tls.Certificate](t)(tls.X509KeyPair(issued.PEM, key))}
			}
			shown, err := shake(t, s.TLS(), client)
			if err != nil {
				t.Fatal(err)
			}
			if peer, err := a.Verify(shown); !errors.Is(err, c.want) || c.want == nil && peer.Cluster != "prod" {
				t.Errorf("%+v, %v", peer, err)
			}
		})
	}
	old := &tls.Config{RootCAs: a.pool, ServerName: "agents.example", MaxVersion: tls.VersionTLS12}
	if _, err := shake(t, s.TLS(), old); err == nil {
		t.Error("TLS 1.2 is spoken")
	}
	issued := must[Issued](t)(a.Sign(r, "prod", day))
	thief := tls.Certificate{Certificate: [][]byte{parse(t, issued.PEM).Raw}, PrivateKey: must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	if _, err := shake(t, s.TLS(), &tls.Config{RootCAs: a.pool, ServerName: "agents.example", Certificates: []tls.Certificate{thief}}); err == nil {
		t.Error("a certificate without its key is taken")
	}
}

func FuzzParseRequest(f *testing.F) {
	_, csr, err := NewRequest("prod")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(csr)
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n"))
	a := authority(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRequest(text)
		if err != nil {
			if !errors.Is(err, ErrRequest) {
				t.Fatal(err)
			}
			return
		}
		if issued, err := a.Sign(r, "prod", day); err == nil {
			if peer, err := a.Verify([]*x509.Certificate{parse(t, issued.PEM)}); err != nil || peer.Cluster != "prod" {
				t.Fatalf("%+v, %v", peer, err)
			}
		}
	})
}

// FuzzIdentity: what is read from a name gives that name and no other.
func FuzzIdentity(f *testing.F) {
	f.Add("periscope://agent/prod")
	f.Add("periscope://agent/prod\n")
	f.Fuzz(func(t *testing.T, uri string) {
		cluster, ok := fromIdentity(uri)
		if ok && (identityOf(cluster).String() != uri || !isLabel(cluster)) {
			t.Fatalf("%q is read from %q", cluster, uri)
		}
	})
}

func FuzzPin(f *testing.F) {
	a := authority(f)
	f.Add(a.Pin())
	f.Fuzz(func(t *testing.T, pin string) {
		if CheckPin(pin, a.cert) == nil && !strings.EqualFold(pin, a.Pin()) {
			t.Fatalf("%q is taken for %q", pin, a.Pin())
		}
	})
}
