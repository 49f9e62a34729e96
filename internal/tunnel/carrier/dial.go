package carrier

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/periscope-console/periscope/internal/wsframe"
)

const (
	// HandshakeTime bounds Dial where the Dialer says nothing.
	HandshakeTime = 10 * time.Second
	// maxRefusal bounds the body of a refusal, maxWords what is kept of it.
	maxRefusal = 64 << 10
	maxWords   = 500
)

// Dialer opens carriers. Only URL is needed.
type Dialer struct {
	// URL is a wss address.
	URL *url.URL
	// TLS is not changed; nil is the system's.
	TLS *tls.Config
	// Header goes out with the request.
	Header http.Header
	// Proxy is http.ProxyFromEnvironment where it is nil.
	Proxy func(*http.Request) (*url.URL, error)
	// Dial is a net.Dialer's where it is nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Timeout bounds everything up to the answer; HandshakeTime where it is 0.
	Timeout time.Duration
}

// Refusal is an answer that opens no WebSocket.
type Refusal struct {
	// Status is the HTTP status.
	Status int
	// Code and Message are the JSON error's words; Code is empty where there are
	// none, since whoever answered is no Periscope.
	Code, Message string
	// RequestID finds the refusal in the server's log, if it gave one.
	RequestID string
}

func (r *Refusal) Error() string {
	if r.Code == "" {
		return fmt.Sprintf("the server answered %d %s: %s", r.Status, http.StatusText(r.Status), r.Message)
	}
	return fmt.Sprintf("the server answered %d %s: %s", r.Status, r.Code, r.Message)
}

// Open makes one carrier. ctx bounds the handshake and not the carrier. The error
// of a server that answered something else is a *Refusal.
func (d *Dialer) Open(ctx context.Context) (*Conn, error) {
	if d.URL == nil || d.URL.Scheme != "wss" || d.URL.Host == "" {
		return nil, errors.New("carrier: the address must be wss://HOST/…")
	}
	timeout := d.Timeout
	if timeout == 0 {
		timeout = HandshakeTime
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer to the handshake in %v", timeout))
	defer cancel()
	c, err := d.open(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	return c, err
}

func (d *Dialer) open(ctx context.Context) (*Conn, error) {
	at := *d.URL
	at.Scheme = "https"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, d.Header.Clone())
	how := wsframe.Opening{TLS: d.TLS, Proxy: d.Proxy, Dial: d.Dial}
	opened, refused, err := how.Open(req, "")
	switch {
	case err != nil:
		return nil, err
	case refused != nil:
		defer func() { _ = refused.Body.Close() }()
		return nil, refusalOf(refused)
	}
	c := newConn(opened.Raw, opened.Stream, nil, true)
	c.tls = opened.TLS
	return c, nil
}

func refusalOf(resp *http.Response) *Refusal {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // what was cut off is no JSON
	var body struct{ Error, Message, RequestID string }
	if json.Unmarshal(text, &body) != nil || body.Error == "" {
		return &Refusal{
			Status: resp.StatusCode, RequestID: words(resp.Header.Get("X-Request-Id")),
			Message: "What answers at this address is not Periscope, or a proxy before it lets no WebSocket pass. Check the address of the server.",
		}
	}
	return &Refusal{Status: resp.StatusCode, Code: words(body.Error), Message: words(body.Message), RequestID: words(body.RequestID)}
}

// words keeps a stranger's text short and on one line.
func words(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxWords)], "")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
