package podexec

import (
	"sync"
	"time"
)

// The sizes of the way from the container to the client, in bytes.
const (
	// Window is how much output a v2 client may leave unacknowledged.
	Window = 128 << 10
	// StdinWindow is how much stdin a v2 client may leave unacknowledged.
	StdinWindow = 64 << 10

	smallChunk = 1 << 10
	bigChunk   = 32 << 10
	// growAt is the size of a read after which the next gets a big chunk.
	growAt = 2 << 10
	// leastRead is the least room worth a read of its own.
	leastRead = 512
	// keepOnInterrupt is how much of the newest output survives an interrupt.
	keepOnInterrupt = 64 << 10
	// heldFor is how long output counts as held after the window last held it:
	// a client that acknowledges in steps opens the window for an instant.
	heldFor = 100 * time.Millisecond
)

var smallChunks = sync.Pool{New: func() any { return &chunk{mem: make([]byte, smallChunk)} }}
var bigChunks = sync.Pool{New: func() any { return &chunk{mem: make([]byte, bigChunk)} }}

// chunk is a piece of output; mem[:n] is filled, its first byte has offset off.
type chunk struct {
	mem []byte
	n   int
	off int64
}

func (c *chunk) end() int64 { return c.off + int64(c.n) }

func (c *chunk) free() {
	c.n = 0
	if len(c.mem) == smallChunk {
		smallChunks.Put(c)
		return
	}
	bigChunks.Put(c)
}

// gap is a range of output that the client is told it will not get.
type gap struct{ from, to int64 }

// output is the queue between one container and one client: bytes are read from
// the container straight into its chunks and written to the client straight out
// of them. One goroutine fills it (reserve, commit), one empties it (next,
// release); ack, interrupt and discard may come from any.
//
// It is bounded: reserve waits while limit bytes are unsent or unacknowledged,
// and so the container's program waits as behind any slow reader.
type output struct {
	limit  int64
	window int64 // 0: the client does not acknowledge, only its socket holds back

	room  notice // rung when reserve may find room
	ready notice // rung when next may find something

	mu     sync.Mutex
	chunks []*chunk // oldest first; the last is being filled
	pinned *chunk   // being written to the client
	head   int64    // first byte not yet handed to the client
	told   int64    // where the client stands: sent bytes and announced gaps
	end    int64    // first byte not yet read
	acked  int64
	gaps   []gap // announced, not yet acknowledged
	grow   bool  // the last read filled its room: use big chunks
	heldAt time.Time

	draining  bool // an interrupt reads on without sending
	discarded bool // nobody will be sent anything any more
}

func newOutput(limit, window int64) *output {
	return &output{limit: limit, window: window, room: newNotice(), ready: newNotice()}
}

// reserve returns memory for the next read, once there is room for it. It
// returns nil when stop closes first.
func (o *output) reserve(stop <-chan struct{}) []byte {
	for {
		if p := o.tryReserve(); p != nil {
			return p
		}
		select {
		case <-o.room.c:
		case <-stop:
			return nil
		}
	}
}

func (o *output) tryReserve() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	room := o.limit - (o.end - o.head) - o.inflight()
	if o.draining || o.discarded {
		room = bigChunk
	}
	if room <= 0 {
		return nil
	}
	last := o.tail()
	free := last.mem[last.n:]
	return free[:min(int64(len(free)), room)]
}

// tail is the chunk to fill next; it has at least leastRead bytes free.
func (o *output) tail() *chunk {
	if n := len(o.chunks); n > 0 && len(o.chunks[n-1].mem)-o.chunks[n-1].n >= leastRead {
		return o.chunks[n-1]
	}
	pool := &smallChunks
	if o.grow {
		pool = &bigChunks
	}
	c := pool.Get().(*chunk)
	c.off = o.end
	o.chunks = append(o.chunks, c)
	return c
}

// commit says that n bytes were read into what reserve returned.
func (o *output) commit(n, room int) {
	o.mu.Lock()
	o.chunks[len(o.chunks)-1].n += n
	o.end += int64(n)
	o.grow = n == room || n >= growAt
	if o.overWindow() {
		o.heldAt = time.Now()
	}
	switch {
	case o.discarded:
		o.head = o.end
		o.trim()
	case o.draining && o.end-o.head > keepOnInterrupt:
		o.head = o.end - keepOnInterrupt
		o.trim()
	}
	o.mu.Unlock()
}

// trim frees the chunks before head. The last one stays: it is being filled.
func (o *output) trim() {
	for len(o.chunks) > 1 && o.chunks[0].end() <= o.head {
		o.drop()
	}
}

func (o *output) drop() {
	c := o.chunks[0]
	o.chunks[0] = nil
	o.chunks = o.chunks[1:]
	if c != o.pinned {
		c.free()
	}
}

// sendable is how many bytes the client may be sent now.
func (o *output) sendable() int64 {
	if o.draining || o.discarded {
		return 0
	}
	n := o.end - o.head
	if o.window > 0 {
		n = min(n, o.window-o.inflight())
	}
	return max(n, 0)
}

// pending is sendable, and whether there is a gap to announce before it.
func (o *output) pending() (n int64, gapped bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sendable(), o.gapped()
}

// small reports whether there is something to send, but at most n bytes, no gap,
// and whether the client has acknowledged all but the last unacked.
func (o *output) small(n, unacked int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	sendable := o.sendable()
	return sendable > 0 && sendable <= n && !o.gapped() && o.inflight() <= unacked
}

func (o *output) gapped() bool { return o.head > o.told && !o.draining && !o.discarded }

// held reports whether output waits for the client's window, or did just now.
func (o *output) held() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.overWindow() || !o.heldAt.IsZero() && time.Since(o.heldAt) < heldFor
}

func (o *output) overWindow() bool {
	return o.window > 0 && o.end-o.head > o.window-o.inflight()
}

// inflight is the number of bytes sent and not acknowledged. Bytes inside a gap
// were never sent and do not count.
func (o *output) inflight() int64 {
	if o.window == 0 {
		return 0
	}
	n := o.told - o.acked
	for _, g := range o.gaps {
		n -= g.to - max(g.from, o.acked)
	}
	return n
}

// next returns the gap to announce, or else the next bytes to send, at most max
// of them; both are empty when there is nothing to do. The bytes stay valid
// until release.
func (o *output) next(max int64) (*gap, []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gapped() {
		g := gap{o.told, o.head}
		o.told = o.head
		o.remember(g)
		return &g, nil
	}
	n := min(o.sendable(), max)
	if n == 0 {
		return nil, nil
	}
	o.skipRead()
	c := o.chunks[0]
	from := int(o.head - c.off)
	b := c.mem[from:min(c.n, from+int(n))]
	o.head += int64(len(b))
	o.told = o.head
	o.pinned = c
	return nil, b
}

// remember joins gaps between which nothing was sent: a client that acknowledges
// nothing and interrupts again and again leaves one.
func (o *output) remember(g gap) {
	if n := len(o.gaps); n > 0 && o.gaps[n-1].to == g.from {
		o.gaps[n-1].to = g.to
		return
	}
	o.gaps = append(o.gaps, g)
}

func (o *output) skipRead() {
	for o.chunks[0].end() <= o.head {
		o.drop()
	}
}

// release says that the bytes next returned have been written.
func (o *output) release() {
	o.mu.Lock()
	c := o.pinned
	o.pinned = nil
	switch {
	case len(o.chunks) == 0 || o.chunks[0] != c:
		c.free() // dropped while it was being written
	case len(o.chunks) > 1:
		o.trim()
	}
	o.mu.Unlock()
	o.room.ring()
}

// ack moves the client's acknowledgement. It is false when the offset lies in
// the future; one from the past changes nothing.
func (o *output) ack(offset int64) bool {
	o.mu.Lock()
	if offset < 0 || offset > o.told {
		o.mu.Unlock()
		return false
	}
	o.acked = max(o.acked, offset)
	for len(o.gaps) > 0 && o.gaps[0].to <= o.acked {
		o.gaps = o.gaps[1:]
	}
	o.mu.Unlock()
	o.room.ring()
	o.ready.ring()
	return true
}

// drain starts or ends the reading on of an interrupt: while it lasts nothing
// is sent and only the newest output is kept.
func (o *output) drain(on bool) {
	o.mu.Lock()
	o.draining = on
	o.mu.Unlock()
	o.room.ring()
	o.ready.ring()
}

// discard throws away what is unsent and all that is still to come.
func (o *output) discard() {
	o.mu.Lock()
	o.discarded = true
	o.head = o.end
	o.trim()
	o.mu.Unlock()
	o.room.ring()
	o.ready.ring()
}

// empty reports whether everything that was read has been handed on.
func (o *output) empty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.head == o.end && o.told == o.head || o.discarded
}

// total is the number of bytes read from the container.
func (o *output) total() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.end
}

// close gives the memory back. Nobody may use the queue after it.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.chunks) > 0 {
		o.drop()
	}
}

// notice is a bell that is heard once however often it was rung.
type notice struct{ c chan struct{} }

func newNotice() notice { return notice{make(chan struct{}, 1)} }

func (n notice) ring() {
	select {
	case n.c <- struct{}{}:
	default:
	}
}
