-- A vital event, once it is registered, is an event of the lives that it concerns: a birth of each
-- parent's, a marriage of both spouses', a death of the deceased. The child's row and the marriage's
-- are written before the vital event, in the same transaction.

CREATE OR REPLACE FUNCTION tell_vital_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.event = 'Death' THEN
        INSERT INTO life_events (pinfl, kind, at, payload)
        VALUES (NEW.person, 'death', NEW.happened, NULL);
    ELSIF NEW.event = 'LiveBirth' THEN
        INSERT INTO life_events (pinfl, kind, at, payload)
        SELECT parent, 'birth', NEW.happened, '{"child":"' || pinfl || '"}'
        FROM persons CROSS JOIN LATERAL (VALUES (mother), (father)) AS parents (parent)
        WHERE pinfl = NEW.person AND parent IS NOT NULL;
    ELSIF NEW.event = 'Marriage' THEN
        INSERT INTO life_events (pinfl, kind, at, payload)
        SELECT one, 'marriage', NEW.happened, '{"spouse":"' || other || '"}'
        FROM marriages
            CROSS JOIN LATERAL (VALUES (husband, wife), (wife, husband)) AS spouses (one, other)
        WHERE NEW.person IN (husband, wife) AND married = NEW.happened;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER tell_vital_events AFTER INSERT ON vital_events
    FOR EACH ROW EXECUTE FUNCTION tell_vital_event();
