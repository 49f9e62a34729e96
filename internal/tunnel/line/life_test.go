package line

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// until waits, on the test's clock, until f holds, and says how long it took.
func until(t *testing.T, limit time.Duration, f func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !f() {
		if time.Since(began) > limit {
			t.Fatalf("not within %v", limit)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
	}
	return time.Since(began)
}

// absorb reads c for ever, as a multiplexer does.
func absorb(all *sync.WaitGroup, cs ...*Conn) {
	for _, c := range cs {
		all.Go(func() { _, _ = io.Copy(io.Discard, struct{ io.Reader }{c}) })
	}
}

// attended reads both while f runs, and stops without taking anything.
func attended(t *testing.T, a, b *Conn, f func()) {
	t.Helper()
	var all sync.WaitGroup
	for _, c := range []*Conn{a, b} {
		all.Go(func() {
			if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%d bytes that nobody sent, %v", n, err)
			}
		})
	}
	f()
	for _, c := range []*Conn{a, b} {
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
	all.Wait()
	for _, c := range []*Conn{a, b} {
		_ = c.SetReadDeadline(time.Time{})
	}
}

// TestADeadPeerIsKnown in 15 seconds, whether nothing or everything is being written.
func TestADeadPeerIsKnown(t *testing.T) {
	for _, writing := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.line("one")
			var all sync.WaitGroup
			absorb(&all, a, b)
			if writing {
				for _, c := range []*Conn{a, b} {
					all.Go(func() { _, _ = io.Copy(struct{ io.Writer }{c}, endless{}) })
				}
			} else {
				time.Sleep(time.Hour) // whoever is silent all this time is not dead
			}
			w.refuse(true)
			w.newest().blackHole()
			for _, c := range []*Conn{a, b} {
				if s := c.Status(); s.State != Connected || s.Cuts != 0 {
					t.Errorf("before: %+v", s)
				}
			}
			took := until(t, 15*time.Second, func() bool {
				return a.Status().State == Reconnecting && b.Status().State == Reconnecting
			})
			if s := a.Status(); took < 9*time.Second || !errors.Is(s.Cut, errSilent) {
				t.Errorf("after %v: %+v", took, s)
			}
			_ = a.Close()
			_ = b.Close()
			all.Wait()
		})
	}
}

// endless is a flood that pauses now and then, so that the test's clock may go on.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return len(p), nil
}

// TestHalfOpen: a connection that carries one direction alone is given up by the end
// that hears nothing, and replaced.
func TestHalfOpen(t *testing.T) {
	for _, deaf := range []byte{'d', 'h'} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			open := make(chan struct{})
			w.shape = func(n int, side byte, c net.Conn) net.Conn {
				if n == 0 && side == deaf {
					return &deafConn{Conn: c, from: open}
				}
				return c
			}
			a, b := w.line("one")
			echo(t, a, b)
			var all sync.WaitGroup
			absorb(&all, a, b)
			close(open)
			until(t, 16*time.Second, func() bool { return a.Status().Resumes == 1 && b.Status().Resumes == 1 })
			_ = a.Close()
			_ = b.Close()
			all.Wait()
		})
	}
}

// deafConn loses what comes once from is closed.
type deafConn struct {
	net.Conn
	from chan struct{}
}

func (d *deafConn) Read(p []byte) (int, error) {
	for {
		n, err := d.Conn.Read(p)
		select {
		case <-d.from:
			if err == nil {
				continue
			}
		default:
		}
		return n, err
	}
}

// TestABlackHoleHoldsNothingUp: the host believes the old connection alive when the
// dialling end comes back, and takes the new one at once.
func TestABlackHoleHoldsNothingUp(t *testing.T) {
	for _, flood := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.line("one")
			echo(t, a, b)
			var writing sync.WaitGroup
			w.newest().blackHole()
			if flood { // the host's writer is stuck in the old connection
				writing.Go(func() { _, _ = b.Write(bytes.Repeat([]byte("y"), 1<<20)) })
				synctest.Wait()
			}
			a.mu.Lock()
			a.lose(a.leg, errors.New("the Wi-Fi has changed"))
			a.mu.Unlock()
			began := time.Now()
			if flood {
				if _, err := io.ReadFull(a, make([]byte, 1<<20)); err != nil {
					t.Error(err)
				}
				writing.Wait()
			}
			echo(t, a, b)
			if d := time.Since(began); d > time.Second {
				t.Errorf("took %v", d)
			}
			if s := b.Status(); s.Cuts != 1 || s.Resumes != 1 || !errors.Is(s.Cut, errReplaced) {
				t.Errorf("%+v", s)
			}
			_ = a.Close()
			_ = b.Close()
		})
	}
}

// TestWhatAnOldConnectionGivesIsThrownAway: bytes that were read from it and not yet
// counted when the new one came are sent again, and come once.
func TestWhatAnOldConnectionGivesIsThrownAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		gate := make(chan struct{})
		w.shape = func(n int, side byte, c net.Conn) net.Conn {
			if n == 0 && side == 'h' {
				return &gated{Conn: c, open: gate}
			}
			return c
		}
		a, b := w.line("one")
		read := make(chan string)
		go func() {
			p := make([]byte, 10)
			for {
				n, err := b.Read(p)
				if err != nil {
					return
				}
				read <- string(p[:n])
			}
		}()
		if _, err := a.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // b's Read has it, behind the gate
		a.mu.Lock()
		a.lose(a.leg, errFuse)
		a.mu.Unlock()
		time.Sleep(time.Second)
		close(gate)
		if got := <-read; got != "abc" {
			t.Errorf("read %q", got)
		}
		if _, err := a.Write([]byte("def")); err != nil {
			t.Fatal(err)
		}
		if got := <-read; got != "def" {
			t.Errorf("then read %q", got)
		}
		if s := b.Status(); s.Received != 6 || a.Status().Replayed != 3 {
			t.Errorf("%+v", s)
		}
		_ = a.Close()
		_ = b.Close()
	})
}

// gated gives what it reads after HELLO when it is open.
type gated struct {
	net.Conn
	open  chan struct{}
	hello bool
}

func (g *gated) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if g.hello {
		<-g.open
	}
	g.hello = true
	return n, err
}

// TestGrace: a line without a connection lives for the grace at both ends, and goes on
// if one comes before; then it ends with an error of its own.
func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.line("one")
		w.refuse(true)
		w.newest().cut()
		var reading sync.WaitGroup
		for _, c := range []*Conn{a, b} {
			reading.Go(func() {
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, ErrGrace) {
					t.Errorf("a reader got %v", err)
				}
			})
		}
		time.Sleep(29 * time.Second)
		if a.Err() != nil || b.Err() != nil || w.host.Status("prod").State != Reconnecting {
			t.Fatalf("after 29 s: %v, %v", a.Err(), b.Err())
		}
		time.Sleep(2 * time.Second)
		reading.Wait()
		for _, c := range []*Conn{a, b} {
			if _, err := c.Write([]byte("x")); !errors.Is(err, ErrGrace) || !errors.Is(c.Err(), ErrGrace) || c.Status().State != Gone {
				t.Errorf("a writer got %v", err)
			}
		}
		if w.host.Line("prod") != nil || w.host.Status("prod").State != Gone {
			t.Error("the host still has it")
		}
	})
}

func TestBackWithinTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.line("one")
		w.refuse(true)
		w.newest().cut()
		var writing sync.WaitGroup
		writing.Go(func() {
			if err := (flow{9, 1 << 20}).send(b, 50<<10); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(10 * time.Second)
		if s := b.Status(); s.Unacknowledged > 50<<10 {
			t.Errorf("%d bytes are queued while there is no connection", s.Unacknowledged)
		}
		w.refuse(false)
		if err := (flow{9, 1 << 20}).receive(a, 9000); err != nil {
			t.Error(err)
		}
		writing.Wait()
		_ = a.Close()
		_ = b.Close()
	})
}

// TestAShortOutageLosesNoLine: one of 26 seconds, again and again, whatever the dice say.
func TestAShortOutageLosesNoLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.line("one")
		var all sync.WaitGroup
		absorb(&all, a, b)
		for range 500 {
			w.refuse(true)
			w.newest().cut()
			time.Sleep(26 * time.Second)
			w.refuse(false)
			until(t, 4*time.Second, func() bool { return a.Status().State == Connected })
		}
		_ = a.Close()
		_ = b.Close()
		all.Wait()
	})
}

// TestEndsOnPurpose: the other end knows at once, and why.
func TestEndsOnPurpose(t *testing.T) {
	cause := errors.New("revoked by root@example.com")
	for name, c := range map[string]struct {
		cause error
		read  func(error) bool
	}{
		"plainly": {nil, func(err error) bool { return errors.Is(err, io.EOF) }},
		"with words": {cause, func(err error) bool {
			return errors.Is(err, ErrClosed) && strings.Contains(err.Error(), cause.Error())
		}},
		"superseded": {ErrSuperseded, func(err error) bool { return errors.Is(err, ErrSuperseded) }},
	} {
		for _, host := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				a, b := w.line("one")
				if host {
					a, b = b, a
				}
				go func() { _, _ = b.Write(make([]byte, 300<<10)) }() // which a never reads
				synctest.Wait()
				read := make(chan error)
				go func() {
					_, err := b.Read(make([]byte, 10))
					read <- err
				}()
				began := time.Now()
				_ = a.CloseWith(c.cause)
				if err := <-read; !c.read(err) {
					t.Errorf("%s: read %v", name, err)
				}
				<-b.Done()
				if d := time.Since(began); d > 0 {
					t.Errorf("%s: took %v", name, d)
				}
				if _, err := a.Read(make([]byte, 1)); !errors.Is(err, cmp.Or(c.cause, net.ErrClosed)) {
					t.Errorf("%s: this end says %v", name, err)
				}
				if _, err := b.Write([]byte("x")); err == nil {
					t.Errorf("%s: the other end still writes", name)
				}
				if w.host.Line("prod") != nil {
					t.Errorf("%s: the host still has it", name)
				}
			})
		}
	}
}

// TestEndedDuringACut: the other end learns it when it comes back.
func TestEndedDuringACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.line("one")
		w.refuse(true)
		w.newest().cut()
		synctest.Wait()
		var reading sync.WaitGroup
		reading.Go(func() { _, _ = a.Read(make([]byte, 1)) })
		_, _ = b.Read(nil)
		time.Sleep(time.Second)
		_ = b.Close()
		w.refuse(false)
		<-a.Done()
		if !errors.Is(a.Err(), ErrUnknown) {
			t.Error(a.Err())
		}
		reading.Wait()
	})
}

// TestCloseWaitsForNobody: not for a peer that takes nothing.
func TestCloseWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.line("one")
		w.newest().blackHole()
		var writing sync.WaitGroup
		writing.Go(func() {
			if _, err := a.Write(make([]byte, 1<<20)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the writer got %v", err)
			}
		})
		synctest.Wait()
		began := time.Now()
		_ = a.Close()
		writing.Wait()
		if d := time.Since(began); d > lastWords {
			t.Errorf("took %v", d)
		}
		_ = b.Close()
	})
}

// deafPeer shakes hands with a Host by hand and then takes everything and says
// nothing, until told.
func deafPeer(t *testing.T, w *world) (line *Conn, l *leg) {
	t.Helper()
	nc, err := w.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l = newLeg(nc)
	if _, err := l.greet(helloRecord{instance: "deaf"}); err != nil {
		t.Fatal(err)
	}
	return <-w.fresh, l
}

// TestReplayFull: what nobody acknowledges is kept up to 4 MiB, then the writer waits,
// no longer than its deadline.
func TestReplayFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.host.Settings = Settings{Ping: time.Hour, Dead: 5 * time.Hour}
		c, l := deafPeer(t, w)
		var reading sync.WaitGroup
		reading.Go(func() { _, _ = io.Copy(io.Discard, l.nc) })
		reading.Go(func() { _, _ = io.Copy(io.Discard, struct{ io.Reader }{c}) })
		_ = c.SetWriteDeadline(time.Now().Add(time.Minute))
		began := time.Now()
		n, err := c.Write(make([]byte, 9<<20))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Minute || n != maxChunks*chunkSize {
			t.Errorf("wrote %d in %v: %v", n, time.Since(began), err)
		}
		if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after the deadline: %d, %v", n, err)
		}
		_ = c.SetWriteDeadline(time.Time{})
		var writing sync.WaitGroup
		writing.Go(func() {
			if n, err := c.Write(make([]byte, 100<<10)); n != 100<<10 || err != nil {
				t.Errorf("after an acknowledgement: %d, %v", n, err)
			}
		})
		synctest.Wait()
		if s := c.Status(); s.Unacknowledged != 4<<20 {
			t.Errorf("%+v", s)
		}
		if err := l.write(nil, appendCount(nil, ack, 1<<20)); err != nil {
			t.Error(err)
		}
		writing.Wait()
		_ = c.SetWriteDeadline(time.Time{})
		_ = c.Close()
		reading.Wait()
	})
}

// bubble is how many goroutines this test has, as their stacks say.
func bubble() int {
	stacks := make([]byte, 1<<20)
	own, _, _ := strings.Cut(string(stacks[:runtime.Stack(stacks, false)]), "\n")
	_, number, _ := strings.Cut(own, "synctest bubble ")
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "synctest bubble "+number)
}

// TestALineThatRestsHoldsLittle: no goroutine, and no chunk once all is acknowledged.
func TestALineThatRestsHoldsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		before := bubble()
		a, b := w.line("one")
		exchange(t, a, b, 3<<20, 100<<10)
		var all sync.WaitGroup
		absorb(&all, a, b)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if n := bubble() - before; n != 2 {
			t.Errorf("%d goroutines, two of which read", n)
		}
		for _, c := range []*Conn{a, b} {
			c.mu.Lock()
			if len(c.out.chunks)+len(c.out.spare) != 0 {
				t.Errorf("%d chunks and %d spare ones", len(c.out.chunks), len(c.out.spare))
			}
			c.mu.Unlock()
		}
		_ = a.Close()
		_ = b.Close()
		all.Wait()
	})
}

// TestDeadlineDuringACut: a Write whose bytes are kept has written them.
func TestDeadlineDuringACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.line("one")
		w.refuse(true)
		w.newest().cut()
		_ = a.SetDeadline(time.Now().Add(time.Second))
		began := time.Now()
		if n, err := a.Write([]byte("kept")); n != 4 || err != nil || time.Since(began) != time.Second {
			t.Errorf("wrote %d in %v: %v", n, time.Since(began), err)
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		_ = a.SetDeadline(time.Time{})
		w.refuse(false)
		p := make([]byte, 4)
		if _, err := io.ReadFull(b, p); err != nil || string(p) != "kept" {
			t.Errorf("%q %v", p, err)
		}
		_ = a.Close()
		_ = b.Close()
	})
}

// TestADeadlineHoldsOnTheNextConnection: one that was set while there was none.
func TestADeadlineHoldsOnTheNextConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.line("one")
		w.newest().cut()
		go func() { _, _ = b.Read(make([]byte, 1)) }()
		var reading sync.WaitGroup
		began := time.Now()
		_ = a.SetReadDeadline(began.Add(4 * time.Second))
		reading.Go(func() {
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 4*time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
		until(t, time.Second, func() bool { return a.Status().Resumes == 1 })
		reading.Wait()
		_ = a.Close()
		_ = b.Close()
	})
}

// TestOneWayWaitsForNoPing: what is received is acknowledged although nothing goes
// back.
func TestOneWayWaitsForNoPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.line("one")
		var all sync.WaitGroup
		absorb(&all, a)
		all.Go(func() {
			if err := (flow{5, 16 << 20}).send(a, 100<<10); err != nil {
				t.Error(err)
			}
		})
		began := time.Now()
		if err := (flow{5, 16 << 20}).receive(b, 64<<10); err != nil || time.Since(began) > 0 {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		_ = a.Close()
		_ = b.Close()
		all.Wait()
	})
}

// TestAStuckWritesDeadline: one that is set while a carrier takes nothing holds, and
// the line goes on over another carrier.
func TestAStuckWritesDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.line("one")
		w.newest().blackHole()
		var writing sync.WaitGroup
		writing.Go(func() {
			if n, err := a.Write([]byte("stuck")); n != 5 || err != nil {
				t.Errorf("wrote %d: %v", n, err)
			}
		})
		synctest.Wait()
		_ = a.SetWriteDeadline(time.Now().Add(time.Second))
		began := time.Now()
		writing.Wait()
		if d := time.Since(began); d != time.Second {
			t.Errorf("took %v", d)
		}
		p := make([]byte, 5)
		if _, err := io.ReadFull(b, p); err != nil || string(p) != "stuck" {
			t.Errorf("%q %v", p, err)
		}
		if s := a.Status(); !errors.Is(s.Cut, errStuck) || s.Resumes != 1 {
			t.Errorf("%+v", s)
		}
		_ = a.Close()
		_ = b.Close()
	})
}

// TestEveryChangeIsTold, at both ends, and the last one is what holds.
func TestEveryChangeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex
		told := map[string][]State{}
		note := func(who string, s State) {
			mu.Lock()
			defer mu.Unlock()
			told[who] = append(told[who], s)
		}
		w.host.Changed = func(name string) { note(name, w.host.Status(name).State) }
		d := w.dialer("one")
		d.Changed = func(c *Conn) { note("near", c.Status().State) }
		a, err := d.Begin(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		b := <-w.fresh
		synctest.Wait()
		w.refuse(true)
		w.newest().cut()
		go func() { _, _ = a.Read(make([]byte, 1)) }()
		go func() { _, _ = b.Read(make([]byte, 1)) }()
		time.Sleep(3 * time.Second)
		w.refuse(false)
		time.Sleep(10 * time.Second)
		_ = a.Close()
		synctest.Wait()
		for _, who := range []string{"near", "prod"} {
			got := told[who]
			want := []State{Connected, Reconnecting, Connected, Gone}
			if len(got) != len(want) {
				t.Fatalf("%s: %v", who, got)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%s: %v", who, got)
				}
			}
		}
	})
}

// TestDialsAgainWithJitter: attempts are spread, and no further apart than 30 s.
func TestDialsAgainWithJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.host.Settings = Settings{Grace: time.Hour}
		var mu sync.Mutex
		var at []time.Time
		d := w.dialer("one")
		d.Dial = func(ctx context.Context) (net.Conn, error) {
			mu.Lock()
			at = append(at, time.Now())
			mu.Unlock()
			return w.dial(ctx)
		}
		a, err := d.Begin(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		b := <-w.fresh
		w.refuse(true)
		w.newest().cut()
		var all sync.WaitGroup
		absorb(&all, a, b)
		time.Sleep(50 * time.Minute)
		mu.Lock()
		var most, sum time.Duration
		for i := 2; i < len(at); i++ {
			gap := at[i].Sub(at[i-1])
			most, sum = max(most, gap), sum+gap
			if limit := firstWait << min(i-1, 10); gap > min(limit, longestWait) {
				t.Errorf("attempt %d came %v after the one before", i, gap)
			}
		}
		mean := sum / time.Duration(len(at))
		if len(at) < 100 || most < 20*time.Second || mean < 8*time.Second || mean > 20*time.Second {
			t.Errorf("%d attempts, mean %v, longest wait %v", len(at), mean, most)
		}
		at = nil
		mu.Unlock()
		w.refuse(false)
		until(t, 31*time.Second, func() bool { return a.Status().State == Connected })
		w.newest().cut()
		until(t, firstWait+20*time.Millisecond, func() bool { return a.Status().Resumes == 2 }) // it has reset
		_ = a.Close()
		_ = b.Close()
		all.Wait()
	})
}

// TestNoAllocationsForBytes: neither Write nor Read allocates.
func TestNoAllocationsForBytes(t *testing.T) {
	w := newWorld(t)
	w.host.Settings = Settings{Ping: time.Hour, Dead: 2 * time.Hour}
	a, b := w.line("one")
	p, q := make([]byte, 100), make([]byte, 100)
	step := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		for range step {
			_, _ = io.ReadFull(b, q)
			step <- struct{}{}
		}
	})
	if n := testing.AllocsPerRun(500, func() {
		step <- struct{}{}
		_, _ = a.Write(p)
		<-step
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	close(step)
	reading.Wait()
}
