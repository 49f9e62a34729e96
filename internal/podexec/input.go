package podexec

import (
	"bytes"
	"sync"
)

const (
	// maxStdinWrite is how much stdin is handed to the container in one piece.
	maxStdinWrite = 32 << 10
	// maxBacklog is how much of a v2 client's stdin may wait: a window for each
	// client that has come back, while the program reads nothing.
	maxBacklog = 1 << 20
)

// input is the queue of stdin between a client and a container. One goroutine
// fills it (push), one empties it (take, handed).
type input struct {
	ready notice // rung when take may find something
	room  notice // rung when bytes have been handed on

	mu       sync.Mutex
	queue    []byte
	eof      bool
	eofDone  bool
	received int64 // bytes that came from the client
	done     int64 // bytes handed to the container's stream
	base     int64 // bytes that came before the present client did
}

func newInput() *input { return &input{ready: newNotice(), room: newNotice()} }

// push appends p, which is copied. With a limit it refuses what would leave
// more than limit bytes of this client's not handed on: it broke its window.
func (in *input) push(p []byte, limit int64) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := int64(len(p))
	if limit > 0 && (in.received-max(in.done, in.base)+n > limit || in.received-in.done+n > maxBacklog) {
		return false
	}
	in.received += int64(len(p))
	if !in.eof {
		in.queue = append(in.queue, p...)
		in.ready.ring()
	} else {
		in.done += int64(len(p)) // after its own eof: nothing takes it
	}
	return true
}

// comeBack begins with another client. It returns how much came before it, and how
// much of that is with the container's stream.
func (in *input) comeBack() (received, done int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.base = in.received
	return in.received, in.done
}

// idle reports whether nothing waits or is being handed on, nor ever will be
// refused. Only push changes that, and its goroutine asks.
func (in *input) idle() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.received == in.done && !in.eof
}

// passed counts n bytes that went to the container's stream beside the queue,
// and returns the offset that they reach.
func (in *input) passed(n int) int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.received += int64(n)
	in.done += int64(n)
	return in.done
}

// closeWrite marks the end of stdin.
func (in *input) closeWrite() {
	in.mu.Lock()
	in.eof = true
	in.mu.Unlock()
	in.ready.ring()
}

// take moves the next bytes into p and returns how many; eof is true once, when
// the end of stdin has been reached.
func (in *input) take(p []byte) (n int, eof bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	n = copy(p, in.queue)
	in.queue = in.queue[n:]
	if len(in.queue) == 0 {
		in.queue = nil // an idle session holds no memory for stdin
	}
	eof = n == 0 && len(in.queue) == 0 && in.eof && !in.eofDone // p may be empty
	in.eofDone = in.eofDone || eof
	return n, eof
}

// handed says that n bytes are with the container's stream and returns the
// offset that they reach.
func (in *input) handed(n int) int64 {
	in.mu.Lock()
	in.done += int64(n)
	done := in.done
	in.mu.Unlock()
	in.room.ring()
	return done
}

// waiting is how many bytes have not been handed on.
func (in *input) waiting() int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.received - in.done
}

// total is the number of bytes that came from the client.
func (in *input) total() int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.received
}

// interrupts reports whether p holds a byte that a terminal turns into a
// signal: ^C, ^Z or ^\.
func interrupts(p []byte) bool {
	return bytes.ContainsAny(p, "\x03\x1a\x1c")
}
