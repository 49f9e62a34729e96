// Package wsframe is the client's half of RFC 6455 framing, cut to what an exec
// stream needs: binary messages, read as a stream of bytes.
//
// It owns frames: their headers, their masks and their rules. It does not own
// the handshake, the connection, deadlines, or what a message's bytes mean. It
// starts no goroutines, allocates nothing for a frame and holds no more than
// BufferSize bytes of what it has read; a message is never assembled, so its
// size needs no limit.
package wsframe

import (
	"errors"
	"fmt"
	"io"
)

// Opcode says what a frame carries.
type Opcode byte

// The opcodes of RFC 6455, section 11.8. An exec stream knows no text.
const (
	Continuation Opcode = 0
	Binary       Opcode = 2
	Close        Opcode = 8
	Ping         Opcode = 9
	Pong         Opcode = 10
)

const (
	// BufferSize is how much a Reader reads ahead: room for hundreds of tiny
	// frames, and all that an idle stream pins.
	BufferSize = 4 << 10
	// MaxControl is the largest payload of a control frame.
	MaxControl = 125
	// MaxHeader is the largest header of a client's frame.
	MaxHeader = 14
)

// ErrWouldWait says that nothing more can be had without waiting.
var ErrWouldWait = errors.New("wsframe: nothing has arrived")

// ProtocolError says which rule the peer broke. The connection is of no use
// after it.
type ProtocolError string

func (e ProtocolError) Error() string { return "websocket: the peer sent " + string(e) }

// CloseError is the peer's close frame.
type CloseError struct {
	Code   uint16
	Reason string
}

// The close codes an exec stream meets.
const (
	CloseNormal   uint16 = 1000
	CloseNoStatus uint16 = 1005 // the frame had no code; never on the wire
)

func (e *CloseError) Error() string {
	return fmt.Sprintf("websocket: closed with code %d %q", e.Code, e.Reason)
}

// Source is where a Reader's bytes come from.
type Source interface {
	io.Reader
	// Poll is a Read that returns ErrWouldWait rather than wait.
	Poll(p []byte) (int, error)
}
