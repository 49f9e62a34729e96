package transport

import (
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/remotecommand"

	"github.com/periscope-console/periscope/internal/wsframe"
)

const (
	// stdinFrame is the most stdin in one frame. Servers take more, but a pong
	// or a new size waits for no longer than one frame.
	stdinFrame = 32 << 10
	// smallStdin is the most stdin that is sent only if it need not wait.
	smallStdin = 128
	// farewell is how long a close frame may take to get out.
	farewell = 250 * time.Millisecond
)

// frames are buffers for one frame of stdin each.
var frames = sync.Pool{New: func() any {
	b := make([]byte, 0, stdinFrame+wsframe.MaxHeader+1)
	return &b
}}

// sender is the way out. Stdin waits for its turn and for the socket on its
// caller's goroutine; what must not wait (pings, pongs, sizes) is left in
// pending, and whoever has the turn sends it before the next stdin frame. If
// nobody has, a goroutine is started for it: an idle stream keeps none.
type sender struct {
	link  *link
	tasks *tasks
	turn  sync.Mutex // held by whoever writes to link; locked before mu
	small [256]byte  // frames without stdin are built here; guarded by turn

	mu      sync.Mutex
	pending pending
	size    Size // the newest
	broken  error
}

// pending holds one of each: a newer one takes the older one's place.
type pending struct {
	ping, pong, size bool
	sent             func()                   // told that the size was sent, unless nil
	payload          [wsframe.MaxControl]byte // pong's
	payloadLen       int
}

func (p *pending) any() bool { return p.ping || p.pong || p.size }

// ping asks the peer for a sign of life.
func (s *sender) ping() { s.leave(func(p *pending) { p.ping = true }) }

// pong answers the newest ping, as RFC 6455 allows.
func (s *sender) pong(payload []byte) {
	s.leave(func(p *pending) {
		p.pong = true
		p.payloadLen = copy(p.payload[:], payload)
	})
}

func (s *sender) resize(size Size, sent func()) {
	s.leave(func(p *pending) {
		p.size, p.sent = true, sent
		s.size = size
	})
}

// resizeAgain repeats the newest size, if there is one.
func (s *sender) resizeAgain() { s.leave(func(p *pending) { p.size = s.size != Size{} }) }

// leave changes what is pending and sees to it that somebody sends it. It does
// not wait.
func (s *sender) leave(change func(*pending)) {
	s.mu.Lock()
	change(&s.pending)
	s.mu.Unlock()
	if !s.turn.TryLock() {
		return // whoever has the turn looks again after giving it up
	}
	if !s.tasks.enter() {
		s.turn.Unlock()
		return
	}
	go func() {
		defer s.tasks.leave()
		s.yield()
	}()
}

// yield sends what is pending and gives the turn up.
func (s *sender) yield() {
	for {
		s.flush()
		s.turn.Unlock()
		// Something may have been left since flush looked, by somebody who
		// found the turn taken.
		if !s.waiting() || !s.turn.TryLock() {
			return
		}
	}
}

// yieldElsewhere gives the turn up on behalf of somebody who must not wait.
func (s *sender) yieldElsewhere() {
	s.turn.Unlock()
	if s.waiting() {
		s.leave(func(*pending) {})
	}
}

func (s *sender) waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending.any() && s.broken == nil
}

// flush sends what is pending. The caller has the turn.
func (s *sender) flush() {
	s.mu.Lock()
	p, size, broken := s.pending, s.size, s.broken
	s.pending = pending{}
	s.mu.Unlock()
	if !p.any() || broken != nil {
		return
	}
	b := s.small[:0]
	if p.pong {
		b = wsframe.Append(b, wsframe.Pong, nil, p.payload[:p.payloadLen])
	}
	if p.size {
		b = appendSize(b, size)
	}
	if p.ping {
		b = wsframe.Append(b, wsframe.Ping, nil, nil)
	}
	err := s.write(b) // kept in broken for whoever sends stdin
	if p.sent != nil && err == nil {
		p.sent()
	}
}

func appendSize(b []byte, size Size) []byte {
	var mem [48]byte
	msg := append(mem[:0], `{"Width":`...)
	msg = strconv.AppendUint(msg, uint64(size.Cols), 10)
	msg = append(msg, `,"Height":`...)
	msg = strconv.AppendUint(msg, uint64(size.Rows), 10)
	msg = append(msg, '}')
	return wsframe.Append(b, wsframe.Binary, []byte{remotecommand.StreamResize}, msg)
}

// write is one write to the link. The caller has the turn.
func (s *sender) write(b []byte) error {
	s.mu.Lock()
	err := s.broken
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if _, err = s.link.Write(b); err != nil {
		s.mu.Lock()
		s.broken = err
		s.mu.Unlock()
	}
	return err
}

// message sends one message of at most stdinFrame bytes and waits until the
// socket has taken it.
func (s *sender) message(channel byte, p []byte) error {
	s.turn.Lock()
	defer s.yield()
	s.flush()
	if len(p) <= len(s.small)-wsframe.MaxHeader-1 {
		return s.write(wsframe.Append(s.small[:0], wsframe.Binary, []byte{channel}, p))
	}
	b := frames.Get().(*[]byte)
	defer frames.Put(b)
	*b = wsframe.Append((*b)[:0], wsframe.Binary, []byte{channel}, p)
	return s.write(*b)
}

// tryMessage is message for at most smallStdin bytes. It is false, and has sent
// nothing, where it might have to wait.
func (s *sender) tryMessage(channel byte, p []byte) bool {
	if !s.turn.TryLock() {
		return false
	}
	if !s.link.empty() {
		s.yieldElsewhere()
		return false
	}
	defer s.yield()
	s.flush()
	s.link.unread.Add(int64(len(p)))
	_ = s.write(wsframe.Append(s.small[:0], wsframe.Binary, []byte{channel}, p)) // kept in broken
	return true
}

// goodbye sends a close frame if that takes no more than a moment, and says
// whether it did.
func (s *sender) goodbye() bool {
	if !s.turn.TryLock() {
		return false
	}
	defer s.turn.Unlock()
	s.link.writeWithin(farewell)
	normal := []byte{byte(wsframe.CloseNormal >> 8), byte(wsframe.CloseNormal & 0xff)}
	return s.write(wsframe.Append(s.small[:0], wsframe.Close, nil, normal)) == nil
}
