package config

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/periscope-console/periscope/internal/identity"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

const (
	goodAuth     = "mode: dev\n"
	goodClusters = "clusters:\n  - name: demo\n    backend: kubeconfig\n    kubeconfigPath: kube/config\n"
	kubeFile     = "apiVersion: v1\nkind: Config\ncurrent-context: Kind_Prod@EU\ncontexts: []\n"
)

// sources has the two files at their places, and others by name.
func sources(auth, clusters string, environ ...string) Sources {
	files := map[string]string{"/etc/auth.yaml": auth, "/etc/clusters.yaml": clusters, "/home/kube": kubeFile}
	return Sources{
		Args: []string{"--auth", "/etc/auth.yaml", "--clusters", "/etc/clusters.yaml"}, Environ: environ,
		ReadFile: func(name string) ([]byte, error) {
			if name == "/etc/secret" {
				return nil, fs.ErrPermission
			}
			if data, ok := files[name]; ok {
				return []byte(data), nil
			}
			return nil, fs.ErrNotExist
		},
	}
}

// oidc is a good login provider with one line of its block changed.
func oidc(line string) Sources {
	block := map[string]string{
		"issuer": "https://login.example.com/", "clientID": "periscope", "clientSecret": "hunter2",
		"redirectURL": "https://Periscope.example.com:443/api/auth/callback",
	}
	if key, value, ok := strings.Cut(line, ": "); ok {
		block[key] = value
	}
	text := "mode: oidc\noidc:\n"
	for _, key := range slices.Sorted(maps.Keys(block)) {
		text += "  " + key + ": " + block[key] + "\n"
	}
	return sources(text, goodClusters)
}

func with(src Sources, environ ...string) Sources {
	src.Environ = append(src.Environ, environ...)
	return src
}

func args(src Sources, args ...string) Sources {
	src.Args = args
	return src
}

func load(t *testing.T, src Sources) (Config, []Warning) {
	t.Helper()
	cfg, warnings, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, warnings
}

func TestDefaults(t *testing.T) {
	cfg, warnings := load(t, sources(goodAuth, goodClusters))
	policy := ExecPolicy{
		Enabled: true, ServerIdle: 600 * time.Second, IdleWarn: 30 * time.Second, Heartbeat: 20 * time.Second,
		MaxSessionsPerUser: 5, MaxSessionsTotal: 50,
	}
	want := Config{
		Listen: Listen{Port: 8080, BindAddress: "127.0.0.1", LoginsPerClient: 300, LoginsTotal: 3000},
		Auth: Auth{
			Mode:    AuthDev,
			Dev:     Dev{Subject: "dev@local", Email: "dev@local", Groups: []string{"dev"}, Admin: true},
			Session: Session{CookieName: "periscope_session", IdleTimeout: 30 * time.Minute, AbsoluteTimeout: 12 * time.Hour},
			Tokens:  Tokens{Enabled: true, MaxLifetime: 90 * 24 * time.Hour, OwnerSeenWithin: 30 * 24 * time.Hour, MaxPerPerson: 20},
			Policy:  identity.Policy{Mode: identity.Raw, UserClaim: "sub", GroupPrefix: "periscope:"},
		},
		Exec: Exec{Defaults: policy, Resume: 600 * time.Second, MaxFile: 1 << 30, ReplayBytes: 256 << 10, Transport: "auto"},
		Clusters: []Cluster{{
			Name: "demo", Backend: Kubeconfig, KubeconfigPath: "/etc/kube/config", Tags: map[string]string{}, Exec: policy,
		}},
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got  %+v\nwant %+v", cfg, want)
	}
	if len(warnings) != 0 {
		t.Errorf("warnings: %q", warnings)
	}
}

func TestOIDC(t *testing.T) {
	cfg, warnings := load(t, with(oidc("clientSecret: ${THE_SECRET}"), "THE_SECRET=hunter3"))
	o := cfg.Auth.OIDC
	got, err := o.ClientSecret.Get(t.Context())
	if got != "hunter3" || err != nil {
		t.Errorf("the secret is %q, %v", got, err)
	}
	o.ClientSecret = nil
	want := OIDC{
		Issuer: "https://login.example.com/", ClientID: "periscope", RedirectURL: "https://Periscope.example.com:443/api/auth/callback",
		Scopes: []string{"openid", "profile", "email", "offline_access"}, GroupsClaim: "groups",
	}
	if !reflect.DeepEqual(o, want) || cfg.Auth.Mode != AuthOIDC || len(warnings) != 0 {
		t.Errorf("got  %+v %q\nwant %+v", o, warnings, want)
	}
	if cfg.Listen.PublicURL != "https://periscope.example.com" || cfg.Listen.BindAddress != "" || cfg.DatabaseURL != "sqlite:periscope.db" {
		t.Errorf("listen %+v, database %q", cfg.Listen, cfg.DatabaseURL)
	}
	cfg, _ = load(t, with(oidc(""), "PERISCOPE_PUBLIC_URL=https://periscope.example.com", "PERISCOPE_DATABASE_URL=postgres://db/periscope"))
	if cfg.DatabaseURL != "postgres://db/periscope" {
		t.Errorf("database %q", cfg.DatabaseURL)
	}
	_, warnings = load(t, sources("mode: oidc\nauthorization: {userClaim: preferred_username}\n"+
		"oidc: {issuer: \"https://x/\", clientID: p, clientSecret: s, redirectURL: \"https://p.example.com/api/auth/callback\"}\n", goodClusters))
	if len(warnings) != 1 || !strings.Contains(string(warnings[0]), "can act as anybody") {
		t.Errorf("warnings: %q", warnings)
	}
	_, warnings = load(t, sources("mode: dev\nauthorization: {groupTiers: {x: read}}\n", goodClusters))
	if len(warnings) != 1 || !strings.Contains(string(warnings[0]), "authorization.mode is raw, so groupTiers") {
		t.Errorf("warnings: %q", warnings)
	}
	_, warnings = load(t, sources("mode: dev\noidc: {issuer: \"https://x\"}\n", goodClusters))
	if len(warnings) != 1 || !strings.Contains(string(warnings[0]), "oidc has no effect") {
		t.Errorf("warnings %q", warnings)
	}
}

func TestServeKubeconfig(t *testing.T) {
	src := args(sources("", ""), "--kubeconfig", "/home/kube", "--port", "0")
	cfg, _ := load(t, src)
	if c := cfg.Clusters[0]; len(cfg.Clusters) != 1 || c.Name != "kind-prod-eu" || c.KubeconfigPath != "/home/kube" || c.KubeconfigContext != "Kind_Prod@EU" || !c.Exec.Enabled {
		t.Errorf("cluster: %+v", c)
	}
	if a := cfg.Auth; !a.CodeRequired || a.Mode != AuthDev || a.Policy.Mode != identity.Shared || a.Dev.Subject != "dev@local" {
		t.Errorf("auth: %+v", a)
	}
	if s := cfg.Auth.Session; s.IdleTimeout != 12*time.Hour || s.AbsoluteTimeout != 12*time.Hour {
		t.Errorf("a login of one's own ends while its tab is hidden: %+v", s)
	}
	if cfg.Listen.Port != 0 || cfg.Listen.BindAddress != "127.0.0.1" {
		t.Errorf("listen: %+v", cfg.Listen)
	}
	src.Args = append(src.Args, "--context", "other")
	cfg, _ = load(t, src)
	if c := cfg.Clusters[0]; c.Name != "other" || c.KubeconfigContext != "other" {
		t.Errorf("cluster: %+v", c)
	}
}

func TestEverythingSet(t *testing.T) {
	auth := `
mode: dev
session: {cookieName: s, idleTimeout: 1h, absoluteTimeout: 24h}
authorization:
  mode: tier
  userClaim: email
  userPrefix: "p:"
  allowedGroups: [a]
  groupsClaim: groups
  groupTiers: {a: triage}
  defaultTier: read
  groupPrefix: ""
  adminGroups: [ops]
  auditAdminGroups: [sec]
dev: {subject: me, email: me@x, groups: [a, b], admin: false}
`
	clusters := `
clusters:
  - name: a
    backend: kubeconfig
    kubeconfigPath: /k
    kubeconfigContext: c
    region: eu
    arn: "arn:x"
    environment: prod
    tags: {team: pay, cost: "7"}
    exec: {enabled: false, serverIdleSeconds: 1800, idleWarnSeconds: 60, heartbeatSeconds: 5, maxSessionsPerUser: 10, maxSessionsTotal: 100, requireReason: true}
  - {name: b, backend: in-cluster, exec: {serverIdleSeconds: 20}}
`
	cfg, warnings := load(t, sources(auth, clusters,
		"PERISCOPE_PUBLIC_URL=http://LOCALHOST:80/", "PERISCOPE_TRUSTED_PROXIES=10.1.2.3/8, 192.168.0.1", "PERISCOPE_METRICS_ADDRESS=:9090",
		"PERISCOPE_EXEC_TRANSPORT=spdy", "PERISCOPE_EXEC_REPLAY_KIB=128", "PERISCOPE_EXEC_RESUME_SECONDS=0", "PERISCOPE_EXEC_MAX_FILE_MIB=3", "PERISCOPE_PROBE_CLUSTERS_ON_BOOT=1",
		"PERISCOPE_DEV_ALLOW_ORIGINS=http://localhost:5173", "PERISCOPE_LOG_LEVEL=debug", "PERISCOPE_AUTH_MODE=dev", "PORT=9000", "PERISCOPE_BIND_ADDRESS=::1",
	))
	if len(warnings) != 0 {
		t.Errorf("warnings: %q", warnings)
	}
	l := cfg.Listen
	if l.PublicURL != "http://localhost" || len(l.TrustedProxies) != 2 || l.TrustedProxies[0].String() != "10.0.0.0/8" || l.TrustedProxies[1].String() != "192.168.0.1/32" ||
		l.MetricsAddress != ":9090" || l.DevAllowOrigins[0] != "http://localhost:5173" || l.Port != 9000 || l.BindAddress != "::1" {
		t.Errorf("listen: %+v", l)
	}
	if e := cfg.Exec; e.Transport != "spdy" || e.ReplayBytes != 128<<10 || e.Resume != 0 || e.MaxFile != 3<<20 || !cfg.ProbeClustersOnBoot || cfg.LogLevel.String() != "DEBUG" {
		t.Errorf("exec: %+v", e)
	}
	wantPolicy := identity.Policy{
		Mode: identity.Tier, UserClaim: "email", UserPrefix: "p:", AllowedGroups: []string{"a"},
		GroupTiers: map[string]string{"a": "triage"}, DefaultTier: "read", AdminGroups: []string{"ops"}, AuditAdminGroups: []string{"sec"},
	}
	if !reflect.DeepEqual(cfg.Auth.Policy, wantPolicy) || cfg.Auth.Dev.Admin || cfg.Auth.Session.IdleTimeout != time.Hour {
		t.Errorf("auth: %+v", cfg.Auth)
	}
	wantA := ExecPolicy{ServerIdle: 30 * time.Minute, IdleWarn: time.Minute, Heartbeat: 5 * time.Second, MaxSessionsPerUser: 10, MaxSessionsTotal: 100, RequireReason: true}
	if cfg.Clusters[0].Exec != wantA || cfg.Clusters[0].Tags["cost"] != "7" || cfg.Clusters[0].KubeconfigPath != "/k" {
		t.Errorf("cluster a: %+v", cfg.Clusters[0])
	}
	if b := cfg.Clusters[1].Exec; !b.Enabled || b.ServerIdle != 20*time.Second || b.IdleWarn != 10*time.Second || b.MaxSessionsPerUser != 5 {
		t.Errorf("cluster b: %+v", b)
	}
}

// TestMistakes gives each mistake alone and looks for its sentence.
func TestMistakes(t *testing.T) {
	cluster := func(rest string) Sources {
		return sources(goodAuth, "clusters:\n  - name: a\n    backend: kubeconfig\n    kubeconfigPath: /k\n"+rest)
	}
	auth := func(rest string) Sources { return sources("mode: dev\n"+rest, goodClusters) }
	env := func(kv ...string) Sources { return sources(goodAuth, goodClusters, kv...) }
	cases := []struct {
		name string
		src  Sources
		want string
	}{
		{"nothing said", args(env()), "nobody said how to log in, so the server does not start"},
		{"clusters alone", args(env(), "--clusters", "/etc/clusters.yaml"), "nobody said how to log in"},
		{"auth mode alone", args(env("PERISCOPE_AUTH_MODE=dev")), "nobody said how to log in"},
		{"auth alone", args(env(), "--auth", "/etc/auth.yaml"), "no clusters are named"},
		{"context alone", args(env(), "--context", "x"), "--context names a context of the file that --kubeconfig names"},
		{"both forms", args(env("PERISCOPE_AUTH_FILE=/etc/auth.yaml"), "--kubeconfig", "/home/kube"), "PERISCOPE_AUTH_FILE says another"},
		{"kubeconfig with oidc", args(env("PERISCOPE_AUTH_MODE=oidc"), "--kubeconfig", "/home/kube"), "--kubeconfig means dev"},
		{"kubeconfig missing", args(env(), "--kubeconfig", "/nope"), "the kubeconfig /nope does not exist; check the path"},
		{"kubeconfig unreadable", args(env(), "--kubeconfig", "/etc/secret"), "may not be read by this user"},
		{"kubeconfig without a context", args(env(), "--kubeconfig", "/etc/auth.yaml"), "has no current context; name one with --context"},
		{"unknown flag", args(env(), "--kubeconfg", "x"), "lists the flags"},
		{"an argument", args(env(), "x"), `"x" is no flag`},
		{"file missing", args(env(), "--auth", "/nope", "--clusters", "/etc/clusters.yaml"), "the file of PERISCOPE_AUTH_FILE /nope does not exist"},

		{"oidc without a provider", sources("mode: oidc\n", goodClusters), "/etc/auth.yaml: oidc.issuer is missing"},
		{"misspelt issuer", oidc("issuer: htps://login.example.com"), "must begin with https://"},
		{"issuer without a scheme", oidc("issuer: login.example.com"), "is no address"},
		{"issuer in the open", oidc("issuer: http://login.example.com"), "nobody on the way can read a login"},
		{"issuer with a query", oidc("issuer: https://x.example.com/?a=b"), "is no address"},
		{"no client", oidc("clientID: \"\""), "oidc.clientID"},
		{"no secret", oidc("clientSecret: \"\""), "oidc.clientSecret: The secret is empty"},
		{"secret that is not set", oidc("clientSecret: ${NOT_SET}"), "The variable NOT_SET"},
		{"secret that is not there", oidc("clientSecret: file:///nope"), "cannot be read"},
		{"secret of another kind", oidc("clientSecret: vault://a"), "vault:// are not supported"},
		{"redirect elsewhere", oidc("redirectURL: https://periscope.example.com/callback"), "its path must be /api/auth/callback"},
		{"redirect in the open", oidc("redirectURL: http://periscope.example.com/api/auth/callback"), "must begin with https://"},
		{"way back from logout", oidc("postLogoutRedirect: javascript:x"), "is no address"},
		{"no openid", oidc("scopes: [profile]"), "oidc.scopes has no openid"},
		{"two scopes in one", oidc("scopes: [\"openid email\"]"), "at most 32 words"},
		{"public url of another host", with(oidc(""), "PERISCOPE_PUBLIC_URL=https://other.example.com"), "make them agree or remove PERISCOPE_PUBLIC_URL"},
		{"any port for everybody", with(oidc(""), "PORT=0"), "only a server on 127.0.0.1"},
		{"misspelt mode", sources("mode: odic\n", goodClusters), `mode is "odic", which is unknown; did you mean oidc?`},
		{"no mode", sources("", goodClusters), "mode is missing"},
		{"modes differ", env("PERISCOPE_AUTH_MODE=oidc"), "make them agree"},
		{"unknown key", auth("sesion: {}\n"), `/etc/auth.yaml:2: unknown key "sesion"; did you mean session?`},
		{"unknown key inside", auth("dev:\n  emial: x\n"), `/etc/auth.yaml:3: unknown key "emial" in dev; did you mean email?`},
		{"authorization mode", auth("authorization: {mode: shard}\n"), `authorization.mode is "shard"; give one of raw, tier, shared; did you mean shared?`},
		{"empty authorization mode", auth("authorization: {mode: \"\"}\n"), `authorization.mode is ""`},
		{"tier", auth("authorization: {groupTiers: {x: root}}\n"), `gives group "x" the tier "root"`},
		{"default tier", auth("authorization: {defaultTier: redd}\n"), "did you mean read?"},
		{"claim", auth("authorization: {userClaim: \"\"}\n"), "userClaim is empty"},
		{"claim of nobody in dev", auth("authorization: {userClaim: upn}\n"), "Your login carries no user name"},
		{"system prefix", auth("authorization: {groupPrefix: \"System:\"}\n"), "names that belong to Kubernetes"},
		{"system user", auth("dev: {subject: \"system:admin\"}\n"), "the user of dev could not log in"},
		{"nobody's tier", auth("authorization: {mode: tier, groupTiers: {x: read}}\n"), "None of your groups has a tier"},
		{"no tiers at all", auth("authorization: {mode: tier}\n"), "no group has one and nobody has one by default"},
		{"timeouts", auth("session: {idleTimeout: 2h, absoluteTimeout: 1h}\n"), "the absolute one as the longer"},
		{"a token's life", auth("tokens: {maxLifetime: 59m}\n"), "tokens.maxLifetime is 59m0s; give a time from 1h"},
		{"a token's endless life", auth("tokens: {maxLifetime: 100000h}\n"), "tokens.maxLifetime is 100000h0m0s"},
		{"an owner who is not seen", auth("tokens: {ownerSeenWithin: 0s}\n"), "tokens.ownerSeenWithin is 0s"},
		{"no tokens but some", auth("tokens: {maxPerPerson: 0}\n"), "tokens.maxPerPerson is 0; give a number from 1 to 100"},
		{"a token setting misspelt", auth("tokens: {noExpire: true}\n"), "unknown key \"noExpire\""},
		{"a time without unit", auth("session: {idleTimeout: 30}\n"), "/etc/auth.yaml:2: session.idleTimeout must be a time with its unit"},
		{"cookie", auth("session: {cookieName: \"a b\"}\n"), "session.cookieName"},
		{"text that is a number", auth("dev: {subject: 7}\n"), "dev.subject must be text; put it in quotes"},
		{"bool that is text", auth("dev: {admin: \"true\"}\n"), "dev.admin must be true or false"},
		{"list that is text", auth("dev: {groups: dev}\n"), "dev.groups must be a list"},
		{"block that is text", auth("dev: x\n"), "dev must hold keys"},
		{"alias", auth("dev: {subject: &a x, email: *a}\n"), "anchors, aliases and tags"},
		{"second document", auth("---\nmode: dev\n"), "several documents"},
		{"no YAML", sources("mode: [", goodClusters), "/etc/auth.yaml:1: "},
		{"same key twice", auth("mode: dev\n"), "/etc/auth.yaml:2: "},

		{"two of one name", cluster("  - {name: a, backend: in-cluster}\n"), "/etc/clusters.yaml:5: a cluster named a stands on line 2 already"},
		{"unknown backend", sources(goodAuth, "clusters: [{name: a, backend: kubeconfg}]"), "did you mean kubeconfig?"},
		{"no path", sources(goodAuth, "clusters: [{name: a, backend: kubeconfig}]"), "cluster a needs kubeconfigPath"},
		{"path elsewhere", sources(goodAuth, "clusters: [{name: a, backend: in-cluster, kubeconfigPath: x}]"), "for the backend kubeconfig alone"},
		{"bad name", sources(goodAuth, "clusters: [{name: Prod_1, backend: in-cluster}]"), `the cluster's name is "Prod_1"; use lower-case`},
		{"no clusters", sources(goodAuth, "clusters: []"), "it lists 0 clusters"},
		{"unknown exec key", cluster("    exec: {serverIdleSecond: 5}\n"), `unknown key "serverIdleSecond" in clusters[0].exec; did you mean serverIdleSeconds?`},
		{"exec number", cluster("    exec: {maxSessionsTotal: many}\n"), "clusters[0].exec.maxSessionsTotal must be a whole number"},
		{"exec too large", cluster("    exec: {heartbeatSeconds: 1000}\n"), "give at most 300"},
		{"warning after the end", cluster("    exec: {serverIdleSeconds: 20, idleWarnSeconds: 20}\n"), "not less than the idle time of 20"},
		{"role", cluster("    assumeRoleArn: x\n"), "assumeRoleArn of cluster a is for the backend eks alone"},
		{"tag with a newline", cluster("    tags: {a: \"b\\nc\"}\n"), "tags.a of cluster a must be one line"},

		{"port", env("PORT=http"), `PORT is "http": give a whole number`},
		{"port too large", args(env(), "--auth", "/etc/auth.yaml", "--clusters", "/etc/clusters.yaml", "--port", "70000"), `--port is "70000": give a number from 0 to 65535`},
		{"bind to all", env("PERISCOPE_BIND_ADDRESS=0.0.0.0"), "dev mode asks for no password and so stays on this machine"},
		{"bind to a name", env("PERISCOPE_BIND_ADDRESS=example.com"), "give an IP address"},
		{"public url", env("PERISCOPE_PUBLIC_URL=https://x.example.com"), "dev mode is for browsers on this machine"},
		{"public url with path", env("PERISCOPE_PUBLIC_URL=http://localhost/x"), "scheme, host and port alone"},
		{"public url without scheme", env("PERISCOPE_PUBLIC_URL=localhost:8080"), "give an address such as"},
		{"an image that is none", env("PERISCOPE_DEBUG_IMAGES=busybox, Busy Box"), `PERISCOPE_DEBUG_IMAGES is "busybox, Busy Box": "Busy Box" is no image; give names such as busybox:1.37`},
		{"an image with a line end", env("PERISCOPE_DEBUG_IMAGES=busybox\nx"), "is no image"},
		{"an image by half a digest", env("PERISCOPE_DEBUG_IMAGES=busybox@sha256:abc"), "is no image"},
		{"an image as an address", env("PERISCOPE_DEBUG_IMAGES=https://registry.example.com/busybox"), "is no image"},
		{"an image twice", env("PERISCOPE_DEBUG_IMAGES=a,b,a"), "a stands there twice; give each image once"},
		{"too many images", env("PERISCOPE_DEBUG_IMAGES=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"), "these are 17 images; give at most 16"},
		{"an image of a long name", env("PERISCOPE_DEBUG_IMAGES=" + strings.Repeat("a", 513)), "a name of 513 bytes; give at most 512"},
		{"origin of another machine", env("PERISCOPE_DEV_ALLOW_ORIGINS=https://evil.example.com"), "is not on this machine"},
		{"proxies", env("PERISCOPE_TRUSTED_PROXIES=all"), `"all" is no network`},
		{"metrics", env("PERISCOPE_METRICS_ADDRESS=9090"), "give host:port"},
		{"half of TLS", env("PERISCOPE_TLS_CERT_FILE=/c"), "belong together"},
		{"TLS missing", env("PERISCOPE_TLS_CERT_FILE=/c", "PERISCOPE_TLS_KEY_FILE=/k"), "the certificate /c does not exist"},
		{"TLS nonsense", env("PERISCOPE_TLS_CERT_FILE=/etc/auth.yaml", "PERISCOPE_TLS_KEY_FILE=/etc/auth.yaml"), "cannot be used together"},
		{"idle 0", env("PERISCOPE_EXEC_IDLE_SECONDS=0"), "give a number from 1"},
		{"cap negative", env("PERISCOPE_EXEC_MAX_SESSIONS_TOTAL=-1"), "give a number from 1"},
		{"no logins", env("PERISCOPE_LOGIN_RATE_PER_CLIENT=0"), "give a number from 1"},
		{"a rate in words", env("PERISCOPE_LOGIN_RATE_TOTAL=many"), "give a whole number"},
		{"a proxy by name", env("PERISCOPE_TRUSTED_PROXIES=10.0.0.0/8,lb.example.com"), "PERISCOPE_TRUSTED_PROXIES"},
		{"warn over idle", env("PERISCOPE_EXEC_IDLE_SECONDS=30", "PERISCOPE_EXEC_IDLE_WARN_SECONDS=30"), "not less than PERISCOPE_EXEC_IDLE_SECONDS"},
		{"replay", env("PERISCOPE_EXEC_REPLAY_KIB=64"), "give a number from 128"},
		{"files", env("PERISCOPE_EXEC_MAX_FILE_MIB=all"), "give a whole number"},
		{"resume", env("PERISCOPE_EXEC_RESUME_SECONDS=-1"), "give a number from 0"},
		{"transport", env("PERISCOPE_EXEC_TRANSPORT=websocket"), "give one of auto, ws, spdy"},
		{"probe", env("PERISCOPE_PROBE_CLUSTERS_ON_BOOT=yes"), "give true or false"},
		{"audit", env("PERISCOPE_AUDIT_ENABLED=true"), "not supported by this version"},
		{"log level", env("PERISCOPE_LOG_LEVEL=wran"), "did you mean warn?"},
		{"database", env("PERISCOPE_DATABASE_URL=mysql://x"), "give sqlite:PATH or postgres://"},
		{"database without a path", env("PERISCOPE_DATABASE_URL=sqlite:"), "give sqlite:PATH or postgres://"},
		{"of a later version", env("PERISCOPE_WATCH_STREAMS=all"), "PERISCOPE_WATCH_STREAMS is not supported by this version; remove it"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Load(c.src)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	_, _, err := Load(sources("mode: odic\nx: 1\n", "clusters:\n  - {name: A, backend: eks}\n  - {nam: b}\n", "PORT=x", "PERISCOPE_LOG_LEVEL=x"))
	if err == nil {
		t.Fatal("no mistake found")
	}
	lines := strings.Split(err.Error(), "\n")
	for _, want := range []string{"PORT", "LOG_LEVEL", "odic", `unknown key "x"`, `"A"`, "eks", `unknown key "nam"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not reported", want)
		}
	}
	for _, line := range lines {
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, " ") {
			t.Errorf("not one line for each mistake:\n%s", err)
		}
	}
}

// TestNoPasswordInMistakes has passwords in values that are not right.
func TestNoPasswordInMistakes(t *testing.T) {
	for _, kv := range []string{
		"PERISCOPE_DATABASE_URL=postgresql+psycopg://app:hunter2@db/p",
		"PERISCOPE_DATABASE_URL=Postgres://app:hunter2@db/p",
		"PERISCOPE_DATABASE_URL=host=db user=app password=hunter2",
		"PERISCOPE_PUBLIC_URL=https://app:hunter2@periscope.example.com",
		"PERISCOPE_DEV_ALLOW_ORIGINS=http://app:hunter2@localhost:5173",
	} {
		name, _, _ := strings.Cut(kv, "=")
		_, _, err := Load(sources(goodAuth, goodClusters, kv))
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "give ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", kv, err)
		}
	}
}

func TestNoSecretInSyntaxErrors(t *testing.T) {
	_, _, err := Load(sources("mode: dev\noidc:\n  clientSecret: hunter2\n bad: [\n", goodClusters))
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("got %v", err)
	}
}

// numbers are the keys of a cluster's exec block that are numbers, each with its
// place in a policy.
var numbers = map[string]func(p *ExecPolicy, n int){
	"serverIdleSeconds":  func(p *ExecPolicy, n int) { p.ServerIdle = time.Duration(n) * time.Second },
	"idleWarnSeconds":    func(p *ExecPolicy, n int) { p.IdleWarn = time.Duration(n) * time.Second },
	"heartbeatSeconds":   func(p *ExecPolicy, n int) { p.Heartbeat = time.Duration(n) * time.Second },
	"maxSessionsPerUser": func(p *ExecPolicy, n int) { p.MaxSessionsPerUser = n },
	"maxSessionsTotal":   func(p *ExecPolicy, n int) { p.MaxSessionsTotal = n },
}

// others is an environment in which no number of a shell is the default.
var others = []string{
	"PERISCOPE_EXEC_IDLE_SECONDS=700", "PERISCOPE_EXEC_IDLE_WARN_SECONDS=40", "PERISCOPE_EXEC_HEARTBEAT_SECONDS=21",
	"PERISCOPE_EXEC_MAX_SESSIONS_PER_USER=6", "PERISCOPE_EXEC_MAX_SESSIONS_TOTAL=60",
}

var otherPolicy = ExecPolicy{
	Enabled: true, ServerIdle: 700 * time.Second, IdleWarn: 40 * time.Second, Heartbeat: 21 * time.Second,
	MaxSessionsPerUser: 6, MaxSessionsTotal: 60,
}

func TestVariablesOfShells(t *testing.T) {
	cfg, _ := load(t, sources(goodAuth, goodClusters, others...))
	if cfg.Exec.Defaults != otherPolicy || cfg.Clusters[0].Exec != otherPolicy {
		t.Errorf("got %+v and %+v", cfg.Exec.Defaults, cfg.Clusters[0].Exec)
	}
}

// TestOverridesArePartial sets one key of a cluster at a time.
func TestOverridesArePartial(t *testing.T) {
	set := map[string]func(p *ExecPolicy){
		"enabled: false":      func(p *ExecPolicy) { p.Enabled = false },
		"requireReason: true": func(p *ExecPolicy) { p.RequireReason = true },
	}
	for key, put := range numbers {
		set[key+": 77"] = func(p *ExecPolicy) { put(p, 77) }
	}
	for text, put := range set {
		cfg, warnings := load(t, sources(goodAuth, goodClusters+"    exec: {"+text+"}\n", others...))
		want := otherPolicy
		put(&want)
		if got := cfg.Clusters[0].Exec; got != want || cfg.Exec.Defaults != otherPolicy || len(warnings) != 0 {
			t.Errorf("%s: got %+v, want %+v; warnings %q", text, got, want, warnings)
		}
	}
}

// TestIgnoredOverrides: a number that is not positive is a slip, and the warning
// says where.
func TestIgnoredOverrides(t *testing.T) {
	stays := map[string]int{
		"serverIdleSeconds": 700, "idleWarnSeconds": 40, "heartbeatSeconds": 21, "maxSessionsPerUser": 6, "maxSessionsTotal": 60,
	}
	for key := range numbers {
		for _, n := range []int{0, -3} {
			cfg, warnings := load(t, sources(goodAuth, fmt.Sprintf("%s    exec: {%s: %d}\n", goodClusters, key, n), others...))
			if got := cfg.Clusters[0].Exec; got != otherPolicy {
				t.Errorf("%s: %d took hold: %+v", key, n, got)
			}
			want := fmt.Sprintf("/etc/clusters.yaml:2: exec.%s of cluster demo is %d; it must be positive, so it is ignored and the default of %d stays", key, n, stays[key])
			if len(warnings) != 1 || string(warnings[0]) != want {
				t.Errorf("warnings %q, want %q", warnings, want)
			}
		}
	}
}

func TestStrangeVariables(t *testing.T) {
	_, warnings := load(t, sources(goodAuth, goodClusters,
		"PERISCOPE_PORT=tcp://10.0.0.1:8080", "PERISCOPE_SERVICE_HOST=10.0.0.1", "PERISCOPE_SERVICE_PORT=8080", "PERISCOPE_SERVICE_PORT_HTTP=8080",
		"PERISCOPE_PORT_8080_TCP=tcp://10.0.0.1:8080", "PERISCOPE_PORT_8080_TCP_PROTO=tcp", "PERISCOPE_PORT_8080_TCP_PORT=8080", "PERISCOPE_PORT_8080_TCP_ADDR=10.0.0.1",
		"PERISCOPE_AGENT_SERVICE_HOST=10.0.0.2", "PERISCOPE_AGENT_PORT_8443_TCP=tcp://10.0.0.2:8443",
		"PATH=/bin", "PERISCOPE_EXEC_IDLE_SECOND=5", "PERISCOPE_TELEPHONE=1",
	))
	want := []Warning{
		"PERISCOPE_EXEC_IDLE_SECOND is no setting of this server and has no effect; did you mean PERISCOPE_EXEC_IDLE_SECONDS?",
		"PERISCOPE_TELEPHONE is no setting of this server and has no effect",
	}
	if !reflect.DeepEqual(warnings, want) {
		t.Errorf("got %q", warnings)
	}
}

func TestHelp(t *testing.T) {
	if _, _, err := Load(args(sources("", ""), "--help")); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"-kubeconfig FILE", "-context NAME", "-port NUMBER", "-clusters FILE", "-auth FILE"} {
		if !strings.Contains(Usage(), want) {
			t.Errorf("no %s in\n%s", want, Usage())
		}
	}
}

func TestLabel(t *testing.T) {
	for in, want := range map[string]string{
		"prod": "prod", "arn:aws:eks:eu:1:cluster/Prod": "arn-aws-eks-eu-1-cluster-prod", "--": "cluster", "日本": "cluster",
		strings.Repeat("a", 62) + "-b": strings.Repeat("a", 62),
	} {
		if got := label(in); got != want {
			t.Errorf("label(%q) is %q, want %q", in, got, want)
		}
	}
}

func TestMarkdown(t *testing.T) {
	const file = "../../docs/configuration.md"
	if *update {
		if err := os.WriteFile(file, []byte(Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(file)
	if err != nil || string(written) != Markdown() {
		t.Fatalf("%s is not what the tables say (%v); run: go test ./internal/config -run Markdown -update", file, err)
	}
}

func FuzzFiles(f *testing.F) {
	f.Add(goodAuth, goodClusters)
	f.Add("a: &x [*x]", "clusters: [{tags: {? a : b}}]")
	f.Add("mode: !!str dev\n", "<<: {}\n")
	f.Add("\t", "clusters:\n  - exec: {enabled: ~}\n")
	f.Add("mode: |\n  dev\n", "clusters: {a: b}")
	f.Add("mode: dev\n", "clusters: [{name: \"\\e[2J\", tags: {\"\\0\": a}}]")
	f.Fuzz(func(t *testing.T, auth, clusters string) {
		cfg, _, err := Load(sources(auth, clusters))
		if err != nil {
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
				t.Errorf("a sentence with a control character: %q", err)
			}
			return
		}
		dev := cfg.Auth.Mode == AuthDev && cfg.Listen.BindAddress == "127.0.0.1"
		provider := cfg.Auth.Mode == AuthOIDC && cfg.Auth.OIDC.Issuer != "" && cfg.Auth.OIDC.ClientSecret != nil && cfg.Listen.PublicURL != ""
		if !dev && !provider || len(cfg.Clusters) == 0 {
			t.Errorf("accepted %q %q as %+v", auth, clusters, cfg)
		}
		switch cfg.Auth.Policy.Mode {
		case identity.Raw, identity.Tier, identity.Shared:
		default:
			t.Errorf("accepted the mode %q", cfg.Auth.Policy.Mode)
		}
		if cfg.Auth.Policy.Mode == identity.Shared && !strings.Contains(auth, "shared") {
			t.Error("shared was not written out")
		}
	})
}
