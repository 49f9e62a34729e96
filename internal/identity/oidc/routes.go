package oidc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/entry"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

const (
	maxCode = 8 << 10
	// failureTime is how long the login page can still say why a login failed.
	failureTime = 5 * time.Minute
)

// Routes are those below /api/auth/. A login and its callback cost a request to
// the provider, or its secret, for whoever asks: no page of another site may have its
// visitors do so unseen.
func (l *Login) Routes() []entry.Route {
	return []entry.Route{
		{Method: http.MethodGet, Path: "/api/auth/config", Serve: l.configured},
		{Method: http.MethodGet, Path: "/api/auth/login", Serve: l.login, Limited: true, Visited: true},
		{Method: http.MethodGet, Path: "/api/auth/callback", Serve: l.callback, Limited: true, Visited: true},
		{Method: http.MethodGet, Path: "/api/auth/loggedout", Serve: l.loggedOut},
		{Method: http.MethodPost, Path: "/api/auth/logout", Serve: l.logout},
		{Method: http.MethodPost, Path: "/api/auth/logout/everywhere", Serve: l.logoutEverywhere},
	}
}

func (l *Login) configured(w http.ResponseWriter, r *http.Request) {
	answer := entry.Config{Mode: "oidc", ProviderName: l.o.ProviderName}
	var failure entry.Failure
	if l.failures().read(r, "", &failure) {
		l.failures().drop(w, "")
		answer.Failure = &failure
	}
	entry.Answer(w, http.StatusOK, answer)
}

// login sends the browser to the provider.
func (l *Login) login(w http.ResponseWriter, r *http.Request) {
	f, err := l.dir.get()
	if err != nil {
		l.fail(w, r, identity.Actor{}, err)
		return
	}
	config, err := l.config(r.Context(), f)
	if err != nil {
		l.fail(w, r, identity.Actor{}, err)
		return
	}
	p := newPending(safeNext(r.URL.Query().Get("next")))
	l.begin(w, r, p)
	with := []oauth2.AuthCodeOption{gooidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(p.Verifier)}
	if l.o.Audience != "" {
		with = append(with, oauth2.SetAuthURLParam("audience", l.o.Audience))
	}
	if r.URL.Query().Get("account") == "other" {
		with = append(with, oauth2.SetAuthURLParam("prompt", f.otherAccount()))
	}
	redirect(w, r, config.AuthCodeURL(p.State, with...))
}

// callback is where the provider sends the browser back to.
func (l *Login) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p, ok := l.finish(w, r, q.Get("state"))
	if !ok {
		l.fail(w, r, identity.Actor{}, refuse(nil, "This login was begun in another browser, was finished already, or took longer than %d minutes. Log in again.", int(pendingTime.Minutes())))
		return
	}
	if err := l.said(q); err != nil {
		l.fail(w, r, identity.Actor{}, err)
		return
	}
	g, err := l.exchange(r.Context(), q.Get("code"), p)
	if err != nil {
		l.fail(w, r, g.Actor, err)
		return
	}
	if err := l.relieve(r, g.Actor); err != nil {
		l.fail(w, r, g.Actor, err)
		return
	}
	if err := l.o.Audit(r.Context(), audit.AuthLogin, audit.Success, g.Actor, ""); err != nil {
		l.fail(w, r, g.Actor, err)
		return
	}
	if _, err := l.o.Sessions.Start(w, r, g); err != nil {
		_ = l.o.Audit(r.Context(), audit.AuthLogin, audit.Failure, g.Actor, fault.PublicOf(err))
		l.fail(w, r, g.Actor, err)
		return
	}
	redirect(w, r, p.Next)
}

// relieve ends the login of somebody else in this browser: the shells in its tabs
// are theirs, and another person sits before them now.
func (l *Login) relieve(r *http.Request, by identity.Actor) error {
	rec, known, err := l.o.Sessions.Kept(r)
	if err != nil || !known || rec.Actor.Same(by) {
		return err
	}
	_ = l.o.Audit(r.Context(), audit.AuthLogout, audit.Success, rec.Actor, "somebody else logged in in this browser")
	err = l.o.Sessions.EndOne(r.Context(), rec.Actor, rec.ID)
	if fault.KindOf(err) == fault.NotFound { // it has ended meanwhile
		return nil
	}
	if err != nil {
		_ = l.o.Audit(r.Context(), audit.AuthLogout, audit.Failure, rec.Actor, fault.PublicOf(err))
	}
	return err
}

var errorWord = regexp.MustCompile(`^[a-z_]{1,64}$`)

// said reads the provider's answer. Its free text is for nobody's eyes but the
// log's: anybody can write such an address.
func (l *Login) said(q url.Values) error {
	f, err := l.dir.get()
	if err != nil {
		return err
	}
	if issuer := q.Get("iss"); issuer != l.o.Issuer && (issuer != "" || f.metadata.SendsIssuer) {
		return refuse(nil, "This answer came from another login provider. Log in again; if it stays so, tell whoever runs this server.")
	}
	if word := q.Get("error"); word != "" {
		if !errorWord.MatchString(word) {
			word = "unknown"
		}
		return refuse(nil, "Your login provider did not let you in (%s). Log in again; if it stays so, tell whoever runs your login provider.", word)
	}
	if code := q.Get("code"); code == "" || len(code) > maxCode {
		return refuse(nil, "Your login provider's answer has no usable code. Log in again; if it stays so, tell whoever runs this server.")
	}
	return nil
}

// fail keeps the sentence for the login page, and sends the browser there.
func (l *Login) fail(w http.ResponseWriter, r *http.Request, who identity.Actor, err error) {
	id := w.Header().Get("X-Request-Id")
	l.o.Log.Warn("login.failed", "requestId", id, "actor", who.Subject, "error", err)
	outcome := audit.Failure
	if fault.KindOf(err) == fault.Forbidden {
		outcome = audit.Denied
	}
	who.Issuer = l.o.Issuer
	_ = l.o.Audit(r.Context(), audit.AuthDenied, outcome, who, fault.PublicOf(err))
	l.failures().set(w, "", fitting(entry.Failure{Message: fault.PublicOf(err), RequestID: id}), failureTime)
	redirect(w, r, "/")
}

// fitting cuts the sentence until a cookie can hold it: what a provider answers
// may be part of it.
func fitting(f entry.Failure) entry.Failure {
	for len(encode(f)) > maxCookie {
		r := []rune(f.Message)
		f.Message = string(r[:len(r)/2]) + "…"
	}
	return f
}

// loggedOut is where the provider sends people after a logout.
func (l *Login) loggedOut(w http.ResponseWriter, r *http.Request) { redirect(w, r, "/") }

// logout ends this browser's login here, and says where to end it at the
// provider: or the next click would log straight in again.
func (l *Login) logout(w http.ResponseWriter, r *http.Request) {
	rec, err := websession.Leave(w, r, l.o.Sessions, l.o.Audit)
	l.left(w, rec, err)
}

// logoutEverywhere ends every login of this person.
func (l *Login) logoutEverywhere(w http.ResponseWriter, r *http.Request) {
	rec, err := websession.LeaveEverywhere(w, r, l.o.Sessions, l.o.Audit)
	l.left(w, rec, err)
}

func (l *Login) left(w http.ResponseWriter, rec websession.Record, err error) {
	if err != nil {
		entry.Fail(w, err)
		return
	}
	var kept renewal
	_ = json.Unmarshal(rec.Renewal, &kept) // without a hint the provider asks
	entry.Answer(w, http.StatusOK, entry.LoggedOut{Redirect: l.endSession(kept.Hint)})
}

// endSession is RP-Initiated Logout 1.0, section 2; empty where the provider
// does not support it.
func (l *Login) endSession(hint string) string {
	f, err := l.dir.get()
	if err != nil || f.metadata.EndSession == "" {
		return ""
	}
	u, err := url.Parse(f.metadata.EndSession)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	q := u.Query()
	q.Set("client_id", l.o.ClientID)
	if hint != "" {
		q.Set("id_token_hint", hint)
	}
	if l.o.PostLogoutRedirect != "" {
		q.Set("post_logout_redirect_uri", l.o.PostLogoutRedirect)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func redirect(w http.ResponseWriter, r *http.Request, to string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusSeeOther)
}
