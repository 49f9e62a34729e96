// Package peer says from which address a request came.
//
// It owns the rule for X-Forwarded-For: only a proxy that is named is believed,
// and only about who came to it. It does not own what is done with an address.
// X-Forwarded-Host and -Proto, Forwarded and X-Real-IP are never read: the public
// URL decides under which name and scheme the server is reached. It starts no
// goroutines.
package peer

import (
	"net/http"
	"net/netip"
	"strings"
)

// Bounds of an X-Forwarded-For. A client may write as much as it likes on the
// left; what counts stands on the right.
const (
	maxHops = 32
	maxHop  = 64 // an IPv6 address with brackets, port and a zone
)

// Proxies are the networks whose word about their clients is taken.
type Proxies []netip.Prefix

// Address is the client's: the right-most hop that is no trusted proxy, as the
// trusted ones tell. Where a proxy tells nothing that can be read it is that
// proxy's own. It never is what a client says of itself. The zero Addr, which no
// client has, is the answer for a connection without an address.
func (p Proxies) Address(r *http.Request) netip.Addr {
	at := parse(r.RemoteAddr)
	if !p.trust(at) {
		return at
	}
	lists := r.Header.Values("X-Forwarded-For")
	for hops := 0; len(lists) > 0; lists = lists[:len(lists)-1] {
		for rest, more := lists[len(lists)-1], true; more; hops++ {
			var hop string
			if rest, hop, more = last(rest); hops == maxHops {
				return at
			}
			addr := parse(hop)
			if !addr.IsValid() {
				return at
			}
			if at = addr; !p.trust(at) {
				return at
			}
		}
	}
	return at
}

// last cuts the last of a list with commas off.
func last(list string) (rest, hop string, more bool) {
	if i := strings.LastIndexByte(list, ','); i >= 0 {
		return list[:i], list[i+1:], true
	}
	return "", list, false
}

func (p Proxies) trust(a netip.Addr) bool {
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// parse takes an address with or without port or brackets. The zone is dropped:
// it says which of our own wires, not who.
func parse(s string) netip.Addr {
	if s = strings.TrimSpace(s); len(s) > maxHop {
		return netip.Addr{}
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
