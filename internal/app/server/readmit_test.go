package server_test

import (
	"net/http"
	"testing"
)

// tier is the sender's, and the status of the question.
func (p *product) tier() (int, string) {
	p.t.Helper()
	var who struct{ Tier string }
	status := p.call("GET", "/api/whoami", "", &who)
	return status, who.Tier
}

// TestRulesOfTodayForLoginsOfYesterday restarts a server under other rules: a
// kept login has what these give its groups, and nothing of what it had.
func TestRulesOfTodayForLoginsOfYesterday(t *testing.T) {
	h := newHouse(t)
	port := freePort(t)
	h.tiers = "sre: admin"
	p := h.serve(port).ready()
	h.browser().in(p, "ada")
	cookie := p.cookie
	if status, tier := p.tier(); status != http.StatusOK || tier != "admin" {
		t.Fatalf("%d, tier %q", status, tier)
	}
	for _, c := range []struct {
		tiers, tier string
		status      int
	}{{"sre: read", "read", http.StatusOK}, {"guests: admin", "", http.StatusUnauthorized}} {
		p.end()
		h.tiers = c.tiers
		p = h.serve(port).ready().with(cookie)
		if status, tier := p.tier(); status != c.status || tier != c.tier {
			t.Errorf("under {%s}: %d, tier %q", c.tiers, status, tier)
		}
		if status := p.call("GET", "/api/exec/sessions", "", nil); status != c.status {
			t.Errorf("under {%s}: sessions %d", c.tiers, status)
		}
	}
}

// TestCanIIsOnesOwn has two people ask the same of one server, in turn: neither
// is told the other's answer, though both are remembered.
func TestCanIIsOnesOwn(t *testing.T) {
	h := newHouse(t)
	p := h.serve(freePort(t)).ready()
	h.browser().in(p, "ada")
	ada := p.cookie
	h.browser().in(p, "bob")
	bob := p.cookie
	for range 3 {
		for _, who := range []struct {
			cookie *http.Cookie
			may    bool
		}{{ada, true}, {bob, false}} {
			var can struct {
				Results []struct{ Allowed, Decided bool }
			}
			status := p.with(who.cookie).call("POST", "/api/clusters/real/can-i", `{"verb":"create","resource":"pods/exec","namespace":"`+h.ns+`"}`, &can)
			if status != http.StatusOK || len(can.Results) != 1 || !can.Results[0].Decided || can.Results[0].Allowed != who.may {
				t.Errorf("%d %+v, want %v", status, can, who.may)
			}
		}
	}
}
