-- Tax committee: the invented family of the worked example (applied 2 March 2026). Loading
-- it twice changes nothing.

INSERT INTO persons (pinfl) VALUES
    ('31505850010011'),
    ('42007870010023'),
    ('30101500010069')
ON CONFLICT DO NOTHING;

INSERT INTO payers (stir, name) VALUES
    ('301234567', 'Chilonzor Non MChJ')
ON CONFLICT DO NOTHING;

INSERT INTO wages (pinfl, payer_stir, month, amount_soum) VALUES
    ('31505850010011', '301234567', '2025-12', 2400000),
    ('31505850010011', '301234567', '2026-01', 2400000),
    ('31505850010011', '301234567', '2026-02', 2550000)
ON CONFLICT DO NOTHING;

INSERT INTO business (pinfl, month, turnover_soum, income_soum) VALUES
    ('42007870010023', '2025-12', 420000, 300000),
    ('42007870010023', '2026-01', 0, 0),
    ('42007870010023', '2026-02', 610000, 450000)
ON CONFLICT DO NOTHING;
