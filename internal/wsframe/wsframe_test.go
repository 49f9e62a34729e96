package wsframe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// source serves data in pieces of at most step bytes; Poll has none of its own.
type source struct {
	data []byte
	step int
	err  error // at the end of data; nil is io.EOF
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.data) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		return 0, io.EOF
	}
	n := copy(p, s.data[:min(len(s.data), s.step)])
	s.data = s.data[n:]
	return n, nil
}

func (s *source) Poll([]byte) (int, error) { return 0, ErrWouldWait }

// frame is a server's frame with the shortest length form.
func frame(b0 byte, payload string) string {
	head := []byte{b0}
	switch n := len(payload); {
	case n < 126:
		head = append(head, byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 127), uint64(n))
	}
	return string(head) + payload
}

// read plays a whole stream: messages end in "|", control frames are "[op:payload]",
// and its end is the error.
func read(data string, step, room int) (string, error) {
	return play(NewReader, data, step, room)
}

func play(newReader func(Source, func(Opcode, []byte)) *Reader, data string, step, room int) (string, error) {
	var out strings.Builder
	r := newReader(&source{data: []byte(data), step: step}, func(op Opcode, payload []byte) {
		fmt.Fprintf(&out, "[%d:%s]", op, payload)
	})
	p := make([]byte, room)
	for {
		n, end, err := r.Read(p, true)
		out.Write(p[:n])
		if end {
			out.WriteByte('|')
		}
		if err != nil {
			return out.String(), err
		}
	}
}

const (
	fin  = 0x80 // alone: the last piece of a message
	more = 0    // alone: a piece that is not the last
)

func TestReaderUnderEverySplit(t *testing.T) {
	long, longer := strings.Repeat("x", 200), strings.Repeat("y", 70_000)
	data := frame(fin|2, "abc") + frame(fin|2, "") +
		frame(more|2, "fr") + frame(fin|9, "pi") + frame(more, "") + frame(more, "ag") + frame(fin|10, "") + frame(fin, "") +
		frame(fin|2, long) + frame(fin|2, longer) + frame(fin|9, strings.Repeat("p", 125)) + frame(fin|2, "z") +
		frame(fin|8, "\x03\xe8bye")
	want := "abc||fr[9:pi]ag[10:]|" + long + "|" + longer + "|[9:" + strings.Repeat("p", 125) + "]z|"
	for _, step := range []int{1, 2, 3, 7, 4095, 4096, 4097, 1 << 20} {
		for _, room := range []int{1, 2, 100, 4096, 32 << 10} {
			got, err := read(data, step, room)
			if got != want {
				t.Errorf("step %d, room %d: got %d bytes %.60q…", step, room, len(got), got)
			}
			var closed *CloseError
			if !errors.As(err, &closed) || closed.Code != CloseNormal || closed.Reason != "bye" {
				t.Errorf("step %d, room %d: %v", step, room, err)
			}
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	for name, data := range map[string]string{
		"reserved bits":          frame(fin|0x40|2, "x"),
		"masked":                 "\x82\x81....x",
		"text":                   frame(fin|1, "x"),
		"unknown data opcode":    frame(fin|3, "x"),
		"unknown control opcode": frame(fin|11, "x"),
		"control in pieces":      frame(more|9, "x"),
		"long ping":              frame(fin|9, strings.Repeat("x", 126)),
		"continuation first":     frame(fin, "x"),
		"message in a message":   frame(more|2, "x") + frame(fin|2, "y"),
		"long form of 5":         "\x82\x7e\x00\x05hello",
		"longest form of 126":    "\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x7e" + strings.Repeat("x", 126),
		"length beyond 2^63":     "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00",
		"close of one byte":      frame(fin|8, "x"),
		"close code 1005":        frame(fin|8, "\x03\xed"),
		"close code 999":         frame(fin|8, "\x03\xe7"),
		"close reason not UTF-8": frame(fin|8, "\x03\xe8\xff"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(data, 1<<20, 100)
			var broken ProtocolError
			if !errors.As(err, &broken) || len(broken.Error()) < 20 {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestReaderSaysHowASourceEnds(t *testing.T) {
	for data, want := range map[string]error{
		"":                      io.EOF,
		"\x82":                  io.ErrUnexpectedEOF,
		frame(fin|2, "x")[:2]:   io.EOF, // between header and payload: no clean end either way
		frame(fin|8, "")[:2]:    nil,
		frame(fin|9, "abc")[:3]: io.ErrUnexpectedEOF,
	} {
		_, err := read(data, 1, 10)
		var closed *CloseError
		if want == nil && errors.As(err, &closed) && closed.Code == CloseNoStatus {
			continue
		}
		if !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", data, err, want)
		}
	}
}

// late has a timeout before each byte.
type late struct {
	stuck
	data []byte
	turn bool
}

func (l *late) Read(p []byte) (int, error) {
	if l.turn = !l.turn; l.turn {
		return 0, os.ErrDeadlineExceeded
	}
	if len(l.data) == 0 {
		return 0, io.EOF
	}
	p[0], l.data = l.data[0], l.data[1:]
	return 1, nil
}

// TestStreamReaderGoesOnAfterATimeout, wherever in a frame it comes.
func TestStreamReaderGoesOnAfterATimeout(t *testing.T) {
	want := strings.Repeat("x", 300) + "end"
	data := Append(Append(Append(nil, Binary, nil, []byte(want[:300])), Ping, nil, []byte("p")), Binary, nil, []byte("end"))
	pings := 0
	r := NewStreamReader(&late{data: data}, func(Opcode, []byte) { pings++ }, true, 0)
	var got []byte
	for p := make([]byte, 64); ; {
		n, _, err := r.Read(p, true)
		got = append(got, p[:n]...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if string(got) != want || pings != 1 {
		t.Errorf("got %q and %d pings", got, pings)
	}
}

func TestReaderKeepsItsLastWord(t *testing.T) {
	r := NewReader(&source{data: []byte(frame(fin|1, "x") + frame(fin|2, "y")), step: 100}, nil)
	for range 3 {
		if n, _, err := r.Read(make([]byte, 10), true); n != 0 || err == nil {
			t.Errorf("%d bytes, error %v after a broken rule", n, err)
		}
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }
func (stuck) Poll([]byte) (int, error) { return 0, nil }

func TestReaderGivesUpOnASourceWithoutProgress(t *testing.T) {
	if _, _, err := NewReader(stuck{}, nil).Read(make([]byte, 1), true); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}

// dripping has one byte for every second Poll.
type dripping struct {
	data []byte
	turn bool
}

func (d *dripping) Read(p []byte) (int, error) { return d.Poll(p) }

func (d *dripping) Poll(p []byte) (int, error) {
	if d.turn = !d.turn; d.turn {
		return 0, ErrWouldWait
	}
	if len(d.data) == 0 {
		return 0, io.EOF
	}
	p[0], d.data = d.data[0], d.data[1:]
	return 1, nil
}

func TestReaderGoesOnAfterWouldWait(t *testing.T) {
	data := frame(more|2, strings.Repeat("a", 300)) + frame(fin|9, "ping") + frame(fin, "b")
	r := NewReader(&dripping{data: []byte(data)}, func(Opcode, []byte) {})
	var got []byte
	p := make([]byte, 64)
	for waits := 0; ; {
		n, end, err := r.Read(p, false)
		got = append(got, p[:n]...)
		if end {
			break
		}
		if errors.Is(err, ErrWouldWait) {
			waits++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if want := strings.Repeat("a", 300) + "b"; string(got) != want {
		t.Errorf("got %q", got)
	}
}

// unmasked is the server's view of one frame.
func unmasked(t *testing.T, b []byte) (op Opcode, payload, rest []byte) {
	t.Helper()
	if b[0]&0xf0 != fin || b[1]&0x80 == 0 {
		t.Fatalf("header % x", b[:2])
	}
	op, size, at := Opcode(b[0]&0x0f), int(b[1]&0x7f), 2
	switch size {
	case 126:
		size, at = int(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		size, at = int(binary.BigEndian.Uint64(b[2:])), 10
	}
	key := b[at : at+4]
	payload = b[at+4 : at+4+size]
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	return op, payload, b[at+4+size:]
}

func TestAppendIsWhatAServerReads(t *testing.T) {
	for _, size := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 124, 125, 126, 127, 1000, 65534, 65535, 65536, 70_000} {
		for _, lead := range []string{"", "\x00", "\xff\x00", "abc", "abcdefghi"} {
			p := make([]byte, size)
			for i := range p {
				p[i] = byte(rand.Uint32())
			}
			sent := bytes.Clone(p)
			op, got, rest := unmasked(t, Append([]byte{}, Binary, []byte(lead), p))
			if op != Binary || len(rest) != 0 || string(got) != lead+string(sent) {
				t.Errorf("size %d, lead %q: differs", size, lead)
			}
			if !bytes.Equal(p, sent) {
				t.Errorf("size %d: the caller's bytes were masked", size)
			}
		}
	}
}

func TestMasksDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		seen[string(Append(nil, Ping, nil, nil)[2:])] = true
	}
	if len(seen) < 990 {
		t.Errorf("%d masks in 1000 frames", len(seen))
	}
}

func TestNoAllocationForAFrame(t *testing.T) {
	src := &source{step: 1 << 20}
	r := NewReader(src, func(Opcode, []byte) {})
	stream := []byte(strings.Repeat(frame(fin|2, "ab"), 1000))
	p, dst := make([]byte, 1<<10), make([]byte, 0, 1<<11)
	if n := testing.AllocsPerRun(10, func() {
		src.data = stream
		for range 1000 {
			_, _, _ = r.Read(p, true)
			dst = Append(dst[:0], Binary, []byte{1}, p)
		}
	}); n != 0 {
		t.Errorf("%v allocations for 1000 frames", n)
	}
}

// FuzzReader: whatever comes, the reader neither panics nor loops, and the way
// the bytes are split changes nothing.
func FuzzReader(f *testing.F) {
	f.Add([]byte(frame(more|2, "abc")+frame(fin|9, "p")+frame(fin, strings.Repeat("d", 200))+frame(fin|8, "\x03\xe8")), 3)
	f.Add([]byte("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"), 1)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		step = 1 + int(uint(step)%5000)
		whole, err := read(string(data), 1<<20, 32<<10)
		split, err2 := read(string(data), step, 1+step/2)
		if whole != split || err.Error() != err2.Error() {
			t.Errorf("split %d: %q (%v), whole: %q (%v)", step, split, err2, whole, err)
		}
		if len(whole) > 4*len(data)+8 {
			t.Errorf("%d bytes out of %d", len(whole), len(data))
		}
	})
}

// clientStream is a client's messages with a ping inside one of them.
func clientStream() string {
	piece := Append(nil, Continuation, nil, []byte("cd"))
	first := Append(nil, Text, nil, []byte("ab"))
	first[0] &^= fin
	b := bytes.Join([][]byte{first, Append(nil, Ping, nil, []byte("p")), piece}, nil)
	for _, size := range []int{0, 1, 125, 126, ClientAhead, 65535, 65536} {
		b = Append(b, Binary, []byte("x"), bytes.Repeat([]byte("y"), size))
	}
	return string(Append(b, Close, nil, []byte("\x03\xe9bye")))
}

func TestClientReaderUnderEverySplit(t *testing.T) {
	want := "ab[9:p]cd|"
	for _, size := range []int{0, 1, 125, 126, ClientAhead, 65535, 65536} {
		want += "x" + strings.Repeat("y", size) + "|"
	}
	data := clientStream()
	for _, step := range []int{1, 2, 3, 7, 255, 256, 257, 4096, 1 << 20} {
		for _, room := range []int{1, 3, 256, 32 << 10} {
			got, err := play(NewClientReader, data, step, room)
			var closed *CloseError
			if got != want || !errors.As(err, &closed) || closed.Code != 1001 {
				t.Errorf("step %d room %d: %d bytes, want %d, end %v", step, room, len(got), len(want), err)
			}
		}
	}
}

func TestClientReaderTellsTextFromBinary(t *testing.T) {
	data := Append(Append(nil, Text, nil, []byte("{}")), Binary, nil, []byte("ls"))
	r := NewClientReader(&source{data: data, step: 1 << 20}, func(Opcode, []byte) {})
	p := make([]byte, 10)
	for _, want := range []Opcode{Text, Binary} {
		if _, end, err := r.Read(p, true); err != nil || !end || r.Kind() != want {
			t.Errorf("kind %d, end %v, error %v, want kind %d", r.Kind(), end, err, want)
		}
	}
}

// TestTextReader: a server's text is taken where it is expected, and told apart.
func TestTextReader(t *testing.T) {
	data := frame(fin|1, "{}") + frame(fin|9, "p") + frame(fin|2, "ls")
	if got, _ := play(NewTextReader, data, 3, 10); got != "{}|[9:p]ls|" {
		t.Errorf("got %q", got)
	}
	r := NewTextReader(&source{data: []byte(data), step: 1 << 20}, func(Opcode, []byte) {})
	for _, want := range []Opcode{Text, Binary} {
		if _, end, err := r.Read(make([]byte, 10), true); err != nil || !end || r.Kind() != want {
			t.Errorf("kind %d, end %v, error %v, want kind %d", r.Kind(), end, err, want)
		}
	}
	if _, err := read(data, 1<<20, 10); err == nil || !strings.Contains(err.Error(), "text") {
		t.Errorf("a reader without text took it: %v", err)
	}
}

func TestClientReaderRefusesWhatIsNotMasked(t *testing.T) {
	for _, data := range []string{frame(fin|2, "abc"), frame(fin|9, ""), frame(fin|1, strings.Repeat("x", 70_000))} {
		_, err := play(NewClientReader, data, 1<<20, 100)
		var rule ProtocolError
		if !errors.As(err, &rule) || !strings.Contains(err.Error(), "mask") {
			t.Errorf("got %v", err)
		}
	}
}

// FuzzClientReader: as FuzzReader, for what a client may send.
func FuzzClientReader(f *testing.F) {
	f.Add([]byte(clientStream()[:200]), 3)
	f.Add([]byte("\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00abcd"), 1)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		step = 1 + int(uint(step)%5000)
		whole, err := play(NewClientReader, string(data), 1<<20, 32<<10)
		split, err2 := play(NewClientReader, string(data), step, 1+step/2)
		if whole != split || err.Error() != err2.Error() {
			t.Errorf("split %d: %q (%v), whole: %q (%v)", step, split, err2, whole, err)
		}
	})
}

// TestHeaderIsWhatAClientReads: a server's frame is a header and the payload.
func TestHeaderIsWhatAClientReads(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 65535, 65536} {
		payload := strings.Repeat("z", size)
		if got, _ := read(string(AppendHeader(nil, Binary, size))+payload, 1<<20, 100); got != payload+"|" {
			t.Errorf("size %d: %d bytes", size, len(got))
		}
	}
}

// FuzzAppend: what is sent is what a server reads.
func FuzzAppend(f *testing.F) {
	f.Add([]byte{0}, []byte("ls\n"))
	f.Fuzz(func(t *testing.T, lead, p []byte) {
		want := string(lead) + string(p)
		if _, got, rest := unmasked(t, Append(nil, Binary, lead, p)); string(got) != want || len(rest) != 0 {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
