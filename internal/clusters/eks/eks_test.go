package eks

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/awstest"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kube"
)

// ask asks the cluster something, as somebody.
func ask(t *testing.T, b *kube.Base, imp identity.Impersonation) error {
	t.Helper()
	c, err := b.Client(imp, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Version(t.Context())
	return err
}

var server = identity.Impersonation{None: true}

func as(subject string) identity.Impersonation {
	return identity.Impersonation{User: subject, Subject: subject}
}

// signer is the ARN of whoever's credentials signed a token.
func signer(t *testing.T, a *awstest.AWS, text string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, tokenPrefix))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(u.Query().Get("X-Amz-Credential"), "/")
	return a.Owner(id)
}

// TestOpenAsksNobody: a server starts without AWS, and says what is wrong with its
// settings.
func TestOpenAsksNobody(t *testing.T) {
	r, _ := standing(t)
	r.open(t)
	if r.aws.Asked("eks.eu-west-1.amazonaws.com") || r.aws.Asked("sts.eu-west-1.amazonaws.com") {
		t.Error("AWS was asked before there was anything to ask")
	}
	r.chain["AWS_PROFILE"] = "nope"
	if _, err := (Source{Chain: r.aws.Chain(t, r.chain)}).Open(r.spec); err == nil || !strings.Contains(err.Error(), "check the AWS_… variables") || !strings.Contains(err.Error(), "nope") {
		t.Errorf("got %v", err)
	}
}

// TestSentences is every way in which a cluster cannot be reached for AWS's sake.
func TestSentences(t *testing.T) {
	describing := func(f awstest.Failure) func(*rig, awstest.Cluster) {
		return func(r *rig, _ awstest.Cluster) { r.aws.Fail("eks.DescribeCluster", f) }
	}
	changed := func(change func(*awstest.Cluster)) func(*rig, awstest.Cluster) {
		return func(r *rig, c awstest.Cluster) {
			change(&c)
			r.aws.SetCluster(c)
		}
	}
	for name, c := range map[string]struct {
		prepare func(*rig, awstest.Cluster)
		kind    fault.Kind
		want    string
	}{
		"no permission": {changed(func(c *awstest.Cluster) { c.Readers = nil }), fault.ClusterUnreachable, "must give its role, or that of assumeRoleArn, eks:DescribeCluster"},
		"no such cluster": {func(r *rig, _ awstest.Cluster) {
			r.spec.ARN, r.spec.EKSName = strings.Replace(prodARN, "prod-eu", "gone", 1), "gone"
		}, fault.ClusterUnreachable, "EKS has no cluster for prod in region eu-west-1"},
		"another account's":    {func(r *rig, _ awstest.Cluster) { r.spec.ARN = strings.Replace(prodARN, "222", "333", 1) }, fault.ClusterUnreachable, "another cluster than prod, of the same name"},
		"being made":           {changed(func(c *awstest.Cluster) { c.Status, c.Endpoint = "CREATING", "" }), fault.ClusterUnreachable, "Cluster prod is CREATING, says EKS. Try again when it is ACTIVE."},
		"being deleted":        {changed(func(c *awstest.Cluster) { c.Status = "DELETING" }), fault.ClusterUnreachable, "is DELETING"},
		"failed":               {changed(func(c *awstest.Cluster) { c.Status = "FAILED" }), fault.ClusterUnreachable, "is FAILED"},
		"no CA":                {changed(func(c *awstest.Cluster) { c.CA = nil }), fault.ClusterUnreachable, "nothing useful about where cluster prod is"},
		"no address":           {changed(func(c *awstest.Cluster) { c.Endpoint = "" }), fault.ClusterUnreachable, "nothing useful"},
		"no TLS":               {changed(func(c *awstest.Cluster) { c.Endpoint = "http://x" }), fault.ClusterUnreachable, "nothing useful"},
		"no credentials":       {func(r *rig, _ awstest.Cluster) { r.chain = nil }, fault.ClusterUnreachable, "the server gets no AWS credentials. Whoever runs this server must give it a role, by Pod Identity or IRSA"},
		"expired":              {func(r *rig, _ awstest.Cluster) { r.aws.Expire(awstest.Keys{ID: r.chain["AWS_ACCESS_KEY_ID"]}) }, fault.ClusterUnreachable, "AWS credentials have expired"},
		"a wrong key":          {func(r *rig, _ awstest.Cluster) { r.chain["AWS_SECRET_ACCESS_KEY"] = "guessed" }, fault.ClusterUnreachable, "AWS does not know the server's credentials"},
		"throttled":            {describing(awstest.Failure{Status: http.StatusTooManyRequests, Code: "ThrottlingException"}), fault.RateLimited, "AWS takes no more calls from this account just now. Wait a minute"},
		"EKS is down":          {describing(awstest.Failure{Status: http.StatusInternalServerError, Code: "ServerException"}), fault.ClusterUnreachable, "AWS refused or failed"},
		"the role is refused":  {func(r *rig, _ awstest.Cluster) { r.byRole().aws.Role(clusterRole) }, fault.ClusterUnreachable, "AWS does not let this server take the role for cluster prod. Whoever runs it must check assumeRoleArn, and that the role trusts"},
		"the role is unknown":  {func(r *rig, _ awstest.Cluster) { r.spec.AssumeRoleARN = clusterRole + "x" }, fault.ClusterUnreachable, "must check assumeRoleArn"},
		"a clock a year ahead": {func(r *rig, _ awstest.Cluster) { r.aws.SetClock(-365*24*time.Hour - time.Hour) }, fault.ClusterUnreachable, "the clock of this server is 365 days ahead of that of AWS, which then takes no signature. Whoever runs this server must set its clock."},
		"a clock a year behind": {func(r *rig, _ awstest.Cluster) {
			r.chain = r.aws.Session(baseRole, "server", 2*365*24*time.Hour).Environ()
			r.aws.SetClock(365*24*time.Hour + time.Hour)
		}, fault.ClusterUnreachable, "the clock of this server is 365 days behind that of AWS"},
		"a clock ten minutes behind, and a role": {func(r *rig, _ awstest.Cluster) {
			r.byRole().aws.SetClock(10*time.Minute + 30*time.Second)
		}, fault.ClusterUnreachable, "the clock of this server is 10 minutes behind"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			s, ca := newAPIServer(t)
			r.leadsTo(s.URL, ca)
			c.prepare(r, awstest.Cluster{ARN: prodARN, Status: "ACTIVE", Endpoint: s.URL, CA: ca, Readers: []string{baseSession}})
			_, err := r.open(t).Config(t.Context())
			if fault.KindOf(err) != c.kind || !strings.Contains(fault.PublicOf(err), c.want) {
				t.Fatalf("got %v", err)
			}
			for _, hidden := range []string{account, "arn:", "periscope-base", s.URL} {
				if strings.Contains(fault.PublicOf(err), hidden) {
					t.Errorf("users are told %q: %s", hidden, fault.PublicOf(err))
				}
			}
		})
	}
}

// TestAnUpdateIsNoReason: the apiserver answers while EKS updates a cluster.
func TestAnUpdateIsNoReason(t *testing.T) {
	r := newRig(t)
	s, ca := newAPIServer(t)
	r.aws.SetCluster(awstest.Cluster{ARN: prodARN, Status: "UPDATING", Endpoint: s.URL, CA: ca, Readers: []string{baseSession}})
	if err := ask(t, base(t, r.open(t)), as("alice")); err != nil {
		t.Error(err)
	}
}

// TestManyAtOnce: a thousand come while AWS has not answered yet, and the first of
// them gives up.
func TestManyAtOnce(t *testing.T) {
	r, _ := standing(t)
	b := r.byRole().open(t)
	arrived, release := r.aws.Hold("eks.DescribeCluster")
	first, giveUp := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := b.Config(first); !errors.Is(err, context.Canceled) || fault.KindOf(err) != fault.Timeout {
			t.Errorf("who gave up got %v", err)
		}
	})
	<-arrived
	for range 1000 {
		all.Go(func() {
			if _, err := b.Config(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	giveUp()
	release()
	all.Wait()
	if d, s := r.aws.Calls("eks.DescribeCluster"), r.aws.Calls("sts.AssumeRole"); d != 1 || s != 1 {
		t.Errorf("%d calls of DescribeCluster, %d of AssumeRole", d, s)
	}
}

// TestCloseEndsWhatIsUnderWay and does not wait for AWS.
func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	r, _ := standing(t)
	b := r.open(t)
	arrived, release := r.aws.Hold("eks.DescribeCluster")
	defer release()
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := b.Config(t.Context()); fault.KindOf(err) != fault.ShuttingDown {
			t.Errorf("got %v", err)
		}
	})
	<-arrived
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
}

// TestAWSIsDown: what is known serves for hours, and not for ever.
func TestAWSIsDown(t *testing.T) {
	r, _ := standing(t)
	b := r.open(t)
	first, err := b.Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.aws.Fail("eks.DescribeCluster", awstest.Failure{Status: http.StatusForbidden, Code: "AccessDeniedException"})
	r.ahead.Store(int64(describedStale - time.Minute))
	if again, err := b.Config(t.Context()); err != nil || again != first {
		t.Errorf("within the bound: %v", err)
	}
	asked := r.aws.Calls("eks.DescribeCluster")
	if asked != 2 {
		t.Errorf("%d calls", asked)
	}
	r.ahead.Store(int64(describedStale + time.Minute))
	for range 100 {
		if _, err := b.Config(t.Context()); fault.KindOf(err) != fault.ClusterUnreachable {
			t.Errorf("after it: %v", err)
		}
	}
	if n := r.aws.Calls("eks.DescribeCluster") - asked; n != 1 {
		t.Errorf("a hundred asked AWS %d times", n)
	}
}

// TestThrottled: AWS says when to come back, and is left alone until then.
func TestThrottled(t *testing.T) {
	r, _ := standing(t)
	b := r.open(t)
	r.aws.Fail("eks.DescribeCluster", awstest.Failure{Status: http.StatusTooManyRequests, Code: "ThrottlingException", RetryAfter: "120"})
	for range 10 {
		if _, err := b.Config(t.Context()); fault.KindOf(err) != fault.RateLimited {
			t.Fatal(err)
		}
	}
	r.aws.Mend("eks.DescribeCluster")
	asked := r.aws.Calls("eks.DescribeCluster")
	r.ahead.Store(int64(119 * time.Second))
	if _, err := b.Config(t.Context()); fault.KindOf(err) != fault.RateLimited || r.aws.Calls("eks.DescribeCluster") != asked {
		t.Errorf("asked too early: %v", err)
	}
	r.ahead.Store(int64(121 * time.Second))
	if _, err := b.Config(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAClusterMadeAnew: another endpoint under the same name is another config.
func TestAClusterMadeAnew(t *testing.T) {
	r, _ := standing(t)
	b := r.open(t)
	first, err := b.Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, ca := newAPIServer(t)
	r.leadsTo(s.URL, ca)
	r.ahead.Store(int64(describeLast))
	second, err := b.Config(t.Context())
	if err != nil || second == first || second.Host != s.URL {
		t.Errorf("%+v, %v", second, err)
	}
}

// next is the token that the apiserver was shown last.
func (s *apiserver) next(t *testing.T) string {
	t.Helper()
	select {
	case text := <-s.tokens:
		return text
	case <-time.After(10 * time.Second):
		t.Fatal("the apiserver was not asked")
		return ""
	}
}

// TestTokensAreRenewed while connections stay, and none is sent that STS would
// refuse.
func TestTokensAreRenewed(t *testing.T) {
	r, s := standing(t)
	b := r.open(t)
	way := base(t, b)
	// made is when the token was made that a request bears. Its text has no more
	// than seconds of the real clock.
	made := func(at time.Duration) time.Time {
		t.Helper()
		r.ahead.Store(int64(at))
		if err := ask(t, way, as("alice")); err != nil {
			t.Fatal(err)
		}
		held, err := b.wallet.of("alice").token.Get(t.Context())
		if err != nil || held.text != s.next(t) {
			t.Fatalf("another token was sent: %v", err)
		}
		return held.at
	}
	first := made(0)
	if !made(tokenRenew - time.Minute).Equal(first) {
		t.Error("renewed too early")
	}
	if late := made(tokenLife + time.Second); late.Sub(first) < tokenLife {
		t.Error("the old one was sent when STS no longer takes it")
	}
	if cfg, err := b.Config(t.Context()); err != nil || cfg.BearerToken != "" || cfg.BearerTokenFile != "" {
		t.Errorf("a token stands in the config: %+v, %v", cfg, err)
	}
}

// TestTokensEndWithTheirCredentials, of which five minutes are left aside.
func TestTokensEndWithTheirCredentials(t *testing.T) {
	r, _ := standing(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("web identity"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.aws.WebIdentity("web identity", baseRole)
	r.chain = map[string]string{"AWS_ROLE_ARN": baseRole, "AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_REGION": "eu-west-1"}
	b := r.open(t)
	creds, err := b.wallet.credentials("").Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.ahead.Store(int64(time.Until(creds.Expires) - 3*time.Minute))
	_, life, err := b.wallet.sign(t.Context(), b.wallet.credentials(""))
	if err != nil || !life.Expire.Equal(creds.Expires) || !life.Renew.Equal(creds.Expires) {
		t.Errorf("%+v, %v; the credentials end %v", life, err, creds.Expires)
	}
}

// TestARefusedTokenIsMadeAnew, once it is old enough for that to help.
func TestARefusedTokenIsMadeAnew(t *testing.T) {
	r, s := standing(t)
	b := r.open(t)
	way := base(t, b)
	// made is when the token was made that the next request will bear.
	made := func() time.Time {
		t.Helper()
		held, err := b.wallet.of("").token.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return held.at
	}
	refuse := func(at time.Duration) {
		t.Helper()
		r.ahead.Store(int64(at))
		s.status.Store(http.StatusUnauthorized)
		if err := ask(t, way, server); fault.KindOf(err) != fault.ClusterUnreachable || !strings.Contains(fault.PublicOf(err), "server's own credentials") {
			t.Fatalf("got %v", err)
		}
	}
	first := made()
	for range 3 {
		refuse(0)
		if !made().Equal(first) {
			t.Fatal("a new token was refused and made anew all the same")
		}
	}
	refuse(refusedAfter + time.Second)
	if made().Sub(first) <= refusedAfter {
		t.Error("an old one was refused and is kept")
	}
	s.status.Store(http.StatusOK)
	if err := ask(t, way, server); err != nil {
		t.Error(err)
	}
}

// TestNobodysTokenServesAnother: more users than are kept, all at once, each with a
// role session of their own.
func TestNobodysTokenServesAnother(t *testing.T) {
	r := newRig(t).byRole()
	type seen struct{ user, token string }
	got := make(chan seen, 8192)
	s, ca := newAPIServer(t)
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		got <- seen{req.Header.Get("Impersonate-User"), strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")}
		_, _ = w.Write([]byte(`{"gitVersion":"v1.36.3"}`))
	})
	r.leadsTo(s.URL, ca)
	b := r.open(t)
	way := base(t, b)
	const users, workers = maxUsers + 40, 3
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for i := range users {
				n := (i + worker*users/workers) % users
				if err := ask(t, way, as(fmt.Sprintf("auth0|%d", n))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	close(got)
	n := 0
	for one := range got {
		n++
		if who, want := signer(t, r.aws, one.token), roleSession+sessionName(one.user); who != want {
			t.Fatalf("a request of %s was signed by %s", one.user, who)
		}
	}
	b.wallet.mu.Lock()
	kept := len(b.wallet.purses)
	b.wallet.mu.Unlock()
	if n != workers*users || kept > maxUsers+1 {
		t.Errorf("%d requests; %d users are kept", n, kept)
	}
}

// TestWithoutARoleThereIsOneToken: nothing in it could name a user.
func TestWithoutARoleThereIsOneToken(t *testing.T) {
	r, s := standing(t)
	way := base(t, r.open(t))
	var tokens []string
	for _, subject := range []string{"alice", "bob", ""} {
		imp := identity.Impersonation{None: true, Subject: subject}
		if err := ask(t, way, imp); err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, s.next(t))
	}
	if len(slices.Compact(tokens)) != 1 || signer(t, r.aws, tokens[0]) != baseSession+"server" {
		t.Errorf("tokens of %s", signer(t, r.aws, tokens[0]))
	}
}

// TestSharedModeNamesTheUser: nobody is impersonated, and the session says who it
// was all the same.
func TestSharedModeNamesTheUser(t *testing.T) {
	r, s := standing(t)
	way := base(t, r.byRole().open(t))
	if err := ask(t, way, identity.Impersonation{None: true, Subject: "alice"}); err != nil {
		t.Fatal(err)
	}
	if who := signer(t, r.aws, s.next(t)); who != roleSession+"periscope-alice" {
		t.Errorf("signed by %s", who)
	}
}

// TestDefaultChain is the ways by which a server in a pod gets credentials.
func TestDefaultChain(t *testing.T) {
	for name, environ := range map[string]func(*testing.T, *rig) map[string]string{
		"Pod Identity": func(t *testing.T, r *rig) map[string]string { return r.aws.PodIdentity(t, baseRole) },
		"IRSA": func(t *testing.T, r *rig) map[string]string {
			file := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(file, []byte("of the service account"), 0o600); err != nil {
				t.Fatal(err)
			}
			r.aws.WebIdentity("of the service account", baseRole)
			return map[string]string{"AWS_ROLE_ARN": baseRole, "AWS_WEB_IDENTITY_TOKEN_FILE": file}
		},
		"a profile": func(t *testing.T, r *rig) map[string]string {
			k := r.aws.Session(baseRole, "me", time.Hour)
			file := filepath.Join(t.TempDir(), "credentials")
			text := fmt.Sprintf("[work]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n", k.ID, k.Secret, k.Token)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file, "AWS_PROFILE": "work"}
		},
	} {
		for _, byRole := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, role %v", name, byRole), func(t *testing.T) {
				r, s := standing(t)
				r.chain = environ(t, r)
				want := baseSession
				if byRole {
					r.byRole()
					want = roleSession
				}
				if err := ask(t, base(t, r.open(t)), as("alice")); err != nil {
					t.Fatal(err)
				}
				if who := signer(t, r.aws, s.next(t)); !strings.HasPrefix(who, want) {
					t.Errorf("signed by %s", who)
				}
			})
		}
	}
}
