package server_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/periscope-console/periscope/internal/app/server"
	"github.com/periscope-console/periscope/internal/config"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/pgtest"
	"github.com/periscope-console/periscope/internal/tunnel/pki"
)

// agentFiles are those of a server with two clusters that are reached through agents.
func agentFiles(t *testing.T, dir string) []string {
	t.Helper()
	auth, list := filepath.Join(dir, "auth.yaml"), filepath.Join(dir, "clusters.yaml")
	for name, text := range map[string]string{
		auth: "mode: dev\nauthorization: {mode: raw}\n",
		list: "clusters: [{name: far, backend: agent}, {name: further, backend: agent}]\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--auth", auth, "--clusters", list}
}

// enrolling is a server with agents, on that database.
func enrolling(t *testing.T, dir, database string) *product {
	t.Helper()
	return startWith(t, agentFiles(t, dir), "PERISCOPE_AGENT_LISTEN_ADDR=127.0.0.1:0",
		"PERISCOPE_AGENT_TUNNEL_SANS=agents.example,192.0.2.7", "PERISCOPE_DATABASE_URL="+database,
		"PERISCOPE_AGENT_CA_FILE="+filepath.Join(dir, "ca.pem"))
}

type minted struct {
	Token, CAHash string
	Commands      map[string]string
}

func (p *product) mintAgent(cluster string) (made minted) {
	p.t.Helper()
	if code := p.call("POST", "/api/agents/tokens", fmt.Sprintf(`{"cluster":%q}`, cluster), &made); code != http.StatusOK {
		p.t.Fatalf("%d", code)
	}
	return made
}

// registerAgent goes without any login, as an agent does.
func (p *product) registerAgent(secret, cluster string) (int, map[string]string) {
	p.t.Helper()
	_, csr, err := pki.NewRequest(cluster)
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"token": secret, "cluster": cluster, "csr": string(csr)})
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.Post(p.url+"/api/agents/register", "application/json", bytes.NewReader(body))
	if err != nil {
		p.t.Error(err)
		return 0, nil
	}
	defer resp.Body.Close()
	var got map[string]string
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		p.t.Error(err)
	}
	return resp.StatusCode, got
}

func firstCert(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no certificate in %q", text)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// TestEnrolment through the whole server, on both databases: a token makes one
// certificate, of two servers that share the store too; a restart knows it all;
// audit has every act.
func TestEnrolment(t *testing.T) {
	t.Parallel()
	pg := pgtest.Start(t)
	for name, database := range map[string]func(dir string) string{
		"sqlite":   func(dir string) string { return "sqlite:" + filepath.Join(dir, "p.db") },
		"postgres": func(string) string { return pg.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			url := database(dir)
			one, two := enrolling(t, dir, url), enrolling(t, dir, url)
			made := one.mintAgent("far")
			_, port, _ := net.SplitHostPort(one.server.AgentAddress())
			if !strings.HasPrefix(made.Commands["oneUrl"], "PERISCOPE_SERVER_URL=wss://agents.example/api/agents/connect PERISCOPE_CLUSTER_NAME=far PERISCOPE_SERVER_CA_HASH="+made.CAHash) ||
				!strings.Contains(made.Commands["twoUrls"], " PERISCOPE_REGISTRATION_URL="+one.url+"/api/agents/register ") ||
				!strings.HasPrefix(made.Commands["selfSigned"], "PERISCOPE_SERVER_URL=wss://agents.example:"+port+"/api/agents/connect ") {
				t.Errorf("%v", made.Commands)
			}
			var wg sync.WaitGroup
			var mu sync.Mutex
			var certificates []*x509.Certificate
			for i := range 8 {
				wg.Go(func() {
					code, got := []*product{one, two}[i%2].registerAgent(made.Token, "far")
					mu.Lock()
					defer mu.Unlock()
					switch code {
					case http.StatusOK:
						certificates = append(certificates, firstCert(t, got["certificate"]))
						if pki.PinOf(firstCert(t, got["ca"])) != made.CAHash {
							t.Error("another CA than was told")
						}
					case http.StatusUnauthorized:
					default:
						t.Errorf("%d %v", code, got)
					}
				})
			}
			wg.Wait()
			if len(certificates) != 1 || certificates[0].URIs[0].String() != "periscope://agent/far" {
				t.Fatalf("%d certificates", len(certificates))
			}
			burnt := two.mintAgent("far")
			for _, cluster := range []string{"further", "far"} {
				if code, _ := one.registerAgent(burnt.Token, cluster); code != http.StatusUnauthorized {
					t.Errorf("a token for far, as %s: %d", cluster, code)
				}
			}
			one.end()
			two.end()

			again := enrolling(t, dir, url)
			if pin := again.mintAgent("further").CAHash; pin != made.CAHash {
				t.Error("after a restart there is another CA")
			}
			var list struct{ Agents []map[string]any }
			if again.call("GET", "/api/agents", "", &list); len(list.Agents) != 1 || list.Agents[0]["cluster"] != "far" || list.Agents[0]["expiresAt"] != certificates[0].NotAfter.Format("2006-01-02T15:04:05Z") {
				t.Errorf("%v", list)
			}
			for i, want := range []int{http.StatusNoContent, http.StatusNotFound} {
				if code := again.call("DELETE", "/api/agents/far", "", nil); code != want {
					t.Errorf("revoked for the %dth time: %d", i+1, code)
				}
			}
			trail(t, one, two, again)
		})
	}
}

// trail is what audit has after TestEnrolment.
func trail(t *testing.T, all ...*product) {
	t.Helper()
	count := map[string]int{}
	for _, p := range all {
		for _, verb := range []string{"agent.token_mint", "agent.register", "agent.revoke"} {
			for _, stage := range []string{"requested", "completed"} {
				for _, e := range p.events(verb, stage) {
					outcome, _ := e["outcome"].(string)
					count[strings.TrimSpace(verb+" "+stage+" "+outcome)]++
					if e["cluster"] == "" || e["requestId"] == "" {
						t.Errorf("%v", e)
					}
				}
			}
		}
		if strings.Contains(p.audit.String()+p.log.String(), "psr_") {
			t.Error("a token stands in audit or log")
		}
	}
	for what, want := range map[string]int{
		"agent.token_mint requested": 3, "agent.token_mint completed success": 3,
		"agent.register completed success": 1, "agent.revoke completed success": 1, "agent.revoke completed failure": 1,
	} {
		if count[what] != want {
			t.Errorf("%s: %d, want %d (%v)", what, count[what], want, count)
		}
	}
	if count["agent.register completed denied"] < 1 {
		t.Errorf("the burnt token is not in audit: %v", count)
	}
}

// TestAClusterWithoutItsAgent is there, and says so.
func TestAClusterWithoutItsAgent(t *testing.T) {
	dir := t.TempDir()
	p := enrolling(t, dir, "sqlite:"+filepath.Join(dir, "p.db"))
	var list struct {
		Clusters []struct {
			Name, Backend string
			Connected     bool
		}
	}
	if p.call("GET", "/api/clusters", "", &list); len(list.Clusters) != 2 || list.Clusters[0].Backend != "agent" || list.Clusters[0].Connected {
		t.Errorf("%+v", list)
	}
	var refusal struct{ Error, Message string }
	if code := p.call("GET", "/api/clusters/far/pods", "", &refusal); code != http.StatusServiceUnavailable || refusal.Error != "E_AGENT_DISCONNECTED" {
		t.Errorf("%d %+v", code, refusal)
	}
}

// TestTheCAIsGuarded: a server whose CA others may read does not start.
func TestTheCAIsGuarded(t *testing.T) {
	dir := t.TempDir()
	enrolling(t, dir, "sqlite:"+filepath.Join(dir, "p.db")).end()
	if err := os.Chmod(filepath.Join(dir, "ca.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	for what, env := range map[string]string{
		"may be read or written by others":   "PERISCOPE_AGENT_CA_FILE=" + filepath.Join(dir, "ca.pem"),
		"is for a server that runs in a pod": "PERISCOPE_AGENT_CA_SECRET=periscope/agent-ca",
	} {
		cfg, _, err := config.Load(config.Sources{Args: agentFiles(t, dir), ReadFile: os.ReadFile, Environ: []string{"PORT=0", "PERISCOPE_AGENT_LISTEN_ADDR=127.0.0.1:0", "PERISCOPE_AGENT_TUNNEL_SANS=x", env}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = server.New(cfg, server.Options{Log: slog.New(slog.DiscardHandler), Audit: &safeBuffer{}})
		if err == nil || !strings.Contains(fault.PublicOf(err), what) {
			t.Errorf("%v, want %q", err, what)
		}
	}
}
