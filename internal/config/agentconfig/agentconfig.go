// Package agentconfig is the one reader of the agent's flags and environment.
//
// It owns every setting's name, default, unit and meaning, and the rule that all
// mistakes are reported at once and no bad value turns into a default. It does not own
// what a setting does, nor what the server's settings are: it stands apart from
// internal/config so that the agent, which runs in other people's clusters, holds nothing
// of what the server alone needs. It starts no goroutines and keeps nothing. It
// guarantees that the link and the registration are never in the clear.
package agentconfig

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/periscope-console/periscope/internal/config/setting"
	"github.com/periscope-console/periscope/internal/tunnel/contract"
)

// Config is everything that an agent was told.
type Config struct {
	// Cluster is the name under which the server knows this cluster.
	Cluster string
	// Server is where the link is dialled to: wss://host[:port]/path.
	Server *url.URL
	// Registration is where a token is exchanged for a certificate: https://….
	Registration *url.URL
	// Token is the registration token; empty where there is a certificate already.
	Token string
	// ServerCAHash is "sha256:" and the hex of the hash of a CA's public key, or empty:
	// the registration's certificate is checked as any browser would.
	ServerCAHash string
	// Kubeconfig and Context name the cluster; without a kubeconfig it is the one
	// that the agent's pod runs in.
	Kubeconfig, Context string
	// SecretName keeps the certificate in a pod's own namespace, CredentialsFile
	// elsewhere; one of them is set.
	SecretName, CredentialsFile string
	// HealthAddress is host:port.
	HealthAddress string
	// Exec false refuses every way into a container.
	Exec bool
	// GiveUp is how long the agent is without a link before it ends, so that it is
	// started again; 0: never. A standby goes on waiting.
	GiveUp   time.Duration
	LogLevel slog.Level
}

// Setting is one environment variable of the agent.
type Setting struct {
	Env, Flag, Default, Unit, Meaning string
	// Secret is of a value in which a password or token may stand: no sentence repeats it.
	Secret bool
	read   func(a *Config, value string) error
}

// Settings lists every environment variable of the agent.
func Settings() []Setting { return slices.Clone(settings) }

const maxGiveUp = 24 * 3600

var settings = []Setting{
	{Env: "PERISCOPE_CLUSTER_NAME", Flag: "cluster", Meaning: "`NAME` of this cluster in the server's clusters.yaml",
		read: func(a *Config, v string) error { return clusterName(v, &a.Cluster) }},
	{Env: "PERISCOPE_SERVER_URL", Flag: "server", Secret: true, Meaning: "`URL` of the server's listener for agents, such as wss://periscope.example.com:8443",
		read: func(a *Config, v string) (err error) {
			a.Server, err = serverURL(v, contract.ConnectPath)
			return err
		}},
	{Env: "PERISCOPE_REGISTRATION_URL", Flag: "registration", Secret: true, Meaning: "`URL` at which the token is exchanged for a certificate, such as https://periscope.example.com; empty: the server's",
		read: func(a *Config, v string) error { return registrationURL(v, a) }},
	{Env: "PERISCOPE_REGISTRATION_TOKEN", Secret: true, Meaning: "Registration token from the page “Agents”; needed once",
		read: func(a *Config, v string) error { a.Token = v; return nil }},
	{Env: "PERISCOPE_SERVER_CA_HASH", Flag: "ca-hash", Meaning: "`HASH` of the public key of the server's CA for agents, sha256: and 64 hex digits, which the page “Agents” shows; empty: the registration's certificate is checked against this machine's CAs",
		read: func(a *Config, v string) error { return caHash(v, &a.ServerCAHash) }},
	{Env: "PERISCOPE_AGENT_SECRET_NAME", Meaning: "Secret in the agent's own namespace that keeps its certificate; in a pod only; empty: periscope-agent",
		read: func(a *Config, v string) error { return secretName(v, &a.SecretName) }},
	{Env: "PERISCOPE_AGENT_CREDENTIALS_FILE", Flag: "credentials", Meaning: "`FILE` that keeps its certificate outside a pod; empty: periscope-agent-NAME.json",
		read: func(a *Config, v string) error { a.CredentialsFile = v; return nil }},
	{Env: "PERISCOPE_AGENT_HEALTH_ADDR", Default: "127.0.0.1:8081", Meaning: "host:port of /healthz and /readyz",
		read: func(a *Config, v string) error { return setting.Address(v, &a.HealthAddress) }},
	{Env: "PERISCOPE_AGENT_EXEC", Default: "true", Meaning: "Whether shells may be opened in this cluster; false: the agent refuses exec, attach, ephemeral containers and the proxies of nodes, whatever the server asks",
		read: func(a *Config, v string) error { return setting.Truth(v, &a.Exec) }},
	{Env: "PERISCOPE_AGENT_GIVE_UP_SECONDS", Default: "900", Unit: "s", Meaning: "How long the agent is without a link before it ends with exit code 1, to be started again; 0: never. A standby, in whose place another agent of the cluster stands, goes on waiting",
		read: func(a *Config, v string) error { return setting.Seconds(v, 0, maxGiveUp, &a.GiveUp) }},
	{Env: "PERISCOPE_LOG_LEVEL", Default: "info", Meaning: "debug, info, warn or error",
		read: func(a *Config, v string) error { return setting.Level(v, &a.LogLevel) }},
}

// Load reads everything and reports every mistake at once, one line each, each saying
// what to do; it also returns warnings, which are sentences for the log. Args follow
// "periscope-agent", and environ is as os.Environ gives it. Its error is flag.ErrHelp
// when help was asked for; Usage is the answer.
func Load(args, environ []string) (Config, []string, error) {
	l := &loader{env: setting.Environment(environ)}
	if err := l.flags(args); err != nil {
		return Config{}, nil, err
	}
	for _, s := range settings {
		if err := s.read(&l.cfg, l.value(s)); err != nil {
			l.mistakes = append(l.mistakes, setting.Refused(s.Env, l.value(s), s.Secret, err))
		}
	}
	l.keeper()
	return l.cfg, l.strangers(), errors.Join(l.mistakes...)
}

type loader struct {
	env      map[string]string
	flagged  map[string]*string
	cfg      Config
	mistakes []error
}

func (l *loader) flags(args []string) error {
	set, flagged := flagSet(&l.cfg)
	l.flagged = flagged
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w; `periscope-agent --help` lists the flags", err)
	}
	if set.NArg() > 0 {
		return fmt.Errorf("%q is no flag; `periscope-agent --help` lists the flags", set.Arg(0))
	}
	return nil
}

func flagSet(a *Config) (*flag.FlagSet, map[string]*string) {
	set := flag.NewFlagSet("periscope-agent", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&a.Kubeconfig, "kubeconfig", "", "serve the cluster of this kubeconfig `FILE` instead of the one around the agent's pod")
	set.StringVar(&a.Context, "context", "", "`NAME` of the kubeconfig's context to use instead of its current one")
	flagged := map[string]*string{}
	for _, s := range settings {
		if s.Flag != "" {
			flagged[s.Env] = set.String(s.Flag, "", s.Meaning+" (or "+s.Env+")")
		}
	}
	return set, flagged
}

// Usage is the answer to `periscope-agent --help`.
func Usage() string {
	var b strings.Builder
	b.WriteString("Usage: periscope-agent [--kubeconfig FILE] --cluster NAME --server URL [FLAG…]\n\nFlags:\n")
	set, _ := flagSet(&Config{})
	set.SetOutput(&b)
	set.PrintDefaults()
	b.WriteString("\nThe environment variables are in docs/configuration.md.\n")
	return b.String()
}

// value is a setting's flag, else its variable, else its default.
func (l *loader) value(s Setting) string {
	if f := l.flagged[s.Env]; f != nil && *f != "" {
		return *f
	}
	if v := l.env[s.Env]; v != "" {
		return v
	}
	return s.Default
}

// keeper decides where the certificate is kept: with the pod, or beside whoever
// runs the agent by hand.
func (l *loader) keeper() {
	a := &l.cfg
	switch inPod := a.Kubeconfig == ""; {
	case a.SecretName != "" && a.CredentialsFile != "":
		l.mistakes = append(l.mistakes, errors.New("PERISCOPE_AGENT_SECRET_NAME and PERISCOPE_AGENT_CREDENTIALS_FILE are both set: keep the certificate in one place"))
	case a.SecretName != "" && !inPod:
		l.mistakes = append(l.mistakes, errors.New("PERISCOPE_AGENT_SECRET_NAME is for an agent in a pod; with --kubeconfig set PERISCOPE_AGENT_CREDENTIALS_FILE"))
	case a.SecretName == "" && a.CredentialsFile == "" && inPod:
		a.SecretName = "periscope-agent"
	case a.SecretName == "" && a.CredentialsFile == "":
		a.CredentialsFile = "periscope-agent-" + a.Cluster + ".json"
	}
}

// strangers warns of variables with our prefix that the agent does not have.
func (l *loader) strangers() []string {
	names := make([]string, 0, len(settings))
	for _, s := range settings {
		names = append(names, s.Env)
	}
	var all []string
	for name := range l.env {
		if strings.HasPrefix(name, setting.Prefix) && !slices.Contains(names, name) && !setting.OfKubernetes(name) {
			all = append(all, setting.Printable(name+" is no setting of the agent and has no effect"+setting.Hint(name, names)))
		}
	}
	slices.Sort(all)
	return all
}

func clusterName(v string, to *string) error {
	if len(validation.IsDNS1123Label(v)) > 0 {
		return errors.New("give the name of this cluster as the server's clusters.yaml has it: lower-case letters, digits and hyphens, at most 63")
	}
	*to = v
	return nil
}

func secretName(v string, to *string) error {
	if v != "" && len(validation.IsDNS1123Subdomain(v)) > 0 {
		return errors.New("give the name of a Secret")
	}
	*to = v
	return nil
}

// serverURL takes wss or https, since the link is never plain.
func serverURL(v, path string) (*url.URL, error) {
	u, err := url.Parse(v)
	if err != nil || u.Hostname() == "" || u.Scheme != "wss" && u.Scheme != "https" {
		return nil, errors.New("give an address such as wss://periscope.example.com:8443; the link is always encrypted")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("give scheme, host, port and path alone")
	}
	u.Scheme = "wss"
	if strings.Trim(u.Path, "/") == "" {
		u.Path = path
	}
	return u, nil
}

// registrationURL comes after serverURL, whose host is its default.
func registrationURL(v string, a *Config) error {
	if v == "" {
		if a.Server != nil {
			a.Registration = &url.URL{Scheme: "https", Host: a.Server.Host, Path: contract.RegisterPath}
		}
		return nil
	}
	u, err := serverURL(v, contract.RegisterPath)
	if err != nil {
		return errors.New("give an address such as https://periscope.example.com; the token is never sent in the clear")
	}
	u.Scheme = "https"
	a.Registration = u
	return nil
}

var pin = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func caHash(v string, to *string) error {
	if v = strings.ToLower(v); v != "" && !pin.MatchString(v) {
		return errors.New("give sha256: and 64 hex digits, as the page “Agents” shows it")
	}
	*to = v
	return nil
}
