-- Social agency: disability groups and benefits other than the register's own.
-- Portable: the same text runs on SQLite and PostgreSQL. Dates are TEXT (YYYY-MM-DD), months TEXT
-- (YYYY-MM), money BIGINT in soum, yes/no INTEGER (0, 1). No foreign keys: an agency keeps
-- references to people that other agencies describe.

CREATE TABLE IF NOT EXISTS persons (
    pinfl            TEXT NOT NULL PRIMARY KEY,
    disability_group INTEGER  -- 1, 2, 3; NULL without
);

CREATE TABLE IF NOT EXISTS benefits (
    pinfl       TEXT NOT NULL,
    kind        TEXT NOT NULL,
    amount_soum BIGINT NOT NULL,
    from_date   TEXT NOT NULL,
    to_date     TEXT,
    PRIMARY KEY (pinfl, kind, from_date)
);
