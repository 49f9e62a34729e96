package wsock

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/periscope-console/periscope/internal/wsframe"
)

// played is a connection on which everything has come that ever will.
type played struct {
	net.Conn
	in io.Reader
}

func (p played) Read(b []byte) (int, error) { return p.in.Read(b) }
func (played) Write(b []byte) (int, error)  { return len(b), nil }
func (played) Close() error                 { return nil }
func (played) SetDeadline(time.Time) error  { return nil }

// FuzzMessages: whatever a client sends, a message is within the limit, text is
// UTF-8, and the connection can be closed.
func FuzzMessages(f *testing.F) {
	const limit = 2000
	f.Add(wsframe.Append(nil, wsframe.Text, nil, []byte("open")))
	f.Add(wsframe.Append(nil, wsframe.Binary, nil, make([]byte, limit+1)))
	f.Add(wsframe.Append(wsframe.Append(nil, wsframe.Ping, nil, []byte("p")), wsframe.Close, nil, []byte{3, 0xe8}))
	f.Add([]byte{0x01, 0x80, 0, 0, 0, 0, 0x80, 0x81, 1, 2, 3, 4, 'x'})
	f.Fuzz(func(t *testing.T, wire []byte) {
		c := newConn(played{in: bytes.NewReader(wire)}, nil, limit)
		defer c.Close(1000, "")
		for total := 0; ; {
			binary, p, err := c.Read()
			if err != nil {
				return
			}
			if total += len(p); len(p) > limit || total > len(wire) || !binary && !utf8.Valid(p) {
				t.Fatalf("a message of %d bytes", len(p))
			}
		}
	})
}
