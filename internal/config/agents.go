package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/periscope-console/periscope/internal/identity"
)

const (
	maxSANs = 32
	// maxCertificateDays is what browsers and CAs have come to allow.
	maxCertificateDays = 398
	agentPort          = "8443"
	sansEnv            = "PERISCOPE_AGENT_TUNNEL_SANS"
	// defaultCAFile stands beside the database.
	defaultCAFile = "periscope-agent-ca.pem"
)

// tunnelSANs reads names as certificates have them: in lower case, each once, no
// patterns.
func tunnelSANs(c *Config, v string) error {
	if err := each(v, tunnelSAN, &c.Agents.SANs); err != nil {
		return err
	}
	n := len(c.Agents.SANs)
	switch {
	case n > maxSANs:
		return fmt.Errorf("these are %d names; give at most %d", n, maxSANs)
	case n == 0 && v != "":
		return errors.New("it names nothing; give names such as agents.example.com")
	}
	return nil
}

func tunnelSAN(v string) (string, error) {
	if ip, err := netip.ParseAddr(v); err == nil {
		if ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() {
			return "", fmt.Errorf("agents cannot reach a server at %s; give an address of this one", v)
		}
		return ip.Unmap().String(), nil
	}
	name := strings.ToLower(v)
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		return "", fmt.Errorf("%q is neither a DNS name nor an IP address; give names such as agents.example.com, without scheme or port", clip(v))
	}
	return name, nil
}

func caSecret(c *Config, v string) error {
	if v == "" {
		return nil
	}
	namespace, name, ok := strings.Cut(v, "/")
	if !ok || len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return errors.New("give NAMESPACE/NAME, such as periscope/periscope-agent-ca")
	}
	c.Agents.CANamespace, c.Agents.CASecret = namespace, name
	return nil
}

// agents completes what clusters with the backend agent need, and refuses what
// would be of no use, or of the wrong one.
func (l *loader) agents() {
	set := &l.cfg.Agents
	first := slices.IndexFunc(l.cfg.Clusters, func(c Cluster) bool { return c.Backend == Agent })
	if first < 0 {
		if set.ListenAddress+set.CAFile+set.CASecret != "" || len(set.SANs) > 0 {
			l.warn("no cluster has the backend agent, so the settings PERISCOPE_AGENT_… have no effect")
		}
		*set = Agents{}
		return
	}
	cluster := l.cfg.Clusters[first].Name
	if l.cfg.Auth.Policy.Mode == identity.Shared {
		l.wrong("authorization.mode is shared and cluster %s has the backend agent; an agent forwards only what somebody does under their own name, so choose the mode raw or tier", cluster)
	}
	if l.given[sansEnv] == "" {
		l.wrong("cluster %s has the backend agent, so %s must name how agents reach this server, such as agents.example.com", cluster, sansEnv)
	}
	set.ListenAddress = cmp.Or(set.ListenAddress, l.agentAddress())
	l.agentCA(cluster)
}

// agentAddress: dev mode stays on this machine unless it is told otherwise.
func (l *loader) agentAddress() string {
	if l.cfg.Auth.Mode == AuthDev {
		return "127.0.0.1:" + agentPort
	}
	return ":" + agentPort
}

func (l *loader) agentCA(cluster string) {
	set := &l.cfg.Agents
	path, file := strings.CutPrefix(l.cfg.DatabaseURL, "sqlite:")
	switch {
	case set.CAFile != "" && set.CASecret != "":
		l.wrong("PERISCOPE_AGENT_CA_FILE and PERISCOPE_AGENT_CA_SECRET both say where the agents' CA is kept; remove one of the two")
	case set.CAFile == "" && set.CASecret == "" && file:
		set.CAFile = filepath.Join(filepath.Dir(path), defaultCAFile)
	case set.CAFile == "" && set.CASecret == "":
		l.wrong("cluster %s has the backend agent, and there is no SQLite database beside which the agents' CA could be kept; set PERISCOPE_AGENT_CA_SECRET, or PERISCOPE_AGENT_CA_FILE", cluster)
	}
}
