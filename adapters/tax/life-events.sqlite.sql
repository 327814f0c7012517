-- The first month of wages from a payer is an event of a person's life; the months after it are not.

CREATE TRIGGER IF NOT EXISTS tell_wages AFTER INSERT ON wages
WHEN NOT EXISTS (
    SELECT 1 FROM wages
    WHERE pinfl = NEW.pinfl AND payer_stir = NEW.payer_stir AND month <> NEW.month)
BEGIN
    INSERT INTO life_events (pinfl, kind, at, payload)
    VALUES (NEW.pinfl, 'wage', NEW.month || '-01', NULL);
END;
