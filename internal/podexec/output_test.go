package podexec

import (
	"math/rand/v2"
	"testing"
)

// at is the byte that the container prints at an offset.
func at(offset int64) byte { return byte(offset*131 + offset>>8) }

// reader is the client of an output, and checks what it is told.
type reader struct {
	t      *testing.T
	o      *output
	offset int64
	acked  int64
	had    int64 // where it stood before it came back
	shown  int64 // acknowledged, though it has yet to come again
	sent   int64 // bytes sent and not acknowledged, gaps not counted
	unread []gap // gaps not acknowledged yet
	lost   int64
}

// comeBack is a client that has seen everything before an offset and nothing else.
func (r *reader) comeBack(offset int64) {
	from, _ := r.o.comeBack(&offset)
	if from != offset {
		r.t.Fatalf("came back at %d, want %d", from, offset)
	}
	r.had = max(r.had, r.offset)
	r.offset, r.acked, r.shown, r.sent, r.unread = from, from, from, 0, nil
}

// ackWhatWas acknowledges what an earlier connection brought, or a part of it.
func (r *reader) ackWhatWas(rng *rand.Rand) {
	to := r.offset + 1 + rng.Int64N(r.had-r.offset)
	r.ack(r.offset)
	r.shown = to
	if !r.o.ack(to) {
		r.t.Fatalf("an ack of %d was refused, though %d had come before", to, r.had)
	}
}

// again counts what has come as acknowledged, as far as it was shown before.
func (r *reader) again() {
	if to := min(r.shown, r.offset); to > r.acked {
		r.count(to)
	}
}

// step takes the next thing from the queue; false when there is none.
func (r *reader) step(most int64) bool {
	g, p := r.o.next(most)
	switch {
	case g != nil:
		if g.from != r.offset || g.to <= g.from || g.to > r.o.end {
			r.t.Fatalf("gap %v at offset %d", *g, r.offset)
		}
		r.offset = g.to
		r.lost += g.to - g.from
		r.unread = append(r.unread, *g)
	case p != nil:
		for i, b := range p {
			if b != at(r.offset+int64(i)) {
				r.t.Fatalf("byte %d is wrong", r.offset+int64(i))
			}
		}
		r.offset += int64(len(p))
		r.sent += int64(len(p))
		r.o.release()
	}
	r.again()
	if r.sent > r.o.window {
		r.t.Fatalf("%d bytes unacknowledged with a window of %d", r.sent, r.o.window)
	}
	return g != nil || p != nil
}

// ack acknowledges everything up to offset.
func (r *reader) ack(offset int64) {
	r.count(offset)
	if !r.o.ack(offset) {
		r.t.Fatalf("an honest ack of %d was refused", offset)
	}
}

// count moves what is acknowledged.
func (r *reader) count(offset int64) {
	passed := offset - r.acked
	for len(r.unread) > 0 && r.unread[0].from < offset {
		g := r.unread[0]
		passed -= min(g.to, offset) - max(g.from, r.acked)
		if g.to > offset {
			break
		}
		r.unread = r.unread[1:]
	}
	r.acked, r.sent = offset, r.sent-passed
}

// TestOutputKeepsItsPromises drives the queue at random and checks every byte,
// the window, and at the end that nothing is missing but announced gaps.
func TestOutputKeepsItsPromises(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		o := newOutput(256<<10, Window, false)
		r := &reader{t: t, o: o}
		written := int64(0)
		draining := false
		for range 600 {
			switch rng.IntN(8) {
			case 0, 1, 2:
				if p := o.tryReserve(); p != nil {
					n := 1 + rng.IntN(len(p))
					for i := range n {
						p[i] = at(written + int64(i))
					}
					written += int64(n)
					o.commit(n, len(p))
				}
			case 3, 4, 5:
				r.step(1 + rng.Int64N(bigChunk))
			case 6:
				if r.offset > r.acked {
					r.ack(r.acked + 1 + rng.Int64N(r.offset-r.acked))
				}
			case 7:
				if rng.IntN(4) == 0 {
					draining = !draining
					o.drain(draining)
				}
			}
		}
		o.drain(false)
		for r.offset < written {
			if !r.step(bigChunk) {
				r.ack(r.offset)
			}
		}
		if !o.empty() || o.total() != written {
			t.Fatalf("seed %d: %d of %d bytes", seed, o.total(), written)
		}
		o.close()
	}
}

// TestARingKeepsItsPromises is the same with a client that is lost again and again,
// comes back with what it had at some time, and is overwritten meanwhile or not.
func TestARingKeepsItsPromises(t *testing.T) {
	const limit = 128 << 10
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		o := newOutput(limit, Window, true)
		r := &reader{t: t, o: o}
		written, away, draining := int64(0), false, false
		for range 800 {
			switch rng.IntN(9) {
			case 0, 1, 2:
				if p := o.tryReserve(); p != nil {
					n := 1 + rng.IntN(len(p))
					for i := range n {
						p[i] = at(written + int64(i))
					}
					written += int64(n)
					o.commit(n, len(p))
				}
			case 3, 4, 5:
				if !away {
					r.step(1 + rng.Int64N(bigChunk))
				}
			case 6:
				switch {
				case away:
				case r.had > r.offset && rng.IntN(3) == 0:
					r.ackWhatWas(rng)
				case r.offset > r.acked:
					r.ack(r.acked + 1 + rng.Int64N(r.offset-r.acked))
				}
			case 7:
				if rng.IntN(4) == 0 {
					draining = !draining
					o.drain(draining)
				}
			case 8:
				switch {
				case away:
					away = false
					r.comeBack(max(0, r.offset-rng.Int64N(100<<10)))
				case rng.IntN(4) == 0:
					away = true
					if rng.IntN(2) == 0 {
						o.overwrite()
					}
				}
			}
			held := int64(0)
			for _, c := range o.chunks {
				held += int64(c.n)
			}
			if o.unsent() < 0 || o.inflight() < 0 {
				t.Fatalf("seed %d: %d unsent, %d unacknowledged", seed, o.unsent(), o.inflight())
			}
			if most := int64(limit + 2*bigChunk + keepOnInterrupt); held > most {
				t.Fatalf("seed %d: %d bytes are held, at most %d may be", seed, held, most)
			}
		}
		o.drain(false)
		if away {
			r.comeBack(r.offset)
		}
		for r.offset < written {
			if !r.step(bigChunk) {
				r.ack(r.offset)
			}
		}
		if !o.empty() || o.total() != written {
			t.Fatalf("seed %d: %d of %d bytes", seed, o.total(), written)
		}
		o.close()
	}
}

// TestAFullWindowThatWasShown: a client that came back acknowledges all that it was
// shown before, a full window, and nothing more until something new has come.
func TestAFullWindowThatWasShown(t *testing.T) {
	o := newOutput(256<<10, Window, true)
	defer o.close()
	for o.end < 2*Window {
		p := o.tryReserve()
		o.commit(len(p), len(p))
	}
	take := func() (n int64) {
		for {
			g, p := o.next(bigChunk)
			if g == nil && p == nil {
				return n
			}
			n += int64(len(p))
			o.release()
		}
	}
	if n := take(); n != Window {
		t.Fatalf("%d bytes were sent, want a window", n)
	}
	from := int64(0)
	o.comeBack(&from)
	switch {
	case o.ack(Window + 1):
		t.Error("what nobody was sent was acknowledged")
	case !o.ack(Window):
		t.Error("what was shown before was not taken as acknowledged")
	}
	if n := take(); n != 2*Window {
		t.Errorf("%d bytes were sent again, want the window that was shown and one more", n)
	}
}

// TestGapsAheadOfWhoCameBack: two gaps were announced, the client came back to
// before both, and interrupts again.
func TestGapsAheadOfWhoCameBack(t *testing.T) {
	o := newOutput(256<<10, Window, true)
	defer o.close()
	fill := func() {
		for p := o.tryReserve(); p != nil; p = o.tryReserve() {
			o.commit(len(p), len(p))
		}
	}
	send := func() (n int64) {
		for g, p := o.next(bigChunk); g != nil || p != nil; g, p = o.next(bigChunk) {
			n += int64(len(p))
			o.release()
		}
		return n
	}
	interrupt := func(bytes int64) {
		o.drain(true)
		for end := o.end + bytes; o.end < end; {
			p := o.tryReserve()
			o.commit(len(p), len(p))
		}
		o.drain(false)
	}
	fill()
	send()
	interrupt(16 << 20)
	send()
	o.ack(bigChunk)
	send()
	interrupt(1 << 20)
	from := int64(bigChunk)
	o.comeBack(&from)
	interrupt(1 << 20)
	if o.unsent() < 0 || o.inflight() < 0 {
		t.Errorf("%d unsent, %d unacknowledged", o.unsent(), o.inflight())
	}
	fill()
	if n := send(); n > Window {
		t.Errorf("%d bytes were sent and none acknowledged", n)
	}
}

func TestOutputHoldsTheReader(t *testing.T) {
	o := newOutput(Window, Window, false)
	total := int64(0)
	for p := o.tryReserve(); p != nil; p = o.tryReserve() {
		o.commit(len(p), len(p))
		total += int64(len(p))
	}
	if total != Window {
		t.Errorf("%d bytes were read ahead with a limit of %d", total, Window)
	}
	o.close()
}
