package tunnel

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
)

// FuzzHeader: what is parsed is what would be written, and nothing is out of its
// bounds.
func FuzzHeader(f *testing.F) {
	f.Add(frame(frameOpen, 1, 1, "")[:headerSize])
	f.Add(credit(1, 5)[:headerSize])
	f.Add([]byte("GET / HT"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < headerSize {
			return
		}
		h, err := parseHeader(b)
		if err != nil {
			return
		}
		if again := appendHeader(nil, h); !bytes.Equal(again, b[:headerSize]) {
			t.Errorf("%+v from %x is %x", h, b[:headerSize], again)
		}
		if h.size > maxPayload {
			t.Errorf("%+v", h)
		}
	})
}

// FuzzLink gives a link whatever bytes: it ends, with the peer's word, with the
// rule that was broken or at the end of the bytes, and no stream is left.
func FuzzLink(f *testing.F) {
	const inter = uint8(Interactive)
	open := frame(frameOpen, inter, 1, "pod:80")
	f.Add(open)
	f.Add(bytes.Join([][]byte{open, frame(frameData, 0, 1, "hello"), frame(frameFin, 0, 1, "")}, nil))
	f.Add(bytes.Join([][]byte{open, frame(frameStop, 0, 1, ""), credit(1, 3), frame(frameReset, 2, 1, "no")}, nil))
	f.Add(bytes.Join([][]byte{frame(frameAccept, 0, 2, ""), frame(frameData, 0, 2, "x")}, nil))
	f.Add(frame(frameRefuse, codeRefused, 2, "no"))
	f.Add(frame(frameBye, codeClosed, 0, "going"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := New(&scripted{left: b}, Agent)
		served := make(chan struct{})
		go func() {
			defer close(served)
			acceptAll(l)
		}()
		go func() { _, _ = l.Open(context.Background(), Bulk, "own") }()
		err := l.Run(context.Background())
		var broke *ProtocolError
		if !errors.As(err, &broke) && !errors.Is(err, ErrClosed) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("ended with %v", err)
		}
		<-served
		if s := l.Stats(); s.Open != 0 || s.Opened != s.Closed {
			t.Errorf("%+v", s)
		}
	})
}

func acceptAll(l *Link) {
	for {
		o, err := l.Accept(context.Background())
		if err != nil {
			return
		}
		s := o.Accept()
		_, _ = io.CopyN(s, s, 100)
		s.Close()
	}
}

// scripted is a connection that gives what it was given, and takes anything.
type scripted struct {
	net.Conn
	left []byte
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

func (s *scripted) Write(b []byte) (int, error) { return len(b), nil }
func (s *scripted) Close() error                { return nil }
