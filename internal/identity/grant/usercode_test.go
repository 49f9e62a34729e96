package grant

import (
	"strings"
	"testing"
)

func TestParseUserCode(t *testing.T) {
	for typed, want := range map[string]string{
		"BCDF-GHJK": "BCDFGHJK", "bcdfghjk": "BCDFGHJK", "bcdf ghjk": "BCDFGHJK", "B-C-D-F-G-H-J-K": "BCDFGHJK",
		"": "", "BCDF-GHJ": "", "BCDF-GHJKL": "", "ABCD-EFGH": "", "BCDF_GHJK": "", "BCDF-GHJ\u212a": "", strings.Repeat("-", 100) + "BCDFGHJK": "",
	} {
		if got, ok := parseUserCode(typed); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v", typed, got, ok)
		}
	}
	seen := map[string]bool{}
	for range 1000 {
		code := newUserCode()
		if got, ok := parseUserCode(code); !ok || got != code || seen[code] {
			t.Fatalf("%q", code)
		}
		seen[code] = true
	}
}

// FuzzParseUserCode: whatever is typed, what is looked for is eight letters of ours.
func FuzzParseUserCode(f *testing.F) {
	f.Add("bcdf-ghjk")
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := parseUserCode(typed)
		if !ok {
			return
		}
		again, ok := parseUserCode(code[:4] + "-" + code[4:])
		if len(code) != userSize || strings.Trim(code, userAlphabet) != "" || !ok || again != code {
			t.Errorf("%q gives %q", typed, code)
		}
	})
}
