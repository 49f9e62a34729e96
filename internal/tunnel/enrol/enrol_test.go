package enrol

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/leak"
	"github.com/periscope-console/periscope/internal/tunnel/pki"
)

func TestMain(m *testing.M) { leak.Main(m) }

const day = 24 * time.Hour

var (
	admin  = identity.Actor{Issuer: "i", Subject: "ada", Email: "ada@example.com", Admin: true}
	anyone = identity.Actor{Issuer: "i", Subject: "bob"}
)

// office is a keeper with all that is around it.
type office struct {
	*Keeper
	t     *testing.T
	store *Memory
	audit *records
	log   *lines
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// of has the log's lines of one message.
func (l *lines) of(msg string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		if strings.Contains(line, `"msg":"`+msg+`"`) {
			found = append(found, line)
		}
	}
	return found
}

// records is an Emitter that can be broken.
type records struct {
	mu     sync.Mutex
	events []audit.Event
	broken error
}

func (r *records) Emit(_ context.Context, e audit.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	r.events = append(r.events, e)
	return nil
}

// of are the records of a verb: stage, outcome.
func (r *records) of(verb string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var words []string
	for _, e := range r.events {
		if e.Verb == verb {
			words = append(words, strings.TrimSuffix(string(e.Stage)+" "+string(e.Outcome), " "))
		}
	}
	return strings.Join(words, ", ")
}

type memoryCA struct{ kept pki.Pair }

func (m *memoryCA) Load(context.Context) (pki.Pair, error) {
	if m.kept.Cert == nil {
		return pki.Pair{}, pki.ErrNone
	}
	return m.kept, nil
}

func (m *memoryCA) Create(ctx context.Context, p pki.Pair) (pki.Pair, error) {
	m.kept = p
	return m.Load(ctx)
}

func newCA(t *testing.T) *pki.Authority {
	t.Helper()
	ca, err := pki.Open(t.Context(), &memoryCA{})
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func open(t *testing.T) *office {
	t.Helper()
	return openOn(t, NewMemory(), newCA(t))
}

func openOn(t *testing.T, store *Memory, ca *pki.Authority) *office {
	t.Helper()
	o := &office{t: t, store: store, audit: &records{}, log: &lines{}}
	o.Keeper = New(Options{
		Store: store, CA: ca, Clusters: []string{"prod", "test"}, Life: 90 * day, Audit: o.audit,
		Log: slog.New(slog.NewJSONHandler(o.log, nil)),
	})
	return o
}

// run runs the keeper until the returned function is called.
func (o *office) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			o.t.Error(err)
		}
	}
}

func from(t *testing.T) context.Context {
	return audit.WithSource(t.Context(), audit.Source{RequestID: "r-1", Address: "192.0.2.1"})
}

func (o *office) mint(cluster string) string {
	o.t.Helper()
	_, secret, err := o.Mint(from(o.t), admin, "r-0", cluster)
	if err != nil {
		o.t.Fatal(err)
	}
	return secret.Reveal()
}

func csr(t *testing.T, cluster string) string {
	t.Helper()
	_, text, err := pki.NewRequest(cluster)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (o *office) register(cluster string) []*x509.Certificate {
	o.t.Helper()
	a, err := o.Register(from(o.t), Ask{Token: o.mint(cluster), Cluster: cluster, Request: csr(o.t, cluster)})
	if err != nil {
		o.t.Fatal(err)
	}
	return shown(o.t, a)
}

func shown(t *testing.T, a Answer) []*x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(a.PEM)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{cert}
}

func (o *office) admit(certs []*x509.Certificate) *Pass {
	o.t.Helper()
	p, err := o.Admit(from(o.t), certs)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(p.Close)
	return p
}

func TestRegister(t *testing.T) {
	o := open(t)
	token, secret, err := o.Mint(from(t), admin, "r-0", "prod")
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(token.Expires); left > 15*time.Minute || left < 14*time.Minute {
		t.Errorf("it holds for %v", left)
	}
	if kept := o.store.tokens[hashOf(secret.Reveal())]; kept.ID != token.ID || strings.Contains(fmt.Sprintf("%+v", kept), secret.Reveal()) {
		t.Errorf("kept %+v", kept)
	}
	a, err := o.Register(from(t), Ask{Token: secret.Reveal(), Cluster: "prod", Request: csr(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	if ca, _ := o.CA(); !bytes.Equal(a.CA, ca) || a.Cluster != "prod" {
		t.Errorf("%+v", a)
	}
	p := o.admit(shown(t, a))
	if p.Cluster() != "prod" || p.Peer().Serial != a.Serial {
		t.Errorf("%+v", p.Peer())
	}
	list, err := o.List(t.Context(), admin)
	if err != nil || len(list) != 1 || list[0].Serial != a.Serial || list[0].By != (Person{"i", "ada", "ada@example.com"}) || list[0].Address != "192.0.2.1" {
		t.Errorf("%+v, %v", list, err)
	}
	o.mustBeRecorded(audit.AgentTokenMint, admin.Subject, token.ID)
	o.mustBeRecorded(audit.AgentRegister, "agent:prod", a.Serial)
	everything, _ := json.Marshal(o.audit.events)
	if text := string(everything) + o.log.buf.String() + fmt.Sprintf("%v %+v %#v", secret, secret, secret); strings.Contains(text, secret.Reveal()[len(prefix):]) {
		t.Errorf("the token stands in %s", text)
	}
}

// mustBeRecorded: two records of one act, who did it, and what by its id.
func (o *office) mustBeRecorded(verb, who, what string) {
	o.t.Helper()
	var found []audit.Event
	for _, e := range o.audit.events {
		if e.Verb == verb {
			found = append(found, e)
		}
	}
	if len(found) != 2 || found[0].Stage != audit.Requested || found[1].Stage != audit.Completed || found[0].EventID != found[1].EventID {
		o.t.Errorf("%s: %+v", verb, found)
		return
	}
	text, err := json.Marshal(found[1])
	if err != nil || found[1].Outcome != audit.Success || found[1].Actor.Sub != who || found[1].Cluster != "prod" ||
		found[1].RequestID == "" || found[1].Extra["client_address"] != "192.0.2.1" || !strings.Contains(string(text), what) {
		o.t.Errorf("%s: %s", verb, text)
	}
}

// TestBadTokens: one answer, at one time, and the cause in the log. What was tried
// with a name that is not its own is used up; nothing else is disturbed.
func TestBadTokens(t *testing.T) {
	for name, c := range map[string]struct {
		// ask changes a good request.
		ask    func(o *office, a *Ask)
		why    string
		burns  bool
		denied bool
	}{
		"no token":         {func(_ *office, a *Ask) { a.Token = "" }, "the token is unknown", false, false},
		"a mistyped token": {func(_ *office, a *Ask) { a.Token += "x" }, "the token is unknown", false, false},
		"a huge token":     {func(_ *office, a *Ask) { a.Token = strings.Repeat("x", 16<<10) }, "the token is unknown", false, false},
		"another cluster":  {func(o *office, a *Ask) { a.Cluster, a.Request = "test", csr(o.t, "test") }, "for another cluster: it is prod's", true, true},
		"no cluster":       {func(_ *office, a *Ask) { a.Cluster = "" }, "for another cluster: it is prod's", true, true},
		"a line break":     {func(_ *office, a *Ask) { a.Cluster = "prod\nlevel=INFO" }, "for another cluster", true, true},
		"a CSR's other name": {func(o *office, a *Ask) { a.Request = csr(o.t, "test") },
			`names something else: \"test\", and not prod`, true, true},
		"after expiry":              {func(*office, *Ask) { time.Sleep(tokenLife + time.Second) }, "the token has expired at", true, true},
		"a cluster that is no more": {func(o *office, _ *Ask) { o.o.Clusters = []string{"test"} }, errNoCluster.Error(), true, true},
		"a revoked one": {func(o *office, _ *Ask) {
			if err := o.Revoke(o.t.Context(), admin, "", "prod"); err != nil {
				o.t.Fatal(err)
			}
		}, "the token was used already, at", false, false},
		"a second time": {func(o *office, a *Ask) {
			if _, err := o.Register(from(o.t), *a); err != nil {
				o.t.Fatal(err)
			}
			a.Request = csr(o.t, "prod")
		}, "the token was used already, at", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := open(t)
				good := Ask{Token: o.mint("prod"), Cluster: "prod", Request: csr(t, "prod")}
				ask := good
				c.ask(o, &ask)
				certificates, begun := len(o.store.certificates), time.Now()
				_, err := o.Register(from(t), ask)
				if fault.KindOf(err) != fault.Unauthenticated || !strings.Contains(fault.PublicOf(err), "This registration token does not let an agent in: it is mistyped, was used, has expired, or is for another cluster.") {
					t.Errorf("%v", err)
				}
				if took := time.Since(begun); took != refuseAfter {
					t.Errorf("it took %v, all others take %v", took, refuseAfter)
				}
				said := o.log.of("agent.register_refused")
				if len(said) != 1 || !strings.Contains(said[0], c.why) || !strings.Contains(said[0], `"address":"192.0.2.1"`) || strings.Contains(said[0], good.Token) || strings.Contains(said[0], `level=INFO`) {
					t.Errorf("the log says %q, want %q", said, c.why)
				}
				if got := len(o.store.certificates); got != certificates {
					t.Errorf("%d certificates, %d before", got, certificates)
				}
				if used := !o.store.tokens[hashOf(good.Token)].Used.IsZero(); c.burns && !used || !c.burns && !c.denied && name != "a revoked one" && used {
					t.Errorf("used: %v", used)
				}
				if got := strings.Contains(o.audit.of(audit.AgentRegister), "completed denied"); got != c.burns {
					t.Errorf("audit says %q", o.audit.of(audit.AgentRegister))
				}
				if c.burns { // with the right name it is too late
					o.o.Clusters = []string{"prod", "test"}
					if _, err := o.Register(from(t), good); fault.KindOf(err) != fault.Unauthenticated {
						t.Errorf("afterwards: %v", err)
					}
				}
				o.admit(o.register("test")) // others are not disturbed
			})
		})
	}
}

// TestABadRequestLeavesTheToken: what is found out without the token says nothing
// of it.
func TestABadRequestLeavesTheToken(t *testing.T) {
	o := open(t)
	token := o.mint("prod")
	for _, bad := range []string{"", "garbage", strings.Repeat("x", 16<<10), string(newCA(t).PEM())} {
		for _, token := range []string{token, "psr_nobodys"} {
			_, err := o.Register(from(t), Ask{Token: token, Cluster: "prod", Request: bad})
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.PublicOf(err), "The field csr is no certificate signing request") {
				t.Errorf("%.20q: %v", bad, err)
			}
		}
	}
	if said := o.log.of("agent.register_refused"); len(said) != 8 || !strings.Contains(said[0], pki.ErrRequest.Error()) {
		t.Errorf("%q", said)
	}
	if _, err := o.Register(from(t), Ask{Token: token, Cluster: "prod", Request: csr(t, "prod")}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestAFloodIsNotLogged line by line.
func TestAFloodIsNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() { _, _ = o.Register(from(t), Ask{Token: "x", Cluster: "prod", Request: "x"}) })
		}
		wg.Wait()
		if n := len(o.log.of("agent.register_refused")); n < 20 || n > 21 {
			t.Errorf("%d lines", n)
		}
		if o.audit.of(audit.AgentRegister) != "" {
			t.Error("a flood fills audit")
		}
	})
}

func TestOneOfManyRegisters(t *testing.T) {
	o := open(t)
	token := o.mint("prod")
	var wg sync.WaitGroup
	var won atomic.Int64
	for range 10 {
		request := csr(t, "prod")
		wg.Go(func() {
			_, err := o.Register(from(t), Ask{Token: token, Cluster: "prod", Request: request})
			switch {
			case err == nil:
				won.Add(1)
			case fault.KindOf(err) != fault.Unauthenticated:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || len(o.store.certificates) != 1 {
		t.Errorf("%d have registered, %d certificates", won.Load(), len(o.store.certificates))
	}
	if got := strings.Count(o.audit.of(audit.AgentRegister), "completed success"); got != 1 {
		t.Errorf("%d successes in audit", got)
	}
	if said := o.log.of("agent.register_refused"); len(said) != 9 {
		t.Errorf("%q", said)
	}
}

func TestNoRecordNoAct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		p := o.admit(o.register("prod"))
		time.Sleep(60 * day)
		token := o.mint("prod")
		before := fmt.Sprint(o.store.tokens, o.store.certificates)
		o.audit.broken = errors.New("the disk is full")
		for what, act := range map[string]func() error{
			"mint":     func() error { _, _, err := o.Mint(from(t), admin, "", "prod"); return err },
			"register": func() error { _, err := o.Register(from(t), Ask{token, "prod", csr(t, "prod")}); return err },
			"renew":    func() error { _, err := p.Renew(from(t), []byte(csr(t, "prod"))); return err },
			"revoke":   func() error { return o.Revoke(from(t), admin, "", "prod") },
			"withdraw": func() error { return o.Withdraw(from(t), admin, "", "prod", o.waiting()[0].ID) },
		} {
			if err := act(); fault.KindOf(err) != fault.AuditUnavailable {
				t.Errorf("%s: %v", what, err)
			}
		}
		if after := fmt.Sprint(o.store.tokens, o.store.certificates); after != before {
			t.Errorf("before %s\nafter %s", before, after)
		}
		if p.Cause() != nil {
			t.Error(p.Cause())
		}
		o.audit.broken = nil
		if _, err := o.Register(from(t), Ask{token, "prod", csr(t, "prod")}); err != nil {
			t.Errorf("once there is room again: %v", err)
		}
	})
}

func TestAdministratorsAlone(t *testing.T) {
	o := open(t)
	o.register("prod")
	for what, act := range map[string]func() error{
		"mint":   func() error { _, _, err := o.Mint(t.Context(), anyone, "", "prod"); return err },
		"list":   func() error { _, err := o.List(t.Context(), anyone); return err },
		"revoke": func() error { return o.Revoke(t.Context(), anyone, "", "prod") },
		"tokens": func() error { _, err := o.Waiting(t.Context(), anyone); return err },
		"withdraw": func() error {
			o.mint("prod")
			return o.Withdraw(t.Context(), anyone, "", "prod", o.waiting()[0].ID)
		},
	} {
		if err := act(); fault.KindOf(err) != fault.Forbidden {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, cluster := range []string{"", "other", "Prod", "prod\n"} {
		if _, _, err := o.Mint(t.Context(), admin, "", cluster); fault.KindOf(err) != fault.NotFound {
			t.Errorf("a token for %q: %v", cluster, err)
		}
	}
	for _, cluster := range []string{"", "other", "a/b", strings.Repeat("x", 5000)} {
		if err := o.Revoke(t.Context(), admin, "", cluster); fault.KindOf(err) != fault.NotFound {
			t.Errorf("revoked %.20q: %v", cluster, err)
		}
	}
}

func TestTooManyTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		for range maxTokens {
			o.mint("prod")
		}
		if _, _, err := o.Mint(t.Context(), admin, "", "prod"); fault.KindOf(err) != fault.RateLimited {
			t.Errorf("one too many: %v", err)
		}
		time.Sleep(tokenLife + time.Second)
		o.mint("prod")
	})
}

// TestAdmit: each certificate that lets nobody in, and what the log says of it.
func TestAdmit(t *testing.T) {
	for name, c := range map[string]struct {
		show   func(o *office) []*x509.Certificate
		why    string
		public string
	}{
		"of another CA": {func(o *office) []*x509.Certificate {
			return openOn(o.t, o.store, newCA(o.t)).register("prod")
		}, pki.ErrOtherCA.Error(), "Register the agent anew"},
		"of another database": {func(o *office) []*x509.Certificate {
			return openOn(o.t, NewMemory(), o.o.CA).register("prod")
		}, errForgotten.Error(), "Register the agent anew"},
		"expired": {func(o *office) []*x509.Certificate {
			certs := o.register("prod")
			time.Sleep(90*day + time.Second)
			return certs
		}, "and this server's clock says 2000-03-31", "Set the clocks right"},
		"not yet valid": {func(o *office) []*x509.Certificate {
			certs := o.register("prod")
			certs[0].NotBefore = time.Now().Add(time.Hour) // as seen by a clock that is slow
			return certs
		}, "is not valid before 2000-01-01T01:00:00Z, and this server's clock says 2000-01-01T00:00:00Z", "Set the clocks right"},
		"revoked": {func(o *office) []*x509.Certificate {
			certs := o.register("prod")
			if err := o.Revoke(from(o.t), admin, "", "prod"); err != nil {
				o.t.Fatal(err)
			}
			return certs
		}, "the certificate was revoked at 2000-01-01", "Register the agent anew"},
		"of a cluster that is no more": {func(o *office) []*x509.Certificate {
			certs := o.register("prod")
			o.o.Clusters = []string{"test"}
			return certs
		}, errNoCluster.Error(), "Register the agent anew"},
		"of a thief who has the CA's key": {func(o *office) []*x509.Certificate {
			certs := o.register("prod")
			for serial, kept := range o.store.certificates { // of another certificate's
				kept.Fingerprint[0] ^= 1
				o.store.certificates[serial] = kept
			}
			return certs
		}, errForged.Error(), "Register the agent anew"},
		"of a cluster that is kept as another": {func(o *office) []*x509.Certificate {
			certs := o.register("prod")
			for serial, kept := range o.store.certificates {
				kept.Cluster = "test"
				o.store.certificates[serial] = kept
			}
			return certs
		}, errForgotten.Error(), "Register the agent anew"},
		"none": {func(*office) []*x509.Certificate { return nil }, pki.ErrNoCertificate.Error(), "Register the agent anew"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := open(t)
				certs := c.show(o)
				live := o.admit(o.register("test"))
				p, err := o.Admit(from(t), certs)
				if p != nil || fault.KindOf(err) != fault.Unauthenticated || !strings.Contains(fault.PublicOf(err), c.public) {
					t.Errorf("%v, %q", err, fault.PublicOf(err))
				}
				said := o.log.of("agent.certificate_refused")
				if len(said) != 1 || !strings.Contains(said[0], c.why) || !strings.Contains(said[0], `"address":"192.0.2.1"`) {
					t.Errorf("the log says %q, want %q", said, c.why)
				}
				if live.Cause() != nil || len(o.passes) != 1 {
					t.Errorf("another agent is disturbed: %v, %d passes", live.Cause(), len(o.passes))
				}
			})
		})
	}
}

// counts are what the store holds.
func (o *office) counts() (tokens, certificates int) {
	o.store.mu.Lock()
	defer o.store.mu.Unlock()
	return len(o.store.tokens), len(o.store.certificates)
}

func ended(p *Pass) bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

// TestRevoke ends what is live at once, and only the cluster's; a new token lets
// the cluster's agent in again.
func TestRevoke(t *testing.T) {
	o := open(t)
	certs := o.register("prod")
	one, two, other := o.admit(certs), o.admit(o.register("prod")), o.admit(o.register("test"))
	if err := o.Revoke(from(t), admin, "r-1", "prod"); err != nil {
		t.Fatal(err)
	}
	if !ended(one) || !ended(two) || ended(other) || !errors.Is(one.Cause(), ErrRevoked) {
		t.Errorf("ended: %v %v %v: %v", ended(one), ended(two), ended(other), one.Cause())
	}
	if _, err := o.Admit(from(t), certs); fault.KindOf(err) != fault.Unauthenticated {
		t.Errorf("afterwards: %v", err)
	}
	if _, err := one.Renew(from(t), []byte(csr(t, "prod"))); fault.KindOf(err) != fault.Unauthenticated {
		t.Errorf("a renewal: %v", err)
	}
	last := o.audit.events[len(o.audit.events)-1]
	if last.Verb != audit.AgentRevoke || last.Outcome != audit.Success || last.Extra["certificates"] != 2 || last.Cluster != "prod" {
		t.Errorf("%+v", last)
	}
	o.admit(o.register("prod"))
	if len(o.passes) != 2 {
		t.Errorf("%d passes are held", len(o.passes))
	}
}

func (o *office) waiting() []Token {
	o.t.Helper()
	all, err := o.Waiting(from(o.t), admin)
	if err != nil {
		o.t.Fatal(err)
	}
	return all
}

// TestWithdraw: a token that waits is used up, once, and who did it is recorded; one
// that has expired waits no more.
func TestWithdraw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		pass := o.admit(o.register("prod"))
		secret := o.mint("prod")
		waiting := o.waiting()
		if len(waiting) != 1 || waiting[0].By.Subject != admin.Subject {
			t.Fatalf("%+v", waiting)
		}
		id := waiting[0].ID
		for _, cluster := range []string{"test", "", strings.Repeat("x", 5000)} {
			if err := o.Withdraw(from(t), admin, "r-1", cluster, id); fault.KindOf(err) != fault.NotFound {
				t.Errorf("of %.20q: %v", cluster, err)
			}
		}
		if err := o.Withdraw(from(t), admin, "r-1", "prod", id); err != nil {
			t.Fatal(err)
		}
		o.mustBeRecorded(audit.AgentTokenRevoke, admin.Subject, id)
		if err := o.Withdraw(from(t), admin, "r-1", "prod", id); fault.KindOf(err) != fault.NotFound {
			t.Errorf("again: %v", err)
		}
		if _, err := o.Register(from(t), Ask{secret, "prod", csr(t, "prod")}); fault.KindOf(err) != fault.Unauthenticated {
			t.Errorf("registered by it: %v", err)
		}
		if ended(pass) {
			t.Error("the agent that has registered was ended")
		}
		o.mint("prod")
		time.Sleep(tokenLife + time.Second)
		if got := o.waiting(); len(got) > 0 || got == nil {
			t.Errorf("%+v", got)
		}
	})
}

// TestARevocationWhileAnAgentComesIn ends it or keeps it out, each time.
func TestARevocationWhileAnAgentComesIn(t *testing.T) {
	o := open(t)
	for range 50 {
		certs := o.register("prod")
		var wg sync.WaitGroup
		var pass *Pass
		wg.Go(func() { pass, _ = o.Admit(from(t), certs) })
		wg.Go(func() {
			if err := o.Revoke(from(t), admin, "", "prod"); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if pass != nil && !ended(pass) {
			t.Fatal("an agent is in that was revoked")
		}
	}
	if len(o.passes) != 0 {
		t.Errorf("%d passes are held", len(o.passes))
	}
}

// TestRevokedElsewhere is known within seconds in every process.
func TestRevokedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here := open(t)
		there := openOn(t, here.store, here.o.CA)
		defer there.run()()
		pass, other := there.admit(here.register("prod")), there.admit(here.register("test"))
		time.Sleep(time.Hour)
		if ended(pass) {
			t.Fatal(pass.Cause())
		}
		if err := here.Revoke(from(t), admin, "", "prod"); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		<-pass.Done()
		if took := time.Since(begun); took > sweepEvery || !errors.Is(pass.Cause(), ErrRevoked) || ended(other) {
			t.Errorf("it took %v: %v", took, pass.Cause())
		}
		synctest.Wait()
		if said := there.log.of("agent.ended"); len(said) != 1 || !strings.Contains(said[0], "revoked") {
			t.Errorf("%q", said)
		}
	})
}

// TestRenewal: a link goes on as long as its agent renews, and ends with a
// certificate that was not renewed.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.o.Life = 9 * time.Hour
		defer o.run()()
		first := o.register("prod")
		p := o.admit(first)
		if _, err := p.Renew(from(t), []byte(csr(t, "prod"))); fault.KindOf(err) != fault.RateLimited || !strings.Contains(fault.PublicOf(err), "before 2000-01-01T04:30:00Z") {
			t.Errorf("at once: %v", err)
		}
		time.Sleep(6 * time.Hour)
		for _, name := range []string{"test", "garbage"} {
			if _, err := p.Renew(from(t), []byte(csr(t, name))); fault.KindOf(err) != fault.Invalid {
				t.Errorf("in the name of %s: %v", name, err)
			}
		}
		old := p.Peer()
		a, err := p.Renew(from(t), []byte(csr(t, "prod")))
		if err != nil || p.Peer().Serial != a.Serial || a.Serial == old.Serial || !bytes.Equal(a.CA, o.o.CA.PEM()) {
			t.Fatalf("%+v, %v", a, err)
		}
		o.mustBeRecorded(audit.AgentRenew, "agent:prod", old.Serial)
		for what, certs := range map[string][]*x509.Certificate{"the old one": first, "the new one": shown(t, a)} {
			if again, err := o.Admit(from(t), certs); err != nil {
				t.Errorf("%s: %v", what, err)
			} else {
				again.Close()
			}
		}
		list, err := o.List(t.Context(), admin)
		if err != nil || len(list) != 1 || list[0].Serial != a.Serial || list[0].Count != 2 || list[0].By.Subject != "ada" || !list[0].Registered.Equal(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%+v, %v", list, err)
		}
		for range 10 {
			time.Sleep(6 * time.Hour)
			if _, err := p.Renew(from(t), []byte(csr(t, ""))); err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		<-p.Done()
		if lived := time.Since(begun); lived < o.o.Life || lived > o.o.Life+sweepEvery || !errors.Is(p.Cause(), pki.ErrExpired) {
			t.Errorf("after %v: %v", lived, p.Cause())
		}
	})
}

// TestAlarm: once a day from when five sixths of a life are over, and never about
// what was renewed or revoked.
func TestAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.register("prod")
		renews := o.admit(o.register("test"))
		said, begun := map[string]time.Time{}, time.Now()
		until := func(days int) int {
			for ; time.Since(begun) < time.Duration(days)*day; time.Sleep(lookEvery) {
				o.alarm(t.Context(), time.Now(), said)
			}
			return len(o.log.of("agent.certificate_ends"))
		}
		until(60)
		if _, err := renews.Renew(from(t), []byte(csr(t, "test"))); err != nil {
			t.Fatal(err)
		}
		if n := until(75); n != 0 {
			t.Errorf("%d lines too early", n)
		}
		if n := until(80); n != 5 {
			t.Errorf("%d lines in five days", n)
		}
		line := o.log.of("agent.certificate_ends")[0]
		for _, want := range []string{`"level":"ERROR"`, `"cluster":"prod"`, `"expiresAt":"2000-03-31T00:00:00Z"`, `"left":"359h0m0s"`} {
			if !strings.Contains(line, want) {
				t.Errorf("no %s in %s", want, line)
			}
		}
		if err := o.Revoke(from(t), admin, "", "prod"); err != nil {
			t.Fatal(err)
		}
		if n := until(90); n != 5 {
			t.Errorf("after its end %d lines", n)
		}
		time.Sleep(time.Until(o.o.CA.Expires().Add(-caAlarm)) - day)
		for range 72 {
			o.alarm(t.Context(), time.Now(), said)
			time.Sleep(lookEvery)
		}
		if said := o.log.of("agent.ca_ends"); len(said) != 2 {
			t.Errorf("of the CA %d lines: %q", len(said), said)
		}
	})
}

// TestForgetting leaves nothing behind.
func TestForgetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.o.Life = day
		o.register("prod")
		o.mint("test")
		defer o.run()()
		time.Sleep(day)
		if tokens, _ := o.counts(); tokens != 2 {
			t.Errorf("%d tokens: a used one must be known by name for a day", tokens)
		}
		time.Sleep(2 * time.Hour)
		if tokens, certificates := o.counts(); tokens != 0 || certificates != 1 {
			t.Errorf("after a day %d tokens, %d certificates", tokens, certificates)
		}
		time.Sleep(30 * day)
		if _, certificates := o.counts(); certificates != 0 {
			t.Errorf("after a month %d certificates", certificates)
		}
	})
}

// moody is a store that does not answer while it is away.
type moody struct {
	*Memory
	away atomic.Bool
}

var errAway = fault.New(fault.Internal, "test", "The database does not answer.")

func (m *moody) Certificate(ctx context.Context, serial string) (Certificate, bool, error) {
	if m.away.Load() {
		return Certificate{}, false, errAway
	}
	return m.Memory.Certificate(ctx, serial)
}

func (m *moody) Token(ctx context.Context, h Hash) (Token, bool, error) {
	if m.away.Load() {
		return Token{}, false, errAway
	}
	return m.Memory.Token(ctx, h)
}

// TestAStoreThatIsAway lets nobody in, ends nobody, and is told as what it is.
func TestAStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		store := &moody{Memory: o.store}
		o.o.Store = store
		defer o.run()()
		certs, token := o.register("prod"), o.mint("prod")
		p := o.admit(certs)
		store.away.Store(true)
		time.Sleep(time.Hour)
		if ended(p) {
			t.Errorf("no answer is no end: %v", p.Cause())
		}
		if _, err := o.Admit(from(t), certs); !errors.Is(err, errAway) {
			t.Error(err)
		}
		if _, err := o.Register(from(t), Ask{token, "prod", csr(t, "prod")}); !errors.Is(err, errAway) {
			t.Error(err)
		}
		if len(o.passes) != 1 {
			t.Errorf("%d passes", len(o.passes))
		}
		store.away.Store(false)
		o.admit(certs)
	})
}
