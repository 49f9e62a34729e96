package hub

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/sendq"
	"github.com/periscope-console/periscope/internal/tunnel"
	"github.com/periscope-console/periscope/internal/tunnel/carrier"
	"github.com/periscope-console/periscope/internal/tunnel/contract"
	"github.com/periscope-console/periscope/internal/wsframe"
)

const (
	// maxVersion bounds what an agent says is its version, maxRenewal a renewal's
	// body; in bytes.
	maxVersion = 64
	maxRenewal = 16 << 10
	// maxRenewals is how many streams for renewals an agent may have open. One is
	// enough for an honest one.
	maxRenewals = 4
	// How long an agent may take to ask for a renewal, and to take the answer.
	renewalHeader = 10 * time.Second
	renewalRead   = 30 * time.Second
	renewalWrite  = 30 * time.Second
)

// Connect takes over the connection of an agent that has shown a certificate which
// lets it in. A refusal is a fault, and nothing has been answered; nil says that
// somebody has been answered, whatever became of it.
func (h *Hub) Connect(w http.ResponseWriter, r *http.Request) error {
	if r.TLS == nil {
		return refuse(fault.Invalid, "Agents connect to the server's own listener for them, by TLS alone. Check PERISCOPE_SERVER_URL.")
	}
	pass, err := h.o.Admit(r.Context(), r.TLS.PeerCertificates)
	if err != nil {
		return err
	}
	c, err := carrier.Accept(w, r)
	if err != nil {
		pass.Close()
		if bad, ok := errors.AsType[wsframe.RequestError](err); ok {
			return refuse(fault.Invalid, "%s", bad.Error())
		}
		return nil
	}
	_ = sendq.KeepShort(c.NetConn()) // without it only what is typed beside a flood is slower
	says := aboutOf(r)
	seated, resumed, err := h.host.Accept(pass.Cluster(), c)
	switch {
	case err != nil:
		h.o.Log.Info("agent.not_seated", "cluster", pass.Cluster(), "address", says.address, "why", err.Error())
		pass.Close()
	case resumed:
		h.again(seated, pass, says)
	case !h.begin(seated, pass, says):
		_ = seated.CloseWith(ErrStopping)
		pass.Close()
	}
	return nil
}

func aboutOf(r *http.Request) about {
	return about{
		version: plain(r.Header.Get(contract.VersionHeader)),
		shells:  r.Header.Get(contract.ShellsHeader) != "false",
		address: audit.SourceOf(r.Context()).Address,
	}
}

// plain keeps a stranger's word short and printable.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		if c > unicode.MaxASCII || !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, s[:min(len(s), maxVersion)])
}

// renewals answers what the agent asks over its link: one request a stream, so that its
// answer waits for no credit, and few streams. An agent may be hostile.
func (h *Hub) renewals(a *agent) {
	srv := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.renew(a, w, r) }),
		ReadHeaderTimeout: renewalHeader, ReadTimeout: renewalRead, WriteTimeout: renewalWrite, MaxHeaderBytes: maxRenewal,
		ErrorLog: slog.NewLogLogger(h.o.Log.Handler(), slog.LevelDebug),
	}
	srv.SetKeepAlivesEnabled(false)
	_ = srv.Serve(a.link.Listener(tunnel.Taking{Target: contract.Renewal, Class: tunnel.Interactive, Most: maxRenewals})) // ends with the link
	_ = srv.Close()
}

func (h *Hub) renew(a *agent, w http.ResponseWriter, r *http.Request) {
	var ask contract.RenewalAsk
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRenewal)).Decode(&ask); err != nil {
		tell(w, http.StatusBadRequest, map[string]string{"error": fault.Invalid.Code(), "message": "A renewal is a JSON object with the field csr."})
		return
	}
	pass, _ := a.current()
	got, err := pass.Renew(r.Context(), []byte(ask.CSR))
	if err != nil {
		kind := fault.KindOf(err)
		tell(w, statusOf(kind), map[string]string{"error": kind.Code(), "message": fault.PublicOf(err)})
		return
	}
	tell(w, http.StatusOK, contract.Certified{Certificate: string(got.PEM), CA: string(got.CA)})
}

// statusOf is all that an agent tells apart.
func statusOf(kind fault.Kind) int {
	switch kind {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.RateLimited:
		return http.StatusTooManyRequests
	}
	return http.StatusServiceUnavailable
}

func tell(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // an agent that is gone hears nothing
}

var _ net.Conn = stream{}
