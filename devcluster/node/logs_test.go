package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func newTestLog(t *testing.T) *containerLog {
	t.Helper()
	l, err := newContainerLog(t.TempDir(), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

func read(t *testing.T, l *containerLog, o logOptions) string {
	t.Helper()
	var out strings.Builder
	if err := l.copyTo(t.Context(), &out, func() {}, o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func all() logOptions { return logOptions{tail: -1, limit: -1} }

func TestLineFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTestLog(t)
		w := &lineWriter{log: l, stream: "stdout"}
		fmt.Fprint(w, "one\ntw")
		time.Sleep(1500 * time.Nanosecond)
		fmt.Fprint(w, "o\n\n")
		fmt.Fprint(w, "end without newline")
		w.finish()
		o := all()
		o.timestamps = true
		want := "2000-01-01T00:00:00.000000000Z one\n" +
			"2000-01-01T00:00:00.000001500Z two\n" +
			"2000-01-01T00:00:00.000001500Z \n" +
			"2000-01-01T00:00:00.000001500Z end without newline"
		if got := read(t, l, o); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func TestLongLines(t *testing.T) {
	for _, length := range []int{maxLogLine - 1, maxLogLine, maxLogLine + 1, 5*maxLogLine + 17} {
		for _, chunk := range []int{1000, maxLogLine, 1 << 20} {
			l := newTestLog(t)
			w := &lineWriter{log: l, stream: "stdout"}
			text := []byte(strings.Repeat("x", length) + "\nnext\n")
			for rest := text; len(rest) > 0; {
				n := min(chunk, len(rest))
				w.Write(rest[:n])
				rest = rest[n:]
			}
			if got := read(t, l, all()); got != string(text) {
				t.Errorf("%d bytes in chunks of %d: got %d bytes", length, chunk, len(got))
			}
		}
	}
}

func TestTail(t *testing.T) {
	l := newTestLog(t)
	w := &lineWriter{log: l, stream: "stdout"}
	var lines []string
	for i := range 5000 {
		lines = append(lines, fmt.Sprintf("line %d\n", i))
		fmt.Fprint(w, lines[i])
	}
	for _, n := range []int64{0, 1, 2, 999, 4999, 5000, 9000} {
		o := all()
		o.tail = n
		want := strings.Join(lines[max(0, len(lines)-int(n)):], "")
		if got := read(t, l, o); got != want {
			t.Errorf("tail %d: got %d bytes, want %d", n, len(got), len(want))
		}
	}
}

func TestStreamSinceAndLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTestLog(t)
		out, errs := &lineWriter{log: l, stream: "stdout"}, &lineWriter{log: l, stream: "stderr"}
		fmt.Fprintln(out, "early")
		time.Sleep(time.Minute)
		cut := time.Now()
		fmt.Fprintln(errs, "late")
		o := all()
		o.since = cut
		if got := read(t, l, o); got != "late\n" {
			t.Errorf("since: %q", got)
		}
		o = all()
		o.stream = "stdout"
		if got := read(t, l, o); got != "early\n" {
			t.Errorf("stream: %q", got)
		}
		o = all()
		o.limit = 7
		if got := read(t, l, o); got != "early\nl" {
			t.Errorf("limit: %q", got)
		}
	})
}

// TestRotation fills several segments while somebody follows.
func TestRotation(t *testing.T) {
	l := newTestLog(t)
	line := strings.Repeat("y", 8000) + "\n"
	const count = (segmentKeep + 2) * segmentSize / 8000
	o := all()
	o.follow = true
	done := make(chan int)
	go func() {
		var seen bytes.Buffer
		l.copyTo(context.Background(), &seen, func() {}, o)
		done <- strings.Count(seen.String(), line)
	}()
	w := &lineWriter{log: l, stream: "stdout"}
	for range count {
		fmt.Fprint(w, line)
	}
	l.close()
	if got := <-done; got == 0 || got > count {
		t.Errorf("a follower saw %d of %d lines", got, count)
	}
	kept := strings.Count(read(t, l, all()), line)
	if kept*len(line) > segmentKeep*segmentSize || kept == 0 {
		t.Errorf("%d lines of %d bytes are kept", kept, len(line))
	}
}

// TestReopen: a log outlives the node that wrote it.
func TestReopen(t *testing.T) {
	l := newTestLog(t)
	w := &lineWriter{log: l, stream: "stdout"}
	for i := range 3 {
		fmt.Fprintf(w, "line %d\n", i)
		if err := l.rotate(); err != nil {
			t.Fatal(err)
		}
	}
	again, err := openContainerLog(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	o := all()
	o.follow = true
	if got := read(t, again, o); got != "line 0\nline 1\nline 2\n" {
		t.Errorf("got %q", got)
	}
	if _, err := openContainerLog(t.TempDir()); err == nil {
		t.Error("an empty folder is a log")
	}
}

// TestTheFolderOfALogIsGone: whoever reads it comes to an end.
func TestTheFolderOfALogIsGone(t *testing.T) {
	for _, segments := range []int{1, 3} {
		l := newTestLog(t)
		for range segments - 1 {
			if err := l.rotate(); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.RemoveAll(l.dir); err != nil {
			t.Fatal(err)
		}
		l.close()
		o := all()
		o.follow = true
		done := make(chan error, 1)
		go func() { done <- l.copyTo(t.Context(), &bytes.Buffer{}, func() {}, o) }()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%d segments: %v", segments, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%d segments: the reader goes on for ever", segments)
		}
	}
}

func TestFollowEndsWithContext(t *testing.T) {
	l := newTestLog(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := all()
	o.follow = true
	flushed := make(chan struct{}, 1)
	done := make(chan error)
	go func() {
		done <- l.copyTo(ctx, &bytes.Buffer{}, func() { flushed <- struct{}{} }, o)
	}()
	<-flushed
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestLostOutput is told of once, and stops nobody.
func TestLostOutput(t *testing.T) {
	var told []error
	l, err := newContainerLog(t.TempDir(), func(err error) { told = append(told, err) })
	if err != nil {
		t.Fatal(err)
	}
	l.f.Close() // stands for a disk that is full
	w := &lineWriter{log: l, stream: "stdout"}
	for range 3 {
		if n, err := fmt.Fprint(w, "lost\nrest"); n != 9 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
	w.finish()
	if len(told) != 1 || !errors.Is(told[0], os.ErrClosed) {
		t.Errorf("told %v", told)
	}
}
