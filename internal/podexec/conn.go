package podexec

import (
	"cmp"
	"errors"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/podexec/transport"
	"github.com/periscope-console/periscope/internal/wsframe"
	"github.com/periscope-console/periscope/internal/wsock"
)

// Conn is a client's WebSocket, message by message; *wsock.Conn is one. Read
// belongs to one goroutine; the others may be called from any.
type Conn interface {
	// Read returns the next message, valid until the next Read. After
	// wsock.ErrTooBig and wsframe.ProtocolError the Conn can still be written.
	Read() (binary bool, p []byte, err error)
	// Write sends p as one message. p may be reused afterwards. It may block
	// until Abort.
	Write(binary bool, p []byte) error
	// HasRoom reports whether a Write of a few KiB surely does not block. Whoever
	// asks must be the only one that may Write.
	HasRoom() bool
	// Ping sends a ping; what comes for it breaks the Silence.
	Ping() error
	// Silence is how long nothing at all has come.
	Silence() time.Duration
	// Close sends a close frame, waits shortly for the client's, and closes. It
	// reports whether the client has answered, and so has all that was sent.
	Close(code int, reason string) (answered bool)
	// Abort closes at once.
	Abort()
}

// How long the last words to a client may take.
const partingLimit = 5 * time.Second

// Refuse tells a client why it gets no session, and closes.
func Refuse(conn Conn, err error, requestID string) {
	e := refusal(err)
	part(conn, e, requestID)
}

// part sends the last frames and the close code, and reports whether the client
// surely has them.
func part(conn Conn, e ending, requestID string) (told bool) {
	defer time.AfterFunc(partingLimit, conn.Abort).Stop()
	if e.fault != nil {
		if conn.Write(false, encode(errorOf(e.fault, requestID))) != nil {
			conn.Abort()
			return false
		}
	}
	if conn.Write(false, encode(closedOf(e))) != nil {
		conn.Abort()
		return false
	}
	return conn.Close(e.reason.CloseCode(), string(e.reason))
}

func errorOf(err error, requestID string) errorFrame {
	kind := fault.KindOf(err)
	f := errorFrame{
		Type: "error", Code: kind.Code(), Message: fault.PublicOf(err),
		Retryable: retryable[kind], RequestID: requestID,
	}
	var fe *fault.Error
	if errors.As(err, &fe) {
		f.ActiveSessions = fe.Detail["activeSessions"]
	}
	return f
}

// retryAfter is when a client may come back after a shutdown.
const retryAfter = 5

func closedOf(e ending) closedFrame {
	f := closedFrame{Type: "closed", Reason: e.reason, ExitCode: e.exitCode, Message: e.message, File: e.file}
	switch e.reason {
	case ClientClose:
		zero := 0
		f.ExitCode = &zero
	case Shutdown:
		f.RetryAfterSeconds = retryAfter
	}
	return f
}

// Opening reads the first frame of a v2 client: an open into req, or an attach,
// which is returned. One that does not come within limit is not waited for: the
// connection is closed.
func Opening(conn Conn, req *Request, limit time.Duration) (*Attach, error) {
	defer time.AfterFunc(limit, conn.Abort).Stop()
	binary, data, err := conn.Read()
	if err != nil {
		return nil, fault.Wrap(err, fault.Protocol, "podexec.Opening", "%s",
			cmp.Or(mistake(err), "The first frame did not arrive. Send open or attach as the first frame."))
	}
	if binary {
		return nil, fault.New(fault.Protocol, "podexec.Opening", "The first frame must be open or attach, as text. Send stdin after hello.")
	}
	f, err := parseClientFrame(data)
	if err != nil {
		return nil, fault.Wrap(err, fault.Protocol, "podexec.Opening", "The first frame was not understood: %v.", err)
	}
	switch f.Type {
	case "open":
		return nil, applyOpen(f, req)
	case "attach":
		return attachOf(f)
	}
	return nil, fault.New(fault.Protocol, "podexec.Opening", "The first frame must be open or attach, not %s.", f.Type)
}

// mistake says what a client did wrong whose connection could not be read, nothing
// where it was only lost.
func mistake(err error) string {
	var rule wsframe.ProtocolError
	switch {
	case errors.Is(err, wsock.ErrTooBig):
		return "A message is over the limit of 1 MiB. Send it in smaller ones."
	case errors.As(err, &rule):
		return "The WebSocket brought " + string(rule) + ". Use another client, or look for what garbles the connection."
	}
	return ""
}

// Refused counts and logs a wish that came to nothing. One that cannot even be read, and
// so never comes to Admit, is not in audit: nobody knows what it was for.
func (ss *Sessions) Refused(req Request, why error) {
	ss.Metrics.refused(why)
	ss.Log.Info("exec.refused", "actor", req.Actor.Subject, "cluster", named(req.Cluster),
		"namespace", named(req.Namespace), "pod", named(req.Pod), "requestId", req.RequestID, "error", why)
}

func applyOpen(f clientFrame, req *Request) (err error) {
	req.Container, req.Command, req.Reason = f.Container, f.Command, f.Reason
	req.TTY = f.TTY == nil || *f.TTY
	if f.File != nil {
		if len(f.Command) > 0 {
			return fault.New(fault.Invalid, "podexec.Opening", "Ask for a command or for a file, not for both.")
		}
		req.File, req.TTY = &File{Op: f.File.Op, Path: f.File.Path, Name: f.File.Name, Size: f.File.Size}, false
	}
	req.Size, err = f.firstSize()
	return err
}

func attachOf(f clientFrame) (*Attach, error) {
	a := &Attach{SessionID: f.SessionID, TakeOver: f.TakeOver, Offset: f.Offset, Redraw: f.Redraw}
	if f.ResumeToken != nil {
		a.Token = *f.ResumeToken
	}
	var err error
	a.Size, err = f.firstSize()
	return a, err
}

// firstSize is the size in an opening, zero where it names none.
func (f clientFrame) firstSize() (transport.Size, error) {
	if f.Cols == nil && f.Rows == nil {
		return transport.Size{}, nil
	}
	size, err := f.size()
	if err != nil {
		return size, fault.Wrap(err, fault.Invalid, "podexec.Opening", "The terminal's size is wrong: %v.", err)
	}
	return size, nil
}
