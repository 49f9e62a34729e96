package execclient

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// notice wakes one waiter; rung before anybody waits, it wakes the next.
type notice chan struct{}

func newNotice() notice { return make(notice, 1) }

func (n notice) ring() {
	select {
	case n <- struct{}{}:
	default:
	}
}

// stdin holds what was read and not yet acknowledged, so that it can be sent
// again: the bytes from base on. One goroutine fills it, the attached link's
// sender takes.
type stdin struct {
	ready notice // rung when take may find something
	room  notice // rung when there may be room

	mu     sync.Mutex
	buf    []byte
	base   int64 // offset of buf's first byte
	sent   int64 // offset up to which it has been sent on the present connection
	acked  int64 // offset up to which the server has handed it on
	window int64
	eof    bool
	told   bool // eof has been sent on the present connection
}

func newStdin() *stdin { return &stdin{ready: newNotice(), room: newNotice(), window: StdinWindow} }

// fill reads from r until it ends or over is closed. It never holds more than a
// window, read but not acknowledged.
func (in *stdin) fill(r io.Reader, over <-chan struct{}) {
	defer in.end()
	if r == nil {
		return
	}
	p := make([]byte, pieceSize)
	for {
		n, err := r.Read(p)
		for rest := p[:n]; len(rest) > 0; {
			select {
			case <-over:
				return
			default:
			}
			m := in.push(rest)
			if rest = rest[m:]; m == 0 {
				select {
				case <-in.room:
				case <-over:
					return
				}
			}
		}
		if err != nil {
			return // whoever gave us r knows better why
		}
	}
}

func (in *stdin) end() {
	in.mu.Lock()
	in.eof = true
	in.mu.Unlock()
	in.ready.ring()
}

// push takes as much of p as the window allows.
func (in *stdin) push(p []byte) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	free := in.acked + in.window - (in.base + int64(len(in.buf)))
	n := int(max(0, min(int64(len(p)), free)))
	if n > 0 {
		in.buf = append(in.buf, p[:n]...)
		in.ready.ring()
	}
	return n
}

// take is what to send next, in p's room; eof is true once on each connection,
// when all has been sent.
func (in *stdin) take(p []byte) (n int, eof bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	n = copy(p, in.buf[in.sent-in.base:])
	in.sent += int64(n)
	eof = n == 0 && in.eof && !in.told
	in.told = in.told || eof
	return n, eof
}

// ack is the server's word that it has handed on all before offset.
func (in *stdin) ack(offset int64) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if offset > in.sent {
		return fmt.Errorf("%w: %d bytes of stdin acknowledged, %d sent", ErrUntrue, offset, in.sent)
	}
	in.acked = max(in.acked, offset)
	in.forget(in.acked)
	in.room.ring()
	return nil
}

// forget drops what is before offset. The caller has mu.
func (in *stdin) forget(offset int64) {
	if offset <= in.base {
		return
	}
	in.buf = append(in.buf[:0], in.buf[offset-in.base:]...)
	in.base = offset
}

var errStdinOffset = errors.New("stdin cannot go on where the server stands")

// attach begins a connection to a server that has received all before offset.
func (in *stdin) attach(offset, window int64) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if offset < in.base || offset > in.base+int64(len(in.buf)) {
		return fmt.Errorf("%w: %w (at %d; %d to %d are held)", ErrUntrue, errStdinOffset, offset, in.base, in.base+int64(len(in.buf)))
	}
	in.sent, in.told, in.window = offset, false, window
	in.forget(offset)
	in.ready.ring()
	in.room.ring()
	return nil
}

// reached is how much the server has for sure.
func (in *stdin) reached() int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.base
}
