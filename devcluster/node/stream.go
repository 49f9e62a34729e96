package node

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// executor joins one instance to the streaming library.
type executor struct{ in *instance }

// ExecInContainer answers a failed start in containerd's words.
func (e executor) ExecInContainer(_ context.Context, _, _, _ string, command []string, in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	code, err := e.in.exec(command, in, writer(out), writer(errOut), tty, resize)
	if err != nil {
		return fmt.Errorf("failed to exec in container: failed to start exec %q: OCI runtime exec failed: exec failed: unable to start container process: %w: unknown", newContainerID(), err)
	}
	if code != 0 {
		return utilexec.CodeExitError{Err: fmt.Errorf("command %v exited with %d", command, code), Code: code}
	}
	return nil
}

func (e executor) AttachContainer(ctx context.Context, _, _, _ string, in io.Reader, out, errOut io.WriteCloser, _ bool, resize <-chan remotecommand.TerminalSize) error {
	e.in.attach(ctx, in, writer(out), writer(errOut), resize)
	return nil
}

// writer keeps an absent stream absent.
func writer(w io.WriteCloser) io.Writer {
	if w == nil {
		return nil
	}
	return w
}

// forwarder joins a pod's ports to the streaming library.
type forwarder struct{ p *pod }

func (f forwarder) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	conn, err := dialPod(ctx, f.p.ip, port)
	if err != nil {
		return fmt.Errorf("failed to forward port %d to pod %q: %w", port, f.p.uid, err)
	}
	defer conn.Close()
	var toPod sync.WaitGroup
	toPod.Go(func() {
		pump(conn, stream)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
	})
	pump(stream, conn)
	stream.Close()
	conn.Close()
	toPod.Wait()
	return nil
}
