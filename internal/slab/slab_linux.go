//go:build !race

package slab

import "golang.org/x/sys/unix"

// take maps n bytes; nil where the system has none. They have no pages before they
// are touched, nor huge ones, which would be there whole for a few bytes.
func take(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	_ = unix.Madvise(b, unix.MADV_NOHUGEPAGE) // a kernel without huge pages knows none of this
	return b
}

// release gives the pages of a block back. One that stays costs memory alone.
func release(b []byte) { _ = unix.Madvise(b, unix.MADV_DONTNEED) }
