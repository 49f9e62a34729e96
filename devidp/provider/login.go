package provider

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"
)

const maxLogins = 1000

// login is a browser that has chosen a user.
type login struct {
	sub string
	at  time.Time
}

// logins are kept by the cookie's value; beyond maxLogins the oldest goes.
type logins struct {
	mu    sync.Mutex
	order []string
	byID  map[string]login
}

func newLogins() *logins { return &logins{byID: map[string]login{}} }

func (l *logins) start(sub string) (string, login) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id, in := rand.Text(), login{sub, time.Now().UTC()}
	if len(l.order) >= maxLogins {
		delete(l.byID, l.order[0])
		l.order = l.order[1:]
	}
	l.byID[id], l.order = in, append(l.order, id)
	return id, in
}

func (l *logins) find(id string) (login, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in, ok := l.byID[id]
	return in, ok
}

func (l *logins) end(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byID, id)
	l.order = slices.DeleteFunc(l.order, func(o string) bool { return o == id })
}

// cookieName has the port: cookies do not know ports, and two providers may run.
func (p *Provider) cookieName() string { return "devidp_" + p.issuer.Port() }

func (p *Provider) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: p.cookieName(), Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// loggedIn is this browser's login, if its user may still log in.
func (p *Provider) loggedIn(r *http.Request) (login, bool) {
	c, err := r.Cookie(p.cookieName())
	if err != nil {
		return login{}, false
	}
	in, ok := p.logins.find(c.Value)
	if _, active := p.users.active(in.sub); !ok || !active {
		return login{}, false
	}
	return in, true
}

// authorize answers the client's question (GET) and the login page's (POST, with
// the client's question in the query still).
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		http.Error(w, "only GET and POST", http.StatusMethodNotAllowed)
		return
	}
	query := r.URL.Query()
	if !p.redirects(query.Get("client_id"), query.Get("redirect_uri")) {
		showMessage(w, http.StatusBadRequest, "This client or its redirect URI is not registered here.")
		return
	}
	ar, err := p.question(r)
	if err != nil {
		p.oauth.WriteAuthorizeError(r.Context(), w, ar, err)
		return
	}
	if r.Method == http.MethodPost {
		p.choose(w, r, ar)
		return
	}
	prompt := strings.Fields(query.Get("prompt"))
	in, ok := p.loggedIn(r)
	switch {
	case ok && !slices.Contains(prompt, "login"):
		p.grant(w, r, ar, in)
	case slices.Contains(prompt, "none"):
		p.oauth.WriteAuthorizeError(r.Context(), w, ar, fosite.ErrLoginRequired)
	default:
		p.showLogin(w, r, http.StatusOK, "")
	}
}

// question is the client's; the client table does not change meanwhile.
func (p *Provider) question(r *http.Request) (fosite.AuthorizeRequester, error) {
	if err := r.ParseForm(); err != nil {
		return fosite.NewAuthorizeRequest(), fosite.ErrInvalidRequest.WithWrap(err)
	}
	p.tokens.Lock()
	defer p.tokens.Unlock()
	return p.oauth.NewAuthorizeRequest(r.Context(), r)
}

// choose logs in as the user whose button was pressed, or whose password came.
func (p *Provider) choose(w http.ResponseWriter, r *http.Request, ar fosite.AuthorizeRequester) {
	u, ok := p.users.active(r.PostForm.Get("sub"))
	if !ok {
		p.showLogin(w, r, http.StatusForbidden, "This user is not known here, or is disabled.")
		return
	}
	if u.Password != "" && subtle.ConstantTimeCompare([]byte(u.Password), []byte(r.PostForm.Get("password"))) != 1 {
		p.showLogin(w, r, http.StatusForbidden, "This is not the password of "+cmp.Or(u.Name, u.Sub)+". Try again.")
		return
	}
	id, in := p.logins.start(u.Sub)
	p.setCookie(w, id, 0)
	p.grant(w, r, ar, in)
}

// grant sends the browser back to the client with a code.
func (p *Provider) grant(w http.ResponseWriter, r *http.Request, ar fosite.AuthorizeRequester, in login) {
	for _, scope := range ar.GetRequestedScopes() {
		ar.GrantScope(scope)
	}
	session := openid.NewDefaultSession()
	session.Subject, session.Claims.Subject, session.Claims.AuthTime = in.sub, in.sub, in.at
	if r.Method == http.MethodPost {
		session.Claims.RequestedAt = in.at // prompt=login: this was the login
	}
	p.tokens.Lock()
	defer p.tokens.Unlock()
	if !p.room() {
		p.oauth.WriteAuthorizeError(r.Context(), w, ar, errFull)
		return
	}
	response, err := p.oauth.NewAuthorizeResponse(r.Context(), ar, session)
	if err != nil {
		p.oauth.WriteAuthorizeError(r.Context(), w, ar, err)
		return
	}
	p.oauth.WriteAuthorizeResponse(r.Context(), w, ar, response)
}
