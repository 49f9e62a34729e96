package tunnel

import (
	"errors"
	"net"
	"strings"
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
	ln := serves.Listener(Taking{Target: "here", Strange: func(target string) { strange <- target }})
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

// TestListenerIsBounded: by the class of its streams, and by how many are open.
func TestListenerIsBounded(t *testing.T) {
	p := start(t)
	ln := p.agent.Listener(Taking{Target: "here", Class: Interactive, Most: 2})
	served := make(chan net.Conn, 3)
	var serving sync.WaitGroup
	serving.Go(func() {
		for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
			served <- c
		}
	})
	defer serving.Wait()
	defer ln.Close()
	if _, err := p.server.Open(brief(t), Bulk, "here"); err == nil || !strings.Contains(err.Error(), ErrClass.Error()) {
		t.Errorf("another class: %v", err)
	}
	for range 2 {
		if _, err := p.server.Open(brief(t), Interactive, "here"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.server.Open(brief(t), Interactive, "here"); !errors.Is(err, ErrBusy) {
		t.Errorf("the third: %v", err)
	}
	c := <-served
	for range 2 { // twice is once
		_ = c.Close()
	}
	if _, err := p.server.Open(brief(t), Interactive, "here"); err != nil {
		t.Errorf("in the place of one that is closed: %v", err)
	}
	if _, err := p.server.Open(brief(t), Interactive, "here"); !errors.Is(err, ErrBusy) {
		t.Errorf("and one more: %v", err)
	}
}
