-- Education: the invented family of the worked example (applied 2 March 2026). Loading
-- it twice changes nothing.

INSERT INTO persons (pinfl) VALUES
    ('50303140010034'),
    ('61206180010047'),
    ('62509240010052')
ON CONFLICT DO NOTHING;

INSERT INTO enrolments (pinfl, institution, kind, from_date, to_date) VALUES
    ('50303140010034', 'School 114, Chilonzor', 'school', '2021-09-02', NULL),
    ('61206180010047', 'School 114, Chilonzor', 'school', '2025-09-02', NULL)
ON CONFLICT DO NOTHING;
