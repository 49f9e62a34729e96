package line

import (
	"os"
	"time"
)

// deadline is one direction's, guarded by its Conn's mu.
type deadline struct {
	at    time.Time // zero for none
	timer *time.Timer
}

// set arms d; f is called once it has passed, unless it is moved.
func (d *deadline) set(t time.Time, f func()) {
	d.stop()
	d.at = t
	if !t.IsZero() {
		d.timer = time.AfterFunc(time.Until(t), f)
	}
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

func (d *deadline) err() error {
	if !d.at.IsZero() && !time.Now().Before(d.at) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline bounds Read, the one under way too. A Read after a passed deadline
// works again once it is moved.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return nil
	}
	c.readBy.set(t, c.wake)
	if c.leg != nil {
		_ = c.leg.nc.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline bounds Write in the same way. The bytes that Write has counted
// are sent nevertheless.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		c.writeBy.set(t, c.writeIsLate)
	}
	return nil
}

// wake lets those who wait look again.
func (c *Conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed.Broadcast()
}

// writeIsLate ends the waiting of Write, in the carrier too: what it has taken of a
// record cannot be called back, so the carrier goes with it.
func (c *Conn) writeIsLate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writeBy.err() == nil {
		return // it was moved
	}
	if l := c.leg; l != nil && l.direct {
		c.lose(l, errStuck)
	}
	c.changed.Broadcast()
}
