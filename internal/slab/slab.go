// Package slab hands out blocks of memory that the garbage collector does not
// count. The collector lets garbage stand in proportion to all that is in use
// (half of it, where GOGC is 50), and so bytes that wait on its heap for a client
// cost half as much again.
//
// It owns the blocks that were put back, and starts nothing. Blocks are not
// cleared, and whoever has put one back may not touch it. Memory is taken from the
// system in whole regions and never given back as address space; of the blocks
// that wait to be used again only a few keep their pages. Where the system is not
// asked (not Linux, or the race detector is to see every access), blocks come from
// the heap.
package slab

import "sync"

const (
	// regionBlocks is how many blocks are taken from the system at once.
	regionBlocks = 32
	// warmBlocks is how many unused blocks keep their pages, for whoever comes next.
	warmBlocks = 32
)

// Pool has blocks of one size. It is safe for any goroutine.
type Pool struct {
	size int

	mu   sync.Mutex
	warm [][]byte // unused, with their pages; at most warmBlocks
	cold [][]byte // unused, without
	held int      // how many are in use
}

// New makes a pool of blocks of size bytes, a multiple of the system's page.
func New(size int) *Pool { return &Pool{size: size} }

// Get takes a block. What is in it is of no meaning.
func (p *Pool) Get() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.warm) == 0 && len(p.cold) == 0 {
		p.grow()
	}
	p.held++
	if b := pop(&p.warm); b != nil {
		return b
	}
	return pop(&p.cold)
}

// Put gives back a block that Get returned.
func (p *Pool) Put(b []byte) {
	if len(b) != p.size {
		panic("slab: not a block of this pool")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held--
	if len(p.warm) < warmBlocks {
		p.warm = append(p.warm, b)
		return
	}
	release(b)
	p.cold = append(p.cold, b)
}

// Held is how many blocks are in use.
func (p *Pool) Held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// grow takes a region from the system, or where that has none one block from the
// heap. The caller has mu.
func (p *Pool) grow() {
	region := take(regionBlocks * p.size)
	if region == nil {
		region = make([]byte, p.size)
	}
	for len(region) > 0 {
		p.cold = append(p.cold, region[:p.size:p.size])
		region = region[p.size:]
	}
}

func pop(list *[][]byte) []byte {
	last := len(*list) - 1
	if last < 0 {
		return nil
	}
	b := (*list)[last]
	(*list)[last] = nil
	*list = (*list)[:last]
	return b
}
