package execclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/wsframe"
)

// openLimit bounds the beginning, in which the server may have to reach a cluster
// that it has not spoken to before.
const openLimit = 90 * time.Second

// open begins the session. It is never tried twice: the first try may have begun
// one.
func (s *Session) open(ctx context.Context) (*link, frame, error) {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	size := s.newestSize()
	return s.greet(ctx, size, encode(openFrame{
		Type: "open", Container: s.req.Container, Command: append([]string{}, s.req.Command...), TTY: s.req.TTY,
		Cols: size.Cols, Rows: size.Rows, Reason: s.req.Reason, File: s.req.File,
	}))
}

// begin takes a hello's offsets over.
func (s *Session) begin(hello frame) error {
	if err := s.in.attach(hello.StdinOffset, hello.StdinWindow); err != nil {
		return err
	}
	s.out.attach(hello.Offset, hello.Window)
	return nil
}

// greet connects, sends the first frame, which has size in it, and waits for
// hello.
func (s *Session) greet(ctx context.Context, size Size, first []byte) (*link, frame, error) {
	l, err := s.dial(ctx)
	if err != nil {
		return nil, frame{}, err
	}
	l.size = size
	stop := context.AfterFunc(ctx, func() { l.fail(context.Cause(ctx)) })
	defer stop()
	hello, err := l.hello(first)
	if err != nil {
		l.abort()
		return nil, frame{}, err
	}
	return l, hello, nil
}

func (l *link) hello(first []byte) (frame, error) {
	if err := l.send(first); err != nil {
		return frame{}, l.why(err)
	}
	var refusal *Refusal
	for {
		binary, p, err := l.next()
		if err != nil && refusal != nil {
			return frame{}, refusal
		}
		if err != nil {
			return frame{}, err
		}
		if binary {
			return frame{}, fmt.Errorf("%w: output before hello", errFrame)
		}
		f, err := parseFrame(p)
		if err != nil {
			return frame{}, err
		}
		switch f.Type {
		case "hello":
			return f, nil
		case "error":
			refusal = f.refusal()
		case "closed":
			if refusal == nil {
				refusal = &Refusal{Code: f.Reason, Message: f.Message}
			}
			return frame{}, refusal
		}
	}
}

// comeBack seeks a connection until there is one, or it is known that there is
// nothing to come back to.
func (s *Session) comeBack(ctx context.Context, pause *pause) (*link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.grace+graceMore, ErrAway)
	defer cancel()
	for {
		if err := pause.wait(ctx); err != nil {
			return nil, err
		}
		l, err := s.attach(ctx)
		var no *Refusal
		switch {
		case err == nil:
			return l, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.As(err, &no) && no.Code == "E_NOT_FOUND":
			no.SessionID = s.id
			return nil, fmt.Errorf("%w: %w", ErrGone, no)
		case errors.As(err, &no) && !no.Retryable, !lost(err):
			return nil, err
		}
	}
}

// attach is one attempt.
func (s *Session) attach(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	size, offset := s.newestSize(), s.out.detach()
	l, hello, err := s.greet(ctx, size, encode(attachFrame{
		Type: "attach", SessionID: s.id, ResumeToken: s.token, Offset: offset, Cols: size.Cols, Rows: size.Rows,
		Redraw: s.req.Redraw != nil && s.req.Redraw(),
	}))
	if err != nil {
		return nil, err
	}
	if hello.SessionID != s.id || hello.Offset < offset {
		err = fmt.Errorf("%w: it gave session %q from byte %d on, not %q from %d on", ErrUntrue, hello.SessionID, hello.Offset, s.id, offset)
	} else {
		err = s.begin(hello)
	}
	if err != nil {
		l.abort()
		return nil, err
	}
	if hello.ResumeToken != "" {
		s.token = hello.ResumeToken
	}
	return l, nil
}

// attend follows one connection to its end: a Result, or why it was lost.
func (s *Session) attend(ctx context.Context, l *link) (Result, error) {
	s.setLink(l)
	defer s.setLink(nil)
	done := make(chan struct{})
	var helpers sync.WaitGroup
	helpers.Go(func() { s.guard(func() { s.feed(ctx, l, done) }) })
	helpers.Go(func() { s.guard(func() { l.watch(ctx, done) }) })
	end, err := s.receive(l)
	close(done)
	l.abort()
	helpers.Wait()
	return end, err
}

// receive reads everything until closed comes or the link ends. It never waits
// for whoever takes the output.
func (s *Session) receive(l *link) (Result, error) {
	var refusal frame
	for {
		binary, p, err := l.next()
		if err != nil {
			return Result{}, err
		}
		if binary {
			s.tellBack(true)
			if err := s.out.push(p); err != nil {
				return Result{}, err
			}
			continue
		}
		f, err := parseFrame(p)
		if err != nil {
			return Result{}, err
		}
		switch f.Type {
		case "stdin_ack":
			if err := s.in.ack(f.Offset); err != nil {
				return Result{}, err
			}
		case "gap":
			s.tellBack(false)
			s.out.skip(f.To, f.Why)
		case "pong":
			s.pong(l, f.ID)
		case "idle_warn":
			if tell := s.req.Events.Idle; tell != nil {
				tell(time.Duration(f.SecondsRemaining) * time.Second)
			}
		case "error":
			refusal = f
		case "closed":
			s.tellBack(true)
			l.goodbye()
			return endOf(f, refusal), nil
		}
	}
}

// pong is an answer to a ping. What is missing is announced right after the
// frames that wait; so the answer to a second ping comes after it, and says that
// nothing is.
func (s *Session) pong(l *link, id []byte) {
	if string(id) == "0" {
		l.again.ring()
		return
	}
	s.tellBack(true)
}

// goodbye answers the server's close frame, so that it knows its last word to have
// arrived.
func (l *link) goodbye() {
	_ = l.raw.SetReadDeadline(time.Now().Add(partingLimit)) // without one, watch ends it
	var err error
	for err == nil {
		_, _, err = l.next()
	}
	_ = l.write(wsframe.Close, []byte{0x03, 0xe8}) // 1000; it may have gone already
}

// endOf joins closed with the error that it is about: one that came earlier, as
// about a size that was not taken, has other words.
func endOf(closed, refusal frame) Result {
	r := Result{Reason: closed.Reason, ExitCode: closed.ExitCode, Message: closed.Message}
	if closed.File != nil {
		r.File = &closed.File.File
	}
	if refusal.Code != "" && refusal.Message == closed.Message {
		r.Code, r.RequestID = refusal.Code, refusal.RequestID
	}
	return r
}

// feed sends stdin, sizes and pings. Whatever cannot be sent has failed the link.
func (s *Session) feed(ctx context.Context, l *link, done <-chan struct{}) {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	var id int64
	p := make([]byte, pieceSize)
	// The first ping tells the server at once that hello has arrived.
	for alive := l.send(pingFrame(0)) == nil; alive && s.resize(l) && s.pass(l, p); {
		select {
		case <-done:
			return
		case <-ctx.Done():
			_ = l.send(frameClose) // watch ends what cannot be told
			return
		case <-s.in.ready:
		case <-s.resized:
		case <-l.again:
			id++
			alive = l.send(pingFrame(id)) == nil
		case <-ping.C:
			id++
			alive = l.send(pingFrame(id)) == nil
		}
	}
}

// resize tells the size where the server knows another.
func (s *Session) resize(l *link) bool {
	now := s.newestSize()
	if now == l.size {
		return true
	}
	l.size = now
	return l.send(encode(resizeFrame{"resize", now.Cols, now.Rows})) == nil
}

// pass sends the stdin that there is.
func (s *Session) pass(l *link, p []byte) bool {
	for {
		n, eof := s.in.take(p)
		switch {
		case n > 0:
			if l.write(wsframe.Binary, p[:n]) != nil {
				return false
			}
		case eof:
			return l.send(frameEOF) == nil
		default:
			return true
		}
	}
}

// watch ends a link from which nothing comes, and after ctx one whose server has
// not said its last word in a moment.
func (l *link) watch(ctx context.Context, done <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-ctx.Done():
			t := time.AfterFunc(partingLimit, func() { l.fail(errShut) })
			<-done
			t.Stop()
			return
		case <-tick.C:
			if l.silence() >= silence {
				l.fail(errSilent)
				return
			}
		}
	}
}

// pause is full-jitter back-off.
type pause struct{ most time.Duration }

func newPause() *pause { return &pause{firstDelay} }

// reset is for a connection that was of use.
func (p *pause) reset() { p.most = firstDelay }

func (p *pause) wait(ctx context.Context) error {
	t := time.NewTimer(rand.N(p.most))
	defer t.Stop()
	p.most = min(2*p.most, lastDelay)
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
