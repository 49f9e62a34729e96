package podexec

import (
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// nudgeFor is how long a nudge lasts: sizes that follow each other at once may
// become one on the way.
const nudgeFor = 100 * time.Millisecond

// sizer keeps the newest terminal size until a stream can take it.
type sizer struct {
	mu     sync.Mutex
	stream transport.Stream
	size   transport.Size
	nudged *time.Timer // gives the size back; nil while there is no nudge
}

func (z *sizer) set(size transport.Size) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.size = size
	if z.stream != nil && z.nudged == nil {
		z.stream.Resize(size)
	}
}

func (z *sizer) attach(stream transport.Stream) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.stream = stream
	if z.size != (transport.Size{}) {
		stream.Resize(z.size)
	}
}

// nudge has a full-screen program draw everything anew: it does so when the size
// of its terminal changes, so the size changes, shortly.
func (z *sizer) nudge() {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.stream == nil || z.size == (transport.Size{}) || z.nudged != nil {
		return
	}
	other := z.size
	if other.Rows > 1 {
		other.Rows--
	} else {
		other.Rows++
	}
	z.stream.Resize(other)
	z.nudged = time.AfterFunc(nudgeFor, z.steady)
}

// steady gives the terminal its size back.
func (z *sizer) steady() {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.nudged == nil {
		return
	}
	z.nudged = nil
	z.stream.Resize(z.size)
}

// stop ends a nudge; the stream is not resized any more.
func (z *sizer) stop() {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.nudged != nil {
		z.nudged.Stop()
		z.nudged = nil
	}
	z.stream = nil
}
