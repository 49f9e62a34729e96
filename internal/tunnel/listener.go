package tunnel

import (
	"context"
	"errors"
	"net"
)

// ErrTarget refuses a stream to something that this end does not have.
var ErrTarget = errors.New("tunnel: no such target")

// Listener gives the streams that the peer opens to one target, as a net.Listener for
// an http.Server. A stream to any other is refused with ErrTarget, and refused is told
// to which; it may be nil. It ends with the link, or by Close.
func (l *Link) Listener(target string, refused func(target string)) net.Listener {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &listener{link: l, target: target, refused: refused, ctx: ctx, cancel: cancel}
}

type listener struct {
	link    *Link
	target  string
	refused func(target string)
	ctx     context.Context
	cancel  context.CancelCauseFunc
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		o, err := l.link.Accept(l.ctx)
		if err != nil {
			return nil, err
		}
		if o.Target != l.target {
			o.Refuse(ErrTarget)
			if l.refused != nil {
				l.refused(o.Target)
			}
			continue
		}
		return o.Accept(), nil
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.cancel(net.ErrClosed)
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.link.conn.LocalAddr() }
