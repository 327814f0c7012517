-- Life events to be told, for PostgreSQL. Triggers insert pinfl, kind, at and payload; the rest is numbered here.
-- The functions run with the rights of their owner, the adapter's role: the agency's own roles need
-- no right on the table.

CREATE TABLE IF NOT EXISTS life_events (
    n        BIGINT NOT NULL PRIMARY KEY,  -- in the order of commits
    id       TEXT NOT NULL,
    pinfl    TEXT NOT NULL,
    sequence BIGINT NOT NULL,              -- of the person, from 1
    kind     TEXT NOT NULL,                -- birth, death, marriage, wage, vehicle
    at       TEXT NOT NULL,                -- YYYY-MM-DD
    payload  TEXT,                         -- JSON of what the kind needs besides
    UNIQUE (pinfl, sequence)
);

CREATE OR REPLACE FUNCTION number_life_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    -- Held until the transaction ends, so that numbers are taken in the order of commits.
    PERFORM pg_advisory_xact_lock(hashtext('koprik.life_events'));
    SELECT COALESCE(MAX(n), 0) + 1 INTO NEW.n FROM life_events;
    SELECT COALESCE(MAX(sequence), 0) + 1 INTO NEW.sequence FROM life_events WHERE pinfl = NEW.pinfl;
    NEW.id := NEW.kind || '-' || NEW.n;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER life_events_numbered BEFORE INSERT ON life_events
    FOR EACH ROW EXECUTE FUNCTION number_life_event();
