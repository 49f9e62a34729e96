package podexec

import "testing"

// TestEndOfStdinComesLast: an idle session has no room to take into, and may look
// at the queue just as the last bytes and the end come.
func TestEndOfStdinComesLast(t *testing.T) {
	in := newInput()
	in.push([]byte("x"), 0)
	in.closeWrite()
	if n, eof := in.take(nil); n != 0 || eof {
		t.Fatalf("without room: %d bytes, end %v", n, eof)
	}
	if n, eof := in.take(make([]byte, 8)); n != 1 || eof {
		t.Fatalf("%d bytes, end %v", n, eof)
	}
	if n, eof := in.take(nil); n != 0 || !eof {
		t.Fatalf("afterwards: %d bytes, end %v", n, eof)
	}
	if _, eof := in.take(nil); eof {
		t.Error("the end came twice")
	}
}
