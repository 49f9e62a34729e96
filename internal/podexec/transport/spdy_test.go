package transport

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/periscope-console/periscope/internal/fault"
)

func TestSPDYCarriesBothWays(t *testing.T) {
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	s := openSPDY(t, echoServer(t), script)
	go func() {
		_, _ = s.Write(data)
		_ = s.CloseWrite()
	}()
	out, _ := drain(t, s, 5000)
	if sha256.Sum256([]byte(out)) != sha256.Sum256(data) {
		t.Errorf("%d bytes came back differently", len(out))
	}
	wantExit(t, s, 0)
	_, err := s.Write([]byte("x"))
	wantFault(t, err, fault.Invalid)
}

func TestSPDYKeepsChannelsApart(t *testing.T) {
	out, errs := bytes.Repeat([]byte("o"), 100_000), bytes.Repeat([]byte("e"), 100_000)
	s := openSPDY(t, spdyScripted(t, func(p *spdyPeer) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = p.streams[corev1.StreamTypeStderr].Write(errs)
		}()
		_, _ = p.streams[corev1.StreamTypeStdout].Write(out)
		<-done
		p.end(exit7)
	}), script)
	gotOut, gotErr := drain(t, s, 777)
	if gotOut != string(out) || gotErr != string(errs) {
		t.Errorf("%d and %d bytes, or mixed", len(gotOut), len(gotErr))
	}
	wantExit(t, s, 7)
	_, err := s.Write([]byte("x"))
	wantFault(t, err, fault.Gone)
}

// TestSPDYSizesAreTold: who is waiting is told once client-go has sent the size, also
// where it is sent again meanwhile; of one whose place a newer took nobody is.
func TestSPDYSizesAreTold(t *testing.T) {
	q := newSizes()
	var told []string
	tell := func(name string) func() { return func() { told = append(told, name) } }
	q.set(Size{80, 24}, tell("older"))
	q.set(Size{80, 23}, tell("newer"))
	q.again()
	for i, want := range []string{"", "newer"} {
		if size := q.Next(); size.Height != 23 || strings.Join(told, " ") != want {
			t.Errorf("size %d is %v, told %q", i, size, told)
		}
		q.again()
	}
	q.set(Size{80, 24}, nil)
	if size := q.Next(); size.Height != 24 || len(told) != 1 {
		t.Errorf("%v, told %q", size, told)
	}
	q.close()
	if size := q.Next(); size != nil {
		t.Errorf("%v after the end", size)
	}
}

func TestSPDYSizes(t *testing.T) {
	got := make(chan []byte, 1)
	s := openSPDY(t, spdyScripted(t, func(p *spdyPeer) {
		b := make([]byte, 200)
		n, _ := p.streams[corev1.StreamTypeResize].Read(b)
		first := string(b[:n])
		_, _ = io.WriteString(p.streams[corev1.StreamTypeStdout], "prompt")
		n, _ = p.streams[corev1.StreamTypeResize].Read(b)
		got <- append([]byte(first), b[:n]...)
		p.end(success)
	}), shell)
	drain(t, s, 100)
	if want, got := `{"Width":80,"Height":24}`+"\n", string(<-got); got != want+want {
		t.Errorf("sizes %q", got)
	}
}

// TestSPDYLost: client-go says nothing is wrong.
func TestSPDYLost(t *testing.T) {
	s := openSPDY(t, spdyScripted(t, func(p *spdyPeer) {
		_, _ = io.WriteString(p.streams[corev1.StreamTypeStdout], "x")
		b := make([]byte, 1)
		_, _ = p.streams[corev1.StreamTypeStdin].Read(b)
	}), script)
	if n, _, err := s.Read(make([]byte, 10)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	drain(t, s, 10)
	wantFault(t, s.Result().Err, fault.ClusterUnreachable)
}

// TestSPDYClosedAtOnce: the executor is still asking for its streams.
func TestSPDYClosedAtOnce(t *testing.T) {
	for range 50 {
		began := time.Now()
		_ = openSPDY(t, echoServer(t), script).Close()
		if d := time.Since(began); d > 5*time.Second {
			t.Fatalf("close took %v", d)
		}
	}
}

func TestSPDYCloseUnblocks(t *testing.T) {
	over := make(chan struct{})
	s := openSPDY(t, spdyScripted(t, func(p *spdyPeer) {
		_, _ = p.streams[corev1.StreamTypeStdout].Write(make([]byte, 1<<20)) // nobody reads it
		<-over
	}), script)
	defer close(over)
	wrote := make(chan error, 1)
	go func() {
		for {
			if _, err := s.Write(make([]byte, 1<<20)); err != nil {
				wrote <- err
				return
			}
		}
	}()
	time.Sleep(50 * time.Millisecond) // lets it block; passes either way
	began := time.Now()
	for range 2 {
		_ = s.Close()
	}
	wantFault(t, <-wrote, fault.Gone)
	if _, _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	wantFault(t, s.Result().Err, fault.Gone)
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("close took %v", d)
	}
}
