-- A vital event, once it is registered, is an event of the lives that it concerns: a birth of each
-- parent's, a marriage of both spouses', a death of the deceased. The child's row and the marriage's
-- are written before the vital event, in the same transaction.

CREATE TRIGGER IF NOT EXISTS tell_deaths AFTER INSERT ON vital_events WHEN NEW.event = 'Death'
BEGIN
    INSERT INTO life_events (pinfl, kind, at, payload)
    VALUES (NEW.person, 'death', NEW.happened, NULL);
END;

CREATE TRIGGER IF NOT EXISTS tell_births AFTER INSERT ON vital_events WHEN NEW.event = 'LiveBirth'
BEGIN
    INSERT INTO life_events (pinfl, kind, at, payload)
    SELECT mother, 'birth', NEW.happened, '{"child":"' || pinfl || '"}'
    FROM persons WHERE pinfl = NEW.person AND mother IS NOT NULL;
    INSERT INTO life_events (pinfl, kind, at, payload)
    SELECT father, 'birth', NEW.happened, '{"child":"' || pinfl || '"}'
    FROM persons WHERE pinfl = NEW.person AND father IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS tell_marriages AFTER INSERT ON vital_events WHEN NEW.event = 'Marriage'
BEGIN
    INSERT INTO life_events (pinfl, kind, at, payload)
    SELECT husband, 'marriage', NEW.happened, '{"spouse":"' || wife || '"}'
    FROM marriages WHERE NEW.person IN (husband, wife) AND married = NEW.happened;
    INSERT INTO life_events (pinfl, kind, at, payload)
    SELECT wife, 'marriage', NEW.happened, '{"spouse":"' || husband || '"}'
    FROM marriages WHERE NEW.person IN (husband, wife) AND married = NEW.happened;
END;
