-- A vehicle that a person comes to hold, as owner or by power of attorney, is an event of her life.

CREATE OR REPLACE FUNCTION tell_vehicle() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO life_events (pinfl, kind, at, payload)
    VALUES (NEW.pinfl, 'vehicle', NEW.since, NULL);
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER tell_vehicles AFTER INSERT ON holdings
    FOR EACH ROW EXECUTE FUNCTION tell_vehicle();
