package line

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// MaxName bounds a name, in bytes.
	MaxName = 253
	// maxPending bounds the handshakes under way, maxPendingOf those of one name: an
	// honest dialler has one.
	maxPending   = 256
	maxPendingOf = 4
	// maxFormer is how many instances of a name are known to have been replaced.
	maxFormer = 8
)

// Host is the accepting end of lines: at most one for each name. It starts nothing
// of its own. The zero value works.
type Host struct {
	// Settings are those of every line.
	Settings Settings
	// Limit bounds the lines, those within their grace included; 0 is 1024.
	Limit int
	// Changed is told of each change of the state of name's line; nil for nobody. It
	// is called by a goroutine of its own, which may ask Status; what that says
	// counts.
	Changed func(name string)

	mu      sync.Mutex
	seats   map[string]*seat
	pending map[string][]*leg // in a handshake, by name, the oldest first
	shaking int               // how many these are
	closed  error
}

// errCrowded: a newer handshake of the name took the place.
var errCrowded = errors.New("too many handshakes at once, of which the newest count")

// seat is a name that has a line.
type seat struct {
	line   *Conn
	secret [sha256.Size]byte // of the line's secret
	former []former
}

// former is a line that was replaced by another instance's.
type former struct {
	instance string
	id       [idSize]byte
	secret   [sha256.Size]byte
}

// Accept shakes hands over nc, which is Accept's from now on, with somebody who has
// proved to the caller to speak for name. It returns a new line, which is the caller's
// to serve and to close; or, resumed, the line that goes on over nc and is being served
// already. Any error has been told to the peer where it is its concern, and has changed
// nothing else. It takes HandshakeTime at most.
func (h *Host) Accept(name string, nc net.Conn) (c *Conn, resumed bool, err error) {
	l := newLeg(nc)
	late := time.AfterFunc(HandshakeTime, l.kill)
	defer late.Stop()
	if err := h.enter(name, l); err != nil {
		l.kill() // a word costs as much as the handshake
		return nil, false, err
	}
	asked, err := l.asked()
	if !h.leave(name, l) {
		err = errCrowded
	}
	if err == nil {
		c, err = h.admit(name, l, asked)
	}
	if err == nil {
		return c, asked.resume, nil
	}
	if !late.Stop() {
		err = errHandshake
	}
	l.refuse(err)
	return nil, false, err
}

// enter counts a handshake, which Close ends, and so does a newer one of the same name
// where these are too many: a name that is silent keeps no other out.
func (h *Host) enter(name string, l *leg) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed != nil {
		return h.closed
	}
	if of := h.pending[name]; len(of) >= maxPendingOf {
		of[0].kill()
		h.forget(name, of[0])
	}
	if h.shaking >= maxPending {
		return ErrFull
	}
	if h.pending == nil {
		h.pending = map[string][]*leg{}
	}
	h.pending[name] = append(h.pending[name], l)
	h.shaking++
	return nil
}

// leave is false where another has taken the place.
func (h *Host) leave(name string, l *leg) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.forget(name, l)
}

// forget reports whether l was counted. The caller holds mu.
func (h *Host) forget(name string, l *leg) bool {
	of := h.pending[name]
	at := slices.Index(of, l)
	if at < 0 {
		return false
	}
	h.shaking--
	if h.pending[name] = slices.Delete(of, at, at+1); len(of) == 1 {
		delete(h.pending, name)
	}
	return true
}

func (l *leg) asked() (helloRecord, error) {
	payload, err := l.answer(hello)
	if err != nil {
		return helloRecord{}, err
	}
	return parseHello(payload)
}

// refuse tells the peer, where it is there and err is its concern, and closes.
func (l *leg) refuse(err error) {
	late := time.AfterFunc(lastWords, l.kill)
	defer late.Stop()
	for _, known := range codes {
		if errors.Is(err, known) {
			_ = l.write(nil, appendWord(nil, refused, wordFor(err)))
			_ = l.nc.Close()
			return
		}
	}
	l.kill()
}

// admit seats l where it may sit.
func (h *Host) admit(name string, l *leg, asked helloRecord) (*Conn, error) {
	if name == "" || len(name) > MaxName {
		return nil, fmt.Errorf("%w: a name has 1 to %d bytes", ErrRule, MaxName)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.seats[name]
	if s != nil && s.line.Err() != nil {
		s = nil // it is about to be removed
	}
	switch {
	case h.closed != nil:
		return nil, h.closed
	case asked.resume:
		return h.resume(s, l, asked)
	case s != nil && asked.standby:
		return nil, ErrNotNeeded
	case s != nil && slices.ContainsFunc(s.former, func(f former) bool { return f.instance == asked.instance }):
		return nil, ErrSuperseded
	case s == nil && len(h.seats) >= cmp.Or(h.Limit, 1024):
		return nil, ErrFull
	}
	return h.begin(name, s, l, asked), nil
}

// resume goes on with s's line if asked proves to be its other end.
func (h *Host) resume(s *seat, l *leg, asked helloRecord) (*Conn, error) {
	if s == nil {
		return nil, ErrUnknown
	}
	hash := sha256.Sum256(asked.secret[:])
	if is(former{s.line.instance, s.line.id, s.secret}, asked, hash) {
		return s.line, s.line.takeOver(l, asked.received)
	}
	if slices.ContainsFunc(s.former, func(f former) bool { return is(f, asked, hash) }) {
		return nil, ErrSuperseded
	}
	return nil, ErrUnknown
}

func is(f former, asked helloRecord, hash [sha256.Size]byte) bool {
	return f.instance == asked.instance && f.id == asked.id && subtle.ConstantTimeCompare(f.secret[:], hash[:]) == 1
}

// takeOver goes on over l, even while the old leg seems to live: its peer knows
// better.
func (c *Conn) takeOver(l *leg, count uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil || !c.out.has(count) || count > c.farthest {
		return ErrUnknown
	}
	if c.leg != nil {
		c.lose(c.leg, errReplaced)
	}
	w := welcomeRecord{resumed: true, settings: c.settings, received: c.received}
	c.seat(l, count, w.append(nil))
	return nil
}

// begin makes a line, which replaces that of s.
func (h *Host) begin(name string, s *seat, l *leg, asked helloRecord) *Conn {
	w := welcomeRecord{settings: h.Settings.withDefaults()}
	_, _ = rand.Read(w.id[:]) // never fails
	_, _ = rand.Read(w.secret[:])
	c := newConn(asked.instance, w.id, w.settings)
	c.tell = func() { h.changed(name, c) }
	next := &seat{line: c, secret: sha256.Sum256(w.secret[:])}
	if s != nil {
		next.former = s.successors(asked.instance)
		s.line.end(ErrSuperseded)
	}
	if h.seats == nil {
		h.seats = map[string]*seat{}
	}
	h.seats[name] = next
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seat(l, 0, w.append(nil))
	return c
}

// successors are the former lines of the seat that replaces s by a line of instance.
func (s *seat) successors(instance string) []former {
	all := append(slices.Clone(s.former), former{s.line.instance, s.line.id, s.secret})
	all = slices.DeleteFunc(all, func(f former) bool { return f.instance == instance })
	return all[max(0, len(all)-maxFormer):]
}

// changed forgets a line that has ended, and tells.
func (h *Host) changed(name string, c *Conn) {
	h.mu.Lock()
	if s := h.seats[name]; s != nil && s.line == c && c.Err() != nil {
		delete(h.seats, name)
	}
	h.mu.Unlock()
	if h.Changed != nil {
		h.Changed(name)
	}
}

// Line is name's, nil where it has none.
func (h *Host) Line(name string) *Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.seats[name]; s != nil && s.line.Err() == nil {
		return s.line
	}
	return nil
}

// Status is that of name's line; Gone where it has none, since when is not kept.
func (h *Host) Status(name string) Status {
	if c := h.Line(name); c != nil {
		return c.Status()
	}
	return Status{}
}

// Close ends every line for cause, waits until their peers know, for a second at most,
// and takes no more.
func (h *Host) Close(cause error) {
	h.mu.Lock()
	h.closed = cmp.Or(h.closed, cause, net.ErrClosed)
	lines := make([]*Conn, 0, len(h.seats))
	for _, s := range h.seats {
		lines = append(lines, s.line)
	}
	for _, of := range h.pending {
		for _, l := range of {
			l.kill()
		}
	}
	h.mu.Unlock()
	for _, c := range lines {
		c.end(cause)
	}
	for _, c := range lines {
		<-c.said
	}
}
