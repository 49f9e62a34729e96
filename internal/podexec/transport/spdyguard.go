package transport

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/moby/spdystream/spdy"
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

// spdyPiece is the largest data frame that the library is given: it makes room for
// each before its bytes have come, keeps 50 for each of five workers, and wants one
// or two more of each stream in hand. So what an apiserver can make it hold is some
// 4 MiB, whatever it sends. Kubelets send 32 KiB in a frame; TLS brings 16 at a time.
const spdyPiece = 16 << 10

// spdyHeaders bound what the library makes of a reply's headers, of which apiservers
// send none, so that one of those is hardly larger than a piece: a value of nothing
// but separators becomes a string for each.
var spdyHeaders = []spdy.FramerOption{spdy.WithMaxHeaderCount(8), spdy.WithMaxHeaderFieldSize(64)}

// spdyGuard is what spdystream reads a link through. That library believes its
// peer: it closes a ping's channel for each answer that comes, which panics in a
// goroutine that nobody can recover; it keeps every stream that the peer opens; it
// waits for ever for somebody who takes headers; and it reads on beyond a frame
// that is too short. The guard lets through what apiservers send, each frame as
// long as the library takes it for, data in pieces, payload in place. Where it meets
// anything else the link fails. What the peer asks by pings of its own is answered
// in turn: it waits in the library's queues, which are short.
type spdyGuard struct {
	link *link

	pings uint32        // how many were sent; belongs to who sends them
	owed  atomic.Uint32 // the number of the one that waits for its answer; 0: none

	// What follows belongs to the reader.
	head [spdyHead + 4]byte // the present frame's, with the number of a ping
	held []byte             // what of head is still to be read
	rest int                // bytes of payload still to be read
	more int                // bytes of the data frame's payload beyond those
	end  byte               // the data frame's flags, which are its last piece's
}

// owe is called before each Ping of the library, which numbers those of a client
// 1, 3, 5 and so on, and of which one alone may wait.
func (g *spdyGuard) owe() {
	g.owed.Store(2*g.pings + 1)
	g.pings++
}

func (g *spdyGuard) Read(p []byte) (int, error) {
	for len(g.held) == 0 && g.rest == 0 {
		if g.more > 0 {
			g.piece()
		} else if err := g.next(); err != nil {
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
		if kind&spdyControl == 0 {
			g.more, g.end = length, head[4]
			g.piece()
			return nil
		}
	}
	if !known {
		return g.fail("a frame %08x of %d bytes", kind, length)
	}
	g.held, g.rest = head, length
	return nil
}

// piece makes the next piece of a data frame a frame of its own.
func (g *spdyGuard) piece() {
	g.rest = min(g.more, spdyPiece)
	g.more -= g.rest
	binary.BigEndian.PutUint32(g.head[4:], uint32(g.rest))
	if g.more == 0 {
		g.head[4] = g.end
	}
	g.held = g.head[:spdyHead]
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
