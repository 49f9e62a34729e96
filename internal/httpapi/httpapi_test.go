package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/websession"
	"github.com/periscope-console/periscope/internal/leak"
	"github.com/periscope-console/periscope/internal/poddebug"
	"github.com/periscope-console/periscope/internal/podexec"
)

func TestMain(m *testing.M) { leak.Main(m) }

// logins knows one cookie.
type logins struct{ Logins }

func (logins) FromRequest(r *http.Request) (identity.Actor, websession.ID, error) {
	if c, err := r.Cookie("s"); err != nil || c.Value != "ada" {
		return identity.Actor{}, "", fault.New(fault.Unauthenticated, "t", "Log in.")
	}
	return ada, "id", nil
}

func (logins) Touch(websession.ID) {}

func (logins) Done(websession.ID) <-chan struct{} { return nil }

func newHandler(t *testing.T) http.Handler {
	t.Helper()
	return newHandlerWith(t, func(*Options) {})
}

func newHandlerWith(t *testing.T, change func(*Options)) http.Handler {
	t.Helper()
	none, err := clusters.New(nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	opt := Options{
		Guard:  Guard{Hosts: []string{"console.example"}, Origins: []string{"https://console.example"}, Probes: true, TLS: true},
		Logins: logins{}, Clusters: none, Tokens: newKeeper(t),
		Debug: poddebug.New(poddebug.Options{Clusters: none, Audit: audit.NewLines(io.Discard), Log: slog.New(slog.DiscardHandler)}),
		Pages: fstest.MapFS{
			"index.html":      {Data: []byte("<!doctype html>" + strings.Repeat("page ", 1000))},
			"assets/a-123.js": {Data: []byte(strings.Repeat("let a;", 1000))},
			".gitkeep":        {},
		},
		Log:   slog.New(slog.DiscardHandler),
		Ready: func(context.Context) error { return nil },
	}
	opt.Sessions = podexec.New(podexec.Options{
		Directory: podexec.Registry{Clusters: none}, Audit: noAudit{}, Log: opt.Log, Metrics: podexec.NewMetrics(prometheus.NewRegistry()),
	})
	change(&opt)
	return New(opt)
}

type ask struct {
	method, path, host string
	header             map[string]string
	body               string
}

func do(t *testing.T, h http.Handler, a ask) *http.Response {
	t.Helper()
	return doWith(t, h, a, func(http.Header) {})
}

func doWith(t *testing.T, h http.Handler, a ask, change func(http.Header)) *http.Response {
	t.Helper()
	method := a.method
	if method == "" {
		method = http.MethodGet
	}
	r := httptest.NewRequest(method, a.path, strings.NewReader(a.body))
	r.Host = "console.example"
	if a.host != "" {
		r.Host = a.host
	}
	for k, v := range a.header {
		r.Header.Set(k, v)
	}
	change(r.Header)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestStatusTableIsComplete(t *testing.T) {
	for _, k := range fault.Kinds() {
		if statuses[k] < 400 {
			t.Errorf("%s has the status %d", k, statuses[k])
		}
	}
}

func TestGuard(t *testing.T) {
	in := map[string]string{"Cookie": "s=ada"}
	with := func(more map[string]string) map[string]string {
		m := map[string]string{"Cookie": "s=ada"}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	cases := map[string]struct {
		ask  ask
		want int
	}{
		"own name":                        {ask{path: "/api/whoami", header: in}, 200},
		"own name in capitals":            {ask{path: "/api/whoami", host: "Console.Example", header: in}, 200},
		"another name":                    {ask{path: "/api/whoami", host: "evil.example", header: in}, 421},
		"another port":                    {ask{path: "/api/whoami", host: "console.example:81", header: in}, 421},
		"health under any name":           {ask{path: "/healthz", host: "10.0.0.1:8080"}, 200},
		"loopback GET":                    {ask{path: "/api/whoami", host: "127.0.0.1:9999", header: in}, 200},
		"loopback by a trick":             {ask{path: "/api/whoami", host: "127.0.0.1.evil.example", header: in}, 421},
		"loopback with user":              {ask{path: "/api/whoami", host: "evil.example@127.0.0.1", header: in}, 421},
		"loopback POST":                   {ask{method: "POST", path: "/api/clusters/x/can-i", host: "localhost:1", header: in}, 421},
		"loopback upgrade":                {ask{path: "/api/clusters/x/pods/a/b/exec", host: "localhost:1", header: with(map[string]string{"Upgrade": "websocket"})}, 421},
		"own origin":                      {ask{path: "/api/whoami", header: with(map[string]string{"Origin": "https://console.example"})}, 200},
		"another origin":                  {ask{path: "/api/whoami", header: with(map[string]string{"Origin": "https://evil.example"})}, 403},
		"origin null":                     {ask{path: "/api/whoami", header: with(map[string]string{"Origin": "null"})}, 403},
		"origin of another scheme":        {ask{path: "/api/whoami", header: with(map[string]string{"Origin": "http://console.example"})}, 403},
		"wrong host before missing login": {ask{path: "/api/whoami", host: "evil.example"}, 421},
		"no login":                        {ask{path: "/api/whoami"}, 401},
	}
	h := newHandler(t)
	for name, c := range cases {
		if got := do(t, h, c.ask); got.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", name, got.StatusCode, c.want)
		}
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	h := newHandler(t)
	for _, path := range []string{"/", "/api/whoami", "/api/nothing", "/healthz", "/assets/a-123.js", "/assets/gone.js"} {
		got := do(t, h, ask{path: path})
		csp := got.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "script-src 'self';") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", path, csp)
		}
		for _, name := range []string{"X-Content-Type-Options", "Referrer-Policy", "Strict-Transport-Security", "X-Request-Id"} {
			if got.Header.Get(name) == "" {
				t.Errorf("%s: no %s", path, name)
			}
		}
	}
}

func TestRequestID(t *testing.T) {
	h := newHandler(t)
	for sent, kept := range map[string]bool{"abc-1_Z": true, "a b": false, strings.Repeat("x", 65): false, "": false, "x\u00e9": false} {
		got := do(t, h, ask{path: "/healthz", header: map[string]string{"X-Request-Id": sent}}).Header.Get("X-Request-Id")
		if (got == sent) != kept || got == "" {
			t.Errorf("sent %q, got %q", sent, got)
		}
	}
}

// TestRequestsAndFaultsAreLogged: each request at level debug, and at any level
// what was not the caller's own doing, or may be the proxy's.
func TestRequestsAndFaultsAreLogged(t *testing.T) {
	var log bytes.Buffer
	h := newHandlerWith(t, func(o *Options) {
		o.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Ready = func(context.Context) error { return fault.New(fault.ShuttingDown, "t", "Try again.") }
	})
	do(t, h, ask{path: "/api/whoami", header: map[string]string{"Cookie": "s=ada", "Origin": "https://evil.example"}})
	do(t, h, ask{path: "/readyz"})
	lines := linesOf(t, &log)
	if len(lines) != 4 {
		t.Fatalf("%d lines: %s", len(lines), log.String())
	}
	if l := lines[0]; l["msg"] != "http.stray" || l["level"] != "WARN" || l["requestId"] != lines[1]["requestId"] || l["origin"] != "https://evil.example" {
		t.Errorf("a foreign origin is logged as %v", l)
	}
	lines = lines[1:]
	if l := lines[0]; l["msg"] != "http.request" || l["level"] != "DEBUG" || l["status"] != 403.0 || l["path"] != "/api/whoami" || l["method"] != "GET" || l["requestId"] == "" || l["duration_ms"] == nil {
		t.Errorf("a refusal is logged as %v", l)
	}
	if l := lines[1]; l["msg"] != "http.fault" || l["level"] != "ERROR" || l["route"] != "readyz" || l["requestId"] == "" || l["error"] == nil || l["actor"] == nil {
		t.Errorf("a fault is logged as %v", l)
	}
	if l := lines[2]; l["msg"] != "http.request" || l["status"] != 503.0 || l["requestId"] != lines[1]["requestId"] {
		t.Errorf("its request is logged as %v", l)
	}
}

func linesOf(t *testing.T, log *bytes.Buffer) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(log.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

// TestAProxyThatPassesAnotherNameOn is told of in the log, now and then, with what would
// be right: to whoever runs it every page looks broken.
func TestAProxyThatPassesAnotherNameOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := newHandlerWith(t, func(o *Options) { o.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
		for _, c := range []struct {
			ask
			host, origin, site string
		}{
			{ask{path: "/", host: "10.0.0.7:8080"}, "10.0.0.7:8080", "", ""},
			{ask{path: "/api/whoami", header: map[string]string{"Origin": "http://console.example"}}, "console.example", "http://console.example", ""},
			{ask{method: "POST", path: "/api/auth/logout", header: map[string]string{"Sec-Fetch-Site": "cross-site"}}, "console.example", "", "cross-site"},
			{ask{path: "/", host: strings.Repeat("x", 5000)}, strings.Repeat("x", maxStray), "", ""},
			{ask{path: "/", header: map[string]string{"Origin": strings.Repeat("é\n", 5000)}}, "console.example", strings.Repeat("é ", maxStray/3) + "é", ""},
		} {
			log.Reset()
			for range 100 {
				do(t, h, c.ask)
			}
			lines := linesOf(t, &log)
			if len(lines) != 1 {
				t.Fatalf("%d lines: %.500s", len(lines), log.String())
			}
			l := lines[0]
			if l["msg"] != "http.stray" || l["host"] != c.host || l["origin"] != c.origin || l["site"] != c.site || l["requestId"] == "" ||
				l["expected"] != "https://console.example" || l["hint"] != "check PERISCOPE_PUBLIC_URL and what the proxy passes on" {
				t.Errorf("%v", l)
			}
			time.Sleep(10 * time.Second)
		}
		log.Reset()
		for _, a := range []ask{
			{path: "/api/whoami"}, {path: "/healthz", host: "10.0.0.7:8080"},
			{method: "POST", path: "/api/auth/logout", body: "a=b", header: map[string]string{"Content-Type": "text/plain"}},
		} {
			do(t, h, a)
		}
		if log.Len() > 0 {
			t.Errorf("what is at home here is logged: %s", log.String())
		}
	})
}

func TestUnknownAPIIsJSON(t *testing.T) {
	got := do(t, newHandler(t), ask{path: "/api/nothing/here"})
	var body ErrorBody
	if err := json.NewDecoder(got.Body).Decode(&body); err != nil || got.StatusCode != http.StatusNotFound {
		t.Fatalf("status %d: %v", got.StatusCode, err)
	}
	if body.Error != "E_NOT_FOUND" || body.Message == "" || body.RequestID != got.Header.Get("X-Request-Id") {
		t.Errorf("body %+v", body)
	}
}

func TestBadRequests(t *testing.T) {
	ws := map[string]string{"Cookie": "s=ada", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="}
	wsWith := func(k, v string) map[string]string {
		m := map[string]string{k: v}
		for k, v := range ws {
			m[k] = v
		}
		return m
	}
	json := map[string]string{"Cookie": "s=ada", "Content-Type": "application/json"}
	cases := map[string]struct {
		ask  ask
		want int
		code string
	}{
		"exec without an upgrade":  {ask{path: "/api/clusters/c/pods/n/p/exec", header: map[string]string{"Cookie": "s=ada"}}, 400, "E_INVALID_REQUEST"},
		"unknown subprotocol":      {ask{path: "/api/clusters/c/pods/n/p/exec", header: wsWith("Sec-WebSocket-Protocol", "v9.exec")}, 400, "E_INVALID_REQUEST"},
		"command is no base64":     {ask{path: "/api/clusters/c/pods/n/p/exec?command=!!", header: ws}, 400, "E_INVALID_REQUEST"},
		"command is no JSON":       {ask{path: "/api/clusters/c/pods/n/p/exec?command=eA", header: ws}, 400, "E_INVALID_REQUEST"},
		"zero columns":             {ask{path: "/api/clusters/c/pods/n/p/exec?cols=0&rows=24", header: ws}, 400, "E_INVALID_REQUEST"},
		"too many columns":         {ask{path: "/api/clusters/c/pods/n/p/exec?cols=70000&rows=24", header: ws}, 400, "E_INVALID_REQUEST"},
		"a container out of shape": {ask{path: "/api/clusters/c/pods/n/p/exec?container=..%2Fx", header: ws}, 400, "E_INVALID_REQUEST"},
		"unknown cluster":          {ask{path: "/api/clusters/nope/pods", header: map[string]string{"Cookie": "s=ada"}}, 404, "E_NOT_FOUND"},
		"a form":                   {ask{method: "POST", path: "/api/clusters/c/can-i", header: map[string]string{"Cookie": "s=ada", "Content-Type": "application/x-www-form-urlencoded"}, body: "a=b"}, 415, "E_MEDIA_TYPE"},
		"an unknown field":         {ask{method: "POST", path: "/api/clusters/c/can-i", header: json, body: `{"checkz":[]}`}, 400, "E_INVALID_REQUEST"},
		"two values":               {ask{method: "POST", path: "/api/clusters/c/can-i", header: json, body: `{} {}`}, 400, "E_INVALID_REQUEST"},
		"a huge body":              {ask{method: "POST", path: "/api/clusters/c/can-i", header: json, body: `{"verb":"` + strings.Repeat("x", maxBody) + `"}`}, 413, "E_TOO_LARGE"},
		"a limit out of bounds":    {ask{path: "/api/clusters/c/pods?limit=100000000000", header: map[string]string{"Cookie": "s=ada"}}, 400, "E_INVALID_REQUEST"},
		"too many shells listed":   {ask{path: "/api/exec/sessions?limit=1001", header: map[string]string{"Cookie": "s=ada"}}, 400, "E_INVALID_REQUEST"},
		"no shells listed":         {ask{path: "/api/exec/sessions?limit=0", header: map[string]string{"Cookie": "s=ada"}}, 400, "E_INVALID_REQUEST"},
	}
	h := newHandler(t)
	for name, c := range cases {
		got := do(t, h, c.ask)
		var body ErrorBody
		raw, _ := io.ReadAll(got.Body)
		if err := jsonDecode(raw, &body); err != nil || got.StatusCode != c.want || body.Error != c.code || !strings.HasSuffix(body.Message, ".") {
			t.Errorf("%s: %d %s, want %d %s", name, got.StatusCode, raw, c.want, c.code)
		}
	}
}

// TestWhatAPlainClientAsksFor has it all in the address.
func TestWhatAPlainClientAsksFor(t *testing.T) {
	c := &call{r: httptest.NewRequest(http.MethodGet, "/x?container=app&command=WyJscyJd&tty=false&cols=100&rows=30&reason=the+disk+is+full", nil)}
	got := podexec.Request{TTY: true}
	if err := execParams(c, &got); err != nil {
		t.Fatal(err)
	}
	want := podexec.Request{Container: "app", Command: []string{"ls"}, Reason: "the disk is full"}
	want.Size.Cols, want.Size.Rows = 100, 30
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func jsonDecode(raw []byte, into any) error {
	return json.NewDecoder(bytes.NewReader(raw)).Decode(into)
}

func TestPages(t *testing.T) {
	h := newHandler(t)
	deep := do(t, h, ask{path: "/clusters/demo/pods/shop/web", header: map[string]string{"Accept-Encoding": "gzip"}})
	if deep.StatusCode != http.StatusOK || deep.Header.Get("Content-Encoding") != "gzip" || deep.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("a deep link: %d %v", deep.StatusCode, deep.Header)
	}
	asset := do(t, h, ask{path: "/assets/a-123.js"})
	if !strings.Contains(asset.Header.Get("Cache-Control"), "immutable") || asset.Header.Get("Content-Encoding") != "" {
		t.Errorf("an asset: %v", asset.Header)
	}
	for path, want := range map[string]int{"/assets/gone.js": 404, "/.gitkeep": 200, "/no/such/page": 200} {
		got := do(t, h, ask{path: path})
		body, _ := io.ReadAll(got.Body)
		if got.StatusCode != want || want == 200 && !bytes.Contains(body, []byte("<!doctype")) {
			t.Errorf("%s: %d %.40q", path, got.StatusCode, body)
		}
	}
}

func FuzzParseCommand(f *testing.F) {
	f.Add("WyJscyJd")
	f.Add("W10")
	f.Add("====")
	f.Fuzz(func(t *testing.T, v string) {
		argv, err := parseCommand(v)
		if err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", v, err)
		}
		if err == nil && v != "" && len(argv) == 0 {
			t.Errorf("%q: an empty command", v)
		}
	})
}

// nowhere is a directory that does not find a cluster in time.
type nowhere struct{}

func (nowhere) Find(ctx context.Context, _ string, _ identity.Actor) (podexec.Place, error) {
	<-ctx.Done()
	return podexec.Place{}, fault.Wrap(ctx.Err(), fault.Timeout, "t", "The cluster did not answer in time.")
}

type noAudit struct{}

func (noAudit) Emit(context.Context, audit.Event) error { return nil }

// TestChecksHaveALimit asks for a shell in a cluster that answers nothing.
func TestChecksHaveALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{Options: Options{Sessions: podexec.New(podexec.Options{
			Directory: nowhere{}, Audit: noAudit{}, Log: slog.New(slog.DiscardHandler), Metrics: podexec.NewMetrics(prometheus.NewRegistry()),
		})}}
		begun := time.Now()
		_, err := s.admit(t.Context(), podexec.Request{Cluster: "c", Namespace: "n", Pod: "p"})
		if took := time.Since(begun); fault.KindOf(err) != fault.Timeout || took != admitTime {
			t.Errorf("%v after %v, want a timeout after %v", err, took, admitTime)
		}
	})
}

// oneFrame is a client that sends one frame, or none.
type oneFrame struct {
	podexec.Conn
	text string
}

func (f oneFrame) Read() (binary bool, p []byte, err error) {
	if f.text == "" {
		return false, nil, io.EOF
	}
	return false, []byte(f.text), nil
}

// TestAWishThatCannotBeReadIsLogged as one that is refused later, and counted: the
// client has its sentence, and whoever runs the server is asked about it.
func TestAWishThatCannotBeReadIsLogged(t *testing.T) {
	var log bytes.Buffer
	figures := prometheus.NewRegistry()
	s := newServer(Options{Sessions: podexec.New(podexec.Options{
		Directory: nowhere{}, Audit: noAudit{}, Log: slog.New(slog.NewJSONHandler(&log, nil)), Metrics: podexec.NewMetrics(figures),
	})})
	long := strings.Repeat("n", 60_000)
	want := podexec.Request{Actor: ada, Cluster: "c", Namespace: long, Pod: "p", RequestID: "r"}
	plain := func(query string) func() error {
		return func() error {
			r := httptest.NewRequest(http.MethodGet, "/x?"+query, nil)
			return s.execPlain(&call{w: httptest.NewRecorder(), r: r}, want)
		}
	}
	v2 := func(text string) func() error {
		return func() error { return s.startV2(oneFrame{text: text}, want) }
	}
	for name, c := range map[string]struct {
		ask  func() error
		kind fault.Kind
		says string
	}{
		"a command":            {plain("command=!!"), fault.Invalid, "The parameter command must be base64url"},
		"columns":              {plain("cols=0&rows=24"), fault.Invalid, "The parameter cols must be a whole number"},
		"tty":                  {plain("tty=perhaps"), fault.Invalid, "The parameter tty must be true or false"},
		"a container":          {plain("container=..%2Fx"), fault.Invalid, "container"},
		"no first frame":       {v2(""), fault.Protocol, "The first frame did not arrive"},
		"a frame of no JSON":   {v2("{"), fault.Protocol, "send a JSON object with a type"},
		"a type of no frame":   {v2(`{"type":"` + long + `"}`), fault.Protocol, "its type is not one of open"},
		"a frame of later":     {v2(`{"type":"stay"}`), fault.Protocol, "The first frame must be open or attach, not stay"},
		"a size":               {v2(`{"type":"open","cols":0,"rows":1}`), fault.Invalid, "The terminal's size is wrong"},
		"a command and a file": {v2(`{"type":"open","command":["ls"],"file":{"op":"get","path":"/x"}}`), fault.Invalid, "not for both"},
	} {
		log.Reset()
		before := refusals(t, figures, c.kind.Code())
		if err := c.ask(); fault.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
		lines := linesOf(t, &log)
		if len(lines) != 1 || log.Len() > 4096 {
			t.Fatalf("%s: %d lines of %d bytes", name, len(lines), log.Len())
		}
		l := lines[0]
		if said, _ := l["error"].(string); l["msg"] != "exec.refused" || l["level"] != "INFO" || l["actor"] != ada.Subject || l["cluster"] != "c" ||
			l["pod"] != "p" || l["requestId"] != "r" || !strings.Contains(said, c.says) {
			t.Errorf("%s: %v", name, l)
		}
		if n := refusals(t, figures, c.kind.Code()); n != before+1 {
			t.Errorf("%s: counted %v times", name, n-before)
		}
	}
}

// refusals is how many shells did not come to be, by that code.
func refusals(t *testing.T, figures *prometheus.Registry, code string) float64 {
	t.Helper()
	families, err := figures.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "periscope_exec_refusals_total" && m.GetLabel()[0].GetValue() == code {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestAuditScope(t *testing.T) {
	for _, c := range []struct {
		actor identity.Actor
		want  string
	}{{identity.Actor{}, "self"}, {identity.Actor{Admin: true}, "all"}, {identity.Actor{AuditAll: true}, "all"}} {
		got := Who{}.WhoamiOf(c.actor)
		if got.AuditScope != c.want {
			t.Errorf("%+v sees %s", c.actor, got.AuditScope)
		}
		if got.Admin != c.actor.Admin {
			t.Errorf("%+v is told admin: %v", c.actor, got.Admin)
		}
	}
}
