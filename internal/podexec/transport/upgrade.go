package transport

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/lane"
	"github.com/periscope-console/periscope/internal/sendq"
)

// dialTimeout bounds a dial whose context has no bound of its own.
const dialTimeout = 30 * time.Second

// upgrader turns a request into a link. It remembers the TLS sessions of each
// set of credentials, so that opening again costs no certificate check.
type upgrader struct {
	beat time.Duration // of the links

	mu  sync.Mutex
	tls map[tlsKey]*tls.Config
}

// tlsKey is the content of everything that TLS proves or checks: a session must
// never be resumed by somebody with another client certificate.
type tlsKey [sha256.Size]byte

// tlsKept bounds how many sets of credentials are remembered; one more forgets
// them all, which costs each a handshake.
const tlsKept = 256

func newUpgrader() *upgrader { return &upgrader{beat: beat, tls: map[tlsKey]*tls.Config{}} }

// upgrade sends one request, built from nothing, and takes over the connection
// if the answer is 101. Anything else ends it: a connection whose upgrade was
// refused is never used again (CVE-2018-1002105).
func (u *upgrader) upgrade(ctx context.Context, cfg *rest.Config, method string, to *url.URL, h http.Header) (*link, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	req, err := newRequest(ctx, method, to, h)
	if err != nil {
		return nil, nil, err
	}
	l := &link{beat: u.beat}
	rt, hangUp, err := u.roundTripper(cfg, l)
	if err != nil {
		return nil, nil, fault.Wrap(err, fault.ClusterUnreachable, op,
			"The credentials kept for this cluster cannot be used. Ask whoever runs Periscope to check them.")
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		hangUp()
		return nil, nil, dialFault(ctx, err)
	}
	if err := l.takeOver(resp); err != nil {
		_ = resp.Body.Close()
		return nil, nil, err
	}
	return l, resp.Header, nil
}

// takeOver makes the link out of a 101 and a fault out of anything else, whose
// body is then the caller's to close.
func (l *link) takeOver(resp *http.Response) error {
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return refusal(resp)
	}
	body, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		return notSpoken("answered 101 with headers %q", resp.Header)
	}
	l.body = body
	if l.conn != nil {
		l.queue = sendq.Of(l.conn.Conn)
	}
	return nil
}

// newRequest builds an upgrade.
func newRequest(ctx context.Context, method string, u *url.URL, h http.Header) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, op, "The address of this cluster is not valid. Ask whoever runs Periscope to correct it.")
	}
	req.Header = h
	req.Header.Set("Connection", "Upgrade")
	return req, nil
}

// inLane tells the way to the cluster for what it is dialled: a terminal is typed in,
// and a command without one may carry files.
func inLane(ctx context.Context, r Request) context.Context {
	if r.TTY {
		return lane.Typing(ctx)
	}
	return ctx
}

// execURL has nothing from a client but the fields of r.
func execURL(cfg *rest.Config, r Request) (*url.URL, error) {
	for _, segment := range []string{r.Namespace, r.Pod} {
		if bad := content.IsPathSegmentName(segment); segment == "" || len(bad) > 0 {
			return nil, fault.New(fault.Invalid, op, "%q is no name of a namespace or a pod. Check the spelling.", segment)
		}
	}
	return apiURL(cfg, query(r), "namespaces", r.Namespace, "pods", r.Pod, "exec")
}

// watchURL is a watch that has one object and ends soon.
func watchURL(cfg *rest.Config) (*url.URL, error) {
	q := url.Values{"watch": {"true"}, "fieldSelector": {"metadata.name=default"}, "timeoutSeconds": {"1"}}
	return apiURL(cfg, q, "namespaces")
}

func apiURL(cfg *rest.Config, q url.Values, path ...string) (*url.URL, error) {
	base, prefix, err := rest.DefaultServerUrlFor(withGroupVersion(cfg))
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, op, "The address of this cluster is not valid. Ask whoever runs Periscope to correct it.")
	}
	u := base.JoinPath(append([]string{prefix}, path...)...)
	u.RawQuery = q.Encode()
	return u, nil
}

// withGroupVersion says which API the path leads to, whatever cfg was made for.
func withGroupVersion(cfg *rest.Config) *rest.Config {
	c := rest.CopyConfig(cfg)
	c.APIPath, c.GroupVersion = "/api", &corev1.SchemeGroupVersion
	return c
}

func query(r Request) url.Values {
	q := url.Values{"command": r.Command, "stdout": {"true"}}
	if r.Container != "" {
		q.Set("container", r.Container)
	}
	q.Set("stdin", strconv.FormatBool(r.Stdin))
	q.Set("tty", strconv.FormatBool(r.TTY))
	// A terminal has one output.
	q.Set("stderr", strconv.FormatBool(!r.TTY))
	return q
}

// roundTripper is cfg's own way to the cluster, good for one upgrade: its
// dialer, proxy, TLS, credentials and impersonation. The connection it makes
// becomes l's. hangUp ends a dial that was given up: net/http would go on with
// it, in the hope of a later request.
func (u *upgrader) roundTripper(cfg *rest.Config, l *link) (rt http.RoundTripper, hangUp func(), err error) {
	cfg = rest.CopyConfig(cfg)
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	// Here and not below: an exec plugin wraps the dialer that it finds.
	cfg.Dial = bounded(cfg.Dial)
	// Files are read at each dial, so a rotated certificate is a new key.
	if err := rest.LoadTLSFiles(cfg); err != nil {
		return nil, nil, err
	}
	tc, err := cfg.TransportConfig()
	if err != nil {
		return nil, nil, err
	}
	if tc.Transport != nil {
		rt, err = transport.HTTPWrappersForConfig(tc, tc.Transport)
		return rt, func() {}, err
	}
	own, err := u.transport(cfg.Host, tc, l)
	if err != nil {
		return nil, nil, err
	}
	rt, err = transport.HTTPWrappersForConfig(tc, own)
	return rt, own.CloseIdleConnections, err
}

// transport dials once and keeps nothing. It speaks HTTP/1.1 alone, since only
// that can be upgraded.
func (u *upgrader) transport(host string, tc *transport.Config, l *link) (*http.Transport, error) {
	tlsConfig, err := u.tlsConfig(host, tc)
	if err != nil {
		return nil, err
	}
	proxy := tc.Proxy
	if proxy == nil {
		proxy = utilnet.NewProxierWithNoProxyCIDR(http.ProxyFromEnvironment)
	}
	dial := tc.DialHolder.Dial
	only1 := &http.Protocols{}
	only1.SetHTTP1(true)
	return &http.Transport{
		Proxy:             proxy,
		TLSClientConfig:   tlsConfig,
		DisableKeepAlives: true,
		Protocols:         only1,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			l.conn = &conn{Conn: c}
			return l.conn, nil
		},
	}, nil
}

// tlsConfig is the remembered one where its credentials are plain content. What
// a plugin hands out may change from one handshake to the next, so that is
// neither remembered nor resumed.
func (u *upgrader) tlsConfig(host string, tc *transport.Config) (*tls.Config, error) {
	if tc.HasCertCallback() {
		return newTLSConfig(tc)
	}
	key := keyOf(host, tc)
	u.mu.Lock()
	defer u.mu.Unlock()
	if c := u.tls[key]; c != nil {
		return c, nil
	}
	c, err := newTLSConfig(tc)
	if err != nil {
		return nil, err
	}
	c.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	if len(u.tls) >= tlsKept {
		clear(u.tls)
	}
	u.tls[key] = c
	return c, nil
}

func newTLSConfig(tc *transport.Config) (*tls.Config, error) {
	c, err := transport.TLSConfigFor(tc)
	if err != nil {
		return nil, err
	}
	if c == nil {
		c = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c.NextProtos = []string{"http/1.1"}
	return c, nil
}

func keyOf(host string, tc *transport.Config) (key tlsKey) {
	h := sha256.New()
	insecure := []byte(strconv.FormatBool(tc.TLS.Insecure))
	for _, part := range [][]byte{[]byte(host), []byte(tc.TLS.ServerName), insecure, tc.TLS.CAData, tc.TLS.CertData, tc.TLS.KeyData} {
		// The length keeps two parts from being read as two others.
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	h.Sum(key[:0])
	return key
}
