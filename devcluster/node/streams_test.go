package node

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// paused is a client that takes nothing until it goes on.
type paused struct {
	goOn chan struct{}
	got  bytes.Buffer
}

func (c *paused) Write(p []byte) (int, error) {
	<-c.goOn
	return c.got.Write(p)
}

// handMade is a container whose processes are not there.
func handMade(t *testing.T) *container {
	t.Helper()
	ours, theirs, err := controlPair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ours.Close()
		theirs.Close()
	})
	return &container{control: ours, gone: make(chan struct{})}
}

// TestLogWithAPausedClient: a client that takes nothing when the container ends
// is left behind, and the log has all that was printed.
func TestLogWithAPausedClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := handMade(t)
		in := &instance{
			c: c, main: &process{c: c, done: make(chan struct{})}, log: newTestLog(t),
			done: make(chan struct{}), stopping: make(chan struct{}),
		}
		output, theirs, err := pipe()
		if err != nil {
			t.Fatal(err)
		}
		said := strings.Repeat(strings.Repeat("x", 99)+"\n", 1024)
		if _, err := io.WriteString(theirs, said); err != nil {
			t.Fatal(err)
		}
		theirs.Close()
		client := &paused{goOn: make(chan struct{})}
		defer close(client.goOn)
		attached := make(chan struct{})
		go func() {
			defer close(attached)
			in.attach(t.Context(), nil, client, nil, nil)
		}()
		synctest.Wait()
		close(in.main.done)
		close(c.gone)
		begin := time.Now()
		in.wait(in.pumpAll([]*os.File{output}))
		if took := time.Since(begin); took != drainPatience {
			t.Errorf("the client was waited for for %s", took)
		}
		<-attached
		if got := read(t, in.log, all()); got != said {
			t.Errorf("the log has %d of %d bytes", len(got), len(said))
		}
	})
}

// TestTerminalOfAPausedClient: what a command has printed is there when the
// client goes on, however long after the command's end.
func TestTerminalOfAPausedClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		master, theirs, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer master.Close()
		in := &instance{c: handMade(t)}
		fd, err := unix.Dup(int(master.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		p := &process{c: in.c, master: terminalFile(fd), done: make(chan struct{}), code: 7}
		said := strings.Repeat("x", 3000)
		client := &paused{goOn: make(chan struct{})}
		code := make(chan int)
		go func() { code <- in.terminal(p, nil, client, nil) }()
		for _, part := range []string{"first", said} {
			if _, err := io.WriteString(theirs, part); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		theirs.Close()
		close(p.done)
		time.Sleep(10 * drainPatience)
		close(client.goOn)
		if got := <-code; got != 7 {
			t.Errorf("code %d", got)
		}
		if got := client.got.String(); got != "first"+said {
			t.Errorf("%d bytes arrived", len(got))
		}
	})
}
