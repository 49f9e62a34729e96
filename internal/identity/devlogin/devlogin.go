// Package devlogin lets the one person of dev mode in.
//
// It owns the one-time code, the exchange of it for a session and the routes
// under /api/auth that do this. It does not own the session (websession does),
// nor the Host and Origin checks that keep other pages away: whoever mounts the
// routes puts those before them. It starts no goroutines. It guarantees that a
// code lets in once.
package devlogin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

// A code has 256 bits, so no number of tries finds it; the bound on wrong ones
// keeps the log and the audit trail readable. A right code always passes, or
// any program on the machine could lock its owner out.
const (
	codeBytes   = 32
	maxWrong    = 10
	wrongWindow = time.Minute
)

// Options of a Login. All are needed but CodeRequired,
// and Renewed where that is false.
type Options struct {
	// Actor is who everybody becomes, as the policy has admitted them.
	Actor identity.Actor
	// CodeRequired is false where any program on this machine may enter.
	CodeRequired bool
	Sessions     Sessions
	// Whoami is the JSON that a login answers with.
	Whoami func(identity.Actor) any
	Audit  websession.Audit
	// Renewed hears that there is a fresh code to show. It may be called from many
	// goroutines, though for one code once.
	Renewed func()
}

// Login hands out sessions.
type Login struct {
	o Options

	mu       sync.Mutex // guards what follows
	code     string     // empty once used
	taken    int        // how many codes have been used
	entering int        // logins under way by a code
	wrong    int
	since    time.Time // of the first of these wrong tries
}

// New makes a login, with a fresh code where one is required.
func New(o Options) *Login {
	l := &Login{o: o}
	if o.CodeRequired {
		l.code = newCode()
	}
	return l
}

func newCode() string {
	secret := make([]byte, codeBytes)
	_, _ = rand.Read(secret) // never fails: the process would have ended
	return base64.RawURLEncoding.EncodeToString(secret)
}

// Code is what the owner of the terminal is shown; empty where none is needed
// or the code has been used.
func (l *Login) Code() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.code
}

// Exchange takes the code and says who its bearer is. Who gets no error says entered
// when the login is made, or will not be: until then there is no fresh code.
func (l *Login) Exchange(code string) (identity.Actor, error) {
	if !l.o.CodeRequired {
		return l.o.Actor, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.code != "" && subtle.ConstantTimeCompare([]byte(code), []byte(l.code)) == 1 {
		l.code = ""
		l.taken++
		l.entering++
		return l.o.Actor, nil
	}
	return identity.Actor{}, l.refuse()
}

func (l *Login) entered() {
	if !l.o.CodeRequired {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entering--
}

// giveBack makes a code good again whose login did not happen. It comes before
// entered, so that there is no other.
func (l *Login) giveBack(code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.o.CodeRequired {
		l.code = code
	}
}

// renew makes a fresh code where the last one has been used and nobody is logged in
// any more: without it the owner could come in by a restart alone. Whoever
// asks is not told the code; it is shown where the first one was.
func (l *Login) renew(ctx context.Context) {
	taken, used := l.used()
	if !l.o.CodeRequired || !used {
		return
	}
	held, err := l.o.Sessions.Of(ctx, l.o.Actor)
	if err != nil || len(held) > 0 || !l.fresh(taken) {
		return // an error is told to whoever asks who is logged in
	}
	l.o.Renewed()
}

// used is whether there is neither a code nor somebody whom one lets in just now, and
// how many have been used by then.
func (l *Login) used() (taken int, used bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.taken, l.code == "" && l.entering == 0
}

// fresh is false where somebody else made one since taken were used.
func (l *Login) fresh(taken int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.code != "" || l.taken != taken {
		return false
	}
	l.code = newCode()
	return true
}

func (l *Login) refuse() error {
	if now := time.Now(); now.Sub(l.since) >= wrongWindow {
		l.since, l.wrong = now, 0
	}
	if l.wrong++; l.wrong > maxWrong {
		return fault.New(fault.RateLimited, "devlogin.Exchange", "Too many wrong codes. Wait a minute, then open the address that the server printed.")
	}
	if l.code == "" {
		return fault.New(fault.Unauthenticated, "devlogin.Exchange", "This one-time code has been used. Open the address that the server printed last in its terminal; where nobody is logged in any more, that is a new one. If the browser that is logged in is gone, start periscope again.")
	}
	return fault.New(fault.Unauthenticated, "devlogin.Exchange", "This code is wrong. Open the address that the server printed last in its terminal.")
}
