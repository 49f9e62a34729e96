package execclient

import (
	"fmt"
	"sync"
)

// piece is output, or a gap in it.
type piece struct {
	data []byte
	gap  int64
	why  string
}

func (p piece) length() int64 { return int64(len(p.data)) + p.gap }

// output is the queue between the socket and the writer of output. It holds two
// windows of bytes at most.
type output struct {
	ready notice

	mu       sync.Mutex
	queue    []piece
	writing  piece // what the writer has in hand
	received int64 // offset after the last byte or gap that was queued
	written  int64 // offset after the last that was written
	told     int64 // offset that was acknowledged last
	unacked  int64 // bytes that came and are not acknowledged; gaps do not count
	fresh    int64 // bytes, without gaps, written since the last acknowledgement
	carried  int64 // bytes in the writer's hand that an attach has acknowledged
	window   int64
	over     bool // nothing more will come
	gone     bool // nothing more is to be written
}

func newOutput() *output { return &output{ready: newNotice(), window: Window} }

// push queues what has come.
func (o *output) push(data []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := int64(len(data))
	// Twice, since this bounds memory: which bytes a server counts is its own.
	if o.unacked+n > 2*o.window {
		return fmt.Errorf("%w: more output than the window of %d bytes", ErrUntrue, o.window)
	}
	o.unacked += n
	o.received += n
	o.queue = append(o.queue, piece{data: append([]byte(nil), data...)})
	o.ready.ring()
	return nil
}

// skip queues a gap that ends at offset. What is before us already is no news.
func (o *output) skip(to int64, why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if to <= o.received {
		return
	}
	o.queue = append(o.queue, piece{gap: to - o.received, why: why})
	o.received = to
	o.ready.ring()
}

// next waits for the next piece; false when there will be none.
func (o *output) next() (piece, bool) {
	for {
		o.mu.Lock()
		if len(o.queue) > 0 && !o.gone {
			o.writing, o.queue = o.queue[0], o.queue[1:]
			p := o.writing
			o.mu.Unlock()
			return p, true
		}
		over := o.over || o.gone
		o.mu.Unlock()
		if over {
			return piece{}, false
		}
		<-o.ready
	}
}

// wrote counts p as written and says whether that offset is to be acknowledged.
func (o *output) wrote(p piece) (offset int64, ack bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing = piece{}
	o.written += p.length()
	o.fresh += int64(len(p.data)) - o.carried
	o.carried = 0
	return o.written, o.fresh >= ackEvery || p.gap > 0
}

// acked says that all before offset, which was written, is acknowledged. It is
// false where a new connection has said so already.
func (o *output) acked(offset int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if offset <= o.told {
		return false
	}
	o.told = offset
	o.unacked -= o.fresh
	o.fresh = 0
	return true
}

// detach drops what came and was not written: it comes again. It returns the
// offset from which on.
func (o *output) detach() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = nil
	o.received = o.written + o.writing.length()
	return o.received
}

// attach begins a connection whose first byte of output is at offset; having
// asked for it acknowledges what is before it.
func (o *output) attach(offset, window int64) {
	o.mu.Lock()
	o.window = window
	o.told, o.fresh, o.unacked = o.received, 0, 0
	o.carried = int64(len(o.writing.data))
	o.mu.Unlock()
	o.skip(offset, "buffer")
}

// finish lets the writer end after what is queued, abandon at once.
func (o *output) finish()  { o.stop(false) }
func (o *output) abandon() { o.stop(true) }

func (o *output) stop(atOnce bool) {
	o.mu.Lock()
	o.over, o.gone = true, o.gone || atOnce
	o.mu.Unlock()
	o.ready.ring()
}

func (o *output) reached() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.written
}
