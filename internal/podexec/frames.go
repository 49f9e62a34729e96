package podexec

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// Protocol is the WebSocket subprotocol of our own clients; see api/terminal.md.
const Protocol = "v2.exec.periscope"

// Bounds of what a client may send.
const (
	// MaxFrame bounds one message from a client, in bytes.
	MaxFrame   = 1 << 20
	maxControl = 64 << 10
	maxArgs    = 256
	maxCommand = 16 << 10
	maxReason  = 512
	maxPingID  = 64
)

// clientFrame is any control frame of a client.
type clientFrame struct {
	Type        string          `json:"type"`
	Container   string          `json:"container"`
	Command     []string        `json:"command"`
	TTY         *bool           `json:"tty"`
	Cols        *cells          `json:"cols"`
	Rows        *cells          `json:"rows"`
	Reason      string          `json:"reason"`
	SessionID   string          `json:"sessionId"`
	ResumeToken *string         `json:"resumeToken"`
	TakeOver    bool            `json:"takeOver"`
	Offset      *int64          `json:"offset"`
	Redraw      bool            `json:"redraw"`
	File        *fileFrame      `json:"file"`
	ID          json.RawMessage `json:"id"`
}

// fileFrame asks for a file instead of a command.
type fileFrame struct {
	Op   FileOp `json:"op"`
	Path string `json:"path"`
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// fileHello says what was found at the path.
type fileHello struct {
	Directory bool `json:"directory"` // it comes as a tar archive
	// Size is nil where nobody knows it before.
	Size *int64 `json:"size"`
}

type hello struct {
	Type              string `json:"type"`
	SessionID         string `json:"sessionId"`
	Cluster           string `json:"cluster"`
	Namespace         string `json:"namespace"`
	Pod               string `json:"pod"`
	Container         string `json:"container"`
	Shell             string `json:"shell"`
	TTY               bool   `json:"tty"`
	Transport         string `json:"transport"`
	User              string `json:"user"`
	ServerIdleSeconds int    `json:"serverIdleSeconds"`
	IdleWarnSeconds   int    `json:"idleWarnSeconds"`
	CircuitBreaker    string `json:"circuitBreaker,omitempty"`
	// WebSocketRetryAt is nil unless the breaker is open.
	WebSocketRetryAt *time.Time `json:"webSocketRetryAt,omitempty"`
	*helloV2
}

// utc is t as frames have it, nil for the zero time.
func utc(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

// helloV2 is what the v2 mode adds.
type helloV2 struct {
	// ResumeToken is nil but where one was issued just now.
	ResumeToken *string `json:"resumeToken"`
	// ResumeSeconds is how long the session waits for a client that was lost.
	ResumeSeconds int   `json:"resumeSeconds"`
	Resumed       bool  `json:"resumed"`
	Offset        int64 `json:"offset"`
	StdinOffset   int64 `json:"stdinOffset"`
	Window        int64 `json:"window"`
	StdinWindow   int64 `json:"stdinWindow"`
	// File is nil where none is carried.
	File *fileHello `json:"file,omitempty"`
}

type idleWarn struct {
	Type             string `json:"type"`
	SecondsRemaining int    `json:"secondsRemaining"`
}

type stdinAck struct {
	Type   string `json:"type"`
	Offset int64  `json:"offset"`
}

type pong struct {
	Type string          `json:"type"`
	ID   json.RawMessage `json:"id"`
}

type gapFrame struct {
	Type string `json:"type"`
	From int64  `json:"from"`
	To   int64  `json:"to"`
	Why  string `json:"why"`
}

type errorFrame struct {
	Type           string `json:"type"`
	Code           string `json:"code"`
	Message        string `json:"message"`
	Retryable      bool   `json:"retryable"`
	RequestID      string `json:"requestId,omitempty"`
	ActiveSessions any    `json:"activeSessions,omitempty"`
}

type closedFrame struct {
	Type              string `json:"type"`
	Reason            Reason `json:"reason"`
	ExitCode          *int   `json:"exitCode"`
	Message           string `json:"message"`
	RetryAfterSeconds int    `json:"retryAfterSeconds,omitempty"`
	// File is what was carried, nil where none was.
	File *carried `json:"file,omitempty"`
}

// encode never fails: every frame is made of strings, numbers and checked JSON.
func encode(frame any) []byte {
	b, err := json.Marshal(frame)
	if err != nil {
		panic(fmt.Sprintf("podexec: frame %T: %v", frame, err))
	}
	return b
}

var errFrame = errors.New("not a control frame")

// parseClientFrame reads a control frame from outside.
func parseClientFrame(data []byte) (clientFrame, error) {
	var f clientFrame
	if len(data) > maxControl {
		return f, fmt.Errorf("%w: %d bytes is over the limit of %d", errFrame, len(data), maxControl)
	}
	var kind *json.UnmarshalTypeError
	err := json.Unmarshal(data, &f)
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return f, fmt.Errorf("%w: its %s is of the wrong kind", errFrame, kind.Field)
	case err != nil:
		return f, fmt.Errorf("%w: send a JSON object with a type", errFrame)
	}
	switch f.Type {
	case "open", "attach", "ack", "resize", "eof", "ping", "stay", "detach", "close":
		return f, f.checkID()
	}
	return f, fmt.Errorf("%w: its type is not one of open, attach, ack, resize, eof, ping, stay, detach, close", errFrame)
}

func (f clientFrame) checkID() error {
	if len(f.ID) > maxPingID || f.Type == "ping" && (len(f.ID) == 0 || strings.ContainsAny(string(f.ID[:1]), "{[")) {
		return fmt.Errorf("%w: a ping's id is a number or a string of at most %d bytes", errFrame, maxPingID)
	}
	return nil
}

// size is the terminal size that the frame names.
func (f clientFrame) size() (transport.Size, error) {
	if f.Cols == nil || f.Rows == nil {
		return transport.Size{}, errors.New("cols and rows are both needed")
	}
	if *f.Cols == notCells || *f.Rows == notCells {
		return transport.Size{}, errors.New("cols and rows are whole numbers from 1 to 65535")
	}
	return Size(int(*f.Cols), int(*f.Rows))
}

// cells is a number of columns or rows. What is no whole number is notCells: a wrong
// size is told of and ends no shell, whatever is wrong with it.
type cells int

const notCells = math.MinInt

// UnmarshalJSON implements json.Unmarshaler.
func (c *cells) UnmarshalJSON(data []byte) error {
	n := notCells
	_ = json.Unmarshal(data, &n) // leaves it where it is none
	*c = cells(n)
	return nil
}

// Size checks a terminal size in character cells.
func Size(cols, rows int) (transport.Size, error) {
	if cols < 1 || cols > 65535 || rows < 1 || rows > 65535 {
		return transport.Size{}, fmt.Errorf("a terminal of %d × %d cells cannot be; use 1 to 65535 columns and rows", cols, rows)
	}
	return transport.Size{Cols: uint16(cols), Rows: uint16(rows)}, nil
}

// CheckCommand bounds a command from outside.
func CheckCommand(argv []string) error {
	total := 0
	for _, a := range argv {
		if strings.ContainsRune(a, 0) {
			return errors.New("an argument of the command holds a NUL byte; remove it")
		}
		total += len(a)
	}
	switch {
	case len(argv) > 0 && argv[0] == "":
		return errors.New("the command's first word is empty; name a program")
	case len(argv) > maxArgs:
		return fmt.Errorf("the command has %d arguments; at most %d are taken", len(argv), maxArgs)
	case total > maxCommand:
		return fmt.Errorf("the command is %d bytes long; at most %d are taken", total, maxCommand)
	}
	return nil
}
