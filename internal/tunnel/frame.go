package tunnel

import (
	"encoding/binary"
	"fmt"
)

// A frame is a header of 8 bytes and a payload:
//
//	byte 0     kind
//	byte 1     code: the class of an open, the cause of a refuse, reset or bye; else 0
//	bytes 2–3  length of the payload
//	bytes 4–7  id of the stream; 0 in a bye alone
//
// Numbers are big-endian.
type kind uint8

const (
	frameOpen   kind = iota + 1 // payload: target
	frameAccept                 // no payload
	frameRefuse                 // payload: words
	frameData                   // payload: 1 to maxPayload bytes
	frameCredit                 // payload: how many bytes more the peer may send, uint32
	frameFin                    // no payload: I send no more
	frameStop                   // no payload: I read no more; answered by fin
	frameReset                  // payload: words; I neither send nor read; answered by fin
	frameBye                    // payload: words; the link ends
)

const (
	headerSize = 8
	creditSize = 4
	// maxWrite is the most that goes to the connection at a time where it can be
	// helped: with the headers of the layers below it is still one TLS record of
	// 16 KiB, and so one system call.
	maxWrite   = 16<<10 - 64
	maxPayload = maxWrite - headerSize
	maxTarget  = 255
	maxWords   = 256
)

type header struct {
	kind kind
	code uint8
	size int // of the payload, bytes
	id   uint32
}

// sizes are the least and the greatest payload of each kind.
var sizes = [...]struct{ least, most int }{
	frameOpen:   {0, maxTarget},
	frameAccept: {},
	frameRefuse: {0, maxWords},
	frameData:   {1, maxPayload},
	frameCredit: {creditSize, creditSize},
	frameFin:    {},
	frameStop:   {},
	frameReset:  {0, maxWords},
	frameBye:    {0, maxWords},
}

// parseHeader reads the first headerSize bytes of b and refuses what no frame
// begins with. Whether a frame fits its stream is for the link to say.
func parseHeader(b []byte) (header, error) {
	h := header{
		kind: kind(b[0]),
		code: b[1],
		size: int(binary.BigEndian.Uint16(b[2:])),
		id:   binary.BigEndian.Uint32(b[4:]),
	}
	if h.kind < frameOpen || h.kind > frameBye {
		return h, &ProtocolError{fmt.Sprintf("a frame of the unknown kind %d", b[0])}
	}
	if s := sizes[h.kind]; h.size < s.least || h.size > s.most {
		return h, &ProtocolError{fmt.Sprintf("%d bytes in a frame of kind %d", h.size, b[0])}
	}
	if (h.id == 0) != (h.kind == frameBye) {
		return h, &ProtocolError{fmt.Sprintf("a frame of kind %d for stream %d", b[0], h.id)}
	}
	return h, nil
}

// appendHeader is the inverse of parseHeader.
func appendHeader(b []byte, h header) []byte {
	b = append(b, byte(h.kind), h.code)
	b = binary.BigEndian.AppendUint16(b, uint16(h.size))
	return binary.BigEndian.AppendUint32(b, h.id)
}

func appendFrame[T []byte | string](b []byte, k kind, code uint8, id uint32, payload T) []byte {
	b = appendHeader(b, header{kind: k, code: code, size: len(payload), id: id})
	return append(b, payload...)
}

func appendCredit(b []byte, id uint32, n int) []byte {
	b = appendHeader(b, header{kind: frameCredit, size: creditSize, id: id})
	return binary.BigEndian.AppendUint32(b, uint32(n))
}
