// Package transport carries one exec stream to a container.
//
// It owns the dial, the two wire protocols (our own client for the WebSocket
// subprotocol v5.channel.k8s.io, and SPDY through client-go), the choice between
// them with its circuit breaker, and what an exec's end means. It does not own sessions, windows, audit or who may do what. A
// Stream's goroutines are its own: Close ends them and waits.
package transport

import (
	"context"
	"io"

	"k8s.io/client-go/rest"
)

// Kind names a wire protocol, in the words of the audit field "transport".
type Kind string

// The wire protocols, and Auto, for which a Switch tries WebSocket first.
const (
	WebSocket Kind = "ws"
	SPDY      Kind = "spdy"
	Auto      Kind = "auto"
)

// Size is a terminal's size in character cells.
type Size struct{ Cols, Rows uint16 }

// Request is one exec: POST or GET …/pods/{Pod}/exec with these options.
type Request struct {
	Namespace string
	Pod       string
	Container string
	Command   []string
	Stdin     bool
	TTY       bool
	// Size is sent before the first byte of stdin; zero means no size. TTY only.
	Size Size
}

// Channel says where output came from.
type Channel uint8

// The output channels.
const (
	Stdout Channel = 1
	Stderr Channel = 2
)

// Result is how the command ended.
type Result struct {
	// ExitCode is nil where it is unknown.
	ExitCode *int
	// Err is nil when the command ran and ended, with any exit code. Otherwise
	// it is a *fault.Error: the runtime could not start the command, the stream
	// broke, the cluster refused.
	Err error
}

// Stream is one running command. Read belongs to one goroutine; Write and
// CloseWrite to one other; Resize and Close may be called from any.
type Stream interface {
	// Read puts the next output bytes into p, straight from the wire, and says
	// which channel they came from. It joins what has already arrived for one
	// channel, and never waits to fill p. After the last byte it returns io.EOF,
	// whatever the end was; Result then says how. While nobody reads, the
	// container's program is held back once the buffers on the way are full.
	Read(p []byte) (n int, ch Channel, err error)
	// Write hands all of p to the command's stdin or fails. It may block for as
	// long as the program does not read.
	io.Writer
	// TryWrite is Write for a few bytes that the connection surely takes without
	// waiting. When it is false nothing was written; Write does it. It belongs to
	// the goroutine that writes, or to one that knows that no Write is under way.
	TryWrite(p []byte) bool
	// CloseWrite half-closes stdin: the program sees EOF and its output goes on.
	// It is a no-op where the cluster's protocol has no half-close (before v5).
	CloseWrite() error
	// Resize tells the program its new size. It never blocks: when one is
	// already waiting to be sent, the newer takes its place. sent, unless nil, is
	// called once the size is on its way, never where a newer took its place or the
	// stream ends before; by another goroutine, which it must not hold up.
	Resize(size Size, sent func())
	// Result is valid once Read has returned io.EOF.
	Result() Result
	// Kind says which wire protocol carries the stream.
	Kind() Kind
	// Close abandons the stream, frees all it holds and waits for its
	// goroutines. It does not end the command: the exec protocol has no kill.
	Close() error
}

// Dialer opens streams over one wire protocol.
type Dialer interface {
	// Dial opens the stream and returns once the cluster has accepted the
	// upgrade. cfg already bears the identity to act as. ctx bounds the dial
	// alone; the stream outlives it. Errors are *fault.Error; one for which
	// IsUpgradeFailure is true says that the wire protocol, not the request,
	// was refused.
	Dial(ctx context.Context, cfg *rest.Config, req Request) (Stream, error)
}
