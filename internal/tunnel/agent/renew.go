package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/periscope-console/periscope/internal/tunnel"
	"github.com/periscope-console/periscope/internal/tunnel/contract"
	"github.com/periscope-console/periscope/internal/tunnel/pki"
)

const (
	renewTime = 30 * time.Second
	// saveTime is how long keeping one may take of that: what hangs leaves time to ask
	// for another certificate.
	saveTime = renewTime / 3
	// renewAgain is how long after a failure it is tried again, at least; at most
	// twice that. It is a tenth of the life that is left where that is less, and never
	// less than leastAgain.
	renewAgain = 5 * time.Minute
	leastAgain = 100 * time.Millisecond
)

// renewals renews the certificate at two thirds of its life, as long as there is a
// link to do it over.
func (a *Agent) renewals(ctx context.Context, link *tunnel.Link) {
	wait := a.untilRenewal()
	if a.unkept != nil {
		wait = a.untilNextTry()
	}
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if err := a.renew(ctx, link); err != nil {
			wait = a.untilNextTry()
			a.o.Log.Warn("agent.not_renewed", "error", err, "again_in", wait.String())
			continue
		}
		wait = a.untilRenewal()
	}
}

// untilRenewal is 0 or more.
func (a *Agent) untilRenewal() time.Duration {
	from, to := a.life()
	return max(0, time.Until(pki.RenewAt(from, to)))
}

// untilNextTry is sooner where little of the certificate's life is left.
func (a *Agent) untilNextTry() time.Duration {
	_, to := a.life()
	jittered := renewAgain + rand.N(renewAgain) // no secret depends on it
	return min(jittered, max(time.Until(to)/10, leastAgain))
}

// life is the certificate's; parse has seen to Leaf.
func (a *Agent) life() (from, to time.Time) {
	cert, _ := a.credentials()
	return cert.Leaf.NotBefore, cert.Leaf.NotAfter
}

// renew asks for a certificate of a new key, and uses it from then on, also where it
// cannot be kept. That is tried first the next time, since the server gives no other
// before half of its life: what is kept until then holds to its own end.
func (a *Agent) renew(ctx context.Context, link *tunnel.Link) error {
	ctx, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	if a.unkept != nil {
		if err := a.save(ctx); err == nil || a.untilRenewal() > 0 {
			return err
		}
	}
	c, err := a.renewed(ctx, link)
	if err != nil {
		return err
	}
	if err := a.adopt(c); err != nil {
		return err
	}
	a.unkept = &c
	return a.save(ctx)
}

// save keeps what is not kept yet, for a restart.
func (a *Agent) save(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, saveTime)
	defer cancel()
	if err := a.o.Keeper.Save(ctx, *a.unkept); err != nil {
		return fmt.Errorf("the new certificate is used, and cannot be kept: %w", err)
	}
	a.unkept = nil
	a.o.Log.Info("agent.renewed", "kept", a.o.Keeper.String())
	return nil
}

// renewed are new credentials, which have been checked.
func (a *Agent) renewed(ctx context.Context, link *tunnel.Link) (Credentials, error) {
	key, request, err := pki.NewRequest(a.o.Cluster)
	if err != nil {
		return Credentials{}, err
	}
	got, err := askRenewal(ctx, link, request)
	if err != nil {
		return Credentials{}, err
	}
	c := Credentials{Key: key, Certificate: []byte(got.Certificate), CA: []byte(got.CA)}
	return c, c.check(a.o.Cluster)
}

// askRenewal is one request over a stream of its own.
func askRenewal(ctx context.Context, link *tunnel.Link, request []byte) (contract.Certified, error) {
	text, err := json.Marshal(contract.RenewalAsk{CSR: string(request)})
	if err != nil {
		return contract.Certified{}, err
	}
	rt := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return link.Open(ctx, tunnel.Interactive, contract.Renewal)
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://server.invalid/", bytes.NewReader(text))
	if err != nil {
		return contract.Certified{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return contract.Certified{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	return readCertified(resp)
}
