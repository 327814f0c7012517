-- Civil registry: births, deaths, marriages, and who is legally whose parent.
-- Portable: the same text runs on SQLite and PostgreSQL. Dates are TEXT (YYYY-MM-DD), months TEXT
-- (YYYY-MM), money BIGINT in soum, yes/no INTEGER (0, 1). No foreign keys: an agency keeps
-- references to people that other agencies describe.

CREATE TABLE IF NOT EXISTS persons (
    pinfl  TEXT NOT NULL PRIMARY KEY,
    sex    TEXT NOT NULL,  -- male, female
    born   TEXT NOT NULL,
    died   TEXT,
    mother TEXT,           -- legal mother (after an adoption the adopter)
    father TEXT
);

CREATE TABLE IF NOT EXISTS marriages (
    husband    TEXT NOT NULL,
    wife       TEXT NOT NULL,
    married    TEXT NOT NULL,
    ended      TEXT,
    end_reason TEXT,       -- divorce, death; NULL while it lasts
    PRIMARY KEY (husband, wife, married)
);
CREATE INDEX IF NOT EXISTS marriages_by_wife ON marriages (wife);

-- One row for each parent or guardian of a child as the law has it now.
CREATE TABLE IF NOT EXISTS parentage (
    parent   TEXT NOT NULL,
    child    TEXT NOT NULL,
    relation TEXT NOT NULL,  -- birth, adoption, guardianship
    PRIMARY KEY (parent, child)
);
CREATE INDEX IF NOT EXISTS parentage_by_child ON parentage (child);

-- Vital events in the order of their registration, for those who are told of them.
CREATE TABLE IF NOT EXISTS vital_events (
    sequence BIGINT NOT NULL PRIMARY KEY,  -- from 1, never used twice
    event    TEXT NOT NULL,                -- LiveBirth, Death, Marriage, Divorce, Adoption
    person   TEXT NOT NULL,                -- the child, the deceased, a spouse, the adopted
    happened TEXT NOT NULL
);
