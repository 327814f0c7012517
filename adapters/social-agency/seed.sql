-- Social agency: the invented family of the worked example (applied 2 March 2026). Loading
-- it twice changes nothing.

INSERT INTO persons (pinfl, disability_group) VALUES
    ('31505850010011', NULL),
    ('42007870010023', NULL),
    ('50303140010034', NULL),
    ('61206180010047', NULL),
    ('62509240010052', NULL),
    ('30101500010069', NULL)
ON CONFLICT DO NOTHING;
