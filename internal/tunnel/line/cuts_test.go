package line

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/badnet"
	"github.com/periscope-console/periscope/internal/tunnel/carrier"
)

// TestCutAtEveryByte cuts the first connection after each byte that it carries, and
// the second one too, in either direction: of the handshake, of the bytes and of
// what acknowledges them.
func TestCutAtEveryByte(t *testing.T) {
	const span = 260 // more than a handshake and the bytes below
	for _, side := range []byte{'d', 'h'} {
		for at := range span {
			synctest.Test(t, func(t *testing.T) { cutAt(t, side, at, -1) })
			synctest.Test(t, func(t *testing.T) { cutAt(t, side, 150, at) })
		}
	}
}

// cutAt cuts wire 0 and wire 1 after so many bytes written by one side.
func cutAt(t *testing.T, side byte, first, second int) {
	w := newWorld(t)
	w.shape = func(n int, s byte, c net.Conn) net.Conn {
		if s == side && n < 2 {
			return &fuse{Conn: c, read: -1, write: []int{first, second}[n]}
		}
		return c
	}
	d := w.dialer("one")
	a, err := d.Begin(t.Context(), false)
	for tries := 0; err != nil && tries < 3; tries++ { // a fresh line that did not come about
		a, err = d.Begin(t.Context(), false)
	}
	if err != nil {
		t.Fatal(err)
	}
	b := <-w.fresh
	for b.id != a.id {
		b = <-w.fresh // of a handshake whose answer got lost
	}
	exchange(t, a, b, 100, 7)
	if t.Failed() {
		t.Fatalf("side %c, cut at %d and %d: %+v", side, first, second, a.Status())
	}
	_ = a.Close()
	_ = b.Close()
}

// TestCutsEverywhere: 1 MiB both ways over connections that are cut after a random
// number of bytes, sliced in all ways.
func TestCutsEverywhere(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			random := rand.New(rand.NewPCG(seed, 0))
			w.shape = func(_ int, side byte, c net.Conn) net.Conn {
				if side == 'h' {
					return c
				}
				c = badnet.Chop(c, 1+random.IntN(5000))
				return &fuse{Conn: c, read: random.IntN(60 << 10), write: random.IntN(60 << 10)}
			}
			var a *Conn
			for a == nil {
				a, _ = w.dialer("one").Begin(t.Context(), false)
			}
			b := <-w.fresh
			for b.id != a.id {
				b = <-w.fresh
			}
			exchange(t, a, b, 1<<20, 1+random.IntN(100<<10))
			s := a.Status()
			if s.Cuts < 15 || s.Resumes != s.Cuts || s.State != Connected {
				t.Errorf("seed %d: %+v", seed, s)
			}
			_ = a.Close()
			_ = b.Close()
		})
	}
}

// TestOneByteAtATime: nothing depends on how a carrier joins bytes.
func TestOneByteAtATime(t *testing.T) {
	w := newWorld(t)
	w.shape = func(_ int, _ byte, c net.Conn) net.Conn { return badnet.Chop(c, 1) }
	a, b := w.line("one")
	exchange(t, a, b, 20<<10, 3000)
	w.newest().cut()
	exchange(t, a, b, 20<<10, 3000)
}

// sockets is a world of real ones: WebSockets over TLS through a bad network.
type sockets struct {
	net     *badnet.Proxy
	host    Host
	server  *httptest.Server
	fresh   chan *Conn
	bare    chan *carrier.Conn // without a line, straight to the server
	dialer  Dialer
	carrier *carrier.Dialer
}

func newSockets(t testing.TB) *sockets {
	t.Helper()
	s := &sockets{fresh: make(chan *Conn, 100), bare: make(chan *carrier.Conn, 1)}
	var accepts sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, err := carrier.Accept(w, r)
		if err != nil {
			return
		}
		if r.URL.Path == "/bare" {
			s.bare <- nc
			return
		}
		accepts.Go(func() {
			if c, resumed, err := s.host.Accept("prod", nc); err == nil && !resumed {
				s.fresh <- c
			}
		})
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that were cut
	server.StartTLS()
	s.server = server
	s.net = badnet.Start(t, server.Listener.Addr().String())
	t.Cleanup(func() {
		s.host.Close(nil)
		s.net.Cut(badnet.FIN)
		server.Close()
		accepts.Wait()
	})
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	s.carrier = &carrier.Dialer{
		URL: &url.URL{Scheme: "wss", Host: s.net.Addr(), Path: "/"},
		TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"},
	}
	s.dialer = Dialer{Instance: "one", first: 4 * time.Millisecond, Dial: func(ctx context.Context) (net.Conn, error) { return s.carrier.Open(ctx) }}
	return s
}

func (s *sockets) line(t testing.TB) (a, b *Conn) {
	t.Helper()
	a, err := s.dialer.Begin(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a, <-s.fresh
}

// carriers are both ends of a carrier alone, past the bad network.
func (s *sockets) carriers(t testing.TB) (a, b *carrier.Conn) {
	t.Helper()
	d := *s.carrier
	d.URL = &url.URL{Scheme: "wss", Host: s.server.Listener.Addr().String(), Path: "/bare"}
	a, err := d.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b = <-s.bare
	t.Cleanup(func() { _ = a.Abort(); _ = b.Abort() })
	return a, b
}

// TestBulkThroughHundredsOfCuts: 64 MiB both ways over TLS, while each connection is
// cut, by a FIN or a RST, after a quarter of a MiB in either direction.
func TestBulkThroughHundredsOfCuts(t *testing.T) {
	const size = 64 << 20
	s := newSockets(t)
	s.carrier.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if rand.IntN(2) == 0 {
			_ = c.(*net.TCPConn).SetLinger(0)
		}
		return &fuse{Conn: c, read: 10<<10 + rand.IntN(1<<20), write: 10<<10 + rand.IntN(1<<20)}, nil
	}
	var silent atomic.Int64
	s.dialer.Changed = func(c *Conn) {
		if st := c.Status(); st.State == Reconnecting && errors.Is(st.Cut, errSilent) {
			silent.Add(1)
		}
	}
	a, b := s.line(t)
	exchange(t, a, b, size, 100<<10)
	if n := silent.Load(); n > 0 {
		t.Errorf("%d connections came to a stand", n)
	}
	got := a.Status()
	if got.Cuts < 200 {
		t.Errorf("only %d cuts", got.Cuts)
	}
	t.Logf("%d cuts, %d resumes, %d KiB sent again by the dialling end", got.Cuts, got.Resumes, got.Replayed>>10)
}

// TestLastWordsOverSockets: they arrive although there is much that nobody reads any
// more, in the kernel, in TLS and here.
func TestLastWordsOverSockets(t *testing.T) {
	for _, host := range []bool{false, true} {
		s := newSockets(t)
		a, b := s.line(t)
		if host {
			a, b = b, a
		}
		var writing sync.WaitGroup
		writing.Go(func() { _ = flow{1, 8 << 20}.send(b, 100<<10) })
		if _, err := a.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		read := make(chan error, 1)
		go func() {
			_, err := b.Read(make([]byte, 1))
			read <- err
		}()
		began := time.Now()
		_ = a.CloseWith(errors.New("revoked"))
		if err := <-read; !errors.Is(err, ErrClosed) || err.Error() != "revoked" {
			t.Errorf("from the host %v: %v", host, err)
		}
		writing.Wait()
		if d := time.Since(began); d > lastWords {
			t.Errorf("from the host %v: took %v", host, d)
		}
	}
}

// TestBackAtOnce: over real sockets, a line whose connection is cut is usable again at
// once: not when the silence is noticed, nine seconds later or more. Which waits that
// takes is TestDialsAgainWithJitter's.
func TestBackAtOnce(t *testing.T) {
	s := newSockets(t)
	s.dialer.first = 0 // as in production
	a, b := s.line(t)
	for _, how := range []badnet.How{badnet.FIN, badnet.RST} {
		echo(t, a, b)
		began := time.Now()
		s.net.Cut(how)
		echo(t, a, b)
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("took %v", d)
		}
	}
}
