package oidc

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
)

// lateSecret cannot be read until it is there.
type lateSecret struct {
	there atomic.Bool
	asked atomic.Int64
}

func (s *lateSecret) Get(context.Context) (string, error) {
	s.asked.Add(1)
	if !s.there.Load() {
		return "", errors.New("AWS is down, says /some/where")
	}
	return "secret", nil
}

type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }

// TestSecretThatComesLate: the server starts, is not ready and says why, asks less
// and less often, and needs no restart.
func TestSecretThatComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &lateSecret{}
		l := New(Options{Issuer: "https://login.example/", ClientID: "periscope", Secret: s, Transport: nowhere{}, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- l.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		said := fault.PublicOf(l.Ready())
		if !strings.Contains(said, "oidc.clientSecret, cannot be read") || strings.Contains(said, "/some/where") {
			t.Errorf("said %q", said)
		}
		if n := s.asked.Load(); n < 20 || n > 30 {
			t.Errorf("asked %d times in ten minutes", n)
		}
		s.there.Store(true)
		time.Sleep(maxPause)
		synctest.Wait()
		if said := fault.PublicOf(l.Ready()); strings.Contains(said, "clientSecret") {
			t.Errorf("said %q", said)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
