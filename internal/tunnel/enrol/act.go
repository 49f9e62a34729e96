package enrol

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/tunnel/pki"
)

const (
	// auditLimit is how long a record may take to become durable.
	auditLimit = 5 * time.Second
	// actLimit bounds an act with its records, which is not given up half-way where
	// nobody waits for it any more.
	actLimit = 20 * time.Second
	// refuseAfter is when every refusal of a token is told, counted from when it
	// came: how long the look took says nothing about why.
	refuseAfter = 250 * time.Millisecond
	// maxWhy bounds a cause in the log, in bytes.
	maxWhy = 512
)

// label is a DNS-1123 label, as clusters are named.
var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// Mint makes a registration token for the cluster. The secret is returned once and
// kept nowhere.
func (k *Keeper) Mint(ctx context.Context, a identity.Actor, requestID, cluster string) (Token, Secret, error) {
	if err := mayAdminister(a); err != nil {
		return Token{}, Secret{}, err
	}
	if !k.known(cluster) {
		return Token{}, Secret{}, fault.New(fault.NotFound, "enrol.Mint",
			"There is no cluster of that name here that is reached through an agent. Add it to clusters.yaml with backend: agent, and restart the server.")
	}
	secret, now := newSecret(), time.Now()
	t := Token{
		ID: rand.Text(), Hash: hashOf(secret.text), Cluster: cluster, Created: now, Expires: now.Add(tokenLife),
		By: Person{Issuer: a.Issuer, Subject: a.Subject, Email: a.Email},
	}
	e := event(ctx, audit.AgentTokenMint, cluster, audit.ActorOf(a), requestID)
	e.Extra["token_id"], e.Extra["expires"] = t.ID, t.Expires.UTC()
	err := k.audited(ctx, e, func(ctx context.Context, _ map[string]any) error {
		return cannotMint(k.o.Store.AddToken(ctx, t, maxTokens))
	})
	if err != nil {
		return Token{}, Secret{}, err
	}
	return t, secret, nil
}

func cannotMint(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrTooMany):
		return fault.Wrap(err, fault.RateLimited, "enrol.Mint", "%d registration tokens wait to be used already. Use those, or wait a quarter of an hour until they have expired.", maxTokens)
	}
	return fault.Wrap(err, fault.Internal, "enrol.Mint", "The token could not be kept, so there is none. Try again in a moment.")
}

// Waiting is every token by which an agent can still register, those that end first
// before the others.
func (k *Keeper) Waiting(ctx context.Context, a identity.Actor) ([]Token, error) {
	if err := mayAdminister(a); err != nil {
		return nil, err
	}
	return k.o.Store.Waiting(ctx, time.Now())
}

// Withdraw uses up a token of the cluster that waits, and nothing else of it: an agent
// that has registered stays.
func (k *Keeper) Withdraw(ctx context.Context, a identity.Actor, requestID, cluster, id string) error {
	waiting, err := k.Waiting(ctx, a)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(waiting, func(t Token) bool { return t.ID == id && t.Cluster == cluster })
	if at < 0 {
		return notWaiting()
	}
	t := waiting[at]
	e := event(ctx, audit.AgentTokenRevoke, t.Cluster, audit.ActorOf(a), requestID)
	e.Extra["token_id"], e.Extra["minted_by"] = t.ID, person(t.By)
	return k.audited(ctx, e, func(ctx context.Context, _ map[string]any) error {
		held, err := k.o.Store.Burn(ctx, t.Hash, time.Now())
		if err != nil {
			return fault.Wrap(err, fault.Internal, "enrol.Withdraw", "The token could not be withdrawn, and still lets an agent in. Try again in a moment.")
		}
		if !held { // an agent was faster, or another administrator
			return notWaiting()
		}
		return nil
	})
}

func notWaiting() error {
	return fault.New(fault.NotFound, "enrol.Withdraw", "No such token waits for an agent of that cluster: it was used, withdrawn or has expired. Load the list of agents again.")
}

func mayAdminister(a identity.Actor) error {
	if !a.Admin {
		return fault.New(fault.Forbidden, "enrol", "Only administrators of Periscope see to agents. Ask one of them.")
	}
	return nil
}

// Ask is what a new agent asks with.
type Ask struct{ Token, Cluster, Request string }

// Answer is what an agent gets.
type Answer struct {
	pki.Issued
	// CA is what it trusts for the link, in PEM.
	CA []byte
}

// Why a token makes no certificate; for the log.
var (
	errUnknown = errors.New("the token is unknown: it is mistyped, or long over")
	errUsed    = errors.New("the token was used already")
	errExpired = errors.New("the token has expired")
	errOther   = errors.New("the token is for another cluster")
	errRaced   = errors.New("the token was used by another request at the same time, or has just expired or been revoked")
)

// Register makes an agent its first certificate, once for each token. A request
// that names another cluster than its token uses the token up. The answer to a bad
// token is always the same Unauthenticated fault, at the same time; why is in the
// log by then.
func (k *Keeper) Register(ctx context.Context, ask Ask) (Answer, error) {
	told := time.Now().Add(refuseAfter)
	r, err := pki.ParseRequest([]byte(ask.Request))
	if err != nil { // found out without the token, which is left as it is
		k.warn(ctx, ask, err)
		return Answer{}, fault.Wrap(err, fault.Invalid, "enrol.Register",
			"The field csr is no certificate signing request that can be used. Send one in PEM, of a key of ECDSA P-256 or P-384, Ed25519 or RSA of 2048 to 4096 bits, and signed by it.")
	}
	t, found, err := k.o.Store.Token(ctx, hashOf(ask.Token))
	if err != nil {
		return Answer{}, err
	}
	why := k.mayRedeem(t, found, ask, r)
	var issued pki.Issued
	if why == nil {
		issued, why, err = k.redeem(ctx, t, r)
	}
	switch {
	case err != nil:
		return Answer{}, err
	case why != nil:
		return Answer{}, k.badToken(ctx, t, found, ask, why, told)
	}
	return Answer{Issued: issued, CA: k.o.CA.PEM()}, nil
}

// mayRedeem is why the token may not be redeemed with that request.
func (k *Keeper) mayRedeem(t Token, found bool, ask Ask, r pki.Request) error {
	now := time.Now()
	switch {
	case !found:
		return errUnknown
	case !t.Used.IsZero():
		return fmt.Errorf("%w, at %s", errUsed, t.Used.UTC().Format(time.RFC3339))
	case now.After(t.Expires):
		return fmt.Errorf("%w at %s, and this server's clock says %s", errExpired, t.Expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case ask.Cluster != t.Cluster:
		return fmt.Errorf("%w: it is %s's", errOther, t.Cluster)
	case !k.known(t.Cluster):
		return errNoCluster
	}
	return r.Fits(t.Cluster)
}

// redeem issues the certificate if it can be recorded. why is set where another
// request was faster.
func (k *Keeper) redeem(ctx context.Context, t Token, r pki.Request) (issued pki.Issued, why, err error) {
	if issued, err = k.o.CA.Sign(r, t.Cluster, k.o.Life); err != nil {
		return issued, nil, notSigned(err)
	}
	c := certificateOf(ctx, issued)
	c.Registered, c.By = issued.Issued, t.By
	e := event(ctx, audit.AgentRegister, t.Cluster, agentOf(t.Cluster), "")
	e.Extra["token_id"], e.Extra["minted_by"] = t.ID, person(t.By)
	about(e, issued)
	err = k.audited(ctx, e, func(ctx context.Context, _ map[string]any) error {
		ok, err := k.o.Store.Redeem(ctx, t.Hash, c, maxCertificates)
		if err == nil && !ok {
			err = deniedError{errRaced}
		}
		return cannotIssue(err)
	})
	if denied := (deniedError{}); errors.As(err, &denied) {
		return issued, denied.error, nil
	}
	return issued, nil, err
}

// deniedError is a no, where others are failures.
type deniedError struct{ error }

func (d deniedError) Unwrap() error { return d.error }

func cannotIssue(err error) error {
	if errors.Is(err, ErrTooMany) {
		return fault.Wrap(err, fault.Conflict, "enrol", "The cluster has %d certificates already. An administrator must revoke them before there can be another.", maxCertificates)
	}
	return err
}

func notSigned(err error) error {
	return fault.Wrap(err, fault.Internal, "enrol", "The certificate could not be made. Whoever runs this server finds the cause in its log.")
}

// certificateOf is what is kept of a certificate; who is behind it is the caller's
// to fill in.
func certificateOf(ctx context.Context, i pki.Issued) Certificate {
	return Certificate{Serial: i.Serial, Fingerprint: i.Fingerprint, Cluster: i.Cluster, Issued: i.Issued, Expires: i.Expires, Address: audit.SourceOf(ctx).Address}
}

// badToken burns a token that was tried with what it is not for, tells the log why
// and answers what everybody is answered.
func (k *Keeper) badToken(ctx context.Context, t Token, found bool, ask Ask, why error, told time.Time) error {
	if found && t.Used.IsZero() && !errors.Is(why, errRaced) {
		k.burn(context.WithoutCancel(ctx), t, why)
	}
	k.warn(ctx, ask, why)
	wait := time.NewTimer(time.Until(told))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
	return fault.New(fault.Unauthenticated, "enrol.Register",
		"This registration token does not let an agent in: it is mistyped, was used, has expired, or is for another cluster. Have an administrator make a new one.")
}

// burn is recorded as a refusal. What cannot be recorded, or burnt, is refused all
// the same; a token that stays is its cluster's alone still.
func (k *Keeper) burn(ctx context.Context, t Token, why error) {
	e := event(ctx, audit.AgentRegister, t.Cluster, agentOf(t.Cluster), "")
	e.Stage, e.Outcome, e.Reason = audit.Completed, audit.Denied, why.Error()
	e.Extra["token_id"], e.Extra["minted_by"] = t.ID, person(t.By)
	k.emit(ctx, e)
	if _, err := k.o.Store.Burn(ctx, t.Hash, time.Now()); err != nil {
		k.o.Log.Error("agent.token_not_burnt", "cluster", t.Cluster, "token", t.ID, "error", err)
	}
}

// warn never has the token, and of what the asker says only a cluster's name.
func (k *Keeper) warn(ctx context.Context, ask Ask, why error) {
	cluster, from := ask.Cluster, audit.SourceOf(ctx)
	if !label.MatchString(cluster) {
		cluster = "(no cluster's name)"
	}
	k.strangers.Do(func() {
		k.o.Log.Warn("agent.register_refused", "cluster", cluster, "why", oneLine(why), "requestId", from.RequestID, "address", from.Address)
	})
}

// oneLine is a cause for the log, which may quote what a stranger has sent.
func oneLine(why error) string { return audit.OneLine(why.Error(), maxWhy) }

// Renew makes the agent a new certificate, in the place of the one by which it is
// here, once half of that one's life is over. The old one holds until it ends:
// the agent may be lost before it has kept the new one.
func (p *Pass) Renew(ctx context.Context, csrPEM []byte) (Answer, error) {
	k, peer := p.k, p.Peer()
	if cause := p.Cause(); cause != nil {
		return Answer{}, gone(cause)
	}
	r, err := pki.ParseRequest(csrPEM)
	if err == nil {
		err = r.Fits(peer.Cluster)
	}
	if err != nil {
		k.warn(ctx, Ask{Cluster: peer.Cluster}, err)
		return Answer{}, fault.Wrap(err, fault.Invalid, "enrol.Renew", "The certificate signing request cannot be used, or names something else than the cluster. Send another.")
	}
	before, ok, err := k.o.Store.Certificate(ctx, peer.Serial)
	if err != nil {
		return Answer{}, err
	}
	if half := before.Issued.Add(before.Expires.Sub(before.Issued) / 2); ok && time.Now().Before(half) {
		return Answer{}, fault.New(fault.RateLimited, "enrol.Renew", "The certificate is not to be renewed before %s.", half.UTC().Format(time.RFC3339))
	}
	issued, err := k.o.CA.Sign(r, peer.Cluster, k.o.Life)
	if err != nil {
		return Answer{}, notSigned(err)
	}
	if err := p.renew(ctx, before, issued); err != nil {
		return Answer{}, err
	}
	return Answer{Issued: issued, CA: k.o.CA.PEM()}, nil
}

func gone(cause error) error {
	return fault.Wrap(cause, fault.Unauthenticated, "enrol.Renew",
		"The certificate has expired or was revoked, so it is not renewed. Register the agent anew, with a new token.")
}

func (p *Pass) renew(ctx context.Context, before Certificate, issued pki.Issued) error {
	k, c := p.k, certificateOf(ctx, issued)
	c.Registered, c.By, c.Renews = before.Registered, before.By, p.Peer().Serial
	e := event(ctx, audit.AgentRenew, c.Cluster, agentOf(c.Cluster), "")
	e.Extra["renews"] = c.Renews
	about(e, issued)
	err := k.audited(ctx, e, func(ctx context.Context, _ map[string]any) error {
		ok, err := k.o.Store.Renew(ctx, c, maxCertificates)
		if err == nil && !ok {
			err = deniedError{gone(ErrRevoked)}
		}
		return cannotIssue(err)
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peer = pki.Peer{Cluster: c.Cluster, Serial: c.Serial, Fingerprint: c.Fingerprint, Expires: c.Expires}
	return nil
}

// Revoke ends every certificate and token of the cluster, and the passes of its
// agents. What is recorded as begun is done, whether or not somebody waits for it.
func (k *Keeper) Revoke(ctx context.Context, a identity.Actor, requestID, cluster string) error {
	if err := mayAdminister(a); err != nil {
		return err
	}
	if !label.MatchString(cluster) {
		return noAgent()
	}
	e := event(ctx, audit.AgentRevoke, cluster, audit.ActorOf(a), requestID)
	return k.audited(ctx, e, func(ctx context.Context, extra map[string]any) error {
		certificates, tokens, err := k.o.Store.Revoke(ctx, cluster, time.Now())
		if err != nil {
			return fault.Wrap(err, fault.Internal, "enrol.Revoke", "The agent's certificates could not be revoked, and still hold. Try again in a moment.")
		}
		extra["certificates"], extra["tokens"] = certificates, tokens
		for _, p := range k.of(cluster) {
			p.end(ErrRevoked)
		}
		if certificates+tokens == 0 {
			return noAgent()
		}
		return nil
	})
}

func noAgent() error {
	return fault.New(fault.NotFound, "enrol.Revoke", "No agent is registered for that cluster, and none has a token to. Load the list of agents again.")
}

// List is every cluster that has a certificate which was not revoked.
func (k *Keeper) List(ctx context.Context, a identity.Actor) ([]Current, error) {
	if err := mayAdminister(a); err != nil {
		return nil, err
	}
	return k.o.Store.List(ctx)
}

// agentOf is an agent in audit.
func agentOf(cluster string) audit.Actor {
	return audit.Actor{Sub: "agent:" + cluster, Groups: []string{}}
}

func person(p Person) map[string]any { return map[string]any{"sub": p.Subject, "email": p.Email} }

func about(e audit.Event, i pki.Issued) {
	e.Extra["certificate"], e.Extra["expires"] = i.Serial, i.Expires.UTC()
}

// event is the first record of an act.
func event(ctx context.Context, verb, cluster string, who audit.Actor, requestID string) audit.Event {
	from := audit.SourceOf(ctx)
	return audit.Event{
		EventID: rand.Text(), Stage: audit.Requested, Timestamp: time.Now(), RequestID: cmp.Or(requestID, from.RequestID),
		Verb: verb, Actor: who, Cluster: cluster, Extra: map[string]any{"client_address": from.Address},
	}
}

// audited does what e records, if it can be recorded, and records how it went,
// with what do adds to extra.
func (k *Keeper) audited(ctx context.Context, e audit.Event, do func(ctx context.Context, extra map[string]any) error) error {
	ctx, done := k.o.Acts.Begin(context.WithoutCancel(ctx))
	defer done()
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	limited, cancel := context.WithTimeout(ctx, auditLimit)
	defer cancel()
	if err := k.o.Audit.Emit(limited, e); err != nil {
		return fault.Wrap(err, fault.AuditUnavailable, "enrol", "The audit record could not be written, so nothing was done. Tell whoever runs this server.")
	}
	e.Extra = maps.Clone(e.Extra)
	err := do(ctx, e.Extra)
	e.Stage, e.Timestamp, e.Outcome = audit.Completed, time.Now(), audit.Success
	if err != nil {
		e.Outcome, e.Reason = audit.Failure, fault.PublicOf(err)
		e.Extra["error"] = fault.KindOf(err).Code()
		if denied := (deniedError{}); errors.As(err, &denied) {
			e.Outcome, e.Reason = audit.Denied, denied.Error()
			e.Extra["error"] = fault.Unauthenticated.Code()
		}
	}
	k.emit(context.WithoutCancel(ctx), e)
	return err
}

// emit writes a record whose act is over.
func (k *Keeper) emit(ctx context.Context, e audit.Event) {
	limited, cancel := context.WithTimeout(ctx, auditLimit)
	defer cancel()
	if err := k.o.Audit.Emit(limited, e); err != nil {
		k.o.Log.Error("audit.lost", "verb", e.Verb, "eventId", e.EventID, "error", err)
	}
}
