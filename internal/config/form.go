package config

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml/ast"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/periscope-console/periscope/internal/config/setting"
	"github.com/periscope-console/periscope/internal/identity"
)

const (
	authEnv     = "PERISCOPE_AUTH_FILE"
	clustersEnv = "PERISCOPE_CLUSTERS_FILE"
	modeEnv     = "PERISCOPE_AUTH_MODE"
	maxClusters = 1000
	maxText     = 256
	maxTags     = 64
)

// form finds out which of the ways to start this is. There is no third: a
// server for which nobody said how to log in does not start.
func (l *loader) form() {
	switch {
	case l.flagged.kubeconfig != "":
		l.own()
	case l.flagged.context != "":
		l.wrong("--context names a context of the file that --kubeconfig names; give both")
	case l.given[authEnv] == "":
		l.wrong("nobody said how to log in, so the server does not start: give --kubeconfig FILE for a console of your own, or --auth FILE (or %s) with an auth.yaml", authEnv)
	default:
		l.served()
	}
}

// own is `serve --kubeconfig FILE`: one cluster, for whoever sees the code in
// the terminal, with the rights of the file.
func (l *loader) own() {
	for _, env := range []string{authEnv, clustersEnv} {
		if l.given[env] != "" {
			l.wrong("--kubeconfig brings login and cluster with it, and %s says another; remove one of the two", env)
		}
	}
	if mode := l.given[modeEnv]; mode != "" && mode != string(AuthDev) {
		l.wrong("%s is %q, but --kubeconfig means dev; remove one of the two", modeEnv, mode)
	}
	var file authFile
	decode("", nil, &file)
	file.Mode, file.Authorization.Mode = string(AuthDev), string(identity.Shared)
	// A hidden tab says nothing, and nobody else is to sit down at one's own machine.
	file.Session.IdleTimeout = file.Session.AbsoluteTimeout
	l.auth("", file)
	l.cfg.Auth.CodeRequired = true
	if data, ok := l.readFile("the kubeconfig", l.flagged.kubeconfig); ok {
		l.ownCluster(data)
	}
}

// ownCluster looks no further into the file than for a name; the backend
// reads the rest.
func (l *loader) ownCluster(data []byte) {
	body, err := parse(data)
	if err != nil {
		l.wrong("%s is no kubeconfig: %s", l.flagged.kubeconfig, oneLine(err.Error()))
		return
	}
	context := cmp.Or(l.flagged.context, currentContext(body))
	if context == "" {
		l.wrong("the kubeconfig %s has no current context; name one with --context", l.flagged.kubeconfig)
		return
	}
	l.cfg.Clusters = []Cluster{{
		Name: label(context), Backend: Kubeconfig, KubeconfigPath: l.flagged.kubeconfig, KubeconfigContext: context,
		Tags: map[string]string{}, Exec: l.policy("", "", execFile{}),
	}}
}

func currentContext(file ast.Node) string {
	entries, _ := pairs(file)
	for _, entry := range entries {
		if text(entry.Key) == "current-context" && !isNull(entry.Value) {
			return strings.TrimSpace(entry.Value.GetToken().Value)
		}
	}
	return ""
}

var notLabel = regexp.MustCompile(`[^a-z0-9]+`)

// label makes a DNS-1123 label of a context's name.
func label(s string) string {
	s = strings.Trim(notLabel.ReplaceAllString(strings.ToLower(s), "-"), "-")
	if len(s) > validation.DNS1123LabelMaxLength {
		s = strings.TrimRight(s[:validation.DNS1123LabelMaxLength], "-")
	}
	return cmp.Or(s, "cluster")
}

// served is a server with its two files.
func (l *loader) served() {
	name := l.given[authEnv]
	if data, ok := l.readFile("the file of "+authEnv, name); ok {
		var file authFile
		if l.decode(name, data, &file) {
			l.auth(name, file)
		}
	}
	name = l.given[clustersEnv]
	if name == "" {
		l.wrong("no clusters are named: give --clusters FILE (or %s) with a clusters.yaml", clustersEnv)
		return
	}
	if data, ok := l.readFile("the file of "+clustersEnv, name); ok {
		var file clustersFile
		if l.decode(name, data, &file) {
			l.clusters(name, file)
		}
	}
}

func (l *loader) decode(name string, data []byte, v any) bool {
	mistakes, readable := decode(name, data, v)
	l.mistakes = append(l.mistakes, mistakes...)
	return readable
}

// auth turns auth.yaml into settings.
func (l *loader) auth(name string, f authFile) {
	before := len(l.mistakes)
	l.authMode(name, f.Mode)
	l.session(name, f.Session)
	l.tokens(name, f.Tokens)
	l.authorization(name, f.Authorization)
	if f.Mode == string(AuthOIDC) {
		l.oidc(name, f.OIDC, f.Authorization.GroupsClaim, f.Authorization.UserClaim)
		return
	}
	if f.OIDC.Issuer != "" {
		l.warn("%s: mode is %s, so oidc has no effect", name, f.Mode)
	}
	l.cfg.Auth.Dev = Dev{Subject: f.Dev.Subject, Email: f.Dev.Email, Groups: f.Dev.Groups, Admin: f.Dev.Admin}
	if len(l.mistakes) > before {
		return
	}
	// Better now than at the first login.
	who := identity.Actor{Subject: f.Dev.Subject, Email: f.Dev.Email, Groups: f.Dev.Groups}
	if _, err := l.cfg.Auth.Policy.Admit(who); err != nil {
		l.wrong("%s: the user of dev could not log in: %w; change dev or authorization", name, err)
	}
}

func (l *loader) authMode(name, mode string) {
	modes := []string{string(AuthDev), string(AuthOIDC)}
	switch {
	case mode == "":
		l.wrong("%s: mode is missing; write how people log in: mode: oidc, or mode: dev", name)
	case !slices.Contains(modes, mode):
		l.wrong("%s: mode is %q, which is unknown%s", name, mode, setting.Hint(mode, modes))
	}
	if said := l.given[modeEnv]; said != "" && said != mode {
		l.wrong("%s is %q and %s says mode: %q; make them agree or remove one", modeEnv, said, name, mode)
	}
	l.cfg.Auth.Mode = AuthMode(mode)
}

// The characters of a cookie's name, without those that need care.
var cookieName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (l *loader) session(name string, f sessionFile) {
	if !cookieName.MatchString(f.CookieName) || strings.HasPrefix(f.CookieName, "__") {
		l.wrong("%s: session.cookieName is %q; use letters, digits, _ and - without __ before them", name, f.CookieName)
	}
	if f.IdleTimeout < time.Minute || f.AbsoluteTimeout < f.IdleTimeout {
		l.wrong("%s: session.idleTimeout is %v and absoluteTimeout %v; give at least 1m, and the absolute one as the longer", name, f.IdleTimeout, f.AbsoluteTimeout)
	}
	l.cfg.Auth.Session = Session(f)
}

// Bounds beyond which a number is surely a slip.
const (
	maxTokenLife      = 10 * 365 * 24 * time.Hour
	maxTokensOfPerson = 100
)

func (l *loader) tokens(name string, f tokensFile) {
	for key, d := range map[string]time.Duration{"maxLifetime": f.MaxLifetime, "ownerSeenWithin": f.OwnerSeenWithin} {
		if d < time.Hour || d > maxTokenLife {
			l.wrong("%s: tokens.%s is %v; give a time from 1h to %v", name, key, d, maxTokenLife)
		}
	}
	if f.MaxPerPerson < 1 || f.MaxPerPerson > maxTokensOfPerson {
		l.wrong("%s: tokens.maxPerPerson is %d; give a number from 1 to %d", name, f.MaxPerPerson, maxTokensOfPerson)
	}
	l.cfg.Auth.Tokens = Tokens(f)
}

func (l *loader) authorization(name string, f authorizationFile) {
	l.authorizationWords(name, f)
	l.cfg.Auth.Policy = identity.Policy{
		Mode: identity.Mode(f.Mode), UserClaim: f.UserClaim, UserPrefix: f.UserPrefix, GroupPrefix: f.GroupPrefix,
		AllowedGroups: f.AllowedGroups, GroupTiers: f.GroupTiers, DefaultTier: f.DefaultTier, AdminGroups: f.AdminGroups,
		AuditAdminGroups: f.AuditAdminGroups,
	}
}

func (l *loader) authorizationWords(name string, f authorizationFile) {
	modes := []string{string(identity.Raw), string(identity.Tier), string(identity.Shared)}
	if !slices.Contains(modes, f.Mode) {
		l.wrong("%s: authorization.mode is %q; give one of %s%s", name, f.Mode, strings.Join(modes, ", "), setting.Hint(f.Mode, modes))
	}
	l.userClaim(name, f.UserClaim)
	l.modeFits(name, f)
	if begins := strings.ToLower(f.UserPrefix + "\n" + f.GroupPrefix); strings.HasPrefix(begins, "system:") || strings.Contains(begins, "\nsystem:") {
		l.wrong("%s: authorization.userPrefix or groupPrefix begins with system:, which makes names that belong to Kubernetes; choose another", name)
	}
	tiers := identity.Tiers()
	if f.DefaultTier != "" && !slices.Contains(tiers, f.DefaultTier) {
		l.wrong("%s: authorization.defaultTier is %q; give one of %s%s", name, f.DefaultTier, strings.Join(tiers, ", "), setting.Hint(f.DefaultTier, tiers))
	}
	for _, group := range slices.Sorted(maps.Keys(f.GroupTiers)) {
		if tier := f.GroupTiers[group]; !slices.Contains(tiers, tier) {
			l.wrong("%s: authorization.groupTiers gives group %q the tier %q; give one of %s%s", name, group, tier, strings.Join(tiers, ", "), setting.Hint(tier, tiers))
		}
	}
}

// modeFits is about settings of another mode than the one chosen: whoever wrote
// them expects something else of the server than it does.
func (l *loader) modeFits(name string, f authorizationFile) {
	tiers := len(f.GroupTiers) > 0 || f.DefaultTier != ""
	switch {
	case f.Mode == string(identity.Tier) && !tiers:
		l.wrong("%s: authorization.mode is tier, but no group has one and nobody has one by default; write groupTiers, or defaultTier", name)
	case f.Mode != string(identity.Tier) && tiers:
		l.warn("%s: authorization.mode is %s, so groupTiers and defaultTier have no effect; write mode: tier for them to count", name, f.Mode)
	}
}

// changeable are claims that people can often choose for themselves, so that two
// may bear the same (OpenID Connect Core 1.0, section 5.7).
var changeable = []string{"name", "nickname", "preferred_username", "given_name", "family_name"}

func (l *loader) userClaim(name, claim string) {
	switch {
	case claim == "":
		l.wrong("%s: authorization.userClaim is empty; name the claim that names the user, such as sub", name)
	case slices.Contains(changeable, claim):
		l.warn("%s: authorization.userClaim is %s; whoever can choose that at the provider can act as anybody, so make sure that nobody can, or use sub", name, claim)
	}
}

// clusters turns clusters.yaml into settings.
func (l *loader) clusters(name string, f clustersFile) {
	if len(f.Clusters) == 0 || len(f.Clusters) > maxClusters {
		l.wrong("%s: it lists %d clusters; list 1 to %d under clusters:", name, len(f.Clusters), maxClusters)
		return
	}
	lines := map[string]int{}
	for _, c := range f.Clusters {
		where := fmt.Sprintf("%s:%d", name, c.Line)
		if first, twice := lines[c.Name]; twice && c.Name != "" {
			l.wrong("%s: a cluster named %s stands on line %d already; give one of them another name", where, c.Name, first)
		}
		lines[c.Name] = c.Line
		l.cluster(where, filepath.Dir(name), c)
	}
}

func (l *loader) cluster(where, folder string, c clusterFile) {
	if wrong := validation.IsDNS1123Label(c.Name); len(wrong) > 0 {
		l.wrong("%s: the cluster's name is %q; use lower-case letters, digits and - (at most 63)", where, c.Name)
	}
	l.backend(where, c)
	l.texts(where, c)
	path := c.KubeconfigPath
	if path != "" && !filepath.IsAbs(path) {
		path = filepath.Join(folder, path)
	}
	tags := c.Tags
	if tags == nil {
		tags = map[string]string{}
	}
	cluster := Cluster{
		Name: c.Name, Backend: BackendKind(c.Backend), KubeconfigPath: path, KubeconfigContext: c.KubeconfigContext,
		Region: c.Region, ARN: c.ARN, Environment: c.Environment, Tags: tags,
		Exec: l.policy(where, c.Name, c.Exec),
	}
	if cluster.Backend == EKS {
		cluster.Region, cluster.EKSName = eksParts(c.ARN)
		cluster.AssumeRoleARN = c.AssumeRoleARN
	}
	l.cfg.Clusters = append(l.cfg.Clusters, cluster)
}

func (l *loader) backend(where string, c clusterFile) {
	known := []string{string(Kubeconfig), string(InCluster), string(EKS), string(Agent)}
	if c.Backend == string(EKS) {
		l.eks(where, c)
	} else if c.AssumeRoleARN != "" {
		l.wrong("%s: assumeRoleArn of cluster %s is for the backend eks alone; remove it", where, c.Name)
	}
	switch {
	case !slices.Contains(known, c.Backend):
		l.wrong("%s: the backend of cluster %s is %q; give %s%s", where, c.Name, c.Backend, strings.Join(known, " or "), setting.Hint(c.Backend, known))
	case c.Backend == string(Kubeconfig) && c.KubeconfigPath == "":
		l.wrong("%s: cluster %s needs kubeconfigPath", where, c.Name)
	case c.Backend != string(Kubeconfig) && c.KubeconfigPath+c.KubeconfigContext != "":
		l.wrong("%s: kubeconfigPath and kubeconfigContext of cluster %s are for the backend kubeconfig alone; remove them", where, c.Name)
	}
}

// texts bounds what users are shown.
func (l *loader) texts(where string, c clusterFile) {
	all := map[string]string{"region": c.Region, "arn": c.ARN, "environment": c.Environment}
	for k, v := range c.Tags {
		all["tags."+k] = k + v
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if v := all[key]; len(v) > maxText || strings.ContainsFunc(v, unicode.IsControl) {
			l.wrong("%s: %s of cluster %s must be one line of at most %d bytes", where, key, c.Name, maxText)
		}
	}
	if len(c.Tags) > maxTags {
		l.wrong("%s: cluster %s has %d tags; give at most %d", where, c.Name, len(c.Tags), maxTags)
	}
}

// consistent looks at settings that must fit each other.
func (l *loader) consistent() {
	l.tls()
	defer l.agents()
	if l.cfg.Auth.Mode == AuthDev {
		l.loopback()
		return
	}
	l.publicURL()
	l.cfg.DatabaseURL = cmp.Or(l.cfg.DatabaseURL, defaultDatabase)
	if ip := net.ParseIP(l.cfg.Listen.BindAddress); l.cfg.Listen.Port == 0 && (ip == nil || !ip.IsLoopback()) {
		l.wrong("PORT is 0, which takes any free port; only a server on 127.0.0.1 can do with that, so give a number")
	}
}

func (l *loader) tls() {
	cert, key := l.cfg.Listen.TLSCertFile, l.cfg.Listen.TLSKeyFile
	if cert == "" && key == "" {
		return
	}
	if cert == "" || key == "" {
		l.wrong("PERISCOPE_TLS_CERT_FILE and PERISCOPE_TLS_KEY_FILE belong together; give both or neither")
		return
	}
	certPEM, ok := l.readFile("the certificate", cert)
	keyPEM, ok2 := l.readFile("the key", key)
	if !ok || !ok2 {
		return
	}
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		l.wrong("the certificate %s and the key %s cannot be used together: %w", cert, key, err)
	}
}

// loopback keeps dev mode, which asks for no password, on this machine.
func (l *loader) loopback() {
	listen := &l.cfg.Listen
	listen.BindAddress = cmp.Or(listen.BindAddress, "127.0.0.1")
	if ip := net.ParseIP(listen.BindAddress); ip != nil && !ip.IsLoopback() {
		l.wrong("PERISCOPE_BIND_ADDRESS is %q, but dev mode asks for no password and so stays on this machine; set it to 127.0.0.1 or remove it", listen.BindAddress)
	}
	if listen.PublicURL != "" && !isLoopback(listen.PublicURL) {
		l.wrong("PERISCOPE_PUBLIC_URL is %q, but dev mode is for browsers on this machine; remove it", listen.PublicURL)
	}
}
