// Package tunnel carries many streams over one connection.
//
// A Link is one end of a connection, a Stream one of its streams: a net.Conn
// with real deadlines, half-close and reset. Either end opens streams; the other
// accepts or refuses each, and says why. The package knows no TLS, WebSocket,
// HTTP or Kubernetes. It does not find out whether the peer still lives, and it
// does not come back: both belong to the connection below
// (internal/tunnel/line).
//
// Link.Run owns the goroutines, one that reads and one that writes, and the
// connection, which it closes. An idle stream has neither goroutine nor buffer.
//
// What is guaranteed:
//   - A stream that nobody reads costs its window (Class) and stops no other.
//   - A small write goes ahead of all large ones, of its own stream apart: it waits
//     for no more than what is being written, 16 KiB at most.
//   - All that comes from the peer is bounded: streams, offers that nobody took,
//     frames, words, and what waits to be sent because the peer does not read. A
//     peer that breaks a rule ends the link, with a ProtocolError here and its
//     words there.
//   - When the link ends, all of its streams end at once, with its cause.
package tunnel

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Class is how much of a stream may be on its way unread, in each direction.
type Class uint8

const (
	// Interactive is for what somebody waits for: 64 KiB, and half of that while
	// somebody types at this end. That is little on purpose: what is on its way
	// stands before the next echo.
	Interactive Class = iota + 1
	// Bulk is for copies: 1 MiB.
	Bulk
)

// window is in bytes; 0 of what is no class.
func (c Class) window() int {
	switch c {
	case Interactive:
		return 64 << 10
	case Bulk:
		return 1 << 20
	}
	return 0
}

// Role tells the two ends of a link apart.
type Role uint8

const (
	// Server opens streams with odd ids.
	Server Role = iota + 1
	// Agent opens streams with even ids.
	Agent
)

// first is the first id that the role opens.
func (r Role) first() uint32 { return uint32(r) }

const (
	// MaxStreams is how many streams of one link are open at a time, of both
	// ends together. More are refused with ErrBusy.
	MaxStreams = 4096
	// maxOffers is how many of them may wait for Accept.
	maxOffers = 256
	// closing is how long an ended link waits for the peer to take its last
	// word and to hang up.
	closing = time.Second
	// typingFor is how long somebody is taken to type after a keystroke.
	typingFor = 2 * time.Second
)

// Stats count what a link has done since its start.
type Stats struct {
	Opened   uint64 // streams, by either end, offers included
	Closed   uint64 // of these: ended at both ends
	Open     int    // Opened − Closed
	Refused  uint64 // of these: refused, by either end
	BytesIn  uint64 // payload of streams
	BytesOut uint64
}

// Link is one end of a connection that carries streams. Its methods may be
// called from any goroutine.
type Link struct {
	conn   net.Conn
	role   Role
	offers chan *Offer
	done   chan struct{} // closed when err is set
	born   time.Time
	keyed  atomic.Int64 // when somebody last typed, in nanoseconds since born

	mu      sync.Mutex // before any Stream.rmu
	work    sync.Cond  // something is to be sent, or the link has ended
	err     error      // why it ended
	streams map[uint32]*Stream
	nextID  uint32 // that this end opens
	lastID  uint32 // that the peer opened
	stats   Stats
	out     outbox
	hangUp  *time.Timer   // closes conn some time after the link has ended
	hungUp  chan struct{} // closed when it did
}

// New makes a link of conn, which it owns from now on. It starts nothing:
// nothing moves until Run.
func New(conn net.Conn, role Role) *Link {
	l := &Link{
		conn:    conn,
		role:    role,
		offers:  make(chan *Offer, maxOffers),
		done:    make(chan struct{}),
		born:    time.Now(),
		streams: map[uint32]*Stream{},
		nextID:  role.first(),
	}
	l.work.L = &l.mu
	l.keyed.Store(-int64(typingFor))
	return l
}

// Run carries the streams until ctx is done, Close is called, the peer closes
// the link or breaks the protocol, or the connection ends. It says why: ctx's
// cause, Close's cause, a RemoteError, a ProtocolError, or the connection's
// error. When it returns every stream has ended and conn is closed. It is called
// once.
func (l *Link) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { l.Close(context.Cause(ctx)) })()
	var writing sync.WaitGroup
	writing.Go(l.write)
	l.read()
	writing.Wait()
	_ = l.conn.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hangUp != nil && !l.hangUp.Stop() {
		<-l.hungUp // it needs no lock
	}
	return l.err
}

// Close ends the link and all of its streams, with cause (nil: ErrClosed), at
// once. Of what they had written, what was not yet sent is dropped. It does not wait: Run returns when the peer has been told, or after a
// second. The peer's streams end with a RemoteError that has the words of cause.
func (l *Link) Close(cause error) {
	if cause == nil {
		cause = ErrClosed
	}
	l.end(cause, true)
}

// Done is closed when the link has ended.
func (l *Link) Done() <-chan struct{} { return l.done }

// Err is why the link has ended, nil while it has not.
func (l *Link) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Stats are the link's counters at this moment.
func (l *Link) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Open = len(l.streams)
	return s
}

// Open asks the peer for a stream to target (at most 255 bytes, for the peer to
// understand) and waits for the answer. A refusal is a RemoteError. ctx bounds the
// wait alone, not the stream.
func (l *Link) Open(ctx context.Context, class Class, target string) (*Stream, error) {
	s, err := l.offer(class, target)
	if err != nil {
		return nil, err
	}
	select {
	case <-s.answered:
	case <-ctx.Done():
		s.Reset(context.Cause(ctx))
		return nil, context.Cause(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.answered = nil
	if !s.accepted {
		return nil, s.werr
	}
	return s, nil
}

// offer puts the request for a stream on its way.
func (l *Link) offer(class Class, target string) (*Stream, error) {
	if len(target) > maxTarget {
		return nil, errTarget
	}
	if class.window() == 0 {
		return nil, fmt.Errorf("tunnel: no class %d", class)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	if len(l.streams) >= MaxStreams {
		return nil, ErrBusy
	}
	id := l.nextID
	if id+2 < id {
		return nil, fmt.Errorf("tunnel: this link has no ids left: %w", ErrBusy)
	}
	l.nextID = id + 2
	s := newStream(l, id, class, target)
	s.answered = make(chan struct{})
	l.add(s)
	l.control(appendFrame(l.out.urgent, frameOpen, uint8(class), id, target))
	return s, nil
}

// typed notes that something small was written to s. Who opened a stream of what
// somebody waits for types there; the other end answers.
func (l *Link) typed(s *Stream) {
	if s.class == Interactive && s.ours() {
		l.keyed.Store(int64(time.Since(l.born)))
	}
}

// typing reports whether somebody types at this end, on any stream.
func (l *Link) typing() bool {
	return time.Since(l.born)-time.Duration(l.keyed.Load()) < typingFor
}

// add makes s one of the link's streams. l.mu is held.
func (l *Link) add(s *Stream) {
	l.streams[s.id] = s
	l.stats.Opened++
}

// settle forgets s once both ends have said their last. l.mu is held.
func (l *Link) settle(s *Stream) {
	if !s.sentEnd || !s.gotEnd || l.streams[s.id] != s {
		return
	}
	delete(l.streams, s.id)
	l.stats.Closed++
}

// Accept waits for a stream that the peer asks for. It fails with ctx's cause,
// or with the link's when that has ended.
func (l *Link) Accept(ctx context.Context) (*Offer, error) {
	for {
		select {
		case o := <-l.offers:
			if o.stands() {
				return o, nil
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-l.done:
			return nil, l.Err()
		}
	}
}

// Offer is a stream that the peer asks for. Whoever got it answers it once.
type Offer struct {
	Target string
	Class  Class
	stream *Stream
}

// stands reports whether the peer still waits for the answer.
func (o *Offer) stands() bool {
	l := o.stream.link
	l.mu.Lock()
	defer l.mu.Unlock()
	return o.stream.werr == nil
}

// Accept opens the stream. Where the peer has changed its mind meanwhile, or the
// link has ended, the stream is one that has ended.
func (o *Offer) Accept() *Stream {
	s := o.stream
	l := s.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.werr == nil {
		s.accepted = true
		l.control(appendFrame(l.out.urgent, frameAccept, 0, s.id, ""))
	}
	return s
}

// Refuse tells the peer that the stream cannot be, and why.
func (o *Offer) Refuse(err error) {
	s := o.stream
	l := s.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.werr == nil {
		s.werr = net.ErrClosed
		l.refuse(s.id, err)
		s.sentEnd, s.gotEnd = true, true
		l.settle(s)
	}
}

// refuse answers an offer. l.mu is held.
func (l *Link) refuse(id uint32, err error) {
	l.stats.Refused++
	l.control(appendFrame(l.out.urgent, frameRefuse, codeOf(err), id, wordsOf(err)))
}

// end ends the link, once, and each stream with it. Where tell is set the peer
// gets the cause as the last frame, and some time to take it; else the connection
// is closed, which ends Run's other half.
func (l *Link) end(cause error, tell bool) {
	l.mu.Lock()
	l.endLocked(cause, tell)
	l.mu.Unlock()
	if !tell {
		_ = l.conn.Close()
	}
}

// endLocked is end but for closing the connection at once.
func (l *Link) endLocked(cause error, tell bool) {
	if l.err != nil {
		return
	}
	l.err = cause
	close(l.done) // before any stream fails: who meets that asks whether it was the link
	for _, s := range l.streams {
		s.fail(cause)
		s.sentEnd, s.gotEnd = true, true
		l.settle(s)
	}
	l.out.drop()
	if tell {
		l.out.urgent = appendFrame(l.out.urgent, frameBye, codeOf(cause), 0, wordsOf(cause))
		l.hungUp = make(chan struct{})
		l.hangUp = time.AfterFunc(closing, func() {
			_ = l.conn.Close()
			close(l.hungUp)
		})
	}
	l.work.Signal()
}
