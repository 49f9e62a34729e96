package wsframe

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"unicode/utf8"
)

// Reader reads the messages of a peer. It belongs to one goroutine.
type Reader struct {
	src     Source
	control func(op Opcode, payload []byte)
	client  bool // the peer is one: it masks its frames
	text    bool // the peer may send text

	buf      []byte
	pos, end int   // buf[pos:end] is read and not yet taken
	err      error // why src gives no more; told once buf is empty

	left uint64 // payload of the present data frame still to be taken
	fin  bool   // the present data frame is its message's last
	open bool   // a message has begun and its end has not been told
	kind Opcode // of that message
	key  uint32 // mask of the present data frame; its lowest byte masks the next
}

// NewReader reads a server's frames from src: binary messages alone, since an
// exec stream knows no text. Pings and pongs go to control, in the middle of a
// Read; payload is valid during that call only.
func NewReader(src Source, control func(op Opcode, payload []byte)) *Reader {
	return &Reader{src: src, control: control, buf: make([]byte, ServerAhead)}
}

// NewTextReader is NewReader for a server that also sends text.
func NewTextReader(src Source, control func(op Opcode, payload []byte)) *Reader {
	return &Reader{src: src, control: control, text: true, buf: make([]byte, ServerAhead)}
}

// NewClientReader is NewReader for a client's frames, binary and text.
func NewClientReader(src Source, control func(op Opcode, payload []byte)) *Reader {
	return &Reader{src: src, control: control, client: true, text: true, buf: make([]byte, ClientAhead)}
}

// NewStreamReader reads binary messages alone, from a client or a server, and
// reads up to ahead bytes ahead, at least ClientAhead. A source's timeout
// (os.ErrDeadlineExceeded) ends one Read and not the stream.
func NewStreamReader(src Source, control func(op Opcode, payload []byte), fromClient bool, ahead int) *Reader {
	return &Reader{src: src, control: control, client: fromClient, buf: make([]byte, max(ahead, ClientAhead))}
}

// Kind is Binary or Text, for the message that Read gave bytes or an end of last.
func (r *Reader) Kind() Opcode { return r.kind }

// Read takes payload bytes of the present message, or of the next one where
// that has ended, and reports end with a message's last bytes (which may be
// none). It never joins messages. Payload that fills the buffer goes from the
// source into p without touching it. With wait false it returns ErrWouldWait
// rather than wait, and may be called again. A close frame is a *CloseError, a
// broken rule a ProtocolError, and both stay.
func (r *Reader) Read(p []byte, wait bool) (n int, end bool, err error) {
	for r.left == 0 {
		if r.open && r.fin {
			r.open = false
			return 0, true, nil
		}
		if err := r.nextFrame(wait); err != nil {
			return 0, false, err
		}
	}
	n, err = r.payload(p, wait)
	r.key = unmask(p[:n], r.key)
	r.left -= uint64(n)
	if r.left == 0 && r.fin && n > 0 {
		r.open = false
		end = true
	}
	return n, end, err
}

// payload takes what one read of the source gives, or what is buffered.
func (r *Reader) payload(p []byte, wait bool) (int, error) {
	if uint64(len(p)) > r.left {
		p = p[:r.left]
	}
	if len(p) == 0 {
		return 0, nil
	}
	if r.pos == r.end {
		if len(p) >= len(r.buf) {
			return r.receive(p, wait)
		}
		if err := r.fill(wait); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buf[r.pos:r.end])
	r.pos += n
	return n, nil
}

// nextFrame takes one frame's header, and all of a control frame.
func (r *Reader) nextFrame(wait bool) error {
	if err := r.need(2, wait); err != nil {
		return err
	}
	b0, b1 := r.buf[r.pos], r.buf[r.pos+1]
	if rule := r.brokenRule(b0, b1); rule != "" {
		return r.fail(ProtocolError(rule))
	}
	op, fin := Opcode(b0&0x0f), b0&0x80 != 0
	if op >= Close {
		return r.controlFrame(op, int(b1&0x7f), wait)
	}
	if (op == Continuation) != r.open {
		return r.fail(ProtocolError("a message's frames out of order"))
	}
	size, err := r.length(b1, wait)
	if err != nil {
		return err
	}
	if op != Continuation {
		r.kind = op
	}
	r.left, r.fin, r.open = size, fin, true
	return nil
}

// brokenRule names the rule that a header's first two bytes break.
func (r *Reader) brokenRule(b0, b1 byte) string {
	op, fin, masked, size := Opcode(b0&0x0f), b0&0x80 != 0, b1&0x80 != 0, b1&0x7f
	switch {
	case b0&0x70 != 0:
		return "a frame with reserved bits, though no extension was agreed"
	case masked && !r.client:
		return "a masked frame, which only clients may"
	case !masked && r.client:
		return "a frame without a mask, which only servers may"
	case op == Text && !r.text:
		return "text, where only binary messages have a place"
	case op > Pong || op > Binary && op < Close:
		return "a frame of unknown kind"
	case op >= Close && !fin:
		return "a control frame in pieces"
	case op >= Close && size > MaxControl:
		return "a control frame that is too long"
	}
	return ""
}

// length takes the header of a data frame, mask included, and returns its
// payload's size.
func (r *Reader) length(b1 byte, wait bool) (uint64, error) {
	var size, least uint64
	head := 2
	switch b1 & 0x7f {
	case 126:
		head, least = 4, 126
	case 127:
		head, least = 10, 1<<16
	}
	if err := r.need(head+r.maskSize(), wait); err != nil {
		return 0, err
	}
	switch head {
	case 2:
		size = uint64(b1 & 0x7f)
	case 4:
		size = uint64(binary.BigEndian.Uint16(r.buf[r.pos+2:]))
	case 10:
		size = binary.BigEndian.Uint64(r.buf[r.pos+2:])
	}
	if size < least || size>>63 != 0 {
		return 0, r.fail(ProtocolError("a frame length that is not in its shortest form"))
	}
	r.pos += head
	r.key = r.mask()
	return size, nil
}

func (r *Reader) maskSize() int {
	if r.client {
		return 4
	}
	return 0
}

// mask takes a frame's key; a server's frames have none, which is a key of 0.
func (r *Reader) mask() uint32 {
	if !r.client {
		return 0
	}
	r.pos += 4
	return binary.LittleEndian.Uint32(r.buf[r.pos-4:])
}

// controlFrame takes a whole control frame; the buffer has room for the largest.
func (r *Reader) controlFrame(op Opcode, size int, wait bool) error {
	if err := r.need(2+r.maskSize()+size, wait); err != nil {
		return err
	}
	r.pos += 2
	key := r.mask()
	payload := r.buf[r.pos : r.pos+size]
	r.pos += size
	unmask(payload, key)
	if op == Close {
		return r.fail(closeError(payload))
	}
	r.control(op, payload)
	return nil
}

func closeError(payload []byte) error {
	if len(payload) == 0 {
		return &CloseError{Code: CloseNoStatus}
	}
	if len(payload) == 1 {
		return ProtocolError("a close frame of one byte")
	}
	e := &CloseError{Code: binary.BigEndian.Uint16(payload), Reason: string(payload[2:])}
	if e.Code < 1000 || e.Code >= 5000 || e.Code >= 1004 && e.Code <= 1006 || e.Code == 1015 {
		return ProtocolError("a close code that must not be sent")
	}
	if !utf8.ValidString(e.Reason) {
		return ProtocolError("a close reason that is not UTF-8")
	}
	return e
}

// fail makes err the last word of this reader.
func (r *Reader) fail(err error) error {
	r.pos, r.end, r.err = 0, 0, err
	return err
}

// need has n bytes in the buffer. What it got stays there when it has to give up.
func (r *Reader) need(n int, wait bool) error {
	for r.end-r.pos < n {
		if err := r.fill(wait); err != nil {
			if errors.Is(err, io.EOF) && r.end > r.pos {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// fill appends one read to the buffer.
func (r *Reader) fill(wait bool) error {
	if r.pos > 0 {
		r.end = copy(r.buf, r.buf[r.pos:r.end])
		r.pos = 0
	}
	n, err := r.receive(r.buf[r.end:], wait)
	r.end += n
	return err
}

// receive is one read of the source: bytes or an error, never both, never none.
func (r *Reader) receive(p []byte, wait bool) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	read := r.src.Poll
	if wait {
		read = r.src.Read
	}
	// A reader may return nothing now and then, but not for ever.
	for range 100 {
		n, err := read(p)
		if err != nil && !errors.Is(err, ErrWouldWait) && !errors.Is(err, os.ErrDeadlineExceeded) {
			r.err = err
		}
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, r.fail(io.ErrNoProgress)
}
