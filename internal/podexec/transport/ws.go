package transport

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/util/remotecommand"

	"github.com/periscope-console/periscope/internal/wsframe"
)

// streamClose is the channel of v5 that half-closes another.
const streamClose = 255

// wsStream is an exec over v5.channel.k8s.io: the first byte of each message is
// its channel. Frames are read on the goroutine that calls Read.
type wsStream struct {
	link  *link
	tasks tasks
	out   sender
	req   Request

	cause atomic.Pointer[error] // why this side gave up
	eof   atomic.Bool           // CloseWrite was called

	// What follows belongs to the reader.
	in      *wsframe.Reader
	inside  bool // a message's channel is known, its end has not come
	channel byte
	first   [1]byte
	seen    bool   // output has arrived
	status  []byte // from the error channel, at most statusSize
	ended   bool
	result  Result
}

func newWSStream(l *link, req Request) *wsStream {
	s := &wsStream{link: l, req: req}
	s.out.link, s.out.tasks = l, &s.tasks
	s.in = wsframe.NewReader(l, s.control)
	s.firstSize()
	s.tasks.every(l.beat, s.beat)
	return s
}

// firstSize goes out before anybody can write. A link that fails so early fails
// the first Read too.
func (s *wsStream) firstSize() {
	if !sizeable(s.req, s.req.Size) {
		return
	}
	s.out.turn.Lock()
	s.out.size, s.out.pending.size = s.req.Size, true
	s.out.yield()
}

func (s *wsStream) control(op wsframe.Opcode, payload []byte) {
	if op == wsframe.Ping {
		s.out.pong(payload)
	}
}

// beat runs every few seconds.
func (s *wsStream) beat() {
	if s.link.dead() {
		s.giveUp(errSilent)
		return
	}
	s.out.ping()
}

func (s *wsStream) giveUp(cause error) {
	s.cause.CompareAndSwap(nil, &cause)
	_ = s.link.abort()
}

// Read joins the messages that have arrived for one channel.
func (s *wsStream) Read(p []byte) (n int, ch Channel, err error) {
	for n < len(p) && err == nil {
		wait := n == 0
		switch {
		case s.ended:
			return 0, 0, io.EOF
		case !s.inside:
			err = s.begin(wait)
		case !isOutput(s.channel):
			err = s.aside(wait)
		case wait || ch == Channel(s.channel):
			var m int
			ch = Channel(s.channel)
			m, err = s.take(p[n:], wait)
			n += m
		default:
			return n, ch, nil
		}
	}
	if n == 0 && err != nil {
		s.end(err)
		return 0, 0, io.EOF
	}
	if n > 0 {
		s.firstOutput()
	}
	return n, ch, nil
}

func isOutput(channel byte) bool {
	return channel == remotecommand.StreamStdOut || channel == remotecommand.StreamStdErr
}

// begin reads a message's channel.
func (s *wsStream) begin(wait bool) error {
	n, end, err := s.in.Read(s.first[:], wait)
	if n == 1 {
		s.channel, s.inside = s.first[0], !end
	}
	return err
}

func (s *wsStream) take(p []byte, wait bool) (int, error) {
	n, end, err := s.in.Read(p, wait)
	s.inside = !end
	return n, err
}

// aside reads what is no output: the error channel's Status is kept, and what a
// newer cluster may send on channels unknown today is not (it only passes through
// the same room).
func (s *wsStream) aside(wait bool) error {
	s.status = slices.Grow(s.status, 512)
	room := s.status[len(s.status):cap(s.status)]
	n, err := s.take(room, wait)
	if s.channel == remotecommand.StreamErr && len(s.status)+n <= statusSize {
		s.status = s.status[:len(s.status)+n]
	}
	return err
}

// firstOutput sends the size again soon: the first may have come before the command.
func (s *wsStream) firstOutput() {
	if s.seen {
		return
	}
	s.seen = true
	if s.req.TTY {
		s.tasks.once(sizeAgain, s.out.resizeAgain)
	}
}

// end settles the result, once.
func (s *wsStream) end(err error) {
	if s.ended {
		return
	}
	s.ended = true
	s.result = s.verdict(err)
	s.tasks.close()
}

// verdict prefers the cluster's word on the command to how the connection ended.
func (s *wsStream) verdict(err error) Result {
	var closed *wsframe.CloseError
	var broken wsframe.ProtocolError
	switch cause := s.cause.Load(); {
	case len(s.status) > 0 && (errors.As(err, &closed) || json.Valid(s.status)):
		return resultOf(s.status)
	case errors.As(err, &broken):
		return Result{Err: garbled(err)}
	case cause != nil && errors.Is(*cause, errClosed):
		return Result{Err: closedHere()}
	case cause != nil:
		return lost(*cause)
	}
	return lost(err)
}

// Write sends stdin.
func (s *wsStream) Write(p []byte) (n int, err error) {
	if !s.req.Stdin || s.eof.Load() {
		return 0, noInput()
	}
	for n < len(p) {
		piece := p[n:min(len(p), n+stdinFrame)]
		s.link.unread.Add(int64(len(piece)))
		if err := s.out.message(remotecommand.StreamStdIn, piece); err != nil {
			return n, writeFault(err)
		}
		n += len(piece)
	}
	return n, nil
}

// TryWrite is for keystrokes. An error is the reader's to tell, as Write's is.
func (s *wsStream) TryWrite(p []byte) bool {
	return len(p) <= smallStdin && s.req.Stdin && !s.eof.Load() && s.out.tryMessage(remotecommand.StreamStdIn, p)
}

// CloseWrite is v5's close signal for the channel of stdin.
func (s *wsStream) CloseWrite() error {
	if !s.req.Stdin || s.eof.Swap(true) {
		return nil
	}
	if err := s.out.message(streamClose, []byte{remotecommand.StreamStdIn}); err != nil {
		return writeFault(err)
	}
	return nil
}

func (s *wsStream) Resize(size Size, sent func()) {
	if sizeable(s.req, size) {
		s.out.resize(size, sent)
	}
}

func (s *wsStream) Result() Result { return s.result }

func (s *wsStream) Kind() Kind { return WebSocket }

// Close says goodbye where that takes no time.
func (s *wsStream) Close() error {
	s.tasks.close()
	cause := errClosed
	if s.cause.CompareAndSwap(nil, &cause) {
		if s.out.goodbye() {
			_ = s.link.Close()
		} else {
			_ = s.link.abort()
		}
	}
	s.tasks.wait()
	return nil
}
