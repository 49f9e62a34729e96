// Package execclient is a program's end of v2.exec.periscope (api/terminal.md):
// one command or shell in a container, kept through lost connections.
//
// It owns the WebSocket, the windows of both directions, the offsets, the coming
// back, and the resume token, which it keeps in memory alone. It does not own
// terminals, flags, credentials or words for people: input is an io.Reader,
// output an io.Writer, and what happens meanwhile is told by Events.
//
// Run runs until the session has ended and waits for all its goroutines but two
// that nobody can stop: a Read of Stdin that has not returned, and, where its
// context ended first, a Write to Stdout. Both end when that call returns, and
// touch nothing afterwards. A panic of any of them is one of Run's. It guarantees that bytes are neither lost nor
// doubled in either direction, or says how many are missing.
package execclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync"
	"time"
)

// Protocol is the subprotocol that is spoken.
const Protocol = "v2.exec.periscope"

const (
	// Window is how much unacknowledged output a server has out at most, where its
	// hello does not say.
	Window = 128 << 10
	// StdinWindow is the same of stdin.
	StdinWindow = 64 << 10
	// ackEvery is how much written output is acknowledged at once.
	ackEvery = 32 << 10
	// pieceSize is how much is read at once, of stdin and of the socket.
	pieceSize = 32 << 10

	pingEvery = 10 * time.Second
	// silence is how long nothing may come from the server, answers to pings
	// included, before the connection counts as dead. The server uses the same.
	silence = 25 * time.Second

	// firstDelay and lastDelay bound the pauses between attempts to come back.
	firstDelay = 100 * time.Millisecond
	lastDelay  = 5 * time.Second
	// attemptLimit bounds one attempt, from the dial to hello. The server asks the
	// cluster about the right meanwhile.
	attemptLimit = 30 * time.Second
	// grace is for how long a server keeps a shell that nobody is attached to, where
	// its hello does not say; beyond it and a little more nobody waits.
	grace     = 10 * time.Minute
	graceMore = time.Minute
	// partingLimit is how long the server's last word is waited for.
	partingLimit = 3 * time.Second
)

// Size is a terminal's, in cells.
type Size struct{ Cols, Rows int }

// Client reaches one server. It may be used by many sessions at once.
type Client struct {
	// Server is its address, such as https://periscope.example.com.
	Server *url.URL
	// Bearer is the access token.
	Bearer string
	// TLS is nil for the system's authorities.
	TLS *tls.Config
	// Proxy is nil for that of the environment (HTTPS_PROXY, NO_PROXY).
	Proxy func(*http.Request) (*url.URL, error)
	// Dial is nil for TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Agent is the User-Agent header.
	Agent string
}

// Request is one command or shell.
type Request struct {
	Cluster, Namespace, Pod string
	// Container is empty for the pod's default.
	Container string
	// Command is empty for a shell.
	Command []string
	TTY     bool
	// Size is that of the terminal; zero for none.
	Size Size
	// File is carried instead of running a command; nil for none. What is read from
	// the container goes to Stdout, what is written there comes from Stdin.
	File *Transfer
	// Reason is why, where the server wants to know.
	Reason string
	// Stdin is read until it ends, which ends the command's; nil is empty.
	Stdin io.Reader
	// Stdout gets the output, without a TTY that of stderr too.
	Stdout io.Writer
	// Redraw reports, at each coming back, whether the program is to draw its screen
	// anew, though no byte is missing; nil: it is not. Any goroutine calls it.
	Redraw func() bool
	Events Events
}

// Transfer is a file to be carried (api/terminal.md, Files).
type Transfer struct {
	Op   string `json:"op"`
	Path string `json:"path"`
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// File is what was carried, as the server has counted it.
type File struct {
	Bytes    int64  `json:"bytes"`
	SHA256   string `json:"sha256"`
	Verified bool   `json:"verified"`
}

// Events tell what happens meanwhile; each may be nil. They are called by the
// session's goroutines, Gap between the writes of what is before and after it,
// and should return soon.
type Events struct {
	// Hello is called once, when the command runs.
	Hello func(Hello)
	// Lost is called when a connection is lost and will be sought again.
	Lost func(error)
	// Back is called when it is found: the same shell. Whole says that nothing is
	// missing; else Gap follows.
	Back func(whole bool)
	// Gap is called where bytes of output are missing. why is "buffer" after the
	// server's buffer has run over, "interrupt" after Ctrl-C in a flood.
	Gap func(bytes int64, why string)
	// Idle is called when the server is about to end an idle session.
	Idle func(left time.Duration)
}

// Hello is the session as the server describes it.
type Hello struct {
	SessionID, Cluster, Namespace, Pod, Container, Shell, User string
	// Resumable reports whether a lost connection can be come back from.
	Resumable bool
	// Directory says that a folder is read, as a tar archive.
	Directory bool
	// FileSize is the size of the file that is carried; -1 where nobody knows it.
	FileSize int64
}

// Result is how a session ended, in the server's words.
type Result struct {
	// Reason is one of api/terminal.md.
	Reason string
	// ExitCode is nil where it is not known.
	ExitCode *int
	// Message is for people; empty for most.
	Message string
	// Code and RequestID are those of the error that ended it, if one did.
	Code, RequestID string
	// File is nil where none was carried.
	File *File
}

// Refusal is the server's no, before there was a session or when coming back.
type Refusal struct {
	Code, Message, RequestID string
	// Status is the HTTP status, 0 where the refusal came as a frame.
	Status int
	// Retryable says that the same may be answered otherwise later.
	Retryable bool
	// SessionID is that of the session which there is no coming back to; else empty.
	SessionID string
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

// Why a session was lost for good.
var (
	// ErrGone: the server has no such session any more, or another client has taken it
	// over; the Refusal has its id.
	ErrGone = errors.New("the shell is gone")
	// ErrNoResume: the connection was lost, and this server keeps no shell for
	// which nobody is there.
	ErrNoResume = errors.New("the connection was lost, and this server keeps no shells to come back to")
	// ErrAway: the server could not be reached for longer than it keeps a shell.
	ErrAway = errors.New("the server could not be reached for longer than it keeps a shell")
	// ErrOutput: Stdout takes no more.
	ErrOutput = errors.New("the output could not be written")
	// ErrUntrue: what the server says of the session cannot be, so going on would
	// lose or double bytes.
	ErrUntrue = errors.New("the server's account of the session does not fit")
)

// Session is one command or shell. It is run once.
type Session struct {
	client *Client
	req    Request
	in     *stdin
	out    *output

	mu      sync.Mutex
	link    *link // what is attached now; nil while nothing is
	size    Size
	resized notice

	// What follows belongs to Run.
	id, token string
	grace     time.Duration
	away      bool // Lost has been told, and Back has not
	panicked  context.CancelCauseFunc
}

// New makes a session that has not begun.
func New(c *Client, r Request) *Session {
	return &Session{client: c, req: r, size: r.Size, resized: newNotice(), in: newStdin(), out: newOutput()}
}

// Resize tells of a terminal's new size; the newest is what counts.
func (s *Session) Resize(size Size) {
	s.mu.Lock()
	s.size = size
	s.mu.Unlock()
	s.resized.ring()
}

func (s *Session) newestSize() Size {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// Run begins the session and follows it to its end. When ctx ends it has the
// session closed and returns ctx's cause. A Refusal, ErrGone and the like say why
// there is no Result.
func (s *Session) Run(ctx context.Context) (Result, error) {
	first, hello, err := s.open(ctx)
	if err != nil {
		return Result{}, err
	}
	s.id, s.token, s.grace = hello.SessionID, hello.ResumeToken, grace
	if hello.ResumeSeconds > 0 {
		s.grace = time.Duration(hello.ResumeSeconds) * time.Second
	}
	if err := s.begin(hello); err != nil {
		first.abort()
		return Result{}, err
	}
	if f := s.req.Events.Hello; f != nil {
		f(hello.public())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over := make(chan struct{}) // ends what reads stdin between two reads
	defer close(over)
	s.panicked = cancel
	go s.guard(func() { s.in.fill(s.req.Stdin, over) })
	written := make(chan struct{})
	go func() {
		defer close(written)
		s.guard(func() { s.write(cancel) })
	}()
	end, err := s.follow(ctx, first)
	s.out.finish()
	select {
	case <-written:
	case <-ctx.Done():
		s.out.abandon()
	}
	if ctx.Err() == nil {
		return end, err
	}
	var p *panicError
	if cause := context.Cause(ctx); !errors.As(cause, &p) {
		return end, cause
	}
	panic(p.Error())
}

// panicError is a panic on its way to whoever called Run.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("%v\n\n%s", p.value, p.stack) }

// guard makes a panic of f one of Run's: its caller may have a terminal to put in
// order.
func (s *Session) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			s.panicked(&panicError{v, debug.Stack()})
		}
	}()
	f()
}

// follow attaches again whenever a connection is lost, until the session's end.
func (s *Session) follow(ctx context.Context, l *link) (Result, error) {
	pause := newPause()
	for moved := s.moved(); ; {
		end, err := s.attend(ctx, l)
		switch {
		case err == nil:
			return end, nil
		case ctx.Err() != nil || !lost(err):
			return Result{}, err
		case s.token == "":
			return Result{}, fmt.Errorf("%w (%w)", ErrNoResume, err)
		}
		// What went out shortly before a loss is known to have arrived only after the
		// next hello, and so counts a loss later.
		if now := s.moved(); now > moved {
			moved = now
			pause.reset()
		}
		s.tellLost(err)
		if l, err = s.comeBack(ctx, pause); err != nil {
			return Result{}, err
		}
	}
}

// tellLost and tellBack take turns.
func (s *Session) tellLost(err error) {
	if f := s.req.Events.Lost; f != nil && !s.away {
		f(err)
	}
	s.away = true
}

func (s *Session) tellBack(whole bool) {
	if f := s.req.Events.Back; f != nil && s.away {
		f(whole)
	}
	s.away = false
}

// moved grows with every byte that gets on, in either direction.
func (s *Session) moved() int64 { return s.out.reached() + s.in.reached() }

// write is the one goroutine that writes output, in order, and acknowledges it.
// Once output cannot be written it goes nowhere, so that the server's last word
// still comes through.
func (s *Session) write(failed context.CancelCauseFunc) {
	broken := false
	for p, ok := s.out.next(); ok; p, ok = s.out.next() {
		switch {
		case broken:
		case p.gap > 0:
			if tell := s.req.Events.Gap; tell != nil {
				tell(p.gap, p.why)
			}
		default:
			if _, err := s.req.Stdout.Write(p.data); err != nil {
				broken = true
				failed(fmt.Errorf("%w: %w", ErrOutput, err))
			}
		}
		offset, ack := s.out.wrote(p)
		if l := s.attached(); ack && l != nil && s.out.acked(offset) {
			_ = l.send(ackFrame(offset)) // a link that cannot write has been noticed
		}
	}
}

func (s *Session) attached() *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link
}

func (s *Session) setLink(l *link) {
	s.mu.Lock()
	s.link = l
	s.mu.Unlock()
}
