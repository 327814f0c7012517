-- Texts are compared byte by byte, as the embedded store compares them.
CREATE TABLE store_documents (
    kind    text COLLATE "C" NOT NULL,
    id      text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    subject bytea,            -- HMAC of the person under whose key `sealed` lies; NULL: the collection's
    sealed  bytea NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE TABLE store_index (
    kind  text COLLATE "C" NOT NULL,
    name  text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    id    text COLLATE "C" NOT NULL,
    PRIMARY KEY (kind, name, value, id),
    FOREIGN KEY (kind, id) REFERENCES store_documents (kind, id) ON DELETE CASCADE
);
CREATE INDEX store_index_of_document ON store_index (kind, id);
CREATE TABLE store_people (
    subject bytea PRIMARY KEY, -- HMAC of the person
    wrapped bytea NOT NULL     -- the person's key, sealed by the master key
);
CREATE TABLE store_facts (
    name  text PRIMARY KEY,
    value text NOT NULL
);
