package eks

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/awstest"
	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/clusters/clusterstest"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/kubetest"
)

// review asks the webhook who a token is.
func review(t *testing.T, webhook, text string) authentication.TokenReviewStatus {
	t.Helper()
	body, err := json.Marshal(authentication.TokenReview{Spec: authentication.TokenReviewSpec{Token: text}})
	if err != nil {
		t.Fatal(err)
	}
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	resp, err := hc.Post(webhook, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var out authentication.TokenReview
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out.Status
}

func tokenOf(t *testing.T, b *backend, subject string) string {
	t.Helper()
	text, err := b.wallet.token(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestTheVerifierTakesOurTokens: aws-iam-authenticator's own, against an STS that
// checks the signature.
func TestTheVerifierTakesOurTokens(t *testing.T) {
	r, _ := standing(t)
	webhook := r.webhook(t, "prod-eu", "aws", "eu-west-1")
	own := tokenOf(t, r.open(t), "alice")
	if got := review(t, webhook, own); !got.Authenticated || got.User.Username != "periscope-server" || !slices.Equal(got.User.Groups, []string{"periscope-bridge"}) {
		t.Errorf("the server's own: %+v", got)
	}
	b := r.byRole().open(t)
	for subject, name := range map[string]string{"": "periscope", "alice": "periscope-alice", "auth0|4711": "periscope-auth0-4711=" + sumOf("auth0|4711")} {
		got := review(t, webhook, tokenOf(t, b, subject))
		if !got.Authenticated || got.User.Username != "periscope-role" || got.User.Extra["sessionName"][0] != name {
			t.Errorf("%q: %+v", subject, got)
		}
	}
}

func sumOf(subject string) string {
	_, sum, _ := strings.Cut(sessionName(subject), sumMark)
	return sum
}

// TestTheVerifierRefuses what is not ours: the suite above proves little if it took
// anything.
func TestTheVerifierRefuses(t *testing.T) {
	r, _ := standing(t)
	good := tokenOf(t, r.open(t), "")
	here, other := r.webhook(t, "prod-eu", "aws", "eu-west-1"), r.webhook(t, "another", "aws", "eu-west-1")
	if !review(t, here, good).Authenticated {
		t.Fatal("the token is no good to begin with")
	}
	if review(t, other, good).Authenticated {
		t.Error("another cluster took it")
	}
	if review(t, here, good[:len(good)-4]+"AAAA").Authenticated {
		t.Error("a forged signature was taken")
	}
	r.aws.SetClock(presigned + time.Minute)
	if review(t, here, good).Authenticated {
		t.Error("an old one was taken")
	}
}

// presigned is how long STS takes a token.
const presigned = 15 * time.Minute

// TestEveryPartition: the address that tokens name is the partition's own, by FIPS
// too where there is such, and its verifier takes them.
func TestEveryPartition(t *testing.T) {
	for _, p := range awstest.Partitions {
		t.Run(p.Region, func(t *testing.T) {
			r := newRig(t)
			arn := "arn:" + p.Name + ":eks:" + p.Region + ":" + account + ":cluster/prod-eu"
			role := "arn:" + p.Name + ":iam::" + account + ":role/periscope-base"
			r.spec.Region, r.spec.ARN = p.Region, arn
			s, ca := newAPIServer(t)
			r.aws.SetCluster(awstest.Cluster{ARN: arn, Status: "ACTIVE", Endpoint: s.URL, CA: ca, Readers: []string{"arn:" + p.Name + ":"}})
			r.chain = r.aws.Session(role, "server", time.Hour).Environ()
			delete(r.chain, "AWS_REGION")
			b := r.open(t)
			if _, err := b.Config(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := review(t, r.webhook(t, "prod-eu", p.Name, p.Region), tokenOf(t, b, "")); !got.Authenticated {
				t.Errorf("%+v", got)
			}
			for _, service := range []string{"sts.", "eks."} {
				if host := service + p.Region + "." + p.Domain; !r.aws.Asked(host) {
					t.Errorf("%s was not asked", host)
				}
			}
		})
	}
}

func TestFIPS(t *testing.T) {
	for region, hosts := range map[string][2]string{
		"us-east-1":     {"fips.eks.us-east-1.amazonaws.com", "sts-fips.us-east-1.amazonaws.com"},
		"us-gov-west-1": {"eks.us-gov-west-1.amazonaws.com", "sts.us-gov-west-1.amazonaws.com"},
	} {
		t.Run(region, func(t *testing.T) {
			r := newRig(t)
			partition := "aws"
			if strings.HasPrefix(region, "us-gov") {
				partition = "aws-us-gov"
			}
			arn := "arn:" + partition + ":eks:" + region + ":" + account + ":cluster/prod-eu"
			r.spec.Region, r.spec.ARN = region, arn
			s, ca := newAPIServer(t)
			r.aws.SetCluster(awstest.Cluster{ARN: arn, Status: "ACTIVE", Endpoint: s.URL, CA: ca, Readers: []string{"arn:"}})
			r.chain = r.aws.Session("arn:"+partition+":iam::"+account+":role/periscope-base", "server", time.Hour).Environ()
			r.chain["AWS_USE_FIPS_ENDPOINT"] = "true"
			b := r.open(t)
			if _, err := b.Config(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := review(t, r.webhook(t, "prod-eu", partition, region), tokenOf(t, b, "")); !got.Authenticated {
				t.Errorf("%+v", got)
			}
			for _, host := range hosts {
				if !r.aws.Asked(host) {
					t.Errorf("%s was not asked", host)
				}
			}
		})
	}
}

// realCluster is a real apiserver that asks the webhook, and in which the group
// periscope-bridge may impersonate: EKS, as far as an apiserver is concerned.
func realCluster(t *testing.T, r *rig, args ...string) *kubetest.Cluster {
	t.Helper()
	file := filepath.Join(t.TempDir(), "webhook.yaml")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: w\ncontexts: [{name: w, context: {cluster: w, user: w}}]\nusers: [{name: w, user: {}}]\n" +
		"clusters: [{name: w, cluster: {server: \"" + r.webhook(t, "prod-eu", "aws", "eu-west-1") + "\"}}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := kubetest.Start(t, kubetest.Args(append(args, "--token-webhook", file)...))
	role, err := c.Client.RbacV1().ClusterRoles().Create(t.Context(), &rbac.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "periscope-impersonator"},
		Rules: []rbac.PolicyRule{
			{Verbs: []string{"impersonate"}, APIGroups: []string{""}, Resources: []string{"users", "groups"}},
			{Verbs: []string{"watch", "list"}, APIGroups: []string{""}, Resources: []string{"namespaces"}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbac.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "periscope-impersonator"},
		RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbac.Subject{{Kind: "Group", APIGroup: rbac.GroupName, Name: "periscope-bridge"}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	r.leadsTo(c.Config.Host, c.Config.CAData)
	return c
}

// TestSuite holds the backend to the contract, against a real apiserver that knows
// it by its token alone; and 1,000 requests cost one DescribeCluster and one token.
func TestSuite(t *testing.T) {
	r := newRig(t)
	realCluster(t, r)
	for _, c := range []struct {
		name string
		rig  func() *rig
	}{
		{"the server's own role", func() *rig { return r }},
		{"a role of the cluster's", r.byRole},
	} {
		r := c.rig()
		t.Run(c.name, func(t *testing.T) {
			clusterstest.Run(t, clusterstest.Subject{
				Open: func(t *testing.T) clusters.Backend {
					b, err := Source{Chain: r.aws.Chain(t, r.chain), Now: r.now}.Open(r.spec)
					if err != nil {
						t.Fatal(err)
					}
					return b
				},
				// AWS is down, and has been for longer than anything is kept.
				Break: func(*testing.T) {
					r.aws.Fail("eks.DescribeCluster", awstest.Failure{Status: http.StatusForbidden, Code: "AccessDeniedException"})
					r.ahead.Add(int64(7 * time.Hour))
				},
				Mend: func(*testing.T) {
					r.aws.Mend("eks.DescribeCluster")
					r.ahead.Add(int64(time.Minute))
				},
				Hidden: []string{r.chain["AWS_SECRET_ACCESS_KEY"], r.chain["AWS_ACCESS_KEY_ID"], r.chain["AWS_SESSION_TOKEN"], "periscope-base", "periscope-prod", account},
			})
		})
	}
}

// TestAThousandRequests of one user through a real apiserver.
func TestAThousandRequests(t *testing.T) {
	r := newRig(t)
	realCluster(t, r)
	for name, c := range map[string]struct {
		rig      *rig
		sessions []string
	}{
		"the server's own role":   {&rig{aws: r.aws, spec: r.spec, chain: r.chain}, nil},
		"a role of the cluster's": {(&rig{aws: r.aws, spec: r.spec, chain: r.chain}).byRole(), []string{"periscope", "periscope-alice"}},
	} {
		t.Run(name, func(t *testing.T) {
			described, taken := r.aws.Calls("eks.DescribeCluster"), len(r.aws.Sessions())
			b := c.rig.open(t)
			requests(t, b, 1000)
			if n := r.aws.Calls("eks.DescribeCluster") - described; n != 1 {
				t.Errorf("%d calls of DescribeCluster", n)
			}
			if got := r.aws.Sessions()[taken:]; !slices.Equal(got, c.sessions) {
				t.Errorf("role sessions %q, want %q", got, c.sessions)
			}
		})
	}
}

// requests makes n as alice, many at once, and looks at how many tokens they bore.
func requests(t *testing.T, b *backend, n int) {
	t.Helper()
	seen := &observed{Backend: b, tokens: map[string]bool{}}
	registry, err := clusters.New([]config.Cluster{b.spec}, map[config.BackendKind]clusters.Opener{
		config.EKS: func(config.Cluster) (clusters.Backend, error) { return seen, nil },
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = registry.Close() }()
	cluster, err := registry.Get("prod")
	if err != nil {
		t.Fatal(err)
	}
	alice := identity.Impersonation{User: "alice", Subject: "alice"}
	jobs := make(chan struct{}, n)
	for range n {
		jobs <- struct{}{}
	}
	close(jobs)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for range jobs {
				client, err := cluster.Client(t.Context(), alice, "")
				if err == nil {
					_, err = client.Version(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := seen.count(); n != 1 {
		t.Errorf("%d tokens were sent", n)
	}
}
