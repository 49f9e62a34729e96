package tunnel

import (
	"net"
	"os"
	"sync"
	"time"
)

const network = "tunnel"

// Addr names one end of a stream.
type Addr string

// Network is "tunnel".
func (Addr) Network() string { return network }

func (a Addr) String() string { return string(a) }

// Stream is a net.Conn over a link. Reads, writes, deadlines and ends may come
// from any goroutines. Its errors: io.EOF where the peer sends no more,
// net.ErrClosed after Close, os.ErrDeadlineExceeded, syscall.EPIPE for writes to a
// peer that has closed it, a RemoteError where the peer has reset it, and the
// link's cause.
//
// A Write returns when the link has taken the bytes, not when the peer has.
type Stream struct {
	link   *Link
	id     uint32
	class  Class
	target string

	writing  sync.Mutex // one Write at a time, so that their bytes do not mix
	answered chan struct{}

	// Guarded by link.mu.
	writable sync.Cond // pending was taken, werr was set, or the deadline has passed
	pending  []byte    // of the Write that waits
	next     *Stream   // in the queue
	credit   int       // bytes that the peer still takes
	ahead    int       // bytes sent ahead in the batch
	promised int       // bytes that HasRoom keeps a place for
	batch    uint32
	werr     error // why writes end
	wdl      deadline
	queued   bool
	accepted bool
	sentEnd  bool // our fin or reset is on its way
	gotEnd   bool // the peer's has come

	rmu        sync.Mutex // after link.mu
	readable   sync.Cond  // something came, rerr was set, or the deadline has passed
	head, tail *chunk     // received and unread
	window     int        // bytes that the peer may still send
	unreturned int        // bytes read for which the peer has no credit yet
	rerr       error      // why reads end, once nothing is left to read
	rdl        deadline
}

func newStream(l *Link, id uint32, class Class, target string) *Stream {
	s := &Stream{link: l, id: id, class: class, target: target, credit: class.window(), window: class.window()}
	s.writable.L = &l.mu
	s.readable.L = &s.rmu
	return s
}

// Target is what the stream was opened for.
func (s *Stream) Target() string { return s.target }

// LocalAddr is "tunnel": this end has no name.
func (s *Stream) LocalAddr() net.Addr { return Addr(network) }

// RemoteAddr is the target, at both ends.
func (s *Stream) RemoteAddr() net.Addr { return Addr(s.target) }

// SetDeadline sets both deadlines.
func (s *Stream) SetDeadline(t time.Time) error {
	_ = s.SetReadDeadline(t)
	return s.SetWriteDeadline(t)
}

// SetReadDeadline wakes the reads that wait when t has come. One that is moved
// lets them wait again.
func (s *Stream) SetReadDeadline(t time.Time) error {
	s.rdl.set(t, &s.readable)
	return nil
}

// SetWriteDeadline does the same for writes. What the link has taken by then is
// sent, and counted by Write.
func (s *Stream) SetWriteDeadline(t time.Time) error {
	s.wdl.set(t, &s.writable)
	return nil
}

// Read reads what came, in order.
func (s *Stream) Read(p []byte) (int, error) {
	n, returned, err := s.take(p)
	if returned > 0 {
		s.giveCredit(returned)
	}
	return n, err
}

// take waits for something to read. It says how much credit the peer is to be
// given.
func (s *Stream) take(p []byte) (n, returned int, err error) {
	s.rmu.Lock()
	defer s.rmu.Unlock()
	for {
		switch {
		case s.rdl.passed:
			return 0, 0, os.ErrDeadlineExceeded
		case s.head != nil:
			n = s.drain(p)
			if s.head != nil {
				s.readable.Signal() // for another Read that waits
			}
			return n, s.owed(n), nil
		case s.rerr != nil:
			return 0, 0, s.rerr
		case len(p) == 0:
			return 0, 0, nil
		}
		s.readable.Wait()
	}
}

// drain moves what is there into p. rmu is held, as in what follows.
func (s *Stream) drain(p []byte) (n int) {
	for c := s.head; c != nil && n < len(p); c = s.head {
		got := copy(p[n:], c.b[c.r:c.w])
		n += got
		c.r += got
		if c.r == c.w {
			s.dropHead()
		}
	}
	return n
}

func (s *Stream) dropHead() {
	c := s.head
	s.head = c.next
	if s.head == nil {
		s.tail = nil
	}
	chunks.Put(c)
}

// owed counts n bytes as read. The peer is told when they are half of the window as
// it is for now: the other half is on its way meanwhile.
func (s *Stream) owed(n int) int {
	s.unreturned += n
	kept := s.keeps()
	returned := s.unreturned - kept
	if returned < (s.class.window()-kept)/2 || s.rerr != nil {
		return 0
	}
	s.window += returned
	s.unreturned = kept
	return returned
}

// keeps is how much of its credit the peer is not given back for now.
func (s *Stream) keeps() int {
	if s.class == Interactive && s.link.typing() {
		return s.class.window() / 2
	}
	return 0
}

func (s *Stream) giveCredit(n int) {
	l := s.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.streams[s.id] == s && !s.gotEnd {
		l.control(appendCredit(l.out.urgent, s.id, n))
	}
}

// receive takes what has come in c, and c itself where it says so. link.mu is
// held.
func (s *Stream) receive(c *chunk) (taken bool, err error) {
	s.rmu.Lock()
	defer s.rmu.Unlock()
	n := c.w
	if n > s.window {
		return false, broken("data beyond its credit", s.id)
	}
	s.window -= n
	if s.rerr != nil {
		return false, nil // nobody will read it
	}
	s.readable.Signal()
	if s.tail != nil {
		c.r += s.tail.fill(c.b[:n])
	}
	if c.r == n {
		return false, nil
	}
	s.append(c)
	return true, nil
}

// append puts c behind the rest, its unread bytes first, so that all chunks but
// the last are full and a window costs little more than its bytes.
func (s *Stream) append(c *chunk) {
	c.w = copy(c.b[:], c.b[c.r:c.w])
	c.r, c.next = 0, nil
	if s.tail == nil {
		s.head = c
	} else {
		s.tail.next = c
	}
	s.tail = c
}

// Write sends p, in frames, as the peer gives credit.
func (s *Stream) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	l := s.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := s.writeEnd(); err != nil || len(p) == 0 {
		return 0, err
	}
	if l.putSmall(s, p) {
		l.typed(s)
		return len(p), nil
	}
	s.pending = p
	l.enqueue(s)
	for len(s.pending) > 0 && s.writeEnd() == nil {
		s.writable.Wait()
	}
	left := len(s.pending)
	s.pending = nil
	if left == 0 {
		return len(p), nil
	}
	return len(p) - left, s.writeEnd()
}

// HasRoom reports whether what is written from now on, Room bytes at most, surely
// does not wait. It keeps the place: nothing that other streams write meanwhile
// takes it.
func (s *Stream) HasRoom() bool {
	if !s.writing.TryLock() {
		return false
	}
	defer s.writing.Unlock()
	l := s.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.writeEnd() != nil || !l.hasRoom(s, Room) {
		return false
	}
	s.promised = Room
	return true
}

// writeEnd is why no more can be written. link.mu is held, as in what follows.
func (s *Stream) writeEnd() error {
	if s.werr != nil {
		return s.werr
	}
	if s.wdl.passed {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// endWrites lets writes fail with err, unless they do.
func (s *Stream) endWrites(err error) {
	if s.werr == nil {
		s.werr = err
	}
	s.wdl.stop()
	s.writable.Broadcast()
}

// endReads lets reads fail with err, unless they do: once all is read, or at
// once.
func (s *Stream) endReads(err error, atOnce bool) {
	s.rmu.Lock()
	defer s.rmu.Unlock()
	if s.rerr == nil || atOnce && s.rerr != net.ErrClosed { //nolint:errorlint // our own, unwrapped
		s.rerr = err
	}
	for atOnce && s.head != nil {
		s.dropHead()
	}
	if atOnce {
		s.rdl.stop()
	}
	s.readable.Broadcast()
}

// answer wakes Open.
func (s *Stream) answer() {
	if s.answered == nil {
		return
	}
	select {
	case <-s.answered:
	default:
		close(s.answered)
	}
}

// fail ends both directions at once.
func (s *Stream) fail(err error) {
	s.endWrites(err)
	s.endReads(err, true)
	s.answer()
}

// sendEnd tells the peer that no more comes, unless it was told.
func (s *Stream) sendEnd() {
	if !s.sentEnd {
		s.sentEnd = true
		s.link.control(appendFrame(s.link.out.urgent, frameFin, 0, s.id, ""))
	}
	s.link.settle(s)
}

// live reports whether the peer still has the stream.
func (s *Stream) live() bool { return s.link.streams[s.id] == s }

// CloseWrite tells the peer that no more comes, after what was written. Reads go
// on. A Write that waits ends with net.ErrClosed.
func (s *Stream) CloseWrite() error {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	if s.werr != nil {
		return s.werr
	}
	s.endWrites(net.ErrClosed)
	s.sendEnd()
	return nil
}

// Close ends both directions here. What was written reaches the peer; what it
// writes from now on fails there with syscall.EPIPE.
func (s *Stream) Close() error {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	s.fail(net.ErrClosed)
	if s.live() && !s.gotEnd {
		s.link.control(appendFrame(s.link.out.urgent, frameStop, 0, s.id, ""))
	}
	s.sendEnd()
	return nil
}

// Reset ends both directions at both ends, without regard to what is on its way.
// Reads and writes fail with cause here (nil: net.ErrClosed), with a RemoteError
// there.
func (s *Stream) Reset(cause error) {
	if cause == nil {
		cause = net.ErrClosed
	}
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	s.fail(cause)
	if s.live() {
		s.sentEnd = true
		s.link.control(appendFrame(s.link.out.urgent, frameReset, codeOf(cause), s.id, wordsOf(cause)))
		s.link.settle(s)
	}
}
