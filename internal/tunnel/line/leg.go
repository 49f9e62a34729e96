package line

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// readSize is what a leg reads ahead; what fills more goes past it.
const readSize = 16 << 10

// leg is one carrier of a line.
type leg struct {
	nc   net.Conn
	lead interface { // nil where the carrier cannot
		WriteLead(lead, p []byte) (int, error)
	}
	born  time.Time
	heard atomic.Int64 // when bytes last came, in nanoseconds since born

	// For whoever has the turn to read.
	buf      []byte
	pos, end int
	left     int // bytes of the present DATA still to come

	// For whoever has the turn to push, or had it last.
	scratch []byte
	heads   [maxLead]byte

	// Guarded by the Conn's mu.
	pushing     bool   // somebody has the turn
	direct      bool   // and it is a Write without a deadline
	sent, taken uint64 // the line's bytes up to here were written, or are being
	due         []byte // records that go first
	watch, beat *time.Timer
}

// maxLead is an ACK and a header.
const maxLead = 2*headSize + 8

func newLeg(nc net.Conn) *leg {
	l := &leg{nc: nc, born: time.Now(), buf: make([]byte, readSize)}
	l.lead, _ = nc.(interface {
		WriteLead(lead, p []byte) (int, error)
	})
	return l
}

// kill closes the carrier without waiting for anybody.
func (l *leg) kill() {
	switch nc := l.nc.(type) {
	case interface{ Abort() error }:
		_ = nc.Abort()
	case *tls.Conn:
		_ = nc.NetConn().Close() // TLS would wait to say goodbye
	default:
		_ = nc.Close()
	}
}

// silence is how long nothing has come.
func (l *leg) silence() time.Duration {
	return time.Since(l.born) - time.Duration(l.heard.Load())
}

// write sends head and p as one stretch.
func (l *leg) write(head, p []byte) error {
	var err error
	switch {
	case l.lead != nil:
		_, err = l.lead.WriteLead(head, p)
	case len(head) == 0:
		_, err = l.nc.Write(p)
	default:
		l.scratch = append(append(l.scratch[:0], head...), p...)
		_, err = l.nc.Write(l.scratch)
	}
	return err
}

// read returns bytes of DATA in p (k is data, n of them), or another record, whose
// payload is valid until the next read. After a timeout it may be called again.
func (l *leg) read(p []byte) (k kind, n int, payload []byte, err error) {
	if l.left == 0 {
		k, payload, err = l.next()
		if err != nil || k != data {
			return k, 0, payload, err
		}
	}
	n, err = l.take(p[:min(len(p), l.left)])
	l.left -= n
	return data, n, nil, err
}

// next takes a header, and all of a record that is no DATA.
func (l *leg) next() (kind, []byte, error) {
	if err := l.need(headSize); err != nil {
		return 0, nil, err
	}
	k, size, err := head(l.buf[l.pos:])
	if err != nil {
		return 0, nil, err
	}
	if k == data {
		l.pos += headSize
		l.left = size
		return k, nil, nil
	}
	if err := l.need(headSize + size); err != nil {
		return 0, nil, err
	}
	payload := l.buf[l.pos+headSize : l.pos+headSize+size]
	l.pos += headSize + size
	return k, payload, nil
}

// take is what is buffered, or what one read of the carrier gives.
func (l *leg) take(p []byte) (int, error) {
	if l.pos == l.end {
		if len(p) >= len(l.buf) {
			return l.receive(p)
		}
		if err := l.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.buf[l.pos:l.end])
	l.pos += n
	return n, nil
}

// need has n bytes in the buffer, at most a control record.
func (l *leg) need(n int) error {
	for l.end-l.pos < n {
		if err := l.fill(); err != nil {
			return err
		}
	}
	return nil
}

func (l *leg) fill() error {
	l.end = copy(l.buf, l.buf[l.pos:l.end])
	l.pos = 0
	n, err := l.receive(l.buf[l.end:])
	l.end += n
	return err
}

// receive is one read of the carrier: bytes or an error, never both, never none.
func (l *leg) receive(p []byte) (int, error) {
	for range 100 {
		n, err := l.nc.Read(p)
		if n > 0 {
			l.heard.Store(int64(time.Since(l.born)))
			return n, nil // an error stays, and comes again
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// answer is the record of a handshake that must come now: want, or the peer's REFUSED,
// or the END of a line that lived no longer than that.
func (l *leg) answer(want kind) ([]byte, error) {
	k, payload, err := l.next()
	switch {
	case err != nil:
		return nil, err
	case k == refused || k == end && want == welcome:
		word, err := parseWord(payload)
		if err != nil {
			return nil, err
		}
		return nil, word
	case k != want:
		return nil, fmt.Errorf("%w: a record of kind %d in a handshake", ErrRule, k)
	}
	return payload, nil
}
