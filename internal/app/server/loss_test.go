package server_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/periscope-console/periscope/internal/app/server"
	"github.com/periscope-console/periscope/internal/badnet"
	"github.com/periscope-console/periscope/internal/kubetest"
)

// nodeBehind puts a network between the apiserver and the one node.
func nodeBehind(t *testing.T, c *kubetest.Cluster) *badnet.Proxy {
	t.Helper()
	nodes, err := c.Client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 1 {
		t.Fatalf("nodes %v: %v", nodes, err)
	}
	node := nodes.Items[0]
	kubelet := node.Status.DaemonEndpoints.KubeletEndpoint.Port
	proxy := badnet.Start(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(int(kubelet))))
	_, port, err := net.SplitHostPort(proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	patch := `{"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":` + port + `}}}}`
	moved, err := c.Client.CoreV1().Nodes().Patch(t.Context(), node.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	if err != nil || strconv.Itoa(int(moved.Status.DaemonEndpoints.KubeletEndpoint.Port)) != port {
		t.Fatalf("the node was not moved: %v", err)
	}
	return proxy
}

// apiserverBehind puts a network between Periscope and the apiserver.
func apiserverBehind(t *testing.T, c *kubetest.Cluster) (*badnet.Proxy, *kubetest.Cluster) {
	t.Helper()
	at, err := url.Parse(c.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	proxy := badnet.Start(t, at.Host)
	text, err := os.ReadFile(c.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	behind := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(behind, []byte(strings.ReplaceAll(string(text), at.Host, proxy.Addr())), 0o600); err != nil {
		t.Fatal(err)
	}
	return proxy, &kubetest.Cluster{Kubeconfig: behind}
}

// lossy starts a server that soon notices what is lost.
func lossy(t *testing.T, c *kubetest.Cluster, kind string) *product {
	t.Helper()
	return startOptions(t, server.Options{RightsEvery: oftenAsked, Beat: time.Second, Patience: 2 * time.Second},
		[]string{"--kubeconfig", c.Kubeconfig}, "PERISCOPE_EXEC_TRANSPORT="+kind, "PERISCOPE_METRICS_ADDRESS=127.0.0.1:0")
}

// patient is a shell in a pod of its own with a command in its foreground.
type patient struct {
	name, ns, pod string
	c             *kubetest.Cluster
	p             *product
	term          *terminal
	id            string
}

const foreground = "sleep 4321"

// patients opens one shell in plain mode and one in v2.
func patients(t *testing.T, c *kubetest.Cluster, p *product, ns, kind string) []*patient {
	t.Helper()
	var all []*patient
	for _, mode := range []string{"plain", "v2"} {
		// The container ends when somebody writes to /tmp/end. It opens that for both ways,
		// and so does not wait: an open that waits ends when an orphan does, whose parent it is.
		pod := c.Pod(t, ns, kubetest.Command("sh", "-c", "mkfifo /tmp/end; exec 3<>/tmp/end; read -r x <&3; exit 3"))
		pt := &patient{name: kind + " " + mode, ns: ns, pod: pod.Name, c: c, p: p}
		if mode == "v2" {
			pt.term = p.open(p.clusterName(), ns, pt.pod, nil)
		} else {
			pt.term, _ = p.dial(execPath(p.clusterName(), ns, pt.pod), false)
		}
		hello := pt.term.frame("hello")
		if hello == nil || hello["transport"] != kind {
			t.Fatalf("hello %v", hello)
		}
		pt.id = hello["sessionId"].(string)
		pt.term.send(foreground + "\n")
		eventually(t, "the command runs", func() bool { return pt.running(t) == 1 })
		all = append(all, pt)
	}
	return all
}

func (pt *patient) running(t *testing.T) int { return processes(t, pt.c, pt.ns, pt.pod, foreground) }

// end is how a session ends, as it is told everywhere.
type end struct {
	reason    string
	code      float64 // of the WebSocket
	says      *regexp.Regexp
	errorCode any // of the frame before closed; nil where there is none
	exit      any
	outcome   string
	ended     string // how sure it is that nothing is left in the container
}

// lostEnd is the end of a session on the way to whose container something is lost.
func lostEnd(says *regexp.Regexp, ended string) end {
	return end{"server_error", 1011, says, "E_CLUSTER_UNREACHABLE", nil, "failure", ended}
}

// wantEnds expects it of all. Each reads meanwhile, as its browser does: whoever does
// not answers no ping, and the pong to a socket that is closed hides how it closed.
func wantEnds(t *testing.T, all []*patient, want end) {
	t.Helper()
	var reading sync.WaitGroup
	for _, pt := range all {
		reading.Go(pt.term.rest)
	}
	reading.Wait()
	for _, pt := range all {
		pt.wantEnd(t, want)
	}
}

func (pt *patient) wantEnd(t *testing.T, want end) {
	t.Helper()
	closed, code := pt.term.closed()
	var told any
	if e := pt.term.frame("error"); e != nil {
		if told = e["code"]; e["message"] != closed["message"] {
			t.Errorf("%s: error %v, closed %v", pt.name, e, closed)
		}
	}
	if closed["reason"] != want.reason || float64(code) != want.code || closed["exitCode"] != want.exit || told != want.errorCode ||
		!want.says.MatchString(closed["message"].(string)) {
		t.Errorf("%s: closed %v with %d, error %v", pt.name, closed, code, told)
	}
	pt.p.wantRecords(t, pt.id, want.reason, want.outcome, want.ended)
}

// wantRecords expects the session's records, once each and in this order, and its
// end in the log.
func (p *product) wantRecords(t *testing.T, id, reason, outcome, ended string) {
	t.Helper()
	var events []string
	eventually(t, "the end is in audit", func() bool {
		events = nil
		for line := range strings.Lines(p.audit.String()) {
			var e struct {
				EventID, Verb, Stage, Outcome string
				Extra                         struct {
					Reason string `json:"close_reason"`
					Ended  string
					Exit   *int `json:"exit_code"`
				}
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			if e.EventID == id {
				events = append(events, strings.TrimSpace(strings.Join([]string{strings.TrimPrefix(e.Verb, "pod.exec.session_"), e.Stage, e.Outcome, e.Extra.Reason, e.Extra.Ended}, " ")))
			}
		}
		return len(events) >= 3
	})
	want := []string{"start requested", "start completed success", strings.Join([]string{"end completed", outcome, reason, ended}, " ")}
	if strings.Join(events, "; ") != strings.Join(want, "; ") {
		t.Errorf("audit of %s: %q, want %q", id, events, want)
	}
	var logged []string
	eventually(t, "the end is in the log", func() bool {
		logged = nil
		for line := range strings.Lines(p.log.String()) {
			var l map[string]any
			if json.Unmarshal([]byte(line), &l) == nil && l["msg"] == "exec.session.end" && l["sessionId"] == id {
				logged = append(logged, l["close_reason"].(string)+" "+l["ended"].(string))
			}
		}
		return len(logged) > 0
	})
	if len(logged) != 1 || logged[0] != reason+" "+ended {
		t.Errorf("log of %s: %q", id, logged)
	}
}

// wantCounted expects as many sessions to have ended for a reason as there are patients.
func (p *product) wantCounted(reason string, n int) {
	p.t.Helper()
	p.scraped(map[string]float64{`periscope_exec_session_ends_total{cluster="` + p.clusterName() + `",reason="` + reason + `"}`: float64(n)})
}

var lostSays = regexp.MustCompile(`^The connection to the container was lost\. The (command|shell) may still be running`)

// containersEnd takes containers and pods away from under shells. The stream tells
// first here: rights, and with them pods, are looked at once a minute.
func containersEnd(t *testing.T, c *kubetest.Cluster, kinds ...string) {
	killed := end{code: 1000, exit: 137.0, outcome: "success", ended: "verified"}
	exit, deleted := killed, killed
	exit.reason, exit.says = "container_exit", regexp.MustCompile(`^The container ended, and the shell with it\.$`)
	deleted.reason, deleted.says = "pod_deleted", regexp.MustCompile(`^The pod was deleted, and the shell with it\.$`)
	for name, v := range map[string]struct {
		lose func(*testing.T, *patient)
		want end
	}{
		"the container ends": {func(t *testing.T, pt *patient) {
			_, _ = insideAnyhow(t, c, pt.ns, pt.pod, "sh", "-c", "echo >/tmp/end")
		}, exit},
		"the pod is deleted": {func(t *testing.T, pt *patient) {
			if err := c.Client.CoreV1().Pods(pt.ns).Delete(t.Context(), pt.pod, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, deleted},
	} {
		t.Run(name, func(t *testing.T) {
			ns := c.Namespace(t)
			for _, kind := range kinds {
				p := start(t, c, "PERISCOPE_EXEC_TRANSPORT="+kind, "PERISCOPE_METRICS_ADDRESS=127.0.0.1:0")
				all := patients(t, c, p, ns, kind)
				for _, pt := range all {
					v.lose(t, pt)
				}
				wantEnds(t, all, v.want)
				p.wantCounted(v.want.reason, len(all))
			}
		})
	}
}

func TestAContainerIsLost(t *testing.T) {
	t.Parallel()
	containersEnd(t, kubetest.Shared(t), "ws", "spdy")
}

// TestANodeIsLost takes the node away from under shells, by every way that leads
// to one.
func TestANodeIsLost(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]struct {
		opts   []kubetest.Option
		kinds  []string
		silent []string // those that notice silence themselves
	}{
		"translated":     {nil, []string{"ws", "spdy"}, []string{"spdy"}},
		"passed through": {[]kubetest.Option{kubetest.WebSocketKubelet()}, []string{"ws"}, []string{"ws"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kubetest.Start(t, v.opts...)
			node := nodeBehind(t, c)
			each := func(kinds []string, lose func(), ended string, left int) func(*testing.T) {
				return func(t *testing.T) {
					var all []*patient
					ns := c.Namespace(t)
					for _, kind := range kinds {
						all = append(all, patients(t, c, lossy(t, c, kind), ns, kind)...)
					}
					lose()
					begun := time.Now()
					wantEnds(t, all, lostEnd(lostSays, ended))
					for _, pt := range all {
						pt.p.wantCounted("server_error", 2)
					}
					if took := time.Since(begun); took > 25*time.Second {
						t.Errorf("took %v", took)
					}
					node.SetAll(badnet.Faults{})
					node.Refuse(false)
					for _, pt := range all {
						if n := pt.running(t); n != left {
							t.Errorf("%s: %d processes are left, want %d", pt.name, n, left)
						}
					}
				}
			}
			if name == "passed through" {
				containersEnd(t, c, v.kinds...)
			} else {
				t.Run("answering pings", func(t *testing.T) { lostBehindATranslator(t, c, node) })
			}
			t.Run("for a moment", each(v.kinds, func() { node.Cut(badnet.RST) }, "verified", 0))
			t.Run("for good", each(v.kinds, func() { node.Refuse(true); node.Cut(badnet.FIN) }, "unverified", 1))
			t.Run("in silence", each(v.silent, func() { node.SetAll(badnet.Faults{Hold: true}) }, "unverified", 1))
		})
	}
}

// TestTheApiserverIsLost does the same one hop before.
func TestTheApiserverIsLost(t *testing.T) {
	t.Parallel()
	c := kubetest.Shared(t)
	for name, v := range map[string]struct {
		lose  func(*badnet.Proxy)
		ended string
		left  int
	}{
		"for a moment": {func(n *badnet.Proxy) { n.Cut(badnet.RST) }, "verified", 0},
		"for good":     {func(n *badnet.Proxy) { n.Refuse(true); n.Cut(badnet.FIN) }, "unverified", 1},
		"in silence":   {func(n *badnet.Proxy) { n.SetAll(badnet.Faults{Hold: true}) }, "unverified", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			network, behind := apiserverBehind(t, c)
			ns := c.Namespace(t)
			var all []*patient
			for _, kind := range []string{"ws", "spdy"} {
				all = append(all, patients(t, c, lossy(t, behind, kind), ns, kind)...)
			}
			v.lose(network)
			wantEnds(t, all, lostEnd(lostSays, v.ended))
			for _, pt := range all {
				if n := pt.running(t); n != v.left {
					t.Errorf("%s: %d processes are left, want %d", pt.name, n, v.left)
				}
			}
			network.SetAll(badnet.Faults{})
		})
	}
}

// silentNode stands before an apiserver and tells of pods what the control plane
// makes of them when their node no longer reports. The node of these tests shares
// a process with the control plane and reports as long as that lives.
type silentNode struct {
	*kubetest.Cluster
	lost atomic.Bool
}

func newSilentNode(t *testing.T, c *kubetest.Cluster) *silentNode {
	t.Helper()
	target, err := url.Parse(kubetest.NewFront(t, c).Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	n, upstream := &silentNode{}, &http.Transport{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Accept")
			r.Out.Header.Del("Accept-Encoding")
		},
		Transport: upstream, FlushInterval: -1, ModifyResponse: n.tell,
	}
	srv := httptest.NewServer(proxy)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		upstream.CloseIdleConnections()
	})
	n.Cluster = &kubetest.Cluster{Kubeconfig: kubetest.Anonymous(t, srv.URL)}
	return n
}

// tell changes the answer to a read of one pod as the node lifecycle controller
// changes the pod.
func (n *silentNode) tell(resp *http.Response) error {
	if !n.lost.Load() || resp.StatusCode != http.StatusOK || !onePod.MatchString(resp.Request.URL.Path) {
		return nil
	}
	var pod corev1.Pod
	if err := json.NewDecoder(resp.Body).Decode(&pod); err != nil {
		return err
	}
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.PodReady {
			pod.Status.Conditions[i].Status = corev1.ConditionFalse
		}
	}
	pod.APIVersion, pod.Kind = "v1", "Pod"
	body, err := json.Marshal(pod)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

var onePod = regexp.MustCompile(`/pods/[^/]+$`)

// lostBehindATranslator holds the streams of a node that the apiserver answers
// pings for.
func lostBehindATranslator(t *testing.T, c *kubetest.Cluster, node *badnet.Proxy) {
	told := newSilentNode(t, c)
	p := lossy(t, told.Cluster, "ws")
	all := patients(t, c, p, c.Namespace(t), "ws")
	told.lost.Store(true)
	eventually(t, "the node is knocked at, and answers", func() bool {
		return strings.Contains(p.log.String(), `"answers":true`)
	})
	for _, pt := range all {
		if n := pt.running(t); n != 1 {
			t.Fatalf("%s: a shell on a node that answers was ended", pt.name)
		}
	}
	node.SetAll(badnet.Faults{Hold: true})
	node.Refuse(true)
	wantEnds(t, all, lostEnd(regexp.MustCompile(`^Node \S+ no longer answers`), "unverified"))
	p.wantCounted("server_error", 2)
	node.SetAll(badnet.Faults{})
	node.Refuse(false)
}
