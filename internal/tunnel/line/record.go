package line

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// A record is a kind (one byte), a length (three bytes, big endian) and a payload.
// Numbers are big endian; a count is of bytes of the line since its start.
//
//	HELLO    version, flags (1: resume, 2: standby), instance (length byte, text);
//	         to resume: line id (16), secret (32), count received
//	WELCOME  version, flags (1: resumed), ping, dead, grace in ms (4 each), count
//	         received; of a new line: line id (16), secret (32)
//	REFUSED  code (length byte, text), words (text)
//	DATA     bytes, 1 to 65536
//	ACK      count received
//	PING     count received
//	END      as REFUSED; nothing follows
type kind byte

const (
	hello   kind = 1
	welcome kind = 2
	refused kind = 3
	data    kind = 4
	ack     kind = 5
	ping    kind = 6
	end     kind = 7
)

const (
	version    = 1
	headSize   = 4
	maxData    = 64 << 10
	maxControl = 1 << 10
	// MaxInstance bounds an instance's name, in bytes.
	MaxInstance = 64
	maxCode     = 32
	maxWords    = 500

	idSize     = 16
	secretSize = 32

	// maxSetting keeps what a peer says of times within reason.
	maxSetting = 24 * time.Hour
)

// The flags of HELLO and WELCOME.
const (
	flagResume  = 1
	flagStandby = 2
)

func appendHead(b []byte, k kind, size int) []byte {
	return append(b, byte(k), byte(size>>16), byte(size>>8), byte(size))
}

// head takes a record's header apart and holds it against its kind's bounds.
func head(b []byte) (k kind, size int, err error) {
	k, size = kind(b[0]), int(b[1])<<16|int(b[2])<<8|int(b[3])
	least, most := 0, 0
	switch k {
	case hello, welcome:
		least, most = 3, maxControl
	case refused, end:
		least, most = 1, maxControl
	case data:
		least, most = 1, maxData
	case ack, ping:
		least, most = 8, 8
	}
	if size < least || size > most || most == 0 {
		return 0, 0, fmt.Errorf("%w: a record of kind %d with %d bytes", ErrRule, k, size)
	}
	return k, size, nil
}

func appendCount(b []byte, k kind, count uint64) []byte {
	return binary.BigEndian.AppendUint64(appendHead(b, k, 8), count)
}

// helloRecord opens or resumes a line.
type helloRecord struct {
	resume, standby bool
	instance        string
	id              [idSize]byte
	secret          [secretSize]byte
	received        uint64
}

func (h *helloRecord) append(b []byte) []byte {
	at := len(b)
	b = append(appendHead(b, hello, 0), version, flag(h.resume, flagResume)|flag(h.standby, flagStandby), byte(len(h.instance)))
	b = append(b, h.instance...)
	if h.resume {
		b = append(append(b, h.id[:]...), h.secret[:]...)
		b = binary.BigEndian.AppendUint64(b, h.received)
	}
	return sized(b, at)
}

func flag(on bool, bit byte) byte {
	if on {
		return bit
	}
	return 0
}

// sized writes the length of the one record from at on into its header.
func sized(b []byte, at int) []byte {
	size := len(b) - at - headSize
	b[at+1], b[at+2], b[at+3] = byte(size>>16), byte(size>>8), byte(size)
	return b
}

func parseHello(p []byte) (helloRecord, error) {
	var h helloRecord
	if p[0] != version {
		return h, fmt.Errorf("%w: %d, not %d", ErrVersion, p[0], version)
	}
	h.resume, h.standby = p[1]&flagResume != 0, p[1]&flagStandby != 0
	size := int(p[2])
	want := 3 + size
	if h.resume {
		want += idSize + secretSize + 8
	}
	if p[1]&^(flagResume|flagStandby) != 0 || size == 0 || size > MaxInstance || len(p) != want {
		return h, fmt.Errorf("%w: a HELLO that makes no sense", ErrRule)
	}
	h.instance = string(p[3 : 3+size])
	if h.resume {
		rest := p[3+size:]
		copy(h.id[:], rest)
		copy(h.secret[:], rest[idSize:])
		h.received = binary.BigEndian.Uint64(rest[idSize+secretSize:])
	}
	return h, nil
}

// welcomeRecord is the answer that seats a carrier.
type welcomeRecord struct {
	resumed  bool
	settings Settings
	received uint64
	id       [idSize]byte     // of a new line
	secret   [secretSize]byte // of a new line
}

func (w *welcomeRecord) append(b []byte) []byte {
	at := len(b)
	b = append(appendHead(b, welcome, 0), version, flag(w.resumed, flagResume))
	for _, d := range []time.Duration{w.settings.Ping, w.settings.Dead, w.settings.Grace} {
		b = binary.BigEndian.AppendUint32(b, uint32(d.Milliseconds()))
	}
	b = binary.BigEndian.AppendUint64(b, w.received)
	if !w.resumed {
		b = append(append(b, w.id[:]...), w.secret[:]...)
	}
	return sized(b, at)
}

func parseWelcome(p []byte) (welcomeRecord, error) {
	var w welcomeRecord
	if p[0] != version {
		return w, fmt.Errorf("%w: %d, not %d", ErrVersion, p[0], version)
	}
	w.resumed = p[1]&flagResume != 0
	want := 2 + 3*4 + 8
	if !w.resumed {
		want += idSize + secretSize
	}
	if p[1]&^flagResume != 0 || len(p) != want {
		return w, fmt.Errorf("%w: a WELCOME that makes no sense", ErrRule)
	}
	for i, d := range []*time.Duration{&w.settings.Ping, &w.settings.Dead, &w.settings.Grace} {
		*d = time.Duration(binary.BigEndian.Uint32(p[2+4*i:])) * time.Millisecond
		if *d <= 0 || *d > maxSetting {
			return w, fmt.Errorf("%w: a WELCOME with a time of %v", ErrRule, *d)
		}
	}
	w.received = binary.BigEndian.Uint64(p[14:])
	if !w.resumed {
		copy(w.id[:], p[22:])
		copy(w.secret[:], p[22+idSize:])
	}
	return w, nil
}

// appendWord appends a REFUSED or an END.
func appendWord(b []byte, k kind, e PeerError) []byte {
	at := len(b)
	code := e.Code[:min(len(e.Code), maxCode)]
	b = append(appendHead(b, k, 0), byte(len(code)))
	b = append(append(b, code...), strings.ToValidUTF8(e.Words[:min(len(e.Words), maxWords)], "")...)
	return sized(b, at)
}

func parseWord(p []byte) (*PeerError, error) {
	size := int(p[0])
	if size > maxCode || 1+size > len(p) || len(p)-1-size > maxWords {
		return nil, fmt.Errorf("%w: a last word that makes no sense", ErrRule)
	}
	return &PeerError{Code: printable(p[1 : 1+size]), Words: printable(p[1+size:])}, nil
}

// printable keeps a peer's words on one line of a log.
func printable(p []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(p), ""))
}
