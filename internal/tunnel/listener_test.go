package tunnel

import (
	"errors"
	"net"
	"sync"
	"testing"
)

// TestListenerTakesOneTarget, and says which other was asked for.
func TestListenerTakesOneTarget(t *testing.T) {
	ours, theirs := net.Pipe()
	asks, serves := New(ours, Server), New(theirs, Agent)
	var parts sync.WaitGroup
	for _, l := range []*Link{asks, serves} {
		parts.Go(func() { _ = l.Run(t.Context()) })
	}
	defer parts.Wait()
	defer asks.Close(nil)
	strange := make(chan string, 1)
	ln := serves.Listener("here", func(target string) { strange <- target })
	parts.Go(func() {
		c, err := ln.Accept()
		if err == nil {
			_, err = c.Write([]byte("hello"))
		}
		if err != nil {
			t.Error(err)
		}
	})
	if _, err := asks.Open(t.Context(), Bulk, "10.0.0.1:22"); err == nil || <-strange != "10.0.0.1:22" {
		t.Errorf("another target: %v", err)
	}
	s, err := asks.Open(t.Context(), Bulk, "here")
	if err != nil {
		t.Fatal(err)
	}
	var b [5]byte
	if n, err := s.Read(b[:]); string(b[:n]) != "hello" || err != nil {
		t.Errorf("read %q, %v", b[:n], err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed, it says %v", err)
	}
}
