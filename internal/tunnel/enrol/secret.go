package enrol

import (
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
)

// prefix lets a scanner for leaked secrets know a registration token.
const prefix = "psr_"

// Secret is a whole registration token. It prints as its prefix alone, so that no
// log shows it.
type Secret struct{ text string }

// Hash is what a store keeps of a Secret.
type Hash [sha256.Size]byte

// newSecret has 260 random bits, as letters and digits.
func newSecret() Secret { return Secret{prefix + rand.Text() + rand.Text()} }

// Reveal is the token itself, for the one answer that shows it.
func (s Secret) Reveal() string { return s.text }

func (s Secret) String() string { return prefix + "…" }

// GoString keeps %#v from showing it.
func (s Secret) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// hashOf needs no salt and no slow function: nobody can guess 256 bits.
func hashOf(text string) Hash { return sha256.Sum256([]byte(text)) }
