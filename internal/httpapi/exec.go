package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/podexec"
	"github.com/periscope-console/periscope/internal/wsock"
)

const (
	maxCommandParam = 24 << 10
	// openTime is how long a v2 client may take to send its first frame.
	openTime = 15 * time.Second
	// admitTime bounds the checks before the dial.
	admitTime = 20 * time.Second
)

// execRoute is the terminal; its frames are described in api/terminal.md.
func (s *server) execRoute() route {
	return route{
		method: http.MethodGet, path: "/api/clusters/{cluster}/pods/{namespace}/{pod}/exec",
		id: "exec", summary: "A shell or a command in a container, over a WebSocket (see terminal.md)",
		query: []param{
			{"container", "The container; the pod's default when empty", "string"},
			{"command", "base64url of a JSON array of strings; a shell when empty", "string"},
			{"tty", "Whether to allocate a terminal; true when empty", "boolean"},
			{"cols", "Columns of the terminal", "integer"},
			{"rows", "Rows of the terminal", "integer"},
			{"reason", "Why, in one line of at most 512 bytes", "string"},
		},
		// A page comes back to its shells by itself. What a person asks for is told by acted.
		background: true,
		endless:    true, scope: token.Exec, serve: s.exec,
	}
}

func (s *server) exec(c *call) error {
	v2, err := subprotocol(c.r)
	if err != nil {
		return err
	}
	req := podexec.Request{
		Actor: c.actor, RequestID: c.requestID, Client: audit.SourceOf(c.ctx()).Address, TTY: true,
		Cluster: c.r.PathValue("cluster"), Namespace: c.r.PathValue("namespace"), Pod: c.r.PathValue("pod"),
	}
	s.stands(c, &req)
	if v2 {
		return s.execV2(c, req)
	}
	return s.execPlain(c, req)
}

// stands ties a shell to the login or token that it stands on: when that ends, who
// it is meanwhile, and what its owner's typing does to it. The shell outlives the
// call.
func (s *server) stands(c *call, req *podexec.Request) {
	if id := c.token.ID; id != "" {
		req.Login.Token = true
		req.Login.Done = s.Tokens.Done(id)
		req.Login.Present = func(ctx context.Context) (identity.Actor, error) { return s.Tokens.Present(ctx, id) }
		return
	}
	login := c.login
	req.Login.Done = s.Logins.Done(login)
	req.Login.Present = func(ctx context.Context) (identity.Actor, error) { return s.Logins.Present(ctx, login) }
	req.Login.Active = func() { s.Logins.Touch(login) }
}

// acted says that a person has asked for a shell, which is activity of their login.
// A token has none.
func acted(req podexec.Request) {
	if req.Login.Active != nil {
		req.Login.Active()
	}
}

// subprotocol decides the mode. A client that asks for something unknown is
// refused: it would misread everything that follows.
func subprotocol(r *http.Request) (v2 bool, err error) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return false, fault.New(fault.Invalid, "httpapi.exec",
			"This address speaks WebSocket. Connect to it with a WebSocket client, or check that your proxy passes upgrades on.")
	}
	offered := strings.Join(r.Header.Values("Sec-WebSocket-Protocol"), ",")
	if strings.TrimSpace(offered) == "" {
		return false, nil
	}
	for p := range strings.SplitSeq(offered, ",") {
		if strings.TrimSpace(p) == podexec.Protocol {
			return true, nil
		}
	}
	return false, fault.New(fault.Invalid, "httpapi.exec",
		"The WebSocket subprotocol is not known here. Ask for %s, or for none.", podexec.Protocol)
}

// execPlain refuses by HTTP status, before the upgrade.
func (s *server) execPlain(c *call, req podexec.Request) error {
	if err := execParams(c, &req); err != nil {
		s.Sessions.Refused(req, err)
		return err
	}
	acted(req)
	ticket, err := s.admit(c.ctx(), req)
	if err != nil {
		return err
	}
	conn, err := wsock.Accept(c.w, c.r, "", podexec.MaxFrame)
	if err != nil {
		ticket.Discard()
		return err
	}
	s.Sessions.Serve(ticket, conn, false)
	return nil
}

// execV2 refuses by frames, after the upgrade: a browser cannot read a refused
// one.
func (s *server) execV2(c *call, req podexec.Request) error {
	conn, err := wsock.Accept(c.w, c.r, podexec.Protocol, podexec.MaxFrame)
	if err != nil {
		return err
	}
	defer refusePanic(conn, c.requestID)
	if err := s.startV2(conn, req); err != nil {
		podexec.Refuse(conn, err, c.requestID)
	}
	return nil
}

// refusePanic tells the client what observed, which logs it, cannot: the connection is
// no longer net/http's.
func refusePanic(conn podexec.Conn, requestID string) {
	if p := recover(); p != nil {
		podexec.Refuse(conn, fault.New(fault.Internal, "httpapi.exec", ""), requestID)
		panic(p)
	}
}

// startV2 does what the client's first frame asks for.
func (s *server) startV2(conn podexec.Conn, req podexec.Request) error {
	attach, err := podexec.Opening(conn, &req, openTime)
	if err != nil {
		s.Sessions.Refused(req, err)
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), admitTime)
	defer cancel()
	if attach != nil {
		return s.Sessions.Attach(ctx, req, *attach, conn)
	}
	acted(req)
	ticket, err := s.Sessions.Admit(ctx, req)
	if err != nil {
		return err
	}
	s.Sessions.Serve(ticket, conn, true)
	return nil
}

func (s *server) admit(ctx context.Context, req podexec.Request) (*podexec.Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, admitTime)
	defer cancel()
	return s.Sessions.Admit(ctx, req)
}

// execParams reads what a plain client asks for.
func execParams(c *call, req *podexec.Request) (err error) {
	if req.Container, err = c.text("container"); err != nil {
		return err
	}
	if req.Container != "" {
		if err := kube.CheckContainer(req.Container); err != nil {
			return err
		}
	}
	if req.Reason, err = c.text("reason"); err != nil {
		return err
	}
	if req.Command, err = parseCommand(c.r.URL.Query().Get("command")); err != nil {
		return err
	}
	if req.TTY, err = c.flag("tty", true); err != nil {
		return err
	}
	return execSize(c, req)
}

func execSize(c *call, req *podexec.Request) error {
	q := c.r.URL.Query()
	if q.Get("cols") == "" && q.Get("rows") == "" {
		return nil
	}
	cols, err := c.number("cols", 80, 1, 65535)
	if err != nil {
		return err
	}
	rows, err := c.number("rows", 24, 1, 65535)
	if err != nil {
		return err
	}
	req.Size, err = podexec.Size(cols, rows)
	return err
}

// parseCommand reads base64url of a JSON array of strings; empty is no command.
func parseCommand(v string) ([]string, error) {
	if v == "" {
		return nil, nil
	}
	bad := func(err error) error {
		return fault.Wrap(err, fault.Invalid, "httpapi.exec",
			"The parameter command must be base64url of a JSON array of strings, such as WyJscyJd for [\"ls\"].")
	}
	if len(v) > maxCommandParam {
		return nil, fault.New(fault.Invalid, "httpapi.exec", "The parameter command is over %d KiB. Shorten it.", maxCommandParam>>10)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(v, "="))
	if err != nil {
		return nil, bad(err)
	}
	var argv []string
	if err := json.Unmarshal(raw, &argv); err != nil {
		return nil, bad(err)
	}
	if len(argv) == 0 {
		return nil, bad(nil)
	}
	return argv, nil
}

func (c *call) flag(name string, otherwise bool) (bool, error) {
	switch c.r.URL.Query().Get(name) {
	case "":
		return otherwise, nil
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, fault.New(fault.Invalid, "httpapi.param", "The parameter %s must be true or false.", name)
}
