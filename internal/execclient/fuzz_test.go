package execclient

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/wsframe"
)

func FuzzParseFrame(f *testing.F) {
	f.Add([]byte(`{"type":"hello","sessionId":"s","offset":5,"window":131072,"resumeToken":null}`))
	f.Add([]byte(`{"type":"gap","from":9,"to":3}`))
	f.Add([]byte(`{"type":"closed","exitCode":1e99}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseFrame(text)
		if err != nil {
			return
		}
		if got.Offset < 0 || got.StdinOffset < 0 || got.To < got.From && got.Type == "gap" || got.Window < 0 || got.Window > maxWindow {
			t.Errorf("%+v", got)
		}
		if got.Type == "hello" && (got.Window == 0 || got.StdinWindow == 0) {
			t.Error("a hello without windows")
		}
	})
}

type said struct{ io.Reader }

func (said) Write(p []byte) (int, error) { return len(p), nil }
func (said) Close() error                { return nil }

type nowhere struct{ net.Conn }

func (nowhere) Close() error                    { return nil }
func (nowhere) SetReadDeadline(time.Time) error { return nil }

// FuzzServer: whatever a server says, the client ends, and holds no more than two
// windows of it.
func FuzzServer(f *testing.F) {
	text := func(s string) []byte { return append(wsframe.AppendHeader(nil, wsframe.Text, len(s)), s...) }
	f.Add(append(text(`{"type":"gap","from":0,"to":5}`), append(text(`{"type":"stdin_ack","offset":0}`), text(`{"type":"closed"}`)...)...))
	f.Add(append(wsframe.AppendHeader(nil, wsframe.Binary, 3), "abc"...))
	f.Add([]byte{0x89, 1, 'x', 0x88, 0})
	f.Fuzz(func(t *testing.T, wire []byte) {
		s := New(&Client{}, Request{})
		l := &link{raw: nowhere{}, body: said{bytes.NewReader(wire)}, buf: make([]byte, 100), again: newNotice(), born: time.Now()}
		l.in = wsframe.NewTextReader(source{l}, l.control)
		_, _ = s.receive(l) // returns
		if s.out.unacked > 2*Window || len(l.text) > maxControl+len(l.buf) {
			t.Errorf("holds %d bytes of output, %d of text", s.out.unacked, len(l.text))
		}
	})
}
