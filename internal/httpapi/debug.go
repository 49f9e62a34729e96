package httpapi

import (
	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/poddebug"
)

// debugRoute is the way into a container that has no shell. It answers as soon as
// the debug container is in the pod; getPod tells when it runs, or why it does not.
func (s *server) debugRoute() route {
	rt := post("/api/clusters/{cluster}/pods/{namespace}/{pod}/debug", "debugPod",
		"A debug container that sees the processes of another; one that has not ended is used again", s.debugPod).by(token.Exec)
	rt.recorded = true
	return rt
}

// DebugRequest asks for a debug container.
type DebugRequest struct {
	Container string `json:"container" doc:"Container whose processes are to be seen"`
	Image     string `json:"image,omitempty" doc:"One of debugImages of the features; the first when empty"`
	Reason    string `json:"reason,omitempty" doc:"Why, in one line of at most 512 bytes"`
}

func (s *server) debugPod(c *call, in DebugRequest) (poddebug.Container, error) {
	return s.Debug.Ensure(c.ctx(), poddebug.Request{
		Actor: c.actor, EventID: newID(), RequestID: c.requestID, Client: audit.SourceOf(c.ctx()).Address,
		Cluster: c.r.PathValue("cluster"), Namespace: c.r.PathValue("namespace"), Pod: c.r.PathValue("pod"),
		Target: in.Container, Image: in.Image, Reason: in.Reason,
	})
}
