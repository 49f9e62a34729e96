package transport_test

import (
	"context"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/podexec/transport"
	"github.com/periscope-console/periscope/internal/podexec/transport/transporttest"
)

func TestConformance(t *testing.T) {
	c := kubetest.Shared(t)
	t.Run("WebSocket", func(t *testing.T) { transporttest.Run(t, c, transport.New(transport.WebSocket), transport.WebSocket) })
	t.Run("SPDY", func(t *testing.T) { transporttest.Run(t, c, transport.New(transport.SPDY), transport.SPDY) })
	t.Run("Auto", func(t *testing.T) {
		transporttest.Run(t, c, auto{transport.NewSwitch(transport.Auto, time.Now)}, transport.WebSocket)
	})
}

// auto is a Switch that knows one cluster.
type auto struct{ *transport.Switch }

func (a auto) Dial(ctx context.Context, cfg *rest.Config, req transport.Request) (transport.Stream, error) {
	s, _, err := a.Switch.Dial(ctx, "c", cfg, req)
	return s, err
}

// TestConformanceWebSocketKubelet has WebSockets all the way to the node. SPDY
// goes there as before, translated by nobody.
func TestConformanceWebSocketKubelet(t *testing.T) {
	c := kubetest.Start(t, kubetest.WebSocketKubelet())
	t.Run("WebSocket", func(t *testing.T) { transporttest.Run(t, c, transport.New(transport.WebSocket), transport.WebSocket) })
	t.Run("SPDY", func(t *testing.T) { transporttest.Run(t, c, transport.New(transport.SPDY), transport.SPDY) })
}
