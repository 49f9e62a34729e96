package provider

import (
	"time"

	"github.com/ory/fosite"
)

const (
	// maxKept bounds the codes and tokens that are held at a time.
	maxKept = 100_000
	// forgetEvery is how often those that have expired are dropped.
	forgetEvery = time.Minute
)

var errFull = fosite.ErrTemporarilyUnavailable.WithHint("This provider holds as many logins as it has room for. Try again later, or start it anew.")

// room reports whether another code or token can be held. The caller has p.tokens.
func (p *Provider) room() bool {
	if now := time.Now(); now.Sub(p.forgotten) >= forgetEvery {
		p.forgotten = now
		p.forget(now)
	}
	return p.kept() < maxKept
}

func (p *Provider) kept() int {
	s := p.store
	return len(s.AuthorizeCodes) + len(s.IDSessions) + len(s.PKCES) + len(s.AccessTokens) + len(s.RefreshTokens)
}

// forget drops what has expired: nobody can use it, and a second use of it is
// refused as an unknown one's is. The caller has p.tokens.
func (p *Provider) forget(now time.Time) {
	s := p.store
	live := map[string]bool{}
	drop(s.AuthorizeCodes, now, fosite.AuthorizeCode, live)
	drop(s.IDSessions, now, fosite.AuthorizeCode, live)
	drop(s.PKCES, now, fosite.AuthorizeCode, live)
	drop(s.AccessTokens, now, fosite.AccessToken, live)
	drop(s.RefreshTokens, now, fosite.RefreshToken, live)
	for _, byRequest := range []map[string]string{s.AccessTokenRequestIDs, s.RefreshTokenRequestIDs} {
		for id := range byRequest {
			if !live[id] {
				delete(byRequest, id)
			}
		}
	}
}

// drop deletes what of that kind has expired, and notes whose requests live on.
func drop[R fosite.Requester](from map[string]R, now time.Time, kind fosite.TokenType, live map[string]bool) {
	for key, r := range from {
		until := r.GetSession().GetExpiresAt(kind)
		if until.IsZero() {
			until = r.GetRequestedAt().Add(codeTTL)
		}
		if now.After(until) {
			delete(from, key)
			continue
		}
		live[r.GetID()] = true
	}
}
