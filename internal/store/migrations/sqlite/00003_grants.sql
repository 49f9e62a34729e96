-- +goose Up
-- Logins of command lines that wait for an answer.
CREATE TABLE grants (
  id        TEXT PRIMARY KEY,
  address   TEXT NOT NULL,
  user_code BLOB NOT NULL, -- SHA-256; empty for none
  body      TEXT NOT NULL, -- JSON
  version   INTEGER NOT NULL,
  expires   INTEGER NOT NULL -- microseconds since 1970
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_by_user_code ON grants (user_code);

-- +goose Down
DROP TABLE grants;
