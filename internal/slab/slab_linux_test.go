//go:build !race

package slab

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
)

// many is 64 MiB of blocks.
const many = 64 << 20 / size

// TestTheCollectorKnowsNothing: what is held here is not counted as heap, and what
// was put back is the system's again.
func TestTheCollectorKnowsNothing(t *testing.T) {
	p := New(size)
	before, heap := resident(t), heapInUse()
	held := make([][]byte, many)
	for i := range held {
		held[i] = p.Get()
		fill(held[i], 1)
	}
	full := resident(t)
	if grown := heapInUse() - heap; grown > 1<<20 || full-before < 60<<20 {
		t.Errorf("%d blocks: heap grew by %d, the process by %d", many, grown, full-before)
	}
	for _, b := range held {
		p.Put(b)
	}
	if left := resident(t) - before; left > 8<<20 {
		t.Errorf("%d bytes stay when all is put back", left)
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// resident is the process's memory in bytes (proc(5), statm).
func resident(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
