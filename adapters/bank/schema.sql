-- A bank: customers and their deposits. Each bank has its own database of this shape.
-- Portable: the same text runs on SQLite and PostgreSQL. Dates are TEXT (YYYY-MM-DD), months TEXT
-- (YYYY-MM), money BIGINT in soum, yes/no INTEGER (0, 1). No foreign keys: an agency keeps
-- references to people that other agencies describe.

CREATE TABLE IF NOT EXISTS persons (
    pinfl TEXT NOT NULL PRIMARY KEY  -- customers
);

CREATE TABLE IF NOT EXISTS deposits (
    account      TEXT NOT NULL PRIMARY KEY,
    pinfl        TEXT NOT NULL,
    balance_soum BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS deposits_by_pinfl ON deposits (pinfl);
