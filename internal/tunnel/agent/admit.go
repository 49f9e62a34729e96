package agent

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
)

// Bounds of what one request may claim. They are those of the server's own policy,
// with room: it is not the agent that decides who somebody is.
const (
	maxGroups = 1024
	maxName   = 4 << 10
)

// told are the headers that go on to the apiserver; no other does.
var told = []string{
	"Accept", "Accept-Encoding", "Content-Type", "User-Agent", "Audit-Id",
	impersonateUser, impersonateGroup,
	// Of an upgrade. A WebSocket watch is refused without an Origin.
	"Origin", "X-Stream-Protocol-Version",
	webSocketProtocol, "Sec-Websocket-Version", "Sec-Websocket-Key", "Sec-Websocket-Extensions",
}

// ofHop are the headers of an upgrade that are each connection's own.
var ofHop = []string{"Connection", "Upgrade"}

const (
	impersonateUser   = "Impersonate-User"
	impersonateGroup  = "Impersonate-Group"
	webSocketProtocol = "Sec-Websocket-Protocol"
)

// refusal is a request that the agent does not forward, in words for the server's
// user and for the log.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

// admit says why a request is not forwarded; nil: it is.
func admit(r *http.Request, exec bool) error {
	if err := oneIdentity(r.Header); err != nil {
		return err
	}
	if err := plainPath(r); err != nil {
		return err
	}
	if !exec && entersPod(r.URL.Path) {
		return refuse("The owner of this cluster has switched shells off (PERISCOPE_AGENT_EXEC). Ask them for another way in.")
	}
	return nil
}

// oneIdentity asks for exactly one impersonated user, of no more than groups, and
// none of Kubernetes' own. Without it the request would have the agent's rights.
func oneIdentity(h http.Header) error {
	users := h.Values(impersonateUser)
	if len(users) != 1 {
		return refuse("The request names %d users to act as, and the agent forwards only what one user asks.", len(users))
	}
	groups := h.Values(impersonateGroup)
	if len(groups) > maxGroups {
		return refuse("The request names %d groups to act as; the agent forwards at most %d.", len(groups), maxGroups)
	}
	for _, name := range append(groups[:len(groups):len(groups)], users[0]) {
		if err := ordinary(name); err != nil {
			return err
		}
	}
	if err := nothingElse(h); err != nil {
		return err
	}
	return nothingDropped(h)
}

// ordinary takes no name that Kubernetes keeps for itself. Case and blanks around
// it are not looked at twice: no name that anybody means differs in these alone.
func ordinary(name string) error {
	switch bare := strings.ToLower(strings.TrimSpace(name)); {
	case bare == "":
		return refuse("The request acts as a user or group without a name, which the agent does not forward.")
	case len(name) > maxName:
		return refuse("The request acts as a user or group with a name of %d bytes; the agent forwards at most %d.", len(name), maxName)
	case strings.HasPrefix(bare, "system:"):
		return refuse("The request acts as %q. Names that begin with “system:” are Kubernetes' own, and the agent does not act as them.", name)
	}
	return nil
}

// nothingElse refuses what would add to the identity, or replace it: an impersonated
// UID or extra, credentials, and a bearer token among a WebSocket's protocols, which
// the apiserver takes as well as one in the header meant for it.
func nothingElse(h http.Header) error {
	for name := range h {
		switch {
		case name == impersonateUser, name == impersonateGroup:
		case strings.HasPrefix(name, "Impersonate-"):
			return refuse("The request has a header %s, which the agent does not forward.", name)
		case name == "Authorization":
			return refuse("The request brings credentials of its own, which the agent does not forward.")
		}
	}
	for _, line := range h.Values(webSocketProtocol) {
		if strings.Contains(strings.ToLower(line), "bearer") {
			return refuse("The request brings a token among its WebSocket protocols, which the agent does not forward.")
		}
	}
	return nil
}

// nothingDropped refuses a Connection that lists other headers: a proxy takes out what
// it lists, and so the identity (CVE-2021-31999).
func nothingDropped(h http.Header) error {
	for _, line := range h.Values("Connection") {
		for option := range strings.SplitSeq(line, ",") {
			switch strings.ToLower(strings.Trim(option, " \t")) {
			case "", "upgrade", "keep-alive", "close":
			default:
				return refuse("The request's header Connection lists %.100q, which the agent does not forward.", option)
			}
		}
	}
	return nil
}

// plainPath keeps two readers from seeing two paths.
func plainPath(r *http.Request) error {
	p := r.URL.Path
	if r.URL.RawPath != "" || !strings.HasPrefix(p, "/") || p != path.Clean(p) && p != path.Clean(p)+"/" {
		return refuse("The request's path %.200q is not written plainly, so the agent does not forward it.", r.URL.EscapedPath())
	}
	return nil
}

// entersPod knows each way into a container: exec, attach, an ephemeral container,
// and the kubelet's own API behind a node's proxy, which has all of these.
func entersPod(p string) bool {
	parts := strings.Split(strings.Trim(p, "/"), "/")
	return under(parts, "pods", "exec", "attach", "ephemeralcontainers") || under(parts, "nodes", "proxy")
}

// under looks for RESOURCE/NAME/SUBRESOURCE anywhere: what stands before it differs
// from API to API, and a false alarm refuses a name that no resource has.
func under(parts []string, resource string, subresources ...string) bool {
	for i := 0; i+2 < len(parts); i++ {
		if parts[i] == resource && slices.Contains(subresources, parts[i+2]) {
			return true
		}
	}
	return false
}

// only leaves of h what has one of the names.
func only(h http.Header, names []string) http.Header {
	kept := make(http.Header, len(names))
	for _, name := range names {
		if values := h.Values(name); len(values) > 0 {
			kept[name] = values
		}
	}
	return kept
}
