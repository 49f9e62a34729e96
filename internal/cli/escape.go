package cli

import "io"

// escapes takes what a person types for this program out of what they type for
// the shell, as ssh does: at the beginning of a line ~. leaves, ~? explains, and
// ~~ is a tilde.
type escapes struct {
	src   io.Reader
	leave func()
	help  func()

	begun bool // something was typed on this line
	tilde bool // a tilde at its beginning waits for what follows
	left  bool
}

// Read gives what is for the shell. After ~. it gives nothing more.
func (e *escapes) Read(p []byte) (int, error) {
	if len(p) < 2 {
		return 0, io.ErrShortBuffer // a held tilde needs room
	}
	for !e.left {
		// Half, since a tilde that was held adds a byte.
		n, err := e.src.Read(p[:len(p)/2])
		out := e.filter(append([]byte(nil), p[:n]...), p[:0])
		if len(out) > 0 || err != nil {
			return len(out), err
		}
	}
	return 0, io.EOF
}

// filter appends to out what of in is for the shell.
func (e *escapes) filter(in, out []byte) []byte {
	for _, c := range in {
		if e.tilde {
			e.tilde = false
			switch c {
			case '.':
				e.left = true
				e.leave()
				return out
			case '?':
				e.help()
				continue
			case '~': // one of them
			default:
				out = append(out, '~')
			}
		} else if c == '~' && !e.begun {
			e.tilde = true
			continue
		}
		e.begun = c != '\r' && c != '\n'
		out = append(out, c)
	}
	return out
}

const escapeHelp = "at the beginning of a line:  ~.  leave and end the shell   ~~  a tilde   ~?  this"
