package docs

import (
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestProofs: on every page, each row that says what proves it names tests, which
// exist and are not switched off.
func TestProofs(t *testing.T) {
	rows := map[string]int{}
	for _, name := range pages(t) {
		for _, tb := range readPage(t, name).tables {
			if tb.header[len(tb.header)-1] != provedBy {
				continue
			}
			for _, row := range tb.rows {
				rows[name]++
				tests := spans(row[provedBy])
				if len(tests) == 0 {
					t.Errorf("%s: nothing proves %s", name, row[tb.header[0]])
				}
				for _, test := range tests {
					checkTest(t, test)
				}
			}
		}
	}
	for name, least := range map[string]int{guide: 50, "docs/tokens.md": 8, "docs/security.md": 20, "docs/agent-onboarding.md": 10, "docs/architecture/agent-tunnel.md": 14} {
		if rows[name] < least {
			t.Errorf("%s has %d rows of proof", name, rows[name])
		}
	}
}

func pages(t *testing.T) (names []string) {
	t.Helper()
	for _, folder := range []string{"docs", "docs/architecture"} {
		files, err := filepath.Glob(root + folder + "/*.md")
		if err != nil || len(files) == 0 {
			t.Fatalf("%d pages in %s (%v)", len(files), folder, err)
		}
		for _, file := range files {
			names = append(names, folder+"/"+filepath.Base(file))
		}
	}
	return names
}

// TestLinks follows every link of every page to a file and a heading that are there.
func TestLinks(t *testing.T) {
	for _, name := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(readPage(t, name).text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, within, _ := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
			}
			if matches, err := filepath.Glob(root + target); err != nil || len(matches) != 1 {
				t.Errorf("%s: %s is not there", name, m[1])
				continue
			}
			if within != "" && !hasHeading(readPage(t, target), within) {
				t.Errorf("%s: %s leads to no heading", name, m[1])
			}
		}
	}
}

func hasHeading(p page, within string) bool {
	for _, h := range p.headings {
		if anchor(h) == "#"+within {
			return true
		}
	}
	return false
}

var settingKey = regexp.MustCompile("`((?:oidc|session|tokens|authorization|dev)\\.\\w+)`")

// TestSettingsOfAuth: each setting of auth.yaml that a page names is one.
func TestSettingsOfAuth(t *testing.T) {
	settings := read(t, "docs/configuration.md")
	for _, name := range pages(t) {
		for _, key := range settingKey.FindAllStringSubmatch(read(t, name), -1) {
			if !strings.Contains(settings, "`"+key[1]+"`") {
				t.Errorf("%s: %s is no setting", name, key[1])
			}
		}
	}
}
