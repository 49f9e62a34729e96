// Package audit is the record of who did what.
//
// It owns the Event and the contract of an Emitter, and writes events as lines.
// It does not own where events are kept or queried (the store does) and decides
// nothing about what is recorded. It has one goroutine at most for each Lines, which
// ends with the write that it is in. Stdin, tokens and secrets never belong in an
// event.
package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/periscope-console/periscope/internal/identity"
)

// Stage tells the two records of one act apart, as Kubernetes' audit does.
type Stage string

// The stages. A requested record is written before the upstream call.
const (
	Requested Stage = "requested"
	Completed Stage = "completed"
)

// Outcome is how an act ended; empty while it is only requested.
type Outcome string

// The outcomes.
const (
	Success Outcome = "success"
	Failure Outcome = "failure"
	Denied  Outcome = "denied"
)

// The verbs of the exec stream and of logins.
const (
	ExecStart  = "pod.exec.session_start"
	ExecEnd    = "pod.exec.session_end"
	ExecAttach = "pod.exec.session_attach"
	ExecKill   = "pod.exec.session_kill"
	AuthLogin  = "auth.login"
	AuthLogout = "auth.logout"
	AuthDenied = "auth.denied"
)

// DebugCreate is the verb of debug containers.
const DebugCreate = "pod.debug.create"

// The verbs of personal access tokens.
const (
	TokenCreate = "token.create"
	TokenRevoke = "token.revoke"
)

// The verbs of agents' enrolment.
const (
	AgentTokenMint   = "agent.token_mint"
	AgentTokenRevoke = "agent.token_revoke"
	AgentRegister    = "agent.register"
	AgentRenew       = "agent.renew"
	AgentRevoke      = "agent.revoke"
	// Of links: each is one record, once the link stands or has ended.
	AgentConnect    = "agent.connect"
	AgentDisconnect = "agent.disconnect"
)

// Actor is who acted, as the login said.
type Actor struct {
	Sub    string   `json:"sub"`
	Email  string   `json:"email"`
	Groups []string `json:"groups"`
	// Token is the id of the token by which they acted; empty for a browser.
	Token string `json:"token,omitempty"`
}

// ActorOf takes from a login what audit keeps of it.
func ActorOf(a identity.Actor) Actor {
	groups := a.Groups
	if groups == nil {
		groups = []string{}
	}
	return Actor{Sub: a.Subject, Email: a.Email, Groups: groups, Token: a.Token}
}

// Resource is what was acted upon, in Kubernetes' terms.
type Resource struct {
	Group     string `json:"group"`
	Version   string `json:"version"`
	Resource  string `json:"resource"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Event is one record. Timestamp is UTC.
type Event struct {
	EventID   string         `json:"eventId"`
	Stage     Stage          `json:"stage"`
	Timestamp time.Time      `json:"timestamp"`
	RequestID string         `json:"requestId"`
	Actor     Actor          `json:"actor"`
	Verb      string         `json:"verb"`
	Outcome   Outcome        `json:"outcome,omitempty"`
	Cluster   string         `json:"cluster,omitempty"`
	Resource  *Resource      `json:"resource,omitempty"`
	Reason    string         `json:"reason,omitempty"`
	Extra     map[string]any `json:"extra,omitempty"`
}

// Source is the request behind an event.
type Source struct {
	RequestID string
	// Address is the client's; see package peer.
	Address string
}

type sourceKey struct{}

// WithSource hands a request's source to whatever records it.
func WithSource(ctx context.Context, s Source) context.Context {
	return context.WithValue(ctx, sourceKey{}, s)
}

// SourceOf is the zero Source where no request is behind ctx.
func SourceOf(ctx context.Context) Source {
	s, _ := ctx.Value(sourceKey{}).(Source)
	return s
}

// Emitter records an event durably before it returns, or at the end of ctx returns
// an error. After an error nobody may count on the record, and the act it precedes
// must not happen.
type Emitter interface {
	Emit(context.Context, Event) error
}

const (
	// maxReason bounds the one free text of an event, in bytes.
	maxReason = 512
	// maxLine bounds a whole line, in bytes: what reads lines must hold one. The
	// groups of a person, the longest that an event has, are at most 128 KiB.
	maxLine = 1 << 20
	// writeLimit is how long a line may wait for those before it and be written,
	// where its ctx leaves it longer.
	writeLimit = 5 * time.Second
)

// ErrStalled says that lines are not taken any more: nobody reads them.
var ErrStalled = errors.New("nothing takes the line in time")

// Lines writes one JSON object a line, one after the other. There is one for each
// writer.
type Lines struct {
	w    io.Writer
	turn chan struct{} // full while a line is being written
	torn bool          // the last line was written in part, as to a disk that became full; the turn's
}

// NewLines writes to w, which is usually the process's stdout.
func NewLines(w io.Writer) *Lines { return &Lines{w: w, turn: make(chan struct{}, 1)} }

// Emit writes e whole or says that it did not. A line of which w had some when ctx
// ended cannot be taken back: it may come out later, and nothing is written before
// it has.
func (l *Lines) Emit(ctx context.Context, e Event) error {
	e.Timestamp = e.Timestamp.UTC()
	e.Reason = OneLine(e.Reason, maxReason)
	line, err := lineOf(e)
	if err != nil {
		return fmt.Errorf("audit event %s: %w", e.Verb, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, writeLimit, ErrStalled)
	defer cancel()
	if err := l.put(ctx, line); err != nil {
		return fmt.Errorf("audit event %s: %w", e.Verb, err)
	}
	return nil
}

// lineOf is e with the end of its line. Nobody shows it as HTML, so < and its like
// stay as short as they are.
func lineOf(e Event) ([]byte, error) {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	if line.Len() > maxLine {
		return nil, fmt.Errorf("a line of %d bytes, which is more than %d", line.Len(), maxLine)
	}
	return line.Bytes(), nil
}

// put waits for its turn and for the write, both no longer than ctx lasts.
func (l *Lines) put(ctx context.Context, line []byte) error {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if ctx.Err() != nil {
		<-l.turn
		return context.Cause(ctx)
	}
	written := make(chan error, 1)
	go func() {
		err := l.write(line)
		<-l.turn
		written <- err
	}()
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// write writes one line. What is there of one before it that did not fit stays
// alone, so that it spoils no other.
func (l *Lines) write(line []byte) error {
	if l.torn {
		if _, err := l.w.Write([]byte{'\n'}); err != nil {
			return err
		}
		l.torn = false
	}
	n, err := l.w.Write(line)
	l.torn = 0 < n && n < len(line)
	return err
}

// OneLine makes s one line of at most limit bytes of valid UTF-8. What a terminal
// that shows it might obey becomes a space: control characters, those of C1 among
// them, and the marks that turn the direction of writing. What is too long is cut
// between characters.
func OneLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unseen(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// unseen leaves out the two joiners, by which emoji and some scripts are written, and
// what a later Unicode may give a shape.
func unseen(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) && r != nonJoiner && r != joiner
}
