package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/app/server"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
)

// mount is a folder into which Kubernetes puts a Secret: links into another one, which
// is new whenever the Secret is.
type mount struct {
	t    *testing.T
	dir  string
	puts int
}

func newMount(t *testing.T) *mount {
	t.Helper()
	m := &mount{t: t, dir: t.TempDir()}
	for _, name := range []string{"tls.crt", "tls.key"} {
		m.must(os.Symlink(filepath.Join("..data", name), m.file(name)))
	}
	return m
}

func (m *mount) file(name string) string { return filepath.Join(m.dir, name) }

func (m *mount) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// put replaces what is mounted, at once.
func (m *mount) put(cert, key []byte) {
	m.t.Helper()
	m.puts++
	version := "..version" + strconv.Itoa(m.puts)
	m.must(os.Mkdir(m.file(version), 0o700))
	m.must(os.WriteFile(m.file(version+"/tls.crt"), cert, 0o600))
	m.must(os.WriteFile(m.file(version+"/tls.key"), key, 0o600))
	m.must(os.Symlink(version, m.file("..next")))
	m.must(os.Rename(m.file("..next"), m.file("..data")))
}

func (m *mount) listen() config.Listen {
	return config.Listen{TLSCertFile: m.file("tls.crt"), TLSKeyFile: m.file("tls.key")}
}

// keyPair is a certificate of that serial number for 127.0.0.1, and its key.
func keyPair(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: bare})
}

// shown is the serial number of the certificate that a server over conn shows.
func shown(t *testing.T, conn net.Conn) int64 {
	t.Helper()
	client := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	defer client.Close()
	if err := client.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return client.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// TestTheCertificateIsReadAgain: a new pair is shown soon, and one that cannot be used
// never, which the log says once.
func TestTheCertificateIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := newMount(t), &safeBuffer{}
		certA, keyA := keyPair(t, 1)
		certB, keyB := keyPair(t, 2)
		certC, keyC := keyPair(t, 3)
		m.put(certA, keyA)
		c, err := server.OpenCertificate(m.listen(), slog.New(slog.NewTextHandler(log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		step := func(what string, want int64, after time.Duration, renewed, kept int) {
			t.Helper()
			time.Sleep(after)
			ours, theirs := net.Pipe()
			defer ours.Close()
			go func() {
				defer theirs.Close()
				_ = tls.Server(theirs, &tls.Config{GetCertificate: c.Get}).HandshakeContext(t.Context())
			}()
			if got := shown(t, ours); got != want {
				t.Errorf("%s: serial %d, want %d", what, got, want)
			}
			if r, k := strings.Count(log.String(), "http.certificate_renewed"), strings.Count(log.String(), "http.certificate_kept"); r != renewed || k != kept {
				t.Errorf("%s: told %d times that it is renewed and %d times that it is not, want %d and %d:\n%s", what, r, k, renewed, kept, log)
			}
		}
		rest := server.CertificateRest
		step("the first", 1, 0, 0, 0)
		m.put(certB, keyB)
		step("at once after the second", 1, 0, 0, 0)
		step("a little after the second", 2, rest, 1, 0)
		m.put(certB, keyB)
		step("the same, mounted again", 2, rest, 1, 0)
		m.put(certC, keyB)
		step("another's key", 2, rest, 1, 1)
		step("still another's key", 2, rest, 1, 1)
		m.put(certC, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
		step("a broken key", 2, rest, 1, 2)
		m.must(os.Remove(m.file("..data")))
		step("no files", 2, rest, 1, 3)
		step("still no files", 2, rest, 1, 3)
		m.put(make([]byte, 5<<20), keyC)
		step("a certificate of 5 MiB", 2, rest, 1, 4)
		m.put(certC, keyC)
		step("the third", 3, rest, 2, 4)
		m.put(certC, keyB)
		step("another's key again", 3, rest, 2, 5)
		// An editor writes in place, where a backup may be older.
		m.must(os.WriteFile(m.file("tls.key"), keyA, 0o600))
		m.must(os.WriteFile(m.file("tls.crt"), certA, 0o600))
		m.must(os.Chtimes(m.file("tls.crt"), time.Unix(1, 0), time.Unix(1, 0)))
		step("in the files themselves", 1, rest, 3, 5)
		if strings.Contains(log.String(), "PRIVATE KEY") {
			t.Errorf("the log has a key:\n%s", log)
		}
	})
}

// TestABadCertificateAtTheStart is a sentence that names the files.
func TestABadCertificateAtTheStart(t *testing.T) {
	m := newMount(t)
	cert, _ := keyPair(t, 1)
	_, key := keyPair(t, 2)
	for name, put := range map[string]func(){"no files": func() {}, "another's key": func() { m.put(cert, key) }} {
		put()
		_, err := server.OpenCertificate(m.listen(), slog.New(slog.DiscardHandler))
		if said := fault.PublicOf(err); fault.KindOf(err) != fault.Invalid || !strings.Contains(said, m.file("tls.crt")) || !strings.Contains(said, "PERISCOPE_TLS_KEY_FILE") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTheCertificateIsRotated while the server runs.
func TestTheCertificateIsRotated(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.put(keyPair(t, 1))
	p := run(t, server.Options{}, []string{"--kubeconfig", bareKubeconfig(t)}, "PERISCOPE_TLS_CERT_FILE="+m.file("tls.crt"), "PERISCOPE_TLS_KEY_FILE="+m.file("tls.key"))
	serial := func() int64 {
		conn, err := net.Dial("tcp", p.server.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return shown(t, conn)
	}
	if got := serial(); got != 1 {
		t.Errorf("at first: serial %d", got)
	}
	m.put(keyPair(t, 2))
	eventually(t, "the new certificate is shown", func() bool { return serial() == 2 })
	cert, _ := keyPair(t, 3)
	m.put(cert, nil)
	eventually(t, "the log says that there is no key", func() bool {
		if got := serial(); got != 2 {
			t.Fatalf("without a key: serial %d", got)
		}
		return strings.Contains(p.log.String(), "http.certificate_kept")
	})
}
