-- Life events to be told, for SQLite. Triggers insert pinfl, kind, at and payload; the rest is numbered here.

CREATE TABLE IF NOT EXISTS life_events (
    n        INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of commits
    id       TEXT,
    pinfl    TEXT NOT NULL,
    sequence INTEGER,                            -- of the person, from 1
    kind     TEXT NOT NULL,                      -- birth, death, marriage, wage, vehicle
    at       TEXT NOT NULL,                      -- YYYY-MM-DD
    payload  TEXT                                -- JSON of what the kind needs besides
);
CREATE INDEX IF NOT EXISTS life_events_by_person ON life_events (pinfl, sequence);

CREATE TRIGGER IF NOT EXISTS life_events_numbered AFTER INSERT ON life_events
BEGIN
    UPDATE life_events SET
        id = kind || '-' || n,
        sequence = (SELECT COALESCE(MAX(sequence), 0) + 1 FROM life_events WHERE pinfl = NEW.pinfl)
    WHERE n = NEW.n;
END;
