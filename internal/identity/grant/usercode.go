package grant

import (
	"crypto/rand"
	"strings"
)

// A user code is eight letters that no two of which look alike and that spell no
// words: consonants, as RFC 8628, section 6.1 has them; 20^8, more than 2^34.
const (
	userAlphabet = "BCDFGHJKLMNPQRSTVWXZ"
	userHalf     = 4
	userSize     = 2 * userHalf
)

func newUserCode() string {
	code := make([]byte, 0, userSize)
	for len(code) < userSize {
		var b [2 * userSize]byte
		_, _ = rand.Read(b[:]) // never fails
		for _, c := range b {
			// Beyond the last whole alphabet some letters would come more often.
			if int(c) < 256/len(userAlphabet)*len(userAlphabet) && len(code) < userSize {
				code = append(code, userAlphabet[int(c)%len(userAlphabet)])
			}
		}
	}
	return string(code)
}

// parseUserCode reads what a person has typed, however they wrote it.
func parseUserCode(typed string) (code string, ok bool) {
	if len(typed) > 4*userSize {
		return "", false
	}
	code = strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToUpper(typed))
	return code, len(code) == userSize && strings.Trim(code, userAlphabet) == ""
}
