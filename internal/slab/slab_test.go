package slab

import (
	"sync"
	"testing"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

const size = 32 << 10

// TestBlocksAreApart: nobody's block is anybody else's, at any time.
func TestBlocksAreApart(t *testing.T) {
	p := New(size)
	var all sync.WaitGroup
	for who := range byte(8) {
		all.Go(func() {
			for range 50 {
				held := make([][]byte, 20)
				for i := range held {
					held[i] = p.Get()
					fill(held[i], who)
				}
				for _, b := range held {
					if len(b) != size || cap(b) != size || !is(b, who) {
						t.Errorf("a block of %d bytes (%d) changed", len(b), cap(b))
					}
					p.Put(b)
				}
			}
		})
	}
	all.Wait()
	if warm, held := len(p.warm), p.Held(); warm > warmBlocks || held != 0 {
		t.Errorf("%d unused blocks keep their pages, %d are in use", warm, held)
	}
}

func fill(b []byte, with byte) {
	for i := range b {
		b[i] = with
	}
}

func is(b []byte, want byte) bool {
	for _, c := range b {
		if c != want {
			return false
		}
	}
	return true
}

func TestBlocksAreUsedAgain(t *testing.T) {
	p := New(size)
	first := p.Get()
	p.Put(first)
	if again := p.Get(); &again[0] != &first[0] {
		t.Error("a block that was put back was not taken again")
	}
}

func TestAnotherPoolsBlock(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a block of another size was taken")
		}
	}()
	New(size).Put(make([]byte, size/2))
}
