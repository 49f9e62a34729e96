-- +goose Up
-- Times are microseconds since 1970; 0 is never.
CREATE TABLE people (
  issuer  TEXT NOT NULL,
  subject TEXT NOT NULL,
  email   TEXT NOT NULL,
  name    TEXT NOT NULL,
  member  TEXT NOT NULL, -- JSON
  seen    INTEGER NOT NULL,
  PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
  id       TEXT PRIMARY KEY,
  hash     BLOB NOT NULL UNIQUE,
  issuer   TEXT NOT NULL,
  subject  TEXT NOT NULL,
  name     TEXT NOT NULL,
  scopes   TEXT NOT NULL, -- JSON
  clusters TEXT NOT NULL, -- JSON
  created  INTEGER NOT NULL,
  expires  INTEGER NOT NULL,
  used     INTEGER NOT NULL,
  revoked  INTEGER NOT NULL,
  FOREIGN KEY (issuer, subject) REFERENCES people (issuer, subject)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX tokens_by_name ON tokens (issuer, subject, name) WHERE revoked = 0;
CREATE INDEX tokens_by_creation ON tokens (created);

-- +goose Down
DROP TABLE tokens;
DROP TABLE people;
