package lane

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// TestTheMarkReachesADial: net/http dials under a context of its own.
func TestTheMarkReachesADial(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for _, want := range []bool{true, false} {
		var got bool
		tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			got = IsTyping(ctx)
			return new(net.Dialer).DialContext(ctx, network, address)
		}}
		ctx := t.Context()
		if want {
			ctx = Typing(ctx)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got != want {
			t.Errorf("typing %v arrived as %v", want, got)
		}
	}
}
