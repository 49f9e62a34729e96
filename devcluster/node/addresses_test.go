package node

import "testing"

// TestClaimAddresses: no two nodes have the same, and those of one that is gone
// are free.
func TestClaimAddresses(t *testing.T) {
	claim := func(from int) addresses {
		a, err := claimAddresses(from)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.release)
		return a
	}
	first := claim(200)
	second := claim(first.octet)
	if second.octet == first.octet {
		t.Errorf("two nodes have 127.%d", first.octet)
	}
	first.release()
	if again := claim(first.octet); again.octet != first.octet {
		t.Errorf("127.%d is not free again", first.octet)
	}
	last := claim(lastAddresses)
	if wrapped := claim(lastAddresses); wrapped.octet == 0 || wrapped.octet == last.octet {
		t.Errorf("after 127.%d comes 127.%d", last.octet, wrapped.octet)
	}
}
