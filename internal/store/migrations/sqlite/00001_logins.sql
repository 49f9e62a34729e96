-- +goose Up
-- Times are microseconds since 1970.
CREATE TABLE logins (
  id      TEXT PRIMARY KEY,
  issuer  TEXT NOT NULL,
  subject TEXT NOT NULL,
  actor   TEXT NOT NULL, -- JSON
  agent   TEXT NOT NULL,
  renewal BLOB NOT NULL,
  due     INTEGER NOT NULL, -- when to renew; 0 is never
  version INTEGER NOT NULL,
  created INTEGER NOT NULL,
  active  INTEGER NOT NULL,
  claimed INTEGER NOT NULL -- until when
) STRICT, WITHOUT ROWID;
CREATE INDEX logins_of_person ON logins (issuer, subject, created);
CREATE INDEX logins_by_creation ON logins (created);
CREATE INDEX logins_by_activity ON logins (active);

-- +goose Down
DROP TABLE logins;
