package peer

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

var trusted = Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48"), netip.MustParsePrefix("fe80::/10")}

func from(remote string, lists ...string) *http.Request {
	r := &http.Request{RemoteAddr: remote, Header: http.Header{}}
	for _, l := range lists {
		r.Header.Add("X-Forwarded-For", l)
	}
	return r
}

func TestAddress(t *testing.T) {
	const proxy, client = "10.1.2.3:4711", "203.0.113.9:1234"
	cases := map[string]struct {
		request *http.Request
		want    string
	}{
		"nobody between":                   {from(client), "203.0.113.9"},
		"a client that forges":             {from(client, "198.51.100.1"), "203.0.113.9"},
		"a client that says it is a proxy": {from(client, "10.0.0.1"), "203.0.113.9"},
		"one proxy":                        {from(proxy, "203.0.113.9"), "203.0.113.9"},
		"a forged list behind a proxy":     {from(proxy, "198.51.100.1, 127.0.0.1, 203.0.113.9"), "203.0.113.9"},
		"two proxies":                      {from(proxy, "198.51.100.1, 203.0.113.9, 10.9.9.9"), "203.0.113.9"},
		"a forged proxy to the left":       {from(proxy, "10.0.0.7, 203.0.113.9"), "203.0.113.9"},
		"two headers":                      {from(proxy, "198.51.100.1", "203.0.113.9, 10.9.9.9"), "203.0.113.9"},
		"the last header counts":           {from(proxy, "203.0.113.9", "198.51.100.1"), "198.51.100.1"},
		"all are proxies":                  {from(proxy, "10.3.3.3, 10.2.2.2"), "10.3.3.3"},
		"a proxy that says nothing":        {from(proxy), "10.1.2.3"},
		"an empty list":                    {from(proxy, ""), "10.1.2.3"},
		"a comma alone":                    {from(proxy, ","), "10.1.2.3"},
		"not an address":                   {from(proxy, "203.0.113.9, unknown"), "10.1.2.3"},
		"not an address behind a proxy":    {from(proxy, "203.0.113.9, unknown, 10.9.9.9"), "10.9.9.9"},
		"with a port":                      {from(proxy, "203.0.113.9:99"), "203.0.113.9"},
		"IPv6":                             {from("[2001:db8:1::1]:443", "2001:db8:2::7"), "2001:db8:2::7"},
		"IPv6 with brackets":               {from(proxy, "[2001:db8:2::7]"), "2001:db8:2::7"},
		"IPv6 with brackets and a port":    {from(proxy, "[2001:db8:2::7]:99"), "2001:db8:2::7"},
		"a proxy on a wire of ours":        {from("[fe80::1%eth0]:443", "203.0.113.9"), "203.0.113.9"},
		"a zone in the list":               {from(proxy, "2001:db8:2::7%eth0"), "2001:db8:2::7"},
		"a long zone":                      {from(proxy, "2001:db8:2::7%"+strings.Repeat("z", 100)), "10.1.2.3"},
		"IPv4 in IPv6":                     {from("[::ffff:10.1.2.3]:1", "::ffff:203.0.113.9"), "203.0.113.9"},
		"64 KB of one hop":                 {from(proxy, strings.Repeat("9", 64<<10)), "10.1.2.3"},
		"64 KB of proxies":                 {from(proxy, "203.0.113.9"+strings.Repeat(",10.0.0.1", 8<<10)), "10.0.0.1"},
		"64 KB before the client":          {from(proxy, strings.Repeat("1.1.1.1,", 8<<10)+"203.0.113.9"), "203.0.113.9"},
		"thousands of headers":             {from(proxy, strings.Split(strings.Repeat("10.0.0.1,", 5000), ",")...), "10.1.2.3"},
		"no address at all":                {from("@"), "invalid IP"},
	}
	for name, c := range cases {
		if got := trusted.Address(c.request).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestOtherHeadersAreNotRead sends what other servers believe.
func TestOtherHeadersAreNotRead(t *testing.T) {
	r := from("10.1.2.3:4711", "203.0.113.9")
	for _, name := range []string{"Forwarded", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip"} {
		r.Header.Set(name, "for=198.51.100.1")
	}
	if got := trusted.Address(r).String(); got != "203.0.113.9" {
		t.Error(got)
	}
	if got := Proxies(nil).Address(r).String(); got != "10.1.2.3" {
		t.Errorf("nobody is trusted, and yet it is %s", got)
	}
}

// FuzzAddress: whatever the list says, a client that is no proxy is itself, and
// what a trusted proxy wrote last is never passed over.
func FuzzAddress(f *testing.F) {
	f.Add("198.51.100.1, 10.0.0.1", "")
	f.Add("[::1]:80,,%", "fe80::1%eth0")
	f.Fuzz(func(t *testing.T, one, two string) {
		if got := trusted.Address(from("203.0.113.9:1", one, two)).String(); got != "203.0.113.9" {
			t.Errorf("believed a client: %s", got)
		}
		if got := trusted.Address(from("10.0.0.1:1", one, two, "203.0.113.9")).String(); got != "203.0.113.9" {
			t.Errorf("passed over the proxy's word: %s", got)
		}
	})
}
