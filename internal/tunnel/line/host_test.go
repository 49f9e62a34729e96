package line

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// proof is what the dialling end of c would resume with.
func (w *world) proof(d *Dialer) (*Conn, helloRecord) {
	w.t.Helper()
	var taken welcomeRecord
	tapped := *d
	tapped.Dial = func(ctx context.Context) (net.Conn, error) {
		nc, err := d.Dial(ctx)
		return &tap{Conn: nc, onWelcome: func(r welcomeRecord) { taken = r }}, err
	}
	c, err := tapped.Begin(w.t.Context(), false)
	if err != nil {
		w.t.Fatal(err)
	}
	return c, helloRecord{resume: true, instance: d.Instance, id: taken.id, secret: taken.secret}
}

// tap reads the WELCOME of a new line along.
type tap struct {
	net.Conn
	seen      []byte
	onWelcome func(welcomeRecord)
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	if t.onWelcome == nil {
		return n, err
	}
	t.seen = append(t.seen, p[:n]...)
	if len(t.seen) >= headSize {
		if _, size, err := head(t.seen); err == nil && len(t.seen) >= headSize+size {
			if r, err := parseWelcome(t.seen[headSize:]); err == nil {
				t.onWelcome(r)
			}
			t.onWelcome = nil
		}
	}
	return n, err
}

// ask is one HELLO by hand.
func (w *world) ask(h helloRecord) (*leg, welcomeRecord, error) {
	nc, err := w.dial(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	l := newLeg(nc)
	r, err := l.greet(h)
	return l, r, err
}

// TestProofs: whoever cannot prove to be the other end is refused without a hint, and
// the line that lives does not notice.
func TestProofs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, right := w.proof(w.dialer("one"))
		b := <-w.fresh
		exchange(t, a, b, 1000, 100)
		right.received = 1000
		for name, change := range map[string]func(*helloRecord){
			"a stolen id without the secret": func(h *helloRecord) { h.secret = [secretSize]byte{} },
			"a secret with one bit wrong":    func(h *helloRecord) { h.secret[31] ^= 1 },
			"another line":                   func(h *helloRecord) { h.id[0] ^= 1 },
			"another instance":               func(h *helloRecord) { h.instance = "two" },
			"an offset from the future":      func(h *helloRecord) { h.received = 1001 },
			"an offset far in the future":    func(h *helloRecord) { h.received = 1 << 63 },
			"another name":                   func(*helloRecord) { w.name = "staging" },
		} {
			h := right
			change(&h)
			l, _, err := w.ask(h)
			w.name = "prod"
			if !errors.Is(err, ErrUnknown) || err.Error() != ErrUnknown.Error() {
				t.Errorf("%s: %v", name, err)
			}
			l.kill()
		}
		exchange(t, a, b, 1000, 100)
		if s := b.Status(); s.Cuts != 0 || s.Received != 2000 {
			t.Errorf("the line noticed: %+v", s)
		}
		_ = a.Close()
		_ = b.Close()
	})
}

// TestAnOffsetFromThePast: what has been acknowledged cannot be had again.
func TestAnOffsetFromThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, h := w.proof(w.dialer("one"))
		b := <-w.fresh
		exchange(t, a, b, 1<<20, 60<<10)
		for _, received := range []uint64{0, 100 << 10} {
			h.received = received
			l, _, err := w.ask(h)
			if !errors.Is(err, ErrUnknown) {
				t.Errorf("%d: %v", received, err)
			}
			l.kill()
		}
		echo(t, a, b)
		if s := b.Status(); s.Cuts != 0 {
			t.Errorf("%+v", s)
		}
		_ = a.Close()
		_ = b.Close()
	})
}

// TestBytesThatNeverLeft: a peer cannot have what is kept and was never sent.
func TestBytesThatNeverLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, h := w.proof(w.dialer("one"))
		b := <-w.fresh
		w.refuse(true)
		w.newest().cut()
		var using sync.WaitGroup
		absorb(&using, a)
		_ = b.SetDeadline(time.Now().Add(time.Second))
		_, _ = b.Read(make([]byte, 1))
		_ = b.SetDeadline(time.Now().Add(time.Second))
		if n, err := b.Write([]byte("kept")); n != 4 || err != nil {
			t.Errorf("%d %v", n, err)
		}
		w.refuse(false)
		h.received = 1
		l, _, err := w.ask(h)
		if !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
		l.kill()
		until(t, 4*time.Second, func() bool { return a.Status().Received == 4 })
		_ = a.Close()
		_ = b.Close()
		using.Wait()
	})
}

// TestTwoResumesAtOnce: the newest connection has the line, none of the bytes is lost,
// and the older one is closed.
func TestTwoResumesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, h := w.proof(w.dialer("one"))
		b := <-w.fresh
		a.mu.Lock()
		a.again = nil // this test dials
		a.mu.Unlock()
		exchange(t, a, b, 5000, 100)
		h.received = 5000
		var legs []*leg
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				l, r, err := w.ask(h)
				mu.Lock()
				defer mu.Unlock()
				if err == nil && (!r.resumed || r.received != 5000) {
					t.Errorf("%+v", r)
				}
				legs = append(legs, l)
			})
		}
		all.Wait()
		synctest.Wait()
		read := make(chan string, 8)
		for _, l := range legs {
			go func() {
				var p [100]byte
				_, n, _, err := l.read(p[:])
				read <- fmt.Sprintf("%s %v", p[:n], err != nil)
			}()
		}
		go func() { _, _ = b.Write([]byte("to the newest")) }()
		got := map[string]int{}
		for range legs {
			got[<-read]++
		}
		if got["to the newest false"] != 1 || got[" true"] != 7 {
			t.Errorf("%v", got)
		}
		for _, l := range legs {
			l.kill()
		}
		_ = a.Close()
		_ = b.Close()
	})
}

// TestSuperseded: another instance takes over at once, and the first is told, whether it
// listens or comes back later.
func TestSuperseded(t *testing.T) {
	for _, cut := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			a, _ := w.line("one")
			var all sync.WaitGroup
			if cut {
				w.newest().blackHole()
			}
			absorb(&all, a)
			b, far := w.line("two")
			echo(t, b, far)
			began := time.Now()
			attended(t, b, far, func() { <-a.Done() })
			if !errors.Is(a.Err(), ErrSuperseded) {
				t.Errorf("cut %v: %v", cut, a.Err())
			}
			if limit := map[bool]time.Duration{false: 0, true: 16 * time.Second}[cut]; time.Since(began) > limit {
				t.Errorf("cut %v: known after %v", cut, time.Since(began))
			}
			// It asks anew, as an agent that has forgotten all but its instance.
			if _, err := w.dialer("one").Begin(t.Context(), false); !errors.Is(err, ErrSuperseded) {
				t.Errorf("anew: %v", err)
			}
			if _, err := w.dialer("one").Begin(t.Context(), true); !errors.Is(err, ErrNotNeeded) {
				t.Errorf("as a standby: %v", err)
			}
			echo(t, b, far)
			if s := far.Status(); s.Cuts != 0 {
				t.Errorf("%+v", s)
			}
			_ = b.Close()
			_ = far.Close()
			all.Wait()
		})
	}
}

// TestTheSameInstanceAgain: one that has lost its line without the host's knowing
// begins another, and is not told off.
func TestTheSameInstanceAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first, _ := w.line("one")
		w.newest().blackHole()
		for range 3 {
			a, b := w.line("one")
			echo(t, a, b)
		}
		_ = first.Close()
	})
}

// agent is an instance that keeps a line, as the real one does.
type agent struct {
	name    string
	ends    context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	held  []time.Time // when it got a line
	tries int
	why   error // the last try came to nothing
}

func (w *world) agent(ctx context.Context, name string) *agent {
	ctx, cancel := context.WithCancel(ctx)
	a := &agent{name: name, ends: cancel}
	d := w.dialer(name)
	d.Failed = func(err error, _ time.Duration) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.tries++
		a.why = err
	}
	a.running.Go(func() {
		_ = d.Keep(ctx, func(c *Conn) {
			a.mu.Lock()
			a.held = append(a.held, time.Now())
			a.mu.Unlock()
			_, _ = io.Copy(io.Discard, struct{ io.Reader }{c})
		})
	})
	return a
}

func (a *agent) lines() (held, tries int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.held), a.tries
}

func (a *agent) last() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.why.Error()
}

// serveAll reads what the host accepts.
func (w *world) serveAll(all *sync.WaitGroup, until <-chan struct{}) {
	all.Go(func() {
		for {
			select {
			case c := <-w.fresh:
				absorb(all, c)
			case <-until:
				return
			}
		}
	})
}

// TestStandbyForAnHour: two instances of one cluster, and cuts all the time, for an hour.
// The second takes over once, the first waits; it takes over when the second is gone.
func TestStandbyForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		over := make(chan struct{})
		var serving sync.WaitGroup
		w.serveAll(&serving, over)
		one := w.agent(t.Context(), "one")
		time.Sleep(time.Second)
		two := w.agent(t.Context(), "two")
		for minute := range 60 {
			time.Sleep(time.Minute)
			if minute%7 == 3 { // the network goes, and comes back within the grace
				w.refuse(true)
				w.newestLive().cut()
				time.Sleep(20 * time.Second)
				w.refuse(false)
				until(t, 4*time.Second, func() bool { return w.host.Status("prod").State == Connected })
			}
		}
		held1, tries1 := one.lines()
		held2, _ := two.lines()
		if held1 != 1 || held2 != 1 {
			t.Errorf("in an hour, one had %d lines and two had %d", held1, held2)
		}
		if tries1 < 45 || tries1 > 90 {
			t.Errorf("the standby asked %d times in an hour", tries1)
		}
		line := w.host.Line("prod")
		if line == nil || line.Instance() != "two" || line.Status().State != Connected || line.Status().Resumes < 8 {
			t.Fatalf("the line of %q is %+v", line.Instance(), line.Status())
		}
		// Two goes without a word.
		w.newestLive().blackHole()
		gone := time.Now()
		two.ends()
		two.running.Wait()
		until(t, (15+30+75)*time.Second, func() bool {
			l := w.host.Line("prod")
			return l != nil && l.Instance() == "one"
		})
		t.Logf("the standby took over after %v", time.Since(gone))
		one.ends()
		one.running.Wait()
		w.host.Close(nil)
		close(over)
		serving.Wait()
	})
}

// newestLive is the wire of the line that the host has.
func (w *world) newestLive() *wire {
	c := w.host.Line(w.name)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leg.nc.(*wireEnd).wire
}

// TestKeepIsPatient: a server that ends each line at once, or takes none, is asked
// less and less.
func TestKeepIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		over := make(chan struct{})
		var serving sync.WaitGroup
		serving.Go(func() {
			for {
				select {
				case c := <-w.fresh:
					_ = c.CloseWith(errors.New("not you"))
				case <-over:
					return
				}
			}
		})
		a := w.agent(t.Context(), "one")
		time.Sleep(time.Hour)
		_, tries := a.lines()
		if tries < 200 || tries > 400 || !strings.Contains(a.last(), "not you") {
			t.Errorf("in an hour it tried %d times: %s", tries, a.last())
		}
		w.refuse(true)
		time.Sleep(time.Hour)
		if _, all := a.lines(); all-tries < 200 || all-tries > 400 || a.last() != errNoRoute.Error() {
			t.Errorf("in an hour without a network it tried %d times: %s", all-tries, a.last())
		}
		a.ends()
		a.running.Wait()
		close(over)
		serving.Wait()
	})
}

// TestKeepForgetsOldTrouble: after a long outage a line that has lived for some seconds
// is followed by another at once; lines that live shorter are not.
func TestKeepForgetsOldTrouble(t *testing.T) {
	for lived, want := range map[time.Duration][2]int{ // lines in ten minutes
		steady:               {110, 120},
		steady - time.Second: {15, 80},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.refuse(true)
			a := w.agent(t.Context(), "one")
			time.Sleep(10 * time.Minute)
			w.refuse(false)
			var reading sync.WaitGroup
			for began, c := time.Now(), <-w.fresh; time.Since(began) < 10*time.Minute; c = <-w.fresh {
				absorb(&reading, c)
				time.Sleep(lived)
				_ = c.CloseWith(errors.New("the server restarts"))
			}
			if n, _ := a.lines(); n < want[0] || n > want[1] {
				t.Errorf("lines that lived for %v: %d in ten minutes", lived, n)
			}
			a.ends()
			w.host.Close(nil)
			a.running.Wait()
			reading.Wait()
		})
	}
}

// TestStandbyWaitsForTheGrace: a line that may come back is not taken away.
func TestStandbyWaitsForTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.line("one")
		var all sync.WaitGroup
		absorb(&all, b)
		w.newest().cut()
		a.end(nil)
		time.Sleep(29 * time.Second)
		if _, err := w.dialer("two").Begin(t.Context(), true); !errors.Is(err, ErrNotNeeded) {
			t.Errorf("within the grace: %v", err)
		}
		time.Sleep(2 * time.Second)
		c, err := w.dialer("two").Begin(t.Context(), true)
		if err != nil {
			t.Fatalf("after the grace: %v", err)
		}
		_ = c.Close()
		all.Wait()
	})
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.host.Limit = 3
		var far *Conn
		for i := range 3 {
			w.name = fmt.Sprint("cluster", i)
			_, far = w.line("one")
		}
		w.name = "one too many"
		if _, err := w.dialer("one").Begin(t.Context(), false); !errors.Is(err, ErrFull) {
			t.Error(err)
		}
		w.name = "cluster1"
		w.line("two") // it replaces one
		_ = far.Close()
		synctest.Wait()
		w.name = "one too many"
		w.line("one")
		w.name = strings.Repeat("x", MaxName+1)
		if _, err := w.dialer("one").Begin(t.Context(), false); !errors.Is(err, ErrRule) {
			t.Error(err)
		}
	})
}

// TestHandshakesAreBounded: in time at either end, and in what they may say.
func TestHandshakesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		silent, _ := w.dial(t.Context())
		began := time.Now()
		if _, err := silent.Read(make([]byte, 1)); err == nil || time.Since(began) != HandshakeTime {
			t.Errorf("a silent client: %v after %v", err, time.Since(began))
		}
		near, far := newWire()
		defer far.Close()
		go func() { _, _ = io.Copy(io.Discard, far) }()
		d := &Dialer{Instance: "one", Dial: func(context.Context) (net.Conn, error) { return near, nil }}
		began = time.Now()
		if _, err := d.Begin(t.Context(), false); !errors.Is(err, errHandshake) || time.Since(began) != HandshakeTime {
			t.Errorf("a silent server: %v after %v", err, time.Since(began))
		}
		for name, raw := range map[string]string{
			"garbage":         "GET / HTTP/1.1\r\n\r\n",
			"an endless one":  "\x01\xff\xff\xff",
			"data":            "\x04\x00\x00\x01x",
			"no instance":     "\x01\x00\x00\x03\x01\x00\x00",
			"a longer name":   "\x01\x00\x00\x04\x01\x00\x05x",
			"an unknown flag": "\x01\x00\x00\x04\x01\x80\x01x",
		} {
			nc, _ := w.dial(t.Context())
			_, _ = nc.Write([]byte(raw))
			if _, err := newLeg(nc).answer(welcome); !errors.Is(err, ErrRule) {
				t.Errorf("%s: %v", name, err)
			}
			_ = nc.Close()
		}
		nc, _ := w.dial(t.Context())
		_, _ = nc.Write([]byte("\x01\x00\x00\x04\x02\x00\x01x"))
		if _, err := newLeg(nc).answer(welcome); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "2, not 1") {
			t.Errorf("another version: %v", err)
		}
		_ = nc.Close()
		for _, instance := range []string{"", strings.Repeat("x", MaxInstance+1)} {
			if _, err := w.dialer(instance).Begin(t.Context(), false); err == nil {
				t.Errorf("the instance %q was taken", instance)
			}
		}
	})
}

// TestPendingHandshakes: they are bounded, and one that is over makes room.
func TestPendingHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range maxPending {
			w.name = fmt.Sprint("cluster", i/maxPendingOf)
			_, _ = w.dial(t.Context())
		}
		synctest.Wait()
		w.name = "one too many"
		if _, err := w.dialer("one").Begin(t.Context(), false); err == nil {
			t.Error("one too many got in")
		}
		synctest.Wait()
		if n := len(w.accepted); n != 1 || !errors.Is(w.accepted[0], ErrFull) {
			t.Errorf("%v", w.accepted)
		}
		_ = w.wires[0].ends[0].Close()
		synctest.Wait()
		a, b := w.line("one")
		echo(t, a, b)
	})
}

// TestASilentNameKeepsNobodyOut: its own newest handshakes count, and another name's do
// anyway.
func TestASilentNameKeepsNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.name = "silent"
		for range maxPending {
			_, _ = w.dial(t.Context())
		}
		synctest.Wait()
		if n := len(w.accepted); n != maxPending-maxPendingOf || !errors.Is(w.accepted[0], errCrowded) {
			t.Errorf("%d were ended: %v", n, w.accepted)
		}
		w.name = "other"
		a, b := w.line("one")
		echo(t, a, b)
		began := time.Now()
		w.newest().cut()
		echo(t, a, b)
		if s := b.Status(); s.Resumes != 1 || time.Since(began) > firstWait {
			t.Errorf("resumed %d times after %v", s.Resumes, time.Since(began))
		}
		w.name = "silent" // and is so no more
		a, b = w.line("one")
		echo(t, a, b)
	})
}

// TestRulesOnALine: a peer that breaks one ends the line, and is told.
func TestRulesOnALine(t *testing.T) {
	for name, raw := range map[string]string{
		"an acknowledgement from the future": string(appendCount(nil, ack, 1)),
		"the same in a ping":                 string(appendCount(nil, ping, 1<<63)),
		"an empty DATA":                      "\x04\x00\x00\x00",
		"a DATA of 64 KiB and a byte":        "\x04\x01\x00\x01",
		"another HELLO":                      string((&helloRecord{instance: "x"}).append(nil)),
		"an unknown kind":                    "\x09\x00\x00\x00",
		"a last word that is none":           "\x07\x00\x00\x01\x05",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			c, l := deafPeer(t, w)
			read := make(chan error)
			go func() {
				_, err := c.Read(make([]byte, 10))
				read <- err
			}()
			if err := l.write(nil, []byte(raw)); err != nil {
				t.Error(err)
			}
			if err := <-read; !errors.Is(err, ErrRule) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := l.answer(end); err != nil {
				t.Errorf("%s: no last word: %v", name, err)
			}
			l.kill()
		})
	}
}

// TestADishonestHost: a resume that cannot be is the end of the line.
func TestADishonestHost(t *testing.T) {
	for name, w := range map[string]welcomeRecord{
		"bytes that were never sent":  {resumed: true, received: 11},
		"bytes that are acknowledged": {resumed: true, received: 3},
		"a new line":                  {},
	} {
		synctest.Test(t, func(t *testing.T) {
			w.settings = Settings{}.withDefaults()
			dials := 0
			peer := make(chan *leg, 2)
			d := &Dialer{Instance: "one", Dial: func(context.Context) (net.Conn, error) {
				near, far := newWire()
				answer := welcomeRecord{settings: w.settings}
				if dials++; dials > 1 {
					answer = w
				}
				go func() {
					l := newLeg(far)
					if _, err := l.answer(hello); err != nil {
						t.Error(err)
					}
					_ = l.write(nil, answer.append(nil))
					peer <- l
				}()
				return near, nil
			}}
			c, err := d.Begin(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			l := <-peer
			go func() { _, _ = io.Copy(io.Discard, struct{ io.Reader }{c}) }()
			go func() {
				_, _ = io.CopyN(io.Discard, l.nc, 10+headSize)
				_ = l.write(nil, appendCount(nil, ack, 5))
				l.kill()
			}()
			_, _ = c.Write([]byte("0123456789")) // which may end with the line
			<-c.Done()
			if !errors.Is(c.Err(), ErrRule) {
				t.Errorf("%s: %v", name, c.Err())
			}
			_ = c.Close()
		})
	}
}

// TestCloseTheHost ends every line with its words, and takes no more.
func TestCloseTheHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, _ := w.line("one")
		var all sync.WaitGroup
		absorb(&all, a)
		if _, err := w.dial(t.Context()); err != nil { // and says nothing
			t.Fatal(err)
		}
		synctest.Wait()
		w.host.Close(errors.New("the server restarts"))
		began := time.Now()
		w.accepts.Wait() // the silent one's, too
		<-a.Done()
		if d := time.Since(began); d > 0 {
			t.Errorf("took %v", d)
		}
		if err := a.Err(); !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "the server restarts") {
			t.Error(err)
		}
		if _, err := w.dialer("one").Begin(t.Context(), false); err == nil {
			t.Error("a closed host took a line")
		}
		all.Wait()
	})
}
