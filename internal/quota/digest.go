package quota

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// First is how much of the same is told at once; what follows is told once a minute.
const First = 10

// maxTold bounds what a Digest remembers; what was seen longest ago is forgotten first.
const maxTold = 10_000

// Digest lets the first of the same through, then one a minute, and counts the others.
type Digest[K comparable] struct {
	mu   sync.Mutex // guards what follows
	seen memory[K, told]
}

// told is what is known of one key.
type told struct {
	bucket *rate.Limiter
	untold int // since the last that was told
}

// NewDigest makes a Digest of what nobody was told of yet.
func NewDigest[K comparable]() *Digest[K] {
	return &Digest[K]{seen: newMemory[K](maxTold, func() *told {
		return &told{bucket: rate.NewLimiter(rate.Every(time.Minute), First)}
	})}
}

// Tell counts what has happened. It is true where that is to be told now, with how many
// of the same were not since the last that was.
func (d *Digest[K]) Tell(what K) (untold int, now bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	of := d.seen.add(what)
	if !of.bucket.Allow() {
		of.untold++
		return 0, false
	}
	untold, of.untold = of.untold, 0
	return untold, true
}
