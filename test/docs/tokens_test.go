package docs

import (
	"regexp"
	"strings"
	"testing"
)

const tokensPage = "docs/tokens.md"

// TestTokensAreProved: the tests that the page of tokens names exist, and the
// settings that it names are settings.
func TestTokensAreProved(t *testing.T) {
	proofs := 0
	for _, tb := range readPage(t, tokensPage).tables {
		if len(tb.header) != 2 || tb.header[1] != provedBy {
			continue
		}
		for _, row := range tb.rows {
			for _, name := range spans(row[provedBy]) {
				checkTest(t, name)
				proofs++
			}
		}
	}
	if proofs < 8 {
		t.Errorf("the page names %d tests", proofs)
	}
	settings := read(t, "docs/configuration.md")
	for _, key := range regexp.MustCompile("`((?:tokens|authorization)\\.\\w+)").FindAllStringSubmatch(read(t, tokensPage), -1) {
		if !strings.Contains(settings, "`"+key[1]+"`") {
			t.Errorf("%s is no setting", key[1])
		}
	}
}
