package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/grant"
	"github.com/periscope-console/periscope/internal/identity/grant/granttest"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/identity/token/tokentest"
	"github.com/periscope-console/periscope/internal/identity/websession"
	"github.com/periscope-console/periscope/internal/identity/websession/websessiontest"
	"github.com/periscope-console/periscope/internal/leak"
	"github.com/periscope-console/periscope/internal/pgtest"
	"github.com/periscope-console/periscope/internal/tunnel/enrol"
	"github.com/periscope-console/periscope/internal/tunnel/enrol/enroltest"
)

func TestMain(m *testing.M) { leak.Main(m) }

// engines gives the address of an empty database of each kind.
func engines(t *testing.T) map[string]func(*testing.T) string {
	pg := pgtest.Start(t)
	return map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "periscope.db") },
		"postgres": func(t *testing.T) string { return pg.Database(t) },
	}
}

func open(t *testing.T, url string) *DB {
	t.Helper()
	db, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestConformance(t *testing.T) {
	for name, url := range engines(t) {
		t.Run(name, func(t *testing.T) {
			websessiontest.Conform(t, func(t *testing.T) websession.Store { return open(t, url(t)).Logins() })
		})
		t.Run(name+" tokens", func(t *testing.T) {
			tokentest.Conform(t, func(t *testing.T) token.Store { return open(t, url(t)).Tokens() })
		})
		t.Run(name+" grants", func(t *testing.T) {
			granttest.Conform(t, func(t *testing.T) grant.Store { return open(t, url(t)).Grants() })
		})
		t.Run(name+" agents", func(t *testing.T) {
			enroltest.Conform(t, func(t *testing.T) enrol.Store { return open(t, url(t)).Agents() })
		})
	}
}

// TestSharedAndKept: what one process has put, another finds, at the same time and
// after both have ended; they may all start at once on an empty database.
func TestSharedAndKept(t *testing.T) {
	for name, empty := range engines(t) {
		t.Run(name, func(t *testing.T) {
			url := empty(t)
			const processes = 6
			var wg sync.WaitGroup
			dbs := make([]*DB, processes)
			for i := range dbs {
				wg.Go(func() {
					db, err := Open(context.Background(), url)
					if err != nil {
						t.Error(err)
						return
					}
					dbs[i] = db
				})
			}
			wg.Wait()
			if t.Failed() {
				return
			}
			r := websession.Record{ID: "one", Actor: identity.Actor{Issuer: "i", Subject: "s"}, Created: time.Unix(1, 0), Active: time.Unix(2, 0)}
			if err := dbs[0].Logins().Put(t.Context(), r); err != nil {
				t.Error(err)
			}
			for _, db := range dbs {
				if _, ok, err := db.Logins().Get(t.Context(), "one"); !ok || err != nil {
					t.Errorf("another process does not find it: %v", err)
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}
			if _, ok, err := open(t, url).Logins().Get(t.Context(), "one"); !ok || err != nil {
				t.Errorf("lost by a restart: %v", err)
			}
		})
	}
}

// TestAGrantOfAnOlderServer is shown with its address, which had no other place then.
func TestAGrantOfAnOlderServer(t *testing.T) {
	for name, url := range engines(t) {
		t.Run(name, func(t *testing.T) {
			db := open(t, url(t))
			now := time.Unix(1, 0)
			g := grant.Grant{ID: "old", Client: "2001:db8::1", Expires: now.Add(time.Minute)}
			if err := db.Grants().Add(t.Context(), g, now, 1, 1); err != nil {
				t.Fatal(err)
			}
			if _, err := db.exec(t.Context(), "t", "UPDATE grants SET body = ?", `{"host":"laptop","created":"2026-03-01T08:00:00Z"}`); err != nil {
				t.Fatal(err)
			}
			if got, _, err := db.Grants().Get(t.Context(), "old"); got.Address != "2001:db8::1" || err != nil {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestManyWriters: writers wait for each other, and none is refused.
func TestManyWriters(t *testing.T) {
	for name, url := range engines(t) {
		t.Run(name, func(t *testing.T) {
			address := url(t)
			one, two := open(t, address), open(t, address)
			var wg sync.WaitGroup
			for i := range 40 {
				wg.Go(func() {
					l := []*DB{one, two}[i%2].Logins()
					id := websession.ID(strings.Repeat("x", i+1))
					err := l.Put(t.Context(), websession.Record{ID: id, Actor: identity.Actor{Subject: "s"}, Created: time.Unix(1, 0), Active: time.Unix(2, 0)})
					if err = errors.Join(err, l.Touch(t.Context(), id, time.Unix(3, 0))); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if all, err := one.Logins().OfPerson(t.Context(), "", "s"); len(all) != 40 || err != nil {
				t.Errorf("%d of 40 are kept: %v", len(all), err)
			}
		})
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	for name, url := range engines(t) {
		t.Run(name, func(t *testing.T) {
			address := url(t)
			db := open(t, address)
			if _, err := db.exec(t.Context(), "test", "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, ?)", true); err != nil {
				t.Fatal(err)
			}
			_, err := Open(t.Context(), address)
			if err == nil || !strings.Contains(fault.PublicOf(err), "newer version of Periscope") {
				t.Errorf("opened: %v", err)
			}
		})
	}
}

func TestBadAddresses(t *testing.T) {
	folder := t.TempDir()
	broken := filepath.Join(folder, "broken.db")
	if err := os.WriteFile(broken, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"":                                   "names no database",
		"mysql://x":                          "names no database",
		"sqlite:":                            "without a path",
		"sqlite:" + folder + "/none/x.db":    "cannot be opened",
		"sqlite:" + folder:                   "cannot be opened",
		"sqlite:" + broken:                   "The sqlite database cannot be used",
		"postgres://u:secret@127.0.0.1:x/db": "is no address",
		"postgres://u:secret@127.0.0.1:1/db?connect_timeout=2": "The postgres database cannot be used",
	} {
		_, err := Open(t.Context(), url)
		if err == nil || !strings.Contains(fault.PublicOf(err), want) || strings.Contains(err.Error()+fault.PublicOf(err), "secret") {
			t.Errorf("%q: %v: %q, want a sentence with %q and no password", url, err, fault.PublicOf(err), want)
		}
	}
}

func TestFileIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%20.db")
	open(t, "sqlite:"+path)
	for _, name := range []string{path, path + "-wal", path + ".lock"} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
}

func TestPing(t *testing.T) {
	for name, url := range engines(t) {
		t.Run(name, func(t *testing.T) {
			db := open(t, url(t))
			if err := db.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			if err := db.Ping(t.Context()); fault.KindOf(err) != fault.Internal || err == nil {
				t.Errorf("a closed database answers: %v", err)
			}
		})
	}
}

func TestBind(t *testing.T) {
	db := &DB{numbered: true}
	if got := db.bind("a = ?" + strings.Repeat(", ?", 10)); got != "a = $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11" {
		t.Error(got)
	}
}
