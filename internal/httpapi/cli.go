package httpapi

import (
	"strconv"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/grant"
	"github.com/periscope-console/periscope/internal/identity/token"
)

const (
	// cliLifetime is how long the token of a command line holds, where the rules
	// allow so much.
	cliLifetime = 30 * 24 * time.Hour
	// cliPage is where a person answers.
	cliPage = "/cli"
	// maxHostInName keeps a token's name within its bound.
	maxHostInName = 36
)

// cliRoutes are how a command line is logged in (docs/adr/0008).
func (s *server) cliRoutes() []route {
	return []route{
		public(post("/api/auth/cli/browser", "askByBrowser", "Ask to be logged in, with the answer to the command's own loopback address", s.askByBrowser)),
		public(post("/api/auth/cli/device", "askByDevice", "Ask to be logged in, with a code that the person types", s.askByDevice)),
		public(post("/api/auth/cli/redeem", "redeemLogin", "Take the token that the browser's code stands for, once", s.redeemLogin)),
		public(post("/api/auth/cli/poll", "pollLogin", "Ask whether the person has answered; the token where it was a yes", s.pollLogin)),
		get("/api/auth/cli/asks/{id}", "getLoginAsk", "Which command line asks to be logged in", s.getAsk).byBrowser(),
		post("/api/auth/cli/find", "findLoginAsk", "The same, by the code that it shows", s.findAsk),
		post("/api/auth/cli/asks/{id}", "answerLoginAsk", "Log a command line in as the caller, or refuse it", s.answerAsk),
		remove("/api/auth/token", "revokeThisToken", "Revoke the token that this request bears, and end its shells", s.revokeThis).by(token.Read),
	}
}

// public is a row that needs no login, and so is bounded by the quota.
func public(r route) route {
	r.public = true
	return r.counted()
}

// AskByBrowser is what a command line says that can open a browser.
type AskByBrowser struct {
	Host      string `json:"host" doc:"The name of its machine, to be shown"`
	Challenge string `json:"challenge" doc:"S256 of its verifier (RFC 7636)"`
	State     string `json:"state" doc:"16 to 128 letters, digits, - or _, given back beside the code"`
	Port      int    `json:"port" doc:"Its port on 127.0.0.1, where the answer is sent"`
}

// AskedByBrowser is the answer of askByBrowser.
type AskedByBrowser struct {
	Page             string `json:"page" doc:"The path to open in a browser"`
	ExpiresInSeconds int    `json:"expiresInSeconds"`
}

// AskByDevice is what a command line says that cannot.
type AskByDevice struct {
	Host string `json:"host" doc:"The name of its machine, to be shown"`
}

// AskedByDevice is the answer of askByDevice.
type AskedByDevice struct {
	DeviceCode       string `json:"deviceCode" doc:"What the command polls with; for nobody's eyes"`
	UserCode         string `json:"userCode" doc:"What the person types"`
	Page             string `json:"page" doc:"The path where they type it"`
	IntervalSeconds  int    `json:"intervalSeconds" doc:"How long to wait between two polls"`
	ExpiresInSeconds int    `json:"expiresInSeconds"`
}

// LoginAsk is a command line that asks to be logged in.
type LoginAsk struct {
	ID        string    `json:"id"`
	Host      string    `json:"host" doc:"The machine's name, as it says"`
	Agent     string    `json:"agent" doc:"What the program calls itself"`
	Address   string    `json:"address" doc:"The network address that it asks from"`
	Device    bool      `json:"device" doc:"Whether the person typed its code"`
	AskedAt   time.Time `json:"askedAt"`
	ExpiresAt time.Time `json:"expiresAt" doc:"Until when it can be answered"`
	TokenDays int       `json:"tokenDays" doc:"For how many days a yes holds; 0 for less than one"`
}

// FindLoginAsk is a code that a person has typed.
type FindLoginAsk struct {
	UserCode string `json:"userCode"`
}

// AnswerLoginAsk is a yes or a no.
type AnswerLoginAsk struct {
	Allow bool `json:"allow"`
}

// AnsweredLoginAsk is the answer of answerLoginAsk.
type AnsweredLoginAsk struct {
	Redirect string `json:"redirect" doc:"Where the browser goes on to, on 127.0.0.1; empty for a device"`
}

// RedeemLogin is a code and the proof of having asked.
type RedeemLogin struct {
	Code     string `json:"code"`
	Verifier string `json:"verifier"`
}

// PollLogin is a device's question.
type PollLogin struct {
	DeviceCode string `json:"deviceCode"`
}

// CommandLogin is how far the login of a command line is.
type CommandLogin struct {
	State           string       `json:"state" enum:"pending,slow_down,refused,allowed"`
	IntervalSeconds int          `json:"intervalSeconds" doc:"How long to wait before the next poll"`
	Token           *AccessToken `json:"token" doc:"What it got; null until it is allowed"`
	Secret          string       `json:"secret" doc:"The token itself, which is never shown again; empty until it is allowed"`
}

func (s *server) asker(c *call, host string) (grant.Asker, error) {
	if !s.Tokens.Limits().Enabled {
		return grant.Asker{}, fault.New(fault.Forbidden, "httpapi.cli",
			"Access tokens are switched off on this server, and a command line logs in by one. Ask whoever runs it if you need it.")
	}
	return grant.Asker{Host: host, Agent: c.r.UserAgent(), Address: s.Proxies.Address(c.r)}, nil
}

func (s *server) askByBrowser(c *call, in AskByBrowser) (AskedByBrowser, error) {
	who, err := s.asker(c, in.Host)
	if err != nil {
		return AskedByBrowser{}, err
	}
	g, err := s.Grants.Browser(c.ctx(), who, in.Challenge, in.State, in.Port)
	if err != nil {
		return AskedByBrowser{}, err
	}
	return AskedByBrowser{Page: cliPage + "?ask=" + g.ID, ExpiresInSeconds: secondsUntil(g.Expires)}, nil
}

func (s *server) askByDevice(c *call, in AskByDevice) (AskedByDevice, error) {
	who, err := s.asker(c, in.Host)
	if err != nil {
		return AskedByDevice{}, err
	}
	g, deviceCode, userCode, err := s.Grants.Device(c.ctx(), who)
	if err != nil {
		return AskedByDevice{}, err
	}
	return AskedByDevice{
		DeviceCode: deviceCode, UserCode: userCode, Page: cliPage,
		IntervalSeconds: int(g.Interval / time.Second), ExpiresInSeconds: secondsUntil(g.Expires),
	}, nil
}

func secondsUntil(t time.Time) int { return max(0, int(time.Until(t).Round(time.Second)/time.Second)) }

func (s *server) askOf(g grant.Grant) LoginAsk {
	return LoginAsk{
		ID: g.ID, Host: g.Host, Agent: g.Agent, Address: g.Address, Device: g.Device(), AskedAt: g.Created.UTC(), ExpiresAt: g.Expires.UTC(),
		TokenDays: int(s.cliLifetime() / (24 * time.Hour)),
	}
}

func (s *server) cliLifetime() time.Duration { return min(cliLifetime, s.Tokens.Limits().MaxLifetime) }

func (s *server) getAsk(c *call) (LoginAsk, error) {
	g, err := s.Grants.Look(c.ctx(), c.r.PathValue("id"), c.login)
	if err != nil {
		return LoginAsk{}, err
	}
	return s.askOf(g), nil
}

func (s *server) findAsk(c *call, in FindLoginAsk) (LoginAsk, error) {
	g, err := s.Grants.Find(c.ctx(), c.actor, c.login, in.UserCode)
	if err != nil {
		return LoginAsk{}, err
	}
	return s.askOf(g), nil
}

func (s *server) answerAsk(c *call, in AnswerLoginAsk) (AnsweredLoginAsk, error) {
	id := c.r.PathValue("id")
	var to string
	var err error
	if in.Allow {
		to, err = s.Grants.Allow(c.ctx(), id, c.login)
	} else {
		to, err = s.Grants.Refuse(c.ctx(), id, c.login)
	}
	return AnsweredLoginAsk{Redirect: to}, err
}

func (s *server) redeemLogin(c *call, in RedeemLogin) (CommandLogin, error) {
	g, err := s.Grants.Redeem(c.ctx(), in.Code, in.Verifier)
	if err != nil {
		return CommandLogin{}, err
	}
	return s.logIn(c, g)
}

func (s *server) pollLogin(c *call, in PollLogin) (CommandLogin, error) {
	g, slow, err := s.Grants.Poll(c.ctx(), in.DeviceCode)
	if err != nil {
		return CommandLogin{}, err
	}
	is := CommandLogin{State: "pending", IntervalSeconds: int(g.Interval / time.Second)}
	switch {
	case g.State == grant.Allowed:
		return s.logIn(c, g)
	case g.State == grant.Refused:
		is.State = "refused"
	case slow:
		is.State = "slow_down"
	}
	return is, nil
}

// logIn makes the token of a grant that was allowed and has been taken. It is
// made as whoever that login is by now: one that has ended makes none.
func (s *server) logIn(c *call, g grant.Grant) (CommandLogin, error) {
	actor, err := s.present(c, g)
	if err != nil {
		return CommandLogin{}, err
	}
	name, err := s.cliName(c, actor, g.Host)
	if err != nil {
		return CommandLogin{}, err
	}
	t, secret, err := s.Tokens.Create(c.ctx(), actor, c.requestID, token.Wish{
		Name: name, Scopes: []token.Scope{token.Read, token.Exec}, Lifetime: s.cliLifetime(),
	})
	if err != nil {
		return CommandLogin{}, err
	}
	// As stillIn: who signs out everywhere meanwhile takes this token along.
	if _, err := s.present(c, g); err != nil {
		_ = s.Tokens.Revoke(c.ctx(), actor, c.requestID, t.ID) // the caller never gets it either way
		return CommandLogin{}, err
	}
	c.actor = actor
	shown := s.tokenOf(c, token.Held{Token: t, Owner: token.Person{Subject: actor.Subject, Email: actor.Email}})
	return CommandLogin{State: "allowed", Token: &shown, Secret: secret.Reveal()}, nil
}

// present is who allowed it.
func (s *server) present(c *call, g grant.Grant) (identity.Actor, error) {
	actor, err := s.Logins.Present(c.ctx(), g.Login)
	if fault.KindOf(err) == fault.Unauthenticated {
		err = fault.Wrap(err, fault.Forbidden, "httpapi.present", "The login in the browser that allowed this has ended. Log in there, then run periscope login again.")
	}
	return actor, err
}

// cliName is a name that none of the person's tokens has.
func (s *server) cliName(c *call, a identity.Actor, host string) (string, error) {
	if host == "" {
		host = "an unnamed host"
	}
	if runes := []rune(host); len(runes) > maxHostInName {
		host = string(runes[:maxHostInName-1]) + "…"
	}
	held, err := s.Tokens.List(c.ctx(), a, false)
	if err != nil {
		return "", err
	}
	taken := make(map[string]bool, len(held))
	for _, h := range held {
		taken[h.Token.Name] = true
	}
	name := "periscope login on " + host
	for n := 2; taken[name]; n++ {
		name = "periscope login on " + host + " (" + strconv.Itoa(n) + ")"
	}
	return name, nil
}

// revokeThis is how a command line logs out.
func (s *server) revokeThis(c *call) error {
	if c.token.ID == "" {
		return fault.New(fault.Invalid, "httpapi.revokeThis", "This request bears no token. Tokens of yours are revoked on the page “Access tokens”.")
	}
	return s.Tokens.RevokeItself(c.ctx(), c.actor, c.requestID, c.token.ID)
}
