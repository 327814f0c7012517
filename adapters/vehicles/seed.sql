-- Road safety: the invented family of the worked example (applied 2 March 2026). Loading
-- it twice changes nothing.

INSERT INTO persons (pinfl) VALUES
    ('31505850010011'),
    ('42007870010023'),
    ('30101500010069')
ON CONFLICT DO NOTHING;
