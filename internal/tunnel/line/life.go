package line

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"time"
)

// seat makes l the line's leg. The peer has count bytes; first are records that go
// before anything else. The caller holds mu, has checked count, and there is no leg.
func (c *Conn) seat(l *leg, count uint64, first []byte) {
	c.out.acknowledge(count)
	if c.farthest > count {
		c.status.Replayed += c.farthest - count
	}
	l.sent, l.taken, l.due = count, count, first
	l.heard.Store(int64(time.Since(l.born)))
	c.leg, c.told = l, c.received // by the handshake
	c.local, c.remote = l.nc.LocalAddr(), l.nc.RemoteAddr()
	_ = l.nc.SetReadDeadline(c.readBy.at)
	l.watch = time.AfterFunc(c.settings.Dead, func() { c.check(l) })
	l.beat = time.AfterFunc(c.settings.Ping, func() { c.beat(l) })
	if c.grace != nil {
		c.grace.Stop()
		c.status.Resumes++
	}
	c.enter(Connected)
	if c.due(l) {
		c.handOver(l)
	}
}

// lose gives l up, for cause. The line waits for another leg for the grace. The
// caller holds mu.
func (c *Conn) lose(l *leg, cause error) {
	if c.leg != l {
		return
	}
	c.unseat()
	l.kill()
	c.status.Cut = cause
	c.status.Cuts++
	c.grace = time.AfterFunc(c.settings.Grace, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.leg == nil {
			c.finish(fmt.Errorf("%w (%w)", ErrGrace, c.status.Cut), nil)
		}
	})
	c.enter(Reconnecting)
	if c.again != nil {
		go c.again()
	}
}

func (c *Conn) unseat() {
	l := c.leg
	c.leg = nil
	l.watch.Stop()
	l.beat.Stop()
}

func (c *Conn) enter(s State) {
	c.status.State, c.status.Since = s, time.Now()
	c.changed.Broadcast()
	if c.tell != nil {
		go c.tell() // it may ask for the Status
	}
}

// check gives up a leg that has been silent for too long, and needs nobody's turn for
// that.
func (c *Conn) check(l *leg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leg != l {
		return
	}
	left := c.settings.Dead - l.silence()
	if left <= 0 {
		c.lose(l, fmt.Errorf("%w for %v", errSilent, c.settings.Dead))
		return
	}
	l.watch.Reset(left)
}

// beat gives a sign of life, unless something is being written, which is one, and
// memory that is not in use back.
func (c *Conn) beat(l *leg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leg != l {
		return
	}
	l.beat.Reset(c.settings.Ping)
	c.out.trim()
	if l.pushing {
		return
	}
	l.due = appendCount(l.due, ping, c.received)
	c.told = c.received
	l.pushing = true
	c.push(l, math.MaxUint64)
}

// Close ends the line at both ends. It waits until the peer has heard of it, for a
// second at most.
func (c *Conn) Close() error { return c.CloseWith(nil) }

// CloseWith is Close with a reason: it is Err here, and the peer gets its words, as a
// PeerError.
func (c *Conn) CloseWith(cause error) error {
	c.end(cause)
	<-c.said
	return nil
}

// end is CloseWith without waiting.
func (c *Conn) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cause == nil {
		c.finish(net.ErrClosed, net.ErrClosed)
		return
	}
	c.finish(cause, cause)
}

// finish ends the line for err; say is what the peer is told, nil where it knows. The
// caller holds mu.
func (c *Conn) finish(err, say error) {
	if c.ended != nil {
		return
	}
	c.ended = err
	c.readBy.stop()
	c.writeBy.stop()
	if c.grace != nil {
		c.grace.Stop()
	}
	c.cancel(err)
	close(c.done)
	l := c.leg
	if l != nil {
		c.unseat()
	}
	c.enter(Gone)
	switch {
	case l == nil:
		close(c.said)
	case say == nil:
		l.kill()
		close(c.said)
	default:
		go c.lastWord(l, say)
	}
}

// lastWord tells the peer, and takes what it still sends until it closes: closing a
// socket with unread bytes would reset it, and the word might be lost.
func (c *Conn) lastWord(l *leg, why error) {
	defer close(c.said)
	defer l.kill()
	late := time.AfterFunc(lastWords, l.kill) // ends everything below
	defer late.Stop()
	_ = l.nc.SetReadDeadline(time.Unix(1, 0)) // whoever reads gives the turn back
	c.mu.Lock()
	for l.pushing || c.reading {
		c.changed.Wait()
	}
	c.mu.Unlock()
	if l.write(nil, appendWord(nil, end, wordFor(why))) != nil {
		return
	}
	_ = l.nc.SetReadDeadline(time.Time{})
	_, _ = io.Copy(io.Discard, struct{ io.Reader }{l.nc})
}

// wordFor is what a peer is told of err.
func wordFor(err error) PeerError {
	word := PeerError{Code: codeOf(err)}
	if err != net.ErrClosed && err != codes[word.Code] { //nolint:errorlint // the bare sentinel has no words of its own
		word.Words = err.Error()
	}
	return word
}

// jitter is a random time up to least·2^n and no more than most.
func jitter(n int, least, most time.Duration) time.Duration {
	top := most
	if n < 30 {
		top = min(most, least<<n)
	}
	return rand.N(top + 1)
}

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
