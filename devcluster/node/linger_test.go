package node

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// pair is both ends of a connection, the node's first. The other end takes in little
// at a time, so that most of what the node writes waits on its side.
func pair(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	theirs, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	theirs.(*net.TCPConn).SetReadBuffer(4 << 10)
	if ours, err = (lingerer{l}).Accept(); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// TestNothingIsLostByClosing: what was written arrives, whatever was sent here and
// not read.
func TestNothingIsLostByClosing(t *testing.T) {
	ours, theirs := pair(t)
	said := bytes.Repeat([]byte("status"), 16<<10)
	if _, err := theirs.Write([]byte("a size that nobody reads")); err != nil {
		t.Fatal(err)
	}
	if err := ours.(*lingering).SetWriteBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Write(said); err != nil {
		t.Fatal(err)
	}
	if err := ours.Close(); err != nil {
		t.Error(err)
	}
	got, err := io.ReadAll(theirs)
	if err != nil || !bytes.Equal(got, said) {
		t.Errorf("%d of %d bytes arrived, then %v", len(got), len(said), err)
	}
}

// TestClosingEndsReads: for whoever uses the connection it is closed at once.
func TestClosingEndsReads(t *testing.T) {
	ours, _ := pair(t)
	ended := make(chan error, 1)
	go func() {
		_, err := ours.Read(make([]byte, 1))
		ended <- err
	}()
	if err := ours.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("read: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a read goes on after the closing")
	}
	if err := ours.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a deadline was set after the closing: %v", err)
	}
}

// TestAPeerThatStays does not hold the connection for longer than its time.
func TestAPeerThatStays(t *testing.T) {
	ours, theirs := pair(t)
	if err := ours.Close(); err != nil {
		t.Error(err)
	}
	late := time.Now().Add(10 * time.Second)
	for err := error(nil); err == nil; _, err = theirs.Write([]byte("more")) {
		if time.Now().After(late) {
			t.Fatal("the connection is still read")
		}
		<-time.After(50 * time.Millisecond)
	}
}
