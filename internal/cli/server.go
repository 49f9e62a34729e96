package cli

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/periscope-console/periscope/internal/execclient"
)

// where is which server to use and how to be known there; the flags of every
// command.
type where struct {
	server, tokenFile, caFile string
}

func (w *where) flags(f *flags) {
	f.texts["--server"], f.texts["--token-file"], f.texts["--ca-file"] = &w.server, &w.tokenFile, &w.caFile
}

const whereUsage = `  --server URL        the server; also PERISCOPE_URL; else the one of the last login
  --token-file FILE   read the access token from there; also PERISCOPE_TOKEN; else the login's
  --ca-file FILE      authorities to trust, in PEM, instead of the system's; also PERISCOPE_CA_FILE
`

// reach is a client of the server that is meant, as the one whose token there is.
func (e Env) reach(w where) (*execclient.Client, error) {
	kept, err := e.credentials()
	if err != nil {
		return nil, err
	}
	c, err := e.address(w, kept)
	if err != nil {
		return nil, err
	}
	login := kept.Servers[c.Server.String()]
	switch {
	case w.tokenFile != "":
		c.Bearer, err = tokenIn(w.tokenFile)
	case e.Getenv("PERISCOPE_TOKEN") != "":
		c.Bearer = strings.TrimSpace(e.Getenv("PERISCOPE_TOKEN"))
	case login.Token != "":
		c.Bearer = login.Token
	default:
		err = fmt.Errorf("nobody is logged in at %s. Log in with: periscope login --server %s", c.Server, c.Server)
	}
	if err == nil && !wellFormed(c.Bearer) {
		err = errors.New("what was given is no access token: those begin with psc_ and have 53 letters and digits")
	}
	return c, err
}

// address is a client of the server that is meant, as nobody yet.
func (e Env) address(w where, kept credentials) (*execclient.Client, error) {
	text := first(w.server, e.Getenv("PERISCOPE_URL"), kept.Current)
	if text == "" {
		return nil, wrongUse("Say which server: --server https://periscope.example.com, or PERISCOPE_URL, or log in once with periscope login --server URL.")
	}
	u, err := serverURL(text)
	if err != nil {
		return nil, err
	}
	c := &execclient.Client{Server: u, Agent: "periscope/" + e.Version}
	if ca := e.authorities(w, kept, u); ca != "" {
		if c.TLS, err = trust(ca); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// authorities is the file of those to trust; empty for the system's.
func (e Env) authorities(w where, kept credentials, server *url.URL) string {
	return first(w.caFile, e.Getenv("PERISCOPE_CA_FILE"), kept.Servers[server.String()].CAFile)
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// serverURL reads a server's address. One in the clear is for this machine alone:
// whoever is on the way to another would read the token.
func serverURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, wrongUse("%q is no address of a server. Write it as https://periscope.example.com.", text)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, wrongUse("%s is not encrypted, and a token sent there can be read on the way. Use https.", text)
	}
	u.Host = strings.ToLower(u.Host)
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// maxFile bounds the small files that are read.
const maxFile = 1 << 20

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is over %d bytes", name, maxFile)
	}
	return text, err
}

func trust(name string) (*tls.Config, error) {
	text, err := readFile(name)
	if err != nil {
		return nil, fmt.Errorf("the file of authorities cannot be read: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("the file of authorities, %s, has no certificate in PEM", name)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// tokenIn reads a token that its owner alone may read.
func tokenIn(name string) (string, error) {
	if err := ownersAlone(name); err != nil {
		return "", err
	}
	text, err := readFile(name)
	return string(bytes.TrimSpace(text)), err
}

// tokenSize is the length of a token; identity/token has its form.
const tokenSize = 53

func wellFormed(token string) bool {
	chars, ours := strings.CutPrefix(token, "psc_")
	return ours && len(token) == tokenSize && !strings.ContainsFunc(chars, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}
