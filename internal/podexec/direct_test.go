package podexec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// all takes what was sent so far, message by message.
func (c *pipeConn) all() []message {
	var got []message
	for {
		select {
		case m := <-c.toClient:
			got = append(got, m)
		default:
			return got
		}
	}
}

// kinds names messages: "output", or a control frame's type.
func kinds(messages []message) string {
	var names []string
	for _, m := range messages {
		var f struct{ Type string }
		if f.Type = "output"; !m.binary {
			_ = json.Unmarshal(m.data, &f)
		}
		names = append(names, f.Type)
	}
	return strings.Join(names, " ")
}

func (s *script) typed() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stdin.String()
}

// hold makes the program read nothing until the returned function is called.
func (s *script) hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	block := make(chan struct{})
	s.block = block
	return func() {
		s.mu.Lock()
		s.block = nil
		s.mu.Unlock()
		close(block)
	}
}

// TestKeystrokesKeepTheirOrder sends keystrokes that go straight to the stream
// and pieces that must queue, while the stream takes and refuses in turns.
func TestKeystrokesKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(true)
		var sent strings.Builder
		for i := range 200 {
			release := func() {}
			if i%3 == 0 {
				release = s.hold()
			}
			for j := range 5 {
				piece := fmt.Sprintf("%d.%d;", i, j)
				if i%7 == 0 && j == 2 {
					piece += strings.Repeat("long", 200)
				}
				sent.WriteString(piece)
				conn.send(true, piece)
				if i%3 == 0 && j == 3 {
					release()
				}
			}
			synctest.Wait()
		}
		if got := s.typed(); got != sent.String() {
			t.Errorf("%d bytes reached the program, %d were sent, or in another order", len(got), sent.Len())
		}
		conn.control(t, map[string]any{"type": "close"})
		synctest.Wait()
		r.free()
	})
}

// TestStdinAfterTheEndIsDropped: who goes on typing while the last output is on
// its way reaches no stream and breaks no window, and its acknowledgements still
// count.
func TestStdinAfterTheEndIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(true)
		const size = 200 << 10 // more than the window
		s.feed.Write(bytes.Repeat([]byte("o"), size))
		s.exit(0)
		synctest.Wait()
		conn.send(true, "after")
		s.hold()
		for range 2 * StdinWindow >> 10 {
			conn.send(true, strings.Repeat("i", 1<<10))
		}
		var got int
		for got < size {
			synctest.Wait()
			out, frames := conn.drain()
			got += len(out)
			if len(out) == 0 {
				t.Fatalf("%d bytes came, then nothing; frames %v", got, frames)
			}
			conn.control(t, map[string]any{"type": "ack", "offset": got})
		}
		r.free()
		if got := r.endReason(); got != string(Exited) || s.typed() != "" {
			t.Errorf("ended by %s; typed %q", got, s.typed())
		}
	})
}

// TestNoStdinIsNoActivity: an empty message is not a byte of stdin.
func TestNoStdinIsNoActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, _ := r.open(true)
		for conn.send(true, "") && time.Since(conn.base) < 2*r.set.ServerIdle {
			time.Sleep(time.Second)
		}
		r.free()
		if got, d := r.endReason(), time.Since(conn.base); got != string(ServerIdle) || d > r.set.ServerIdle+10*time.Second {
			t.Errorf("ended by %s after %v", got, d)
		}
	})
}

// TestHelloIsFirst has programs that print, and end, before anybody looks.
func TestHelloIsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.up.dial = func(transport.Request) (transport.Stream, error) {
			s := newScript()
			go func() { s.feed.Write([]byte("here")); s.exit(0) }()
			return s, nil
		}
		for range 100 {
			ticket, err := r.ss.Admit(t.Context(), r.request())
			if err != nil {
				t.Fatal(err)
			}
			conn := newPipeConn()
			r.ss.Serve(ticket, conn, true)
			synctest.Wait()
			if got := kinds(conn.all()); got != "hello output closed" {
				t.Fatalf("the client got %q", got)
			}
		}
		r.free()
	})
}

// TestHelloIsFirstWhileTheWriterLooks pushes hello and output just while the
// writer asks what is due.
func TestHelloIsFirstWhileTheWriterLooks(t *testing.T) {
	r := newRig(t)
	ticket, err := r.ss.Admit(t.Context(), r.request())
	if err != nil {
		t.Fatal(err)
	}
	defer ticket.Discard()
	for range 5000 {
		conn := newPipeConn()
		s := newSession(r.ss, ticket, true)
		c := newClient(s, conn, "")
		go func() {
			c.ctrl.push([]byte(`{"type":"hello"}`))
			s.feedBack([]byte("$ "))
		}()
		for len(conn.toClient) < 2 {
			if _, ok := c.sendDue(); !ok {
				t.Fatal("the socket broke")
			}
		}
		if got := kinds(conn.all()); got != "hello output" {
			t.Fatalf("the client got %q", got)
		}
		s.out.close()
	}
}

// TestHelloIsSentAtTheEnd has a session that ends when its hello still waits.
func TestHelloIsSentAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ticket, err := r.ss.Admit(t.Context(), r.request())
		if err != nil {
			t.Fatal(err)
		}
		conn := newPipeConn()
		s := newSession(r.ss, ticket, true)
		c := newClient(s, conn, "")
		c.ctrl.push([]byte(`{"type":"hello"}`))
		s.feedBack([]byte("$ "))
		s.finish(exited(0))
		if !c.flush() {
			t.Error("the socket broke")
		}
		if got := kinds(conn.all()); got != "hello output" {
			t.Errorf("the client got %q", got)
		}
		s.out.close()
	})
}

// TestEchoesKeepTheirOrder types, has the echo sent by its reader, and floods
// between: every byte comes once and in order.
func TestEchoesKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(true)
		var want, got bytes.Buffer
		sizes := []int{1, 3, 700, 1, 2100, 5, 9000, 1, 40_000, 2, 1, 511, 513}
		for i := range 300 {
			if i%4 != 0 {
				conn.send(true, "k")
			}
			p := bytes.Repeat([]byte{byte(i)}, sizes[i%len(sizes)])
			want.Write(p)
			s.feed.Write(p)
			if i%5 == 0 {
				time.Sleep(time.Duration(i%11) * time.Millisecond)
			}
			if i%3 == 0 {
				synctest.Wait()
			}
			out, _ := conn.drain()
			got.Write(out)
			conn.control(t, map[string]any{"type": "ack", "offset": got.Len()})
		}
		time.Sleep(time.Second)
		out, _ := conn.drain()
		got.Write(out)
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("%d bytes came, %d were printed, or in another order", got.Len(), want.Len())
		}
		conn.control(t, map[string]any{"type": "close"})
		synctest.Wait()
		r.free()
	})
}

// TestNoEchoWaits prints in pieces that span chunks, with a keystroke before
// each: none may stay behind in the queue.
func TestNoEchoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(true)
		seen := 0
		for i := range 500 {
			conn.send(true, "k")
			p := bytes.Repeat([]byte("e"), 1+i*37%1900)
			s.feed.Write(p)
			synctest.Wait()
			out, _ := conn.drain()
			if len(out) != len(p) {
				t.Fatalf("%d of %d bytes of echo %d came at once", len(out), len(p), i)
			}
			seen += len(out)
			conn.control(t, map[string]any{"type": "ack", "offset": seen})
		}
		conn.control(t, map[string]any{"type": "close"})
		synctest.Wait()
		r.free()
	})
}

// TestAnEchoInTwoChunksIsSentAtOnce has output that may wait to be joined when a
// key's echo comes, in a chunk of its own.
func TestAnEchoInTwoChunksIsSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(true)
		for range 2 { // the first goes out at once, the second waits to be joined
			s.feed.Write(bytes.Repeat([]byte("a"), 300))
			synctest.Wait()
		}
		conn.drain()
		conn.send(true, "k")
		synctest.Wait() // else the echo might come before the key
		s.feed.Write([]byte("echo"))
		synctest.Wait()
		if out, _ := conn.drain(); len(out) != 304 {
			t.Errorf("%d of 304 bytes came at once", len(out))
		}
		conn.control(t, map[string]any{"type": "close"})
		r.free()
	})
}

// TestAnEchoDoesNotWaitForTheClient: the container's output is read on while a
// client that acknowledges all and takes nothing keeps its socket full.
func TestAnEchoDoesNotWaitForTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(true)
		for conn.HasRoom() {
			conn.toClient <- message{}
		}
		conn.send(true, "k")
		synctest.Wait() // else the echo might come before the key
		read := 0
		go func() {
			for range 3 {
				n, _ := s.feed.Write([]byte("echo"))
				read += n
			}
		}()
		synctest.Wait()
		if read != 12 {
			t.Errorf("%d of 12 bytes were read", read)
		}
		for range conn.all() { // now it takes what is still to come
		}
		conn.control(t, map[string]any{"type": "close"})
		r.free()
	})
}

// TestNothingComesAfterClosed ends sessions in the middle of typing and echoing.
func TestNothingComesAfterClosed(t *testing.T) {
	for name, end := range map[string]func(*rig, *pipeConn, *script){
		"exit":     func(_ *rig, _ *pipeConn, s *script) { s.exit(0) },
		"close":    func(_ *rig, c *pipeConn, _ *script) { c.send(false, `{"type":"close"}`) },
		"rule":     func(_ *rig, c *pipeConn, _ *script) { c.send(false, `{"type":"ack","offset":99999999}`) },
		"shutdown": func(r *rig, _ *pipeConn, _ *script) { r.shutdown() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				conn, s := r.open(true)
				s.onIn = func(p []byte) { go s.feed.Write(p) }
				var typing sync.WaitGroup
				typing.Go(func() {
					for conn.send(true, "key") {
						time.Sleep(time.Millisecond)
					}
				})
				typing.Go(func() {
					for id := 0; conn.send(false, fmt.Sprintf(`{"type":"ping","id":%d}`, id)); id++ {
						time.Sleep(time.Millisecond)
					}
				})
				time.Sleep(50 * time.Millisecond)
				end(r, conn, s)
				r.free()
				typing.Wait()
				got := strings.Fields(kinds(conn.all()))
				for i, kind := range got {
					if (kind == "closed") != (i == len(got)-1) {
						t.Fatalf("frame %d of %d is %s", i, len(got), kind)
					}
				}
			})
		})
	}
}

// shutdown is Run with a context that is done.
func (r *rig) shutdown() {
	ctx, cancel := newContext(r.t)
	cancel()
	_ = r.ss.Run(ctx)
}

// TestAcksRipen: a keystroke's acknowledgement waits for its echo, a paste's
// does not.
func TestAcksRipen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newControl()
		c.stdinAck(1)
		time.Sleep(ackWithin - time.Millisecond)
		c.stdinAck(2)
		if f := c.next(); f != nil {
			t.Errorf("%s came before its time", f)
		}
		time.Sleep(time.Millisecond)
		<-c.ready.c
		if f := c.next(); string(f) != `{"type":"stdin_ack","offset":2}` {
			t.Errorf("after %v came %s", ackWithin, f)
		}
		c.stdinAck(2 + ackEvery)
		<-c.ready.c
		if f := c.next(); string(f) != fmt.Sprintf(`{"type":"stdin_ack","offset":%d}`, 2+ackEvery) {
			t.Errorf("much stdin was answered by %s", f)
		}
		time.Sleep(time.Minute)
		c.stdinAck(3 + ackEvery)
		if f := c.next(); f != nil {
			t.Errorf("%s came before its time", f)
		}
		c.later.Stop()
	})
}

// TestAcksNeverGoBack has two goroutines that hand stdin on and tell of it in
// the other order.
func TestAcksNeverGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newControl()
		c.stdinAck(2)
		c.stdinAck(1)
		time.Sleep(ackWithin)
		<-c.ready.c
		if f := c.next(); string(f) != `{"type":"stdin_ack","offset":2}` {
			t.Errorf("told %s, want the newest", f)
		}
		c.stdinAck(1)
		c.stdinAck(3)
		time.Sleep(ackWithin)
		<-c.ready.c
		if f := c.next(); string(f) != `{"type":"stdin_ack","offset":3}` {
			t.Errorf("told %s after an older one", f)
		}
	})
}

// TestGapsDoNotGather interrupts a flood again and again for a client that
// acknowledges nothing.
func TestGapsDoNotGather(t *testing.T) {
	o := newOutput(256<<10, Window, false)
	defer o.close()
	for range 1000 {
		for p := o.tryReserve(); p != nil && o.total() < 1<<30; p = o.tryReserve() {
			o.commit(len(p), len(p))
			if o.held() {
				break
			}
		}
		o.drain(true)
		for range 8 {
			p := o.tryReserve()
			o.commit(len(p), len(p))
		}
		o.drain(false)
		for {
			g, p := o.next(bigChunk)
			if p != nil {
				o.release()
			}
			if g == nil && p == nil {
				break
			}
		}
	}
	if len(o.gaps) > 10 {
		t.Errorf("%d gaps are remembered for a client that acknowledges nothing", len(o.gaps))
	}
	if o.inflight() != Window {
		t.Errorf("%d bytes are unacknowledged", o.inflight())
	}
}

// flood prints without end, 64 MiB in a second: byte i is i>>10. Without a pause
// the bubble's time would stand still while somebody reads it all.
func (s *script) flood() {
	for i := 0; ; i++ {
		if _, err := s.feed.Write(bytes.Repeat([]byte{byte(i)}, 1<<10)); err != nil {
			return
		}
		if i%64 == 63 {
			time.Sleep(time.Millisecond)
		}
	}
}

// TestAReaderThatStops takes nothing for 90 s while output floods. The other
// session is served all along, and then every byte comes.
func TestAReaderThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(false)
		healthy := r.echoing()
		var flood sync.WaitGroup
		flood.Go(s.flood)
		for range 90 {
			r.works(healthy)
			time.Sleep(time.Second)
		}
		var got []byte
		for len(got) < 4<<20 {
			m := <-conn.toClient
			if !m.binary {
				t.Fatalf("frame %s", m.data)
			}
			got = append(got, m.data...)
		}
		for i := range got {
			if got[i] != byte(i>>10) {
				t.Fatalf("byte %d is wrong", i)
			}
		}
		go func() {
			for range got { // until close(gone), Write needs somebody who takes
				select {
				case <-conn.toClient:
				case <-conn.gone:
					return
				}
			}
		}()
		conn.control(t, map[string]any{"type": "close"})
		healthy.control(t, map[string]any{"type": "close"})
		r.free()
		flood.Wait()
	})
}

// TestAReaderThatNeverComesBack is given up after the stall limit.
func TestAReaderThatNeverComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(false)
		var flood sync.WaitGroup
		flood.Go(s.flood)
		begun := time.Now()
		<-conn.gone
		if d := time.Since(begun); d < stallLimit || d > stallLimit+10*time.Second {
			t.Errorf("given up after %v, want %v", d, stallLimit)
		}
		r.free()
		flood.Wait()
		if got := r.endReason(); got != string(HeartbeatTimeout) {
			t.Errorf("ended by %s", got)
		}
	})
}

// echoing is a session whose program echoes.
func (r *rig) echoing() *pipeConn {
	conn, s := r.open(true)
	s.onIn = func(p []byte) { go s.feed.Write(p) }
	return conn
}

// works asserts that an echoing session answers at once.
func (r *rig) works(conn *pipeConn) {
	r.t.Helper()
	conn.send(true, "k")
	synctest.Wait()
	if out, frames := conn.drain(); string(out) != "k" {
		r.t.Fatalf("the other session's echo is %q, frames %v", out, frames)
	}
}
