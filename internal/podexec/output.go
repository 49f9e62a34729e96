package podexec

import (
	"bytes"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/slab"
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
	// lineWithin is how far a start in the middle is moved to the start of a line,
	// so that no character and no escape sequence is met in its middle.
	lineWithin = 4 << 10
	// heldFor is how long output counts as held after the window last held it:
	// a client that acknowledges in steps opens the window for an instant, and
	// for longer where the machine is too busy to fill it.
	heldFor = time.Second
)

var (
	smallChunks = sync.Pool{New: func() any { return &chunk{mem: make([]byte, smallChunk)} }}
	bigChunks   = sync.Pool{New: func() any { return &chunk{} }} // without mem
	bigMem      = slab.New(bigChunk)
)

// chunk is a piece of output; mem[:n] is filled, its first byte has offset off.
type chunk struct {
	mem    []byte
	n      int
	off    int64
	orphan bool // no longer in the queue, but still being written
}

func (c *chunk) end() int64 { return c.off + int64(c.n) }

// newChunk is an empty one.
func newChunk(big bool) *chunk {
	if !big {
		return smallChunks.Get().(*chunk)
	}
	c := bigChunks.Get().(*chunk)
	c.mem = bigMem.Get()
	return c
}

func (c *chunk) free() {
	c.n, c.orphan = 0, false
	if len(c.mem) == smallChunk {
		smallChunks.Put(c)
		return
	}
	bigMem.Put(c.mem)
	c.mem = nil
	bigChunks.Put(c)
}

// Why output is left out.
const (
	gapBuffer    = "buffer"    // it is no longer kept
	gapInterrupt = "interrupt" // it stood in the way of ^C
)

// gap is a range of output that the client is told it will not get.
type gap struct {
	from, to int64
	why      string
}

// output is the queue between one container and its client: bytes are read from
// the container straight into its chunks and written to the client straight out
// of them. One goroutine fills it (reserve, commit), one at a time empties it
// (next, release); the others may be called from any.
//
// It is bounded: reserve waits while limit bytes are unsent or unacknowledged,
// and so the container's program waits as behind any slow reader. Where it
// replays it also keeps what was acknowledged, as a ring of limit bytes, for a
// client that comes back; and while it overwrites, nothing waits and the oldest
// bytes go.
type output struct {
	limit  int64
	window int64 // 0: the client does not acknowledge, only its socket holds back
	replay bool  // what was acknowledged is kept, up to limit

	room  notice // rung when reserve may find room
	ready notice // rung when next may find something

	mu     sync.Mutex
	chunks []*chunk // oldest first; the last is being filled
	pinned *chunk   // being written to the client
	joined *chunk   // the same, of no queue
	head   int64    // where the client stands: sent bytes and announced gaps
	end    int64    // first byte not yet read
	acked  int64
	sent   int64 // the furthest head that any client had
	shown  int64 // acknowledged, though head has yet to come there: the connection before brought it
	gaps   []gap // what of [acked, end) the client does not get, in order
	grow   bool  // the last read filled its room: use big chunks
	heldAt time.Time
	thrown int64 // bytes read after discard

	draining    bool // an interrupt reads on without sending
	overwriting bool // nobody is there, and nothing waits
	discarded   bool // what is still to come is nobody's any more
}

func newOutput(limit, window int64, replay bool) *output {
	return &output{limit: limit, window: window, replay: replay, room: newNotice(), ready: newNotice()}
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
	room := o.limit - o.unsent() - o.inflight()
	if o.draining || o.discarded || o.overwriting {
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
	c := newChunk(o.grow)
	c.off = o.end
	o.chunks = append(o.chunks, c)
	return c
}

// commit says that n bytes were read into what reserve returned.
func (o *output) commit(n, room int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.discarded {
		o.thrown += int64(n)
		return
	}
	o.chunks[len(o.chunks)-1].n += n
	o.end += int64(n)
	o.grow = n == room || n >= growAt
	if o.overWindow() {
		o.heldAt = time.Now()
	}
	if o.draining && o.end-o.head > keepOnInterrupt {
		o.leaveOut(o.end - keepOnInterrupt)
	}
	o.trim()
}

// leaveOut makes a gap of what is before to and was not sent. It takes up all that
// nothing was sent after; for a client that came back that may be several.
func (o *output) leaveOut(to int64) {
	g := gap{o.head, to, gapInterrupt}
	for n := len(o.gaps); n > 0 && o.gaps[n-1].to >= o.head; n = len(o.gaps) {
		g.from = min(g.from, o.gaps[n-1].from)
		o.gaps = o.gaps[:n-1]
	}
	o.gaps = append(o.gaps, g)
	o.dropInside(g)
}

// dropInside frees the chunks of which no byte lies outside a gap, but for the
// last one.
func (o *output) dropInside(g gap) {
	kept := o.chunks[:0]
	for i, c := range o.chunks {
		if i < len(o.chunks)-1 && c.off >= g.from && c.end() <= g.to {
			o.freeChunk(c)
			continue
		}
		kept = append(kept, c)
	}
	clear(o.chunks[len(kept):])
	o.chunks = kept
}

// trim frees what is no longer kept. The last chunk stays: it is being filled.
func (o *output) trim() {
	keep := o.keepFrom()
	for len(o.chunks) > 1 && o.chunks[0].end() <= keep {
		o.freeChunk(o.chunks[0])
		o.chunks[0] = nil
		o.chunks = o.chunks[1:]
	}
	for len(o.gaps) > 0 && o.gaps[0].to <= min(keep, o.acked) {
		o.gaps = o.gaps[1:]
	}
}

// keepFrom is the oldest byte that somebody may still want.
func (o *output) keepFrom() int64 {
	switch ring := max(o.end-o.limit, 0); {
	case o.overwriting:
		return ring
	case o.replay:
		return min(o.acked, ring)
	}
	return o.head
}

// freeChunk frees a chunk that has left the queue, once nobody writes it.
func (o *output) freeChunk(c *chunk) {
	if c == o.pinned {
		c.orphan = true
		return
	}
	c.free()
}

// unsent is the number of bytes that the client has still to get.
func (o *output) unsent() int64 { return o.end - o.head - o.leftOut(o.head, o.end) }

// inflight is the number of bytes sent and not acknowledged. Bytes inside a gap
// were never sent and do not count.
func (o *output) inflight() int64 {
	if o.window == 0 {
		return 0
	}
	return o.head - o.acked - o.leftOut(o.acked, o.head)
}

// leftOut is how many bytes of a range lie in gaps.
func (o *output) leftOut(from, to int64) (n int64) {
	for _, g := range o.gaps {
		n += max(0, min(g.to, to)-max(g.from, from))
	}
	return n
}

// nextGap is the gap that the client stands before, or in.
func (o *output) nextGap() (gap, bool) {
	for _, g := range o.gaps {
		if g.from <= o.head && o.head < g.to {
			return gap{o.head, g.to, g.why}, true
		}
	}
	return gap{}, false
}

// before is where the bytes that start at head end: at a gap, or at the end.
func (o *output) before() int64 {
	for _, g := range o.gaps {
		if g.from > o.head {
			return g.from
		}
	}
	return o.end
}

// sendable is how many bytes the client may be sent now.
func (o *output) sendable() int64 {
	if o.draining {
		return 0
	}
	n := o.unsent()
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

func (o *output) gapped() bool {
	if o.draining || len(o.gaps) == 0 {
		return false
	}
	_, yes := o.nextGap()
	return yes
}

// held reports whether output waits for the client's window, or did just now.
func (o *output) held() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.overWindow() || !o.heldAt.IsZero() && time.Since(o.heldAt) < heldFor
}

// floods reports whether output waits for the client's window, of which an
// interrupt would leave something out.
func (o *output) floods() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.overWindow() && (o.unsent() > keepOnInterrupt || o.full())
}

// overWindow reports whether output waits for the client's window: here, or where
// no more than the window is kept, still in the cluster.
func (o *output) overWindow() bool {
	return o.window > 0 && (o.unsent() > o.window-o.inflight() || o.full())
}

// full reports whether reading waits for the client.
func (o *output) full() bool { return o.unsent()+o.inflight() >= o.limit }

// next returns the gap to announce, or else the next bytes to send, at most max
// of them; both are empty when there is nothing to do. The bytes stay valid
// until release.
func (o *output) next(max int64) (*gap, []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gapped() {
		g, _ := o.nextGap()
		o.advance(g.to)
		return &g, nil
	}
	n := min(o.sendable(), max, o.before()-o.head)
	if n == 0 {
		return nil, nil
	}
	i := o.at(o.head)
	c := o.chunks[i]
	b := c.mem[o.head-c.off : c.n]
	switch {
	case int64(len(b)) >= n:
		b = b[:n]
		o.pinned = c
	case len(c.mem) > smallChunk:
		o.pinned = c
	default:
		b = o.join(i, n)
	}
	o.advance(o.head + int64(len(b)))
	return nil, b
}

// advance moves head on. What was shown already is acknowledged as it is sent again.
func (o *output) advance(head int64) {
	o.head = head
	o.acked = max(o.acked, min(o.shown, head))
}

// join copies the bytes at head, which lie in the chunk at i and the next ones, to
// where they are one piece: a message for each small chunk would cost more.
func (o *output) join(i int, n int64) []byte {
	o.joined = newChunk(true)
	b := o.joined.mem[:0]
	n = min(n, int64(len(o.joined.mem)))
	for at := o.head; int64(len(b)) < n; i++ {
		c := o.chunks[i]
		from := at - c.off
		part := c.mem[from:min(int64(c.n), from+n-int64(len(b)))]
		b = append(b, part...)
		at += int64(len(part))
	}
	return b
}

// at is the index of the chunk that holds the byte at an offset.
func (o *output) at(offset int64) int {
	return sort.Search(len(o.chunks), func(i int) bool { return o.chunks[i].end() > offset })
}

// release says that the bytes next returned have been written.
func (o *output) release() {
	o.mu.Lock()
	if c := o.pinned; c != nil && c.orphan {
		c.free()
	}
	if o.joined != nil {
		o.joined.free()
	}
	o.pinned, o.joined = nil, nil
	o.trim()
	o.mu.Unlock()
	o.room.ring()
}

// ack moves the client's acknowledgement. It is false when the offset lies in
// the future; one from the past changes nothing. A client that came back may
// acknowledge what the connection before has brought and this one has yet to.
func (o *output) ack(offset int64) bool {
	o.mu.Lock()
	if offset < 0 || offset > max(o.head, o.sent) {
		o.mu.Unlock()
		return false
	}
	o.shown = max(o.shown, offset)
	o.acked = max(o.acked, min(offset, o.head))
	o.trim()
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

// overwrite lets the program run on while nobody is there.
func (o *output) overwrite() {
	o.mu.Lock()
	o.overwriting = true
	o.mu.Unlock()
	o.room.ring()
}

// discard throws away all that is still to come, and where a client is there
// also what it was not sent.
func (o *output) discard(attached bool) {
	o.mu.Lock()
	o.discarded = true
	if attached {
		o.head = o.end
		o.trim()
	}
	o.mu.Unlock()
	o.room.ring()
	o.ready.ring()
}

// printed reports whether an offset names output that has come, or its end.
func (o *output) printed(offset int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return offset >= 0 && offset <= o.end
}

// comeBack puts a client at an offset, of which everything before has arrived, or
// at the oldest output that is kept where it has none (nil). It returns where the
// client stands, and whether it has seen everything before what it will get.
// Nobody may be at next meanwhile.
func (o *output) comeBack(offset *int64) (from int64, whole bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	base := o.end
	if len(o.chunks) > 0 {
		base = o.chunks[0].off
	}
	switch {
	case offset == nil:
		from = o.lineAfter(base)
	case *offset < base:
		from = *offset
		o.forget(o.lineAfter(base))
	default:
		from, whole = *offset, true
	}
	o.overwriting = false
	o.sent = max(o.sent, o.head)
	o.head, o.acked, o.shown = from, from, from
	o.room.ring()
	return from, whole
}

// forget makes one gap of everything before an offset: it is no longer kept.
func (o *output) forget(to int64) {
	o.gaps = slices.DeleteFunc(o.gaps, func(g gap) bool { return g.to <= to })
	if len(o.gaps) > 0 && o.gaps[0].from < to {
		to = o.gaps[0].to
		o.gaps = o.gaps[1:]
	}
	o.gaps = slices.Insert(o.gaps, 0, gap{0, to, gapBuffer})
}

// lineAfter is the start of the first line at an offset or soon after it; the
// offset itself where there is none, or where it is the beginning.
func (o *output) lineAfter(offset int64) int64 {
	i := o.at(offset)
	if offset == 0 || i == len(o.chunks) {
		return offset
	}
	c := o.chunks[i]
	from := max(offset-c.off, 0)
	part := c.mem[from:c.n]
	if at := bytes.IndexByte(part[:min(len(part), lineWithin)], '\n'); at >= 0 {
		return c.off + from + int64(at) + 1
	}
	return offset
}

// empty reports whether everything that was read has been handed on.
func (o *output) empty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.head == o.end
}

// total is the number of bytes read from the container.
func (o *output) total() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.end + o.thrown
}

// close gives the memory back. Nobody may use the queue after it.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.chunks {
		o.freeChunk(c)
	}
	o.chunks = nil
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
