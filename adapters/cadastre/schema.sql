-- Cadastre: properties and the shares that persons hold in them.
-- Portable: the same text runs on SQLite and PostgreSQL. Dates are TEXT (YYYY-MM-DD), months TEXT
-- (YYYY-MM), money BIGINT in soum, yes/no INTEGER (0, 1). No foreign keys: an agency keeps
-- references to people that other agencies describe.

CREATE TABLE IF NOT EXISTS persons (
    pinfl TEXT NOT NULL PRIMARY KEY  -- holders, present and past
);

CREATE TABLE IF NOT EXISTS properties (
    cadastre_number TEXT NOT NULL PRIMARY KEY,
    kind            TEXT NOT NULL,  -- dwelling, non-residential, land
    address         TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS shares (
    pinfl           TEXT NOT NULL,
    cadastre_number TEXT NOT NULL,  -- a row of properties
    numerator       INTEGER NOT NULL,
    denominator     INTEGER NOT NULL,
    since           TEXT NOT NULL,
    PRIMARY KEY (pinfl, cadastre_number)
);
