package httpapi

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"

	"github.com/periscope-console/periscope/internal/fault"
)

// statuses is the HTTP edge's table of faults; a test proves it complete.
var statuses = map[fault.Kind]int{
	fault.Internal:             http.StatusInternalServerError,
	fault.Invalid:              http.StatusBadRequest,
	fault.Unauthenticated:      http.StatusUnauthorized,
	fault.Forbidden:            http.StatusForbidden,
	fault.ExecDisabled:         http.StatusForbidden,
	fault.NotFound:             http.StatusNotFound,
	fault.Conflict:             http.StatusConflict,
	fault.Gone:                 http.StatusGone,
	fault.TooLarge:             http.StatusRequestEntityTooLarge,
	fault.MediaType:            http.StatusUnsupportedMediaType,
	fault.Unprocessable:        http.StatusUnprocessableEntity,
	fault.RateLimited:          http.StatusTooManyRequests,
	fault.CapUser:              http.StatusTooManyRequests,
	fault.CapCluster:           http.StatusTooManyRequests,
	fault.NoShell:              http.StatusUnprocessableEntity,
	fault.Misdirected:          http.StatusMisdirectedRequest,
	fault.ClusterUnreachable:   http.StatusServiceUnavailable,
	fault.AgentDisconnected:    http.StatusServiceUnavailable,
	fault.Timeout:              http.StatusGatewayTimeout,
	fault.ShuttingDown:         http.StatusServiceUnavailable,
	fault.AuditUnavailable:     http.StatusServiceUnavailable,
	fault.RecordingUnavailable: http.StatusServiceUnavailable,
	fault.Protocol:             http.StatusBadRequest,
}

// Status is the HTTP status that a fault of this kind is answered with.
func Status(kind fault.Kind) int { return statuses[kind] }

// ErrorBody is the body of every answer that is no success. Some faults add
// fields of their own, such as activeSessions.
type ErrorBody struct {
	Error     string `json:"error" doc:"Error code, such as E_NOT_FOUND"`
	Message   string `json:"message" doc:"One sentence that says what to do next"`
	RequestID string `json:"requestId" doc:"Id of this request in the server's log"`
	Status    any    `json:"status,omitempty" doc:"The Kubernetes Status of an upstream refusal"`
}

// fail answers with err, which it translates by the table.
func fail(w http.ResponseWriter, err error) {
	kind := fault.KindOf(err)
	body := map[string]any{
		"error": kind.Code(), "message": fault.PublicOf(err), "requestId": w.Header().Get(requestIDHeader),
	}
	var f *fault.Error
	if errors.As(err, &f) {
		if f.Status != nil {
			body["status"] = f.Status
		}
		maps.Copy(body, f.Detail)
	}
	answer(w, Status(kind), body)
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone hears nothing
}

// unknown answers every path under /api that is no route.
func (s *server) unknown(w http.ResponseWriter, r *http.Request) {
	fail(w, fault.New(fault.NotFound, "httpapi", "There is no %s %s in this API. See api/openapi.yaml for what there is.",
		r.Method, clip(r.URL.Path, 128)))
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}
