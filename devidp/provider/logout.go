package provider

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/go-jose/go-jose/v3"
)

// logout ends this browser's login. A good id_token_hint does so at once, without
// one a person is asked.
func (p *Provider) logout(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		showMessage(w, http.StatusBadRequest, "The form cannot be read.")
		return
	}
	target, client := r.Form.Get("post_logout_redirect_uri"), r.Form.Get("client_id")
	hint := r.Form.Get("id_token_hint")
	if hint != "" {
		audience, ok := p.audience(hint)
		if !ok || client != "" && client != audience {
			showMessage(w, http.StatusBadRequest, "The id_token_hint is not one of this provider and client.")
			return
		}
		client = audience
	}
	if target != "" && !p.mayReturn(client, target) {
		showMessage(w, http.StatusBadRequest, "The post_logout_redirect_uri is not registered here.")
		return
	}
	if hint == "" && r.Method != http.MethodPost {
		show(w, http.StatusOK, pageData{Title: "Log out?", Action: "/logout?" + r.URL.RawQuery, Button: "Log out"})
		return
	}
	if c, err := r.Cookie(p.cookieName()); err == nil {
		p.logins.end(c.Value)
	}
	p.setCookie(w, "", -1)
	if target == "" {
		show(w, http.StatusOK, pageData{Title: "Logged out"})
		return
	}
	http.Redirect(w, r, returnTo(target, r.Form.Get("state")), http.StatusSeeOther)
}

func returnTo(target, state string) string {
	u, err := url.Parse(target)
	if err != nil || state == "" {
		return target
	}
	q := u.Query()
	q.Set("state", state)
	u.RawQuery = q.Encode()
	return u.String()
}

// mayReturn holds for addresses of the origin of a registered redirect URI.
func (p *Provider) mayReturn(client, target string) bool {
	to, err := url.Parse(target)
	if err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.clients[client]
	if !ok {
		return false
	}
	for _, registered := range c.RedirectURIs {
		if u, err := url.Parse(registered); err == nil && u.Scheme == to.Scheme && u.Host == to.Host {
			return true
		}
	}
	return false
}

// audience is the client that an ID token of ours was for. It may have expired.
func (p *Provider) audience(token string) (string, bool) {
	signed, err := jose.ParseSigned(token)
	if err != nil || len(signed.Signatures) != 1 || signed.Signatures[0].Header.Algorithm != p.keys.algorithm {
		return "", false
	}
	for _, key := range p.keys.public().Keys {
		payload, err := signed.Verify(key)
		if err != nil {
			continue
		}
		var claims struct {
			Aud []string `json:"aud"`
		}
		if json.Unmarshal(payload, &claims) != nil || len(claims.Aud) == 0 {
			return "", false
		}
		return claims.Aud[0], true
	}
	return "", false
}
