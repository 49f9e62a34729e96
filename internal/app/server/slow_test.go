package server_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/app/server"
)

// pipes is a listener without a network.
type pipes struct {
	conns chan net.Conn
	done  context.Context
	close context.CancelFunc
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done.Done():
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.close(); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// served is a client of a server that answers with h.
func served(t *testing.T, h http.HandlerFunc) net.Conn {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn)}
	p.done, p.close = context.WithCancel(t.Context())
	srv := server.NewHTTP(h, slog.New(slog.DiscardHandler))
	go func() { _ = srv.Serve(p) }()
	t.Cleanup(func() { _ = srv.Close() })
	near, far := net.Pipe()
	t.Cleanup(func() { _ = near.Close() })
	p.conns <- far
	if _, err := io.WriteString(near, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return near
}

// TestAnAnswerThatNobodyReads is let go of, with the memory that it has.
func TestAnAnswerThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		given := make(chan time.Duration, 1)
		begun := time.Now()
		served(t, func(w http.ResponseWriter, _ *http.Request) {
			_, err := w.Write(make([]byte, 1<<20))
			if err == nil {
				t.Error("all was sent to nobody")
			}
			given <- time.Since(begun)
		})
		if took := <-given; took != server.AnswerTime {
			t.Errorf("given up after %v", took)
		}
	})
}

// TestAnAnswerThatIsReadSlowly comes whole.
func TestAnAnswerThatIsReadSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near := served(t, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(45 * time.Second)
			_, _ = w.Write(make([]byte, 1<<20))
		})
		resp, err := http.ReadResponse(bufio.NewReader(near), nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if body, err := io.ReadAll(resp.Body); err != nil || len(body) != 1<<20 {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	})
}

// TestATerminalHasNoSuchEnd: what leaves HTTP stays for as long as it likes.
func TestATerminalHasNoSuchEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near := served(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			time.Sleep(10 * server.AnswerTime)
			if _, err := io.WriteString(conn, "still here"); err != nil {
				t.Error(err)
			}
		})
		if said, err := io.ReadAll(near); string(said) != "still here" {
			t.Errorf("%q, %v", said, err)
		}
	})
}
