// Package agent is the managed cluster's end of the tunnel.
//
// It owns what goes on to the apiserver: the requests of exactly one ordinary,
// impersonated user, with no header but those it knows, under the agent's own
// credentials. It does not own the link that requests come over, nor who may do
// what: the apiserver decides that about the user. It guarantees that the server,
// whatever becomes of it, acts in the cluster neither as the agent nor as one of
// Kubernetes' own.
package agent

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"k8s.io/client-go/util/connrotation"
)

const (
	// dialTimeout bounds a connection to the apiserver, which is near.
	dialTimeout = 10 * time.Second
	// copySize is how much of an answer or a stream is carried at once.
	copySize = 32 << 10
)

// Proxy forwards the server's requests to one apiserver, under the agent's own
// credentials and the user's impersonated identity.
type Proxy struct {
	log  *slog.Logger
	exec bool
	to   *url.URL
	way  way
	http *httputil.ReverseProxy
}

// NewProxy makes a proxy to the apiserver of cfg, whose credentials it reads again
// when they are replaced. It dials nothing. exec false refuses every way into a
// container.
func NewProxy(cfg *rest.Config, exec bool, log *slog.Logger) (*Proxy, error) {
	if who := cfg.Impersonate; who.UserName != "" || who.UID != "" || len(who.Groups) > 0 || len(who.Extra) > 0 {
		return nil, errors.New("the agent's credentials act as another user already, so it can act as nobody else; remove “as” from the kubeconfig")
	}
	to, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("the apiserver's address: %w", err)
	}
	rt, err := newWay(cfg)
	if err != nil {
		return nil, fmt.Errorf("the apiserver's credentials: %w", err)
	}
	p := &Proxy{log: log, exec: exec, to: to, way: rt}
	p.http = &httputil.ReverseProxy{
		Rewrite: p.rewrite, Transport: rt, ErrorHandler: p.failed, BufferPool: &buffers{},
		FlushInterval: -1, // a watch and a log are read as they come
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return p, nil
}

// ServeHTTP forwards r or says why not, as a Kubernetes Status.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.log.Debug("proxy.request_in", "method", r.Method, "path", r.URL.Path, "user", r.Header.Get(impersonateUser),
		"upgrade", r.Header.Get("Upgrade"), "auditId", r.Header.Get("Audit-Id"))
	if err := admit(r, p.exec); err != nil {
		p.log.Warn("proxy.refused", "method", r.Method, "path", r.URL.Path, "user", r.Header.Get(impersonateUser), "error", err)
		answer(w, http.StatusForbidden, metav1.StatusReasonForbidden, err.Error())
		return
	}
	p.http.ServeHTTP(w, r)
}

// Close ends the connections to the apiserver, and what still goes over them; a
// stream's own ends with it.
func (p *Proxy) Close() { p.way.conns.CloseAll() }

// rewrite makes the request to the apiserver from nothing but what was told. Out's own
// headers lack whatever Connection lists, so no more is taken of them than what makes
// an upgrade.
func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host = p.to.Scheme, p.to.Host
	r.Out.URL.Path = strings.TrimSuffix(p.to.Path, "/") + r.In.URL.Path
	r.Out.Host = ""
	h := only(r.In.Header, told)
	maps.Copy(h, only(r.Out.Header, ofHop))
	r.Out.Header = h
	r.Out.Trailer = nil
}

// failed is for requests that got no answer.
func (p *Proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		p.log.Debug("proxy.gave_up", "method", r.Method, "path", r.URL.Path)
		return // whoever asked has hung up
	}
	p.log.Warn("proxy.apiserver_error", "method", r.Method, "path", r.URL.Path, "error", err)
	code, reason, why := trouble(err)
	answer(w, code, reason, "The agent is connected, but "+why)
}

// trouble says what became of the way to the apiserver, as it is: the server hears
// of a refused connection, and not of a lost link.
func trouble(err error) (code int, reason metav1.StatusReason, why string) {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return http.StatusBadGateway, metav1.StatusReasonServiceUnavailable, "its apiserver refused the connection. Check that the apiserver runs."
	case errors.As(err, &dns):
		return http.StatusBadGateway, metav1.StatusReasonServiceUnavailable, "it does not find the address of its apiserver. Check the name service of the cluster."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "its apiserver did not answer in time. Try again; if it goes on, ask whoever runs the cluster."
	}
	return http.StatusBadGateway, metav1.StatusReasonServiceUnavailable, "its apiserver could not be reached. The agent's log has the cause."
}

// answer writes a Status as an apiserver does, so that every reader has one kind of
// refusal to know.
func answer(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{ // of somebody who has hung up
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}

// errNobody keeps a request from the apiserver.
var errNobody = errors.New("the request has lost the user whom it acts as, so it was not sent")

// way is the way to the apiserver: HTTP/2 where it can be for what is asked and
// answered, HTTP/1.1 for what is upgraded, with the same credentials.
type way struct {
	plain, upgrade http.RoundTripper
	conns          *connrotation.Dialer // of plain
}

// RoundTrip sends nothing without exactly one user, whatever was looked at before: it
// would be done with the agent's own rights.
func (t way) RoundTrip(r *http.Request) (*http.Response, error) {
	if users := r.Header.Values(impersonateUser); len(users) != 1 || users[0] == "" {
		return nil, errNobody
	}
	if r.Header.Get("Upgrade") != "" {
		return t.upgrade.RoundTrip(r)
	}
	return t.plain.RoundTrip(r)
}

func newWay(cfg *rest.Config) (way, error) {
	cfg = rest.CopyConfig(cfg)
	freshToken(cfg)
	dial := (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext
	conns := connrotation.NewDialer(dial)
	cfg.Dial = conns.DialContext
	plain, err := rest.TransportFor(cfg)
	if err != nil {
		return way{}, err
	}
	cfg.Dial = dial // a half-close is its stream's
	upgrade, err := upgrader(cfg)
	return way{plain, upgrade, conns}, err
}

// freshToken reads a token's file every minute, and at once after the apiserver has
// refused what it held: the kubelet replaces it while the agent runs.
func freshToken(cfg *rest.Config) {
	if cfg.BearerTokenFile == "" {
		return
	}
	cfg.Wrap(transport.ResettableTokenSourceWrapTransport(transport.NewCachedFileTokenSource(cfg.BearerTokenFile)))
	cfg.BearerToken, cfg.BearerTokenFile = "", ""
}

// upgrader is made here because client-go's own transport speaks HTTP/2 to whoever
// offers it, and HTTP/2 has no Upgrade.
func upgrader(cfg *rest.Config) (http.RoundTripper, error) {
	tc, err := cfg.TransportConfig()
	if err != nil {
		return nil, err
	}
	secure, err := transport.TLSConfigFor(tc)
	if err != nil {
		return nil, err
	}
	if secure != nil {
		secure.NextProtos = []string{"http/1.1"}
		secure.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	proxy := tc.Proxy
	if proxy == nil { // as client-go's own
		proxy = utilnet.NewProxierWithNoProxyCIDR(http.ProxyFromEnvironment)
	}
	only1 := &http.Protocols{}
	only1.SetHTTP1(true)
	return transport.HTTPWrappersForConfig(tc, &http.Transport{
		Proxy: proxy, DialContext: tc.DialHolder.Dial, TLSClientConfig: secure, Protocols: only1,
		// A connection whose upgrade was refused is not used again.
		DisableKeepAlives: true, ReadBufferSize: copySize, WriteBufferSize: copySize,
	})
}

// buffers lends what an answer is copied through.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, copySize)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
