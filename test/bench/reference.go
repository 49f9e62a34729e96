package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
)

// The size of every terminal, in cells.
const (
	cols  = 80
	lines = 24
)

// reference is client-go's WebSocket executor straight to the apiserver, with
// the kubeconfig's own identity.
type reference struct {
	kubeconfig string
	config     *rest.Config
	client     kubernetes.Interface
	shell      string // what ours ends up with
}

func newReference(kubeconfig string) (*reference, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &reference{kubeconfig: kubeconfig, config: config, client: client}, nil
}

func (r *reference) open(ctx context.Context, c command) (*session, error) {
	if len(c.Argv) == 0 {
		c.Argv = []string{r.shell}
	}
	url := r.client.CoreV1().RESTClient().Get().
		Resource("pods").Namespace(namespace).Name(podName).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Command: c.Argv, Stdin: true, Stdout: true, Stderr: !c.TTY, TTY: c.TTY,
		}, scheme.ParameterCodec).URL()
	executor, err := remotecommand.NewWebSocketExecutor(r.config, http.MethodGet, url.String())
	if err != nil {
		return nil, err
	}
	stdin, typed := io.Pipe()
	opt := remotecommand.StreamOptions{Stdin: stdin, Stdout: c.out, Tty: c.TTY}
	if c.TTY {
		opt.TerminalSizeQueue = &oneSize{}
	} else {
		opt.Stderr = io.Discard
	}
	s := &session{over: make(chan struct{}), send: func(p []byte) error {
		_, err := typed.Write(p)
		return err
	}}
	go func() {
		defer close(s.over)
		defer stdin.Close()
		s.err = ended(executor.StreamWithContext(ctx, opt))
	}()
	return s, nil
}

// ended is nil for a command that ended by itself, with any code.
func ended(err error) error {
	var code utilexec.CodeExitError
	if errors.As(err, &code) {
		return nil
	}
	return err
}

// oneSize is a terminal whose size never changes.
type oneSize struct{ told bool }

// Next implements remotecommand.TerminalSizeQueue.
func (s *oneSize) Next() *remotecommand.TerminalSize {
	if s.told {
		return nil
	}
	s.told = true
	return &remotecommand.TerminalSize{Width: cols, Height: lines}
}

// readCommand is the word by which the bench starts itself as a reader whose CPU
// time is its own:
//
//	bench reference-read KUBECONFIG COMMAND
//
// COMMAND is JSON, and so is the answer.
const readCommand = "reference-read"

func (r *reference) read(ctx context.Context, c command) (got reading, err error) {
	self, err := os.Executable()
	if err != nil {
		return got, err
	}
	what, err := json.Marshal(c)
	if err != nil {
		return got, err
	}
	cmd := exec.CommandContext(ctx, self, readCommand, r.kubeconfig, string(what))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return got, fmt.Errorf("the reader: %w", err)
	}
	return got, json.Unmarshal(out, &got)
}

// referenceRead is that reader. Its own start does not count.
func referenceRead(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: bench " + readCommand + " KUBECONFIG COMMAND")
	}
	var c command
	if err := json.Unmarshal([]byte(args[1]), &c); err != nil {
		return err
	}
	r, err := newReference(args[0])
	if err != nil {
		return err
	}
	m := newMeter()
	c.out = m
	before, err := cpuTime(os.Getpid())
	if err != nil {
		return err
	}
	s, err := r.open(ctx, c)
	if err != nil {
		return err
	}
	if err := s.finish(ctx, ""); err != nil {
		return err
	}
	after, err := cpuTime(os.Getpid())
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(reading{m.n, after - before})
}
