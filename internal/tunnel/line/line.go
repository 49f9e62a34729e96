// Package line is a net.Conn that outlives its connections.
//
// A line runs over one carrier at a time, any net.Conn. When the carrier is lost,
// both ends keep the line for a grace time; the dialling end dials again, each end
// says how many bytes it has, and what the other lacks is sent again: no byte is
// lost or doubled. A line ends on purpose (Close, CloseWith, a newer instance of the
// same name, an administrator) or when the grace has passed, and then for good.
//
// It owns the records on a carrier, the replay buffers, the life signs, dialling
// again, and at the accepting end (Host) which instance has the line of a name. It
// does not own carriers (what dials and accepts them, and how they are protected),
// who may speak for a name, or what the bytes mean.
//
// # What is required of the caller
//
// Somebody always reads. Acknowledgements, pings and the peer's last word are
// handled inside Read, so that bytes go from the carrier to the reader without a
// hand-over. A reader that stays away hears nothing of its peer, and after Dead its
// carrier is given up; a multiplexer above, which never waits for a stream, is such
// a reader. A carrier's Close, or its Abort if it has one, must not wait.
//
// # What is guaranteed
//
// A Write returns when a carrier has taken its bytes, and waits for the next carrier
// where there is none: nothing is queued here. What a carrier has taken and the peer
// has not acknowledged is kept, at most 4 MiB; a Write that finds no room waits.
// Read never waits for a write. A peer that says nothing for Dead is noticed whatever
// is being written. Deadlines hold for waiting; a write deadline that is set while a
// Write is stuck in a carrier gives that carrier up when it passes, and the line goes
// on over the next one.
//
// An idle line has no goroutine. Timers and short-lived goroutines send pings and
// acknowledgements; the dialling end has one while it dials. All end with the line.
package line

import (
	"cmp"
	"errors"
	"time"
)

const (
	// ackEvery is how much is received before it is acknowledged without a ping.
	ackEvery = 64 << 10
	// WholeWrite is the largest Write that fits into one record of TLS with the
	// headers of the line and of a WebSocket. A longer one of less than two costs a
	// third more.
	WholeWrite = 16<<10 - 64
	// HandshakeTime bounds a handshake, and each attempt to dial.
	HandshakeTime = 10 * time.Second
	// lastWords bounds how long the end of a line may take to be said.
	lastWords = time.Second
)

// Settings are what the accepting end decides and tells the other.
type Settings struct {
	// Ping is how often each end gives a sign of life; 0 is 5 s.
	Ping time.Duration
	// Dead is the silence after which a carrier is given up; 0 is 15 s.
	Dead time.Duration
	// Grace is how long a line lives without a carrier; 0 is 30 s.
	Grace time.Duration
}

func (s Settings) withDefaults() Settings {
	return Settings{
		Ping: cmp.Or(s.Ping, 5*time.Second), Dead: cmp.Or(s.Dead, 15*time.Second), Grace: cmp.Or(s.Grace, 30*time.Second),
	}
}

// State is that of a line's connection.
type State uint8

// The states. A line is Connected first; Gone is for good.
const (
	Gone State = iota
	Connected
	Reconnecting
)

func (s State) String() string { return [...]string{"gone", "connected", "reconnecting"}[s] }

// Status is a line as it is now.
type Status struct {
	State State
	// Since is when State became what it is.
	Since time.Time
	// Cut is why the last carrier was lost, nil before the first loss.
	Cut error
	// Cuts and Resumes count lost carriers and those that took over.
	Cuts, Resumes int64
	// Sent and Received count bytes of the line, Replayed those sent again.
	Sent, Received, Replayed uint64
	// Unacknowledged is how much is kept to be sent again, in bytes.
	Unacknowledged int
}

// Why a line ends or is refused.
var (
	// ErrGrace: the connection was lost and none came back in time.
	ErrGrace = errors.New("the link's connection was lost and did not come back in time")
	// ErrClosed: the peer ended the line on purpose.
	ErrClosed = errors.New("the peer ended the link")
	// ErrSuperseded: another instance of the same name has taken over.
	ErrSuperseded = errors.New("another instance has taken over")
	// ErrNotNeeded: a standby is refused while there is a line.
	ErrNotNeeded = errors.New("no standby is needed while there is a link")
	// ErrUnknown: there is no such line, or the proof is wrong.
	ErrUnknown = errors.New("there is no such link")
	// ErrVersion: the peer speaks another version of this protocol.
	ErrVersion = errors.New("the peer speaks another version of the link's protocol")
	// ErrFull: the accepting end has as many lines as it takes.
	ErrFull = errors.New("as many links are open as may be")
	// ErrRule: the peer broke the protocol, or its count of bytes cannot be.
	ErrRule = errors.New("the peer broke the link's protocol")
)

// codes are the words for these on the wire.
var codes = map[string]error{
	"closed": ErrClosed, "superseded": ErrSuperseded, "standby_not_needed": ErrNotNeeded,
	"unknown_line": ErrUnknown, "version": ErrVersion, "full": ErrFull, "grace": ErrGrace, "rule": ErrRule,
}

// codeOf is the code for err; what has none is "closed".
func codeOf(err error) string {
	for code, of := range codes {
		if errors.Is(err, of) {
			return code
		}
	}
	return "closed"
}

// PeerError is what the peer said when it ended or refused a line. errors.Is finds
// the errors above in it.
type PeerError struct {
	// Code is a word of the protocol, Words a sentence for people; either may be
	// empty.
	Code, Words string
}

func (e *PeerError) Error() string {
	if e.Words != "" {
		return e.Words
	}
	if err := codes[e.Code]; err != nil {
		return err.Error()
	}
	return "the peer ended the link: " + e.Code
}

// Is reports whether target is the error of the code.
func (e *PeerError) Is(target error) bool { return codes[e.Code] == target }
