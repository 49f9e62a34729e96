package podexec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// endCommand makes sure that the command is no longer running and says how sure
// that is. The exec protocol has no kill: a shell of ours is ended by a second
// exec, anything else by what its stdin can say.
func (s *session) endCommand() ended {
	defer s.closeStream()
	if how, known := s.commandEnded(); known {
		return how
	}
	s.out.discard(s.at.Load() != nil)
	if s.containerGone() {
		return endedVerified // what bears its name now is nothing of ours
	}
	if s.proc.known() {
		how := s.endShell()
		s.unheard = how == fateUnreached
		s.awaitExit()
		return how.ended()
	}
	s.endInBand()
	if s.awaitExit() {
		return endedVerified
	}
	return endedUnverified
}

// commandEnded says what is known when the stream has told how the command ended,
// or when nothing can be left because its container is gone.
func (s *session) commandEnded() (how ended, known bool) {
	select {
	case <-s.pumpDone:
	default:
		return "", false
	}
	switch {
	case s.containerGone():
		return endedVerified, true
	case s.stream.Result().Err != nil || s.fate == fateUnreached:
		return "", false
	case s.asked:
		return s.fate.ended(), true
	}
	return endedVerified, true
}

func (s *session) containerGone() bool {
	return s.end.reason == PodDeleted || s.end.reason == ContainerExit
}

// awaitExit waits shortly for the stream to tell how the command ended.
func (s *session) awaitExit() bool {
	timer := time.NewTimer(lastExitWait)
	defer timer.Stop()
	select {
	case <-s.pumpDone:
		return s.stream.Result().Err == nil
	case <-timer.C:
		return false
	}
}

func (s *session) closeStream() {
	s.size.stop()
	s.stream.Close()
	<-s.pumpDone
}

// endShell ends our shell. A node that does not answer is asked again for a while:
// most are back within seconds, as after a restart of the kubelet, and nobody
// would end the shell later.
func (s *session) endShell() fate {
	ctx, cancel := context.WithTimeout(s.svc.ending, s.svc.Patience)
	defer cancel()
	for {
		how := s.controlExec()
		if how != fateUnreached || !pause(ctx, nodeAgain) {
			return how
		}
	}
}

// controlExec ends our shell by a second exec, as the same user, and checks. One
// exec ends all that the same user wants ended in a container.
func (s *session) controlExec() fate {
	as := s.Actor.As
	party := fmt.Sprintf("%t %q %q", as.None, append([]string{as.User}, as.Groups...), []string{s.Cluster, s.Namespace, s.Pod, s.Container})
	return s.svc.enders.end(s.entered.pod, party, s.proc, s.endShells)
}

func (s *session) endShells(shells []process) (map[string]fate, fate) {
	ctx, cancel := context.WithTimeout(s.svc.ending, endLimit)
	defer cancel()
	stream, _, err := s.dial(ctx, transport.Request{
		Namespace: s.Namespace, Pod: s.Pod, Container: s.Container, Command: endCommand(shells),
	})
	if err != nil {
		s.svc.Log.Warn("exec.end.failed", "sessionId", s.id, "cluster", s.Cluster, "shells", len(shells), "error", err)
		return nil, fateOf(ctx, err)
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, func() { stream.Close() })()
	became := parseFates(readAtMost(stream, maxTogether*maxReport))
	result := stream.Result()
	if code := result.ExitCode; result.Err == nil && code != nil && *code == 0 {
		return became, fateUnreached // it says a word of each before that: the 0 is of a lost node
	}
	return became, fateOf(ctx, result.Err)
}

// fateOf is what an exec that failed, or was cut by ctx, says of the shells that it was
// to end.
func fateOf(ctx context.Context, err error) fate {
	if ctx.Err() != nil || unreached(err) {
		return fateUnreached
	}
	return fateUnknown
}

// unreached reports whether the node, or something on the way to it, gave no answer.
func unreached(err error) bool {
	switch fault.KindOf(err) {
	case fault.ClusterUnreachable, fault.AgentDisconnected, fault.Timeout:
		return err != nil
	}
	return false
}

// readAtMost collects the first limit bytes of a stream's stdout until its end.
func readAtMost(stream transport.Stream, limit int) []byte {
	var got []byte
	buf := make([]byte, smallChunk)
	for {
		n, ch, err := stream.Read(buf)
		if ch == transport.Stdout {
			got = append(got, buf[:min(n, limit-len(got))]...)
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return got
			}
			return nil
		}
	}
}

// abandon ends the command of a session that never began, as when its client had
// left while it opened, and frees its stream. It says how sure the end is, and
// nothing where no command was started.
func (s *session) abandon() ended {
	if s.stream == nil {
		return ""
	}
	defer s.stream.Close()
	if s.proc.known() {
		return s.endShell().ended()
	}
	limit := time.AfterFunc(lastExitWait, func() { s.stream.Close() })
	defer limit.Stop()
	s.goodbye()
	return s.awaitNothing()
}

// awaitNothing reads what nobody wants any more until the stream ends, which says
// how sure it is that no command is left.
func (s *session) awaitNothing() ended {
	buf := make([]byte, smallChunk)
	for {
		_, _, err := s.stream.Read(buf)
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			return endedUnverified
		case fault.KindOf(s.stream.Result().Err) == fault.NoShell:
			return ""
		case s.stream.Result().Err != nil:
			return endedUnverified
		default:
			return endedVerified
		}
	}
}

// endInBand says goodbye through stdin: ^C, ^\ and ^D on a terminal, where they
// mean something, else only its end.
func (s *session) endInBand() {
	timer := time.NewTimer(lastFeedWait)
	defer timer.Stop()
	select {
	case <-s.feedDone: // stdin has one writer
	case <-timer.C:
		return
	}
	s.goes(s.goodbye) // closing the stream ends it where the program does not read
}

func (s *session) goodbye() {
	if s.TTY {
		_, _ = s.stream.Write([]byte("\x03\x1c\x04"))
		return
	}
	_ = s.stream.CloseWrite()
}

// leave says goodbye and closes the stream of a shell that has not reported: a node
// that starts it later finds these words in its terminal.
func (s *session) leave() {
	limit := time.AfterFunc(lastFeedWait, func() { s.stream.Close() })
	defer limit.Stop()
	s.goodbye()
	s.stream.Close()
}
