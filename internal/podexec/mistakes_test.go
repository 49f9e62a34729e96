package podexec

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/wsframe"
	"github.com/periscope-console/periscope/internal/wsock"
)

// unreadable is a Conn that brings nothing but this error.
type unreadable struct {
	Conn
	err error
}

func (u unreadable) Read() (bool, []byte, error) { return false, nil, u.err }
func (unreadable) Abort()                        {}

// TestTheFirstFrameIsToldWhatIsWrongWithIt, in words that say what to do.
func TestTheFirstFrameIsToldWhatIsWrongWithIt(t *testing.T) {
	for says, err := range map[string]error{
		"did not arrive. Send open or attach":         io.EOF,
		"is over the limit of 1 MiB. Send it in":      wsock.ErrTooBig,
		"brought text that is not UTF-8. Use another": wsframe.ProtocolError("text that is not UTF-8"),
	} {
		_, got := Opening(unreadable{err: err}, &Request{}, time.Minute)
		if fault.KindOf(got) != fault.Protocol || !strings.Contains(fault.PublicOf(got), says) {
			t.Errorf("%v: %v", err, got)
		}
	}
	for frame, says := range map[string]string{
		`{"type":"open","tty":"yes"}`:                        "its tty is of the wrong kind",
		`{"type":"open","command":"sh"}`:                     "its command is of the wrong kind",
		`{"type":"open","cols":80.5,"rows":24}`:              "cols and rows are whole numbers from 1 to 65535",
		`{"type":"open","cols":80,"rows":0}`:                 "a terminal of 80 × 0 cells cannot be; use 1 to 65535",
		`{"type":"open","cols":80}`:                          "cols and rows are both needed",
		`[]`:                                                 "send a JSON object with a type",
		`{"type":"opne"}`:                                    "its type is not one of open, attach",
		`{"type":"open","x":"` + strings.Repeat("x", 65<<10): "is over the limit of 65536",
	} {
		conn := newPipeConn()
		go conn.send(false, frame)
		if _, got := Opening(conn, &Request{}, time.Minute); got == nil || !strings.Contains(fault.PublicOf(got), says) {
			t.Errorf("%.60s: %v", frame, got)
		}
	}
}

// TestAWrongSizeEndsNoShell, whatever is wrong with it; the sentence says what.
func TestAWrongSizeEndsNoShell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(true)
		for size, says := range map[string]string{
			`"cols":0,"rows":24`:                    "a terminal of 0 × 24 cells cannot be",
			`"cols":70000,"rows":24`:                "a terminal of 70000 × 24 cells cannot be",
			`"cols":80.5,"rows":24`:                 "cols and rows are whole numbers",
			`"cols":80,"rows":99999999999999999999`: "cols and rows are whole numbers",
			`"cols":"80","rows":{}`:                 "cols and rows are whole numbers",
			`"cols":null,"rows":24`:                 "cols and rows are both needed",
		} {
			conn.send(false, `{"type":"resize",`+size+`}`)
			synctest.Wait()
			_, frames := conn.drain()
			if e := find(frames, "error"); e == nil || e["code"] != "E_INVALID_REQUEST" || !strings.Contains(e["message"].(string), says) || find(frames, "closed") != nil {
				t.Errorf("%s: %v", size, frames)
			}
		}
		if len(s.sizes) != 0 {
			t.Errorf("the terminal got %v", s.sizes)
		}
		r.leave(conn)
	})
}

// TestAMistakeIsToldAndLogged ends the shell with a sentence that says what to do.
func TestAMistakeIsToldAndLogged(t *testing.T) {
	for name, c := range map[string]struct {
		binary      bool
		frame, says string
	}{
		"garbage":                {false, "}{", "send a JSON object with a type"},
		"an ack of the future":   {false, `{"type":"ack","offset":99}`, "Acknowledge what has arrived."},
		"an ack of a wrong kind": {false, `{"type":"ack","offset":"9"}`, "its offset is of the wrong kind"},
		"over the window":        {true, strings.Repeat("x", 64<<10+1), "Wait for stdin_ack before sending more."},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				var log bytes.Buffer
				r.ss.Log = slog.New(slog.NewJSONHandler(&log, nil))
				conn, _ := r.open(true)
				conn.send(c.binary, c.frame)
				r.free()
				closed, e := lastWords(t, conn)
				if closed["reason"] != "protocol_error" || !strings.Contains(e["message"].(string), c.says) {
					t.Errorf("closed %v, error %v", closed, e)
				}
				end := logged(t, log.Bytes(), "exec.session.end")
				if len(end) != 1 || !strings.Contains(end[0]["error"].(string), c.says) {
					t.Errorf("logged %v", end)
				}
			})
		})
	}
}
