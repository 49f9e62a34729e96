package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/token"
)

// Tokens is a token.Store.
type Tokens struct{ db *DB }

// Tokens keeps people and their personal access tokens.
func (db *DB) Tokens() Tokens { return Tokens{db} }

const heldQuery = "SELECT t.id, t.hash, t.issuer, t.subject, t.name, t.scopes, t.clusters, t.created, t.expires, t.used, t.revoked, " +
	"p.email, p.name, p.member, p.seen FROM tokens t JOIN people p ON p.issuer = t.issuer AND p.subject = t.subject "

// See implements token.Store.
func (s Tokens) See(ctx context.Context, p token.Person) error {
	groups, err := encodeList(p.Groups)
	if err != nil {
		return failed(err, "store.Tokens.See")
	}
	_, err = s.db.exec(ctx, "store.Tokens.See",
		"INSERT INTO people (issuer, subject, email, name, member, seen) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (issuer, subject) DO UPDATE "+
			"SET email = excluded.email, name = excluded.name, member = excluded.member, seen = excluded.seen "+
			"WHERE people.seen <= excluded.seen OR people.seen >= excluded.seen + ?",
		p.Issuer, p.Subject, p.Email, p.Name, groups, micros(p.Seen), identity.MaxAhead.Microseconds())
	return err
}

// encodeList is a JSON array, never null.
func encodeList[T ~string](list []T) (string, error) {
	b, err := json.Marshal(append([]T{}, list...))
	return string(b), err
}

// decodeList is nil for an empty one.
func decodeList[T ~string](text string, to *[]T) error {
	err := json.Unmarshal([]byte(text), to)
	if len(*to) == 0 {
		*to = nil
	}
	return err
}

// Add implements token.Store.
func (s Tokens) Add(ctx context.Context, t token.Token, most int) error {
	tx, err := s.db.sql.BeginTx(ctx, nil)
	if err != nil {
		return failed(err, "store.Tokens.Add")
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to undo
	if err := s.room(ctx, tx, t, most); err != nil {
		return err
	}
	if err := s.insert(ctx, tx, t); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return failed(err, "store.Tokens.Add")
	}
	return nil
}

// room reports whether there is room for another token. The owner's row is written
// to so that others who add for the same owner wait.
func (s Tokens) room(ctx context.Context, tx *sql.Tx, t token.Token, most int) error {
	locked, err := tx.ExecContext(ctx, s.db.bind("UPDATE people SET seen = seen WHERE issuer = ? AND subject = ?"), t.Issuer, t.Subject)
	if err != nil {
		return failed(err, "store.Tokens.Add")
	}
	if n, err := locked.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, token.ErrNoPerson)
	}
	var has, named int
	err = tx.QueryRowContext(ctx, s.db.bind("SELECT COUNT(*), COUNT(CASE WHEN name = ? THEN 1 END) FROM tokens WHERE issuer = ? AND subject = ? AND revoked = 0"),
		t.Name, t.Issuer, t.Subject).Scan(&has, &named)
	switch {
	case err != nil:
		return failed(err, "store.Tokens.Add")
	case named > 0:
		return token.ErrTaken
	case has >= most:
		return token.ErrTooMany
	}
	return nil
}

func (s Tokens) insert(ctx context.Context, tx *sql.Tx, t token.Token) error {
	scopes, err := encodeList(t.Scopes)
	if err != nil {
		return failed(err, "store.Tokens.Add")
	}
	clusters, err := encodeList(t.Clusters)
	if err != nil {
		return failed(err, "store.Tokens.Add")
	}
	_, err = tx.ExecContext(ctx, s.db.bind("INSERT INTO tokens (id, hash, issuer, subject, name, scopes, clusters, created, expires, used, revoked) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
		string(t.ID), t.Hash[:], t.Issuer, t.Subject, t.Name, scopes, clusters, micros(t.Created), micros(t.Expires), micros(t.Used), micros(t.Revoked))
	if err != nil {
		return failed(err, "store.Tokens.Add")
	}
	return nil
}

// ByHash implements token.Store.
func (s Tokens) ByHash(ctx context.Context, h token.Hash) (token.Held, bool, error) {
	return s.one(ctx, "store.Tokens.ByHash", "WHERE t.hash = ?", h[:])
}

// ByID implements token.Store.
func (s Tokens) ByID(ctx context.Context, id token.ID) (token.Held, bool, error) {
	return s.one(ctx, "store.Tokens.ByID", "WHERE t.id = ?", string(id))
}

func (s Tokens) one(ctx context.Context, op, where string, arg any) (token.Held, bool, error) {
	h, err := scanHeld(s.db.sql.QueryRowContext(ctx, s.db.bind(heldQuery+where), arg).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return token.Held{}, false, nil
	}
	if err != nil {
		return token.Held{}, false, failed(err, op)
	}
	return h, true, nil
}

func scanHeld(scan func(...any) error) (h token.Held, err error) {
	var id, scopes, clusters, groups string
	var hash []byte
	var created, expires, used, revoked, seen int64
	t, p := &h.Token, &h.Owner
	err = scan(&id, &hash, &t.Issuer, &t.Subject, &t.Name, &scopes, &clusters, &created, &expires, &used, &revoked, &p.Email, &p.Name, &groups, &seen)
	if err != nil {
		return h, err
	}
	err = errors.Join(decodeList(scopes, &t.Scopes), decodeList(clusters, &t.Clusters), decodeList(groups, &p.Groups))
	if copy(t.Hash[:], hash) != len(t.Hash) {
		err = errors.Join(err, errHash)
	}
	t.ID, t.Created, t.Expires, t.Used, t.Revoked = token.ID(id), timeOf(created), timeOf(expires), timeOf(used), timeOf(revoked)
	p.Issuer, p.Subject, p.Seen = t.Issuer, t.Subject, timeOf(seen)
	return h, err
}

var errHash = errors.New("a hash is too short")

// OfPerson implements token.Store.
func (s Tokens) OfPerson(ctx context.Context, issuer, subject string) ([]token.Held, error) {
	return s.list(ctx, "WHERE t.revoked = 0 AND t.issuer = ? AND t.subject = ?", issuer, subject)
}

// All implements token.Store.
func (s Tokens) All(ctx context.Context) ([]token.Held, error) {
	return s.list(ctx, "WHERE t.revoked = 0")
}

func (s Tokens) list(ctx context.Context, where string, args ...any) ([]token.Held, error) {
	rows, err := s.db.sql.QueryContext(ctx, s.db.bind(heldQuery+where+" ORDER BY t.created DESC, t.id LIMIT ?"), append(args, token.MostListed)...)
	if err != nil {
		return nil, failed(err, "store.Tokens.list")
	}
	defer func() { _ = rows.Close() }() // rows.Err has told
	found := []token.Held{}
	for rows.Next() {
		h, err := scanHeld(rows.Scan)
		if err != nil {
			return nil, failed(err, "store.Tokens.list")
		}
		found = append(found, h)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err, "store.Tokens.list")
	}
	return found, nil
}

// Use implements token.Store.
func (s Tokens) Use(ctx context.Context, id token.ID, at time.Time) error {
	_, err := s.db.exec(ctx, "store.Tokens.Use", "UPDATE tokens SET used = ? WHERE id = ? AND used < ?", micros(at), string(id), micros(at))
	return err
}

// Revoke implements token.Store.
func (s Tokens) Revoke(ctx context.Context, id token.ID, at time.Time) (bool, error) {
	n, err := s.db.exec(ctx, "store.Tokens.Revoke", "UPDATE tokens SET revoked = ? WHERE id = ? AND revoked = 0", micros(at), string(id))
	return n == 1, err
}

// Sweep implements token.Store. A token that is added to a forgotten person
// meanwhile finds nobody there.
func (s Tokens) Sweep(ctx context.Context, ended, unseen time.Time) error {
	limit := micros(ended)
	_, err := s.db.exec(ctx, "store.Tokens.Sweep", "DELETE FROM tokens WHERE revoked > 0 AND revoked < ? OR expires > 0 AND expires < ?", limit, limit)
	if err != nil {
		return err
	}
	_, err = s.db.exec(ctx, "store.Tokens.Sweep", "DELETE FROM people WHERE seen < ? AND NOT EXISTS "+
		"(SELECT 1 FROM tokens t WHERE t.issuer = people.issuer AND t.subject = people.subject)", micros(unseen))
	return err
}
