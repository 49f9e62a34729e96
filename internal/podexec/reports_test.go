package podexec

import (
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestReportsOfATerminal(t *testing.T) {
	for name, c := range map[string]struct {
		stdin string
		want  bool
	}{
		"nothing":                     {"", true},
		"the cursor":                  {"\x1b[24;80R", true},
		"the cursor and its page":     {"\x1b[?24;80;1R", true},
		"the state":                   {"\x1b[0n", true},
		"the kind":                    {"\x1b[?1;2c", true},
		"the second kind":             {"\x1b[>0;276;0c", true},
		"a mode":                      {"\x1b[?2004;1$y", true},
		"the window":                  {"\x1b[8;24;80t", true},
		"how keys are told":           {"\x1b[?1u", true},
		"the focus came and went":     {"\x1b[I\x1b[O", true},
		"a colour":                    {"\x1b]10;rgb:ffff/ffff/ffff\x1b\\", true},
		"a colour, ended by BEL":      {"\x1b]4;1;rgb:cd/00/00\a", true},
		"a setting":                   {"\x1bP1$r0m\x1b\\", true},
		"several":                     {"\x1b[0n\x1b]11;rgb:0/0/0\a\x1b[1;1R", true},
		"as long as one may be":       {"\x1b]" + strings.Repeat("x", maxSaid-3) + "\a", true},
		"longer":                      {"\x1b]" + strings.Repeat("x", maxSaid-2) + "\a", false},
		"a letter":                    {"a", false},
		"a letter after a report":     {"\x1b[0na", false},
		"a letter before one":         {"a\x1b[0n", false},
		"Enter":                       {"\r", false},
		"an arrow":                    {"\x1b[A", false},
		"an arrow with a modifier":    {"\x1b[1;5C", false},
		"F1":                          {"\x1bOP", false},
		"F5":                          {"\x1b[15~", false},
		"a key as kitty tells it":     {"\x1b[97;5u", false},
		"Alt and a letter":            {"\x1bf", false},
		"a paste":                     {"\x1b[200~\x1b[0n\x1b[201~", false},
		"the mouse":                   {"\x1b[<0;10;5M", false},
		"the mouse, let go":           {"\x1b[<0;10;5m", false},
		"the mouse, the old way":      {"\x1b[M !!", false},
		"a question":                  {"\x1b[c", false},
		"a line in what is no report": {"\x1b]0;x\rls\r", false},
		"an end of another kind":      {"\x1b]0;x\x1bx", false},
		"two marks":                   {"\x1b[?>1c", false},
		"a mark too late":             {"\x1b[1?c", false},
		"a dollar and no mode":        {"\x1b[1$R", false},
	} {
		var r reports
		if got := r.wholly([]byte(c.stdin)); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if r != (reports{}) {
			t.Errorf("%s: it leaves %+v", name, r)
		}
	}
}

// TestAKeyIsFoundAfterAPiece of a report that never ended.
func TestAKeyIsFoundAfterAPiece(t *testing.T) {
	for _, piece := range []string{"\x1b", "\x1b[", "\x1b[1;", "\x1b]10;rgb", "\x1bP1$r0m\x1b"} {
		var r reports
		if !r.wholly([]byte(piece)) {
			t.Errorf("%q is taken for typed before it is known", piece)
		}
		if r.wholly([]byte("\r")) || r.wholly([]byte("x")) {
			t.Errorf("after %q nothing is typed", piece)
		}
	}
}

// FuzzReports asks a grammar, and cuts what it agrees with into two messages.
func FuzzReports(f *testing.F) {
	grammar := regexp.MustCompile(`^(\x1b\[([IO]|[=>?]?[0-9:;]+([Rnct]|\$y)|\?[0-9:;]+u)|\x1b[\]P][ -~]*(\a|\x1b\\))*$`)
	for _, s := range []string{"\x1b[24;80R", "\x1b[?1;2c", "\x1b]10;rgb:0/0/0\x1b\\", "\x1bP1$r0m\x1b\\\x1b[I", "\x1b[?1$y\x1b[?1u", "x\x1b[0n"} {
		f.Add(s, len(s)/2)
	}
	f.Fuzz(func(t *testing.T, stdin string, at int) {
		if len(stdin) > maxSaid {
			return
		}
		var whole reports
		got := whole.wholly([]byte(stdin))
		if want := grammar.MatchString(stdin); want != (got && whole == reports{}) {
			t.Fatalf("%q: %v, and the grammar says %v", stdin, got, want)
		}
		if at < 0 || at > len(stdin) {
			return
		}
		var cut reports
		if pieces := cut.wholly([]byte(stdin[:at])) && cut.wholly([]byte(stdin[at:])); pieces != got {
			t.Errorf("%q: %v, and %v cut at %d", stdin, got, pieces, at)
		}
	})
}

// TestAQuestionKeepsNoLogin: what a program makes the terminal say is no activity of
// the login, and reaches the program all the same.
func TestAQuestionKeepsNoLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var active atomic.Int64
		req := r.request()
		req.Login.Active = func() { active.Add(1) }
		ticket, err := r.ss.Admit(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		conn := newPipeConn()
		go r.ss.Serve(ticket, conn, true)
		synctest.Wait()
		s := <-r.streams
		typed := ""
		for _, c := range []struct {
			stdin string
			want  int64
		}{{"\x1b[24;80R", 0}, {"\x1b]10;rgb:0/", 0}, {"0/0\x1b\\", 0}, {"l", 1}, {"\x1b[0ns", 2}} {
			conn.send(true, c.stdin)
			synctest.Wait()
			typed += c.stdin
			if active.Load() != c.want {
				t.Errorf("after %q: the login was told %d times, want %d", c.stdin, active.Load(), c.want)
			}
		}
		s.mu.Lock()
		if got := s.stdin.String(); got != typed {
			t.Errorf("the program has %q, want %q", got, typed)
		}
		s.mu.Unlock()
		r.leave(conn)
	})
}
