package transport

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/periscope-console/periscope/internal/fault"
)

// auto is a Switch that knows one cluster.
type auto struct{ *Switch }

func (a auto) Dial(ctx context.Context, cfg *rest.Config, req Request) (Stream, error) {
	s, _, err := a.Switch.Dial(ctx, "c", cfg, req)
	return s, err
}

func newAuto() Dialer { return auto{NewSwitch(Auto, time.Now)} }

func newDialer(kind Kind) Dialer {
	if kind == Auto {
		return newAuto()
	}
	return New(kind)
}

func dialError(t *testing.T, d Dialer, cfg *rest.Config, req Request) error {
	t.Helper()
	s, err := d.Dial(context.Background(), cfg, req)
	if err == nil {
		_ = s.Close()
		t.Fatal("the dial succeeded")
	}
	return err
}

func TestRefusals(t *testing.T) {
	status := func(code int, reason, message string) string {
		return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q,"message":%q}`, code, reason, message)
	}
	for _, tc := range []struct {
		name    string
		code    int
		body    string
		kind    fault.Kind
		upgrade bool // the wire protocol was refused, not the request
	}{
		{"own credentials", 401, status(401, "Unauthorized", "Unauthorized"), fault.ClusterUnreachable, false},
		{"no right", 403, status(403, "Forbidden", `pods "pod" is forbidden`), fault.Forbidden, false},
		{"no pod", 404, status(404, "NotFound", `pods "pod" not found`), fault.NotFound, false},
		{"no container", 400, status(400, "BadRequest", "container c is not valid for pod pod"), fault.Invalid, false},
		{"conflict", 409, status(409, "Conflict", "changed"), fault.Conflict, false},
		{"gone", 410, status(410, "Gone", "gone"), fault.Gone, false},
		{"too large", 413, status(413, "RequestEntityTooLarge", "too large"), fault.TooLarge, false},
		{"address too long", 414, "", fault.TooLarge, false},
		{"too many", 429, status(429, "TooManyRequests", "later"), fault.RateLimited, false},
		{"node away", 500, status(500, "InternalError", "error dialing backend"), fault.ClusterUnreachable, false},
		{"no time", 504, status(504, "Timeout", "too slow"), fault.Timeout, false},
		{"unprocessable", 422, status(422, "Invalid", "bad"), fault.Unprocessable, false},
		{"upgrade headers lost on the way", 400, status(400, "BadRequest", "Upgrade request required"), fault.ClusterUnreachable, true},
		{"kubelet without v5", 403, "", fault.ClusterUnreachable, true},
		{"a proxy that knows no upgrade", 200, "<html>hello", fault.ClusterUnreachable, true},
		{"a proxy that redirects", 302, "", fault.ClusterUnreachable, true},
		{"426", 426, "", fault.ClusterUnreachable, true},
		{"501", 501, "", fault.ClusterUnreachable, true},
		{"405", 405, "", fault.ClusterUnreachable, true},
		{"bad gateway", 502, "<html>", fault.ClusterUnreachable, false},
		{"a proxy's 401", 401, "<html>", fault.ClusterUnreachable, false},
		{"a proxy's 404", 404, "<html>", fault.NotFound, false},
		{"a proxy's 429", 429, "", fault.RateLimited, false},
		{"garbage", 500, "{\"status\":", fault.ClusterUnreachable, false},
	} {
		for _, kind := range []Kind{WebSocket, SPDY} {
			t.Run(tc.name+" "+string(kind), func(t *testing.T) {
				cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
					w.WriteHeader(tc.code)
					_, _ = io.WriteString(w, tc.body)
				})
				err := dialError(t, New(kind), cfg, shell)
				wantFault(t, err, tc.kind)
				if IsUpgradeFailure(err) != tc.upgrade {
					t.Errorf("IsUpgradeFailure is %v", !tc.upgrade)
				}
				var f *fault.Error
				if _, ok := asFault(err, &f).Status.(*metav1.Status); ok != (strings.HasPrefix(tc.body, `{"kind"`) && !tc.upgrade) {
					t.Errorf("status %v", f.Status)
				}
			})
		}
	}
}

func asFault(err error, f **fault.Error) *fault.Error {
	if !errors.As(err, f) {
		*f = &fault.Error{}
	}
	return *f
}

func TestHugeRefusalIsNotReadWhole(t *testing.T) {
	stopped := make(chan struct{})
	cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(stopped)
		w.WriteHeader(http.StatusInternalServerError)
		for chunk := make([]byte, 32<<10); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	wantFault(t, dialError(t, New(WebSocket), cfg, shell), fault.ClusterUnreachable)
	<-stopped // the connection was closed, not drained
}

// TestARefusedConnectionIsNotUsedAgain: what follows on a connection whose upgrade
// was not answered 101 may be the backend's and not the front's (CVE-2018-1002105).
func TestARefusedConnectionIsNotUsedAgain(t *testing.T) {
	for _, kind := range []Kind{WebSocket, SPDY} {
		for _, code := range []int{200, 302, 400, 403, 404, 426, 500, 502} {
			t.Run(fmt.Sprintf("%d %s", code, kind), func(t *testing.T) {
				seen, closed := make(chan string, 2), make(chan error, 2)
				cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
					p := hijack(t, w, r)
					defer p.Close()
					seen <- r.RemoteAddr
					p.raw(fmt.Sprintf("HTTP/1.1 %d Refused\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{}", code))
					_, err := p.in.ReadByte() // the next request, were there one
					closed <- err
				})
				d := New(kind)
				for range 2 {
					_ = dialError(t, d, cfg, shell)
					if err := <-closed; err == nil {
						t.Error("another request came on the connection")
					}
				}
				if first, second := <-seen, <-seen; first == second {
					t.Errorf("both dials came from %s", first)
				}
			})
		}
	}
}

func TestBadHandshakes(t *testing.T) {
	good := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: KEY\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n"
	for name, answer := range map[string]string{
		"wrong accept":      strings.Replace(good, "KEY", "nonsense", 1),
		"wrong subprotocol": strings.Replace(good, "v5", "v4", 1),
		"no subprotocol":    strings.Replace(good, "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n", "", 1),
		"no upgrade":        strings.Replace(good, "Upgrade: websocket\r\n", "", 1),
		"wrong upgrade":     strings.Replace(good, "websocket", "SPDY/3.1", 1),
		"no connection":     strings.Replace(good, "Connection: keep-alive, Upgrade\r\n", "", 1),
		"extension":         strings.Replace(good, "KEY", "KEY\r\nSec-WebSocket-Extensions: permessage-deflate", 1),
	} {
		t.Run(name, func(t *testing.T) {
			cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
				p := hijack(t, w, r)
				defer p.Close()
				p.raw(strings.Replace(answer, "KEY", acceptKey(r.Header.Get("Sec-Websocket-Key")), 1))
				_, _ = io.Copy(io.Discard, p.in)
			})
			err := dialError(t, New(WebSocket), cfg, shell)
			wantFault(t, err, fault.ClusterUnreachable)
			if !IsUpgradeFailure(err) {
				t.Errorf("no upgrade failure: %v", err)
			}
		})
	}
}

// TestNobodyThere: none of these may make Auto try again, since the command may
// have started, or a second try meets the same.
func TestNobodyThere(t *testing.T) {
	cut := serve(t, func(w http.ResponseWriter, r *http.Request) { _ = hijack(t, w, r).Close() })
	untrusted := rest.CopyConfig(cut)
	untrusted.CAData = certificate(t, "somebody else").ca
	gone := rest.CopyConfig(cut)
	gone.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
	bad := rest.CopyConfig(cut)
	bad.CertFile = filepath.Join(t.TempDir(), "missing.pem")
	for name, cfg := range map[string]*rest.Config{"cut": cut, "untrusted": untrusted, "gone": gone, "certificate": bad} {
		err := dialError(t, newAuto(), cfg, shell)
		wantFault(t, err, fault.ClusterUnreachable)
		if IsUpgradeFailure(err) {
			t.Errorf("%s: an upgrade failure: %v", name, err)
		}
	}
}

// TestCredentialsThatCannotBeHad: what a backend's transport says is what the user
// reads, and no reason to try another protocol.
func TestCredentialsThatCannotBeHad(t *testing.T) {
	cfg := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("dialled without credentials") })
	cfg.WrapTransport = func(http.RoundTripper) http.RoundTripper {
		return broke(func(*http.Request) (*http.Response, error) {
			return nil, fault.New(fault.RateLimited, "eks", "AWS has had enough.")
		})
	}
	err := dialError(t, newAuto(), cfg, shell)
	wantFault(t, err, fault.RateLimited)
	if IsUpgradeFailure(err) || fault.PublicOf(err) != "AWS has had enough." {
		t.Errorf("got %v", err)
	}
}

type broke func(*http.Request) (*http.Response, error)

func (b broke) RoundTrip(r *http.Request) (*http.Response, error) { return b(r) }

func TestCancelledDials(t *testing.T) {
	stop := make(chan struct{})
	asked := make(chan struct{}, 10)
	cfg := serve(t, func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-stop
	})
	defer close(stop)
	why := fault.New(fault.ShuttingDown, "test", "This server is going down. Come back in a minute.")
	for _, kind := range []Kind{WebSocket, SPDY, Auto} {
		ctx, abandon := context.WithCancelCause(context.Background())
		go func() {
			<-asked
			abandon(why)
		}()
		_, err := newDialer(kind).Dial(ctx, cfg, shell)
		wantFault(t, err, fault.ShuttingDown)

		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		_, err = newDialer(kind).Dial(ctx, silent(t), shell)
		cancel()
		wantFault(t, err, fault.Timeout)
	}
}

// silent is a cluster that never answers.
func silent(t *testing.T) *rest.Config {
	over := make(chan struct{})
	cfg := serve(t, func(http.ResponseWriter, *http.Request) { <-over })
	t.Cleanup(func() { close(over) })
	return cfg
}

// TestAnAbandonedDialIsHungUp: net/http would go on with a handshake that nobody
// waits for, in the hope of a use for the connection.
func TestAnAbandonedDialIsHungUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	hungUp := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			hungUp <- err
			return
		}
		defer c.Close()
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, err = io.Copy(io.Discard, c)
		hungUp <- err
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = New(WebSocket).Dial(ctx, &rest.Config{Host: "https://" + l.Addr().String()}, shell)
	wantFault(t, err, fault.Timeout)
	if err := <-hungUp; err != nil {
		t.Errorf("the connection stood on: %v", err)
	}
}

// TestTheKernelTakesInLittle: what waits in a socket is what Ctrl-C waits for.
func TestTheKernelTakesInLittle(t *testing.T) {
	cfg := echoServer(t)
	asked := make(chan int, 1)
	cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &sized{c, asked}, err
	}
	_ = open(t, cfg, script).Close()
	if n := <-asked; n != 128<<10 {
		t.Errorf("a receive buffer of %d bytes", n)
	}
}

type sized struct {
	net.Conn
	asked chan int
}

func (s *sized) SetReadBuffer(n int) error {
	s.asked <- n
	return nil
}

// TestTheStreamOutlivesTheDial also sends bytes right behind the 101.
func TestTheStreamOutlivesTheDial(t *testing.T) {
	dialled := make(chan struct{})
	cfg := serve(t, func(w http.ResponseWriter, r *http.Request) {
		p := hijack(t, w, r)
		defer p.Close()
		p.raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptKey(r.Header.Get("Sec-Websocket-Key")) +
			"\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n" + frame(0x82, "\x01at once"))
		<-dialled
		p.say(1, " and later")
		p.status(success)
		p.bye(1000)
		p.untilGone()
	})
	ctx, cancel := context.WithCancel(context.Background())
	s, err := New(WebSocket).Dial(ctx, cfg, script)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cancel()
	close(dialled)
	if out, _ := drain(t, s, 100); out != "at once and later" {
		t.Errorf("out %q", out)
	}
	wantExit(t, s, 0)
}

func TestBadNames(t *testing.T) {
	cfg := &rest.Config{Host: "https://cluster", Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("dialled")
		return nil, io.EOF
	}}
	for _, bad := range []string{"", ".", "..", "a/b", "a%2fb"} {
		for _, req := range []Request{{Namespace: bad, Pod: "pod"}, {Namespace: "ns", Pod: bad}} {
			wantFault(t, dialError(t, newAuto(), cfg, req), fault.Invalid)
		}
	}
	wantFault(t, dialError(t, New(WebSocket), &rest.Config{Host: "::"}, shell), fault.Invalid)
}

func TestTheRequestIsBuiltFromNothing(t *testing.T) {
	seen := make(chan *http.Request, 1)
	cfg := scripted(t, func(p *peer) {
		seen <- p.req
		p.untilGone()
	})
	token := filepath.Join(t.TempDir(), "token")
	write := func(s string) {
		if err := os.WriteFile(token, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	cfg.Host += "/k8s/clusters/c-1"
	cfg.BearerTokenFile = token
	cfg.UserAgent = "periscope/test"
	cfg.Impersonate = rest.ImpersonationConfig{UserName: "ada", UID: "17", Groups: []string{"a", "b"}, Extra: map[string][]string{"k": {"v"}}}
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			r.Header.Set("X-Wrapped", "yes")
			return rt.RoundTrip(r)
		})
	})
	d := New(WebSocket)
	for _, want := range []string{"first", "second"} {
		write(want)
		s, err := d.Dial(context.Background(), cfg, Request{Namespace: "ns", Pod: "pod", Container: "c", Command: []string{"sh", "-c", "a b&c"}, Stdin: true, TTY: true})
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		r := <-seen
		if p := r.URL.Path; p != "/k8s/clusters/c-1/api/v1/namespaces/ns/pods/pod/exec" || r.ProtoMajor != 1 || r.Method != http.MethodGet {
			t.Errorf("%s %s %s", r.Proto, r.Method, p)
		}
		wantQuery := url.Values{"command": {"sh", "-c", "a b&c"}, "container": {"c"}, "stdin": {"true"}, "stdout": {"true"}, "stderr": {"false"}, "tty": {"true"}}
		if got := r.URL.Query().Encode(); got != wantQuery.Encode() {
			t.Errorf("query %s", got)
		}
		for name, value := range map[string]string{
			"Authorization": "Bearer " + want, "User-Agent": "periscope/test", "Impersonate-User": "ada", "Impersonate-Uid": "17",
			"Impersonate-Extra-K": "v", "X-Wrapped": "yes", "Connection": "Upgrade", "Upgrade": "websocket",
		} {
			if got := strings.Join(r.Header[name], ","); got != value {
				t.Errorf("%s: %q, want %q", name, got, value)
			}
		}
		if g := strings.Join(r.Header["Impersonate-Group"], ","); g != "a,b" {
			t.Errorf("groups %s", g)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestAnyWayToTheCluster opens an echo over each kind of way that a rest.Config
// knows, by both wire protocols.
func TestAnyWayToTheCluster(t *testing.T) {
	client := certificate(t, "client")
	for name, way := range map[string]func(cfg *rest.Config){
		"direct": func(*rest.Config) {},
		"own dialer": func(cfg *rest.Config) {
			host := strings.TrimPrefix(cfg.Host, "https://")
			cfg.Host = "https://cluster.invalid"
			cfg.ServerName = "example.com"
			cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if address != "cluster.invalid:443" {
					return nil, fmt.Errorf("asked for %s", address)
				}
				return (&net.Dialer{}).DialContext(ctx, network, host)
			}
		},
		"http proxy": func(cfg *rest.Config) { cfg.Proxy = http.ProxyURL(connectProxy(t, httptest.NewServer)) },
		"https proxy": func(cfg *rest.Config) {
			cfg.Proxy = http.ProxyURL(connectProxy(t, httptest.NewTLSServer))
			cfg.CAData = nil
			cfg.Insecure = true
		},
		"insecure":    func(cfg *rest.Config) { cfg.CAData, cfg.Insecure = nil, true },
		"certificate": func(cfg *rest.Config) { cfg.CertData, cfg.KeyData = client.cert, client.key },
		"files": func(cfg *rest.Config) {
			cfg.CAFile = filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(cfg.CAFile, cfg.CAData, 0o600); err != nil {
				t.Fatal(err)
			}
			cfg.CAData = nil
		},
		"a transport of its own": func(cfg *rest.Config) {
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(cfg.CAData)
			cfg.TLSClientConfig = rest.TLSClientConfig{}
			cfg.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
		},
	} {
		for _, kind := range []Kind{WebSocket, SPDY} {
			t.Run(name+" "+string(kind), func(t *testing.T) {
				cfg := echoServer(t)
				way(cfg)
				s, err := New(kind).Dial(context.Background(), cfg, script)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if _, err := io.WriteString(s, "through"); err != nil {
					t.Fatal(err)
				}
				if err := s.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if out, _ := drain(t, s, 100); out != "through" || s.Kind() != kind {
					t.Errorf("out %q by %s", out, s.Kind())
				}
				wantExit(t, s, 0)
			})
		}
	}
}

// connectProxy is an HTTP proxy that tunnels.
func connectProxy(t *testing.T, start func(http.Handler) *httptest.Server) *url.URL {
	srv := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			t.Errorf("the proxy was asked to %s %s", r.Method, r.URL)
			return
		}
		there, err := net.Dial("tcp", r.Host)
		if err != nil {
			t.Error(err)
			return
		}
		defer there.Close()
		p := hijack(t, w, r)
		defer p.Close()
		p.raw("HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			_, _ = io.Copy(there, p.in)
			_ = there.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.Copy(p, there)
	}))
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestSessionsAreResumedByTheSameCredentialsAlone guards the TLS session cache:
// a resumed session is whoever it was first.
func TestSessionsAreResumedByTheSameCredentialsAlone(t *testing.T) {
	type hello struct {
		resumed bool
		name    string
	}
	seen := make(chan hello, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := hello{resumed: r.TLS.DidResume}
		if len(r.TLS.PeerCertificates) > 0 {
			h.name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		p := hijack(t, w, r)
		defer p.Close()
		p.accept("v5.channel.k8s.io")
		p.say(1, "read this, and the session ticket before it")
		seen <- h
		p.untilGone()
	}))
	srv.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	srv.StartTLS()
	defer srv.Close()
	d := New(WebSocket)
	for _, step := range []struct {
		who  identity
		want hello
	}{
		{certificate(t, "ada"), hello{false, "ada"}},
		{certificate(t, "bob"), hello{false, "bob"}},
		{certificate(t, "ada"), hello{true, "ada"}},
		{identity{}, hello{false, ""}},
		{identity{}, hello{true, ""}},
		{certificate(t, "bob"), hello{true, "bob"}},
	} {
		cfg := &rest.Config{Host: srv.URL, TLSClientConfig: rest.TLSClientConfig{CAData: pemOf(srv.Certificate().Raw), CertData: step.who.cert, KeyData: step.who.key}}
		s, err := d.Dial(context.Background(), cfg, script)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		if got := <-seen; got != step.want {
			t.Errorf("the server saw %+v, want %+v", got, step.want)
		}
	}
}

// identity is a self-signed client certificate.
type identity struct{ ca, cert, key []byte }

var identities = map[string]identity{}

// certificate makes one for each name.
func certificate(t *testing.T, name string) identity {
	t.Helper()
	if id, ok := identities[name]; ok {
		return id
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	id := identity{ca: pemOf(der), cert: pemOf(der), key: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})}
	identities[name] = id
	return id
}

func TestAutoFallsBackOnlyWhereTheProtocolWasRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		answer int
		kind   Kind
	}{"refused upgrade": {http.StatusForbidden, SPDY}, "good": {0, WebSocket}} {
		t.Run(name, func(t *testing.T) {
			cfg := echoServer(t)
			if tc.answer != 0 {
				cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper {
					return roundTripper(func(r *http.Request) (*http.Response, error) {
						if r.Header.Get("Upgrade") == "websocket" {
							return http.ReadResponse(bufio.NewReader(strings.NewReader("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")), r)
						}
						return rt.RoundTrip(r)
					})
				})
			}
			s, err := newAuto().Dial(context.Background(), cfg, script)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if s.Kind() != tc.kind {
				t.Errorf("opened by %s", s.Kind())
			}
		})
	}
}

// TestExecPlugins: a plugin's token and its certificate both reach the cluster.
func TestExecPlugins(t *testing.T) {
	type seen struct{ token, name string }
	got := make(chan seen, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := seen{token: r.Header.Get("Authorization")}
		if len(r.TLS.PeerCertificates) > 0 {
			g.name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		got <- g
		p := hijack(t, w, r)
		defer p.Close()
		p.accept("v5.channel.k8s.io")
		p.untilGone()
	}))
	srv.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	srv.StartTLS()
	defer srv.Close()
	id := certificate(t, "plugged")
	for name, tc := range map[string]struct {
		status map[string]string
		want   seen
	}{
		"token":       {map[string]string{"token": "t-1"}, seen{token: "Bearer t-1"}},
		"certificate": {map[string]string{"clientCertificateData": string(id.cert), "clientKeyData": string(id.key)}, seen{name: "plugged"}},
	} {
		t.Run(name, func(t *testing.T) {
			credential, err := json.Marshal(map[string]any{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": tc.status})
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "credential.json")
			if err := os.WriteFile(file, credential, 0o600); err != nil {
				t.Fatal(err)
			}
			cfg := &rest.Config{Host: srv.URL, TLSClientConfig: rest.TLSClientConfig{CAData: pemOf(srv.Certificate().Raw)}, ExecProvider: &clientcmdapi.ExecConfig{
				Command: "cat", Args: []string{file}, APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
			}}
			s := open(t, cfg, script)
			if g := <-got; g != tc.want {
				t.Errorf("the cluster saw %+v", g)
			}
			_ = s.Close()
		})
	}
	cfg := &rest.Config{Host: srv.URL, ExecProvider: &clientcmdapi.ExecConfig{
		Command: "no-such-plugin", APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
	}}
	wantFault(t, dialError(t, newAuto(), cfg, shell), fault.ClusterUnreachable)
}
