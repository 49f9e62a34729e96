package token

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"log/slog"
	"net/http"
	"strings"
)

// A token as its owner holds it: the prefix, 43 characters that carry a little
// more than 256 random bits (62^43 > 2^256), and 6 of their CRC-32 (62^6 > 2^32).
// Prefix and checksum let a scanner tell a leaked token from a look-alike without
// asking us; letters and digits alone let a double click take the whole.
const (
	Prefix      = "psc_"
	alphabet    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	randomChars = 43
	sumChars    = 6
	size        = len(Prefix) + randomChars + sumChars
)

// Secret is a whole token. It prints as its prefix alone, so that no log shows it.
type Secret struct{ text string }

// Hash is what a store keeps of a Secret.
type Hash [sha256.Size]byte

func newSecret() Secret {
	chars := make([]byte, 0, randomChars)
	for len(chars) < cap(chars) {
		var b [randomChars]byte
		rand.Read(b[:]) // never fails: crypto/rand
		for _, c := range b {
			// Beyond the last whole alphabet some characters would come more often.
			if int(c) < 256/len(alphabet)*len(alphabet) && len(chars) < cap(chars) {
				chars = append(chars, alphabet[int(c)%len(alphabet)])
			}
		}
	}
	return Secret{Prefix + string(chars) + checksum(string(chars))}
}

func checksum(chars string) string {
	var out [sumChars]byte
	sum := crc32.ChecksumIEEE([]byte(chars))
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = alphabet[sum%uint32(len(alphabet))]
		sum /= uint32(len(alphabet))
	}
	return string(out[:])
}

// Reveal is the token itself, for the one answer that shows it to its owner.
func (s Secret) Reveal() string { return s.text }

func (s Secret) String() string { return Prefix + "…" }

// GoString keeps %#v from showing it.
func (s Secret) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Hash needs no salt and no slow function: nobody can guess 256 bits.
func (s Secret) Hash() Hash { return sha256.Sum256([]byte(s.text)) }

// Why a credential is no token of ours; for the log.
var (
	errSeveral  = errors.New("several Authorization headers")
	errPrefix   = errors.New("it does not begin with " + Prefix)
	errLength   = errors.New("it has the wrong length")
	errAlphabet = errors.New("it has a character that no token has")
	errChecksum = errors.New("its checksum is wrong")
)

func parse(text string) (Secret, error) {
	chars, ours := strings.CutPrefix(text, Prefix)
	switch {
	case !ours:
		return Secret{}, errPrefix
	case len(text) != size:
		return Secret{}, errLength
	case strings.ContainsFunc(chars, notInAlphabet):
		return Secret{}, errAlphabet
	case checksum(chars[:randomChars]) != chars[randomChars:]:
		return Secret{}, errChecksum
	}
	return Secret{text}, nil
}

func notInAlphabet(r rune) bool { return !strings.ContainsRune(alphabet, r) }

const scheme = "bearer"

// Presented reports whether a request bears a token, good or bad. Then nothing
// else about it says who sent it: its cookies are not looked at. Credentials of
// other schemes are those of proxies on the way, and let nobody in here.
func Presented(r *http.Request) bool {
	for _, v := range r.Header.Values("Authorization") {
		if word, _, _ := strings.Cut(v, " "); strings.EqualFold(word, scheme) {
			return true
		}
	}
	return false
}

// fromHeader is RFC 6750, section 2.1: one header, one credential.
func fromHeader(h http.Header) (Secret, error) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return Secret{}, errSeveral
	}
	_, text, _ := strings.Cut(values[0], " ")
	return parse(strings.TrimLeft(text, " "))
}
