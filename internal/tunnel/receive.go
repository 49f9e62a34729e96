package tunnel

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
)

// readBuffer joins the reads of small frames. It is well below a large frame's
// size, so that most of one is read straight into its chunk.
const readBuffer = 4 << 10

// chunk is a piece of what a stream has received. One holds the largest frame.
type chunk struct {
	next *chunk
	r, w int // what is between is unread
	b    [maxPayload]byte
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

func newChunk() *chunk {
	c := chunks.Get().(*chunk)
	c.next, c.r, c.w = nil, 0, 0
	return c
}

// fill copies as much of p as there is room for.
func (c *chunk) fill(p []byte) int {
	n := copy(c.b[c.w:], p)
	c.w += n
	return n
}

// receiver is the half of a link that reads. Only Run's goroutine uses it.
type receiver struct {
	*Link
	from  *bufio.Reader
	words [headerSize + maxWords]byte // the header, then a payload that is no data
	chunk *chunk                      // for the next data
}

// read takes frames until the link has ended and the peer has finished too: a
// connection that is closed with something unread in it may lose our last word.
func (l *Link) read() {
	r := receiver{Link: l, from: bufio.NewReaderSize(l.conn, readBuffer), chunk: newChunk()}
	defer func() { chunks.Put(r.chunk) }()
	err := r.frame()
	for err == nil {
		err = r.frame()
	}
	var broke *ProtocolError
	isBroken := errors.As(err, &broke)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("tunnel: the connection ended without a word: %w", io.ErrUnexpectedEOF)
	}
	l.end(err, isBroken)
	if isBroken {
		_, _ = io.Copy(io.Discard, l.conn)
	}
}

// frame takes one frame.
func (r *receiver) frame() error {
	if _, err := io.ReadFull(r.from, r.words[:headerSize]); err != nil {
		return err
	}
	h, err := parseHeader(r.words[:headerSize])
	if err != nil {
		return err
	}
	if h.kind == frameData {
		return r.data(h)
	}
	payload := r.words[headerSize : headerSize+h.size]
	if _, err := io.ReadFull(r.from, payload); err != nil {
		return err
	}
	if h.kind == frameBye {
		return bye(h.code, payload)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil // the streams have ended; what the peer says to them is late
	}
	if h.kind == frameOpen {
		return r.open(h, string(payload))
	}
	return r.word(h, payload)
}

// data takes a payload and gives it to its stream. Whoever waits for an echo goes on
// before what has come behind it is looked at.
func (r *receiver) data(h header) error {
	if _, err := io.ReadFull(r.from, r.chunk.b[:h.size]); err != nil {
		return err
	}
	class, err := r.give(h)
	if class == Interactive && h.size <= small {
		runtime.Gosched()
	}
	return err
}

// give gives what is in r.chunk to its stream, and says of which class that is.
func (r *receiver) give(h header) (Class, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return 0, nil
	}
	s := r.streams[h.id]
	if s == nil || !s.accepted || s.gotEnd {
		return 0, broken("data", h.id)
	}
	r.stats.BytesIn += uint64(h.size)
	r.chunk.r, r.chunk.w = 0, h.size
	taken, err := s.receive(r.chunk)
	if taken {
		r.chunk = newChunk()
	}
	return s.class, err
}

func broken(what string, id uint32) error {
	return &ProtocolError{fmt.Sprintf("%s for stream %d, which has no place for it", what, id)}
}

// open makes an offer of a stream that the peer asks for, or refuses it. r.mu is
// held, as in what follows.
func (r *receiver) open(h header, target string) error {
	class := Class(h.code)
	if class.window() == 0 {
		return &ProtocolError{fmt.Sprintf("a stream of the unknown class %d", h.code)}
	}
	if h.id&1 == r.role.first()&1 || h.id <= r.lastID {
		return broken("open", h.id)
	}
	r.lastID = h.id
	if len(r.streams) >= MaxStreams || len(r.offers) == cap(r.offers) {
		r.stats.Opened++
		r.stats.Closed++
		r.refuse(h.id, ErrBusy)
		return nil
	}
	s := newStream(r.Link, h.id, class, target)
	r.add(s)
	r.offers <- &Offer{Target: target, Class: class, stream: s} // has room: nobody else sends
	return nil
}

// word takes a frame that tells a stream something.
func (r *receiver) word(h header, payload []byte) error {
	s := r.streams[h.id]
	if s == nil {
		return r.late(h)
	}
	switch h.kind {
	case frameAccept:
		return s.gotAccept()
	case frameRefuse:
		return s.gotRefuse(refusal(h.code, payload))
	case frameReset:
		return s.gotReset(reset(h.code, payload))
	}
	if !s.accepted && !s.sentEnd {
		return broken("a word before the answer", h.id)
	}
	switch h.kind {
	case frameCredit:
		return s.gotCredit(int(min(binary.BigEndian.Uint32(payload), 1<<30)))
	case frameFin:
		return s.gotFin()
	default:
		s.gotStop()
		return nil
	}
}

// late judges a frame for a stream that is not: to one that has ended, credit,
// stop and reset may have been on their way.
func (r *receiver) late(h header) error {
	was := h.id <= r.lastID
	if h.id&1 == r.role.first()&1 {
		was = h.id < r.nextID
	}
	if was && (h.kind == frameCredit || h.kind == frameStop || h.kind == frameReset) {
		return nil
	}
	return broken("a word", h.id)
}

func (s *Stream) ours() bool { return s.id&1 == s.link.role.first()&1 }

func (s *Stream) gotAccept() error {
	if !s.ours() || s.accepted {
		return broken("accept", s.id)
	}
	s.accepted = true
	s.answer()
	return nil
}

// gotRefuse ends a stream that never was.
func (s *Stream) gotRefuse(err error) error {
	if !s.ours() || s.accepted {
		return broken("refuse", s.id)
	}
	s.link.stats.Refused++
	s.fail(err)
	s.sentEnd, s.gotEnd = true, true
	s.link.settle(s)
	return nil
}

// gotReset ends both directions at once, an offer too.
func (s *Stream) gotReset(err error) error {
	if s.ours() && !s.accepted {
		return broken("reset", s.id)
	}
	s.fail(err)
	s.gotEnd = true
	s.sendEnd()
	return nil
}

func (s *Stream) gotCredit(n int) error {
	if n == 0 || n > s.class.window()-s.credit {
		return &ProtocolError{fmt.Sprintf("%d bytes of credit for stream %d, which are more than were used", n, s.id)}
	}
	s.credit += n
	s.link.enqueue(s)
	return nil
}

func (s *Stream) gotFin() error {
	if s.gotEnd {
		return broken("fin", s.id)
	}
	s.gotEnd = true
	s.endReads(io.EOF, false)
	s.link.settle(s)
	return nil
}

// gotStop ends the writes of a stream whose peer has closed it.
func (s *Stream) gotStop() {
	s.endWrites(&net.OpError{Op: "write", Net: network, Addr: s.RemoteAddr(), Err: syscall.EPIPE})
	s.sendEnd()
}
