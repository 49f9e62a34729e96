package quota

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestADigestTellsSomeAndCountsTheRest, of each by itself.
func TestADigestTellsSomeAndCountsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDigest[string]()
		tells := func(what string, times, want, lost int) {
			t.Helper()
			told, untold := 0, 0
			for range times {
				if n, now := d.Tell(what); now {
					told, untold = told+1, untold+n
				}
			}
			if told != want || untold != lost {
				t.Errorf("%s: told %d times, of %d more, want %d and %d", what, told, untold, want, lost)
			}
		}
		tells("a", 1000, First, 0)
		tells("b", 3, 3, 0)
		time.Sleep(time.Minute)
		tells("a", 50, 1, 990)
		tells("b", 3, 3, 0)
		time.Sleep(time.Hour)
		tells("a", 1000, First, 49)
	})
}

// TestADigestIsBounded: it forgets what was seen longest ago.
func TestADigestIsBounded(t *testing.T) {
	d := NewDigest[int]()
	for n := range 3 * maxTold {
		d.Tell(n)
		d.Tell(-1)
	}
	if d.seen.order.Len() != maxTold || len(d.seen.byKey) != maxTold {
		t.Errorf("%d are remembered", len(d.seen.byKey))
	}
	if _, now := d.Tell(-1); now {
		t.Error("what is seen all the time was forgotten")
	}
}
