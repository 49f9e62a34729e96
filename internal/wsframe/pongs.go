package wsframe

import "sync"

// Pongs keeps what a connection owes for pings: an answer to the newest alone, as
// RFC 6455, section 5.5.3, allows. Its zero value owes nothing.
type Pongs struct {
	mu      sync.Mutex
	owed    []byte // the newest ping's payload
	sending bool   // a goroutine is about to take it
}

// Heard is told of every control frame, in the middle of a Read, which must not
// wait for a socket that takes nothing: where a ping has to be answered and nobody is
// about to, it starts a goroutine of send. That ends once send has sent what Take
// returns; a peer that takes nothing holds up one, until the connection closes.
func (p *Pongs) Heard(op Opcode, payload []byte, send func()) {
	if op != Ping {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owed = append(p.owed[:0], payload...)
	if !p.sending {
		p.sending = true
		go send()
	}
}

// Take appends the payload to answer with to b, for which MaxControl bytes are
// enough. A ping that is heard from now on starts another goroutine, so whoever takes
// has the connection's turn to write.
func (p *Pongs) Take(b []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sending = false
	return append(b, p.owed...)
}
