package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/app/server"
	"github.com/periscope-console/periscope/internal/kubetest"
)

// oftenAsked is how often rights are checked in these tests.
const oftenAsked = 2 * time.Second

// ofAda starts a server whose one user has the role admin in ns alone.
func ofAda(t *testing.T, c *kubetest.Cluster, front, ns string) *product {
	t.Helper()
	c.Bind(t, ns, "admin", "periscope:"+ns)
	return startOptions(t, server.Options{RightsEvery: oftenAsked}, authFiles(t, &kubetest.Cluster{Kubeconfig: front}, ns))
}

func unbind(t *testing.T, c *kubetest.Cluster, ns, role string) {
	t.Helper()
	if err := c.Client.RbacV1().RoleBindings(ns).Delete(t.Context(), role, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// ending is the one end event in audit, as extra fields.
func (p *product) ending() map[string]any {
	p.t.Helper()
	eventually(p.t, "the end is in audit", func() bool { return len(p.events("pod.exec.session_end", "completed")) == 1 })
	return p.events("pod.exec.session_end", "completed")[0]["extra"].(map[string]any)
}

// TestARightTakenAway removes the binding under running shells.
func TestARightTakenAway(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	p := ofAda(t, c, c.Kubeconfig, ns)
	term := p.open("real", ns, pod.Name, nil)
	term.send("echo he''re\n")
	term.expect("here")
	unbind(t, c, ns, "admin")
	lost := time.Now()
	closed, code := term.closed()
	if took := time.Since(lost); took > oftenAsked+8*time.Second {
		t.Errorf("ended after %v", took)
	}
	if e := term.frame("error"); closed["reason"] != "forbidden" || code != 1008 || e["code"] != "E_FORBIDDEN" || !strings.Contains(closed["message"].(string), "was taken away") {
		t.Errorf("closed %v with %d, error %v", closed, code, e)
	}
	if extra := p.ending(); extra["close_reason"] != "forbidden" {
		t.Errorf("end event %v", extra)
	}
	if e := p.events("pod.exec.session_end", "completed")[0]; e["outcome"] != "denied" {
		t.Errorf("end event %v", e)
	}
}

// TestGetIsNoRightToAShell: before Kubernetes 1.35 it sufficed for a WebSocket, so
// the question is asked here, and nothing is dialled.
func TestGetIsNoRightToAShell(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	c.Bind(t, ns, "view", "periscope:"+ns)
	grant(t, c, ns, "looker", "periscope:"+ns, "get", "pods/exec")
	eventually(t, "the right to get counts", func() bool { return mayExec(t, c, ns, "get") })
	w := newWitness(t, c)
	p := startWith(t, authFiles(t, &kubetest.Cluster{Kubeconfig: w.Kubeconfig}, ns))
	_, resp := p.dial(execPath("real", ns, pod.Name), false)
	if resp == nil {
		t.Fatal("it was not refused before the upgrade")
	}
	var body struct{ Error, Message string }
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusForbidden || body.Error != "E_FORBIDDEN" || !strings.Contains(body.Message, "the right to create pods/exec is missing") {
		t.Errorf("%d %+v", resp.StatusCode, body)
	}
	for _, r := range w.requests(t) {
		if strings.HasSuffix(r.URL.Path, "/exec") {
			t.Errorf("%s %s was asked of the cluster", r.Method, r.URL.Path)
		}
	}
}

// mayExec asks whether ada's group has a right to pods/exec.
func mayExec(t *testing.T, c *kubetest.Cluster, ns, verb string) bool {
	t.Helper()
	review, err := c.Client.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "ada", Groups: []string{"periscope:" + ns},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Resource: "pods", Subresource: "exec", Namespace: ns},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}

// deaf stands before an apiserver and can be told to answer some questions in its
// stead, while streams go on.
type deaf struct {
	Kubeconfig string
	failing    atomic.Pointer[failing]
	asked      atomic.Int64
}

// failing is an answer to requests whose path has this part. It reaches nobody's
// stream: those are upgrades.
type failing struct {
	path   string
	answer http.HandlerFunc
}

func (f *failing) meets(r *http.Request) bool {
	return f != nil && strings.Contains(r.URL.Path, f.path) && r.Header.Get("Upgrade") == ""
}

const aboutRights = "selfsubjectaccessreviews"

func unhealthy(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "no healthy upstream", http.StatusServiceUnavailable)
}

// allIsWell is what some gateways say in an apiserver's stead.
func allIsWell(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"message":"maintenance"}`))
}

func newDeaf(t *testing.T, c *kubetest.Cluster) *deaf {
	t.Helper()
	target, err := url.Parse(kubetest.NewFront(t, c).Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	d, upstream := &deaf{}, &http.Transport{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: upstream, FlushInterval: -1,
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := d.failing.Load(); f.meets(r) {
			d.asked.Add(1)
			f.answer(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		upstream.CloseIdleConnections()
	})
	d.Kubeconfig = kubetest.Anonymous(t, srv.URL)
	return d
}

// TestAClusterThatDoesNotAnswer fails every question while a shell runs; then
// the right goes away and answers come again.
func TestAClusterThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	d := newDeaf(t, c)
	p := ofAda(t, c, d.Kubeconfig, ns)
	term := p.open("real", ns, pod.Name, nil)
	d.failing.Store(&failing{aboutRights, unhealthy})
	unbind(t, c, ns, "admin")
	eventually(t, "three questions are failed", func() bool { return d.asked.Load() >= 3 })
	term.send("echo still''here\n")
	term.expect("stillhere")
	d.failing.Store(nil)
	if closed, _ := term.closed(); closed["reason"] != "forbidden" {
		t.Errorf("closed %v", closed)
	}
}

// TestAGatewayThatIsNoApiserver has one say "OK" to the questions that a shell stands
// on: nobody's right is gone, and no pod.
func TestAGatewayThatIsNoApiserver(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns)
	d := newDeaf(t, c)
	p := ofAda(t, c, d.Kubeconfig, ns)
	term := p.open("real", ns, pod.Name, nil)
	for _, path := range []string{aboutRights, "/pods/"} {
		d.asked.Store(0)
		d.failing.Store(&failing{path, allIsWell})
		eventually(t, "three questions are failed", func() bool { return d.asked.Load() >= 3 })
		term.send("echo still''here\n")
		term.expect("stillhere")
	}
	d.failing.Store(&failing{"/", allIsWell})
	for _, path := range []string{"/namespaces", "/pods", "/pods/" + ns + "/" + pod.Name} {
		var body struct{ Error, Message string }
		if status := p.call("GET", "/api/clusters/real"+path, "", &body); status != http.StatusServiceUnavailable || !strings.Contains(body.Message, "is not a Kubernetes apiserver") {
			t.Errorf("%s: %d %+v", path, status, body)
		}
	}
}
