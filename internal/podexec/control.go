package podexec

import (
	"encoding/json"
	"sync"
	"time"
)

const (
	// ackEvery is how much stdin is acknowledged at once, and ackWithin how long
	// less than that may wait: a keystroke's echo comes first.
	ackEvery  = 16 << 10
	ackWithin = 25 * time.Millisecond
	// maxPongs bounds the pongs that wait to be written; the oldest goes first.
	maxPongs = 8
	// maxControlQueue bounds the other frames that wait; the oldest stay.
	maxControlQueue = 64
)

// control is the queue of control frames to the client. Frames of which only
// the newest counts take one place.
type control struct {
	ready notice

	mu    sync.Mutex
	queue [][]byte
	pongs [][]byte
	ack   int64 // stdin up to here is with the container
	acked int64 // and up to here the client has been told
	ripe  bool  // it is to be told now
	later *time.Timer
	ping  bool
}

func newControl() *control { return &control{ready: newNotice()} }

func (c *control) push(frame []byte) {
	c.mu.Lock()
	if len(c.queue) < maxControlQueue {
		c.queue = append(c.queue, frame)
	}
	c.mu.Unlock()
	c.ready.ring()
}

// stdinAck says how much stdin is with the container. Two goroutines hand stdin
// on in turns and may tell of it in the other order.
func (c *control) stdinAck(offset int64) {
	c.mu.Lock()
	if offset <= c.ack {
		c.mu.Unlock()
		return
	}
	first := c.ack == c.acked
	c.ack = offset
	much := c.ack-c.acked >= ackEvery
	switch {
	case much:
		c.ripe = true
	case first && c.later == nil:
		c.later = time.AfterFunc(ackWithin, c.ripen)
	case first:
		c.later.Reset(ackWithin)
	}
	c.mu.Unlock()
	if much {
		c.ready.ring()
	}
}

// comeBack has the client told where its stdin stands.
func (c *control) comeBack(done int64) {
	c.mu.Lock()
	c.ack, c.acked, c.ripe = max(c.ack, done), -1, true
	c.mu.Unlock()
	c.ready.ring()
}

func (c *control) ripen() {
	c.mu.Lock()
	c.ripe = true
	c.mu.Unlock()
	c.ready.ring()
}

// wantPing has a ping sent.
func (c *control) wantPing() {
	c.mu.Lock()
	c.ping = true
	c.mu.Unlock()
	c.ready.ring()
}

// takePing says, once, that a ping is wanted.
func (c *control) takePing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted := c.ping
	c.ping = false
	return wanted
}

// begun reports whether every frame that was pushed has been taken, hello among
// them.
func (c *control) begun() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue) == 0
}

func (c *control) pong(id json.RawMessage) {
	c.mu.Lock()
	c.pongs = append(c.pongs, encode(pong{"pong", id}))
	if len(c.pongs) > maxPongs {
		c.pongs = c.pongs[1:]
	}
	c.mu.Unlock()
	c.ready.ring()
}

// next is the next frame to write, nil if there is none.
func (c *control) next() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.queue) > 0:
		return c.pushed()
	case c.ripe && c.ack > c.acked:
		c.acked, c.ripe = c.ack, false
		return encode(stdinAck{"stdin_ack", c.ack})
	case len(c.pongs) > 0:
		f := c.pongs[0]
		c.pongs = c.pongs[1:]
		return f
	}
	return nil
}

// rest is the next frame that was pushed, nil if there is none.
func (c *control) rest() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pushed()
}

// pushed takes the first frame of the queue. The caller has mu.
func (c *control) pushed() []byte {
	if len(c.queue) == 0 {
		return nil
	}
	f := c.queue[0]
	c.queue = c.queue[1:]
	return f
}
