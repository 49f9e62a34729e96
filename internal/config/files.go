package config

import (
	"time"
)

// authFile is auth.yaml.
type authFile struct {
	Mode          string            `yaml:"mode" doc:"How people log in: oidc, or dev. Dev lets any program of this machine in, so the server then listens on loopback alone"`
	OIDC          oidcFile          `yaml:"oidc"`
	Session       sessionFile       `yaml:"session"`
	Tokens        tokensFile        `yaml:"tokens"`
	Authorization authorizationFile `yaml:"authorization"`
	Dev           devFile           `yaml:"dev"`
}

type oidcFile struct {
	Issuer             string   `yaml:"issuer" doc:"Address of the login provider, as its discovery document says it"`
	ClientID           string   `yaml:"clientID" doc:"Name of this application at the provider"`
	ClientSecret       string   `yaml:"clientSecret" doc:"Secret of this application: itself, ${VARIABLE}, file://PATH, which is read again when it changes, aws-secretsmanager://NAME#KEY or aws-ssm:///PATH, which are read again after five minutes (docs/eks.md)"`
	RedirectURL        string   `yaml:"redirectURL" doc:"https://HOST/api/auth/callback, as browsers reach this server and as the provider knows it"`
	PostLogoutRedirect string   `yaml:"postLogoutRedirect" doc:"Where the provider sends people after a logout: https://HOST/api/auth/loggedout"`
	Scopes             []string `yaml:"scopes" default:"openid,profile,email,offline_access" doc:"What the provider is asked for; openid must be among it, and without offline_access most renew no login"`
	Audience           string   `yaml:"audience" doc:"API that the login is for, where the provider wants one named (Auth0)"`
	ProviderName       string   `yaml:"providerName" doc:"Name of the provider on the login page"`
}

type sessionFile struct {
	CookieName      string        `yaml:"cookieName" default:"periscope_session" doc:"Name of the session cookie; on TLS __Host- is put before it"`
	IdleTimeout     time.Duration `yaml:"idleTimeout" default:"30m" doc:"Time without activity after which a login ends"`
	AbsoluteTimeout time.Duration `yaml:"absoluteTimeout" default:"12h" doc:"Time after which a login ends in any case"`
}

type tokensFile struct {
	Enabled         bool          `yaml:"enabled" default:"true" doc:"Whether people may make personal access tokens; false also refuses those that are there"`
	MaxLifetime     time.Duration `yaml:"maxLifetime" default:"2160h" doc:"Longest life of a token, 90 days; what was made when it was longer ends by it too"`
	NoExpiry        bool          `yaml:"noExpiry" default:"false" doc:"Whether a token may be made that never expires"`
	OwnerSeenWithin time.Duration `yaml:"ownerSeenWithin" default:"720h" doc:"For how long after its owner's last login, or its renewal, a token holds: 30 days"`
	MaxPerPerson    int           `yaml:"maxPerPerson" default:"20" doc:"Tokens that one person may have"`
}

type authorizationFile struct {
	Mode             string            `yaml:"mode" default:"raw" doc:"As whom users act in clusters: raw (as themselves, with their groups), tier (with one group for their tier) or shared (everybody with the server's own rights)"`
	UserClaim        string            `yaml:"userClaim" default:"sub" doc:"Claim that names the user in clusters, by its name or by a path with dots; email counts only where the provider has verified it"`
	UserPrefix       string            `yaml:"userPrefix" doc:"Put before the user's name"`
	AllowedGroups    []string          `yaml:"allowedGroups" doc:"Groups that may log in; empty: all"`
	GroupsClaim      string            `yaml:"groupsClaim" default:"groups" doc:"Claim that holds the groups, by its name or by a path with dots: a list of texts, or one text"`
	GroupTiers       map[string]string `yaml:"groupTiers" doc:"Tier of each group: read, triage, write, maintain or admin; the highest counts"`
	DefaultTier      string            `yaml:"defaultTier" doc:"Tier of users in no such group; empty: they may not log in"`
	GroupPrefix      string            `yaml:"groupPrefix" default:"periscope:" doc:"Put before each group, in mode raw"`
	AdminGroups      []string          `yaml:"adminGroups" doc:"Groups whose members administer Periscope"`
	AuditAdminGroups []string          `yaml:"auditAdminGroups" doc:"Groups whose members are to see everybody's audit events; kept for the audit page, which this version does not have"`
}

type devFile struct {
	Subject string   `yaml:"subject" default:"dev@local" doc:"Subject of the one user of mode dev"`
	Email   string   `yaml:"email" default:"dev@local" doc:"Email of that user"`
	Groups  []string `yaml:"groups" default:"dev" doc:"Groups of that user"`
	Admin   bool     `yaml:"admin" default:"true" doc:"Whether that user administers Periscope"`
}

// clustersFile is clusters.yaml.
type clustersFile struct {
	Clusters []clusterFile `yaml:"clusters"`
}

type clusterFile struct {
	Line              int
	Name              string            `yaml:"name" doc:"Name, a DNS-1123 label, unique"`
	Backend           string            `yaml:"backend" doc:"How it is reached: kubeconfig, in-cluster, eks, or agent, which dials out to this server. [agent-onboarding.md](agent-onboarding.md) says what that needs"`
	KubeconfigPath    string            `yaml:"kubeconfigPath" doc:"For kubeconfig: the file; a relative path counts from the folder of clusters.yaml"`
	KubeconfigContext string            `yaml:"kubeconfigContext" doc:"For kubeconfig: the context; empty: the file's current one"`
	Region            string            `yaml:"region" doc:"Region, for users to see; for eks the ARN says it, and another is a mistake"`
	ARN               string            `yaml:"arn" doc:"ARN, for users to see; for eks it says which cluster this is, and must be there"`
	AssumeRoleARN     string            `yaml:"assumeRoleArn" doc:"For eks: the role that the server takes for this cluster, a session of it for each user; empty: the server's own role. [eks.md](eks.md) says what it needs"`
	Environment       string            `yaml:"environment" doc:"Environment, such as prod, for users to see"`
	Tags              map[string]string `yaml:"tags" doc:"Tags, for users to see"`
	Exec              execFile          `yaml:"exec"`
}

// execFile has the overrides of a cluster: what is not written is nil.
type execFile struct {
	Enabled            *bool `yaml:"enabled" doc:"false: no shells into this cluster"`
	ServerIdleSeconds  *int  `yaml:"serverIdleSeconds" doc:"Instead of PERISCOPE_EXEC_IDLE_SECONDS"`
	IdleWarnSeconds    *int  `yaml:"idleWarnSeconds" doc:"Instead of PERISCOPE_EXEC_IDLE_WARN_SECONDS"`
	HeartbeatSeconds   *int  `yaml:"heartbeatSeconds" doc:"Instead of PERISCOPE_EXEC_HEARTBEAT_SECONDS"`
	MaxSessionsPerUser *int  `yaml:"maxSessionsPerUser" doc:"Instead of PERISCOPE_EXEC_MAX_SESSIONS_PER_USER"`
	MaxSessionsTotal   *int  `yaml:"maxSessionsTotal" doc:"Instead of PERISCOPE_EXEC_MAX_SESSIONS_TOTAL"`
	RequireReason      *bool `yaml:"requireReason" doc:"true: who opens a shell must give a reason"`
}
