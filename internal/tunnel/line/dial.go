package line

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	// Attempts to dial follow each other after a random time of up to
	// firstWait·2^n, and never more than longestWait; while a line waits, never more
	// than a tenth of its grace, so that an outage that is shorter loses no line.
	firstWait   = 250 * time.Millisecond
	longestWait = 30 * time.Second
	// steady is how long a line must have lived so that the waits begin anew. Who is at
	// a shell then waits little for the next one, however long the outage before was;
	// and whatever ends all lines soon after they began is still asked less and less.
	steady = 5 * time.Second
	// standbyWait is how often a standby asks, give or take a quarter.
	standbyWait = time.Minute
)

// Dialer begins lines, and keeps each over as many carriers as it takes.
type Dialer struct {
	// Dial makes a carrier. It must return soon after its context is done.
	Dial func(context.Context) (net.Conn, error)
	// Instance names this process among those that dial for the same name: another
	// one after each start. 1 to MaxInstance bytes.
	Instance string
	// Changed is told of each change of a line's state; nil for nobody. It is called
	// by a goroutine of its own, which may ask for the Status; what that says counts.
	Changed func(*Conn)
	// Failed is told by Keep that no line could be begun, or that one has ended, and
	// when it tries again; nil for nobody.
	Failed func(err error, again time.Duration)

	first time.Duration // firstWait where it is 0
}

func (d *Dialer) wait(n int, most time.Duration) time.Duration {
	return jitter(n, cmp.Or(d.first, firstWait), min(most, longestWait))
}

// Begin makes one attempt at a new line, bounded by HandshakeTime; a standby is only
// taken where there is no other. A refusal is a *PeerError.
func (d *Dialer) Begin(ctx context.Context, standby bool) (*Conn, error) {
	if d.Instance == "" || len(d.Instance) > MaxInstance {
		return nil, fmt.Errorf("line: an instance has 1 to %d bytes, not %d", MaxInstance, len(d.Instance))
	}
	l, w, err := d.shake(ctx, helloRecord{instance: d.Instance, standby: standby})
	if err != nil {
		return nil, err
	}
	if w.resumed || w.received != 0 {
		l.kill()
		return nil, fmt.Errorf("%w: a new line that is none", ErrRule)
	}
	c := newConn(d.Instance, w.id, w.settings)
	c.again = func() { d.resume(c, w.secret) }
	if d.Changed != nil {
		c.tell = func() { d.Changed(c) }
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seat(l, 0, nil)
	return c, nil
}

// Keep begins a line, hands it to serve, and begins another when it has ended, until
// ctx is done, whose cause it returns. After another instance has taken over, it asks as
// a standby. serve should return when the line has ended; Keep ends one that it
// leaves behind.
func (d *Dialer) Keep(ctx context.Context, serve func(*Conn)) error {
	standby := false
	for n := 0; ; n++ {
		c, err := d.Begin(ctx, standby)
		if err == nil {
			began := time.Now()
			err = d.serve(ctx, c, serve)
			standby = false
			if time.Since(began) >= steady { // else something ends our lines
				n = 0
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		standby = standby || errors.Is(err, ErrSuperseded)
		wait := d.wait(n, longestWait)
		if standby {
			wait = standbyWait*3/4 + jitter(0, standbyWait/2, standbyWait/2)
		}
		if d.Failed != nil {
			d.Failed(err, wait)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

func (d *Dialer) serve(ctx context.Context, c *Conn, serve func(*Conn)) error {
	stop := context.AfterFunc(ctx, func() { c.end(context.Cause(ctx)) })
	defer stop()
	serve(c)
	_ = c.Close()
	return c.Err()
}

// shake dials and says HELLO. ctx bounds it, and HandshakeTime.
func (d *Dialer) shake(ctx context.Context, h helloRecord) (*leg, welcomeRecord, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, HandshakeTime, errHandshake)
	defer cancel()
	nc, err := d.Dial(ctx)
	if err != nil {
		return nil, welcomeRecord{}, err
	}
	l := newLeg(nc)
	stop := context.AfterFunc(ctx, l.kill)
	w, err := l.greet(h)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		l.kill()
	}
	return l, w, err
}

var errHandshake = fmt.Errorf("the handshake took longer than %v", HandshakeTime)

func (l *leg) greet(h helloRecord) (welcomeRecord, error) {
	if err := l.write(nil, h.append(nil)); err != nil {
		return welcomeRecord{}, err
	}
	payload, err := l.answer(welcome)
	if err != nil {
		return welcomeRecord{}, err
	}
	return parseWelcome(payload)
}

// resume dials until c has a leg again or has ended.
func (d *Dialer) resume(c *Conn, secret [secretSize]byte) {
	for n, most := 0, c.longest(); ; n++ {
		if pause(c.ctx, d.wait(n, most)) != nil {
			return
		}
		h := helloRecord{resume: true, instance: d.Instance, id: c.id, secret: secret, received: c.count()}
		l, w, err := d.shake(c.ctx, h)
		if err == nil {
			c.rejoin(l, w)
			return
		}
		var word *PeerError
		if errors.As(err, &word) || errors.Is(err, ErrRule) || errors.Is(err, ErrVersion) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.finish(err, nil)
			return
		}
	}
}

// longest is how far attempts to resume may be apart.
func (c *Conn) longest() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings.Grace / 10
}

// count is how much was received. It stands still while there is no leg.
func (c *Conn) count() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received
}

// rejoin goes on over l, as w says.
func (c *Conn) rejoin(l *leg, w welcomeRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended != nil:
		l.kill()
	case !w.resumed || !c.out.has(w.received) || w.received > c.farthest:
		l.kill()
		c.finish(fmt.Errorf("%w: it says it has %d bytes of %d, from %d", ErrRule, w.received, c.farthest, c.out.start), nil)
	default:
		c.settings = w.settings
		c.seat(l, w.received, nil)
	}
}
