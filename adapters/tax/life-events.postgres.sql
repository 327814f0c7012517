-- The first month of wages from a payer is an event of a person's life; the months after it are not.

CREATE OR REPLACE FUNCTION tell_wage() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM wages
        WHERE pinfl = NEW.pinfl AND payer_stir = NEW.payer_stir AND month <> NEW.month)
    THEN
        INSERT INTO life_events (pinfl, kind, at, payload)
        VALUES (NEW.pinfl, 'wage', NEW.month || '-01', NULL);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER tell_wages AFTER INSERT ON wages
    FOR EACH ROW EXECUTE FUNCTION tell_wage();
