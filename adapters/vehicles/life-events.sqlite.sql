-- A vehicle that a person comes to hold, as owner or by power of attorney, is an event of her life.

CREATE TRIGGER IF NOT EXISTS tell_vehicles AFTER INSERT ON holdings
BEGIN
    INSERT INTO life_events (pinfl, kind, at, payload)
    VALUES (NEW.pinfl, 'vehicle', NEW.since, NULL);
END;
