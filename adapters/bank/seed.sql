-- A bank: the invented family of the worked example (applied 2 March 2026). Loading
-- it twice changes nothing.

INSERT INTO persons (pinfl) VALUES
    ('31505850010011'),
    ('42007870010023'),
    ('30101500010069')
ON CONFLICT DO NOTHING;

INSERT INTO deposits (account, pinfl, balance_soum) VALUES
    ('22618000900000001001', '31505850010011', 350000),
    ('22618000900000001002', '31505850010011', 120000),
    ('22618000900000001003', '30101500010069', 900000)
ON CONFLICT DO NOTHING;
