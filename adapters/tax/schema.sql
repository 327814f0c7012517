-- Tax committee: wages by payer and month, business, plots, remittances.
-- Portable: the same text runs on SQLite and PostgreSQL. Dates are TEXT (YYYY-MM-DD), months TEXT
-- (YYYY-MM), money BIGINT in soum, yes/no INTEGER (0, 1). No foreign keys: an agency keeps
-- references to people that other agencies describe.

CREATE TABLE IF NOT EXISTS persons (
    pinfl TEXT NOT NULL PRIMARY KEY  -- taxpayers
);

CREATE TABLE IF NOT EXISTS payers (
    stir TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS wages (
    pinfl       TEXT NOT NULL,
    payer_stir  TEXT NOT NULL,  -- a row of payers
    month       TEXT NOT NULL,
    amount_soum BIGINT NOT NULL,
    PRIMARY KEY (pinfl, month, payer_stir)
);

CREATE TABLE IF NOT EXISTS business (
    pinfl         TEXT NOT NULL,
    month         TEXT NOT NULL,
    turnover_soum BIGINT NOT NULL,
    income_soum   BIGINT NOT NULL,
    PRIMARY KEY (pinfl, month)
);

CREATE TABLE IF NOT EXISTS plots (
    pinfl       TEXT NOT NULL,
    month       TEXT NOT NULL,
    income_soum BIGINT NOT NULL,
    PRIMARY KEY (pinfl, month)
);

CREATE TABLE IF NOT EXISTS remittances (
    pinfl       TEXT NOT NULL,
    month       TEXT NOT NULL,
    amount_soum BIGINT NOT NULL,
    PRIMARY KEY (pinfl, month)
);
