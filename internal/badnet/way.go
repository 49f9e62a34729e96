package badnet

import (
	"net"
	"time"
)

const (
	chunkSize = 32 << 10
	// inFlight is how many chunks a delaying way holds, and so bounds its
	// throughput: 2 MiB for each delay.
	inFlight = 64
)

// way is one direction of one connection. take reads from src into the queue,
// give writes the queue to dst as the faults of the direction say.
type way struct {
	pair     *pair
	d        Direction
	src, dst net.Conn

	// Guarded by pair.proxy.mu.
	queue []chunk
	eof   bool // take has ended; nothing more will come
}

type chunk struct {
	b   []byte
	due time.Time
}

func newWay(c *pair, d Direction, src, dst net.Conn) *way {
	return &way{pair: c, d: d, src: src, dst: dst}
}

// take reads only when there is room in the queue, so that pressure passes
// through.
func (w *way) take() {
	for w.room() {
		b := make([]byte, chunkSize)
		n, err := w.src.Read(b)
		w.put(b[:n], err != nil)
		if err != nil {
			return
		}
	}
}

func (w *way) room() bool {
	p := w.pair.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(w.queue) >= limit(p.faults[w.d]) && !w.pair.gone {
		p.changed.Wait()
	}
	return !w.pair.gone
}

func limit(f Faults) int {
	if f.Delay > 0 {
		return inFlight
	}
	return 1
}

func (w *way) put(b []byte, eof bool) {
	p := w.pair.proxy
	p.change(func() {
		w.eof = eof
		if len(b) > 0 {
			w.queue = append(w.queue, chunk{b: b, due: time.Now().Add(p.faults[w.d].Delay)})
		}
	})
}

// give ends when the stream has ended, and passes the end on: half-closed where
// it was half-closed.
func (w *way) give() {
	for {
		c, ok := w.next()
		if !ok {
			break
		}
		time.Sleep(time.Until(c.due))
		if !w.write(c.b) {
			w.abandon()
			return
		}
	}
	if half, ok := w.dst.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// next takes the oldest chunk, or says that there will be none.
func (w *way) next() (chunk, bool) {
	p := w.pair.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	for w.pair.holds(w.d) || !w.pair.gone && len(w.queue) == 0 && !w.eof {
		p.changed.Wait()
	}
	if w.pair.gone || len(w.queue) == 0 {
		return chunk{}, false
	}
	c := w.queue[0]
	w.queue = w.queue[1:]
	p.changed.Broadcast()
	return c, true
}

// write passes b on in the slices and at the rate that hold at each of them.
func (w *way) write(b []byte) bool {
	for len(b) > 0 {
		f, ok := w.open()
		if !ok {
			return false
		}
		n := min(len(b), sliceOf(f))
		if _, err := w.dst.Write(b[:n]); err != nil {
			return false
		}
		b = b[n:]
		if f.Rate > 0 {
			time.Sleep(time.Duration(n) * time.Second / time.Duration(f.Rate))
		}
	}
	return true
}

// sliceOf keeps a slowed way even: no more than a hundredth of a second's bytes
// at once.
func sliceOf(f Faults) int {
	n := chunkSize
	if f.Slice > 0 {
		n = f.Slice
	}
	if f.Rate > 0 {
		n = min(n, max(1, f.Rate/100))
	}
	return n
}

// open waits for a hold to be lifted.
func (w *way) open() (Faults, bool) {
	p := w.pair.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	for w.pair.holds(w.d) {
		p.changed.Wait()
	}
	return p.faults[w.d], !w.pair.gone
}

// abandon ends the connection: whoever this way writes to has gone. Of a stranded
// client nobody hears.
func (w *way) abandon() {
	w.pair.proxy.change(func() {
		if !w.pair.stranded {
			w.pair.cut(RST)
		}
	})
}
