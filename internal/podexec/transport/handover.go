package transport

import (
	"io"
	"sync"
)

// handover passes output from two writers to one reader without a buffer of its
// own: a writer waits until the reader has copied all that it brought. So the
// reader's pace is the writers'.
type handover struct {
	mu      sync.Mutex
	changed *sync.Cond
	offer   []byte // what the present writer brought and the reader has not copied
	ch      Channel
	offers  uint64 // how many were made
	copied  uint64 // how many are done with
	ended   bool   // no writer will come any more
	closed  bool   // the reader has left
}

func newHandover() *handover {
	h := &handover{}
	h.changed = sync.NewCond(&h.mu)
	return h
}

// writer is one channel's way in.
type writer struct {
	to *handover
	ch Channel
}

func (w writer) Write(p []byte) (int, error) {
	h := w.to
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.offers != h.copied && !h.closed {
		h.changed.Wait()
	}
	if len(p) == 0 || h.closed {
		return 0, closedPipe(h.closed)
	}
	h.offer, h.ch = p, w.ch
	h.offers++
	mine := h.offers
	h.changed.Broadcast()
	for h.copied < mine && !h.closed {
		h.changed.Wait()
	}
	if h.copied < mine {
		h.offer = nil
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func closedPipe(closed bool) error {
	if closed {
		return io.ErrClosedPipe
	}
	return nil
}

// read copies from one offer; io.EOF comes when the writers have ended, after the
// last offer where the reader has not left.
func (h *handover) read(p []byte) (int, Channel, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for !h.ended && (h.closed || h.offers == h.copied) {
		h.changed.Wait()
	}
	if h.closed || h.offers == h.copied {
		return 0, 0, io.EOF
	}
	n := copy(p, h.offer)
	h.offer = h.offer[n:]
	if len(h.offer) == 0 {
		h.offer = nil
		h.copied = h.offers
		h.changed.Broadcast()
	}
	return n, h.ch, nil
}

// end is for the writers' side, close for the reader's.
func (h *handover) end()   { h.set(&h.ended) }
func (h *handover) close() { h.set(&h.closed) }

func (h *handover) set(flag *bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*flag = true
	h.changed.Broadcast()
}
