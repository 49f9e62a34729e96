package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/periscope-console/periscope/internal/execclient"
)

const execUsage = `Usage: periscope exec CLUSTER NAMESPACE/POD [-c CONTAINER] [-it] [flags] [-- COMMAND ARG…]

Runs a command in a container, or a shell where none is given, and ends with its exit code.
A lost connection is sought again: the same shell, nothing lost.

  -c, --container C   the container; else the pod's default
  -i, --stdin         hand stdin to the command
  -t, --tty           give it a terminal; needs one here, and -i
                      A shell at a terminal gets both by itself.
      --reason TEXT   why, in one line, where the server asks for it
` + whereUsage + `
With -t, at the beginning of a line: ~. leaves and ends the shell, ~~ is a tilde, ~? explains.
Without -t the command's stdout and stderr come as one, on stdout.
Exit codes: the command's own; 2 wrong use; 255 no session, or it was lost; 128+N ended by signal N.
`

// execArgs are what exec was asked for.
type execArgs struct {
	where
	cluster, namespace, pod, container, reason string
	stdin, tty, help                           bool
	command                                    []string
}

func parseExec(args []string) (a execArgs, err error) {
	f := flags{
		switches: map[string]*bool{"-i": &a.stdin, "--stdin": &a.stdin, "-t": &a.tty, "--tty": &a.tty, "-h": &a.help, "--help": &a.help},
		texts:    map[string]*string{"-c": &a.container, "--container": &a.container, "--reason": &a.reason},
	}
	a.flags(&f)
	words, command, err := f.parse(args)
	if err != nil || a.help {
		return a, err
	}
	if len(words) != 2 {
		return a, wrongUse("Say where: periscope exec CLUSTER NAMESPACE/POD, and a command after --. Try --help.")
	}
	a.cluster, a.command = words[0], command
	var slash bool
	a.namespace, a.pod, slash = strings.Cut(words[1], "/")
	if !slash || a.namespace == "" || a.pod == "" || strings.Contains(a.pod, "/") {
		return a, wrongUse("%q is no pod. Write it as NAMESPACE/POD.", words[1])
	}
	return a, nil
}

func (e Env) exec(ctx context.Context, args []string) error {
	a, err := parseExec(args)
	if err != nil {
		return err
	}
	if a.help {
		fmt.Fprint(e.Stdout, execUsage)
		return nil
	}
	here := isTerminal(e.Stdin)
	if !a.stdin && !a.tty && len(a.command) == 0 && here && isTerminal(e.Stdout) {
		a.stdin, a.tty = true, true
	}
	switch {
	case a.tty && !a.stdin:
		return wrongUse("-t needs -i: a terminal is typed into. Use -it.")
	case a.tty && !here:
		return wrongUse("-t needs a terminal, and stdin is none. Use -i alone for pipes and files.")
	}
	client, err := e.reach(a.where)
	if err != nil {
		return err
	}
	return e.session(ctx, client, a)
}

// errLeft is ~.
var errLeft = errors.New("left")

// session runs one, its terminal raw from hello on: until then Ctrl-C is a signal.
func (e Env) session(ctx context.Context, client *execclient.Client, a execArgs) error {
	t := &terminal{}
	defer t.restore()
	ctx, stop := signals(ctx, t)
	defer stop()
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	req := execclient.Request{
		Cluster: a.cluster, Namespace: a.namespace, Pod: a.pod, Container: a.container,
		Command: a.command, TTY: a.tty, Reason: a.reason, Stdout: e.Stdout, Events: e.events(),
	}
	if a.stdin {
		req.Stdin = e.Stdin
	}
	if !a.tty {
		end, err := execclient.New(client, req).Run(ctx)
		return e.outcome(ctx, end, err, client)
	}
	t.file, req.Size = e.Stdin, sizeOf(e.Stdin)
	req.Stdin = &escapes{src: e.Stdin, leave: func() { leave(errLeft) }, help: func() { e.say(escapeHelp) }}
	req.Events.Hello = func(execclient.Hello) {
		if err := t.raw(); err != nil {
			leave(err)
		}
	}
	screen := &fullScreen{Writer: e.Stdout}
	req.Stdout, req.Redraw = screen, screen.shown
	s := execclient.New(client, req)
	done := make(chan struct{})
	var follower sync.WaitGroup
	follower.Go(func() { follow(e.Stdin, done, s.Resize) })
	defer follower.Wait()
	defer close(done)
	end, err := s.Run(ctx)
	t.restore()
	return e.outcome(ctx, end, err, client)
}

// events puts what happens into words.
func (e Env) events() execclient.Events {
	return execclient.Events{
		Lost: func(error) { e.say("connection lost; coming back…") },
		Back: func(whole bool) {
			if whole {
				e.say("same shell, nothing lost")
			} else {
				e.say("same shell")
			}
		},
		Gap: func(n int64, why string) {
			if why == "interrupt" {
				e.say("%s of output left out after the interrupt", count(n))
			} else {
				e.say("%s of output are missing here: the server could not keep more", count(n))
			}
		},
		Idle: func(left time.Duration) {
			e.say("the shell ends in %d s, because nothing happens in it. Press a key to keep it.", int(left.Seconds()))
		},
	}
}

func count(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

// outcome is how the command ended, as an exit code and words where it needs any.
func (e Env) outcome(ctx context.Context, end execclient.Result, err error, c *execclient.Client) error {
	var by caught
	var unreachable net.Error
	var no *execclient.Refusal
	switch {
	case errors.Is(err, errLeft):
		if end.Reason == "" {
			e.say("left without a word from the server: the shell ends when it is missed")
		}
		return exitCode(exitOK)
	case errors.As(err, &by):
		return exitCode(exitSignal + int(by.signal))
	case errors.Is(err, execclient.ErrGone) && errors.As(err, &no):
		e.gone(ctx, c, no)
		return exitCode(exitFailed)
	case errors.Is(err, execclient.ErrOutput) && errors.Is(err, syscall.EPIPE):
		return exitCode(exitFailed) // whoever reads has gone, and knows
	case errors.Is(err, execclient.ErrOutput):
		return err
	case errors.As(err, &unreachable) && !errors.Is(err, execclient.ErrNoResume):
		return fmt.Errorf("the server %s cannot be reached: %w", c.Server, err)
	case err != nil:
		return err
	}
	if end.Reason != "completed" && end.Message != "" {
		e.say("%s", end.Message)
	}
	if end.Reason != "completed" {
		e.say("%s", endCodes(end))
	}
	switch code := end.ExitCode; {
	case code == nil || *code < 0 || *code > 255:
		return exitCode(exitFailed)
	case *code == 0 && end.Reason != "completed" && end.Reason != "client_close":
		return exitCode(exitFailed)
	default:
		return exitCode(*code)
	}
}

func endCodes(end execclient.Result) string {
	words := "ended: " + end.Reason
	if end.Code != "" {
		words += ", " + end.Code
	}
	if end.RequestID != "" {
		words += ", request " + end.RequestID
	}
	return words
}
