package wsframe

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// Append appends one whole frame, masked, whose payload is lead followed by p.
// dst should have MaxHeader bytes of room beyond them.
//
// The mask comes from the runtime's ChaCha8, which the operating system's
// random source seeds: RFC 6455 asks for keys that the application's data
// cannot foresee, and a system call for each keystroke buys nothing more.
func Append(dst []byte, op Opcode, lead, p []byte) []byte {
	key := rand.Uint32()
	dst = appendHeader(dst, op, len(lead)+len(p), key)
	dst = appendMasked(dst, lead, key)
	return appendMasked(dst, p, bits.RotateLeft32(key, -8*(len(lead)%4)))
}

func appendHeader(dst []byte, op Opcode, size int, key uint32) []byte {
	const fin, masked = 0x80, 0x80
	dst = append(dst, fin|byte(op))
	switch {
	case size < 126:
		dst = append(dst, masked|byte(size))
	case size < 1<<16:
		dst = append(dst, masked|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(size))
	default:
		dst = append(dst, masked|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(size))
	}
	return binary.LittleEndian.AppendUint32(dst, key)
}

// appendMasked copies, then masks eight bytes at a time. key's lowest byte masks p[0].
func appendMasked(dst, p []byte, key uint32) []byte {
	at := len(dst)
	dst = append(dst, p...)
	b := dst[at:]
	for wide := uint64(key)<<32 | uint64(key); len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
	}
	for i := range b {
		b[i] ^= byte(key >> (8 * (i % 4)))
	}
	return dst
}
