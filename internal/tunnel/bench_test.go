package tunnel

import (
	"io"
	"sync"
	"testing"
)

// BenchmarkEcho is a keystroke and its echo over TCP on the loopback.
func BenchmarkEcho(b *testing.B) {
	p := start(b)
	near, far := p.open(b, Interactive)
	go func() { _, _ = io.Copy(far, far) }()
	key := []byte("k")
	for b.Loop() {
		_, _ = near.Write(key)
		_, _ = io.ReadFull(near, key)
	}
	near.Close()
}

// BenchmarkBulk is 32 KiB written at a time, by 1 stream and by 16.
func BenchmarkBulk(b *testing.B) {
	for name, streams := range map[string]int{"1": 1, "16": 16} {
		b.Run(name, func(b *testing.B) {
			p := start(b)
			b.SetBytes(32 << 10)
			b.ReportAllocs()
			var all sync.WaitGroup
			for range streams {
				near, far := p.open(b, Bulk)
				all.Go(func() {
					piece := make([]byte, 32<<10)
					for range b.N / streams {
						_, _ = near.Write(piece)
					}
					near.Close()
				})
				all.Go(func() {
					piece := make([]byte, 64<<10)
					for err := error(nil); err == nil; {
						_, err = far.Read(piece)
					}
				})
			}
			all.Wait()
		})
	}
}
