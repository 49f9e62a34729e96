package tunnel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/periscope-console/periscope/internal/badnet"
)

// TestStreamIsAConn is what the standard library asks of a net.Conn, over a
// carrier that holds nothing, over TCP, and over one that gives single bytes.
func TestStreamIsAConn(t *testing.T) {
	carriers := map[string]func(t *testing.T) (a, b net.Conn){
		"pipe": func(*testing.T) (a, b net.Conn) { return net.Pipe() },
		"tcp":  func(t *testing.T) (a, b net.Conn) { return tcp(t) },
		"bytes": func(t *testing.T) (a, b net.Conn) {
			a, b = tcp(t)
			return badnet.Chop(a, 1), badnet.Chop(b, 1)
		},
	}
	for name, carrier := range carriers {
		for _, class := range []Class{Interactive, Bulk} {
			if name == "bytes" && class == Bulk {
				continue // slow, and the parser is the same
			}
			t.Run(name, func(t *testing.T) {
				nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
					a, b := carrier(t)
					p := link(t, a, b)
					near, far := p.open(t, class)
					return near, far, func() { near.Close(); far.Close() }, nil
				})
			})
		}
	}
}

func TestHalfClose(t *testing.T) {
	p := start(t)
	near, far := p.open(t, Interactive)
	send(t, near, "question")
	if err := near.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := near.Write([]byte("more")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after CloseWrite: %v", err)
	}
	if got, err := io.ReadAll(far); err != nil || string(got) != "question" {
		t.Fatalf("%q, %v", got, err)
	}
	answer := strings.Repeat("answer ", 100_000) // more than a window
	go func() {
		_, _ = io.WriteString(far, answer)
		_ = far.CloseWrite()
	}()
	if got, err := io.ReadAll(near); err != nil || string(got) != answer {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	p.settled(t)
}

// TestCloseDeliversWhatWasWritten: everything before Close arrives, and then the
// writes of the other end fail.
func TestCloseDeliversWhatWasWritten(t *testing.T) {
	p := start(t)
	near, far := p.open(t, Interactive)
	send(t, near, strings.Repeat("x", 60<<10))
	near.Close()
	if got, err := io.ReadAll(far); err != nil || len(got) != 60<<10 {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	_, err := far.Write(make([]byte, 1<<20)) // more than credit
	if !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a write to a closed peer: %v", err)
	}
	p.settled(t)
}

func TestCloseWakesTheWriterOfTheOtherEnd(t *testing.T) {
	p := start(t)
	near, far := p.open(t, Interactive)
	failed := make(chan error)
	go func() {
		_, err := far.Write(make([]byte, 1<<20))
		failed <- err
	}()
	await(t, "the window is full", func() bool { return p.server.Stats().BytesIn == 64<<10 })
	near.Close()
	if err := <-failed; !errors.Is(err, syscall.EPIPE) {
		t.Errorf("%v", err)
	}
	p.settled(t)
}

func TestReset(t *testing.T) {
	p := start(t)
	near, far := p.open(t, Interactive)
	send(t, near, "never read")
	await(t, "it came", func() bool { return p.agent.Stats().BytesIn > 0 })
	cause := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}
	near.Reset(cause)
	await(t, "the reset came", func() bool { return p.agent.Stats().Open == 0 })
	_, err := far.Read(make([]byte, 10))
	for _, want := range []error{syscall.ECONNRESET, syscall.EHOSTUNREACH} {
		if !errors.Is(err, want) {
			t.Errorf("read %v is not %v", err, want)
		}
	}
	if !strings.Contains(err.Error(), cause.Error()) {
		t.Errorf("%q has not the words", err)
	}
	if _, err := far.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("write: %v", err)
	}
	if _, err := near.Read(make([]byte, 10)); !errors.Is(err, cause) {
		t.Errorf("read here: %v", err)
	}
	if _, err := near.Write([]byte("x")); !errors.Is(err, cause) {
		t.Errorf("write here: %v", err)
	}
	p.settled(t)
}

// TestDataRacesReset: whatever is on its way when a stream is reset or closed by
// either end or both, the link and its other streams go on.
func TestDataRacesReset(t *testing.T) {
	p := start(t)
	near, far := p.open(t, Interactive)
	for i := range 300 {
		a, b := p.open(t, Bulk)
		var busy sync.WaitGroup
		for _, s := range []*Stream{a, b} {
			busy.Go(func() { _, _ = io.Copy(io.Discard, s) })
			busy.Go(func() {
				for err := error(nil); err == nil; {
					_, err = s.Write(make([]byte, 1+i*97))
				}
			})
		}
		ends := []func(){func() { a.Reset(nil) }, func() { b.Reset(nil) }, func() { a.Close() }, func() { b.Close() }, func() { _ = a.CloseWrite() }}
		x, y := ends[i%len(ends)], ends[i/len(ends)%len(ends)]
		busy.Go(x)
		busy.Go(y)
		busy.Go(func() { a.Close(); b.Close() })
		busy.Wait()
	}
	send(t, near, "still here")
	expect(t, far, "still here")
	near.Close()
	far.Close()
	p.settled(t)
}

// TestNothingWritten: it is no frame.
func TestNothingWritten(t *testing.T) {
	p := start(t)
	near, far := p.open(t, Interactive)
	for range 3 {
		if n, err := near.Write(nil); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := near.Read(nil); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	send(t, near, "something")
	expect(t, far, "something")
	near.Close()
	if _, err := near.Write(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// TestDeadlinesMove: a deadline that has passed is no end, in either direction.
func TestDeadlinesMove(t *testing.T) {
	p := start(t)
	near, far := p.open(t, Interactive)
	past := time.Now().Add(-time.Second)
	_ = near.SetDeadline(past)
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	if _, err := near.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %v", err)
	}
	_ = near.SetDeadline(time.Time{})
	send(t, near, "there")
	expect(t, far, "there")
	send(t, far, "back")
	expect(t, near, "back")
}

// TestWriteDeadlineCountsWhatWasTaken: the caller of a write that ran into its
// deadline goes on where it says that it stopped.
func TestWriteDeadlineCountsWhatWasTaken(t *testing.T) {
	p := start(t)
	near, far := p.open(t, Interactive)
	text := noise(200 << 10)
	var n int
	var err error
	var writing sync.WaitGroup
	writing.Go(func() { n, err = near.Write(text) })
	// How long a window takes is the machine's to say: the deadline comes after it.
	await(t, "a window was sent", func() bool { return p.server.Stats().BytesOut == 64<<10 })
	_ = near.SetWriteDeadline(time.Now().Add(time.Millisecond))
	writing.Wait()
	if n != 64<<10 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d, %v", n, err)
	}
	_ = near.SetWriteDeadline(time.Time{})
	writing.Go(func() {
		_, _ = near.Write(text[n:])
		near.Close()
	})
	if got, err := io.ReadAll(far); err != nil || !bytes.Equal(got, text) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	writing.Wait()
}

// TestWriteDeadlinesAnywhere: the same where deadlines pass while pieces are taken
// and credit comes.
func TestWriteDeadlinesAnywhere(t *testing.T) {
	p := start(t)
	near, far := p.open(t, Interactive)
	text := noise(4 << 20)
	var passed int
	var writing sync.WaitGroup
	writing.Go(func() {
		defer near.Close()
		for rest := text; len(rest) > 0; {
			_ = near.SetWriteDeadline(time.Now().Add(time.Duration(1+passed%200) * time.Microsecond))
			n, err := near.Write(rest)
			rest = rest[n:]
			if errors.Is(err, os.ErrDeadlineExceeded) {
				passed++
			} else if err != nil {
				t.Errorf("%d, %v", n, err)
				return
			}
		}
	})
	if got, err := io.ReadAll(far); err != nil || !bytes.Equal(got, text) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	writing.Wait()
	if passed == 0 {
		t.Error("no deadline passed during a write")
	}
}

// noise is n bytes that are the same each time, and of which no two pieces are alike.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// TestStalledCarrier: deadlines and ends work where the connection takes nothing
// at all.
func TestStalledCarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe() // nobody reads b: the first write stands
		defer b.Close()
		l := New(a, Server)
		ended := make(chan error)
		go func() { ended <- l.Run(context.Background()) }()
		ctx, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		if _, err := l.Open(ctx, Interactive, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("open: %v", err)
		}
		cause := errors.New("enough")
		begun := time.Now()
		l.Close(cause)
		if err := <-ended; !errors.Is(err, cause) || time.Since(begun) > closing {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// TestStalledCarrierDeadline: a write to a stream keeps its deadline while
// another's bytes stand in the connection.
func TestStalledCarrierDeadline(t *testing.T) {
	bad := func(t *testing.T) (*badnet.Proxy, *pair) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		proxy := badnet.Start(t, l.Addr().String())
		a, err := net.Dial("tcp", proxy.Addr())
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return proxy, link(t, a, b)
	}
	proxy, p := bad(t)
	var streams []*Stream
	for range 20 { // 20 MiB: more than the kernels hold
		s, _ := p.open(t, Bulk)
		streams = append(streams, s)
	}
	proxy.SetAll(badnet.Faults{Hold: true})
	var writing sync.WaitGroup
	for _, s := range streams {
		_ = s.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		writing.Go(func() {
			if _, err := s.Write(make([]byte, 2<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
		})
	}
	writing.Wait()
	proxy.SetAll(badnet.Faults{})
}

// TestBothDirections sends at full speed both ways over several streams of both
// classes, also in slices of a byte.
func TestBothDirections(t *testing.T) {
	for name, size := range map[string]int{"whole": 4 << 20, "bytes": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			a, b := tcp(t)
			if name == "bytes" {
				a, b = badnet.Chop(a, 1), badnet.Chop(b, 1)
			}
			p := link(t, a, b)
			var all sync.WaitGroup
			for i := range 4 {
				near, far := p.open(t, Interactive+Class(i%2))
				exchange(t, &all, near, far, size)
				exchange(t, &all, far, near, size)
			}
			all.Wait()
			p.settled(t)
			if s := p.server.Stats(); s.BytesIn != uint64(4*size) || s.BytesOut != s.BytesIn {
				t.Errorf("%+v", s)
			}
		})
	}
}

// exchange sends size bytes in writes of many lengths and compares what comes.
func exchange(t *testing.T, all *sync.WaitGroup, from, to *Stream, size int) {
	sent, got := sha256.New(), sha256.New()
	all.Go(func() {
		random := rand.New(rand.NewPCG(uint64(from.id), uint64(size)))
		b := make([]byte, 100<<10)
		for left := size; left > 0; {
			n := min(left, 1+random.IntN(1<<(1+random.IntN(16))))
			for i := range b[:n] {
				b[i] = byte(left + i)
			}
			if _, err := from.Write(b[:n]); err != nil {
				t.Error(err)
				return
			}
			sent.Write(b[:n])
			left -= n
		}
		_ = from.CloseWrite()
	})
	all.Go(func() {
		n, err := io.CopyBuffer(struct{ io.Writer }{got}, struct{ io.Reader }{to}, make([]byte, 50_000))
		if err != nil || n != int64(size) {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
	t.Cleanup(func() {
		if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
			t.Error("what came is not what was sent")
		}
	})
}

// TestStalledBesideTyping: a hundred streams whose readers do nothing cost their
// windows, and one that types beside them does not feel them.
func TestStalledBesideTyping(t *testing.T) {
	p := start(t)
	before := heap()
	var stalled sync.WaitGroup
	var streams []*Stream
	for range 100 {
		near, far := p.open(t, Interactive)
		stalled.Go(func() { _, _ = far.Write(make([]byte, 1<<20)) })
		streams = append(streams, near)
	}
	await(t, "all windows are full", func() bool { return p.server.Stats().BytesIn == 100*64<<10 })
	if each := (heap() - before) / 100; each > (64+20)<<10+1<<20 { // the writer's own MiB beside
		t.Errorf("%d KiB for each stalled stream", each>>10)
	}
	near, far := p.open(t, Interactive)
	for range 1000 {
		send(t, near, "k")
		expect(t, far, "k")
		send(t, far, "k")
		expect(t, near, "k")
	}
	for _, s := range streams {
		s.Close()
	}
	stalled.Wait()
}

// heap is what is in use after a collection.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestIdleStream: both ends of an idle stream together take at most 2 KiB and no
// goroutine.
func TestIdleStream(t *testing.T) {
	const many = 2000
	p := start(t)
	p.open(t, Interactive)
	streams := make([]*Stream, 0, 2*many)
	goroutines, before := runtime.NumGoroutine(), heap()
	for range many {
		near, far := p.open(t, Interactive)
		streams = append(streams, near, far)
	}
	each := (heap() - before) / (2 * many)
	t.Logf("%d bytes for one end of an idle stream", each)
	if each > 1<<10 {
		t.Error("more than 1 KiB")
	}
	await(t, "no goroutine for an idle stream", func() bool { return runtime.NumGoroutine() <= goroutines })
	runtime.KeepAlive(streams)
}

// TestHotPathDoesNotAllocate: frames that come and go cost no memory each.
func TestHotPathDoesNotAllocate(t *testing.T) {
	p := start(t)
	near, far := p.open(t, Interactive)
	for name, size := range map[string]int{"a keystroke": 1, "a large frame": 16 << 10} {
		out, in := make([]byte, size), make([]byte, size)
		each := testing.AllocsPerRun(2000, func() {
			_, _ = near.Write(out)
			_, _ = io.ReadFull(far, in)
		})
		if each > 0.2 { // the pool gives some back to the collector
			t.Errorf("%s: %.2f allocations", name, each)
		}
	}
}
