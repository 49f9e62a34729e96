package execclient

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxControl bounds a control frame of the server. The largest are refusals that
// list somebody's shells.
const maxControl = 256 << 10

// maxWindow bounds what a server may ask us to hold.
const maxWindow = 8 << 20

// maxSeconds keeps seconds within a time.Duration.
const maxSeconds = 30 * 24 * 3600

// maxOffset is what a JSON number holds exactly in every client.
const maxOffset = 1 << 53

// frame is any control frame of the server.
type frame struct {
	Type      string `json:"type"`
	SessionID string `json:"sessionId"`
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Container string `json:"container"`
	Shell     string `json:"shell"`
	User      string `json:"user"`

	ResumeToken string `json:"resumeToken"`
	Offset      int64  `json:"offset"`
	StdinOffset int64  `json:"stdinOffset"`
	Window      int64  `json:"window"`
	StdinWindow int64  `json:"stdinWindow"`
	// ResumeSeconds is how long a session waits for us.
	ResumeSeconds int64 `json:"resumeSeconds"`

	ID json.RawMessage `json:"id"`

	From int64  `json:"from"`
	To   int64  `json:"to"`
	Why  string `json:"why"`

	SecondsRemaining int64 `json:"secondsRemaining"`

	Code      string `json:"code"`
	RequestID string `json:"requestId"`
	Retryable bool   `json:"retryable"`

	Reason   string `json:"reason"`
	ExitCode *int   `json:"exitCode"`
	Message  string `json:"message"`

	File *fileFrame `json:"file"`
}

// fileFrame is what hello and closed say of a file.
type fileFrame struct {
	Directory bool   `json:"directory"`
	Size      *int64 `json:"size"`
	File
}

var errFrame = errors.New("a frame of the server was not understood")

// parseFrame reads a control frame. One of a type that is not known is nothing to
// worry about: lists are append-only.
func parseFrame(text []byte) (frame, error) {
	var f frame
	if !utf8.Valid(text) {
		return f, fmt.Errorf("%w: it is not UTF-8", errFrame)
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return frame{}, fmt.Errorf("%w: %w", errFrame, err)
	}
	for _, n := range []int64{f.Offset, f.StdinOffset, f.From, f.To} {
		if n < 0 || n > maxOffset {
			return frame{}, fmt.Errorf("%w: %d is no offset", errFrame, n)
		}
	}
	for _, n := range []*int64{&f.SecondsRemaining, &f.ResumeSeconds} {
		*n = min(max(*n, 0), maxSeconds)
	}
	for _, n := range []*int64{&f.Window, &f.StdinWindow} {
		if *n < 0 || *n > maxWindow {
			return frame{}, fmt.Errorf("%w: a window of %d bytes", errFrame, *n)
		}
	}
	if f.Type == "hello" {
		f.defaults()
	}
	if f.Type == "gap" && f.To < f.From {
		return frame{}, fmt.Errorf("%w: a gap from %d to %d", errFrame, f.From, f.To)
	}
	return f, nil
}

func (f *frame) defaults() {
	if f.Window == 0 {
		f.Window = Window
	}
	if f.StdinWindow == 0 {
		f.StdinWindow = StdinWindow
	}
}

func (f frame) public() Hello {
	h := Hello{
		SessionID: f.SessionID, Cluster: f.Cluster, Namespace: f.Namespace, Pod: f.Pod, Container: f.Container,
		Shell: f.Shell, User: f.User, Resumable: f.ResumeToken != "", FileSize: -1,
	}
	if f.File != nil {
		h.Directory = f.File.Directory
		if f.File.Size != nil {
			h.FileSize = max(*f.File.Size, -1)
		}
	}
	return h
}

// refusal is a no: the error frame, or closed where none came before it.
func (f frame) refusal() *Refusal {
	return &Refusal{Code: f.Code, Message: f.Message, RequestID: f.RequestID, Retryable: f.Retryable}
}

type openFrame struct {
	Type      string   `json:"type"`
	Container string   `json:"container"`
	Command   []string `json:"command"`
	TTY       bool     `json:"tty"`
	Cols      int      `json:"cols,omitempty"`
	Rows      int      `json:"rows,omitempty"`
	Reason    string   `json:"reason"`

	File *Transfer `json:"file,omitempty"`
}

type attachFrame struct {
	Type        string `json:"type"`
	SessionID   string `json:"sessionId"`
	ResumeToken string `json:"resumeToken"`
	TakeOver    bool   `json:"takeOver"`
	Offset      int64  `json:"offset"`
	Cols        int    `json:"cols,omitempty"`
	Rows        int    `json:"rows,omitempty"`
	Redraw      bool   `json:"redraw,omitempty"`
}

type resizeFrame struct {
	Type string `json:"type"`
	Cols int    `json:"cols"`
	Rows int    `json:"rows"`
}

var (
	frameEOF   = []byte(`{"type":"eof"}`)
	frameClose = []byte(`{"type":"close"}`)
)

func ackFrame(offset int64) []byte { return fmt.Appendf(nil, `{"type":"ack","offset":%d}`, offset) }

func pingFrame(id int64) []byte { return fmt.Appendf(nil, `{"type":"ping","id":%d}`, id) }

// encode never fails: every frame is made of strings, numbers and booleans.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("execclient: frame %T: %v", v, err))
	}
	return b
}
