package docs

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/config/agentconfig"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/httpapi"
	"github.com/periscope-console/periscope/internal/podexec"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

// bootProbe is the one setting of shells that is not named for them.
const bootProbe = "PERISCOPE_PROBE_CLUSTERS_ON_BOOT"

const (
	auth     = "mode: dev\n"
	clusters = "clusters:\n  - name: demo\n    backend: kubeconfig\n    kubeconfigPath: /k\n"
)

// load reads a configuration as the server does.
func load(clusters string, environ ...string) (config.Config, error) {
	files := map[string]string{"auth.yaml": auth, "clusters.yaml": clusters}
	cfg, _, err := config.Load(config.Sources{
		Args: []string{"--auth", "auth.yaml", "--clusters", "clusters.yaml"}, Environ: environ,
		ReadFile: func(name string) ([]byte, error) {
			for file, text := range files {
				if strings.HasSuffix(name, file) {
					return []byte(text), nil
				}
			}
			return nil, os.ErrNotExist
		},
	})
	return cfg, err
}

func TestSettings(t *testing.T) {
	tb := readPage(t, guide).table(t, "variable")
	settings := map[string]config.Setting{}
	for _, s := range config.Settings() {
		if strings.HasPrefix(s.Env, "PERISCOPE_EXEC_") || s.Env == bootProbe {
			settings[s.Env] = s
		}
	}
	same(t, "settings", tb.keys(t), slices.Collect(maps.Keys(settings)))
	for _, row := range tb.rows {
		env := plain(row["variable"])
		if row["default"] != settings[env].Default {
			t.Errorf("%s: the page says the default %s, the code %s", env, row["default"], settings[env].Default)
		}
		ranged(t, env, row["range"])
	}
}

// ranged tries what the page says is taken, and what lies just beside it.
func ranged(t *testing.T, env, said string) {
	t.Helper()
	taken, refused := strings.Split(said, ", "), []string{"nonsense"}
	if low, high, ok := strings.Cut(said, "–"); ok {
		least, err1 := strconv.Atoi(low)
		most, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil {
			t.Errorf("%s: the range %s is none", env, said)
			return
		}
		taken = []string{low, high}
		refused = append(refused, strconv.Itoa(least-1), strconv.Itoa(most+1))
	}
	var beside []string // a warning must come before the end
	if env == "PERISCOPE_EXEC_IDLE_WARN_SECONDS" {
		beside = []string{"PERISCOPE_EXEC_IDLE_SECONDS=604800"}
	}
	for _, v := range taken {
		if _, err := load(clusters, append(beside, env+"="+v)...); err != nil {
			t.Errorf("%s=%s is not taken: %v", env, v, err)
		}
	}
	for _, v := range refused {
		if _, err := load(clusters, append(beside, env+"="+v)...); err == nil {
			t.Errorf("%s=%s is taken, which the page says it is not", env, v)
		}
	}
}

var clusterKey = regexp.MustCompile("\\| `clusters\\[\\]\\.(exec\\.[A-Za-z]+)` \\| ([^|]*) \\| [^|]* \\| ([^|]*) \\|")

func TestClusterKeys(t *testing.T) {
	p := readPage(t, guide)
	tb := p.table(t, "key")
	known := map[string][]string{}
	for _, m := range clusterKey.FindAllStringSubmatch(config.Markdown(), -1) {
		known[m[1]] = m[2:]
	}
	same(t, "keys of clusters.yaml", tb.keys(t), slices.Collect(maps.Keys(known)))
	for _, row := range tb.rows {
		key := plain(row["key"])
		if row["type"] != known[key][0] {
			t.Errorf("%s: the page says %s, the code %s", key, row["type"], known[key][0])
		}
		for _, env := range spans(row["instead of"]) {
			if strings.HasPrefix(env, "PERISCOPE_") && !strings.Contains(known[key][1], env) {
				t.Errorf("%s: the page says instead of %s, the code: %s", key, env, known[key][1])
			}
		}
	}
}

// TestExample loads the clusters.yaml of the page and looks for what its words
// say of it.
func TestExample(t *testing.T) {
	found := false
	for _, b := range readPage(t, guide).blocks {
		if b.language != "yaml" {
			continue
		}
		found = true
		cfg, err := load(b.text)
		if err != nil {
			t.Fatal(err)
		}
		want := cfg.Exec.Defaults
		want.ServerIdle, want.MaxSessionsPerUser = 1800e9, 10
		if got := cfg.Clusters[0].Exec; got != want {
			t.Errorf("prod has %+v, want %+v", got, want)
		}
		if cfg.Clusters[1].Exec.Enabled {
			t.Error("vault has shells")
		}
	}
	if !found {
		t.Error("the page has no clusters.yaml")
	}
}

// timers says where each timer of the page stands in the code. A setting's is
// its default, times as often as is said.
var timers = map[string]struct {
	constant, setting string
	times             int64
}{
	"Heartbeat":             {setting: "PERISCOPE_EXEC_HEARTBEAT_SECONDS"},
	"Heartbeat of the page": {constant: "internal/podexec.v2Heartbeat"},
	"Plain client gone":     {setting: "PERISCOPE_EXEC_HEARTBEAT_SECONDS", times: 2},
	"Page gone":             {constant: "internal/podexec.v2Gone"},
	"Stalled client":        {constant: "internal/podexec.stallLimit"},
	"Coming back":           {setting: "PERISCOPE_EXEC_RESUME_SECONDS"},
	"Program waits":         {constant: "internal/podexec.holdFor"},
	"Server idle":           {setting: "PERISCOPE_EXEC_IDLE_SECONDS"},
	"Idle warning":          {setting: "PERISCOPE_EXEC_IDLE_WARN_SECONDS"},
	"First frame":           {constant: "internal/httpapi.openTime"},
	"Checks":                {constant: "internal/httpapi.admitTime"},
	"Opening":               {constant: "internal/podexec.dialLimit"},
	"Rights":                {constant: "internal/podexec.rightsEvery"},
	"Rights unanswered":     {constant: "internal/podexec.unansweredLimit"},
	"Login unconfirmed":     {constant: "internal/podexec.unconfirmedLimit"},
	"Login":                 {constant: "internal/identity/websession.sweepEvery"},
	"Ending":                {constant: "internal/podexec.endLimit"},
	"Ending, again":         {constant: "internal/podexec.nodeLimit"},
	"Silent node":           {constant: "internal/podexec.knockLimit"},
	"Shutdown":              {constant: "internal/podexec.drainLimit"},
	"Breaker":               {constant: "internal/podexec/transport.pinnedFor"},
	"Probe":                 {constant: "internal/bootprobe.limit"},
	"Hidden page":           {constant: "internal/httpapi.clientHidden"},
}

func TestTimers(t *testing.T) {
	src, tb := code(t), readPage(t, guide).table(t, "timer")
	same(t, "timers", tb.keys(t), slices.Collect(maps.Keys(timers)))
	defaults := map[string]string{}
	for _, s := range config.Settings() {
		defaults[s.Env] = s.Default
	}
	for _, row := range tb.rows {
		at := timers[row["timer"]]
		var want int64
		switch {
		case at.setting != "":
			n, err := strconv.ParseInt(defaults[at.setting], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			want = n * max(at.times, 1)
		case row["timer"] == "Hidden page": // the one that is told in seconds
			want = src.constant(t, at.constant)
		case at.constant != "":
			want = src.seconds(t, at.constant)
		}
		if got := fmt.Sprint(want, " s"); row["value"] != got {
			t.Errorf("%s: the page says %s, the code %s", row["timer"], row["value"], got)
		}
	}
}

// bounds says where each bound of the page stands in the code.
var bounds = map[string]string{
	"Message from a client":                  "internal/podexec.MaxFrame",
	"Stdin that waits, plain clients":        "internal/podexec.plainStdin",
	"Stdin on its way, the page's protocol":  "internal/podexec.StdinWindow",
	"Output on its way, the page's protocol": "internal/podexec.Window",
	"Stdin that waits, the page's protocol":  "internal/podexec.maxBacklog",
	"Frame of data over SPDY":                "internal/podexec/transport.spdyPiece",
	"Command of a caller":                    "internal/podexec.maxCommand",
	"Reason":                                 "internal/podexec.maxReason",
}

func TestBounds(t *testing.T) {
	src, tb := code(t), readPage(t, guide).table(t, "bound")
	same(t, "bounds", tb.keys(t), slices.Collect(maps.Keys(bounds)))
	for _, row := range tb.rows {
		if at := bounds[row["bound"]]; at != "" {
			if got := size(src.constant(t, at)); row["value"] != got {
				t.Errorf("%s: the page says %s, the code %s", row["bound"], row["value"], got)
			}
		}
	}
}

func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprint(n>>20, " MiB")
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprint(n>>10, " KiB")
	}
	return fmt.Sprint(n, " bytes")
}

// TestFiguresInWords checks what the prose says in words of the same constants.
func TestFiguresInWords(t *testing.T) {
	src, p := code(t), readPage(t, guide)
	text := strings.Join(strings.Fields(p.text), " ")
	words := map[int64]string{3: "three", 4: "four", 5: "5", 16: "16", 20: "20", 30: "30"}
	for _, c := range []struct{ constant, sentence string }{
		{"internal/podexec/transport.tripsAfter", "%s in a row pin it to SPDY"},
		{"internal/bootprobe.atATime", "once after the start, %s at a time"},
		{"internal/podexec.retryAfter", "Clients are told to come back after %s s"},
		{"internal/config.maxDebugImages", "At most %s images may be listed"},
		{"internal/poddebug.maxPerPod", "A pod gets %s of them at most"},
	} {
		if want := fmt.Sprintf(c.sentence, words[src.constant(t, c.constant)]); !strings.Contains(text, want) {
			t.Errorf("%s is %d, and the page does not say %q", c.constant, src.constant(t, c.constant), want)
		}
	}
	for _, c := range []struct{ constant, sentence string }{
		{"internal/podexec/transport.pinnedFor", "pin it to SPDY for %s minutes"},
		{"internal/podexec.unansweredLimit", "After %s minutes without any answer"},
	} {
		if want := fmt.Sprintf(c.sentence, words[src.seconds(t, c.constant)/60]); !strings.Contains(text, want) {
			t.Errorf("%s is %d s, and the page does not say %q", c.constant, src.seconds(t, c.constant), want)
		}
	}
}

func TestReasons(t *testing.T) {
	var known []string
	for _, r := range podexec.Reasons() {
		known = append(known, string(r))
	}
	tb := readPage(t, guide).table(t, "reason")
	same(t, "close reasons", tb.keys(t), known)
	for _, row := range tb.rows {
		r := podexec.Reason(plain(row["reason"]))
		if want := strconv.Itoa(r.CloseCode()); row["close code"] != want {
			t.Errorf("%s: the page says the close code %s, the code %s", r, row["close code"], want)
		}
		if want := string(r.Outcome()); row["outcome"] != want {
			t.Errorf("%s: the page says the outcome %s, the code %s", r, row["outcome"], want)
		}
	}
}

func TestErrorCodes(t *testing.T) {
	kinds := map[string]fault.Kind{}
	for _, k := range fault.Kinds() {
		kinds[k.Code()] = k
	}
	p := readPage(t, guide)
	var rows []map[string]string
	for _, tb := range p.tables {
		if tb.heading == "Error codes" {
			rows = tb.rows
			same(t, "error codes", tb.keys(t), slices.Collect(maps.Keys(kinds)))
		}
	}
	for _, row := range rows {
		kind := kinds[plain(row["code"])]
		if want := strconv.Itoa(httpapi.Status(kind)); row["HTTP"] != want {
			t.Errorf("%s: the page says %s, the code %s", row["code"], row["HTTP"], want)
		}
	}
	// Elsewhere a status beside a code is the same one.
	for _, m := range regexp.MustCompile("\\b([45]\\d\\d) `(E_[A-Z_]+)`").FindAllStringSubmatch(p.text, -1) {
		if want := strconv.Itoa(httpapi.Status(kinds[m[2]])); m[1] != want {
			t.Errorf("%s: the code has %s", m[0], want)
		}
	}
}

func TestAuditEvents(t *testing.T) {
	p := readPage(t, guide)
	known := append(code(t).literals("pod.exec."), code(t).literals("pod.debug.")...)
	same(t, "audit events", p.table(t, "event").keys(t), known)
	var fields []string
	for f := range reflect.TypeFor[audit.Event]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields = append(fields, name)
	}
	same(t, "audit fields", p.table(t, "field").keys(t), fields)
}

// writers says to which events each function that writes fields of an event's
// extra contributes. A function that is not here fails the test.
var writers = map[string][]string{
	"eventOf":            {"start", "end", "kill", "attach"},
	"event":              {"start", "end"},
	"auditStart":         {"start"},
	"recordNoStart":      {"start"},
	"auditRefusal":       {"start"},
	"auditEnd":           {"end"},
	"attachEvent":        {"attach"},
	"auditAttached":      {"attach"},
	"auditAttachRefused": {"attach"},
	"killEvent":          {"kill"},
	"End":                {"kill"},

	"poddebug.event":     {"debug"},
	"poddebug.requested": {"debug"},
	"poddebug.completed": {"debug"},
	"poddebug.refused":   {"debug"},
}

func TestAuditExtra(t *testing.T) {
	in := map[string][]string{}
	for dir, prefix := range map[string]string{"internal/podexec": "", "internal/poddebug": "poddebug."} {
		for fn, fields := range code(t).extras(dir) {
			if writers[prefix+fn] == nil {
				t.Errorf("%s%s writes fields of an audit event: say in this test of which", prefix, fn)
			}
			for _, f := range fields {
				in[f] = append(in[f], writers[prefix+fn]...)
			}
		}
	}
	tb := readPage(t, guide).table(t, "field of `extra`")
	same(t, "fields of extra", tb.keys(t), slices.Collect(maps.Keys(in)))
	for _, row := range tb.rows {
		field := plain(row["field of `extra`"])
		same(t, "events with "+field, strings.Split(row["in"], ", "), in[field])
	}
}

// shellCode is where every line of the log belongs on the page; of the lines of
// other folders it names those that help with shells.
var shellCode = []string{"internal/podexec", "internal/poddebug", "internal/podexec/transport", "internal/bootprobe"}

func TestLogLines(t *testing.T) {
	src, tb := code(t), readPage(t, guide).table(t, "line")
	named := tb.keys(t)
	all := map[string]*logLine{}
	for dir := range src.dirs {
		for msg, line := range src.logs(t, dir) {
			if before := all[msg]; before != nil {
				before.fields = append(before.fields, line.fields...)
			} else {
				all[msg] = line
			}
			about := strings.HasPrefix(msg, "exec.") || slices.Contains(shellCode, dir)
			if about && !slices.Contains(named, msg) {
				t.Errorf("%s writes the line %s, which the page does not name", dir, msg)
			}
		}
	}
	for _, row := range tb.rows {
		msg := plain(row["line"])
		line := all[msg]
		if line == nil {
			t.Errorf("nothing writes the line %s", msg)
			continue
		}
		if row["level"] != line.level {
			t.Errorf("%s: the page says %s, the code %s", msg, row["level"], line.level)
		}
		same(t, "fields of "+msg, spans(row["fields"]), line.fields)
	}
}

// recorder is a Registerer that keeps what is registered.
type recorder []prometheus.Collector

func (r *recorder) Register(c prometheus.Collector) error {
	*r = append(*r, c)
	return nil
}

func (r *recorder) MustRegister(all ...prometheus.Collector) { *r = append(*r, all...) }
func (r *recorder) Unregister(prometheus.Collector) bool     { return false }

var desc = regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)

func TestMetrics(t *testing.T) {
	registered := recorder{transport.NewSwitch(transport.Auto, nil)}
	podexec.NewMetrics(&registered)
	labels := map[string][]string{}
	descs := make(chan *prometheus.Desc, 100)
	for _, c := range registered {
		c.Describe(descs)
	}
	close(descs)
	for d := range descs {
		m := desc.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("a metric that cannot be read: %s", d)
		}
		labels[m[1]] = strings.Split(m[2], ",")
	}
	tb := readPage(t, guide).table(t, "metric")
	same(t, "metrics", tb.keys(t), slices.Collect(maps.Keys(labels)))
	same(t, "names of metrics in the code", tb.keys(t), code(t).literals("periscope_exec_"))
	for _, row := range tb.rows {
		name := plain(row["metric"])
		same(t, "labels of "+name, spans(row["labels"]), labels[name])
	}
}

// words are the code spans of the page that name something of a list, wherever
// they stand.
func TestEveryWordIsKnown(t *testing.T) {
	p := readPage(t, guide)
	var settings, codes, reasons []string
	for _, s := range config.Settings() {
		settings = append(settings, s.Env)
	}
	for _, s := range agentconfig.Settings() {
		settings = append(settings, s.Env)
	}
	for _, k := range fault.Kinds() {
		codes = append(codes, k.Code())
	}
	for _, r := range podexec.Reasons() {
		reasons = append(reasons, string(r))
	}
	lists := []struct {
		what    string
		pattern *regexp.Regexp
		known   []string
	}{
		{"variable", regexp.MustCompile(`^(PERISCOPE_[A-Z_]+)(=|$)`), settings},
		{"error code", regexp.MustCompile(`^(E_[A-Z_]+)$`), codes},
		{"metric", regexp.MustCompile(`^(periscope_exec_[a-z_]+)$`), p.table(t, "metric").keys(t)},
		{"event", regexp.MustCompile(`^(pod\.(?:exec|debug)\.[a-z_]+)$`), p.table(t, "event").keys(t)},
		{"key", regexp.MustCompile(`^(exec\.[a-z]+[A-Z][A-Za-z]*|exec\.enabled)`), p.table(t, "key").keys(t)},
		{"line", regexp.MustCompile(`^(exec\.[a-z]+(?:\.[a-z]+)+|cluster\.[a-z.]+|audit\.[a-z]+|http\.[a-z]+)$`), p.table(t, "line").keys(t)},
		{"reason", regexp.MustCompile(`^([a-z]+_(?:close|idle|exit|deleted|closed|timeout|lost|over)|server_[a-z]+)$`), reasons},
	}
	for _, span := range p.code {
		for _, l := range lists {
			if m := l.pattern.FindStringSubmatch(span); m != nil && !slices.Contains(l.known, m[1]) {
				t.Errorf("`%s`: there is no such %s", span, l.what)
			}
		}
	}
}

var apiPath = regexp.MustCompile(`^(GET|POST|DELETE) (/api/\S+)$`)

func TestAPIPaths(t *testing.T) {
	api, found := read(t, "api/openapi.yaml"), 0
	for _, span := range readPage(t, guide).code {
		m := apiPath.FindStringSubmatch(span)
		if m == nil {
			continue
		}
		found++
		_, ops, ok := strings.Cut(api, "\n  "+m[2]+":\n")
		if !ok {
			t.Errorf("`%s`: there is no such path", span)
			continue
		}
		ops, _, _ = strings.Cut(ops, "\n  /") // up to the next path
		if !strings.Contains("\n"+ops, "\n    "+strings.ToLower(m[1])+":") {
			t.Errorf("`%s`: the path has no such method", span)
		}
	}
	if found == 0 {
		t.Error("the page names no path")
	}
}
