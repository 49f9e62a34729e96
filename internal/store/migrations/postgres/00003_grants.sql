-- +goose Up
-- Logins of command lines that wait for an answer.
CREATE TABLE grants (
  id        TEXT COLLATE "C" PRIMARY KEY,
  address   TEXT NOT NULL,
  user_code BYTEA NOT NULL, -- SHA-256; empty for none
  body      TEXT NOT NULL, -- JSON
  version   BIGINT NOT NULL,
  expires   BIGINT NOT NULL -- microseconds since 1970
);
CREATE INDEX grants_by_user_code ON grants (user_code);

-- +goose Down
DROP TABLE grants;
