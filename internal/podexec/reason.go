package podexec

import (
	"fmt"
	"maps"
	"slices"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
)

// Reason is why a session ended: one word, chosen once, the same in the close
// frame, the log, audit and the UI. The list is append-only.
type Reason string

// The reasons.
const (
	ClientClose      Reason = "client_close"
	ServerIdle       Reason = "server_idle"
	ForcedClose      Reason = "forced_close"
	Exited           Reason = "completed"
	ContainerExit    Reason = "container_exit"
	PodDeleted       Reason = "pod_deleted"
	TunnelClosed     Reason = "tunnel_closed"
	HeartbeatTimeout Reason = "heartbeat_timeout"
	Unauthorized     Reason = "unauthorized"
	ClientLost       Reason = "client_lost"
	Shutdown         Reason = "shutdown"
	Forbidden        Reason = "forbidden"
	NoShell          Reason = "no_shell"
	ServerError      Reason = "server_error"
	ServerLost       Reason = "server_lost"
	TakenOver        Reason = "taken_over"
	Refused          Reason = "refused"
	ProtocolError    Reason = "protocol_error"
)

// WebSocket close codes: RFC 6455 §7.4.1, and 4001 of our own.
const (
	closeNormal    = 1000
	closePolicy    = 1008
	closeInternal  = 1011
	closeRestart   = 1012
	closeTakenOver = 4001
)

var closeCodes = map[Reason]int{
	ClientClose:      closeNormal,
	ServerIdle:       closeNormal,
	ForcedClose:      closeNormal,
	Exited:           closeNormal,
	ContainerExit:    closeNormal,
	PodDeleted:       closeNormal,
	TunnelClosed:     closeInternal,
	HeartbeatTimeout: closePolicy,
	Unauthorized:     closePolicy,
	ClientLost:       closePolicy,
	Shutdown:         closeRestart,
	Forbidden:        closePolicy,
	NoShell:          closeInternal,
	ServerError:      closeInternal,
	ServerLost:       closeInternal,
	TakenOver:        closeTakenOver,
	Refused:          closePolicy,
	ProtocolError:    closePolicy,
}

// Reasons lists every reason, so that tests can prove a table complete.
func Reasons() []Reason { return slices.Sorted(maps.Keys(closeCodes)) }

// CloseCode is the WebSocket close code that a session of this end gets.
func (r Reason) CloseCode() int { return closeCodes[r] }

// Outcome is what audit says of a session of this end: success for every ordinary
// one, since a shell that somebody left, or a command that ended with any code,
// did what was asked.
func (r Reason) Outcome() audit.Outcome {
	switch r {
	case ServerError, ServerLost, TunnelClosed, NoShell, Refused, ProtocolError:
		return audit.Failure
	case Forbidden, Unauthorized:
		return audit.Denied
	}
	return audit.Success
}

// refusals says which reason a fault has that keeps a session from starting, or
// ends it.
var refusals = map[fault.Kind]Reason{
	fault.Internal:             ServerError,
	fault.Invalid:              Refused,
	fault.Unauthenticated:      Unauthorized,
	fault.Forbidden:            Forbidden,
	fault.ExecDisabled:         Forbidden,
	fault.NotFound:             Refused,
	fault.Conflict:             Refused,
	fault.Gone:                 Refused,
	fault.TooLarge:             Refused,
	fault.MediaType:            Refused,
	fault.Unprocessable:        Refused,
	fault.RateLimited:          Refused,
	fault.CapUser:              Refused,
	fault.CapCluster:           Refused,
	fault.NoShell:              NoShell,
	fault.Misdirected:          Refused,
	fault.ClusterUnreachable:   ServerError,
	fault.AgentDisconnected:    TunnelClosed,
	fault.Timeout:              ServerError,
	fault.ShuttingDown:         Shutdown,
	fault.AuditUnavailable:     ServerError,
	fault.RecordingUnavailable: ServerError,
	fault.Protocol:             ProtocolError,
}

// retryable says for which faults the same request may succeed later.
var retryable = map[fault.Kind]bool{
	fault.RateLimited:        true,
	fault.CapUser:            true,
	fault.CapCluster:         true,
	fault.ClusterUnreachable: true,
	fault.AgentDisconnected:  true,
	fault.Timeout:            true,
	fault.ShuttingDown:       true,
	fault.AuditUnavailable:   true,
}

// outcomeOf is what audit says of a session that did not start.
func outcomeOf(kind fault.Kind) audit.Outcome {
	switch kind {
	case fault.Forbidden, fault.ExecDisabled, fault.Unauthenticated:
		return audit.Denied
	}
	return audit.Failure
}

// sentences say each reason to a person; ending.message may be more exact.
var sentences = map[Reason]string{
	ClientClose:      "The shell was closed.",
	ServerIdle:       "The shell was ended because nothing was typed or printed for too long.",
	ForcedClose:      "The shell was ended from the sessions list.",
	Exited:           "The program ended.",
	ContainerExit:    "The container ended, and the shell with it.",
	PodDeleted:       "The pod was deleted, and the shell with it.",
	TunnelClosed:     "The link to the cluster's agent was lost.",
	HeartbeatTimeout: "Nothing came from your side for too long, so the shell was ended.",
	Unauthorized:     "Your login ended, and the shell with it. Log in again.",
	ClientLost:       "The connection to the browser was lost, so the shell was ended.",
	Shutdown:         "This server is restarting. Open a new shell in a moment.",
	Forbidden:        "You are not allowed to open a shell here.",
	NoShell:          "The container has no shell.",
	ServerError:      "The shell broke on the way to the container.",
	ServerLost:       "The server that held the shell was lost.",
	TakenOver:        "The shell was taken over from another window.",
	Refused:          "The shell could not be opened.",
	ProtocolError:    "The client sent something that is not part of the protocol.",
}

// ending is how a session ends.
type ending struct {
	reason   Reason
	exitCode *int
	message  string
	fault    error // told in an error frame before closed; nil for ordinary ends
	file     *carried
}

func endOf(reason Reason) ending { return ending{reason: reason, message: sentences[reason]} }

// refusal is the ending that err brings.
func refusal(err error) ending {
	return ending{reason: refusals[fault.KindOf(err)], message: fault.PublicOf(err), fault: err}
}

// exited is the end of a command that ended by itself.
func exited(code int) ending {
	e := endOf(Exited)
	e.exitCode = &code
	e.message = fmt.Sprintf("The program ended with exit code %d.", code)
	return e
}
