package tunnel

import "runtime"

const (
	// small is what one stream may have sent ahead of the large writes, in each
	// write to the connection: a keystroke, its echo, a request.
	small = 1 << 10
	// Room is what HasRoom promises, in bytes: a keystroke with what is due beside it.
	Room = small / 2
	// maxSmall is where small writes of many streams begin to wait like large
	// ones.
	maxSmall = 8 << 10
	// leastPiece is what a large write must find room for behind the small ones.
	leastPiece = 2 << 10
	// maxUrgent is how much may wait to be sent that the peer's own frames have
	// caused. A peer that takes nothing and asks for more comes here; the most
	// that an honest one causes, when MaxStreams are opened and reset with long
	// words while the connection stands still, is half of it; what HasRoom has
	// promised as many streams is at most the other.
	maxUrgent = 4 << 20
	// kept is how large a buffer the link keeps for the next frames.
	kept = 32 << 10
)

// outbox is what waits to be sent. Link.mu guards it.
type outbox struct {
	urgent []byte   // whole frames: answers, credit, ends, small writes
	spare  []byte   // what urgent was, and will be again
	large  [2]queue // streams with a write pending and credit for it, by class
	turn   int      // whose turn it is in large
	rest   int      // how long urgent was when the end of a large write was put there; else 0
	batch  uint32   // counts the writes to the connection
}

// drop empties it.
func (o *outbox) drop() {
	o.urgent = o.urgent[:0]
	o.large = [2]queue{}
}

func (o *outbox) empty() bool {
	return len(o.urgent) == 0 && o.large[0].head == nil && o.large[1].head == nil
}

// queue is a list of streams that take turns.
type queue struct{ head, tail *Stream }

// put adds s behind the others, unless it stands there already.
func (q *queue) put(s *Stream) {
	if s.queued {
		return
	}
	s.queued = true
	if q.tail == nil {
		q.head = s
	} else {
		q.tail.next = s
	}
	q.tail = s
}

func (q *queue) take() *Stream {
	s := q.head
	if s == nil {
		return nil
	}
	q.head, s.next, s.queued = s.next, nil, false
	if q.head == nil {
		q.tail = nil
	}
	return s
}

// next takes the stream whose turn it is. The classes take turns too, so that
// sixteen copies do not make a shell wait for sixteen frames.
func (o *outbox) next() *Stream {
	for range o.large {
		o.turn ^= 1
		for s := o.large[o.turn].take(); s != nil; s = o.large[o.turn].take() {
			if len(s.pending) > 0 && s.credit > 0 && s.werr == nil { // else its Write was given up
				return s
			}
		}
	}
	return nil
}

// control makes urgent, to which a frame was appended, what is sent next. l.mu
// is held.
func (l *Link) control(urgent []byte) {
	if l.err != nil {
		return
	}
	l.out.urgent = urgent
	if len(urgent) > maxUrgent {
		l.endLocked(&ProtocolError{"it asks for answers and reads none"}, true)
		return
	}
	l.work.Signal()
}

// enqueue lets s take its turn with what it has pending. l.mu is held.
func (l *Link) enqueue(s *Stream) {
	if len(s.pending) > 0 && s.credit > 0 {
		l.out.large[s.class-Interactive].put(s)
		l.work.Signal()
	}
}

// putSmall sends p ahead of large writes, if s may; there is nothing to wait for
// then. s has nothing else pending. l.mu is held.
func (l *Link) putSmall(s *Stream, p []byte) bool {
	if len(p) <= s.promised {
		s.promised -= len(p)
	} else if s.promised = 0; !l.hasRoom(s, len(p)) {
		return false
	}
	s.ahead += len(p)
	l.out.urgent = l.appendData(l.out.urgent, s, p)
	l.work.Signal()
	return true
}

// hasRoom reports whether n bytes of s may go ahead. l.mu is held.
func (l *Link) hasRoom(s *Stream, n int) bool {
	if s.batch != l.out.batch {
		s.batch, s.ahead = l.out.batch, 0
	}
	return n <= small-s.ahead && n <= s.credit && len(l.out.urgent) <= maxSmall
}

// appendData makes a frame of p, for which there is credit. l.mu is held.
func (l *Link) appendData(b []byte, s *Stream, p []byte) []byte {
	s.credit -= len(p)
	l.stats.BytesOut += uint64(len(p))
	return appendFrame(b, frameData, 0, s.id, p)
}

// write sends until the link has ended and the last word is out.
func (l *Link) write() {
	for {
		b, last := l.batch()
		if len(b) > 0 {
			if _, err := l.conn.Write(b); err != nil {
				l.end(err, false)
				return
			}
		}
		if last {
			return
		}
	}
}

// batch waits for work and takes what goes out in one write: all that is urgent,
// and one piece of a large write where there is room behind.
func (l *Link) batch() (b []byte, last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.out.empty() && l.err == nil {
		l.work.Wait()
	}
	l.linger()
	o := &l.out
	b = o.urgent
	o.urgent, o.spare, o.rest = o.spare[:0], nil, 0
	o.batch++
	if room := maxPayload - len(b); room >= leastPiece {
		if s := o.next(); s != nil {
			b = l.appendPiece(b, s, room)
		}
	}
	if cap(b) <= kept {
		o.spare = b
	}
	return b, l.err != nil
}

// linger lets others run where all that is to be sent is the end of a large write:
// whoever wrote that has mostly more at hand, which then goes out with it. l.mu is
// held, but for that moment.
func (l *Link) linger() {
	o := &l.out
	if o.rest == 0 || len(o.urgent) != o.rest || o.large[0].head != nil || o.large[1].head != nil {
		return
	}
	l.mu.Unlock()
	runtime.Gosched()
	l.mu.Lock()
}

// appendPiece takes at most room bytes of what s has pending. Its Write goes on
// when the last of it was taken; it need not wait until it is written. A rest that is
// small is taken too, as the next small write: a reader of TLS writes 16 KiB at a
// time, and what does not fit beside the headers would cost a write of its own, while
// so the next piece mostly comes in time to share it. l.mu is held.
func (l *Link) appendPiece(b []byte, s *Stream, room int) []byte {
	n := min(len(s.pending), s.credit, room)
	b = l.appendData(b, s, s.pending[:n])
	s.pending = s.pending[n:]
	if rest := s.pending; len(rest) > 0 && l.putSmall(s, rest) {
		s.pending, l.out.rest = nil, len(l.out.urgent)
	}
	if len(s.pending) == 0 {
		s.writable.Signal()
		return b
	}
	l.enqueue(s)
	return b
}
