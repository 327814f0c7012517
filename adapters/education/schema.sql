-- Education: who is enrolled where.
-- Portable: the same text runs on SQLite and PostgreSQL. Dates are TEXT (YYYY-MM-DD), months TEXT
-- (YYYY-MM), money BIGINT in soum, yes/no INTEGER (0, 1). No foreign keys: an agency keeps
-- references to people that other agencies describe.

CREATE TABLE IF NOT EXISTS persons (
    pinfl TEXT NOT NULL PRIMARY KEY  -- learners, present and past
);

CREATE TABLE IF NOT EXISTS enrolments (
    pinfl       TEXT NOT NULL,
    institution TEXT NOT NULL,
    kind        TEXT NOT NULL,  -- kindergarten, school, college, university
    from_date   TEXT NOT NULL,
    to_date     TEXT,
    PRIMARY KEY (pinfl, institution, from_date)
);
