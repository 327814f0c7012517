-- Labour: the invented family of the worked example (applied 2 March 2026). Loading
-- it twice changes nothing.

INSERT INTO persons (pinfl, registered_unemployed_since, able_to_work) VALUES
    ('31505850010011', NULL, 1),
    ('42007870010023', NULL, 1),
    ('30101500010069', NULL, 0)
ON CONFLICT DO NOTHING;

INSERT INTO employers (stir, name) VALUES
    ('301234567', 'Chilonzor Non MChJ')
ON CONFLICT DO NOTHING;

INSERT INTO contracts (pinfl, employer_stir, job, from_date, to_date) VALUES
    ('31505850010011', '301234567', 'Baker', '2019-09-02', NULL)
ON CONFLICT DO NOTHING;
