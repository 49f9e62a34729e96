package podexec

import "time"

// Echo latency is what a person feels who types: from a keystroke's arrival to
// the sending of the output that follows it. Only what is surely an echo counts:
// a little stdin after a silence, with output soon after it.
const (
	echoStdin = 16 // bytes; the longest keys are escape sequences
	echoQuiet = time.Second
	// echoLimit is after what time output is no echo any more: the program does
	// not print what is typed, as for a password.
	echoLimit = 2 * time.Second
)

// awaitEcho notes that n bytes of stdin have come, before touch does.
func (c *clock) awaitEcho(n int) {
	if n <= echoStdin && c.idle() >= echoQuiet {
		c.touch(&c.typing)
	}
}

// echoed notes that output was sent. The caller has the turn.
func (s *session) echoed() {
	at := s.clock.typing.Load()
	if at == 0 || !s.clock.typing.CompareAndSwap(at, 0) {
		return
	}
	if took := time.Duration(s.clock.now() - at); took <= echoLimit {
		s.echoes.Observe(took.Seconds())
	}
}
