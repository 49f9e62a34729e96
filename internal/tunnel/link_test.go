package tunnel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestRefusal: what the accepting end says is what the opening end finds, by
// errors.Is, errors.As and in words.
func TestRefusal(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	slow, stop := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer stop()
	_, timeout := (&net.Dialer{}).DialContext(slow, "tcp", "127.0.0.1:1")
	for name, c := range map[string]struct {
		said error
		is   []error
	}{
		"refused":     {refused, []error{syscall.ECONNREFUSED}},
		"unreachable": {syscall.EHOSTUNREACH, []error{syscall.EHOSTUNREACH}},
		"network":     {syscall.ENETUNREACH, []error{syscall.ENETUNREACH}},
		"timeout":     {timeout, []error{os.ErrDeadlineExceeded, context.DeadlineExceeded}},
		"context":     {context.DeadlineExceeded, []error{os.ErrDeadlineExceeded, context.DeadlineExceeded}},
		"canceled":    {context.Canceled, []error{context.Canceled}},
		"denied":      {fmt.Errorf("10.0.0.1: %w", fs.ErrPermission), []error{fs.ErrPermission}},
		"busy":        {ErrBusy, []error{ErrBusy}},
		"other":       {errors.New("a reason of its own"), nil},
		"none":        {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := refuse(t, c.said)
			for _, want := range c.is {
				if !errors.Is(err, want) {
					t.Errorf("%v is not %v", err, want)
				}
			}
			if c.said != nil && !strings.Contains(err.Error(), c.said.Error()) {
				t.Errorf("%q has not the words of %q", err, c.said)
			}
			if errors.Is(err, syscall.ECONNREFUSED) != (name == "refused") {
				t.Errorf("%v and ECONNREFUSED", err)
			}
			var timeout net.Error
			if !errors.As(err, &timeout) || timeout.Timeout() != (name == "timeout" || name == "context") {
				t.Errorf("%v as a net.Error", err)
			}
		})
	}
}

func refuse(t *testing.T, said error) error {
	t.Helper()
	p := start(t)
	go func() {
		if o, err := p.agent.Accept(brief(t)); err == nil {
			o.Refuse(said)
		}
	}()
	s, err := p.server.Open(brief(t), Interactive, "pod:80")
	var remote *RemoteError
	if s != nil || !errors.As(err, &remote) {
		t.Fatalf("%v, %v", s, err)
	}
	p.settled(t)
	if n := p.server.Stats().Refused; n != 1 {
		t.Errorf("%d refused", n)
	}
	return err
}

func TestRefusalOfAName(t *testing.T) {
	for _, said := range []*net.DNSError{
		{Err: "no such host", Name: "apiserver.example", IsNotFound: true},
		{Err: "server misbehaving", Name: "apiserver.example", IsTemporary: true},
	} {
		var dns *net.DNSError
		if err := refuse(t, said); !errors.As(err, &dns) || dns.IsNotFound != said.IsNotFound {
			t.Errorf("%v from %v", err, said)
		}
	}
}

// TestWordsFromOutside: whatever a peer says is one short printable line here.
func TestWordsFromOutside(t *testing.T) {
	err := refuse(t, errors.New("a\nb\x1b[31m\xff"+strings.Repeat("é", 1000)))
	var remote *RemoteError
	if errors.As(err, &remote); len(remote.Words) > maxWords || !strings.HasPrefix(remote.Words, "a?b?[31m?é") {
		t.Errorf("%q", remote.Words)
	}
	raw := reset(codeOther, []byte("a\nb\u2028\xff"))
	if want := "tunnel: reset by the peer: a?b??"; raw.Error() != want {
		t.Errorf("%q, not %q", raw, want)
	}
}

// TestCloseWithCause: everything that waits at either end ends at once with the
// cause, and nothing can be done afterwards.
func TestCloseWithCause(t *testing.T) {
	p := start(t)
	near, far := p.open(t, Interactive)
	quiet, silent := p.open(t, Bulk)
	cause := fmt.Errorf("cluster revoked: %w", fs.ErrPermission)
	waiting := map[string]func() error{
		"read here":    func() error { _, err := quiet.Read(make([]byte, 1)); return err },
		"read there":   func() error { _, err := silent.Read(make([]byte, 1)); return err },
		"write here":   func() error { _, err := near.Write(make([]byte, 1<<20)); return err },
		"write there":  func() error { _, err := far.Write(make([]byte, 1<<20)); return err },
		"open":         func() error { _, err := p.server.Open(brief(t), Interactive, "x"); return err },
		"accept":       func() error { _, err := p.server.Accept(brief(t)); return err },
		"done here":    func() error { <-p.server.Done(); return p.server.Err() },
		"done there":   func() error { <-p.agent.Done(); return p.agent.Err() },
		"again, there": func() error { <-p.agent.Done(); _, err := p.agent.Open(brief(t), Interactive, "x"); return err },
	}
	var all sync.WaitGroup
	for name, wait := range waiting {
		all.Go(func() {
			err := wait()
			if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "cluster revoked") {
				t.Errorf("%s: %v", name, err)
			}
			if strings.Contains(name, "there") != errors.Is(err, ErrClosed) {
				t.Errorf("%s: %v and ErrClosed", name, err)
			}
		})
	}
	await(t, "all wait", func() bool { s := p.server.Stats(); return s.Opened == 3 && s.BytesIn == 64<<10 })
	p.server.Close(cause)
	p.server.Close(errors.New("a second cause counts for nothing"))
	all.Wait()
	p.running.Wait()
}

// TestTheLinkEndsBeforeItsStreams: whoever meets the end of a stream can ask whether it
// was the link's.
func TestTheLinkEndsBeforeItsStreams(t *testing.T) {
	p := start(t)
	var reading sync.WaitGroup
	for range 200 {
		near, _ := p.open(t, Interactive)
		reading.Go(func() {
			if _, err := near.Read(make([]byte, 1)); !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
			select {
			case <-p.server.Done():
			default:
				t.Error("the stream has ended, and the link has not")
			}
		})
	}
	p.server.Close(nil)
	reading.Wait()
}

// TestRunEnds says with what, for each way to end.
func TestRunEnds(t *testing.T) {
	cause := errors.New("shutting down")
	t.Run("context", func(t *testing.T) {
		a, b := tcp(t)
		ctx, stop := context.WithCancelCause(context.Background())
		stop(cause)
		p := link(t, b, nopConn{})
		if err := New(a, Agent).Run(ctx); !errors.Is(err, cause) {
			t.Error(err)
		}
		if <-p.server.Done(); !errors.Is(p.server.Err(), ErrClosed) {
			t.Error(p.server.Err())
		}
	})
	t.Run("connection", func(t *testing.T) {
		a, b := tcp(t)
		_ = b.Close()
		if err := New(a, Agent).Run(context.Background()); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	})
	t.Run("closed before", func(t *testing.T) {
		a, b := tcp(t)
		defer b.Close()
		l := New(a, Agent)
		l.Close(nil)
		go func() { _, _ = io.Copy(b, b) }() // its last word comes back: a bye
		if err := l.Run(context.Background()); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

// nopConn ends at once.
type nopConn struct{ net.Conn }

func (nopConn) Read([]byte) (int, error)    { return 0, io.EOF }
func (nopConn) Write(b []byte) (int, error) { return len(b), nil }
func (nopConn) Close() error                { return nil }

// TestAborts opens and aborts streams in every way, thousands of times, and finds
// nothing left of them: neither a stream nor a goroutine nor memory.
func TestAborts(t *testing.T) {
	p := start(t)
	serving, stop := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() { p.serve(serving) })
	p.abort(t, 1000)
	before := heap()
	p.abort(t, 20_000)
	if grown := int64(heap()) - int64(before); grown > 1<<20 {
		t.Errorf("%d KiB more after 20,000 streams", grown>>10)
	}
	for _, l := range []*Link{p.server, p.agent} {
		if s := l.Stats(); s.Opened != 21_000 || s.Closed != s.Opened {
			t.Errorf("%+v", s)
		}
	}
	stop()
	served.Wait()
}

// serve answers offers, each fourth with a refusal, and sends everything back.
func (p *pair) serve(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for i := 0; ; i++ {
		o, err := p.agent.Accept(ctx)
		if err != nil {
			return
		}
		if i%4 == 0 {
			o.Refuse(syscall.ECONNREFUSED)
			continue
		}
		s := o.Accept()
		all.Go(func() {
			defer s.Close()
			_, _ = io.Copy(s, s)
		})
	}
}

func (p *pair) abort(t *testing.T, many int) {
	t.Helper()
	for i := range many {
		ctx, stop := context.WithCancel(context.Background())
		if i%5 == 0 {
			stop() // before the answer
		}
		if s, err := p.server.Open(ctx, Interactive, "echo"); err == nil {
			_, _ = s.Write(make([]byte, i%3000))
			switch i % 3 {
			case 0:
				s.Close()
			case 1:
				s.Reset(errors.New("aborted"))
			default:
				_ = s.CloseWrite()
				_, _ = io.Copy(io.Discard, s)
				s.Close()
			}
		}
		stop()
	}
	p.settled(t)
}

// TestLimits: what is too much is refused, at the end that asks or at the one
// that is asked, and nothing else is disturbed.
func TestLimits(t *testing.T) {
	p := start(t)
	near, far := p.open(t, Interactive)
	if _, err := p.server.Open(brief(t), Interactive, strings.Repeat("x", 256)); !errors.Is(err, errTarget) {
		t.Errorf("a long target: %v", err)
	}
	if _, err := p.server.Open(brief(t), 7, "x"); err == nil {
		t.Error("a class that is none")
	}
	ctx, stop := context.WithCancel(context.Background())
	var opening sync.WaitGroup
	var mu sync.Mutex
	refused := 0
	for range maxOffers + 50 { // nobody accepts
		opening.Go(func() {
			if _, err := p.server.Open(ctx, Interactive, "x"); errors.Is(err, ErrBusy) {
				mu.Lock()
				defer mu.Unlock()
				refused++
			}
		})
	}
	await(t, "the offers beyond the limit are refused", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return refused == 50
	})
	stop()
	opening.Wait()
	await(t, "the others were taken back", func() bool { return p.agent.Stats().Open == 1 })
	send(t, near, "still here")
	expect(t, far, "still here")
}

func TestMaxStreams(t *testing.T) {
	p := start(t)
	for range MaxStreams {
		p.open(t, Interactive)
	}
	if _, err := p.server.Open(brief(t), Interactive, "x"); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: %v", err)
	}
	if _, err := p.agent.Open(brief(t), Interactive, "x"); !errors.Is(err, ErrBusy) {
		t.Errorf("one more of the other end: %v", err)
	}
}

// peer is the raw other end of a link: it says what a test wants.
type peer struct {
	t    *testing.T
	conn net.Conn
	link *Link
	run  chan error
}

func against(t *testing.T) *peer {
	a, b := tcp(t)
	_ = b.SetDeadline(time.Now().Add(waiting))
	p := &peer{t: t, conn: b, link: New(a, Agent), run: make(chan error, 1)}
	go func() { p.run <- p.link.Run(context.Background()) }()
	t.Cleanup(func() { _ = b.Close(); <-p.link.Done(); p.link.Close(nil) })
	return p
}

// piped is a peer over a connection on which a write waits until it is read.
// The caller is in a bubble, closes the connection and waits for run.
func piped(t *testing.T, role Role) *peer {
	a, b := net.Pipe()
	p := &peer{t: t, conn: b, link: New(a, role), run: make(chan error)}
	go func() { p.run <- p.link.Run(context.Background()) }()
	return p
}

func (p *peer) say(b ...[]byte) {
	for _, b := range b {
		if _, err := p.conn.Write(b); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *peer) hear() (header, []byte) {
	p.t.Helper()
	b := make([]byte, headerSize)
	if _, err := io.ReadFull(p.conn, b); err != nil {
		p.t.Fatal(err)
	}
	h, err := parseHeader(b)
	if err != nil {
		p.t.Fatal(err)
	}
	payload := make([]byte, h.size)
	if _, err := io.ReadFull(p.conn, payload); err != nil {
		p.t.Fatal(err)
	}
	return h, payload
}

func frame(k kind, code uint8, id uint32, payload string) []byte {
	return appendFrame(nil, k, code, id, payload)
}

func credit(id, n uint32) []byte {
	return frame(frameCredit, 0, id, string(binary.BigEndian.AppendUint32(nil, n)))
}

// accepted is a peer that has opened stream 1, which was accepted.
func accepted(t *testing.T) (*peer, *Stream) {
	t.Helper()
	p := against(t)
	p.say(frame(frameOpen, uint8(Interactive), 1, "x"))
	o, err := p.link.Accept(brief(t))
	if err != nil {
		t.Fatal(err)
	}
	s := o.Accept()
	if h, _ := p.hear(); h.kind != frameAccept || h.id != 1 {
		t.Fatalf("%+v", h)
	}
	return p, s
}

// TestRulesBroken: a peer that breaks a rule ends the link, which says so once,
// here and to the peer, and ends its streams.
func TestRulesBroken(t *testing.T) {
	data := func(id uint32, n int) []byte { return frame(frameData, 0, id, strings.Repeat("x", n)) }
	window := [][]byte{data(1, 16000), data(1, 16000), data(1, 16000), data(1, 16000)}
	const inter = uint8(Interactive)
	for name, said := range map[string][][]byte{
		"garbage":                  {[]byte("GET / HTTP/1.1\r\n\r\n")},
		"zeros":                    {make([]byte, 100)},
		"unknown kind":             {frame(frameBye+1, 0, 1, "")},
		"empty data":               {data(1, 0)},
		"data too large":           {appendHeader(nil, header{kind: frameData, size: maxPayload + 1, id: 1})},
		"target too long":          {frame(frameOpen, inter, 3, strings.Repeat("x", 256))},
		"words too long":           {frame(frameReset, 0, 1, strings.Repeat("x", maxWords+1))},
		"fin with payload":         {frame(frameFin, 0, 1, "x")},
		"stream 0":                 {data(0, 1)},
		"bye of a stream":          {frame(frameBye, 0, 1, "")},
		"data of no stream":        {data(3, 1)},
		"credit of no stream":      {credit(3, 1)},
		"credit of ours to be":     {credit(2, 1)},
		"reset of no stream":       {frame(frameReset, 0, 5, "")},
		"accept of its own":        {frame(frameAccept, 0, 1, "")},
		"refuse of its own":        {frame(frameRefuse, 0, 1, "")},
		"opened twice":             {frame(frameOpen, inter, 1, "x")},
		"our id":                   {frame(frameOpen, inter, 2, "x")},
		"an older id":              {frame(frameOpen, inter, 9, "x"), frame(frameOpen, inter, 7, "x")},
		"unknown class":            {frame(frameOpen, 9, 3, "x")},
		"beyond credit":            append(window, data(1, 1537)),
		"credit of 0":              {credit(1, 0)},
		"credit that was not used": {credit(1, 1)},
		"credit beyond all":        {credit(1, 1<<31)},
		"data after fin":           {frame(frameFin, 0, 1, ""), data(1, 1)},
		"fin after fin":            {frame(frameFin, 0, 1, ""), frame(frameFin, 0, 1, "")},
		"data after reset":         {frame(frameReset, 0, 1, ""), data(1, 1)},
		"data before the answer":   {frame(frameOpen, inter, 3, "x"), data(3, 1)},
		"fin before the answer":    {frame(frameOpen, inter, 3, "x"), frame(frameFin, 0, 3, "")},
	} {
		t.Run(name, func(t *testing.T) {
			p, s := accepted(t)
			p.say(said...)
			_ = p.conn.(*net.TCPConn).CloseWrite()
			var broke *ProtocolError
			if err := <-p.run; !errors.As(err, &broke) {
				t.Errorf("run: %v", err)
			}
			if _, err := s.Write([]byte("x")); !errors.As(err, &broke) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("write: %v", err)
			}
			h, words := p.hear()
			for h.kind != frameBye {
				h, words = p.hear()
			}
			if string(words) != broke.Error() {
				t.Errorf("the peer was told %q, not %q", words, broke)
			}
		})
	}
}

// TestWhatMayBeLate: words that crossed the end of their stream on the way end
// nothing.
func TestWhatMayBeLate(t *testing.T) {
	p, s := accepted(t)
	s.Reset(nil)
	p.say(frame(frameData, 0, 1, "on its way"), frame(frameStop, 0, 1, ""), frame(frameFin, 0, 1, ""))
	if h, _ := p.hear(); h.kind != frameReset {
		t.Fatalf("%+v", h)
	}
	await(t, "the stream has ended", func() bool { return p.link.Stats().Open == 0 })

	p, s = accepted(t)
	send(t, s, "12345678")
	if h, _ := p.hear(); h.kind != frameData {
		t.Fatalf("%+v", h)
	}
	s.Close()
	p.say(frame(frameData, 0, 1, "on its way"), credit(1, 8), frame(frameFin, 0, 1, ""))
	for _, want := range []kind{frameStop, frameFin} {
		if h, _ := p.hear(); h.kind != want {
			t.Fatalf("%+v", h)
		}
	}
	await(t, "the stream has ended", func() bool { return p.link.Stats().Open == 0 })
	p.say(credit(1, 8), frame(frameStop, 0, 1, ""), frame(frameReset, 0, 1, ""))
	p.say(frame(frameOpen, uint8(Bulk), 3, "y"))
	if _, err := p.link.Accept(brief(t)); err != nil {
		t.Error(err)
	}
}

// TestAskingWithoutReading: a peer that asks on and on and reads nothing does not
// fill the memory.
func TestAskingWithoutReading(t *testing.T) {
	p := against(t)
	open := make([]byte, 0, 1<<20)
	for id := uint32(1); ; {
		for open = open[:0]; len(open) < 1<<20; id += 2 {
			open = appendFrame(open, frameOpen, uint8(Bulk), id, "")
		}
		if _, err := p.conn.Write(open); err != nil || p.link.Err() != nil {
			break
		}
	}
	var broke *ProtocolError
	if err := <-p.run; !errors.As(err, &broke) {
		t.Error(err)
	}
}

// TestSmallWritesFirst: behind a copy in full flow, a keystroke stands in the
// very next write to the connection; and the pieces of two copies take turns.
func TestSmallWritesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := piped(t, Agent)
		streams := map[uint32]*Stream{}
		for id := uint32(1); id < 8; id += 2 {
			class := Bulk
			if id == 1 {
				class = Interactive
			}
			p.say(frame(frameOpen, uint8(class), id, ""))
			o, err := p.link.Accept(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			streams[id] = o.Accept()
			p.hear()
		}
		for _, id := range []uint32{3, 5, 7} {
			go func() { _, _ = streams[id].Write(make([]byte, 200<<10)) }()
			synctest.Wait()
		}
		send(t, streams[1], "k") // while the first piece stands in the connection
		var order []uint32
		for range 6 {
			h, payload := p.hear()
			if h.size > maxPayload || h.size != len(payload) {
				t.Errorf("%+v", h)
			}
			order = append(order, h.id)
			synctest.Wait()
		}
		if fmt.Sprint(order) != "[3 1 3 5 7 3]" {
			t.Errorf("order %v", order)
		}
		p.conn.Close()
		<-p.run
	})
}

// TestTypingNarrowsTheFlood: for two seconds after a keystroke of this end half of a
// terminal's window is on its way at most, and all of it again after that; a copy
// keeps its own.
func TestTypingNarrowsTheFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := piped(t, Server)
		keys, terminal, file := p.opened(Interactive), p.opened(Interactive), p.opened(Bulk)
		go func() { _, _ = io.Copy(io.Discard, terminal) }()
		go func() { _, _ = io.Copy(io.Discard, file) }()
		const half = 32 << 10
		for _, step := range []struct {
			what         string
			of           *Stream
			keystroke    bool
			later        time.Duration
			sends, comes int
		}{
			{"nobody types", terminal, false, 0, half, half},
			{"a key", terminal, true, 0, half, 0},
			{"still typing", terminal, false, time.Second, half, half},
			{"a copy meanwhile", file, false, 0, Bulk.window() / 2, Bulk.window() / 2},
			{"nobody types any more", terminal, false, time.Second, 8 << 10, half + 8<<10},
		} {
			if step.keystroke {
				send(t, keys, "k")
				p.hear()
			}
			time.Sleep(step.later)
			if got := p.flood(step.of, step.sends); got != step.comes {
				t.Errorf("%s: %d bytes of credit for %d, want %d", step.what, got, step.sends, step.comes)
			}
		}
		p.conn.Close()
		<-p.run
	})
}

// opened is a stream that the link has opened and the peer accepted. The caller is in a
// bubble, as of flood.
func (p *peer) opened(class Class) *Stream {
	p.t.Helper()
	made := make(chan *Stream)
	go func() {
		s, _ := p.link.Open(context.Background(), class, "x")
		made <- s
	}()
	h, _ := p.hear()
	p.say(frame(frameAccept, 0, h.id, ""))
	return <-made
}

// flood sends n bytes for s, 8 KiB at a time, and is how much credit comes for them.
func (p *peer) flood(s *Stream, n int) (credit int) {
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		b := make([]byte, headerSize+creditSize)
		for {
			if _, err := io.ReadFull(p.conn, b); err != nil {
				return
			}
			credit += int(binary.BigEndian.Uint32(b[headerSize:]))
		}
	}()
	for size := 8 << 10; n > 0; n -= size {
		p.say(frame(frameData, 0, s.id, strings.Repeat("x", size)))
		synctest.Wait()
	}
	_ = p.conn.SetReadDeadline(time.Now())
	<-heard
	_ = p.conn.SetReadDeadline(time.Time{})
	return credit
}

// sink is a connection that takes everything at once, and keeps how much each write
// was.
type sink struct {
	net.Conn
	sizes []int // belongs to the link's writer until it has ended
}

func (s *sink) Write(p []byte) (int, error) {
	s.sizes = append(s.sizes, len(p))
	return len(p), nil
}

// TestTheEndOfAWriteSharesTheNext: who writes a little more than fits beside the
// headers, again and again, does not pay for two writes each time.
func TestTheEndOfAWriteSharesTheNext(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // else the writer may be early by chance
	a, b := net.Pipe()
	c := &sink{Conn: a}
	l := New(c, Agent)
	ended := make(chan error)
	go func() { ended <- l.Run(context.Background()) }()
	(&peer{t: t, conn: b, link: l}).say(frame(frameOpen, uint8(Bulk), 1, ""))
	o, err := l.Accept(brief(t))
	if err != nil {
		t.Fatal(err)
	}
	s := o.Accept()
	const size = 16 << 10
	for range Bulk.window() / size {
		send(t, s, strings.Repeat("x", size))
	}
	await(t, "all is sent", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.out.empty() })
	b.Close()
	<-ended
	if got, most := len(c.sizes), Bulk.window()/size*3/2; got > most {
		t.Errorf("%d writes, at most %d wanted: %v", got, most, c.sizes)
	}
	for _, n := range c.sizes {
		if n > maxWrite {
			t.Errorf("a write of %d bytes", n)
		}
	}
}

// TestHasRoom: over a connection that takes nothing, what was promised to a stream
// is kept whatever the others write, and nothing is promised beyond the peer's
// credit, beside a write that waits, or once small writes wait too.
func TestHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := piped(t, Server)
		var streams []*Stream
		for range 2 * maxSmall / small {
			opened := make(chan *Stream)
			go func() {
				s, err := p.link.Open(context.Background(), Interactive, "")
				if err != nil {
					t.Error(err)
				}
				opened <- s
			}()
			h, _ := p.hear()
			p.say(frame(frameAccept, 0, h.id, ""))
			streams = append(streams, <-opened)
		}
		typed, others := streams[0], streams[1:]
		if !typed.HasRoom() {
			t.Error("no room on a link that nobody uses")
		}
		var waiting sync.WaitGroup
		for _, s := range others { // the connection takes none of it
			waiting.Go(func() { _, _ = s.Write(make([]byte, small)) })
			synctest.Wait()
		}
		wrote := make(chan error)
		go func() {
			_, err := typed.Write(make([]byte, Room/2))
			if err == nil {
				_, err = typed.Write(make([]byte, Room/2))
			}
			wrote <- err
		}()
		synctest.Wait()
		select {
		case err := <-wrote:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("what was promised waits")
		}
		if typed.HasRoom() {
			t.Error("room on a link that takes nothing")
		}
		if last := others[len(others)-1]; last.HasRoom() {
			t.Error("room beside a write that waits")
		}
		p.conn.Close()
		<-p.run
		waiting.Wait()
		if typed.HasRoom() {
			t.Error("room on a link that has ended")
		}
	})
}

// TestNoRoomBeyondCredit: a promise is one of the peer's credit too.
func TestNoRoomBeyondCredit(t *testing.T) {
	near, far := start(t).open(t, Interactive)
	left := Interactive.window() - Room
	send(t, near, strings.Repeat("x", left))
	await(t, "room for the last of the credit", near.HasRoom)
	send(t, near, "x")
	if near.HasRoom() {
		t.Error("room beyond the credit")
	}
	send(t, near, strings.Repeat("x", Room-1)) // all of the credit, none of the promise
	expect(t, far, strings.Repeat("x", left+Room))
	await(t, "room after the peer has read", near.HasRoom)
}

// TestCutAtEveryPoint cuts the connection after each byte of a whole
// conversation, in both directions: both ends notice, and nothing is left.
func TestCutAtEveryPoint(t *testing.T) {
	for _, role := range []Role{Server, Agent} {
		whole := talk(t, role, 1<<30)
		if whole < 30 {
			t.Fatalf("the whole conversation is %d bytes", whole)
		}
		for n := range whole {
			talk(t, role, n)
		}
	}
}

// talk has a short conversation over a connection that is cut after role has
// written n bytes, and says how many it wrote.
func talk(t *testing.T, role Role, n int) (sent int) {
	a, b := tcp(t)
	c := &cut{Conn: a, left: n}
	ends := map[Role]*Link{role: New(c, role), Server + Agent - role: New(b, Server+Agent-role)}
	server, agent := ends[Server], ends[Agent]
	var running sync.WaitGroup
	running.Go(func() { _ = server.Run(context.Background()) })
	running.Go(func() { _ = agent.Run(context.Background()) })
	running.Go(func() { (&pair{agent: agent}).serve(context.Background()) })
	_, _ = server.Open(context.Background(), Bulk, "no")
	if s, err := server.Open(context.Background(), Interactive, "echo"); err == nil {
		_, _ = s.Write([]byte("hello"))
		_ = s.CloseWrite()
		_, _ = io.ReadAll(s)
	}
	if s, err := server.Open(context.Background(), Bulk, "echo"); err == nil {
		s.Reset(errors.New("enough"))
	}
	server.Close(errors.New("bye"))
	running.Wait()
	for _, l := range ends {
		if s := l.Stats(); s.Open != 0 || s.Opened != s.Closed {
			t.Errorf("cut after %d bytes: %+v", n, s)
		}
	}
	return c.sent
}

// cut closes a connection after so many bytes were written to it.
type cut struct {
	net.Conn
	left, sent int
}

func (c *cut) Write(b []byte) (int, error) {
	if len(b) > c.left {
		n, _ := c.Conn.Write(b[:c.left])
		_ = c.Close()
		return n, net.ErrClosed
	}
	n, err := c.Conn.Write(b)
	c.left -= n
	c.sent += n
	return n, err
}
