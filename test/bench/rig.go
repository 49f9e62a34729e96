package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/periscope-console/periscope/test/proc"
)

const (
	namespace  = "default"
	podName    = "bench"
	startLimit = 3 * time.Minute
)

// clustersYAML has one cluster twice: reached by the server itself, and through its
// agent.
const clustersYAML = `clusters:
  - {name: bench, backend: kubeconfig, kubeconfigPath: %q}
  - {name: edge, backend: agent}
`

const authYAML = `mode: dev
authorization: {mode: raw}
dev: {subject: dev@local, email: dev@local, groups: [dev]}
`

// rig is the system under measurement.
type rig struct {
	bin, dir  string
	log       *os.File
	cluster   *proc.Process
	server    *periscope
	agent     *proc.Process // nil until a row needs it
	ours      ours
	reference *reference
}

func newRig(opt options) (*rig, error) {
	log, err := os.Create(opt.log)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "periscope-bench-")
	if err != nil {
		log.Close()
		return nil, err
	}
	return &rig{bin: opt.bin, dir: dir, log: log}, nil
}

// start has a cluster with a pod, and a Periscope that somebody is logged in to.
func (r *rig) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	fmt.Println("starting a control plane, a node and Periscope")
	if err := r.startCluster(ctx); err != nil {
		return err
	}
	var err error
	if r.server, err = r.startServer(ctx); err != nil {
		return err
	}
	r.ours = ours{r.server, direct}
	return r.warmUp(ctx)
}

func (r *rig) startCluster(ctx context.Context) (err error) {
	home := filepath.Join(r.dir, "cluster")
	r.cluster, _, err = proc.Start(ctx, proc.Spec{
		Name: "devcluster", Path: filepath.Join(r.bin, "devcluster"), Ready: "ready", Log: r.log,
		Args: []string{"--dir", home, "--addr", "127.0.0.1:0", "--exit-with-parent"},
	})
	if err != nil {
		return err
	}
	if r.reference, err = newReference(filepath.Join(home, "kubeconfig")); err != nil {
		return err
	}
	if err := r.grant(ctx); err != nil {
		return err
	}
	return r.makePod(ctx)
}

// grant gives the group that Periscope impersonates the right to open shells.
func (r *rig) grant(ctx context.Context) error {
	_, err := r.reference.client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "bench"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "periscope:dev"}},
	}, metav1.CreateOptions{})
	return err
}

func (r *rig) makePod(ctx context.Context) error {
	now := int64(0)
	pods := r.reference.client.CoreV1().Pods(namespace)
	_, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: podName},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &now,
			Containers: []corev1.Container{{
				Name: "main", Image: "bench", ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"sleep", "86400"},
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	w, err := pods.Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", podName).String()})
	if err != nil {
		return err
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if pod, ok := e.Object.(*corev1.Pod); ok && pod.Status.Phase == corev1.PodRunning {
			return nil
		}
	}
	return errors.New("the pod did not run in time")
}

// warmUp opens one shell on each side and learns which one ours is.
func (r *rig) warmUp(ctx context.Context) error {
	m := newMeter()
	s, t, err := r.server.dial(ctx, direct, command{TTY: true, out: m})
	if err != nil {
		return err
	}
	if err := s.await(ctx, m.first); err != nil {
		return err
	}
	r.reference.shell = (<-t.hello).Shell // it comes before any output
	if err := s.finish(ctx, "exit\n"); err != nil {
		return err
	}
	_, err = openOnce(ctx, r.reference)
	return err
}

// stop ends what was started, the last one first.
func (r *rig) stop() {
	if r.agent != nil {
		r.agent.Stop()
	}
	if r.server != nil {
		r.server.process.Stop()
	}
	if r.cluster != nil {
		r.cluster.Stop()
	}
	r.log.Close()
	if err := os.RemoveAll(r.dir); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

// periscope is one server process with a login.
type periscope struct {
	process *proc.Process
	base    string // address of the API
	cookie  string
	metrics string // address of /metrics
}

// startServer starts a Periscope of the rig's cluster, as test/demo does.
func (r *rig) startServer(ctx context.Context, environ ...string) (*periscope, error) {
	clusters, auth := filepath.Join(r.dir, "clusters.yaml"), filepath.Join(r.dir, "auth.yaml")
	list := fmt.Sprintf(clustersYAML, r.reference.kubeconfig)
	if err := errors.Join(os.WriteFile(clusters, []byte(list), 0o600), os.WriteFile(auth, []byte(authYAML), 0o600)); err != nil {
		return nil, err
	}
	metrics, err := freeAddress()
	if err != nil {
		return nil, err
	}
	process, line, err := proc.Start(ctx, proc.Spec{
		Name: "periscope", Path: filepath.Join(r.bin, "periscope"), Args: []string{"serve"}, Ready: "Open http", Log: r.log,
		Env: append([]string{
			"PORT=0", "PERISCOPE_BIND_ADDRESS=127.0.0.1", "PERISCOPE_METRICS_ADDRESS=" + metrics,
			"PERISCOPE_CLUSTERS_FILE=" + clusters, "PERISCOPE_AUTH_FILE=" + auth,
			"PERISCOPE_AGENT_LISTEN_ADDR=127.0.0.1:0", "PERISCOPE_AGENT_TUNNEL_SANS=127.0.0.1",
			"PERISCOPE_AGENT_CA_FILE=" + filepath.Join(r.dir, "agent-ca.pem"),
		}, environ...),
	})
	if err != nil {
		return nil, err
	}
	_, address, _ := strings.Cut(line, "Open ")
	base := strings.TrimSuffix(address, "/")
	p := &periscope{process: process, base: base, metrics: "http://" + metrics + "/metrics"}
	if p.cookie, err = login(ctx, base); err != nil {
		process.Stop()
		return nil, err
	}
	return p, nil
}

// freeAddress is an address that was free a moment ago.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// execURL is where to ask for a shell in the pod.
func (p *periscope) execURL(cluster string) string {
	return "ws" + strings.TrimPrefix(p.base, "http") + "/api/clusters/" + cluster + "/pods/" + namespace + "/" + podName + "/exec"
}

// login is what the page does in dev mode.
func login(ctx context.Context, base string) (cookie string, err error) {
	resp, err := post(ctx, base+"/api/auth/dev", "", map[string]string{"code": ""}, nil)
	if err != nil {
		return "", err
	}
	if len(resp.Cookies()) != 1 {
		return "", fmt.Errorf("login: %d cookies", len(resp.Cookies()))
	}
	c := resp.Cookies()[0]
	return c.Name + "=" + c.Value, nil
}

// post asks the API with ask, and has its answer in got unless that is nil.
func post(ctx context.Context, url, cookie string, ask, got any) (*http.Response, error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s %s", url, resp.Status, answer)
	}
	if err == nil && got != nil {
		err = json.Unmarshal(answer, got)
	}
	return resp, err
}
