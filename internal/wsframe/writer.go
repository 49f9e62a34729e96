package wsframe

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// Append appends one whole frame of a client, masked, whose payload is lead followed by p.
// dst should have MaxHeader bytes of room beyond them.
//
// The mask comes from the runtime's ChaCha8, which the operating system's
// random source seeds: RFC 6455 asks for keys that the application's data
// cannot foresee, and a system call for each keystroke buys nothing more.
func Append(dst []byte, op Opcode, lead, p []byte) []byte {
	key := rand.Uint32()
	dst = appendHeader(dst, op, len(lead)+len(p), key)
	dst = append(dst, lead...)
	rest := unmask(dst[len(dst)-len(lead):], key)
	return appendMasked(dst, p, rest)
}

// AppendHeader appends the header of a whole frame of a server, whose payload of
// size bytes the caller sends after it.
func AppendHeader(dst []byte, op Opcode, size int) []byte {
	return appendHead(dst, op, size, 0)
}

func appendHeader(dst []byte, op Opcode, size int, key uint32) []byte {
	const masked = 0x80
	return binary.LittleEndian.AppendUint32(appendHead(dst, op, size, masked), key)
}

// appendHead appends a header up to its length.
func appendHead(dst []byte, op Opcode, size int, masked byte) []byte {
	const fin = 0x80
	dst = append(dst, fin|byte(op))
	switch {
	case size < 126:
		return append(dst, masked|byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, masked|126), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(dst, masked|127), uint64(size))
}

func appendMasked(dst, p []byte, key uint32) []byte {
	at := len(dst)
	dst = append(dst, p...)
	unmask(dst[at:], key)
	return dst
}

// unmask masks or unmasks b, eight bytes at a time. key's lowest byte is for
// b[0]; it returns the key for the byte after b.
func unmask(b []byte, key uint32) uint32 {
	if key == 0 {
		return 0
	}
	next := bits.RotateLeft32(key, -8*(len(b)%4))
	for wide := uint64(key)<<32 | uint64(key); len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
	}
	for i := range b {
		b[i] ^= byte(key >> (8 * (i % 4)))
	}
	return next
}
