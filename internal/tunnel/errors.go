package tunnel

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

var (
	// ErrClosed is why a link and its streams ended that one of the ends closed.
	ErrClosed = errors.New("tunnel: closed")
	// ErrBusy refuses a stream where there are as many as there may be.
	ErrBusy = errors.New("tunnel: too many streams")
	// errTarget refuses a target before it is sent.
	errTarget = errors.New("tunnel: a target has at most 255 bytes")
)

// ProtocolError is what a peer did that ends the link.
type ProtocolError struct{ What string }

func (e *ProtocolError) Error() string { return "tunnel: the peer broke the protocol: " + e.What }

// RemoteError is what the peer said when it refused a stream, reset one or
// closed the link. errors.Is and errors.As find in it what was found in the
// peer's error, as far as a code tells it: syscall.ECONNREFUSED,
// os.ErrDeadlineExceeded, *net.DNSError and the others of the table below. Of a
// reset errors.Is also finds syscall.ECONNRESET, of a closed link ErrClosed.
type RemoteError struct {
	// Words are the peer's error as text: printable, at most 256 bytes.
	Words string

	doing string // "refused", "reset", "closed"
	also  error  // what doing means by itself, or nil
	code  uint8
}

func (e *RemoteError) Error() string {
	if e.Words == "" {
		return "tunnel: " + e.doing + " by the peer"
	}
	return "tunnel: " + e.doing + " by the peer: " + e.Words
}

// Timeout makes a net.Error of it.
func (e *RemoteError) Timeout() bool { return e.code == codeTimeout }

// Temporary is there for net.Error alone.
func (e *RemoteError) Temporary() bool { return e.Timeout() }

// Unwrap gives what the peer's error was.
func (e *RemoteError) Unwrap() []error {
	var errs []error
	if e.also != nil {
		errs = append(errs, e.also)
	}
	switch {
	case e.code == codeNoSuchHost:
		errs = append(errs, &net.DNSError{Err: e.Words, IsNotFound: true})
	case e.code == codeLookup:
		errs = append(errs, &net.DNSError{Err: e.Words, IsTemporary: true})
	case int(e.code) < len(causes):
		errs = append(errs, causes[e.code]...)
	}
	return errs
}

// The codes that travel beside the words. A code that is not known means
// codeOther, so that new ones may follow.
const (
	codeOther uint8 = iota
	codeRefused
	codeReset
	codeHost
	codeNetwork
	codeTimeout
	codeNoSuchHost
	codeLookup
	codeCanceled
	codeDenied
	codeBusy
	codeClosed
)

// causes are what each code stands for. An error is told by the first code of
// which it is any.
var causes = [...][]error{
	codeRefused:  {syscall.ECONNREFUSED},
	codeReset:    {syscall.ECONNRESET, syscall.EPIPE},
	codeHost:     {syscall.EHOSTUNREACH, syscall.EHOSTDOWN},
	codeNetwork:  {syscall.ENETUNREACH, syscall.ENETDOWN},
	codeTimeout:  {os.ErrDeadlineExceeded, context.DeadlineExceeded, syscall.ETIMEDOUT},
	codeCanceled: {context.Canceled},
	codeDenied:   {fs.ErrPermission},
	codeBusy:     {ErrBusy},
	codeClosed:   {ErrClosed, net.ErrClosed},
}

// codeOf is the code that tells err best.
func codeOf(err error) uint8 {
	var dns *net.DNSError
	if errors.As(err, &dns) && !dns.IsTimeout {
		if dns.IsNotFound {
			return codeNoSuchHost
		}
		return codeLookup
	}
	for code, of := range causes {
		for _, cause := range of {
			if errors.Is(err, cause) {
				return uint8(code)
			}
		}
	}
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		return codeTimeout
	}
	return codeOther
}

// wordsOf is the text of err as it travels.
func wordsOf(err error) string {
	if err == nil {
		return ""
	}
	return clean(err.Error())
}

// clean makes text from outside fit for one line of a log, and short.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return '?' // never longer than what it stands for
	}, s[:min(len(s), maxWords)])
}

func refusal(code uint8, words []byte) error {
	return &RemoteError{Words: clean(string(words)), doing: "refused", code: code}
}

func reset(code uint8, words []byte) error {
	return &RemoteError{Words: clean(string(words)), doing: "reset", also: syscall.ECONNRESET, code: code}
}

func bye(code uint8, words []byte) error {
	return &RemoteError{Words: clean(string(words)), doing: "closed", also: ErrClosed, code: code}
}
