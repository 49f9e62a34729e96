// Package wsframe is RFC 6455 framing for both ends of a connection, without
// extensions: messages are read as a stream of bytes.
//
// It owns frames (their headers, their masks and their rules), which ping is
// answered (Pongs), and the opening handshake of both ends. It does not own the
// connection that comes of it, deadlines, who may connect, or what a message's bytes
// mean. The goroutines that it starts end with the handshake, or with the answer to a
// ping. It allocates nothing for a frame and holds no more than its buffer of what it
// has read; a message is never assembled, so its size needs no limit.
package wsframe

import (
	"errors"
	"fmt"
	"io"
)

// Opcode says what a frame carries.
type Opcode byte

// The opcodes of RFC 6455, section 11.8.
const (
	Continuation Opcode = 0
	Text         Opcode = 1
	Binary       Opcode = 2
	Close        Opcode = 8
	Ping         Opcode = 9
	Pong         Opcode = 10
)

const (
	// ServerAhead is how much the Reader of a server's frames reads ahead: room
	// for hundreds of tiny ones, and all that an idle stream pins.
	ServerAhead = 2 << 10
	// ClientAhead is the same for a client's frames, which come one by one: the
	// keystrokes of a person. It has room for the largest control frame.
	ClientAhead = 256
	// MaxControl is the largest payload of a control frame.
	MaxControl = 125
	// MaxHeader is the largest header of a frame.
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

// Close codes of RFC 6455, section 7.4.1.
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
