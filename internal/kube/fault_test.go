package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/fault"
)

// listPods is a call that fails in each test's own way.
func listPods(ctx context.Context, t *testing.T, cfg *rest.Config) error {
	t.Helper()
	c := client(t, base(t, cfg), alice, "")
	_, err := c.Core.Pods("shop").List(ctx, metav1.ListOptions{})
	if err == nil {
		t.Fatal("the call went well")
	}
	return c.Fault(err, "objects.Pods", "list the pods of namespace shop")
}

func status(code int, reason metav1.StatusReason, msg string, details *metav1.StatusDetails) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
			Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: msg, Details: details,
		})
	}
}

func plain(code int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

func TestFaultOfAnswers(t *testing.T) {
	const page = "<html><body>Welcome to nginx</body></html>"
	cases := []struct {
		name    string
		handler http.HandlerFunc
		kind    fault.Kind
		says    string
	}{
		{"forbidden", status(403, "Forbidden", `pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "shop"`, &metav1.StatusDetails{Kind: "pods"}),
			fault.Forbidden, `You may not list the pods of namespace shop: pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "shop". Ask whoever`},
		{"may not impersonate", status(403, "Forbidden", `users "alice" is forbidden: User "periscope" cannot impersonate resource "users"`, &metav1.StatusDetails{Kind: "users"}),
			fault.Forbidden, "The server may not act as you in this cluster"},
		{"a proxy's 403", plain(403, "text/html", page), fault.Forbidden,
			"Could not list the pods of namespace shop: something between this server and cluster prod, such as a proxy, refused it with HTTP status 403. Whoever runs this server"},
		{"a proxy's 400", plain(400, "text/html", page), fault.Invalid, "something between this server and cluster prod"},
		{"a proxy's 409", plain(409, "text/plain", page), fault.Conflict, "something between this server and cluster prod"},
		{"a proxy's 413", plain(413, "text/html", page), fault.TooLarge, "something between this server and cluster prod"},
		{"a proxy's 422", plain(422, "application/json", `{"detail":"`+page+`"}`), fault.Unprocessable, "something between this server and cluster prod"},
		{"a proxy's 502", plain(502, "text/html", page), fault.ClusterUnreachable, "or something on the way to it, answered with HTTP status 502. Try again"},
		{"server's credentials", status(401, "Unauthorized", "Unauthorized", nil), fault.ClusterUnreachable, "Cluster prod refused the server's own credentials"},
		{"bad request", status(400, "BadRequest", "bad continue", nil), fault.Invalid, "did not take the request to list the pods of namespace shop: bad continue."},
		{"not found", status(404, "NotFound", `pods "x" not found`, &metav1.StatusDetails{Kind: "pods", Name: "x"}), fault.NotFound, `pods "x" not found.`},
		{"another server's 404", plain(404, "text/html", page), fault.ClusterUnreachable, "is not a Kubernetes apiserver"},
		{"conflict", status(409, "Conflict", "object has been modified", nil), fault.Conflict, "changed in the meantime"},
		{"gone", status(410, "Expired", "too old", nil), fault.Gone, "Start again from the first page"},
		{"too large", status(413, "RequestEntityTooLarge", "limit is 3145728", nil), fault.TooLarge, "too large"},
		{"unprocessable", status(422, "Invalid", "spec.x: Required value", nil), fault.Unprocessable, "spec.x: Required value."},
		{"busy", status(429, "TooManyRequests", "slow down", nil), fault.RateLimited, "Wait a moment"},
		{"busy in plain text", plain(429, "text/plain", "Too many requests, please try again later."), fault.RateLimited, "Wait a moment"},
		{"internal", status(500, "InternalError", "etcdserver: request timed out", nil), fault.ClusterUnreachable, "etcdserver: request timed out."},
		{"unavailable", status(503, "ServiceUnavailable", "apiserver is shutting down", nil), fault.ClusterUnreachable, "apiserver is shutting down."},
		{"gateway timeout", status(504, "Timeout", "request did not complete", nil), fault.Timeout, "took too long"},
		{"HTML", plain(200, "text/html", page), fault.ClusterUnreachable, "is not a Kubernetes apiserver"},
		{"half of JSON", plain(200, "application/json", `{"kind":"PodList","apiVersion":"v1","items":[{`), fault.ClusterUnreachable, "is not a Kubernetes apiserver"},
		{"another kind", plain(200, "application/json", `{"kind":"Cake","apiVersion":"bakery/v1"}`), fault.ClusterUnreachable, "is not a Kubernetes apiserver"},
		{"empty", plain(200, "application/json", ""), fault.ClusterUnreachable, "is not a Kubernetes apiserver"},
		{"garbage protobuf", plain(200, "application/vnd.kubernetes.protobuf", "k8s\x00\xff\xff"), fault.ClusterUnreachable, "is not a Kubernetes apiserver"},
		{"connection cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, fault.ClusterUnreachable, "could not be reached"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg, _ := apiserver(t, c.handler)
			err := listPods(t.Context(), t, cfg)
			if fault.KindOf(err) != c.kind || !strings.Contains(fault.PublicOf(err), c.says) {
				t.Errorf("got %s: %v\nwant %s: %s", fault.KindOf(err), err, c.kind, c.says)
			}
			checkSentence(t, fault.PublicOf(err))
			if f, ok := errors.AsType[*fault.Error](err); ok && strings.Contains(fmt.Sprint(f.Public, f.Status), "nginx") {
				t.Errorf("a stranger's page is shown: %s, %v", fault.PublicOf(err), f.Status)
			}
		})
	}
}

// checkSentence holds a sentence to what the user is promised.
func checkSentence(t *testing.T, s string) {
	t.Helper()
	if strings.Contains(s, "127.0.0.1") || strings.Contains(s, "server-token") || strings.Contains(s, "\n") || !strings.HasSuffix(s, ".") {
		t.Errorf("no sentence for users: %s", s)
	}
}

func TestStatusIsKept(t *testing.T) {
	cfg, _ := apiserver(t, status(403, "Forbidden", "no", &metav1.StatusDetails{Kind: "pods"}))
	var f *fault.Error
	if err := listPods(t.Context(), t, cfg); !errors.As(err, &f) {
		t.Fatal(err)
	}
	st, ok := f.Status.(metav1.Status)
	if !ok || st.Code != 403 || st.Kind != "Status" || st.APIVersion != "v1" || st.Details.Kind != "pods" {
		t.Fatalf("got %+v", f.Status)
	}
}

func TestFaultOfTheWay(t *testing.T) {
	good, _ := apiserver(t, version)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "https://" + listener.Addr().String()
	_ = listener.Close()
	bare := httptest.NewServer(http.HandlerFunc(version))
	defer bare.Close()
	hang := make(chan struct{})
	slow, _ := apiserver(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	defer close(hang)
	given, cancel := context.WithCancel(t.Context())
	cancel()
	soon, cancel2 := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel2()

	cases := []struct {
		name string
		ctx  context.Context
		cfg  *rest.Config
		kind fault.Kind
		says string
	}{
		{"nothing listens", t.Context(), &rest.Config{Host: closed}, fault.ClusterUnreachable, "nothing listens at the address of cluster prod"},
		{"no such name", t.Context(), &rest.Config{Host: "https://nowhere.invalid"}, fault.ClusterUnreachable, "the address of cluster prod is unknown"},
		{"not trusted", t.Context(), &rest.Config{Host: good.Host}, fault.ClusterUnreachable, "is not trusted"},
		{"another name", t.Context(), &rest.Config{Host: good.Host, TLSClientConfig: rest.TLSClientConfig{CAData: good.CAData, ServerName: "other"}}, fault.ClusterUnreachable, "is not trusted"},
		{"no TLS there", t.Context(), &rest.Config{Host: strings.Replace(bare.URL, "http://", "https://", 1)}, fault.ClusterUnreachable, "no secure connection"},
		{"slow", soon, slow, fault.Timeout, "did not answer in time"},
		{"given up", given, slow, fault.Timeout, "was given up"},
		{"dial times out", t.Context(), &rest.Config{Host: "https://x", Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: timeoutError{}}
		}}, fault.ClusterUnreachable, "cluster prod does not answer"},
		{"anything else", t.Context(), &rest.Config{Host: "https://x", Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("strange")
		}}, fault.ClusterUnreachable, "could not be reached"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := listPods(c.ctx, t, c.cfg)
			if fault.KindOf(err) != c.kind || !strings.Contains(fault.PublicOf(err), c.says) {
				t.Errorf("got %s: %v\nwant %s: %s", fault.KindOf(err), err, c.kind, c.says)
			}
			checkSentence(t, fault.PublicOf(err))
		})
	}
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "timed out" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

func TestFaultLeavesFaultsAlone(t *testing.T) {
	first := fault.New(fault.NoShell, "x", "No shell.")
	if got := Fault(fmt.Errorf("wrapped: %w", first), "op", "what"); fault.KindOf(got) != fault.NoShell {
		t.Error(got)
	}
	if Fault(nil, "op", "what") != nil {
		t.Error("nil became a fault")
	}
}

func TestLongMessages(t *testing.T) {
	cfg, _ := apiserver(t, status(422, "Invalid", strings.Repeat("x\n ", 10000), nil))
	if s := fault.PublicOf(listPods(t.Context(), t, cfg)); len(s) > 1000 || strings.Contains(s, "\n") {
		t.Errorf("%d bytes", len(s))
	}
}
