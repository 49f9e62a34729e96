// Package cli is Periscope's commands for people at a terminal: exec, cp, login and
// logout.
//
// It owns flags, the words on stderr, exit codes, the terminal's raw mode, the
// file of credentials, and the client's half of logging in. It does not own the
// session's protocol (execclient) or anything of a server. A command's goroutines
// end with it, but for a read of stdin that has not returned and the wait for a
// browser that was opened. It guarantees that the terminal is as it was on every way
// out but SIGKILL, and that a token is neither printed nor sent in the clear to
// another machine.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/periscope-console/periscope/internal/execclient"
)

// Exit codes. A command in a container brings its own.
const (
	exitOK    = 0
	exitUsage = 2
	// exitFailed is as ssh's: there was no session, or it was lost.
	exitFailed = 255
	// exitSignal and a signal's number is as a shell's.
	exitSignal = 128
)

// Env is what a command finds around it.
type Env struct {
	Stdin          *os.File
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// ConfigDir is where credentials are kept; os.UserConfigDir where it is empty.
	ConfigDir string
	Version   string
	// Browse opens an address in a browser; nil where the system's is to be tried.
	Browse func(ctx context.Context, address string) error
}

// Commands are the names that Run knows.
func Commands() []string { return []string{"cp", "exec", "login", "logout"} }

// Run is one command to its end; it returns the exit code.
func Run(ctx context.Context, name string, args []string, e Env) int {
	outliveReaders()
	return e.ended(e.run(ctx, name, args))
}

// ended says why there is no result, and returns the exit code.
func (e Env) ended(err error) int {
	var code exitCode
	var wrong usageError
	var local *localError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &wrong):
		e.say("%s", wrong)
		return exitUsage
	case errors.As(err, &local):
		e.say("%s", local)
		return exitCopy
	}
	e.explain(err)
	return exitFailed
}

func (e Env) run(ctx context.Context, name string, args []string) error {
	switch name {
	case "cp":
		return e.cp(ctx, args)
	case "exec":
		return e.exec(ctx, args)
	case "login":
		return e.login(ctx, args)
	case "logout":
		return e.logout(ctx, args)
	}
	return usageError(fmt.Sprintf("%q is no command.", name))
}

// exitCode ends the program without another word.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// usageError is a wrong use: nothing has been done.
type usageError string

func (u usageError) Error() string { return string(u) }

func wrongUse(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// say writes one line to stderr. In raw mode a line begins only where it is told
// to, and elsewhere that does no harm.
func (e Env) say(format string, args ...any) {
	fmt.Fprintf(e.Stderr, "periscope: %s\r\n", printable(fmt.Sprintf(format, args...)))
}

// printable keeps what a server says from steering the terminal that shows it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// explain says why there is no result.
func (e Env) explain(err error) {
	var no *execclient.Refusal
	if !errors.As(err, &no) {
		e.say("%s", err)
		return
	}
	if no.Message != "" {
		e.say("%s", no.Message)
	}
	e.say("%s", refusalCodes(no))
	if no.Code == "E_UNAUTHENTICATED" {
		e.say("log in with: periscope login")
	}
}

func refusalCodes(no *execclient.Refusal) string {
	if no.RequestID == "" {
		return no.Code
	}
	return no.Code + ", request " + no.RequestID
}

// configDir is where this program keeps what is its user's.
func (e Env) configDir() (string, error) {
	dir := e.ConfigDir
	if dir == "" {
		var err error
		if dir, err = os.UserConfigDir(); err != nil {
			return "", fmt.Errorf("there is no folder for settings: %w", err)
		}
	}
	return filepath.Join(dir, "periscope"), nil
}
