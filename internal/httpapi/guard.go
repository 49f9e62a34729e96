package httpapi

import (
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/periscope-console/periscope/internal/fault"
)

// Guard says under which names this server answers. It is checked before the
// login: a wrong Host stops DNS rebinding, a wrong Origin stops other sites'
// scripts, WebSockets included.
type Guard struct {
	// Hosts are the values of Host that are answered, with their ports.
	Hosts []string
	// Origins are the values of Origin that are accepted, as scheme://host[:port].
	Origins []string
	// Probes lets a GET that is no upgrade pass under a loopback Host of any
	// port, for checks through a port-forward.
	Probes bool
	// TLS adds Strict-Transport-Security.
	TLS bool
}

// anyHost are the paths that load balancers ask for under any name.
var anyHost = map[string]bool{"/healthz": true, "/readyz": true}

func (g Guard) check(r *http.Request) error {
	if !g.hostAllowed(r) {
		return fault.New(fault.Misdirected, "httpapi.guard",
			"This server does not answer under the name %s. Open it at its public address; where that is the one, whoever runs it checks PERISCOPE_PUBLIC_URL and what the proxy passes on as Host.", clip(r.Host, 128))
	}
	if !g.originAllowed(r) || fromElsewhere(r) {
		return fault.New(fault.Forbidden, "httpapi.guard",
			"The page at another address may not use this server. Open Periscope at its own address.")
	}
	if changes(r) && r.ContentLength != 0 {
		return jsonBody(r)
	}
	return nil
}

// address is the first at which the server is at home.
func (g Guard) address() string {
	if len(g.Origins) == 0 {
		return ""
	}
	return g.Origins[0]
}

// changes reports whether the request may change something. An upgrade may,
// although it is a GET.
func changes(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return r.Header.Get("Upgrade") != ""
	}
	return true
}

// fromElsewhere reports whether a browser says by Sec-Fetch-Site alone that
// another site's page sends a request which changes something. Who logs in comes
// from the provider's site, but by a plain GET.
func fromElsewhere(r *http.Request) bool {
	if !changes(r) || len(r.Header.Values("Origin")) > 0 {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	return true
}

// visited refuses what a page asks for by itself, where the route is one to go to. It
// comes before the quota, which any page could use up for its visitors otherwise.
func visited(only bool, next http.HandlerFunc) http.HandlerFunc {
	if !only {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if fetched(r) {
			fail(w, fault.New(fault.Forbidden, "httpapi.visited",
				"A login takes a tab of its own: it goes neither in a frame nor behind a page. Open Periscope at its own address and log in there."))
			return
		}
		next(w, r)
	}
}

// fetched reports whether a browser says that it is not on its way to this address: it
// fills in a page or a frame, or looks ahead. Programs and old browsers say nothing.
func fetched(r *http.Request) bool {
	mode, into := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	return mode != "" && mode != "navigate" || into != "" && into != "document" || strings.HasPrefix(r.Header.Get("Sec-Purpose"), "prefetch")
}

func (g Guard) hostAllowed(r *http.Request) bool {
	if anyHost[r.URL.Path] {
		return true
	}
	for _, h := range g.Hosts {
		if strings.EqualFold(h, r.Host) {
			return true
		}
	}
	return g.Probes && r.Method == http.MethodGet && r.Header.Get("Upgrade") == "" && loopback(r.Host)
}

func loopback(host string) bool {
	u, err := url.Parse("http://" + host)
	if err != nil || u.User != nil || u.Path != "" {
		return false
	}
	name := u.Hostname()
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && (name == "127.0.0.1" || name == "::1")
}

// originAllowed accepts a missing Origin: browsers always send one on upgrades
// and on requests that change something, and programs send none.
func (g Guard) originAllowed(r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return true
	}
	if len(values) > 1 {
		return false
	}
	for _, o := range g.Origins {
		if strings.EqualFold(o, values[0]) {
			return true
		}
	}
	return false
}

// headers are on every answer. Styles may be inline because the terminal sets
// the size of each of its cells; scripts never are.
func (g Guard) headers(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "+
		"img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; "+
		"form-action 'self'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	if g.TLS {
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}

// jsonBody is an error for a request with a body that is no JSON: a form of
// another site could send anything else.
func jsonBody(r *http.Request) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return fault.New(fault.MediaType, "httpapi.body", "Send the body as JSON, with Content-Type: application/json.")
	}
	return nil
}
