package cli

import (
	"bytes"
	"io"
	"slices"
	"sync"
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

// shown reports whether one runs now.
func (f *fullScreen) shown() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on
}
