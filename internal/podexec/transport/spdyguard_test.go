package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/spdystream/spdy"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/fault"
)

// framedPeer is the server's end of an exec over SPDY, for a test to play frame by
// frame.
type framedPeer struct {
	*peer
	frames  *spdy.Framer
	out     bytes.Buffer             // what frames writes
	streams map[string]spdy.StreamId // by type
	onPing  func(number uint32)
}

// listening is a command without input: client-go makes a goroutine wait for years of
// the test's clock where copying that ends early.
var listening = Request{Namespace: "ns", Pod: "pod", Container: "c", Command: []string{"sh", "-c", "exit"}}

// spdyPiped is scripted without a network. Once the client has its three streams,
// play writes, while what the client sends is read and its pings are told to onPing.
func spdyPiped(t *testing.T, onPing func(p *framedPeer, number uint32), play func(p *framedPeer)) *rest.Config {
	return overPipes(func(w http.ResponseWriter, r *http.Request) {
		raw := hijack(t, w, r)
		defer raw.Close()
		p := &framedPeer{peer: raw, streams: map[string]spdy.StreamId{}}
		p.onPing = func(number uint32) { onPing(p, number) }
		p.raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n")
		var err error
		if p.frames, err = spdy.NewFramer(&p.out, raw.in); err != nil {
			t.Error(err)
			return
		}
		for len(p.streams) < 3 && p.hearFrame() {
		}
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			for p.hearFrame() {
			}
		}()
		play(p)
		<-gone
	})
}

// hearFrame reads one frame and accepts streams. It is false once the client has gone.
func (p *framedPeer) hearFrame() bool {
	f, err := p.frames.ReadFrame()
	if err != nil {
		return false
	}
	switch f := f.(type) {
	case *spdy.SynStreamFrame:
		p.streams[f.Headers.Get(corev1.StreamType)] = f.StreamId
		p.send(&spdy.SynReplyFrame{StreamId: f.StreamId, Headers: http.Header{}})
	case *spdy.PingFrame:
		p.onPing(f.Id)
	}
	return true
}

// send writes each frame at once, so that an answer to a ping may come between them.
func (p *framedPeer) send(frame spdy.Frame) {
	p.out.Reset()
	_ = p.frames.WriteFrame(frame) // a buffer takes everything
	p.raw(p.out.String())
}

// ping is one as it goes over the wire, as question and as answer.
func ping(number uint32) string {
	return string(binary.BigEndian.AppendUint32(head(spdyPing, 4), number))
}

func head(kind uint32, length int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, kind), uint32(length))
}

func answered(p *framedPeer, number uint32) { p.raw(ping(number)) }

// TestSPDYIsKeptAlive also has pings of the server's own, which want answers.
func TestSPDYIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := 0, 0
		s := openSPDY(t, spdyPiped(t, func(p *framedPeer, number uint32) {
			if number%2 == 0 {
				theirs++
				return
			}
			ours++
			answered(p, number)
		}, func(p *framedPeer) {
			for n := range uint32(100) {
				time.Sleep(36 * time.Second)
				p.raw(ping(2 * (n + 1)))
			}
			p.send(&spdy.DataFrame{StreamId: p.streams[corev1.StreamTypeError], Data: []byte(success)})
			for _, id := range p.streams {
				p.send(&spdy.DataFrame{StreamId: id, Flags: spdy.DataFlagFin})
			}
		}), listening)
		drain(t, s, 100)
		wantExit(t, s, 0)
		_ = s.Close()
		synctest.Wait()
		if ours < 300 || theirs != 100 {
			t.Errorf("%d pings of ours in an hour, %d of 100 answered", ours, theirs)
		}
	})
}

// TestSPDYFramesThatNoServerSends: each ends the stream, and nothing else. Answered
// again and again, a ping would panic where nobody can recover.
func TestSPDYFramesThatNoServerSends(t *testing.T) {
	nothing := func(*framedPeer) {}
	for name, tc := range map[string]struct {
		onPing func(p *framedPeer, number uint32)
		play   func(p *framedPeer)
	}{
		"a ping is answered again and again": {func(p *framedPeer, number uint32) {
			go p.raw(strings.Repeat(ping(number), 8)) // the client leaves some of them in the pipe, and goes on to write
		}, nothing},
		"a ping that was never sent is answered": {answered, func(p *framedPeer) { p.raw(ping(999)) }},
		"a stream of the server's": {answered, func(p *framedPeer) {
			p.send(&spdy.SynStreamFrame{StreamId: 2, Headers: http.Header{}})
		}},
		"headers of a stream": {answered, func(p *framedPeer) {
			p.send(&spdy.HeadersFrame{StreamId: 1, Headers: http.Header{}})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openSPDY(t, spdyPiped(t, tc.onPing, func(p *framedPeer) {
					tc.play(p)
					time.AfterFunc(time.Hour, func() { _ = p.Close() })
				}), listening)
				defer time.AfterFunc(2*time.Hour, func() { _ = s.Close() }).Stop()
				drain(t, s, 100)
				wantFault(t, s.Result().Err, fault.ClusterUnreachable)
				if words := fault.PublicOf(s.Result().Err); !strings.Contains(words, "garbled") {
					t.Errorf("the user reads %q", words)
				}
				_ = s.Close()
			})
		})
	}
}

// TestSPDYHoldsLittle: however large its frames are, an apiserver cannot make this
// side hold more than a few MiB for a reader that pauses, who is not taken for dead
// and misses nothing.
func TestSPDYHoldsLittle(t *testing.T) {
	for name, size := range map[string]int{"the largest frames": spdyLength, "a kubelet's": 32 << 10} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const total = 48 << 20
				var took atomic.Int64
				s := openSPDY(t, spdyPiped(t, func(*framedPeer, uint32) {}, func(p *framedPeer) {
					to := uint32(p.streams[corev1.StreamTypeStdout])
					for left := total; left > 0; left -= size {
						n := min(left, size)
						p.raw(string(head(to, n)))
						for sent := 0; sent < n; sent += 1 << 10 {
							p.raw(strings.Repeat("x", min(n-sent, 1<<10)))
							took.Add(1 << 10)
						}
					}
					p.send(&spdy.DataFrame{StreamId: p.streams[corev1.StreamTypeError], Data: []byte(success)})
					for _, id := range p.streams {
						p.send(&spdy.DataFrame{StreamId: id, Flags: spdy.DataFlagFin})
					}
				}), listening)
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				if n := took.Load(); n > 1<<20 {
					t.Errorf("%d bytes are held of one stream", n)
				}
				out, _ := drain(t, s, 64<<10)
				if len(out) != total || strings.Trim(out, "x") != "" {
					t.Errorf("%d bytes came", len(out))
				}
				wantExit(t, s, 0)
				_ = s.Close()
			})
		})
	}
}

// TestSPDYHeadersAreBounded: a few bytes of a reply can stand for many of headers.
func TestSPDYHeadersAreBounded(t *testing.T) {
	many := http.Header{}
	for n := range 9 {
		many.Set(string(rune('a'+n)), "x")
	}
	for name, h := range map[string]http.Header{
		"many": many, "long": {"a": {strings.Repeat("x", 65)}}, "separators": {"a": {strings.Repeat("\x00", 1<<20)}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openSPDY(t, spdyPiped(t, answered, func(p *framedPeer) {
					p.send(&spdy.SynReplyFrame{StreamId: 1, Headers: h})
					time.AfterFunc(time.Hour, func() { _ = p.Close() })
				}), listening)
				began := time.Now()
				drain(t, s, 100)
				wantFault(t, s.Result().Err, fault.ClusterUnreachable)
				if d := time.Since(began); d > time.Minute {
					t.Errorf("the stream lived for %v", d)
				}
				_ = s.Close()
			})
		})
	}
}

// TestSPDYGuard: what comes out is what spdystream reads, and err what is made of the rest.
func TestSPDYGuard(t *testing.T) {
	data := string(head(5, 3)) + "abc"
	piece := strings.Repeat("x", spdyPiece)
	for name, tc := range map[string]struct{ in, out, err string }{
		"data":              {data + data, data + data, ""},
		"an end of data":    {string(head(5, 1<<24)), string(head(5, 1<<24)), ""},
		"data of one piece": {string(head(5, 1<<24|spdyPiece)) + piece, string(head(5, 1<<24|spdyPiece)) + piece, ""},
		"data of three": {
			string(head(5, 1<<24|2*spdyPiece+1)) + piece + piece + "y" + data,
			string(head(5, spdyPiece)) + piece + string(head(5, spdyPiece)) + piece + string(head(5, 1<<24|1)) + "y" + data, "",
		},
		"data that ends":                {data[:9], data[:9], ""},
		"a reply":                       {string(head(spdyReply, 4)) + "abcd", string(head(spdyReply, 4)) + "abcd", ""},
		"a reply without its stream":    {string(head(spdyReply, 3)) + "abc", "", "a frame 80030002 of 3 bytes"},
		"a reset":                       {string(head(spdyReset, 8)) + "12345678", string(head(spdyReset, 8)) + "12345678", ""},
		"a reset too long":              {string(head(spdyReset, 9)) + "123456789", "", "a frame 80030003 of 9 bytes"},
		"a goodbye":                     {string(head(spdyGoAway, 8)) + "12345678", string(head(spdyGoAway, 8)) + "12345678", ""},
		"a goodbye too short":           {string(head(spdyGoAway, 4)) + "1234", "", "a frame 80030007 of 4 bytes"},
		"settings":                      {string(head(spdySettings, 5)) + "12345" + data, data, ""},
		"a window":                      {string(head(spdyWindow, 8)) + "12345678" + data, data, ""},
		"a stream":                      {string(head(0x80030001, 10)), "", "a frame 80030001 of 10 bytes"},
		"headers":                       {string(head(0x80030008, 10)), "", "a frame 80030008 of 10 bytes"},
		"a later version":               {string(head(0x80040002, 4)), "", "a frame 80040002 of 4 bytes"},
		"an answer":                     {ping(1) + data, ping(1) + data, ""},
		"an answer twice":               {ping(1) + ping(1), ping(1), "an answer to ping 1, which is owed none"},
		"an answer to what comes later": {ping(3), "", "an answer to ping 3, which is owed none"},
		"a ping":                        {ping(2) + ping(2), ping(2) + ping(2), ""},
		"a ping too long":               {string(head(spdyPing, 5)) + "12345", "", "a frame 80030006 of 5 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			l := &link{body: gone{strings.NewReader(tc.in)}}
			g := &spdyGuard{link: l}
			g.owe()
			out, err := io.ReadAll(g)
			if string(out) != tc.out {
				t.Errorf("out came %q", out)
			}
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || err.Error() != "spdy: the peer sent "+tc.err) {
				t.Errorf("error %v", err)
			}
			if tc.err != "" && !errors.Is(l.why(io.EOF), err) {
				t.Errorf("the link says %v", l.why(io.EOF))
			}
		})
	}
}

// FuzzSPDYGuard: whatever comes, the library reads frames of servers alone, each to
// its end, no large ones, and one answer to one ping.
func FuzzSPDYGuard(f *testing.F) {
	var wire bytes.Buffer
	frames, err := spdy.NewFramer(&wire, nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, frame := range []spdy.Frame{
		&spdy.SynReplyFrame{StreamId: 1, Headers: http.Header{}},
		&spdy.SynReplyFrame{StreamId: 3, Headers: http.Header{"a": {"b"}}},
		&spdy.DataFrame{StreamId: 1, Data: []byte("hello")},
		&spdy.PingFrame{Id: 1},
		&spdy.PingFrame{Id: 2},
		&spdy.SettingsFrame{FlagIdValues: []spdy.SettingsFlagIdValue{{Id: 1, Value: 2}}},
		&spdy.RstStreamFrame{StreamId: 3, Status: spdy.Cancel},
		&spdy.PingFrame{Id: 1},
		&spdy.GoAwayFrame{},
	} {
		if err := frames.WriteFrame(frame); err != nil {
			f.Fatal(err)
		}
		f.Add(wire.Bytes(), 1)
		f.Add(wire.Bytes(), 1000)
	}
	f.Add(append(head(5, 1<<24|40_000), make([]byte, 40_000)...), 10_000)
	f.Add(append(head(spdyReply, 2), "12345678"...), 100)
	f.Fuzz(func(t *testing.T, wire []byte, piece int) {
		if piece < 1 || piece > 64<<10 {
			return
		}
		g := &spdyGuard{link: &link{body: gone{pieces{bytes.NewReader(wire), piece}}}}
		g.owe()
		frames, err := spdy.NewFramerWithOptions(io.Discard, g, spdyHeaders...)
		if err != nil {
			t.Fatal(err)
		}
		for answers := 0; ; {
			frame, err := frames.ReadFrame()
			if err != nil {
				return
			}
			if len(g.held) > 0 || g.rest > 0 {
				t.Fatalf("%T ends %d bytes early", frame, len(g.held)+g.rest)
			}
			switch frame := frame.(type) {
			case *spdy.SynReplyFrame, *spdy.RstStreamFrame, *spdy.GoAwayFrame:
			case *spdy.DataFrame:
				if len(frame.Data) > spdyPiece {
					t.Fatalf("a data frame of %d bytes", len(frame.Data))
				}
			case *spdy.PingFrame:
				if frame.Id%2 == 1 {
					answers++
				}
				if answers > 1 {
					t.Fatal("two answers to one ping")
				}
			default:
				t.Fatalf("a %T came through", frame)
			}
		}
	})
}

// pieces hands out no more than size bytes at once.
type pieces struct {
	io.Reader
	size int
}

func (p pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.size)]) }
