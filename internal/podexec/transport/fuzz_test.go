package transport

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"k8s.io/apimachinery/pkg/util/remotecommand"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/wsframe"
)

// settled fails unless a result is an exit code or a fault with a sentence.
func settled(t *testing.T, r Result) {
	t.Helper()
	if (r.ExitCode == nil) == (r.Err == nil) {
		t.Errorf("exit code %v and error %v", r.ExitCode, r.Err)
	}
	if r.Err != nil && fault.PublicOf(r.Err) == "" {
		t.Errorf("%v says nothing to the user", r.Err)
	}
}

// FuzzStatus: what a cluster says of a command's end is an exit code or a fault.
func FuzzStatus(f *testing.F) {
	for _, s := range []string{
		success, exit7, "", "{}", "null", `{"status":"Failure"}`, `{"status":"Failure","code":403,"reason":"Forbidden","message":"no"}`,
		`{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"99999999999999999999"}]}}`,
		`{"status":"Failure","reason":"InternalError","message":"executable file not found in $PATH"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) { settled(t, resultOf(message)) })
}

// gone is a connection on which everything has come that ever will.
type gone struct{ io.Reader }

func (gone) Write(p []byte) (int, error) { return len(p), nil }
func (gone) Close() error                { return nil }

// FuzzStream: whatever an apiserver sends, the output is no more than was sent,
// the stream ends, and its end is settled.
func FuzzStream(f *testing.F) {
	frame := func(op wsframe.Opcode, p string) []byte {
		return append(wsframe.AppendHeader(nil, op, len(p)), p...)
	}
	out := frame(wsframe.Binary, string(rune(remotecommand.StreamStdOut))+"hello")
	status := frame(wsframe.Binary, string(rune(remotecommand.StreamErr))+exit7)
	end := frame(wsframe.Close, "\x03\xe8")
	f.Add(bytes.Join([][]byte{out, status, end}, nil), 1024)
	f.Add(bytes.Join([][]byte{out, out, end}, nil), 1)
	f.Add(bytes.Join([][]byte{frame(wsframe.Ping, "x"), status}, nil), 7)
	f.Add(frame(wsframe.Binary, "\xffanything"), 3)
	f.Add(frame(wsframe.Binary, ""), 3)
	f.Fuzz(func(t *testing.T, wire []byte, room int) {
		if room < 1 || room > 64<<10 {
			return
		}
		s := newWSStream(&link{body: gone{bytes.NewReader(wire)}}, shell)
		defer s.Close()
		p, total := make([]byte, room), 0
		for {
			n, ch, err := s.Read(p)
			total += n
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || n == 0 || ch != Stdout && ch != Stderr {
				t.Fatalf("read %d bytes of channel %d, error %v", n, ch, err)
			}
		}
		if total > len(wire) || len(s.status) > statusSize {
			t.Errorf("%d bytes came out of %d", total, len(wire))
		}
		settled(t, s.Result())
	})
}
