package server

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
)

const (
	// certificateRest is how long the files are left alone after a look: handshakes
	// cost nobody a login.
	certificateRest = 2 * time.Second
	// maxCertificate bounds each of the files, in bytes.
	maxCertificate = 4 << 20
)

// certificate is what the main listener shows. Its files are read again when they
// have changed, as when Kubernetes renews a mounted Secret. A pair that cannot be
// used leaves the one before in its place, and is logged once.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu     sync.Mutex // guards what follows
	pair   *tls.Certificate
	read   [2]stamp // of the pair's files
	looked time.Time
	told   string // what is wrong with the files now, as the log has it
}

// stamp tells one version of a file from the next. A mounted Secret's are links into
// a folder that is new each time.
type stamp struct {
	modified time.Time
	size     int64
	path     string // where symbolic links led
}

// openCertificate reads the pair for the first time; nil without TLS.
func openCertificate(l config.Listen, log *slog.Logger) (*certificate, error) {
	if !l.TLS() {
		return nil, nil
	}
	c := &certificate{certFile: l.TLSCertFile, keyFile: l.TLSKeyFile, log: log, looked: time.Now()}
	if _, err := c.renew(); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "server.certificate",
			"The certificate %s and the key %s cannot be used together. Check PERISCOPE_TLS_CERT_FILE and PERISCOPE_TLS_KEY_FILE.", c.certFile, c.keyFile)
	}
	return c, nil
}

// Get is for tls.Config.GetCertificate; there always is one.
func (c *certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= certificateRest {
		c.looked = now
		c.tell(c.renew())
	}
	return c.pair, nil
}

// renew takes the pair that is in the files where they have changed, and says whether
// it is another one.
func (c *certificate) renew() (bool, error) {
	now, err := c.look()
	if err != nil || now == c.read {
		return false, err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return false, err
	}
	other := c.pair == nil || !slices.EqualFunc(pair.Certificate, c.pair.Certificate, bytes.Equal)
	c.pair, c.read = &pair, now
	return other, nil
}

// look comes before the files are read: what changes meanwhile is seen the next time.
func (c *certificate) look() (now [2]stamp, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if now[i].path, err = filepath.EvalSymlinks(name); err != nil {
			return now, err
		}
		info, err := os.Stat(now[i].path)
		if err != nil {
			return now, err
		}
		if !info.Mode().IsRegular() || info.Size() > maxCertificate {
			return now, fmt.Errorf("%s is no regular file of at most %d MiB", name, maxCertificate>>20)
		}
		now[i].modified, now[i].size = info.ModTime(), info.Size()
	}
	return now, nil
}

func (c *certificate) tell(renewed bool, err error) {
	leaf := c.pair.Leaf
	switch {
	case err == nil:
		c.told = ""
		if renewed {
			c.log.Info("http.certificate_renewed", "file", c.certFile, "serial", leaf.SerialNumber.Text(16), "expiresAt", leaf.NotAfter.UTC())
		}
	case err.Error() != c.told:
		c.told = err.Error()
		c.log.Error("http.certificate_kept", "file", c.certFile, "serial", leaf.SerialNumber.Text(16), "expiresAt", leaf.NotAfter.UTC(), "error", err)
	}
}
