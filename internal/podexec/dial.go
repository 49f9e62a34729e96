package podexec

import (
	"context"

	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// dial opens an exec stream for the session. Each upgrade that was tried in
// vain is a line in the log, whether another wire protocol helped or not.
func (s *session) dial(ctx context.Context, req transport.Request) (transport.Stream, transport.Choice, error) {
	stream, choice, err := s.place.Upstream.Dial(ctx, s.id, req)
	if choice.Refused != nil {
		s.logUpgrade(other(choice.Kind), choice, choice.Refused)
	}
	if err != nil && choice.Kind != "" {
		s.logUpgrade(choice.Kind, choice, err)
	}
	return stream, choice, err
}

func other(k transport.Kind) transport.Kind {
	if k == transport.WebSocket {
		return transport.SPDY
	}
	return transport.WebSocket
}

func (s *session) logUpgrade(kind transport.Kind, choice transport.Choice, err error) {
	s.svc.Log.Warn("exec.upgrade.error", "transport", kind, "upgrade_error", err, "circuit_breaker_state", choice.Breaker,
		"cluster", s.Cluster, "namespace", s.Namespace, "pod", s.Pod, "sessionId", s.id, "requestId", s.RequestID)
}
