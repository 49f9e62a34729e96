package line

const (
	chunkSize = 64 << 10
	// maxChunks of chunkSize are 4 MiB.
	maxChunks = 64
	// tooSmall is the rest of a chunk that is left alone when more has to be kept:
	// one Write should be one record.
	tooSmall = 16 << 10
)

// replay keeps what has been written and not yet acknowledged. It grows by chunks
// and never holds more than maxChunks of them, the spare ones included. It is
// guarded by its Conn's mu.
type replay struct {
	start, end uint64 // counts of what is acknowledged and of what was written
	chunks     []*chunk
	spare      []*chunk
}

// chunk is a stretch of the line's bytes.
type chunk struct {
	from uint64
	n    int
	busy int // writes that use b without the lock
	b    [chunkSize]byte
}

func (c *chunk) end() uint64 { return c.from + uint64(c.n) }

// append keeps the beginning of p and says how much of it: nothing where there is
// no room.
func (r *replay) append(p []byte) int {
	tail := r.tail(len(p))
	if tail == nil {
		return 0
	}
	n := copy(tail.b[tail.n:], p)
	tail.n += n
	r.end += uint64(n)
	return n
}

// tail is the chunk for the next size bytes, nil where there is no room at all.
func (r *replay) tail(size int) *chunk {
	var last *chunk
	room := 0
	if len(r.chunks) > 0 {
		last = r.chunks[len(r.chunks)-1]
		room = chunkSize - last.n
	}
	switch {
	case room >= min(size, tooSmall):
		return last
	case len(r.chunks) < maxChunks:
		next := r.fresh()
		next.from = r.end
		r.chunks = append(r.chunks, next)
		return next
	case room > 0:
		return last
	}
	return nil
}

func (r *replay) fresh() *chunk {
	if n := len(r.spare); n > 0 {
		c := r.spare[n-1]
		r.spare[n-1], r.spare = nil, r.spare[:n-1]
		c.n = 0
		return c
	}
	return &chunk{}
}

// has reports whether the line can go on from count.
func (r *replay) has(count uint64) bool { return r.start <= count && count <= r.end }

// at is what is kept from count on, up to the end of its chunk. count must be
// below end and not below start.
func (r *replay) at(count uint64) (*chunk, []byte) {
	for i := len(r.chunks) - 1; i >= 0; i-- {
		if c := r.chunks[i]; c.from <= count {
			return c, c.b[count-c.from : c.n]
		}
	}
	return nil, nil // not reached: see above
}

// acknowledge forgets what is below count, which has been checked.
func (r *replay) acknowledge(count uint64) {
	if count <= r.start {
		return
	}
	r.start = count
	gone := 0
	for gone < len(r.chunks) && r.chunks[gone].end() <= count {
		// A lost carrier's write may still be reading a chunk: that one is not
		// written into again.
		if c := r.chunks[gone]; c.busy == 0 {
			r.spare = append(r.spare, c)
		}
		gone++
	}
	kept := copy(r.chunks, r.chunks[gone:])
	clear(r.chunks[kept:])
	r.chunks = r.chunks[:kept]
}

// trim gives back what is not in use.
func (r *replay) trim() {
	r.spare = nil
	if len(r.chunks) == 0 {
		r.chunks = nil
	}
}
