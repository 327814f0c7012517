-- Population register: identity, registered address, presence.
-- Portable: the same text runs on SQLite and PostgreSQL. Dates are TEXT (YYYY-MM-DD), months TEXT
-- (YYYY-MM), money BIGINT in soum, yes/no INTEGER (0, 1). No foreign keys: an agency keeps
-- references to people that other agencies describe.

CREATE TABLE IF NOT EXISTS dwellings (
    cadastre_number TEXT NOT NULL PRIMARY KEY,
    region          TEXT NOT NULL,
    district        TEXT NOT NULL,
    street          TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS persons (
    pinfl          TEXT NOT NULL PRIMARY KEY,
    surname        TEXT NOT NULL,
    given_name     TEXT NOT NULL,
    patronymic     TEXT,
    citizenship    TEXT NOT NULL,     -- ISO 3166-1 alpha-2, for example UZ
    dwelling       TEXT,              -- cadastre number of a row in dwellings; NULL without an address
    abroad_since   TEXT,
    in_prison      INTEGER NOT NULL,
    in_institution INTEGER NOT NULL,
    conscript      INTEGER NOT NULL,
    died           TEXT
);
CREATE INDEX IF NOT EXISTS persons_by_dwelling ON persons (dwelling);
