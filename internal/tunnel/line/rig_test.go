package line

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// world is a Host and what dials to it, over wires in memory.
type world struct {
	t    *testing.T
	host Host
	name string // as whom dial is let in

	mu       sync.Mutex
	wires    []*wire                                     // all that were ever made, newest last
	shape    func(n int, side byte, c net.Conn) net.Conn // of wire n, counted from 0
	refusing bool
	accepts  sync.WaitGroup
	fresh    chan *Conn // new lines at the host
	accepted []error    // what Accept said, nil for yes
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, name: "prod", fresh: make(chan *Conn, 1000)}
	t.Cleanup(func() {
		w.host.Close(nil)
		w.accepts.Wait()
	})
	return w
}

var errNoRoute = errors.New("no route to host")

// dial is what a Dialer is given.
func (w *world) dial(context.Context) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refusing {
		return nil, errNoRoute
	}
	a, b := newWire()
	n := len(w.wires)
	w.wires = append(w.wires, a.wire)
	var near, far net.Conn = a, b
	if w.shape != nil {
		near, far = w.shape(n, 'd', a), w.shape(n, 'h', b)
	}
	name := w.name
	w.accepts.Go(func() { w.accept(name, far) })
	return near, nil
}

func (w *world) accept(name string, nc net.Conn) {
	c, resumed, err := w.host.Accept(name, nc)
	w.mu.Lock()
	w.accepted = append(w.accepted, err)
	w.mu.Unlock()
	if err == nil && !resumed {
		w.fresh <- c
	}
}

func (w *world) dialer(instance string) *Dialer { return &Dialer{Dial: w.dial, Instance: instance} }

func (w *world) refuse(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusing = on
}

// newest is the wire that was made last.
func (w *world) newest() *wire {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wires[len(w.wires)-1]
}

// line is both ends of a new line.
func (w *world) line(instance string) (near, far *Conn) {
	w.t.Helper()
	near, err := w.dialer(instance).Begin(w.t.Context(), false)
	if err != nil {
		w.t.Fatal(err)
	}
	far = <-w.fresh
	w.t.Cleanup(func() {
		near.end(nil)
		far.end(nil)
		<-near.said
		<-far.said
	})
	return near, far
}

// wire is a connection in memory without any buffer, which can be cut or become a
// black hole.
type wire struct {
	mu   sync.Mutex
	held bool
	ends [2]*wireEnd
}

type wireEnd struct {
	net.Conn // a net.Pipe's
	*wire
	closed chan struct{}
	once   sync.Once
	hold   chan struct{} // closed when held
}

func newWire() (*wireEnd, *wireEnd) {
	a, b := net.Pipe()
	w := &wire{}
	hold := make(chan struct{})
	for i, c := range []net.Conn{a, b} {
		w.ends[i] = &wireEnd{Conn: c, wire: w, closed: make(chan struct{}), hold: hold}
	}
	return w.ends[0], w.ends[1]
}

// cut ends both ends at once.
func (w *wire) cut() {
	for _, e := range w.ends {
		_ = e.Conn.Close()
	}
}

// blackHole lets nothing through from now on, not even an end.
func (w *wire) blackHole() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.held {
		w.held = true
		close(w.ends[0].hold)
		for _, e := range w.ends {
			_ = e.SetWriteDeadline(time.Unix(1, 0))
		}
	}
}

func (e *wireEnd) isHeld() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.held
}

func (e *wireEnd) Write(p []byte) (int, error) {
	n, err := e.Conn.Write(p)
	if err != nil && e.isHeld() {
		<-e.closed // the socket's buffer is full
		return n, net.ErrClosed
	}
	return n, err
}

func (e *wireEnd) Close() error {
	e.once.Do(func() {
		close(e.closed)
		if e.isHeld() {
			_ = e.SetReadDeadline(time.Unix(1, 0))
		} else {
			_ = e.Conn.Close()
		}
	})
	return nil
}

func (e *wireEnd) Read(p []byte) (int, error) {
	n, err := e.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		select {
		case <-e.closed:
			return n, net.ErrClosed
		default:
		}
	}
	return n, err
}

// fuse cuts a connection after so many bytes of either direction.
type fuse struct {
	net.Conn
	mu          sync.Mutex
	read, write int // bytes left; negative for no end
}

var errFuse = errors.New("the fuse is blown")

func (f *fuse) spend(left *int, n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if *left < 0 {
		return n
	}
	n = min(n, *left)
	*left -= n
	return n
}

func (f *fuse) Read(p []byte) (int, error) {
	n := f.spend(&f.read, len(p))
	if n == 0 {
		_ = f.Close()
		return 0, errFuse
	}
	m, err := f.Conn.Read(p[:n])
	f.mu.Lock()
	if f.read >= 0 {
		f.read += n - m
	}
	f.mu.Unlock()
	return m, err
}

func (f *fuse) Write(p []byte) (int, error) {
	n := f.spend(&f.write, len(p))
	m, err := f.Conn.Write(p[:n])
	if err == nil && n < len(p) {
		_ = f.Close()
		return m, errFuse
	}
	return m, err
}

// flow is bytes of which any stretch can be told from any other.
type flow struct {
	seed byte
	size int
}

func (f flow) bytes() io.Reader { return rand.NewChaCha8([32]byte{f.seed}) }

// send writes the flow in writes of up to most bytes.
func (f flow) send(c io.Writer, most int) error {
	from, p := f.bytes(), make([]byte, most)
	for left := f.size; left > 0; {
		n := min(left, 1+rand.IntN(most))
		_, _ = from.Read(p[:n])
		if m, err := c.Write(p[:n]); err != nil || m != n {
			return fmt.Errorf("with %d bytes left, wrote %d of %d: %w", left, m, n, err)
		}
		left -= n
	}
	return nil
}

// receive reads it by reads of up to most bytes and compares the hashes.
func (f flow) receive(c io.Reader, most int) error {
	got, want := sha256.New(), sha256.New()
	r := struct{ io.Reader }{io.LimitReader(c, int64(f.size))}
	if n, err := io.CopyBuffer(struct{ io.Writer }{got}, r, make([]byte, most)); err != nil || n != int64(f.size) {
		return fmt.Errorf("%d of %d bytes: %w", n, f.size, err)
	}
	_, _ = io.CopyN(want, f.bytes(), int64(f.size))
	if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		return errors.New("what came is not what was sent")
	}
	return nil
}

// exchange carries size bytes both ways at once. Each end reads until the other's
// writer is done too, as whoever has a line must.
func exchange(t *testing.T, a, b net.Conn, size, most int) {
	t.Helper()
	up, down := flow{1, size}, flow{2, size}
	var done, receiving sync.WaitGroup // done: all is written, and all has come
	done.Add(2)
	send := func(name string, f flow, c net.Conn) {
		if err := f.send(c, most); err != nil {
			t.Errorf("sending %s: %v", name, err)
		}
	}
	receive := func(name string, f flow, c net.Conn) {
		if err := f.receive(c, most); err != nil {
			t.Errorf("receiving %s: %v", name, err)
		}
		done.Done()
		if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after all of %s: %d bytes, %v", name, n, err)
		}
	}
	done.Go(func() { send("up", up, a) })
	done.Go(func() { send("down", down, b) })
	receiving.Go(func() { receive("up", up, b) })
	receiving.Go(func() { receive("down", down, a) })
	done.Wait()
	for _, c := range []net.Conn{a, b} {
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
	receiving.Wait()
	for _, c := range []net.Conn{a, b} {
		_ = c.SetReadDeadline(time.Time{})
	}
}

// echo is one byte there and back.
func echo(t *testing.T, a, b net.Conn) {
	t.Helper()
	exchange(t, a, b, 1, 1)
}
