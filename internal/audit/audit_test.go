package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestLinesWritesOneLineAnEvent(t *testing.T) {
	var out bytes.Buffer
	lines := audit.NewLines(&out)
	zone := time.FixedZone("x", 2*3600)
	err := lines.Emit(t.Context(), audit.Event{
		EventID: "e1", Stage: audit.Requested, Verb: audit.ExecStart,
		Timestamp: time.Date(2026, 1, 2, 3, 4, 5, 0, zone),
		Actor:     audit.ActorOf(identity.Actor{Subject: "ada"}),
		Reason:    "one\nline\u2028only",
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("not one line: %q", out.String())
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["timestamp"] != "2026-01-02T01:04:05Z" {
		t.Errorf("timestamp %v is not UTC", got["timestamp"])
	}
	if got["reason"] != "one line only" {
		t.Errorf("reason %q", got["reason"])
	}
	if _, there := got["outcome"]; there {
		t.Error("a requested event has an outcome")
	}
	if groups := got["actor"].(map[string]any)["groups"]; groups == nil {
		t.Error("groups is null, want []")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestLinesSaysWhenItCouldNotWrite(t *testing.T) {
	if err := audit.NewLines(full{}).Emit(t.Context(), audit.Event{Verb: "x"}); err == nil {
		t.Error("a lost event was not reported")
	}
}

// disk takes room bytes, and then says that it is full.
type disk struct {
	bytes.Buffer
	room int
}

func (d *disk) Write(p []byte) (int, error) {
	n, _ := d.Buffer.Write(p[:min(len(p), d.room)])
	d.room -= n
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

// TestATornLineSpoilsNoOther: a disk that becomes full in the middle of an event
// has room again later.
func TestATornLineSpoilsNoOther(t *testing.T) {
	d := &disk{room: 20}
	lines := audit.NewLines(d)
	for range 2 {
		if err := lines.Emit(t.Context(), audit.Event{Verb: "lost"}); err == nil {
			t.Fatal("a lost event was not reported")
		}
	}
	d.room = 4096
	for range 2 {
		if err := lines.Emit(t.Context(), audit.Event{Verb: "kept"}); err != nil {
			t.Fatal(err)
		}
	}
	got := strings.Split(strings.TrimSuffix(d.String(), "\n"), "\n")
	if len(got) != 3 || len(got[0]) != 20 || !json.Valid([]byte(got[1])) || !json.Valid([]byte(got[2])) {
		t.Errorf("wrote %q", got)
	}
}

// TestNobodyReads: a pipe that is full. Each event is given up at its own time, and
// only the one that was being written comes out once somebody reads.
func TestNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		lines := audit.NewLines(w)
		gone, hangUp := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, hangUp)
		short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		for _, c := range []struct {
			verb string
			ctx  context.Context
			why  error
			when time.Duration
		}{
			{"written", t.Context(), audit.ErrStalled, 5 * time.Second},
			{"of somebody who left", gone, context.Canceled, time.Second},
			{"in a hurry", short, context.DeadlineExceeded, 2 * time.Second},
			{"without end", t.Context(), audit.ErrStalled, 5 * time.Second},
		} {
			go func() {
				began := time.Now()
				err := lines.Emit(c.ctx, audit.Event{Verb: c.verb})
				if !errors.Is(err, c.why) || time.Since(began) != c.when {
					t.Errorf("%s: %v after %v", c.verb, err, time.Since(began))
				}
			}()
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		go func() {
			if err := lines.Emit(t.Context(), audit.Event{Verb: "next"}); err != nil {
				t.Error(err)
			}
			w.Close()
		}()
		synctest.Wait()
		if got, _ := io.ReadAll(r); verbs(t, got) != "written next" {
			t.Errorf("wrote %s", got)
		}
	})
}

// TestNothingIsWrittenForWhoLeft, though it was their turn.
func TestNothingIsWrittenForWhoLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	lines := audit.NewLines(&out)
	for range 100 {
		if err := lines.Emit(ctx, audit.Event{Verb: "x"}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if err := lines.Emit(t.Context(), audit.Event{Verb: "kept"}); err != nil || verbs(t, out.Bytes()) != "kept" {
		t.Errorf("wrote %s, %v", out.String(), err)
	}
}

// TestLinesAreWhole, whoever writes at the same time.
func TestLinesAreWhole(t *testing.T) {
	var out bytes.Buffer
	lines := audit.NewLines(&out)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := lines.Emit(t.Context(), audit.Event{Verb: "x"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(strings.Fields(verbs(t, out.Bytes()))); n != 50 {
		t.Errorf("%d events", n)
	}
}

// TestALineHasABound, however it came to be so long.
func TestALineHasABound(t *testing.T) {
	var out bytes.Buffer
	lines := audit.NewLines(&out)
	if err := lines.Emit(t.Context(), audit.Event{Verb: "long", Cluster: strings.Repeat("<", 1<<20)}); err == nil {
		t.Error("a lost event was not reported")
	}
	if err := lines.Emit(t.Context(), audit.Event{Verb: "kept", Cluster: strings.Repeat("<", 1<<19)}); err != nil {
		t.Error(err)
	}
	if verbs(t, out.Bytes()) != "kept" {
		t.Errorf("wrote %.200s", out.String())
	}
}

// verbs are those of the lines in order.
func verbs(t *testing.T, lines []byte) string {
	t.Helper()
	var all []string
	for line := range bytes.Lines(lines) {
		var e audit.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		all = append(all, e.Verb)
	}
	return strings.Join(all, " ")
}

func TestOneLine(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"plain":              {"INC-7: disk full", "INC-7: disk full"},
		"lines":              {"a\nb\r\tc\x00", "a b  c "},
		"CSI of 7 bits":      {"\x1b[2J", " [2J"},
		"CSI of 8 bits":      {"\u009b2J", " 2J"},
		"the next line":      {"a\u0085b", "a b"},
		"right to left":      {"\u202egpj.exe\u202c", " gpj.exe "},
		"isolated":           {"\u2066a\u2069\u200f", " a  "},
		"line separators":    {"a\u2028b\u2029c", "a b c"},
		"a byte order mark":  {"\ufeffa", " a"},
		"bytes":              {"a\x9bb", "a\ufffdb"},
		"other spaces":       {"a\u00a0b\u3000c", "a\u00a0b\u3000c"},
		"other scripts":      {"日本語 عربي e\u0301", "日本語 عربي e\u0301"},
		"a family":           {"👩\u200d👧 ❤\ufe0f", "👩\u200d👧 ❤\ufe0f"},
		"not joined":         {"می\u200cخواهم", "می\u200cخواهم"},
		"of a later Unicode": {"\U0003fffd", "\U0003fffd"},
	} {
		if got := audit.OneLine(c.text, 100); got != c.want {
			t.Errorf("%s: OneLine(%q) = %q", name, c.text, got)
		}
	}
}

func FuzzOneLine(f *testing.F) {
	f.Add("plain", 3)
	f.Add("\u009b2J\u202e", 9)
	f.Add("日本\r\n語", 4)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 0 || limit > 1<<16 {
			return
		}
		got := audit.OneLine(s, limit)
		if len(got) > limit || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\x00\u2028\u202e") ||
			strings.ContainsFunc(got, unicode.IsControl) || audit.OneLine(got, limit) != got {
			t.Errorf("OneLine(%q, %d) = %q", s, limit, got)
		}
	})
}
