package podexec

// maxSaid bounds a terminal's report: what is longer was typed.
const maxSaid = 256

// reports tells what a terminal says by itself from what a person types. Both come as
// stdin, and a program that asks its terminal all the time is nobody at the keyboard.
// A report may come in pieces, since a client sends as much as there is room for. It
// is not safe for several goroutines. The forms are those of ECMA-48 and of xterm's
// control sequences; what the mouse reports is a person's doing, and is none here.
type reports struct {
	at      reportPart
	n       int  // bytes of the report that is under way
	private byte // the ?, > or = after its CSI
	params  bool
	dollar  bool
}

// reportPart is where in a report its next byte stands.
type reportPart uint8

const (
	outsideReport reportPart = iota
	afterEscape              // ESC
	inControl                // CSI
	inString                 // OSC or DCS
	beforeTheEnd             // the ESC of its ST
)

const (
	bel = 0x07
	esc = 0x1b
)

// wholly reports whether p holds nothing but reports. A piece at its end is judged
// with what follows: alone it is no activity. After a no the next report is awaited.
func (r *reports) wholly(p []byte) bool {
	for _, b := range p {
		r.n++
		if !r.step(b) || r.n > maxSaid {
			*r = reports{}
			return false
		}
		if r.at == outsideReport {
			*r = reports{}
		}
	}
	return true
}

// step is false where b belongs to no report.
func (r *reports) step(b byte) bool {
	switch r.at {
	case outsideReport:
		r.at = afterEscape
		return b == esc
	case afterEscape:
		return r.kind(b)
	case inControl:
		return r.control(b)
	case inString:
		return r.text(b)
	}
	r.at = outsideReport
	return b == '\\'
}

func (r *reports) kind(b byte) bool {
	switch b {
	case '[':
		r.at = inControl
	case ']', 'P':
		r.at = inString
	default:
		return false
	}
	return true
}

func (r *reports) control(b byte) bool {
	switch {
	case r.dollar:
		r.at = outsideReport
		return b == 'y' // of a mode
	case b >= '0' && b <= ';': // digits, and what stands between them
		r.params = true
	case b == '$' && r.params:
		r.dollar = true
	case b >= '=' && b <= '?' && !r.params && r.private == 0:
		r.private = b
	default:
		r.at = outsideReport
		return r.ends(b)
	}
	return true
}

// ends is whether b ends a report. The place of the cursor in the first line looks as
// F3 does with a modifier, which is taken for it.
func (r *reports) ends(b byte) bool {
	switch b {
	case 'I', 'O': // the focus came, and went
		return !r.params && r.private == 0
	case 'R', 'n', 'c', 't': // the cursor, the state, the kind, the window
		return r.params
	case 'u': // how keys are told; without the ? it is a key
		return r.params && r.private == '?'
	}
	return false
}

func (r *reports) text(b byte) bool {
	switch b {
	case bel:
		r.at = outsideReport
	case esc:
		r.at = beforeTheEnd
	default:
		return b >= ' ' && b <= '~'
	}
	return true
}
