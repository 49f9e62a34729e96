// Package config is the one reader of files, flags and environment.
//
// It owns every setting's name, default, unit and meaning, and the rule that
// all mistakes are reported at once and no bad value turns into a default. It
// does not own what a setting does. It starts no goroutines and keeps nothing:
// Load returns a value that nobody changes afterwards. It guarantees that a
// server for which nobody wrote down how to log in does not start.
package config

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/secret"
)

// Config is everything that the server was told. It is a value that is passed
// on; nobody writes to it, its slices and maps included.
type Config struct {
	Listen   Listen
	Auth     Auth
	Exec     Exec
	Agents   Agents
	Clusters []Cluster
	// ProbeClustersOnBoot warms credentials and picks the wire protocol after the
	// start, in the background.
	ProbeClustersOnBoot bool
	// DatabaseURL is sqlite:PATH or postgres://…; empty where nothing is kept.
	DatabaseURL  string
	AuditEnabled bool
	LogLevel     slog.Level
}

// Listen says where the server is reached.
type Listen struct {
	// Port 0 takes any free port; dev mode only.
	Port int
	// BindAddress is an IP address, or empty for all.
	BindAddress string
	// PublicURL is scheme://host[:port] without a path, or empty.
	PublicURL string
	// TLSCertFile and TLSKeyFile are both set or both empty.
	TLSCertFile, TLSKeyFile string
	// TrustedProxies are the peers whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// LoginsPerClient and LoginsTotal are how many requests a minute may be made
	// before a login, by one client address and by all that nobody knows.
	LoginsPerClient, LoginsTotal int
	// MetricsAddress is host:port, or empty for no metrics listener.
	MetricsAddress string
	// DevAllowOrigins are further loopback origins that dev mode takes.
	DevAllowOrigins []string
}

// TLS reports whether the server speaks TLS itself.
func (l Listen) TLS() bool { return l.TLSCertFile != "" }

// AuthMode is how people log in.
type AuthMode string

// The ways to log in. AuthDev is loopback only, without a password.
const (
	AuthDev  AuthMode = "dev"
	AuthOIDC AuthMode = "oidc"
)

// Auth says who may come in and as whom they act.
type Auth struct {
	Mode AuthMode
	// CodeRequired asks for the one-time code that `serve --kubeconfig` prints.
	CodeRequired bool
	Dev          Dev
	OIDC         OIDC
	Session      Session
	Tokens       Tokens
	Policy       identity.Policy
}

// Dev is the one person of dev mode.
type Dev struct {
	Subject string
	Email   string
	Groups  []string
	Admin   bool
}

// OIDC is the login provider; mode oidc only.
type OIDC struct {
	// Issuer is the address exactly as the provider writes it.
	Issuer, ClientID   string
	ClientSecret       secret.Source
	RedirectURL        string
	PostLogoutRedirect string
	Scopes             []string
	Audience           string
	ProviderName       string
	// GroupsClaim is the claim's name, or a path to it.
	GroupsClaim string
}

// Session bounds a browser's login.
type Session struct {
	CookieName      string
	IdleTimeout     time.Duration
	AbsoluteTimeout time.Duration
}

// Tokens bounds personal access tokens.
type Tokens struct {
	Enabled bool
	// MaxLifetime bounds a token's life; with NoExpiry one may also live for ever.
	MaxLifetime time.Duration
	NoExpiry    bool
	// OwnerSeenWithin is for how long after their last login a person's tokens hold.
	OwnerSeenWithin time.Duration
	MaxPerPerson    int
}

// Exec is what shells are bound by in the whole process.
type Exec struct {
	// Defaults are those of a cluster without overrides.
	Defaults ExecPolicy
	// Resume is how long a shell waits for its lost client; 0 is off.
	Resume time.Duration
	// MaxFile bounds a file that is copied, in bytes; 0: none are.
	MaxFile int64
	// ReplayBytes is the size of a session's ring of output.
	ReplayBytes int
	// Transport is auto, ws or spdy.
	Transport string
	// DebugImages are for debug containers, the default first; without any there
	// are none.
	DebugImages []string
}

// ExecPolicy is what shells into one cluster are bound by.
type ExecPolicy struct {
	Enabled bool
	// ServerIdle of silence ends a shell; IdleWarn is how long before that the
	// user is warned, and less than ServerIdle.
	ServerIdle, IdleWarn time.Duration
	Heartbeat            time.Duration
	MaxSessionsPerUser   int
	MaxSessionsTotal     int
	RequireReason        bool
}

// Agents says how agents reach the server; without a cluster that is reached
// through one it is empty.
type Agents struct {
	// ListenAddress is host:port; empty for no listener.
	ListenAddress string
	// SANs are the DNS names and IP addresses by which agents know the server.
	SANs []string
	// CAFile, or CANamespace and CASecret, is where the CA is kept.
	CAFile, CANamespace, CASecret string
	// CertificateLife is that of an agent's certificate.
	CertificateLife time.Duration
}

// BackendKind is how a cluster is reached.
type BackendKind string

// The backends of this version.
const (
	Kubeconfig BackendKind = "kubeconfig"
	InCluster  BackendKind = "in-cluster"
	EKS        BackendKind = "eks"
	Agent      BackendKind = "agent"
)

// Cluster is one cluster of the registry.
type Cluster struct {
	// Name is a DNS-1123 label, unique.
	Name    string
	Backend BackendKind
	// KubeconfigPath and KubeconfigContext are for Kubeconfig. The context may
	// be empty: the file's current one.
	KubeconfigPath, KubeconfigContext string
	// Region and ARN are for users to see; for EKS they say where the cluster is.
	Region, ARN string
	// EKSName is the cluster's name there, AssumeRoleARN the role that reaches it,
	// or empty: the server's own; EKS only.
	EKSName, AssumeRoleARN string
	Environment            string
	Tags                   map[string]string
	// Exec is complete: the defaults with this cluster's overrides.
	Exec ExecPolicy
}
