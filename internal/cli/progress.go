package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// showEvery is how often progress is written anew.
const showEvery = 200 * time.Millisecond

// progress is one line on a terminal's stderr, written over and over. Elsewhere it
// is nothing.
type progress struct {
	to io.Writer // nil: nobody looks

	mu     sync.Mutex
	begun  time.Time
	shown  time.Time
	size   int64 // -1 where nobody knows
	bytes  int64
	onLine bool // the line is there and not ended
}

func (e Env) progress(quiet bool) *progress {
	p := &progress{size: -1, begun: time.Now()}
	if !quiet && isTerminal(e.Stderr) {
		p.to = e.Stderr
	}
	return p
}

func (p *progress) begin(size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.size, p.begun = size, time.Now()
}

func (p *progress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes += n
	if p.to == nil || time.Since(p.shown) < showEvery {
		return
	}
	p.shown, p.onLine = time.Now(), true
	fmt.Fprintf(p.to, "\r\x1b[K%s", p.line())
}

// line is what there is to say.
func (p *progress) line() string {
	var b strings.Builder
	b.WriteString(amount(p.bytes))
	rate := float64(p.bytes) / max(time.Since(p.begun).Seconds(), 0.001)
	if p.size > 0 {
		fmt.Fprintf(&b, " of %s, %d %%", amount(p.size), min(100, 100*p.bytes/p.size))
	}
	fmt.Fprintf(&b, ", %s/s", amount(int64(rate)))
	if left := p.size - p.bytes; p.size > 0 && left > 0 && rate > 1 {
		fmt.Fprintf(&b, ", %s left", (time.Duration(float64(left)/rate) * time.Second).Round(time.Second))
	}
	return b.String()
}

// end takes the line away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *progress) clear() {
	if p.onLine {
		fmt.Fprint(p.to, "\r\x1b[K")
		p.onLine = false
	}
}

func (p *progress) done(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.to != nil {
		fmt.Fprintf(p.to, "periscope: copied %s in %s\r\n", amount(bytes), time.Since(p.begun).Round(10*time.Millisecond))
	}
}

// amount is a number of bytes for people.
func amount(n int64) string {
	const unit = 1024
	switch {
	case n < unit:
		return fmt.Sprintf("%d B", n)
	case n < unit*unit:
		return fmt.Sprintf("%.1f KiB", float64(n)/unit)
	case n < unit*unit*unit:
		return fmt.Sprintf("%.1f MiB", float64(n)/unit/unit)
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/unit/unit/unit)
}
