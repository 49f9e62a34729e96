// Package setting reads what the server's and the agent's settings have in common:
// numbers, times, addresses and names, and says what is wrong with them.
//
// It owns no setting. It starts no goroutines and keeps nothing; its functions may be
// called by anybody at any time. It guarantees that a value which is not right is told
// with what to write instead, and that nothing is written then.
package setting

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Environment makes a map of what os.Environ gives.
func Environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	return env
}

// Printable keeps what a file says from steering the terminal that shows it.
func Printable(sentence string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return unicode.ReplacementChar
		}
		return r
	}, sentence)
}

// Refused says of a value that is not right what is wrong with it. A secret is left
// out: what a program says at its start is read by more than those who may know it.
func Refused(name, value string, secret bool, err error) error {
	if secret && value != "" {
		return fmt.Errorf("%s is not right, and not shown here since a password may stand in it: %w", name, err)
	}
	return fmt.Errorf("%s is %q: %w", name, value, err)
}

// Kubernetes gives every pod variables for each Service of its namespace, such
// as PERISCOPE_PORT=tcp://10.0.0.1:8080 for one named periscope.
var serviceVariable = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// OfKubernetes reports whether a variable is one that Kubernetes sets for a Service.
func OfKubernetes(name string) bool { return serviceVariable.MatchString(name) }

// Whole reads a whole number from least to most into to; its error says which.
func Whole(v string, least, most int, to *int) error {
	n, err := strconv.Atoi(v)
	if err != nil {
		return errors.New("give a whole number")
	}
	if n < least || n > most {
		return fmt.Errorf("give a number from %d to %d", least, most)
	}
	*to = n
	return nil
}

// Seconds is Whole for a time that is written in seconds.
func Seconds(v string, least, most int, to *time.Duration) error {
	var n int
	if err := Whole(v, least, most, &n); err != nil {
		return err
	}
	*to = time.Duration(n) * time.Second
	return nil
}

// Truth reads true or false, also as 1 or 0.
func Truth(v string, to *bool) error {
	switch v {
	case "1", "true":
		*to = true
	case "0", "false":
		*to = false
	default:
		return errors.New("give true or false")
	}
	return nil
}

// OneOf takes one of the allowed words, and suggests the nearest.
func OneOf(v string, to *string, allowed ...string) error {
	if !slices.Contains(allowed, v) {
		return fmt.Errorf("give one of %s%s", strings.Join(allowed, ", "), Hint(v, allowed))
	}
	*to = v
	return nil
}

// Level reads debug, info, warn or error.
func Level(v string, to *slog.Level) error {
	var name string
	if err := OneOf(v, &name, "debug", "info", "warn", "error"); err != nil {
		return err
	}
	return to.UnmarshalText([]byte(name))
}

// BindAddress takes an IP address of this machine, localhost, or nothing: all.
func BindAddress(v string, to *string) error {
	switch {
	case v == "localhost":
		v = "127.0.0.1"
	case v != "" && net.ParseIP(v) == nil:
		return errors.New("give an IP address, such as 0.0.0.0")
	}
	*to = v
	return nil
}

// Address takes host:port, of a host as BindAddress does, or nothing.
func Address(v string, to *string) error {
	if v == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(v)
	if err != nil {
		return errors.New("give host:port, such as 0.0.0.0:9090")
	}
	if err := BindAddress(host, &host); err != nil {
		return err
	}
	var n int
	if err := Whole(port, 0, 65535, &n); err != nil {
		return err
	}
	*to = v
	return nil
}
