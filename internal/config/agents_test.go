package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

const (
	agentClusters = "clusters: [{name: here, backend: in-cluster}, {name: far, backend: agent}]\n"
	sanned        = "PERISCOPE_AGENT_TUNNEL_SANS=agents.example.com"
	inSQLite      = "PERISCOPE_DATABASE_URL=sqlite:/var/lib/periscope/p.db"
	inPostgres    = "PERISCOPE_DATABASE_URL=postgres://db/periscope"
)

func TestAgents(t *testing.T) {
	for name, c := range map[string]struct {
		src  Sources
		want Agents
	}{
		"defaults": {sources(goodAuth, agentClusters, sanned, inSQLite),
			Agents{"127.0.0.1:8443", []string{"agents.example.com"}, "/var/lib/periscope/periscope-agent-ca.pem", "", "", 90 * 24 * time.Hour}},
		"for everybody": {sources(oidcAuth(), agentClusters, sanned),
			Agents{":8443", []string{"agents.example.com"}, "periscope-agent-ca.pem", "", "", 90 * 24 * time.Hour}},
		"all of it": {sources(goodAuth, agentClusters, inPostgres, "PERISCOPE_AGENT_LISTEN_ADDR=0.0.0.0:9443", "PERISCOPE_AGENT_CERTIFICATE_DAYS=1",
			"PERISCOPE_AGENT_TUNNEL_SANS=Agents.Example.com, 192.0.2.7 ,2001:DB8::1,localhost,::ffff:192.0.2.8", "PERISCOPE_AGENT_CA_SECRET=periscope/agent-ca"),
			Agents{"0.0.0.0:9443", []string{"agents.example.com", "192.0.2.7", "2001:db8::1", "localhost", "192.0.2.8"}, "", "periscope", "agent-ca", 24 * time.Hour}},
		"a file": {sources(goodAuth, agentClusters, sanned, inPostgres, "PERISCOPE_AGENT_CA_FILE=/run/ca.pem"),
			Agents{"127.0.0.1:8443", []string{"agents.example.com"}, "/run/ca.pem", "", "", 90 * 24 * time.Hour}},
		"no agents": {sources(goodAuth, goodClusters), Agents{}},
	} {
		cfg, warnings := load(t, c.src)
		if !reflect.DeepEqual(cfg.Agents, c.want) || len(warnings) > 0 {
			t.Errorf("%s: got  %+v %q\nwant %+v", name, cfg.Agents, warnings, c.want)
		}
	}
}

func oidcAuth() string {
	text, err := oidc("").ReadFile("/etc/auth.yaml")
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestAgentMistakes(t *testing.T) {
	env := func(kv ...string) Sources {
		return sources(goodAuth, agentClusters, append([]string{inSQLite}, kv...)...)
	}
	for name, c := range map[string]struct {
		src  Sources
		want string
	}{
		"no names":             {env(), "cluster far has the backend agent, so PERISCOPE_AGENT_TUNNEL_SANS must name"},
		"names of nothing":     {env("PERISCOPE_AGENT_TUNNEL_SANS= , ,"), "it names nothing"},
		"mode shared":          {sources("mode: dev\nauthorization: {mode: shared}\n", agentClusters, sanned, inSQLite), "authorization.mode is shared and cluster far has the backend agent"},
		"a pattern":            {env("PERISCOPE_AGENT_TUNNEL_SANS=*.example.com"), `"*.example.com" is neither a DNS name nor an IP address`},
		"an address with port": {env("PERISCOPE_AGENT_TUNNEL_SANS=agents.example.com:8443"), "without scheme or port"},
		"a URL":                {env("PERISCOPE_AGENT_TUNNEL_SANS=https://agents.example.com"), "without scheme or port"},
		"any address":          {env("PERISCOPE_AGENT_TUNNEL_SANS=0.0.0.0"), "agents cannot reach a server at 0.0.0.0"},
		"an address of a zone": {env("PERISCOPE_AGENT_TUNNEL_SANS=fe80::1%eth0"), "agents cannot reach a server at fe80::1%eth0"},
		"many names":           {env("PERISCOPE_AGENT_TUNNEL_SANS=" + strings.Repeat("a,", 33)), "these are 33 names; give at most 32"},
		"a long name":          {env("PERISCOPE_AGENT_TUNNEL_SANS=" + strings.Repeat("a", 300)), "is neither a DNS name"},
		"no port":              {env(sanned, "PERISCOPE_AGENT_LISTEN_ADDR=0.0.0.0"), "give host:port"},
		"no life":              {env(sanned, "PERISCOPE_AGENT_CERTIFICATE_DAYS=0"), "give a number from 1 to 398"},
		"a long life":          {env(sanned, "PERISCOPE_AGENT_CERTIFICATE_DAYS=399"), "give a number from 1 to 398"},
		"a Secret of nowhere":  {env(sanned, "PERISCOPE_AGENT_CA_SECRET=agent-ca"), "give NAMESPACE/NAME"},
		"a Secret's key":       {env(sanned, "PERISCOPE_AGENT_CA_SECRET=periscope/agent-ca/tls.key"), "give NAMESPACE/NAME"},
		"two places":           {env(sanned, "PERISCOPE_AGENT_CA_SECRET=a/b", "PERISCOPE_AGENT_CA_FILE=/ca"), "remove one of the two"},
		"no place":             {sources(goodAuth, agentClusters, sanned, inPostgres), "there is no SQLite database beside which the agents' CA could be kept"},
		"a kubeconfig":         {sources(goodAuth, "clusters: [{name: a, backend: agent, kubeconfigPath: x}]", sanned, inSQLite), "for the backend kubeconfig alone"},
		"a misspelt backend":   {sources(goodAuth, "clusters: [{name: a, backend: agnet}]"), "did you mean agent?"},
	} {
		_, _, err := Load(c.src)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", name, err, c.want)
		}
	}
}

func TestAgentSettingsOfNoUse(t *testing.T) {
	for _, one := range []string{sanned, "PERISCOPE_AGENT_LISTEN_ADDR=:8443", "PERISCOPE_AGENT_CA_FILE=/ca", "PERISCOPE_AGENT_CA_SECRET=a/b"} {
		cfg, warnings := load(t, sources(goodAuth, goodClusters, one))
		if len(warnings) != 1 || !strings.Contains(string(warnings[0]), "no cluster has the backend agent") || !reflect.DeepEqual(cfg.Agents, Agents{}) {
			t.Errorf("%s: %q, %+v", one, warnings, cfg.Agents)
		}
	}
}
