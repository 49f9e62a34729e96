package transport

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
)

// The frames of SPDY/3 that an apiserver sends, by the first word of their headers
// (control bit, version and type; see draft 3.1, section 2.2). A data frame's has
// its stream there, and no control bit.
const (
	spdyReply    = 0x80030002
	spdyReset    = 0x80030003
	spdySettings = 0x80030004
	spdyPing     = 0x80030006
	spdyGoAway   = 0x80030007
	spdyWindow   = 0x80030009
	spdyControl  = 0x80000000
)

// spdyHead is the size of a frame's header. The lower 24 bits of its second word
// are the payload's length.
const (
	spdyHead   = 8
	spdyLength = 1<<24 - 1
)

// spdyError says what the peer sent that no apiserver does.
type spdyError string

func (e spdyError) Error() string { return "spdy: the peer sent " + string(e) }

// spdyGuard is what spdystream reads a link through. That library believes its
// peer: it closes a ping's channel for each answer that comes, which panics in a
// goroutine that nobody can recover; it keeps every stream that the peer opens; it
// waits for ever for somebody who takes headers; and it reads on beyond a frame
// that is too short. The guard lets through what apiservers send, each frame as
// long as the library takes it for, payload in place. Where it meets anything else
// the link fails. What the peer asks by pings of its own is answered in turn: it
// waits in the library's queues, which are short.
type spdyGuard struct {
	link *link

	pings uint32        // how many were sent; belongs to who sends them
	owed  atomic.Uint32 // the number of the one that waits for its answer; 0: none

	// What follows belongs to the reader.
	head [spdyHead + 4]byte // the present frame's, with the number of a ping
	held []byte             // what of head is still to be read
	rest int                // bytes of payload still to be read
}

// owe is called before each Ping of the library, which numbers those of a client
// 1, 3, 5 and so on, and of which one alone may wait.
func (g *spdyGuard) owe() {
	g.owed.Store(2*g.pings + 1)
	g.pings++
}

func (g *spdyGuard) Read(p []byte) (int, error) {
	for len(g.held) == 0 && g.rest == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	if len(g.held) > 0 {
		n := copy(p, g.held)
		g.held = g.held[n:]
		return n, nil
	}
	n, err := g.link.Read(p[:min(len(p), g.rest)])
	g.rest -= n
	return n, err
}

// next reads a header, and leaves nothing to be read where its frame is of no use:
// the library knows neither settings nor windows.
func (g *spdyGuard) next() error {
	head := g.head[:spdyHead]
	if _, err := io.ReadFull(g.link, head); err != nil {
		return err
	}
	kind, length := binary.BigEndian.Uint32(head), int(binary.BigEndian.Uint32(head[4:])&spdyLength)
	known := false
	switch kind {
	case spdySettings, spdyWindow:
		_, err := io.CopyN(io.Discard, g.link, int64(length))
		return err
	case spdyPing:
		if length == 4 {
			return g.ping()
		}
	case spdyReply:
		known = length >= 4
	case spdyReset, spdyGoAway:
		known = length == 8
	default:
		known = kind&spdyControl == 0
	}
	if !known {
		return g.fail("a frame %08x of %d bytes", kind, length)
	}
	g.held, g.rest = head, length
	return nil
}

// ping lets an answer through once. The peer's own pings have even numbers.
func (g *spdyGuard) ping() error {
	number := g.head[spdyHead:]
	if _, err := io.ReadFull(g.link, number); err != nil {
		return err
	}
	if n := binary.BigEndian.Uint32(number); n%2 == 1 && !g.owed.CompareAndSwap(n, 0) {
		return g.fail("an answer to ping %d, which is owed none", n)
	}
	g.held = g.head[:]
	return nil
}

// fail also says to the stream's end why: the library keeps no errors.
func (g *spdyGuard) fail(format string, args ...any) error {
	var err error = spdyError(fmt.Sprintf(format, args...))
	g.link.broken.CompareAndSwap(nil, &err)
	return err
}
