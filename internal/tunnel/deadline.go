package tunnel

import (
	"sync"
	"time"
)

// deadline is when one direction of a stream stops to wait. Its fields are
// guarded by the lock of the condition that set is given.
type deadline struct {
	timer  *time.Timer // nil where none was ever set
	passed bool
	sets   uint32 // tells the timer of an older deadline that it was moved
}

// set moves the deadline and wakes who waits, who looks at passed. No time at
// all is no deadline.
func (d *deadline) set(t time.Time, waiting *sync.Cond) {
	waiting.L.Lock()
	defer waiting.L.Unlock()
	d.stop()
	d.passed = false
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.passed = true
		waiting.Broadcast()
		return
	}
	set := d.sets
	d.timer = time.AfterFunc(left, func() {
		waiting.L.Lock()
		defer waiting.L.Unlock()
		if d.sets == set {
			d.passed = true
			waiting.Broadcast()
		}
	})
}

// stop ends the timer. The lock is held.
func (d *deadline) stop() {
	d.sets++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
