package httpapi

import (
	"slices"
	"testing"

	"github.com/periscope-console/periscope/internal/podexec"
)

// TestOnesOwnShellsAreListedFirst: an administrator has one that is older than as many
// of others as are listed.
func TestOnesOwnShellsAreListedFirst(t *testing.T) {
	others := func(n int) []podexec.Info { return slices.Repeat([]podexec.Info{{SessionID: "other"}}, n) }
	own := []podexec.Info{{SessionID: "newer", Own: true}, {SessionID: "older", Own: true}}
	all := slices.Concat(others(5), own[:1], others(maxSessions), own[1:])
	for _, limit := range []int{1, 2, 3, maxSessions} {
		got := firstOf(slices.Clone(all), limit)
		if n := min(limit, len(own)); len(got) != limit || !slices.Equal(got[:n], own[:n]) || slices.ContainsFunc(got[n:], func(i podexec.Info) bool { return i.Own }) {
			t.Errorf("of %d are listed %d, first %+v", len(all), len(got), got[0])
		}
	}
}
