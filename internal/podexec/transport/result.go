package transport

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"

	"github.com/periscope-console/periscope/internal/fault"
)

const opRun = "transport.Stream"

var (
	errSilent = errors.New("the peer answered no ping")
	errClosed = errors.New("closed on this side")
)

// statusSize bounds the message on the error channel.
const statusSize = 64 << 10

// resultOf reads the Status that a cluster sends when the command has ended.
func resultOf(message []byte) Result {
	st := &metav1.Status{}
	if err := json.Unmarshal(message, st); err != nil {
		return Result{Err: unreadable(fmt.Errorf("%w in %.200q", err, message))}
	}
	switch {
	case st.Status == metav1.StatusSuccess:
		return exited(0)
	case st.Status != metav1.StatusFailure:
		return Result{Err: unreadable(fmt.Errorf("status %q", st.Status))}
	case st.Reason == remotecommand.NonZeroExitCodeReason:
		return exitCode(st)
	}
	return Result{Err: runFault(st)}
}

func exited(code int) Result { return Result{ExitCode: &code} }

// exitCode finds the code among the causes. Windows has codes beyond a byte.
func exitCode(st *metav1.Status) Result {
	if st.Details != nil {
		for _, c := range st.Details.Causes {
			if c.Type != remotecommand.ExitCodeCauseType {
				continue
			}
			code, err := strconv.ParseInt(c.Message, 10, 64)
			if err != nil {
				return Result{Err: unreadable(err)}
			}
			return exited(int(code))
		}
	}
	return Result{Err: unreadable(errors.New("no exit code among the causes"))}
}

// ErrUnreadable is in what a cluster answered and nobody understands. It did answer.
var ErrUnreadable = errors.New("an answer that cannot be read")

// unreadable is never a fault.Protocol: that is the client's mistake.
func unreadable(cause error) *fault.Error {
	return fault.Wrap(fmt.Errorf("%w: %w", ErrUnreadable, cause), fault.ClusterUnreachable, opRun,
		"The cluster said how the command ended in words that Periscope does not know. Tell whoever runs this server.")
}

// runFault is a command that could not be run, in the runtime's words. What the
// apiserver itself refuses comes with a code of its own.
func runFault(st *metav1.Status) *fault.Error {
	if st.Reason != metav1.StatusReasonInternalError && st.Code != 0 && st.Code < 500 {
		return statusFault(st)
	}
	kind := startKind(st.Message)
	f := fault.Wrap(errors.New(st.Message), kind, opRun, "%s", startSentence(kind))
	f.Status = st
	return f
}

// garbled is a stream on which came what is not of its protocol.
func garbled(cause error) *fault.Error {
	return fault.Wrap(fmt.Errorf("%w: %w", ErrUnreadable, cause), fault.ClusterUnreachable, opRun,
		"Something between Periscope and the container garbled the stream. Open a new shell; if it happens again, tell whoever runs this server.")
}

// lost is a stream that ended without the cluster's word on the command. Where the
// way to the cluster says itself what became of it, that is what the user reads.
func lost(cause error) Result {
	if f, ok := errors.AsType[*fault.Error](cause); ok && f.Kind == fault.AgentDisconnected {
		return Result{Err: f}
	}
	if _, ok := errors.AsType[spdyError](cause); ok {
		return Result{Err: garbled(cause)}
	}
	return Result{Err: fault.Wrap(cause, fault.ClusterUnreachable, opRun,
		"The connection to the container was lost. The command may still be running: look at the pod, then open a new shell.")}
}

func closedHere() *fault.Error {
	return fault.Wrap(errClosed, fault.Gone, opRun, "The shell was closed here before its command had ended. Open it again.")
}

func writeFault(cause error) *fault.Error {
	return fault.Wrap(cause, fault.Gone, opRun, "The command has ended, or its connection has: it takes no more input. Open a new shell.")
}

func noInput() *fault.Error {
	return fault.New(fault.Invalid, opRun, "This command takes no input, or no more. Open it with input.")
}

// sizeAgain is how long after the first output the size is sent again. A node that
// has closed its connection behind a short command resets it over whatever comes
// then, and what is on its way is lost, the command's status among it: so nothing is
// sent to a command that may be at its end already.
const sizeAgain = 100 * time.Millisecond

// sizeable says whether a size means anything to the command.
func sizeable(r Request, size Size) bool { return r.TTY && size.Cols > 0 && size.Rows > 0 }
