// Package badnet is a bad network for tests and benchmarks: a TCP proxy whose
// connections are cut, held, delayed, slowed and sliced when a test says so.
//
// It owns the proxied connections and nothing of what they carry. Nothing in it
// is left to chance: the same script does the same. A proxy runs a goroutine
// that accepts and four for each connection (two for each direction); Close ends
// them all and waits. What a proxy holds is bounded by one chunk of 32 KiB for
// each direction, or by 64 while it delays; the kernel's socket buffers on both
// sides come on top.
package badnet

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// Direction is the way that bytes go.
type Direction int

// The directions, seen from whoever connects to the proxy.
const (
	Up   Direction = iota // towards the target
	Down                  // back from it
)

// Faults are what befalls the bytes of one direction. The zero value is a good
// network.
type Faults struct {
	// Hold lets nothing through, neither bytes nor ends: a half-open
	// connection. What was held arrives when the hold is lifted, as TCP's
	// retransmissions do.
	Hold bool
	// Delay is how much later bytes arrive. It does not slow them: more follow
	// while the first are on their way.
	Delay time.Duration
	// Rate is how many bytes pass in a second; 0 is no limit. Down, it is a slow
	// reader as the target sees it.
	Rate int
	// Slice is how many bytes are written at a time; 0 is no limit.
	Slice int
}

// How is the way a connection is cut.
type How int

// The ways to cut.
const (
	FIN How = iota // both sides see the end of the stream
	RST            // both sides see "connection reset by peer"
)

// Proxy forwards connections to one target. Its methods may be called from any
// goroutine.
type Proxy struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu       sync.Mutex
	changed  *sync.Cond // faults, conns or closed; locked by mu
	faults   [2]Faults
	conns    map[*pair]struct{}
	accepted int
	refusing bool
	closed   bool
}

// Listen makes a proxy to target ("host:port") on a free port of the loopback.
func Listen(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, listener: l, conns: map[*pair]struct{}{}}
	p.changed = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	return p, nil
}

// Start is Listen for the length of a test.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	p, err := Listen(target)
	if err != nil {
		t.Fatalf("badnet: %v", err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// Addr is where to connect to, as "127.0.0.1:port".
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set makes f the faults of one direction, for connections that stand too.
func (p *Proxy) Set(d Direction, f Faults) {
	p.change(func() { p.faults[d] = f })
}

// SetAll is Set for both directions.
func (p *Proxy) SetAll(f Faults) {
	p.change(func() { p.faults = [2]Faults{f, f} })
}

// Refuse closes new connections at once while on.
func (p *Proxy) Refuse(on bool) {
	p.change(func() { p.refusing = on })
}

func (p *Proxy) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.changed.Broadcast()
}

// Cut cuts every connection that stands now and says how many. What was on its
// way is lost.
func (p *Proxy) Cut(how How) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.conns)
	for c := range p.conns {
		c.cut(how)
	}
	p.changed.Broadcast()
	return n
}

// Strand takes the client away from every connection that stands now, as when it
// has moved to another network, and says how many. The client sees a reset, the
// target nothing at all: no byte and no end. New connections pass.
func (p *Proxy) Strand() (n int) {
	p.change(func() {
		for c := range p.conns {
			if c.strand() {
				n++
			}
		}
	})
	return n
}

// Conns is how many connections stand.
func (p *Proxy) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Accepted is how many connections were ever made, refused ones left out.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Close cuts everything and waits until all goroutines have ended.
func (p *Proxy) Close() error {
	p.change(func() { p.closed = true })
	err := p.listener.Close()
	p.Cut(FIN)
	p.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(c) })
	}
}

// serve carries one connection until both directions have ended.
func (p *Proxy) serve(client net.Conn) {
	c := &pair{proxy: p, client: client}
	if !p.admit(c) {
		c.cut(FIN)
		return
	}
	defer p.forget(c)
	if !c.connect() {
		return
	}
	var ways sync.WaitGroup
	for _, w := range []*way{newWay(c, Up, client, c.target), newWay(c, Down, c.target, client)} {
		ways.Go(w.take)
		ways.Go(w.give)
	}
	ways.Wait()
}

func (p *Proxy) admit(c *pair) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refusing || p.closed {
		return false
	}
	p.accepted++
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) forget(c *pair) {
	p.change(func() {
		c.cut(FIN)
		delete(p.conns, c)
	})
}

// pair is one connection: the client's and the target's half.
type pair struct {
	proxy  *Proxy
	client net.Conn

	// Guarded by proxy.mu.
	target   net.Conn
	gone     bool
	stranded bool // the client has gone, and the target does not hear of it
}

// connect dials the target once the way up is open: a network that holds
// answers no SYN.
func (c *pair) connect() bool {
	c.proxy.mu.Lock()
	for c.proxy.faults[Up].Hold && !c.gone {
		c.proxy.changed.Wait()
	}
	c.proxy.mu.Unlock()
	target, err := net.DialTimeout("tcp", c.proxy.target, 10*time.Second)
	if err != nil {
		return false
	}
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	if c.gone {
		_ = target.Close()
		return false
	}
	c.target = target
	return true
}

// cut ends both halves. The caller has proxy.mu, except before the pair is known.
func (c *pair) cut(how How) {
	if c.gone {
		return
	}
	c.gone = true
	for _, half := range []net.Conn{c.client, c.target} {
		if half == nil {
			continue
		}
		if tcp, ok := half.(*net.TCPConn); ok && how == RST {
			_ = tcp.SetLinger(0)
		}
		_ = half.Close()
	}
}

// strand ends the client's half alone. The caller has proxy.mu.
func (c *pair) strand() bool {
	if c.gone || c.stranded || c.target == nil {
		return false
	}
	c.stranded = true
	if tcp, ok := c.client.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.client.Close()
	return true
}

// holds reports whether nothing passes in direction d. The caller has proxy.mu.
func (c *pair) holds(d Direction) bool {
	return !c.gone && (c.stranded || c.proxy.faults[d].Hold)
}
