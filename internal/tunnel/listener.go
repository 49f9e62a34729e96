package tunnel

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

var (
	// ErrTarget refuses a stream to something that this end does not have.
	ErrTarget = errors.New("tunnel: no such target")
	// ErrClass refuses a stream of another class than its target takes.
	ErrClass = errors.New("tunnel: the target takes streams of another class")
)

// Taking is which of the streams that the peer opens a Listener takes. It refuses the
// others.
type Taking struct {
	// Target is what they are for; any other is refused with ErrTarget.
	Target string
	// Class is the one that is taken, others are refused with ErrClass; 0 takes any.
	Class Class
	// Most is how many may be open at a time, more are refused with ErrBusy; 0 takes
	// any number.
	Most int
	// Strange is told of other targets; nil for nobody.
	Strange func(target string)
}

// Listener gives streams that the peer opens, as a net.Listener for an http.Server. It
// ends with the link, or by Close.
func (l *Link) Listener(t Taking) net.Listener {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &listener{Taking: t, link: l, ctx: ctx, cancel: cancel}
}

type listener struct {
	Taking
	link   *Link
	open   atomic.Int64
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		o, err := l.link.Accept(l.ctx)
		if err != nil {
			return nil, err
		}
		if err := l.takes(o); err != nil {
			o.Refuse(err)
			continue
		}
		l.open.Add(1)
		return &taken{Stream: o.Accept(), left: func() { l.open.Add(-1) }}, nil
	}
}

// takes is why o is refused.
func (l *listener) takes(o *Offer) error {
	switch {
	case o.Target != l.Target:
		if l.Strange != nil {
			l.Strange(o.Target)
		}
		return ErrTarget
	case l.Class != 0 && o.Class != l.Class:
		return ErrClass
	case l.Most > 0 && l.open.Load() >= int64(l.Most):
		return ErrBusy
	}
	return nil
}

// taken counts until it is closed.
type taken struct {
	*Stream
	once sync.Once
	left func()
}

func (t *taken) Close() error {
	t.once.Do(t.left)
	return t.Stream.Close()
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.cancel(net.ErrClosed)
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.link.conn.LocalAddr() }
