package httpapi

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/tunnel/contract"
	"github.com/periscope-console/periscope/internal/tunnel/enrol"
	"github.com/periscope-console/periscope/internal/tunnel/pki"
)

// maxRegistration bounds the body of a registration, in bytes: a signing request
// of the largest key that is taken, and some room.
const maxRegistration = 16 << 10

// agentRoutes are how agents are enrolled (docs/agent-onboarding.md). Anything else of
// theirs is on their own listener.
func (s *server) agentRoutes() []route {
	return []route{
		get("/api/agents", "listAgents", "The clusters that an agent is registered for, and the tokens that wait for one, to an administrator", s.listAgents).polled().by(token.Admin),
		post("/api/agents/tokens", "mintAgentToken", "Make a token by which an agent registers, once; the answer alone shows it", s.mintAgentToken).counted().by(token.Admin),
		s.registerRoute(),
		remove("/api/agents/{cluster}/tokens/{id}", "withdrawAgentToken", "Withdraw a token by which no agent has registered yet", s.withdrawAgentToken).by(token.Admin),
		remove("/api/agents/{cluster}", "revokeAgent", "Revoke every certificate and token of a cluster's agent, and end its link", s.revokeAgent).by(token.Admin),
	}
}

// registerRoute is served on the agents' listener too.
func (s *server) registerRoute() route {
	return public(post(contract.RegisterPath, "registerAgent", "Register an agent, by its token alone", s.registerAgent)).atMost(maxRegistration)
}

// AgentListener is what agents find at their own listener, beside registration.
type AgentListener struct {
	// Names are the hosts that the listener is asked for: those of its certificate.
	Names []string
	// Admit is an error, for the client to read, where these certificates let nobody
	// in.
	Admit func(ctx context.Context, shown []*x509.Certificate) error
	// Connect takes a connection over, or answers nothing and is an error.
	Connect func(w http.ResponseWriter, r *http.Request) error
}

// NewAgents builds the handler of the agents' listener: registration, with the checks
// and the quota of the main one where o has the same; the link; and for anybody without
// a certificate that lets an agent in, a 401 wherever else they look. No proxy is
// believed: none that ends TLS can stand before this listener, so that whatever is in
// X-Forwarded-For was written by the client.
func NewAgents(o Options, l AgentListener) http.Handler {
	o.Proxies = nil
	s := newServer(o)
	mux := http.NewServeMux()
	r := s.registerRoute()
	mux.HandleFunc(r.method+" "+r.path, s.handler(r))
	mux.HandleFunc("GET "+contract.ConnectPath, func(w http.ResponseWriter, r *http.Request) {
		if err := l.Connect(w, r); err != nil {
			fail(w, err)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if err := l.Admit(r.Context(), shown(r)); err != nil {
			fail(w, err)
			return
		}
		s.unknown(w, r)
	})
	return Hurried(s.observed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Guard.headers(w.Header())
		if err := l.named(r.Host); err != nil {
			fail(w, err)
			return
		}
		mux.ServeHTTP(w, r)
	})))
}

func shown(r *http.Request) []*x509.Certificate {
	if r.TLS == nil {
		return nil
	}
	return r.TLS.PeerCertificates
}

// named takes a request for one of the listener's own names, by whatever port it came.
func (l AgentListener) named(host string) error {
	name := strings.ToLower(host)
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	if ip, err := netip.ParseAddr(name); err == nil {
		name = ip.Unmap().String()
	}
	if slices.Contains(l.Names, name) {
		return nil
	}
	return fault.New(fault.Misdirected, "httpapi.agents", "The agents' listener is not called %s. Use one of the names in PERISCOPE_AGENT_TUNNEL_SANS.", clip(name, 128))
}

// AgentURLs are where agents find this server.
type AgentURLs struct {
	// Link is the agents' listener by its own port, PassedThrough the same behind a
	// load balancer that passes TLS through on the port of https.
	Link, PassedThrough string
	// Register is on the main listener.
	Register string
}

// NewAgentToken says whose agent is to register.
type NewAgentToken struct {
	Cluster string `json:"cluster" doc:"A cluster of this server with the backend agent"`
}

// AgentCommands start an agent, one for each way in which it may reach the server.
type AgentCommands struct {
	OneURL     string `json:"oneUrl" doc:"Everything at one address of port 443, from which TLS is passed through to the agents' listener"`
	TwoURLs    string `json:"twoUrls" doc:"Registration at the server's public address, the link straight to the agents' listener"`
	SelfSigned string `json:"selfSigned" doc:"Both straight to the agents' listener, which is known by its pin alone"`
}

// AgentToken is the answer of mintAgentToken.
type AgentToken struct {
	ID        string        `json:"id" doc:"Names the token in audit; nobody can act by it"`
	Cluster   string        `json:"cluster"`
	Token     string        `json:"token" doc:"The token itself, which is never shown again"`
	ExpiresAt time.Time     `json:"expiresAt"`
	CAHash    string        `json:"caHash" doc:"Pin of the agents' CA: sha256: and the SHA-256 of its SubjectPublicKeyInfo in hexadecimal digits"`
	Commands  AgentCommands `json:"commands" doc:"What to run in the cluster, one of them"`
}

// AgentRegistration is what a new agent sends.
type AgentRegistration struct {
	Token   string `json:"token"`
	Cluster string `json:"cluster" doc:"The cluster that the token is for; another one uses the token up"`
	CSR     string `json:"csr" doc:"A certificate signing request in PEM, named as the cluster or not at all"`
}

// RegisteredAgent is what it gets.
type RegisteredAgent struct {
	Certificate string    `json:"certificate" doc:"The agent's client certificate, in PEM"`
	CA          string    `json:"ca" doc:"What the agent trusts for the link, in PEM"`
	ExpiresAt   time.Time `json:"expiresAt" doc:"When the certificate ends; the agent renews it before"`
}

// Agent is what is registered for a cluster.
type Agent struct {
	Cluster      string     `json:"cluster"`
	RegisteredAt time.Time  `json:"registeredAt"`
	MintedBy     AgentAdmin `json:"mintedBy" doc:"Who made the token by which it registered"`
	IssuedAt     time.Time  `json:"issuedAt" doc:"When its newest certificate was made"`
	RenewAt      time.Time  `json:"renewAt" doc:"When the agent renews that"`
	ExpiresAt    time.Time  `json:"expiresAt" doc:"When that ends"`
	Certificates int        `json:"certificates" doc:"How many of its certificates are not revoked"`
}

// AgentAdmin is an administrator who has made a token.
type AgentAdmin struct {
	Subject string `json:"subject"`
	Email   string `json:"email" doc:"May be empty"`
}

// AgentList is the answer of listAgents.
type AgentList struct {
	Agents []Agent        `json:"agents" doc:"By cluster, at most 1000"`
	Tokens []WaitingToken `json:"tokens" doc:"Those by which an agent can still register, the first to expire first, at most 1000"`
}

// WaitingToken is a token that was not used yet. The token itself is shown nowhere.
type WaitingToken struct {
	ID        string     `json:"id"`
	Cluster   string     `json:"cluster"`
	MintedBy  AgentAdmin `json:"mintedBy"`
	CreatedAt time.Time  `json:"createdAt"`
	ExpiresAt time.Time  `json:"expiresAt"`
}

func (s *server) enrolment() (*enrol.Keeper, error) {
	if s.Agents == nil {
		return nil, fault.New(fault.NotFound, "httpapi.agents",
			"No cluster of this server is reached through an agent. Add one to clusters.yaml with backend: agent, and restart the server.")
	}
	return s.Agents, nil
}

func (s *server) listAgents(c *call) (AgentList, error) {
	agents, err := s.enrolment()
	if err != nil {
		return AgentList{}, err
	}
	all, err := agents.List(c.ctx(), c.actor)
	if err != nil {
		return AgentList{}, err
	}
	waiting, err := agents.Waiting(c.ctx(), c.actor)
	list := AgentList{Agents: make([]Agent, 0, len(all)), Tokens: make([]WaitingToken, 0, len(waiting))}
	for _, a := range all {
		if c.token.Reaches(a.Cluster) {
			list.Agents = append(list.Agents, agentOf(a))
		}
	}
	for _, t := range waiting {
		if c.token.Reaches(t.Cluster) {
			list.Tokens = append(list.Tokens, WaitingToken{
				ID: t.ID, Cluster: t.Cluster, MintedBy: adminOf(t.By), CreatedAt: t.Created.UTC(), ExpiresAt: t.Expires.UTC(),
			})
		}
	}
	return list, err
}

func adminOf(p enrol.Person) AgentAdmin { return AgentAdmin{Subject: p.Subject, Email: p.Email} }

func agentOf(a enrol.Current) Agent {
	return Agent{
		Cluster: a.Cluster, RegisteredAt: a.Registered.UTC(), MintedBy: adminOf(a.By),
		IssuedAt: a.Issued.UTC(), RenewAt: pki.RenewAt(a.Issued, a.Expires).UTC(), ExpiresAt: a.Expires.UTC(), Certificates: a.Count,
	}
}

func (s *server) mintAgentToken(c *call, in NewAgentToken) (AgentToken, error) {
	agents, err := s.enrolment()
	if err != nil {
		return AgentToken{}, err
	}
	if !c.token.Reaches(in.Cluster) {
		return AgentToken{}, fault.New(fault.Forbidden, "httpapi.mintAgentToken",
			"This token is limited to %s. Make one for the cluster that you mean on the page “Access tokens”.", words(c.token.Clusters))
	}
	t, secret, err := agents.Mint(c.ctx(), c.actor, c.requestID, in.Cluster)
	if err != nil {
		return AgentToken{}, err
	}
	_, pin := agents.CA()
	return AgentToken{
		ID: t.ID, Cluster: t.Cluster, Token: secret.Reveal(), ExpiresAt: t.Expires.UTC(), CAHash: pin,
		Commands: s.AgentURLs.commands(t.Cluster, secret.Reveal(), pin),
	}, nil
}

// commands need no quotes: names, addresses, token and pin are of letters, digits
// and marks that mean nothing to a shell.
func (u AgentURLs) commands(cluster, secret, pin string) AgentCommands {
	line := func(link string, more ...string) string {
		words := append([]string{"PERISCOPE_SERVER_URL=" + link, "PERISCOPE_CLUSTER_NAME=" + cluster}, more...)
		return strings.Join(append(words, "PERISCOPE_REGISTRATION_TOKEN="+secret, "periscope-agent"), " ")
	}
	pinned := "PERISCOPE_SERVER_CA_HASH=" + pin
	return AgentCommands{
		OneURL: line(u.PassedThrough, pinned), TwoURLs: line(u.Link, "PERISCOPE_REGISTRATION_URL="+u.Register), SelfSigned: line(u.Link, pinned),
	}
}

func (s *server) registerAgent(c *call, in AgentRegistration) (RegisteredAgent, error) {
	agents, err := s.enrolment()
	if err != nil {
		return RegisteredAgent{}, err
	}
	a, err := agents.Register(c.ctx(), enrol.Ask{Token: in.Token, Cluster: in.Cluster, Request: in.CSR})
	if err != nil {
		return RegisteredAgent{}, err
	}
	return RegisteredAgent{Certificate: string(a.PEM), CA: string(a.CA), ExpiresAt: a.Expires.UTC()}, nil
}

func (s *server) withdrawAgentToken(c *call) error {
	agents, err := s.enrolment()
	if err != nil {
		return err
	}
	return agents.Withdraw(c.ctx(), c.actor, c.requestID, c.r.PathValue("cluster"), c.r.PathValue("id"))
}

func (s *server) revokeAgent(c *call) error {
	agents, err := s.enrolment()
	if err != nil {
		return err
	}
	return agents.Revoke(c.ctx(), c.actor, c.requestID, c.r.PathValue("cluster"))
}
