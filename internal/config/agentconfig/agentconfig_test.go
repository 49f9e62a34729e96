package agentconfig

import (
	"errors"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// environ is an agent's environment with some variables changed.
func environ(change ...string) []string {
	return append([]string{"PERISCOPE_CLUSTER_NAME=east", "PERISCOPE_SERVER_URL=wss://p.example.com:8443"}, change...)
}

func TestDefaults(t *testing.T) {
	a, warnings, err := Load(nil, environ("PERISCOPE_SERVICE_HOST=10.0.0.1"))
	if err != nil || len(warnings) != 0 {
		t.Fatal(err, warnings)
	}
	if a.Server.String() != "wss://p.example.com:8443/api/agents/connect" || a.Registration.String() != "https://p.example.com:8443/api/agents/register" {
		t.Errorf("addresses %s, %s", a.Server, a.Registration)
	}
	if a.SecretName != "periscope-agent" || a.CredentialsFile != "" || !a.Exec || a.GiveUp != 15*time.Minute || a.HealthAddress != "127.0.0.1:8081" {
		t.Errorf("%+v", a)
	}
}

func TestSettings(t *testing.T) {
	env := environ("PERISCOPE_REGISTRATION_URL=https://ui.example.com", "PERISCOPE_AGENT_EXEC=false", "PERISCOPE_AGENT_GIVE_UP_SECONDS=0",
		"PERISCOPE_SERVER_CA_HASH=SHA256:"+strings.Repeat("AB", 32), "PERISCOPE_LOG_LEVEL=debug", "PERISCOPE_REGISTRATION_TOKEN=t", "PERISCOPE_AGENT_EXECS=1")
	a, warnings, err := Load([]string{"--kubeconfig", "k", "--context", "c", "--cluster", "west", "--server", "https://other.example.com/own/path"}, env)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "did you mean PERISCOPE_AGENT_EXEC?") {
		t.Fatal(err, warnings)
	}
	if a.Cluster != "west" || a.Server.String() != "wss://other.example.com/own/path" || a.Registration.String() != "https://ui.example.com/api/agents/register" ||
		a.Exec || a.GiveUp != 0 || a.ServerCAHash != "sha256:"+strings.Repeat("ab", 32) || a.LogLevel.String() != "DEBUG" || a.Token != "t" ||
		a.Kubeconfig != "k" || a.Context != "c" || a.CredentialsFile != "periscope-agent-west.json" || a.SecretName != "" {
		t.Errorf("%+v", a)
	}
}

// TestMistakes has each mistake told with what to do, and all at once.
func TestMistakes(t *testing.T) {
	for env, says := range map[string]string{
		"PERISCOPE_CLUSTER_NAME=Über":                  "lower-case letters",
		"PERISCOPE_SERVER_URL=ws://p.example.com":      "always encrypted",
		"PERISCOPE_SERVER_URL=p.example.com":           "always encrypted",
		"PERISCOPE_SERVER_URL=https://u:p@example.com": "scheme, host, port and path alone",
		"PERISCOPE_REGISTRATION_URL=http://p":          "never sent in the clear",
		"PERISCOPE_SERVER_CA_HASH=abc":                 "64 hex digits",
		"PERISCOPE_AGENT_SECRET_NAME=a/b":              "name of a Secret",
		"PERISCOPE_AGENT_HEALTH_ADDR=8081":             "host:port",
		"PERISCOPE_AGENT_EXEC=no":                      "true or false",
		"PERISCOPE_AGENT_GIVE_UP_SECONDS=-1":           "from 0 to",
	} {
		if _, _, err := Load(nil, environ(env)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", env, err)
		}
	}
	for _, name := range []string{"PERISCOPE_SERVER_URL", "PERISCOPE_REGISTRATION_URL"} {
		_, _, err := Load(nil, environ(name+"=https://u:hunter2@example.com"))
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s with a password: %v", name, err)
		}
	}
	_, _, err := Load(nil, nil)
	if err == nil || !strings.Contains(err.Error(), "PERISCOPE_CLUSTER_NAME") || !strings.Contains(err.Error(), "PERISCOPE_SERVER_URL") {
		t.Errorf("nothing set: %v", err)
	}
	for args, says := range map[string]string{"--nope": "--help", "word": "is no flag", "--help": "help requested"} {
		if _, _, err := Load([]string{args}, environ()); err == nil || !strings.Contains(err.Error(), says) || (args == "--help") != errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: %v", args, err)
		}
	}
	_, _, err = Load(nil, environ("PERISCOPE_AGENT_SECRET_NAME=a", "PERISCOPE_AGENT_CREDENTIALS_FILE=b"))
	if err == nil || !strings.Contains(err.Error(), "in one place") {
		t.Errorf("two places: %v", err)
	}
}
