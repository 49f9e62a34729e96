package hub

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/tunnel"
	"github.com/periscope-console/periscope/internal/tunnel/contract"
)

// hostile is an agent's end of a link whose other end answers renewals, until stop.
func hostile(t *testing.T) (far, server *tunnel.Link, stop func()) {
	t.Helper()
	ours, theirs := net.Pipe()
	server, far = tunnel.New(ours, tunnel.Server), tunnel.New(theirs, tunnel.Agent)
	h := New(Options{Log: slog.New(slog.DiscardHandler)})
	var parts sync.WaitGroup
	for _, l := range []*tunnel.Link{server, far} {
		parts.Go(func() { _ = l.Run(t.Context()) })
	}
	parts.Go(func() { h.renewals(&agent{cluster: "east", link: server}) })
	return far, server, func() {
		far.Close(nil)
		parts.Wait()
	}
}

// TestRenewalsAreFew: and a stream that asks for none makes room for another in time.
func TestRenewalsAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far, server, stop := hostile(t)
		defer stop()
		if _, err := far.Open(t.Context(), tunnel.Bulk, contract.Renewal); err == nil || !strings.Contains(err.Error(), "another class") {
			t.Errorf("a stream for copies: %v", err)
		}
		var streams []*tunnel.Stream
		for range maxRenewals {
			s, err := far.Open(t.Context(), tunnel.Interactive, contract.Renewal)
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, s)
		}
		if _, err := far.Open(t.Context(), tunnel.Interactive, contract.Renewal); !errors.Is(err, tunnel.ErrBusy) {
			t.Errorf("one more: %v", err)
		}
		began := time.Now()
		for _, s := range streams {
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(began) != renewalHeader {
				t.Errorf("a silent stream ended after %v with %v", time.Since(began), err)
			}
			_ = s.Close()
		}
		synctest.Wait()
		s, err := far.Open(t.Context(), tunnel.Interactive, contract.Renewal)
		if err != nil {
			t.Fatalf("after these: %v", err)
		}
		_ = s.Close()
		synctest.Wait()
		if n := server.Stats().Open; n > 0 {
			t.Errorf("%d streams are left", n)
		}
	})
}

// TestARenewalIsOneRequest: a stream that is full of them, and gives no credit for the
// answers, is closed after the first.
func TestARenewalIsOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far, server, stop := hostile(t)
		defer stop()
		s, err := far.Open(t.Context(), tunnel.Interactive, contract.Renewal)
		if err != nil {
			t.Fatal(err)
		}
		var writing sync.WaitGroup
		writing.Go(func() { // it ends when the other end has closed the stream
			_, _ = s.Write(bytes.Repeat([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 1<<20/30))
		})
		time.Sleep(renewalWrite + renewalRead)
		writing.Wait()
		answers, err := io.ReadAll(s)
		if n := bytes.Count(answers, []byte("HTTP/1.1 ")); n != 1 || err != nil {
			t.Errorf("%d answers, %v", n, err)
		}
		_ = s.Close()
		synctest.Wait()
		if n := server.Stats().Open; n > 0 {
			t.Errorf("%d streams are left", n)
		}
	})
}
