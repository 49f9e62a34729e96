package transport

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	clientremote "k8s.io/client-go/tools/remotecommand"
	"k8s.io/klog/v2"

	"github.com/periscope-console/periscope/internal/fault"
)

var errNoStatus = errors.New("the stream ended without saying how the command did")

// spdyStream is an exec run by client-go's executor, which pushes output and
// pulls stdin, turned round into a Stream. client-go runs about two dozen
// goroutines for it; all of them end with the connection.
type spdyStream struct {
	link   *link
	tasks  tasks
	req    Request
	conn   *taken
	cancel context.CancelFunc
	cause  atomic.Pointer[error] // why this side gave up
	eof    atomic.Bool

	output   *handover
	seen     bool // output has arrived; the reader's
	stdin    *io.PipeWriter
	stdinOut *io.PipeReader
	sizes    *sizes

	result Result // settled before output ends
}

func newSPDYStream(l *link, answer http.Header, req Request) (Stream, error) {
	s := &spdyStream{link: l, conn: &taken{answer: answer}, req: req, output: newHandover(), sizes: newSizes()}
	exec, err := s.connect()
	if err != nil {
		_ = l.abort()
		return nil, fault.Wrap(err, fault.Internal, op, "Periscope could not open the stream. Tell whoever runs this server.")
	}
	s.stdinOut, s.stdin = io.Pipe()
	s.Resize(req.Size, nil)
	// client-go logs each lost connection; here that is a Result.
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), klog.Logger{}))
	s.cancel = cancel
	s.tasks.enter()
	go s.run(ctx, exec)
	s.tasks.every(l.beat, s.beat)
	return s, nil
}

func (s *spdyStream) connect() (exec clientremote.Executor, err error) {
	if s.conn.conn, err = newSPDYConn(s.link, &s.tasks); err != nil {
		return nil, err
	}
	return s.conn.executor()
}

func (s *spdyStream) run(ctx context.Context, exec clientremote.Executor) {
	defer s.tasks.leave()
	err := exec.StreamWithContext(ctx, s.options())
	s.result = s.verdict(err)
	_ = s.stdinOut.CloseWithError(io.ErrClosedPipe)
	s.output.end()
	s.sizes.close()
	s.tasks.close()
}

func (s *spdyStream) options() clientremote.StreamOptions {
	o := clientremote.StreamOptions{Stdout: writer{s.output, Stdout}, Tty: s.req.TTY}
	if s.req.Stdin {
		o.Stdin = s.stdinOut
	}
	if s.req.TTY {
		o.TerminalSizeQueue = s.sizes
	} else {
		o.Stderr = writer{s.output, Stderr}
	}
	return o
}

// verdict goes by the Status alone; client-go's error says less.
func (s *spdyStream) verdict(err error) Result {
	status, cause := s.conn.kept(), s.cause.Load()
	switch {
	case json.Valid(status):
		return resultOf(status)
	case cause != nil && errors.Is(*cause, errClosed):
		return Result{Err: closedHere()}
	case cause != nil:
		return lost(s.link.why(*cause))
	case err != nil:
		return lost(s.link.why(err))
	}
	return lost(s.link.why(errNoStatus))
}

func (s *spdyStream) beat() {
	if s.link.dead() {
		cause := errSilent
		s.cause.CompareAndSwap(nil, &cause)
		_ = s.link.abort()
		return
	}
	s.conn.conn.ping(&s.tasks)
}

func (s *spdyStream) Read(p []byte) (int, Channel, error) {
	n, ch, err := s.output.read(p)
	if n > 0 && !s.seen {
		s.seen = true
		if s.req.TTY {
			s.tasks.once(sizeAgain, s.sizes.again)
		}
	}
	return n, ch, err
}

// TryWrite is always false: who writes is a goroutine of the library's, which
// cannot be asked whether it would wait.
func (s *spdyStream) TryWrite([]byte) bool { return false }

func (s *spdyStream) Write(p []byte) (int, error) {
	if !s.req.Stdin || s.eof.Load() {
		return 0, noInput()
	}
	s.link.unread.Add(int64(len(p)))
	n, err := s.stdin.Write(p)
	if err != nil {
		return n, writeFault(err)
	}
	return n, nil
}

// CloseWrite ends client-go's copying, which then half-closes the stream.
func (s *spdyStream) CloseWrite() error {
	s.eof.Store(true)
	return s.stdin.Close()
}

func (s *spdyStream) Resize(size Size, sent func()) {
	if sizeable(s.req, size) {
		s.sizes.set(size, sent)
	}
}

// Result waits for nothing: it was settled before Read said io.EOF, unless Close
// came first.
func (s *spdyStream) Result() Result { return s.result }

func (s *spdyStream) Kind() Kind { return SPDY }

func (s *spdyStream) Close() error {
	cause := errClosed
	s.cause.CompareAndSwap(nil, &cause)
	s.tasks.close()
	// The connection first: whatever writes to it must not hold the rest up.
	_ = s.link.abort()
	s.cancel()
	s.output.close()
	_ = s.stdin.Close()
	s.sizes.close()
	s.tasks.wait()
	return nil
}

// sizes is client-go's TerminalSizeQueue with one place: the newest size wins.
type sizes struct {
	news chan struct{} // there is a size to send
	done chan struct{}
	end  atomic.Bool

	mu   sync.Mutex
	last Size
	sent func() // to be told once last was sent

	asked func() // to be told when client-go asks again; belongs to Next
}

func newSizes() *sizes {
	return &sizes{news: make(chan struct{}, 1), done: make(chan struct{})}
}

func (q *sizes) set(size Size, sent func()) {
	q.mu.Lock()
	q.last, q.sent = size, sent
	q.mu.Unlock()
	q.ring()
}

// again sends the newest size once more, if there is one.
func (q *sizes) again() {
	q.mu.Lock()
	none := q.last == Size{}
	q.mu.Unlock()
	if !none {
		q.ring()
	}
}

func (q *sizes) ring() {
	select {
	case q.news <- struct{}{}:
	default: // it is rung already
	}
}

// Next is called by client-go, once it has sent what it got before; nil ends its
// asking.
func (q *sizes) Next() *clientremote.TerminalSize {
	if q.asked != nil {
		q.asked()
		q.asked = nil
	}
	select {
	case <-q.news:
		q.mu.Lock()
		defer q.mu.Unlock()
		q.asked, q.sent = q.sent, nil
		return &clientremote.TerminalSize{Width: q.last.Cols, Height: q.last.Rows}
	case <-q.done:
		return nil
	}
}

func (q *sizes) close() {
	if !q.end.Swap(true) {
		close(q.done)
	}
}
