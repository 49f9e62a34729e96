package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/periscope-console/periscope/internal/config/setting"
)

// Setting is one environment variable. The table of them is the one place of
// their defaults; docs/configuration.md is made from it.
type Setting struct {
	Env string
	// Flag of `periscope serve` that says the same, without dashes, or empty.
	Flag    string
	Default string
	// Unit is empty where the value is no quantity.
	Unit    string
	Meaning string
	// Secret is of a value in which a password may stand: no sentence repeats it.
	Secret bool
	read   func(c *Config, value string) error
}

func (s Setting) flagUsage() string { return s.Meaning + " (or " + s.Env + ")" }

// Settings lists every environment variable.
func Settings() []Setting { return slices.Clone(settings) }

var settings = []Setting{
	{Env: "PORT", Flag: "port", Default: "8080", Meaning: "`NUMBER` of the port; 0 takes any free one, on 127.0.0.1 only",
		read: func(c *Config, v string) error { return setting.Whole(v, 0, 65535, &c.Listen.Port) }},
	{Env: "PERISCOPE_BIND_ADDRESS", Meaning: "IP address to listen at; empty: all, in dev mode 127.0.0.1",
		read: func(c *Config, v string) error { return setting.BindAddress(v, &c.Listen.BindAddress) }},
	{Env: "PERISCOPE_PUBLIC_URL", Secret: true, Meaning: "Address by which browsers reach the server, such as https://periscope.example.com; decides Host, Origin and cookie flags",
		read: func(c *Config, v string) error { return origin(v, &c.Listen.PublicURL) }},
	{Env: "PERISCOPE_TLS_CERT_FILE", Meaning: "Certificate chain in PEM, which is read again when it changes; with it the server speaks TLS",
		read: func(c *Config, v string) error { c.Listen.TLSCertFile = v; return nil }},
	{Env: "PERISCOPE_TLS_KEY_FILE", Meaning: "Private key in PEM that belongs to the certificate, and is read again with it; new ones that cannot be used leave those before in place, and the log has http.certificate_kept",
		read: func(c *Config, v string) error { c.Listen.TLSKeyFile = v; return nil }},
	{Env: "PERISCOPE_TRUSTED_PROXIES", Meaning: "Networks of the proxies before this server, as CIDRs with commas, whose X-Forwarded-For tells the client's address, for audit and rate limits; empty: nobody's is believed",
		read: func(c *Config, v string) error { return each(v, network, &c.Listen.TrustedProxies) }},
	{Env: "PERISCOPE_LOGIN_RATE_PER_CLIENT", Default: "300", Unit: "a minute", Meaning: "Requests for a login or token that one client address may make, an IPv6 /64 as one; a login takes two",
		read: func(c *Config, v string) error { return setting.Whole(v, 1, maxRate, &c.Listen.LoginsPerClient) }},
	{Env: "PERISCOPE_LOGIN_RATE_TOTAL", Default: "3000", Unit: "a minute", Meaning: "The same for all client addresses together from which nobody is logged in",
		read: func(c *Config, v string) error { return setting.Whole(v, 1, maxRate, &c.Listen.LoginsTotal) }},
	{Env: "PERISCOPE_METRICS_ADDRESS", Meaning: "host:port at which Prometheus finds /metrics, without login; empty: none",
		read: func(c *Config, v string) error { return setting.Address(v, &c.Listen.MetricsAddress) }},
	{Env: "PERISCOPE_AUTH_FILE", Flag: "auth", Meaning: "auth.yaml, a `FILE` that says who may log in and how",
		read: ignore},
	{Env: "PERISCOPE_CLUSTERS_FILE", Flag: "clusters", Meaning: "clusters.yaml, a `FILE` that lists the clusters",
		read: ignore},
	{Env: "PERISCOPE_AUTH_MODE", Meaning: "Login mode, if it is to be said twice: the server does not start where auth.yaml says another",
		read: ignore},
	{Env: "PERISCOPE_DATABASE_URL", Secret: true, Meaning: "Where logins, tokens and agents' registrations are kept: sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE; empty: sqlite:periscope.db, in dev mode memory",
		read: func(c *Config, v string) error { return database(v, &c.DatabaseURL) }},
	{Env: "PERISCOPE_AGENT_LISTEN_ADDR", Meaning: "host:port at which agents reach the server, over TLS; empty: :8443 where a cluster has the backend agent, in dev mode 127.0.0.1:8443, and none elsewhere",
		read: func(c *Config, v string) error { return setting.Address(v, &c.Agents.ListenAddress) }},
	{Env: sansEnv, Meaning: "DNS names and IP addresses by which agents reach that listener, with commas, the one to tell them first; the server's certificate for it names them",
		read: tunnelSANs},
	{Env: "PERISCOPE_AGENT_CA_FILE", Meaning: "File that keeps the agents' CA with its key, which the server makes at its first start; empty: periscope-agent-ca.pem beside the SQLite database",
		read: func(c *Config, v string) error { c.Agents.CAFile = v; return nil }},
	{Env: "PERISCOPE_AGENT_CA_SECRET", Meaning: "NAMESPACE/NAME of the Kubernetes Secret that keeps it instead, for a server that runs in a cluster",
		read: caSecret},
	{Env: "PERISCOPE_AGENT_CERTIFICATE_DAYS", Default: "90", Unit: "days", Meaning: "Life of an agent's certificate, which the agent renews when two thirds of it are over",
		read: func(c *Config, v string) error { return days(v, 1, maxCertificateDays, &c.Agents.CertificateLife) }},
	{Env: "PERISCOPE_EXEC_IDLE_SECONDS", Default: "600", Unit: "s", Meaning: "Silence of a shell after which it is ended",
		read: func(c *Config, v string) error { return setting.Seconds(v, 1, maxIdle, &c.Exec.Defaults.ServerIdle) }},
	{Env: "PERISCOPE_EXEC_IDLE_WARN_SECONDS", Default: "30", Unit: "s", Meaning: "How long before that end the user is warned; half the idle time where only that was set, and to no more than this",
		read: func(c *Config, v string) error { return setting.Seconds(v, 1, maxIdle, &c.Exec.Defaults.IdleWarn) }},
	{Env: "PERISCOPE_EXEC_HEARTBEAT_SECONDS", Default: "20", Unit: "s", Meaning: "Interval of WebSocket pings; below the idle limit of every proxy on the way",
		read: func(c *Config, v string) error {
			return setting.Seconds(v, 1, maxHeartbeat, &c.Exec.Defaults.Heartbeat)
		}},
	{Env: "PERISCOPE_EXEC_MAX_SESSIONS_PER_USER", Default: "5", Unit: "shells", Meaning: "Shells that one user may have, over all clusters",
		read: func(c *Config, v string) error {
			return setting.Whole(v, 1, maxSessions, &c.Exec.Defaults.MaxSessionsPerUser)
		}},
	{Env: "PERISCOPE_EXEC_MAX_SESSIONS_TOTAL", Default: "50", Unit: "shells", Meaning: "Shells that one cluster may have, over all users",
		read: func(c *Config, v string) error {
			return setting.Whole(v, 1, maxSessions, &c.Exec.Defaults.MaxSessionsTotal)
		}},
	{Env: "PERISCOPE_EXEC_RESUME_SECONDS", Default: "600", Unit: "s", Meaning: "How long a shell waits for a client that was lost; 0: it ends with it",
		read: func(c *Config, v string) error { return setting.Seconds(v, 0, maxIdle, &c.Exec.Resume) }},
	{Env: "PERISCOPE_EXEC_REPLAY_KIB", Default: "256", Unit: "KiB", Meaning: "Output that is kept for a client which comes back; at least 128",
		read: func(c *Config, v string) error { return kib(v, 128, 16384, &c.Exec.ReplayBytes) }},
	{Env: "PERISCOPE_EXEC_MAX_FILE_MIB", Default: "1024", Unit: "MiB", Meaning: "Size of the largest file, or archive of a folder, that is copied to or from a container; 0: none is",
		read: func(c *Config, v string) error { return mebibytes(v, 0, maxFileMiB, &c.Exec.MaxFile) }},
	{Env: "PERISCOPE_EXEC_TRANSPORT", Default: "auto", Meaning: "Protocol towards the clusters: ws, spdy or auto, which is WebSocket, and SPDY where that fails: after three failed upgrades in a row for 30 minutes without another try",
		read: func(c *Config, v string) error { return setting.OneOf(v, &c.Exec.Transport, "auto", "ws", "spdy") }},
	{Env: "PERISCOPE_DEBUG_IMAGES", Meaning: "Images for debug containers in pods without a shell, with commas, the default first, such as busybox:1.37; each must hold sh; empty: there are no debug containers",
		read: debugImages},
	{Env: "PERISCOPE_PROBE_CLUSTERS_ON_BOOT", Default: "false", Meaning: "Whether to reach every cluster once after the start, in the background, so that the first shell finds credentials and protocol ready",
		read: func(c *Config, v string) error { return setting.Truth(v, &c.ProbeClustersOnBoot) }},
	{Env: "PERISCOPE_DEV_ALLOW_ORIGINS", Secret: true, Meaning: "Further origins of this machine that dev mode takes, with commas, such as http://localhost:5173",
		read: func(c *Config, v string) error { return each(v, loopbackOrigin, &c.Listen.DevAllowOrigins) }},
	{Env: "PERISCOPE_AUDIT_ENABLED", Default: "false", Meaning: "Whether audit events are kept beside stdout; only false is supported by this version",
		read: audit},
	{Env: "PERISCOPE_LOG_LEVEL", Default: "info", Meaning: "debug, info, warn or error",
		read: func(c *Config, v string) error { return setting.Level(v, &c.LogLevel) }},
}

// later names the variables of versions to come. Who sets one expects it to
// work, so it is not passed over.
var later = []string{
	"PERISCOPE_AUDIT_DB_PATH", "PERISCOPE_AUDIT_RETENTION_DAYS", "PERISCOPE_AUDIT_MAX_SIZE_MB",
	"PERISCOPE_AUDIT_VACUUM_INTERVAL", "PERISCOPE_AUDIT_FAILURE_MODE", "PERISCOPE_AUDIT_KEY_FILE",
	"PERISCOPE_WATCH_STREAMS", "PERISCOPE_WATCH_PER_USER_LIMIT",
}

// Bounds beyond which a number is surely a slip.
const (
	maxIdle      = 7 * 24 * 3600
	maxHeartbeat = 300
	maxSessions  = 10000
	maxFileMiB   = 1 << 20
	maxRate      = 1_000_000
)

func days(v string, least, most int, to *time.Duration) error {
	var n int
	if err := setting.Whole(v, least, most, &n); err != nil {
		return err
	}
	*to = time.Duration(n) * 24 * time.Hour
	return nil
}

func kib(v string, least, most int, to *int) error {
	var n int
	if err := setting.Whole(v, least, most, &n); err != nil {
		return err
	}
	*to = n << 10
	return nil
}

func mebibytes(v string, least, most int, to *int64) error {
	var n int
	if err := setting.Whole(v, least, most, &n); err != nil {
		return err
	}
	*to = int64(n) << 20
	return nil
}

// ignore is for settings that the forms of starting read.
func ignore(*Config, string) error { return nil }

func audit(c *Config, v string) error {
	if err := setting.Truth(v, &c.AuditEnabled); err != nil {
		return err
	}
	if c.AuditEnabled {
		return errors.New("keeping audit events is not supported by this version; remove it or set it to false, and collect them from stdout")
	}
	return nil
}

func database(v string, to *string) error {
	path, file := strings.CutPrefix(v, "sqlite:")
	switch {
	case v == "", file && path != "", strings.HasPrefix(v, "postgres://"), strings.HasPrefix(v, "postgresql://"):
		*to = v
		return nil
	}
	return errors.New("give sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE")
}

// origin takes scheme://host[:port] and writes it as browsers do.
func origin(v string, to *string) error {
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("give an address such as https://periscope.example.com")
	}
	if u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("give scheme, host and port alone, without user, path or query")
	}
	host := strings.ToLower(u.Host)
	if port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]; u.Port() != "" {
		host = strings.TrimSuffix(host, port)
	}
	*to = u.Scheme + "://" + strings.TrimSuffix(host, ":")
	return nil
}

func loopbackOrigin(v string) (o string, err error) {
	if err := origin(v, &o); err != nil || o == "" {
		return "", errors.New("give origins such as http://localhost:5173")
	}
	if !isLoopback(o) {
		return "", fmt.Errorf("%s is not on this machine; dev mode takes origins of localhost and 127.0.0.1 alone", o)
	}
	return o, nil
}

// isLoopback says whether an origin is one of this machine.
func isLoopback(o string) bool {
	u, err := url.Parse(o)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func network(v string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(v); err == nil {
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(v)
	if err != nil {
		return p, fmt.Errorf("%q is no network; give CIDRs such as 10.0.0.0/8", v)
	}
	return p.Masked(), nil
}

// each reads a list with commas.
func each[T any](v string, read func(string) (T, error), to *[]T) error {
	var all []T
	for item := range strings.SplitSeq(v, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		t, err := read(item)
		if err != nil {
			return err
		}
		all = append(all, t)
	}
	*to = all
	return nil
}
