package line

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"time"
)

var (
	errSilent   = errors.New("the peer has gone silent")
	errStuck    = errors.New("a write deadline passed while the connection took nothing")
	errReplaced = errors.New("a newer connection has taken over")
)

// Conn is one end of a line.
type Conn struct {
	instance string
	id       [idSize]byte
	settings Settings
	again    func()          // dialling end: dials again; nil at the accepting end
	tell     func()          // told of each change of state; may be nil
	done     chan struct{}   // closed when the line has ended
	ctx      context.Context // ends with the line
	cancel   context.CancelCauseFunc
	said     chan struct{} // closed when the peer knows, or was given up

	mu            sync.Mutex
	changed       *sync.Cond // anything below that somebody may wait for
	leg           *leg       // nil while there is none
	local, remote net.Addr   // of the newest leg
	ended         error
	grace         *time.Timer
	status        Status

	reading, writing bool // somebody has the turn
	readBy, writeBy  deadline
	received, told   uint64 // counts of what was read, and of what the peer knows of it
	out              replay
	farthest         uint64 // what any leg has taken
}

var _ net.Conn = (*Conn)(nil)

func newConn(instance string, id [idSize]byte, s Settings) *Conn {
	c := &Conn{instance: instance, id: id, settings: s, done: make(chan struct{}), said: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.changed = sync.NewCond(&c.mu)
	return c
}

// Done is closed when the line has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is why the line has ended, nil while it lives.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// Instance is the dialling end's, as it names itself.
func (c *Conn) Instance() string { return c.instance }

// Status is the line as it is now.
func (c *Conn) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	s.Sent, s.Received, s.Unacknowledged = c.out.end, c.received, int(c.out.end-c.out.start)
	return s
}

// LocalAddr is that of the newest carrier.
func (c *Conn) LocalAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.local
}

// RemoteAddr is that of the newest carrier.
func (c *Conn) RemoteAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.remote
}

// turn waits until nobody has it and takes it.
func (c *Conn) turn(busy *bool, by *deadline) error {
	for {
		switch {
		case c.ended != nil:
			return c.ended
		case by.err() != nil:
			return by.err()
		case !*busy:
			*busy = true
			return nil
		}
		c.changed.Wait()
	}
}

func (c *Conn) yield(busy *bool) {
	*busy = false
	c.changed.Broadcast()
}

// Read reads from the carrier, or waits for the next one. After the peer's Close it
// is io.EOF; any other end of the line is its Err.
func (c *Conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.turn(&c.reading, &c.readBy); err != nil {
		return 0, forReader(err)
	}
	defer c.yield(&c.reading)
	for len(p) > 0 {
		switch {
		case c.ended != nil:
			return 0, forReader(c.ended)
		case c.readBy.err() != nil:
			return 0, c.readBy.err()
		case c.leg == nil:
			c.changed.Wait()
			continue
		}
		if n := c.readLeg(c.leg, p); n > 0 {
			return n, nil
		}
	}
	return 0, nil
}

// forReader makes the usual end of a plain goodbye.
func forReader(err error) error {
	var word *PeerError
	if errors.As(err, &word) && word.Code == "closed" && word.Words == "" {
		return io.EOF
	}
	return err
}

// readLeg is one read of l, without the lock. What it gives is only counted while l
// is the line's leg: else the peer has been told that it is missing, and sends it
// again.
func (c *Conn) readLeg(l *leg, p []byte) int {
	c.mu.Unlock()
	k, n, payload, err := l.read(p)
	c.mu.Lock()
	switch {
	case c.leg != l || errors.Is(err, os.ErrDeadlineExceeded):
		return 0
	case errors.Is(err, ErrRule):
		c.finish(err, err)
		return 0
	case err != nil:
		c.lose(l, err)
		return 0
	case k != data:
		c.control(l, k, payload)
		return 0
	}
	c.received += uint64(n)
	if c.received-c.told >= ackEvery && !l.pushing {
		c.handOver(l)
	}
	return n
}

// control takes a record that is no DATA.
func (c *Conn) control(l *leg, k kind, payload []byte) {
	switch k {
	case ack, ping:
		count := binary.BigEndian.Uint64(payload)
		if count > l.taken {
			err := fmt.Errorf("%w: it acknowledges byte %d of %d", ErrRule, count, l.taken)
			c.finish(err, err)
			return
		}
		c.out.acknowledge(count)
		c.changed.Broadcast()
	case end:
		word, err := parseWord(payload)
		if err != nil {
			c.finish(err, err)
			return
		}
		c.finish(word, nil)
	default:
		err := fmt.Errorf("%w: a record of kind %d after the handshake", ErrRule, k)
		c.finish(err, err)
	}
}

// Write returns when a carrier has taken p. The bytes that it counts reach the peer
// unless the line ends.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.turn(&c.writing, &c.writeBy); err != nil {
		return 0, err
	}
	defer c.yield(&c.writing)
	for n < len(p) {
		m := c.out.append(p[n:])
		n += m
		if err := c.passed(m > 0); err != nil {
			if n == len(p) && errors.Is(err, os.ErrDeadlineExceeded) {
				return n, nil // all of it is kept, and goes its way
			}
			return n, err
		}
	}
	return n, nil
}

// passed waits until a leg has sent all that is kept; or, where nothing more could be
// kept, until that may be tried again.
func (c *Conn) passed(kept bool) error {
	for until := c.out.end; ; {
		l := c.leg
		switch {
		case c.ended != nil:
			return c.ended
		case kept && l != nil && l.sent >= until:
			return nil
		case c.writeBy.err() != nil:
			return c.writeBy.err()
		case l == nil || l.pushing || l.sent >= until:
			c.changed.Wait()
		case c.writeBy.at.IsZero():
			l.pushing, l.direct = true, true
			c.push(l, until)
		default:
			c.handOver(l)
			c.changed.Wait()
		}
		if !kept {
			return nil
		}
	}
}

// handOver lets a goroutine push what is due on l. The caller has the turn, or
// nobody has it.
func (c *Conn) handOver(l *leg) {
	l.pushing, l.direct = true, false
	go func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.push(l, math.MaxUint64)
	}()
}

// push sends what is due on l, and leaves to a goroutine what is due beyond until.
// The caller holds mu and the turn, which is given back.
func (c *Conn) push(l *leg, until uint64) {
	for c.leg == l && c.due(l) {
		if l.sent >= until {
			c.handOver(l)
			return
		}
		if err := c.pushOne(l); err != nil {
			c.lose(l, err)
		}
		c.changed.Broadcast()
	}
	l.pushing, l.direct = false, false
	c.changed.Broadcast()
}

func (c *Conn) due(l *leg) bool {
	return len(l.due) > 0 || c.received-c.told >= ackEvery || l.taken < c.out.end
}

// pushOne is one write to the carrier, without the lock: records that go first, or
// an acknowledgement or a DATA, or both.
func (c *Conn) pushOne(l *leg) error {
	var head, p []byte
	var from *chunk
	if len(l.due) > 0 {
		p, l.due = l.due, nil
	} else {
		head = l.heads[:0]
		if c.received-c.told >= ackEvery {
			head = appendCount(head, ack, c.received)
			c.told = c.received
		}
		if l.taken < c.out.end {
			from, p = c.out.at(l.taken)
			head = appendHead(head, data, len(p))
			l.taken += uint64(len(p))
			c.farthest = max(c.farthest, l.taken)
			from.busy++
		}
	}
	c.mu.Unlock()
	err := l.write(head, p)
	c.mu.Lock()
	if from != nil {
		from.busy--
	}
	if err == nil {
		l.sent = l.taken
	}
	return err
}
