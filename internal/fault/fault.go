// Package fault is the one vocabulary of errors: a kind, a public sentence and
// a private cause.
//
// It owns the list of kinds and their error codes (the E_… words of
// api/terminal.md and of the HTTP API). It does not own what an edge makes of a
// kind (an HTTP status, a WebSocket close code); each edge keeps one complete
// table of its own. It starts no goroutines.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what went wrong in terms that every edge can translate.
type Kind uint8

// The kinds. Internal is the zero value so that a forgotten kind is never
// mistaken for a user's mistake.
const (
	Internal Kind = iota
	Invalid
	Unauthenticated
	Forbidden
	ExecDisabled
	NotFound
	Conflict
	Gone
	TooLarge
	MediaType
	Unprocessable
	RateLimited
	CapUser
	CapCluster
	NoShell
	Misdirected
	ClusterUnreachable
	AgentDisconnected
	Timeout
	ShuttingDown
	AuditUnavailable
	RecordingUnavailable
	Protocol

	kindEnd // one past the last
)

var codes = [kindEnd]string{
	Internal:             "E_INTERNAL",
	Invalid:              "E_INVALID_REQUEST",
	Unauthenticated:      "E_UNAUTHENTICATED",
	Forbidden:            "E_FORBIDDEN",
	ExecDisabled:         "E_EXEC_DISABLED",
	NotFound:             "E_NOT_FOUND",
	Conflict:             "E_CONFLICT",
	Gone:                 "E_GONE",
	TooLarge:             "E_TOO_LARGE",
	MediaType:            "E_MEDIA_TYPE",
	Unprocessable:        "E_UNPROCESSABLE",
	RateLimited:          "E_RATE_LIMITED",
	CapUser:              "E_CAP_USER",
	CapCluster:           "E_CAP_CLUSTER",
	NoShell:              "E_NO_SHELL",
	Misdirected:          "E_MISDIRECTED",
	ClusterUnreachable:   "E_CLUSTER_UNREACHABLE",
	AgentDisconnected:    "E_AGENT_DISCONNECTED",
	Timeout:              "E_TIMEOUT",
	ShuttingDown:         "E_SHUTTING_DOWN",
	AuditUnavailable:     "E_AUDIT_UNAVAILABLE",
	RecordingUnavailable: "E_RECORDING_UNAVAILABLE",
	Protocol:             "E_PROTOCOL",
}

// Code is the word clients may rely on, such as "E_NOT_FOUND".
func (k Kind) Code() string {
	if k >= kindEnd {
		return codes[Internal]
	}
	return codes[k]
}

func (k Kind) String() string { return k.Code() }

// Kinds lists every kind, so that tests can prove a table complete.
func Kinds() []Kind {
	all := make([]Kind, 0, kindEnd)
	for k := Internal; k < kindEnd; k++ {
		all = append(all, k)
	}
	return all
}

// Error carries a fault from where it happened to the edge that tells it.
type Error struct {
	Kind Kind
	// Op names what was being done, for the log: "clusters.Get".
	Op string
	// Public is one plain sentence that says what to do next. It goes to the
	// user as it is: no secret, no file path, no address belongs in it.
	Public string
	// Cause is for the log alone.
	Cause error
	// Status is the Kubernetes Status object of an upstream refusal, if any.
	// It is shown to the user beside Public.
	Status any
	// Detail holds further public fields, shown beside the sentence under their
	// names: "activeSessions" of a cap. Nil for most.
	Detail map[string]any
}

// New makes a fault whose public sentence is formatted from format and args.
func New(kind Kind, op, format string, args ...any) *Error {
	return &Error{Kind: kind, Op: op, Public: fmt.Sprintf(format, args...)}
}

// Wrap is New with a cause for the log.
func Wrap(cause error, kind Kind, op, format string, args ...any) *Error {
	e := New(kind, op, format, args...)
	e.Cause = cause
	return e
}

func (e *Error) Error() string {
	s := e.Op + ": " + e.Public
	if e.Cause != nil {
		s += " (" + e.Cause.Error() + ")"
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// KindOf is the kind of the outermost fault in err's chain, Internal where
// there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// PublicOf is the sentence for the user. An error that is no fault gets a
// general one: its own words may hold what a user must not see.
func PublicOf(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Public != "" {
		return e.Public
	}
	return "Something went wrong inside Periscope. Try again; if it happens again, give the request id to whoever runs this server."
}
