-- Road safety: vehicles and who holds them, by ownership or power of attorney.
-- Portable: the same text runs on SQLite and PostgreSQL. Dates are TEXT (YYYY-MM-DD), months TEXT
-- (YYYY-MM), money BIGINT in soum, yes/no INTEGER (0, 1). No foreign keys: an agency keeps
-- references to people that other agencies describe.

CREATE TABLE IF NOT EXISTS persons (
    pinfl TEXT NOT NULL PRIMARY KEY  -- drivers and holders
);

CREATE TABLE IF NOT EXISTS vehicles (
    plate   TEXT NOT NULL PRIMARY KEY,
    make    TEXT NOT NULL,
    year    INTEGER NOT NULL,
    working INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS holdings (
    pinfl TEXT NOT NULL,
    plate TEXT NOT NULL,  -- a row of vehicles
    title TEXT NOT NULL,  -- owner, power-of-attorney
    since TEXT NOT NULL,
    PRIMARY KEY (pinfl, plate)
);
