package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

// Logins is a websession.Store.
type Logins struct{ db *DB }

// Logins keeps people logged in.
func (db *DB) Logins() Logins { return Logins{db} }

const loginColumns = "id, actor, agent, renewal, due, version, created, active"

// actorJSON is an actor in the database; its names stay what they are.
type actorJSON struct {
	Issuer  string    `json:"issuer"`
	Subject string    `json:"subject"`
	Email   string    `json:"email,omitempty"`
	Name    string    `json:"name,omitempty"`
	Groups  []string  `json:"groups,omitempty"`
	Tier    string    `json:"tier,omitempty"`
	Admin   bool      `json:"admin,omitempty"`
	Audit   bool      `json:"audit,omitempty"`
	Token   string    `json:"token,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
	As      asJSON    `json:"as"`
}

type asJSON struct {
	None    bool     `json:"none,omitempty"`
	User    string   `json:"user,omitempty"`
	Groups  []string `json:"groups,omitempty"`
	Subject string   `json:"subject,omitempty"`
}

func encodeActor(a identity.Actor) (string, error) {
	b, err := json.Marshal(actorJSON{
		Issuer: a.Issuer, Subject: a.Subject, Email: a.Email, Name: a.Name, Groups: a.Groups, Tier: a.Tier, Admin: a.Admin, Audit: a.AuditAll,
		Token: a.Token, Expires: a.Expires, As: asJSON(a.As),
	})
	return string(b), err
}

func decodeActor(s string) (identity.Actor, error) {
	var a actorJSON
	err := json.Unmarshal([]byte(s), &a)
	return identity.Actor{
		Issuer: a.Issuer, Subject: a.Subject, Email: a.Email, Name: a.Name, Groups: a.Groups, Tier: a.Tier, Admin: a.Admin, AuditAll: a.Audit,
		Token: a.Token, Expires: a.Expires, As: identity.Impersonation(a.As),
	}, err
}

// Put implements websession.Store.
func (l Logins) Put(ctx context.Context, r websession.Record) error {
	actor, err := encodeActor(r.Actor)
	if err != nil {
		return failed(err, "store.Logins.Put")
	}
	_, err = l.db.exec(ctx, "store.Logins.Put",
		"INSERT INTO logins (id, issuer, subject, actor, agent, renewal, due, version, created, active, claimed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
		string(r.ID), r.Actor.Issuer, r.Actor.Subject, actor, r.Agent, bytesOf(r.Renewal), micros(r.Due), r.Version, micros(r.Created), micros(r.Active))
	return err
}

// bytesOf is never NULL.
func bytesOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Get implements websession.Store.
func (l Logins) Get(ctx context.Context, id websession.ID) (websession.Record, bool, error) {
	row := l.db.sql.QueryRowContext(ctx, l.db.bind("SELECT "+loginColumns+" FROM logins WHERE id = ?"), string(id))
	r, err := scanLogin(row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return websession.Record{}, false, nil
	}
	if err != nil {
		return websession.Record{}, false, failed(err, "store.Logins.Get")
	}
	return r, true, nil
}

func scanLogin(scan func(...any) error) (r websession.Record, err error) {
	var id, actor string
	var due, created, active int64
	if err := scan(&id, &actor, &r.Agent, &r.Renewal, &due, &r.Version, &created, &active); err != nil {
		return r, err
	}
	if r.Actor, err = decodeActor(actor); err != nil {
		return r, err
	}
	r.ID, r.Due, r.Created, r.Active = websession.ID(id), timeOf(due), timeOf(created), timeOf(active)
	return r, nil
}

// Touch implements websession.Store.
func (l Logins) Touch(ctx context.Context, id websession.ID, at time.Time) error {
	_, err := l.db.exec(ctx, "store.Logins.Touch", "UPDATE logins SET active = ? WHERE id = ? AND active < ?", micros(at), string(id), micros(at))
	return err
}

// OfPerson implements websession.Store.
func (l Logins) OfPerson(ctx context.Context, issuer, subject string) ([]websession.Record, error) {
	rows, err := l.db.sql.QueryContext(ctx, l.db.bind("SELECT "+loginColumns+" FROM logins WHERE issuer = ? AND subject = ? ORDER BY created DESC, id LIMIT ?"),
		issuer, subject, websession.MaxOfPerson)
	if err != nil {
		return nil, failed(err, "store.Logins.OfPerson")
	}
	defer func() { _ = rows.Close() }()
	found := []websession.Record{}
	for rows.Next() {
		r, err := scanLogin(rows.Scan)
		if err != nil {
			return nil, failed(err, "store.Logins.OfPerson")
		}
		found = append(found, r)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err, "store.Logins.OfPerson")
	}
	return found, nil
}

// Claim implements websession.Store.
func (l Logins) Claim(ctx context.Context, id websession.ID, now, until time.Time) (bool, error) {
	n, err := l.db.exec(ctx, "store.Logins.Claim", "UPDATE logins SET claimed = ? WHERE id = ? AND claimed <= ?", micros(until), string(id), micros(now))
	return n == 1, err
}

// Renew implements websession.Store.
func (l Logins) Renew(ctx context.Context, id websession.ID, version int64, a identity.Actor, renewal []byte, due time.Time) (bool, error) {
	actor, err := encodeActor(a)
	if err != nil {
		return false, failed(err, "store.Logins.Renew")
	}
	n, err := l.db.exec(ctx, "store.Logins.Renew",
		"UPDATE logins SET actor = ?, renewal = ?, due = ?, version = version + 1, claimed = 0 WHERE id = ? AND version = ? AND issuer = ? AND subject = ?",
		actor, bytesOf(renewal), micros(due), string(id), version, a.Issuer, a.Subject)
	return n == 1, err
}

// Rotate implements websession.Store.
func (l Logins) Rotate(ctx context.Context, id websession.ID, version int64, renewal []byte) (bool, error) {
	n, err := l.db.exec(ctx, "store.Logins.Rotate", "UPDATE logins SET renewal = ?, version = version + 1 WHERE id = ? AND version = ?",
		bytesOf(renewal), string(id), version)
	return n == 1, err
}

// Delete implements websession.Store.
func (l Logins) Delete(ctx context.Context, id websession.ID) error {
	_, err := l.db.exec(ctx, "store.Logins.Delete", "DELETE FROM logins WHERE id = ?", string(id))
	return err
}

// Sweep implements websession.Store.
func (l Logins) Sweep(ctx context.Context, created, active time.Time) error {
	_, err := l.db.exec(ctx, "store.Logins.Sweep", "DELETE FROM logins WHERE created < ? OR active < ?", micros(created), micros(active))
	return err
}
