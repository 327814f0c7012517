-- Population register: the invented family of the worked example (applied 2 March 2026). Loading
-- it twice changes nothing.

INSERT INTO dwellings (cadastre_number, region, district, street) VALUES
    ('10:01:02:03:04:0005', 'Toshkent shahri', 'Chilonzor', 'Bunyodkor, 12')
ON CONFLICT DO NOTHING;

INSERT INTO persons (pinfl, surname, given_name, patronymic, citizenship, dwelling, abroad_since, in_prison, in_institution, conscript, died) VALUES
    ('31505850010011', 'Karimov', 'Akmal', 'Rustamovich', 'UZ', '10:01:02:03:04:0005', NULL, 0, 0, 0, NULL),
    ('42007870010023', 'Karimova', 'Dilnoza', 'Bahodirovna', 'UZ', '10:01:02:03:04:0005', NULL, 0, 0, 0, NULL),
    ('50303140010034', 'Karimov', 'Jasur', 'Akmalovich', 'UZ', '10:01:02:03:04:0005', NULL, 0, 0, 0, NULL),
    ('61206180010047', 'Karimova', 'Malika', 'Akmalovna', 'UZ', '10:01:02:03:04:0005', NULL, 0, 0, 0, NULL),
    ('62509240010052', 'Karimova', 'Zilola', 'Akmalovna', 'UZ', '10:01:02:03:04:0005', NULL, 0, 0, 0, NULL),
    ('30101500010069', 'Karimov', 'Rustam', 'Olimovich', 'UZ', '10:01:02:03:04:0005', NULL, 0, 0, 0, NULL)
ON CONFLICT DO NOTHING;
