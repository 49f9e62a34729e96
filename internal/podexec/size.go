package podexec

import (
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// nudgeFor is how long a nudge lasts, from when it is on its way: sizes that
// follow each other at once may become one.
const nudgeFor = 100 * time.Millisecond

// sizer keeps the newest terminal size until a stream can take it.
type sizer struct {
	mu      sync.Mutex
	stream  transport.Stream
	size    transport.Size
	nudging bool        // the terminal is to have another size for a moment
	back    *time.Timer // gives the size back; nil until the other one is on its way
}

func (z *sizer) set(size transport.Size) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.size = size
	if z.stream != nil && !z.nudging {
		z.stream.Resize(size, nil)
	}
}

func (z *sizer) attach(stream transport.Stream) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.stream = stream
	if z.size != (transport.Size{}) {
		stream.Resize(z.size, nil)
	}
}

// nudge has a full-screen program draw everything anew: it does so when the size
// of its terminal changes, so the size changes, shortly.
func (z *sizer) nudge() {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.stream == nil || z.size == (transport.Size{}) || z.nudging {
		return
	}
	other := z.size
	if other.Rows > 1 {
		other.Rows--
	} else {
		other.Rows++
	}
	z.nudging = true
	z.stream.Resize(other, z.nudged)
}

// nudged is told that the other size is on its way. Before that the right one
// would take its place, and the program hear of none.
func (z *sizer) nudged() {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.nudging && z.back == nil {
		z.back = time.AfterFunc(nudgeFor, z.steady)
	}
}

// steady gives the terminal its size back.
func (z *sizer) steady() {
	z.mu.Lock()
	defer z.mu.Unlock()
	if !z.nudging {
		return
	}
	z.nudging, z.back = false, nil
	z.stream.Resize(z.size, nil)
}

// stop ends a nudge; the stream is not resized any more.
func (z *sizer) stop() {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.back != nil {
		z.back.Stop()
	}
	z.nudging, z.back, z.stream = false, nil, nil
}
