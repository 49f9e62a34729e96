package cli

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/execclient"
)

// fullScreen passes output on and knows whether a full-screen program runs: one
// that has switched to the terminal's second screen. Our own lines end up in the
// middle of it, so it is asked to draw itself anew.
type fullScreen struct {
	io.Writer

	mu   sync.Mutex
	on   bool
	tail []byte // the end of what was written, where a sequence may have been cut
}

// switches are how programs switch to the second screen; "l" instead of "h" back.
var switches = [][]byte{[]byte("\x1b[?1049"), []byte("\x1b[?1047"), []byte("\x1b[?47")}

// maxSwitch is the length of the longest, and its end.
const maxSwitch = 8

func (f *fullScreen) Write(p []byte) (int, error) {
	f.mu.Lock()
	f.watch(p)
	f.mu.Unlock()
	return f.Writer.Write(p)
}

// watch finds the last switch in what was written.
func (f *fullScreen) watch(p []byte) {
	seen := slices.Concat(f.tail, p)
	last := -1
	for _, s := range switches {
		for at := 0; ; {
			i := bytes.Index(seen[at:], s)
			if i < 0 {
				break
			}
			at += i + len(s)
			if at < len(seen) && at > last && (seen[at] == 'h' || seen[at] == 'l') {
				last, f.on = at, seen[at] == 'h'
			}
		}
	}
	f.tail = slices.Clone(seen[max(0, len(seen)-maxSwitch+1):])
}

// repaintPause is long enough for a program to see that the size has changed.
const repaintPause = 100 * time.Millisecond

// repaint has a full-screen program draw itself anew: one row less for a moment.
func (f *fullScreen) repaint(size func() execclient.Size, resize func(execclient.Size)) {
	f.mu.Lock()
	on := f.on
	f.mu.Unlock()
	now := size()
	if !on || now.Rows < 2 {
		return
	}
	resize(execclient.Size{Cols: now.Cols, Rows: now.Rows - 1})
	time.AfterFunc(repaintPause, func() { resize(size()) })
}
