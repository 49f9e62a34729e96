package setting

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// TestValues has, for each kind of value, what is taken and what is told of the rest.
func TestValues(t *testing.T) {
	n, d, yes, word, level, text := 7, time.Minute, true, "w", slog.LevelInfo, "t"
	for name, c := range map[string]struct {
		read func(string) error
		good []string
		bad  map[string]string
	}{
		"whole":   {func(v string) error { return Whole(v, 1, 9, &n) }, []string{"1", "9"}, map[string]string{"": "whole number", "1.5": "whole number", "10": "from 1 to 9"}},
		"seconds": {func(v string) error { return Seconds(v, 0, 9, &d) }, []string{"0", "9"}, map[string]string{"9s": "whole number", "-1": "from 0 to 9"}},
		"truth":   {func(v string) error { return Truth(v, &yes) }, []string{"true", "1", "0", "false"}, map[string]string{"": "true or false", "yes": "true or false"}},
		"one of":  {func(v string) error { return OneOf(v, &word, "auto", "spdy") }, []string{"auto"}, map[string]string{"spyd": "did you mean spdy?", "": "auto, spdy"}},
		"level":   {func(v string) error { return Level(v, &level) }, []string{"debug", "error"}, map[string]string{"INFO": "debug, info"}},
		"IP":      {func(v string) error { return BindAddress(v, &text) }, []string{"", "localhost", "::1"}, map[string]string{"host": "IP address"}},
		"address": {func(v string) error { return Address(v, &text) }, []string{"", ":8081", "[::]:1", "10.0.0.1:65535"}, map[string]string{"8081": "host:port", "h:1": "IP address", ":65536": "65535"}},
	} {
		for _, v := range c.good {
			if err := c.read(v); err != nil {
				t.Errorf("%s %q: %v", name, v, err)
			}
		}
		for v, says := range c.bad {
			n, d, yes, word, level, text = 7, time.Minute, true, "w", slog.LevelInfo, "t"
			if err := c.read(v); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s %q: %v", name, v, err)
			}
			if n != 7 || d != time.Minute || !yes || word != "w" || level != slog.LevelInfo || text != "t" {
				t.Errorf("%s %q was refused and written", name, v)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	why := errors.New("give less")
	for _, c := range []struct {
		value  string
		secret bool
		want   string
	}{
		{"a\x1bb", false, `X is "a\x1bb": give less`},
		{"", true, `X is "": give less`},
		{"hunter2", true, "X is not right, and not shown here since a password may stand in it: give less"},
	} {
		if err := Refused("X", c.value, c.secret, why); !errors.Is(err, why) || err.Error() != c.want {
			t.Errorf("%q: %v", c.value, err)
		}
	}
}

func TestNames(t *testing.T) {
	for name, of := range map[string]bool{"PERISCOPE_SERVICE_HOST": true, "PERISCOPE_PORT_8080_TCP_ADDR": true, "PERISCOPE_HOST": false} {
		if OfKubernetes(name) != of {
			t.Errorf("%s is taken for one of Kubernetes: %v", name, !of)
		}
	}
	if got := Printable("a\x1b[31m\nb"); got != "a\uFFFD[31m\nb" {
		t.Errorf("%q", got)
	}
	if env := Environment([]string{"A=1=2", "B"}); env["A"] != "1=2" || env["B"] != "" || len(env) != 2 {
		t.Errorf("%q", env)
	}
}
