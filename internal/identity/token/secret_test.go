package token

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// TestSecretsAreFarApart: their characters are as random as they look, and what
// docs/tokens.md gives to scanners finds them.
func TestSecretsAreFarApart(t *testing.T) {
	if bits := randomChars * math.Log2(float64(len(alphabet))); bits < 256 {
		t.Errorf("%v random bits", bits)
	}
	if math.Pow(float64(len(alphabet)), sumChars) < 1<<32 {
		t.Error("the checksum does not hold a CRC-32")
	}
	scanner := regexp.MustCompile(`\bpsc_[0-9A-Za-z]{49}\b`)
	seen, counts := map[string]bool{}, map[rune]int{}
	const rounds = 2000
	for range rounds {
		s := newSecret().Reveal()
		if seen[s] || scanner.FindString("token="+s+";") != s {
			t.Fatalf("%q", s)
		}
		seen[s] = true
		for _, c := range s[len(Prefix) : len(Prefix)+randomChars] {
			counts[c]++
		}
	}
	mean := float64(rounds*randomChars) / float64(len(alphabet))
	for _, c := range alphabet {
		if n := float64(counts[c]); math.Abs(n-mean) > 8*math.Sqrt(mean) {
			t.Errorf("%c came %v times, the mean is %v", c, n, mean)
		}
	}
}

// TestChecksum: the CRC-32 in base 62 of fixed characters, so that the form that
// scanners know stays.
func TestChecksum(t *testing.T) {
	chars := strings.Repeat("0", randomChars)
	const want = "2CZclj" // 2018072207 in base 62
	if got := checksum(chars); got != want {
		t.Errorf("got %s", got)
	}
}

func TestParse(t *testing.T) {
	good := newSecret().Reveal()
	other := "1"
	if good[10] == '1' {
		other = "2"
	}
	for text, want := range map[string]error{
		good:                                     nil,
		"":                                       errPrefix,
		"ghp_" + good[4:]:                        errPrefix,
		"PSC_" + good[4:]:                        errPrefix,
		" " + good:                               errPrefix,
		good[:len(good)-1]:                       errLength,
		good + "0":                               errLength,
		good + ", " + good:                       errLength,
		Prefix:                                   errLength,
		Prefix + strings.Repeat("x", 64<<10):     errLength,
		good[:10] + "-" + good[11:]:              errAlphabet,
		good[:10] + "\x00" + good[11:]:           errAlphabet,
		good[:10] + "é" + good[12:]:              errAlphabet,
		good[:10] + other + good[11:]:            errChecksum,
		good[:len(good)-1] + next(good[size-1:]): errChecksum,
	} {
		got, err := parse(text)
		if !errors.Is(err, want) || (err == nil) != (got.Reveal() == good) {
			t.Errorf("%.80q: %v, want %v", text, err, want)
		}
	}
}

// next is another character of the alphabet.
func next(c string) string {
	return string(alphabet[(strings.Index(alphabet, c)+1)%len(alphabet)])
}

func TestASecretShowsItselfToNobody(t *testing.T) {
	s := newSecret()
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", "secret", s)
	for _, said := range []string{fmt.Sprint(s), fmt.Sprintf("%+v %#v %s %q", s, s, s, s), log.String()} {
		if strings.Contains(said, s.Reveal()[4:12]) {
			t.Errorf("%q", said)
		}
	}
}

func TestFromHeader(t *testing.T) {
	good := newSecret().Reveal()
	for name, c := range map[string]struct {
		values    []string
		presented bool
		good      bool
	}{
		"none":                   {nil, false, false},
		"a token":                {[]string{"Bearer " + good}, true, true},
		"the scheme in capitals": {[]string{"BEARER " + good}, true, true},
		"two blanks":             {[]string{"Bearer  " + good}, true, true},
		"a proxy's password":     {[]string{"Basic dTpw"}, false, false},
		"a bare token":           {[]string{good}, false, false},
		"no token":               {[]string{"Bearer"}, true, false},
		"an empty token":         {[]string{"Bearer "}, true, false},
		"two tokens":             {[]string{"Bearer " + good, "Bearer " + good}, true, false},
		"beside a password":      {[]string{"Basic dTpw", "Bearer " + good}, true, false},
		"in one header":          {[]string{"Bearer " + good + ", Bearer " + good}, true, false},
		"64 KB":                  {[]string{"Bearer " + strings.Repeat("x", 64<<10)}, true, false},
		"a tab":                  {[]string{"Bearer\t" + good}, false, false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Authorization"] = c.values
		got, err := fromHeader(r.Header)
		if Presented(r) != c.presented || (err == nil) != c.good || c.good && got.Reveal() != good {
			t.Errorf("%s: presented %v, %v", name, Presented(r), err)
		}
	}
}

// FuzzFromHeader: whatever is taken is a token as we make them.
func FuzzFromHeader(f *testing.F) {
	f.Add("Bearer " + newSecret().Reveal())
	f.Add("Bearer psc_")
	f.Add("bearer  " + newSecret().Reveal() + " ")
	f.Fuzz(func(t *testing.T, value string) {
		s, err := fromHeader(http.Header{"Authorization": {value}})
		if err != nil {
			return
		}
		text := s.Reveal()
		if len(text) != size || !strings.HasPrefix(text, Prefix) || !strings.HasSuffix(value, text) {
			t.Fatalf("%q gives %q", value, text)
		}
		if chars := text[len(Prefix):]; checksum(chars[:randomChars]) != chars[randomChars:] {
			t.Fatalf("the checksum of %q is wrong", text)
		}
	})
}
