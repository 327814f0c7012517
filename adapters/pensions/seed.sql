-- Pension fund: the invented family of the worked example (applied 2 March 2026). Loading
-- it twice changes nothing.

INSERT INTO persons (pinfl) VALUES
    ('31505850010011'),
    ('42007870010023'),
    ('30101500010069')
ON CONFLICT DO NOTHING;

INSERT INTO pensions (pinfl, kind, amount_soum, from_date, to_date) VALUES
    ('30101500010069', 'old-age', 1250000, '2010-01-01', NULL)
ON CONFLICT DO NOTHING;
