-- Pension fund: insured persons and their pensions.
-- Portable: the same text runs on SQLite and PostgreSQL. Dates are TEXT (YYYY-MM-DD), months TEXT
-- (YYYY-MM), money BIGINT in soum, yes/no INTEGER (0, 1). No foreign keys: an agency keeps
-- references to people that other agencies describe.

CREATE TABLE IF NOT EXISTS persons (
    pinfl TEXT NOT NULL PRIMARY KEY  -- insured persons
);

CREATE TABLE IF NOT EXISTS pensions (
    pinfl       TEXT NOT NULL,
    kind        TEXT NOT NULL,  -- old-age, disability, survivor, social
    amount_soum BIGINT NOT NULL,
    from_date   TEXT NOT NULL,
    to_date     TEXT,
    PRIMARY KEY (pinfl, kind, from_date)
);
