package transport_test

import (
	"testing"

	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/podexec/transport"
	"github.com/periscope-console/periscope/internal/podexec/transport/transporttest"
)

func TestConformance(t *testing.T) {
	c := kubetest.Shared(t)
	t.Run("WebSocket", func(t *testing.T) { transporttest.Run(t, c, transport.New(transport.WebSocket), transport.WebSocket) })
	t.Run("SPDY", func(t *testing.T) { transporttest.Run(t, c, transport.New(transport.SPDY), transport.SPDY) })
	t.Run("Auto", func(t *testing.T) { transporttest.Run(t, c, transport.New(transport.Auto), transport.WebSocket) })
}

// TestConformanceWebSocketKubelet has WebSockets all the way to the node. SPDY
// goes there as before, translated by nobody.
func TestConformanceWebSocketKubelet(t *testing.T) {
	c := kubetest.Start(t, kubetest.WebSocketKubelet())
	t.Run("WebSocket", func(t *testing.T) { transporttest.Run(t, c, transport.New(transport.WebSocket), transport.WebSocket) })
	t.Run("SPDY", func(t *testing.T) { transporttest.Run(t, c, transport.New(transport.SPDY), transport.SPDY) })
}
