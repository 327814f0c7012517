-- Labour: employment contracts, register of the unemployed, ability to work.
-- Portable: the same text runs on SQLite and PostgreSQL. Dates are TEXT (YYYY-MM-DD), months TEXT
-- (YYYY-MM), money BIGINT in soum, yes/no INTEGER (0, 1). No foreign keys: an agency keeps
-- references to people that other agencies describe.

CREATE TABLE IF NOT EXISTS persons (
    pinfl                       TEXT NOT NULL PRIMARY KEY,
    registered_unemployed_since TEXT,
    able_to_work                INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS employers (
    stir TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS contracts (
    pinfl         TEXT NOT NULL,
    employer_stir TEXT NOT NULL,  -- a row of employers
    job           TEXT NOT NULL,
    from_date     TEXT NOT NULL,
    to_date       TEXT,
    PRIMARY KEY (pinfl, employer_stir, from_date)
);
