package eks

import (
	"regexp"
	"strings"
	"testing"
)

// What STS says it takes.
var taken = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

func TestSessionName(t *testing.T) {
	for subject, want := range map[string]string{
		"":                         "periscope",
		"alice":                    "periscope-alice",
		"alice@example.com":        "periscope-alice@example.com",
		"00u1abcdEFGH_5d.7,+":      "periscope-00u1abcdEFGH_5d.7,+",
		strings.Repeat("a", 54):    "periscope-" + strings.Repeat("a", 54),
		"auth0|5f7c8ec7c33c6c004b": "periscope-auth0-5f7c8ec7c33c6c004b=257b7d037d76",
	} {
		if got := sessionName(subject); got != want {
			t.Errorf("%q is %q, want %q", subject, got, want)
		}
	}
	// Names that would look alike without the sum.
	names := map[string]string{}
	for _, subject := range []string{
		"a|b", "a/b", "a-b", "a b", "a\nb", "a=b", "ä", "ö", "日本", "日木", strings.Repeat("a", 55), strings.Repeat("a", 56), strings.Repeat("a", 4096),
		"auth0|x", "auth0-x", strings.TrimPrefix(sessionName("auth0|x"), namePrefix), "PERISCOPE", "periscope", "-", "--",
	} {
		name := sessionName(subject)
		if other, twice := names[name]; twice || !taken.MatchString(name) {
			t.Errorf("%q is %q, as is %q", subject, name, other)
		}
		names[name] = subject
	}
}

func FuzzSessionName(f *testing.F) {
	f.Add("auth0|1", "auth0-1")
	f.Add("a", "a=ca978112ca1b")
	f.Fuzz(func(t *testing.T, one, other string) {
		a, b := sessionName(one), sessionName(other)
		if !taken.MatchString(a) || !taken.MatchString(b) {
			t.Errorf("%q is %q, %q is %q", one, a, other, b)
		}
		if one != other && a == b {
			t.Errorf("%q and %q are both %q", one, other, a)
		}
	})
}
