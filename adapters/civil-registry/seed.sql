-- Civil registry: the invented family of the worked example (applied 2 March 2026). Loading
-- it twice changes nothing.

INSERT INTO persons (pinfl, sex, born, died, mother, father) VALUES
    ('31505850010011', 'male', '1985-05-15', NULL, NULL, '30101500010069'),
    ('42007870010023', 'female', '1987-07-20', NULL, NULL, NULL),
    ('50303140010034', 'male', '2014-03-03', NULL, '42007870010023', '31505850010011'),
    ('61206180010047', 'female', '2018-06-12', NULL, '42007870010023', '31505850010011'),
    ('62509240010052', 'female', '2024-09-25', NULL, '42007870010023', '31505850010011'),
    ('30101500010069', 'male', '1950-01-01', NULL, NULL, NULL)
ON CONFLICT DO NOTHING;

INSERT INTO marriages (husband, wife, married, ended, end_reason) VALUES
    ('31505850010011', '42007870010023', '2012-06-16', NULL, NULL)
ON CONFLICT DO NOTHING;

INSERT INTO parentage (parent, child, relation) VALUES
    ('31505850010011', '50303140010034', 'birth'),
    ('42007870010023', '50303140010034', 'birth'),
    ('31505850010011', '61206180010047', 'birth'),
    ('42007870010023', '61206180010047', 'birth'),
    ('31505850010011', '62509240010052', 'birth'),
    ('42007870010023', '62509240010052', 'birth'),
    ('30101500010069', '31505850010011', 'birth')
ON CONFLICT DO NOTHING;

INSERT INTO vital_events (sequence, event, person, happened) VALUES
    (1, 'Marriage', '31505850010011', '2012-06-16'),
    (2, 'LiveBirth', '50303140010034', '2014-03-03'),
    (3, 'LiveBirth', '61206180010047', '2018-06-12'),
    (4, 'LiveBirth', '62509240010052', '2024-09-25')
ON CONFLICT DO NOTHING;
