package wsframe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// Opening is how a client reaches servers. The zero value dials directly or as
// the environment's proxy settings say, and trusts what the system trusts.
type Opening struct {
	// TLS is not changed; nil is the system's. Only HTTP/1.1 is offered.
	TLS *tls.Config
	// Proxy is http.ProxyFromEnvironment where it is nil.
	Proxy func(*http.Request) (*url.URL, error)
	// Dial is a net.Dialer's where it is nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Opened is a connection after its opening handshake. It is the caller's.
type Opened struct {
	// Raw is below TLS: closing it waits for nobody, and its deadlines hold for
	// Stream.
	Raw net.Conn
	// Stream is what frames are read from and written to.
	Stream io.ReadWriteCloser
	// TLS is nil for a connection without it.
	TLS *tls.ConnectionState
}

// Open sends req, a GET of an http or https address, as an opening handshake
// (RFC 6455, section 4.1). req's context bounds the handshake alone. Any answer
// but 101 is returned as it is, and its body is the caller's to close.
func (o Opening) Open(req *http.Request, subprotocol string) (*Opened, *http.Response, error) {
	var raw net.Conn
	rt := o.transport(&raw)
	key := NewKey()
	ask(req.Header, key, subprotocol)
	resp, err := rt.RoundTrip(req)
	if err != nil {
		rt.CloseIdleConnections()
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, resp, nil
	}
	stream, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || raw == nil {
		_ = resp.Body.Close()
		return nil, nil, errors.New("the connection could not be taken over after its upgrade")
	}
	if err := CheckAnswer(resp.Header, key, subprotocol); err != nil {
		_ = raw.Close()
		return nil, nil, fmt.Errorf("the server or a proxy before it does not speak WebSocket here: %w", err)
	}
	return &Opened{Raw: raw, Stream: stream, TLS: resp.TLS}, nil, nil
}

func ask(h http.Header, key, subprotocol string) {
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	h.Set("Sec-WebSocket-Version", "13")
	h.Set("Sec-WebSocket-Key", key)
	if subprotocol != "" {
		h.Set("Sec-WebSocket-Protocol", subprotocol)
	}
}

// transport makes one connection, which becomes *raw, and keeps nothing.
func (o Opening) transport(raw *net.Conn) *http.Transport {
	dial, proxy := o.Dial, o.Proxy
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	only1 := &http.Protocols{}
	only1.SetHTTP1(true)
	tlsConfig := o.TLS.Clone()
	if tlsConfig != nil {
		tlsConfig.NextProtos = []string{"http/1.1"}
	}
	return &http.Transport{
		Proxy: proxy, TLSClientConfig: tlsConfig, DisableKeepAlives: true, Protocols: only1, MaxResponseHeaderBytes: 64 << 10,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dial(ctx, network, address)
			*raw = c
			return c, err
		},
	}
}
