package agent

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/periscope-console/periscope/internal/tunnel/contract"
	"github.com/periscope-console/periscope/internal/tunnel/pki"
)

const (
	registerTime = 30 * time.Second
	maxAnswer    = 64 << 10
)

// Registration exchanges a token for credentials.
type Registration struct {
	URL     *url.URL
	Cluster string
	Token   string
	// Pin is the server's CA for agents, by its key; empty: it is believed what the
	// server says, whose own certificate is checked against this machine's CAs.
	Pin string
}

// RefusedError is a registration that the server did not take.
type RefusedError struct {
	Status  int
	Message string
}

func (e *RefusedError) Error() string {
	if e.Status == http.StatusUnauthorized {
		return "the server did not take the registration token: it is wrong, used, too old or for another cluster; mint a new one on the page “Agents” (" + e.Message + ")"
	}
	return fmt.Sprintf("the server answered the registration with %d: %s", e.Status, e.Message)
}

// Register makes a key, which never leaves the agent, and asks for its certificate.
// The token is used up even where the answer is lost.
func (r Registration) Register(ctx context.Context) (Credentials, error) {
	key, request, err := pki.NewRequest(r.Cluster)
	if err != nil {
		return Credentials{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, registerTime)
	defer cancel()
	got, err := r.post(ctx, contract.RegisterAsk{Token: r.Token, Cluster: r.Cluster, CSR: string(request)})
	if err != nil {
		return Credentials{}, err
	}
	c := Credentials{Key: key, Certificate: []byte(got.Certificate), CA: []byte(got.CA)}
	return c, errors.Join(r.checkCA(c.CA), c.check(r.Cluster))
}

func (r Registration) post(ctx context.Context, ask contract.RegisterAsk) (contract.Certified, error) {
	text, err := json.Marshal(ask)
	if err != nil {
		return contract.Certified{}, err
	}
	client, err := r.client()
	if err != nil {
		return contract.Certified{}, err
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL.String(), bytes.NewReader(text))
	if err != nil {
		return contract.Certified{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return contract.Certified{}, fmt.Errorf("the registration: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	return readCertified(resp)
}

func readCertified(resp *http.Response) (got contract.Certified, err error) {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return got, err
	}
	if resp.StatusCode != http.StatusOK {
		var said struct{ Message string }
		if json.Unmarshal(text, &said) != nil || said.Message == "" {
			said.Message = "what answers is no Periscope; check the address"
		}
		return got, &RefusedError{Status: resp.StatusCode, Message: fmt.Sprintf("%.500s", said.Message)}
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return got, fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	return got, nil
}

// client trusts the pinned CA alone where there is a pin.
func (r Registration) client() (*http.Client, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.Pin != "" {
		var err error
		if secure, err = pki.PinnedTLS(r.Pin, r.URL.Hostname()); err != nil {
			return nil, err
		}
	}
	return &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: secure, ForceAttemptHTTP2: true},
		// A token goes where it was sent and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// checkCA holds the server's word to the pin: an ingress in between could give
// another CA.
func (r Registration) checkCA(text []byte) error {
	block, _ := pem.Decode(text)
	if block == nil {
		return errors.New("the server gave no CA")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil || r.Pin == "" {
		return err
	}
	return pki.CheckPin(r.Pin, ca)
}

// check is parse for those who need no more than its error.
func (c Credentials) check(cluster string) error {
	_, _, err := c.parse(cluster)
	return err
}
