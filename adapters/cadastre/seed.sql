-- Cadastre: the invented family of the worked example (applied 2 March 2026). Loading
-- it twice changes nothing.

INSERT INTO persons (pinfl) VALUES
    ('31505850010011'),
    ('42007870010023'),
    ('30101500010069')
ON CONFLICT DO NOTHING;

INSERT INTO properties (cadastre_number, kind, address) VALUES
    ('10:01:02:03:04:0005', 'dwelling', 'Toshkent shahri, Chilonzor, Bunyodkor, 12')
ON CONFLICT DO NOTHING;

INSERT INTO shares (pinfl, cadastre_number, numerator, denominator, since) VALUES
    ('31505850010011', '10:01:02:03:04:0005', 1, 1, '2013-04-02')
ON CONFLICT DO NOTHING;
