// Package lane says, in a context, what a connection is for: a person's typing, or
// everything else.
//
// It owns the mark alone. Who dials for a terminal sets it; a way to a cluster that
// carries many streams over one connection reads it, and keeps what a terminal has
// under way small, so that a keystroke never waits behind a flood. It starts no
// goroutines.
package lane

import "context"

type typing struct{}

// Typing marks what is dialled under ctx as a terminal's.
func Typing(ctx context.Context) context.Context { return context.WithValue(ctx, typing{}, true) }

// IsTyping reports whether ctx was marked.
func IsTyping(ctx context.Context) bool { return ctx.Value(typing{}) != nil }
