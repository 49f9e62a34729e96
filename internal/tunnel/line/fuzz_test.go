package line

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// replayed is a carrier that has said all it will.
type replayed struct {
	net.Conn // nil: nothing else is asked
	in       *bytes.Reader
	out      bytes.Buffer
}

func (r *replayed) Read(p []byte) (int, error)    { return r.in.Read(p) }
func (r *replayed) Write(p []byte) (int, error)   { return r.out.Write(p) }
func (*replayed) Close() error                    { return nil }
func (*replayed) SetReadDeadline(time.Time) error { return nil }
func (*replayed) LocalAddr() net.Addr             { return &net.TCPAddr{} }
func (*replayed) RemoteAddr() net.Addr            { return &net.TCPAddr{} }

// FuzzRecords: what comes is taken as the rules say whatever its splits, and what is
// taken looks the same when it is written again.
func FuzzRecords(f *testing.F) {
	f.Add((&helloRecord{instance: "one", resume: true, received: 7}).append(nil), 1)
	f.Add((&helloRecord{instance: "one", standby: true}).append(nil), 3)
	f.Add((&welcomeRecord{settings: Settings{}.withDefaults()}).append(nil), 5)
	f.Add(appendWord(appendCount(append(appendHead(nil, data, 3), "abc"...), ping, 3), end, PeerError{"closed", "bye"}), 2)
	f.Fuzz(func(t *testing.T, raw []byte, step int) {
		whole, err := records(raw, len(raw)+1)
		split, err2 := records(raw, 1+int(uint(step)%7))
		if whole != split || err.Error() != err2.Error() {
			t.Errorf("split: %q (%v), whole: %q (%v)", split, err2, whole, err)
		}
		if len(whole) > len(raw) || !bytes.HasPrefix(raw, []byte(whole[:0])) {
			t.Errorf("%d bytes of %d", len(whole), len(raw))
		}
	})
}

// records reads all of raw in steps and writes again what was understood.
func records(raw []byte, step int) (string, error) {
	l := newLeg(&replayed{in: bytes.NewReader(raw)})
	l.nc = chopped{l.nc, step}
	var got []byte
	p := make([]byte, step)
	for {
		k, n, payload, err := l.read(p)
		if err != nil {
			return string(got), err
		}
		switch k {
		case data:
			got = append(got, p[:n]...)
			continue
		case hello:
			h, err := parseHello(payload)
			if err != nil {
				return string(got), err
			}
			if again := h.append(nil); !bytes.Equal(again[headSize:], payload) {
				return "", errors.New("a HELLO that is not what it was")
			}
		case welcome:
			if _, err := parseWelcome(payload); err != nil {
				return string(got), err
			}
		case refused, end:
			if _, err := parseWord(payload); err != nil {
				return string(got), err
			}
		}
	}
}

type chopped struct {
	net.Conn
	n int
}

func (c chopped) Read(p []byte) (int, error) { return c.Conn.Read(p[:min(len(p), c.n)]) }

// FuzzAccept: a stranger's first words, whatever they are, do nothing to a line that
// lives, and take no line without its proof.
func FuzzAccept(f *testing.F) {
	f.Add((&helloRecord{instance: "one", resume: true, received: 7}).append(nil))
	f.Add((&helloRecord{instance: "two", standby: true}).append(nil))
	f.Add([]byte("\x01\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var h Host
		nc := &held{done: make(chan struct{}), replayed: replayed{in: bytes.NewReader((&helloRecord{instance: "one"}).append(nil))}}
		live, _, err := h.Accept("prod", nc)
		if err != nil {
			t.Fatal(err)
		}
		c, resumed, err := h.Accept("prod", &replayed{in: bytes.NewReader(raw)})
		defer func() {
			_ = nc.Close() // the peer is gone
			live.end(nil)
			<-live.said
			if err == nil {
				_ = c.Close()
			}
		}()
		asked, bad := parseFirst(raw)
		replaces := bad == nil && !asked.resume && !asked.standby
		if resumed || (err == nil) != replaces || replaces != (live.Err() != nil) || live.Status().Cuts != 0 && !replaces {
			t.Errorf("%q: resumed %v, %v, the line: %v", raw, resumed, err, live.Err())
		}
	})
}

func parseFirst(raw []byte) (helloRecord, error) {
	payload, err := newLeg(&replayed{in: bytes.NewReader(raw)}).answer(hello)
	if err != nil {
		return helloRecord{}, err
	}
	return parseHello(payload)
}

// held says its piece and then nothing, until it is closed.
type held struct {
	replayed
	once sync.Once
	done chan struct{}
}

func (h *held) Read(p []byte) (int, error) {
	if h.in.Len() > 0 {
		return h.in.Read(p)
	}
	<-h.done
	return 0, io.EOF
}

func (h *held) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

func TestRecordsAreWhatTheyWere(t *testing.T) {
	h := helloRecord{resume: true, standby: true, instance: strings.Repeat("i", MaxInstance), id: [idSize]byte{1}, secret: [secretSize]byte{2}, received: 1<<63 + 5}
	if got, err := parseHello(h.append(nil)[headSize:]); err != nil || got != h {
		t.Errorf("%+v %v", got, err)
	}
	for _, w := range []welcomeRecord{
		{settings: Settings{}.withDefaults(), id: [idSize]byte{3}, secret: [secretSize]byte{4}},
		{resumed: true, settings: Settings{time.Millisecond, time.Second, maxSetting}, received: 9},
	} {
		if got, err := parseWelcome(w.append(nil)[headSize:]); err != nil || got != w {
			t.Errorf("%+v %v", got, err)
		}
	}
	long := PeerError{"superseded", strings.Repeat("é", maxWords)}
	got, err := parseWord(appendWord(nil, end, long)[headSize:])
	if err != nil || got.Code != long.Code || got.Words != strings.Repeat("é", maxWords/2) || !errors.Is(got, ErrSuperseded) {
		t.Errorf("%+v %v", got, err)
	}
	if got, _ := parseWord(appendWord(nil, end, PeerError{"x", "a\nb\x1b[2J\xff"})[headSize:]); got.Words != "a b [2J" {
		t.Errorf("%q", got.Words)
	}
}

// TestReplay holds the buffer against a plain slice, through random appends,
// acknowledgements and looks.
func TestReplay(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var r replay
	var all []byte
	source := rand.NewChaCha8([32]byte{})
	for range 20_000 {
		switch random.IntN(3) {
		case 0:
			p := make([]byte, 1+random.IntN(1<<(1+random.IntN(17))))
			_, _ = source.Read(p)
			n := r.append(p)
			all = append(all, p[:n]...)
			if held := r.end - r.start; n == 0 && held < maxChunks*(chunkSize-tooSmall) {
				t.Fatalf("no room beside %d bytes", held)
			}
		case 1:
			r.acknowledge(r.start + random.Uint64N(r.end-r.start+1))
		case 2:
			for at := r.start; at < r.end; {
				_, p := r.at(at)
				if len(p) == 0 || !bytes.Equal(p, all[at:at+uint64(len(p))]) {
					t.Fatalf("at %d of %d: %d bytes that differ", at, r.end, len(p))
				}
				at += uint64(len(p))
			}
		}
		if len(r.chunks)+len(r.spare) > maxChunks {
			t.Fatalf("%d chunks, %d spare", len(r.chunks), len(r.spare))
		}
	}
}
