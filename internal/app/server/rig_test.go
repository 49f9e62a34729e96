package server_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/coder/websocket"

	"github.com/periscope-console/periscope/internal/app/server"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

// wait bounds every wait in these tests.
const wait = 30 * time.Second

// product is the whole server in the test's process, over a real control plane.
type product struct {
	t      *testing.T
	url    string
	via    string // where terminals connect to, where that is not url's host
	cookie *http.Cookie
	audit  *safeBuffer
	log    *safeBuffer
	stop   context.CancelFunc
	ended  chan error
	server *server.Server
}

type safeBuffer struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	broken error
}

// fail makes every Write fail with err; nil mends it.
func (b *safeBuffer) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = err
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return 0, b.broken
	}
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start runs `periscope serve --kubeconfig` with further variables.
func start(t *testing.T, cluster *kubetest.Cluster, environ ...string) *product {
	t.Helper()
	return startWith(t, []string{"--kubeconfig", cluster.Kubeconfig}, environ...)
}

func startWith(t *testing.T, args []string, environ ...string) *product {
	t.Helper()
	return startAt(t, time.Now, args, environ...)
}

// bareKubeconfig names a cluster that nobody reaches.
func bareKubeconfig(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(`{"apiVersion":"v1","kind":"Config","current-context":"c",
		"clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:1"}}],"users":[{"name":"u","user":{}}],
		"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// startAt gives the server's circuit breakers a clock.
func startAt(t *testing.T, now func() time.Time, args []string, environ ...string) *product {
	t.Helper()
	return startOptions(t, server.Options{Now: now}, args, environ...)
}

// startOptions starts a server in dev mode and logs in.
func startOptions(t *testing.T, opt server.Options, args []string, environ ...string) *product {
	t.Helper()
	p := run(t, opt, args, environ...)
	p.login(p.server.URL())
	return p
}

// run fills in what every server of these tests has.
func run(t *testing.T, opt server.Options, args []string, environ ...string) *product {
	t.Helper()
	cfg, _, err := config.Load(config.Sources{
		Args: args, Environ: append([]string{"PORT=0"}, environ...), ReadFile: os.ReadFile,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &product{t: t, audit: &safeBuffer{}, log: &safeBuffer{}, ended: make(chan error, 1)}
	opt.Version, opt.Log, opt.Audit, opt.Pages = "test", slog.New(slog.NewJSONHandler(p.log, nil)), p.audit, fstest.MapFS{}
	s, err := server.New(cfg, opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop, p.server = cancel, s
	go func() { p.ended <- s.Run(ctx) }()
	t.Cleanup(p.end)
	return p
}

// end stops the server and fails the test when that takes too long.
func (p *product) end() {
	p.stop()
	select { // twice is once: the first end puts its answer back
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("the server ended with %v", err)
		}
		p.ended <- nil
	case <-time.After(wait):
		p.t.Error("the server did not stop")
	}
	http.DefaultClient.CloseIdleConnections()
	if p.t.Failed() {
		p.t.Logf("log:\n%s", p.log)
	}
}

func (p *product) login(address string) {
	p.t.Helper()
	base, code, _ := strings.Cut(address, "#code=")
	p.url = strings.TrimSuffix(base, "/")
	resp, err := http.Post(p.url+"/api/auth/dev", "application/json", strings.NewReader(fmt.Sprintf(`{"code":%q}`, code)))
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || len(resp.Cookies()) != 1 {
		body, _ := io.ReadAll(resp.Body)
		p.t.Fatalf("login: %d %s", resp.StatusCode, body)
	}
	p.cookie = resp.Cookies()[0]
}

// call makes one API call and decodes its answer into out.
func (p *product) call(method, path, body string, out any) int {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.AddCookie(p.cookie)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			p.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, raw)
		}
	}
	return resp.StatusCode
}

// clusterName is the name that the server gave its one cluster.
func (p *product) clusterName() string {
	p.t.Helper()
	var list struct{ Clusters []struct{ Name string } }
	if p.call("GET", "/api/clusters", "", &list); len(list.Clusters) != 1 {
		p.t.Fatalf("clusters %v", list)
	}
	return list.Clusters[0].Name
}

// terminal is a client of the terminal's WebSocket.
type terminal struct {
	t    *testing.T
	ws   *websocket.Conn
	raw  net.Conn
	out  []byte           // output so far
	got  []map[string]any // control frames so far
	seen int              // output that expect has passed
	auto bool             // acknowledge all output at once
	over error            // what ended the socket, once frame or rest has read all
}

// dial opens the socket; a refusal returns the HTTP answer.
func (p *product) dial(path string, v2 bool) (*terminal, *http.Response) {
	p.t.Helper()
	term, resp, err := p.tryDial(path, v2)
	if err != nil {
		p.t.Fatal(err)
	}
	return term, resp
}

// tryDial is dial for any goroutine.
func (p *product) tryDial(path string, v2 bool) (*terminal, *http.Response, error) {
	var raw net.Conn
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, cmp.Or(p.via, address))
			raw = c
			return c, err
		},
	}}
	opt := &websocket.DialOptions{HTTPClient: client, HTTPHeader: http.Header{"Cookie": {p.cookie.String()}}}
	if v2 {
		opt.Subprotocols = []string{"v2.exec.periscope"}
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(p.url, "http")+path, opt)
	if err != nil {
		if resp == nil {
			return nil, nil, err
		}
		return nil, resp, nil
	}
	ws.SetReadLimit(-1)
	term := &terminal{t: p.t, ws: ws, raw: raw, auto: v2}
	p.t.Cleanup(func() { ws.CloseNow() })
	return term, nil, nil
}

func execPath(cluster, ns, pod string) string {
	return "/api/clusters/" + cluster + "/pods/" + ns + "/" + pod + "/exec"
}

func argv(words ...string) string {
	b, err := json.Marshal(words)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// open starts a v2 session and waits for hello.
func (p *product) open(cluster, ns, pod string, open map[string]any) *terminal {
	p.t.Helper()
	term, resp := p.dial(execPath(cluster, ns, pod), true)
	if resp != nil {
		p.t.Fatalf("dial: %d", resp.StatusCode)
	}
	frame := map[string]any{"type": "open", "tty": true, "cols": 80, "rows": 24, "command": []string{}}
	for k, v := range open {
		frame[k] = v
	}
	term.control(frame)
	if term.frame("hello") == nil {
		p.t.Fatalf("no hello: %v", term.got)
	}
	return term
}

func (term *terminal) control(frame any) {
	term.t.Helper()
	b, err := json.Marshal(frame)
	if err != nil {
		term.t.Fatal(err)
	}
	if err := term.write(websocket.MessageText, b); err != nil {
		term.t.Fatalf("write: %v", err)
	}
}

func (term *terminal) write(kind websocket.MessageType, b []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	return term.ws.Write(ctx, kind, b)
}

func (term *terminal) send(stdin string) {
	term.t.Helper()
	if err := term.write(websocket.MessageBinary, []byte(stdin)); err != nil {
		term.t.Fatalf("write: %v", err)
	}
}

// next reads one message; it is false at the end of the connection.
func (term *terminal) next() (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	kind, data, err := term.ws.Read(ctx)
	if err != nil {
		return false, err
	}
	if kind == websocket.MessageBinary {
		term.out = append(term.out, data...)
		if term.auto {
			// A socket that was closed meanwhile is the next read's to tell.
			_ = term.write(websocket.MessageText, fmt.Appendf(nil, `{"type":"ack","offset":%d}`, len(term.out)))
		}
		return true, nil
	}
	var f map[string]any
	if err := json.Unmarshal(data, &f); err != nil {
		return false, fmt.Errorf("a control frame that is no JSON: %q", data)
	}
	term.got = append(term.got, f)
	return true, nil
}

// expect reads until the output holds text after what was expected before.
func (term *terminal) expect(text string) {
	term.t.Helper()
	for {
		if i := bytes.Index(term.out[term.seen:], []byte(text)); i >= 0 {
			term.seen += i + len(text)
			return
		}
		if _, err := term.next(); err != nil {
			term.t.Fatalf("waiting for %q: %v; output %q, frames %v", text, err, term.out[term.seen:], term.got)
		}
	}
}

// frame reads until a control frame of that type has come; nil at the end, of which
// the test's log tells.
func (term *terminal) frame(kind string) map[string]any {
	term.t.Helper()
	for i := 0; ; {
		for ; i < len(term.got); i++ {
			if term.got[i]["type"] == kind {
				return term.got[i]
			}
		}
		if term.over == nil {
			_, term.over = term.next()
		}
		if term.over != nil {
			term.t.Logf("no frame %q: %v; frames %v", kind, term.over, term.got)
			return nil
		}
	}
}

// rest reads to the end.
func (term *terminal) rest() {
	for term.over == nil {
		_, term.over = term.next()
	}
}

// listen reads to the end, whenever that comes, and keeps nothing of it.
func (term *terminal) listen() {
	for {
		if _, _, err := term.ws.Read(context.Background()); err != nil {
			return
		}
	}
}

// closed reads to the end and returns the closed frame and the close code.
func (term *terminal) closed() (map[string]any, int) {
	term.t.Helper()
	term.rest()
	var ce websocket.CloseError
	if !errors.As(term.over, &ce) {
		term.t.Fatalf("the socket was not closed in order: %v; frames %v", term.over, term.got)
	}
	for _, f := range term.got {
		if f["type"] == "closed" {
			return f, int(ce.Code)
		}
	}
	term.t.Fatalf("no closed frame in %v", term.got)
	return nil, 0
}

// cut drops the connection as a network does, without a word.
func (term *terminal) cut() {
	if tcp, ok := term.raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	term.raw.Close()
}

// inside runs a command in the pod beside the product and returns its output. It must
// end with exit code 0.
func inside(t *testing.T, c *kubetest.Cluster, ns, pod string, command ...string) string {
	t.Helper()
	out, result := insideAnyhow(t, c, ns, pod, command...)
	if result.Err != nil || result.ExitCode == nil || *result.ExitCode != 0 {
		t.Fatalf("%q in %s: %v, exit code %v; output %q", command, pod, result.Err, result.ExitCode, out)
	}
	return out
}

// insideAnyhow is inside for a command with any end.
func insideAnyhow(t *testing.T, c *kubetest.Cluster, ns, pod string, command ...string) (string, transport.Result) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	s, err := transport.New(transport.WebSocket).Dial(ctx, c.Config, transport.Request{Namespace: ns, Pod: pod, Command: command})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out []byte
	buf := make([]byte, 4096)
	for {
		n, _, err := s.Read(buf)
		out = append(out, buf[:n]...)
		if err != nil {
			return string(out), s.Result()
		}
	}
}

// processes counts the pod's processes whose command line holds words, which the
// list's own two processes do not: one for each process of the pod would be most of
// the work of a test with fifty shells.
func processes(t *testing.T, c *kubetest.Cluster, ns, pod, words string) int {
	t.Helper()
	const list = `cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' '`
	return strings.Count(inside(t, c, ns, pod, "sh", "-c", list), words)
}

// events are the audit events of a verb and stage.
func (p *product) events(verb, stage string) []map[string]any {
	p.t.Helper()
	var got []map[string]any
	for line := range strings.Lines(p.audit.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			p.t.Fatalf("an audit line that is no JSON: %q", line)
		}
		if e["verb"] == verb && e["stage"] == stage {
			got = append(got, e)
		}
	}
	return got
}

// eventually polls until ok; the state of another process cannot be awaited. To ask
// may cost as much as what is waited for, so it asks less and less often.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	const longest = 200 * time.Millisecond
	deadline := time.Now().Add(wait)
	for pause := 20 * time.Millisecond; !ok(); pause = min(2*pause, longest) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		<-time.After(pause)
	}
}

// authFiles writes auth.yaml and clusters.yaml for a server in mode raw.
func authFiles(t *testing.T, cluster *kubetest.Cluster, group string) []string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	auth := write("auth.yaml", "mode: dev\nauthorization: {mode: raw}\ndev: {subject: ada, email: ada@example.com, groups: ["+group+"]}\n")
	list := write("clusters.yaml", "clusters:\n  - {name: real, backend: kubeconfig, kubeconfigPath: "+strconv.Quote(cluster.Kubeconfig)+"}\n")
	return []string{"--auth", auth, "--clusters", list}
}
