package provider

import (
	"net/http"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"
)

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if !p.room() {
		p.oauth.WriteAccessError(ctx, w, fosite.NewAccessRequest(openid.NewDefaultSession()), errFull)
		return
	}
	request, err := p.oauth.NewAccessRequest(ctx, r, openid.NewDefaultSession())
	if err != nil {
		p.oauth.WriteAccessError(ctx, w, request, err)
		return
	}
	if _, ok := p.users.active(request.GetSession().GetSubject()); !ok {
		p.oauth.WriteAccessError(ctx, w, request, fosite.ErrInvalidGrant.WithHint("This user is disabled."))
		return
	}
	for _, scope := range request.GetRequestedScopes() {
		request.GrantScope(scope)
	}
	response, err := p.oauth.NewAccessResponse(ctx, request)
	if err != nil {
		p.oauth.WriteAccessError(ctx, w, request, err)
		return
	}
	p.oauth.WriteAccessResponse(ctx, w, request, response)
}

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	_, access, err := p.oauth.IntrospectToken(r.Context(), fosite.AccessTokenFromRequest(r), fosite.AccessToken, openid.NewDefaultSession(), "openid")
	if err == nil {
		if u, ok := p.users.active(access.GetSession().GetSubject()); ok {
			claims := map[string]any{"sub": u.Sub}
			u.claimsOf(claims)
			overlay(claims, u.UserInfo)
			writeJSON(w, claims)
			return
		}
	}
	w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	http.Error(w, "the access token is not good", http.StatusUnauthorized)
}

func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) {
	err := p.oauth.NewRevocationRequest(r.Context(), r)
	p.oauth.WriteRevocationResponse(r.Context(), w, err)
}
