SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE instants (id INT, wall TIMESTAMP(3), t TIMESTAMP_LTZ(3))
WITH ('connector' = 'filesystem', 'path' = 'in/instants.json', 'format' = 'json');

CREATE TABLE as_json (id INT, t TIMESTAMP_LTZ(3), wall TIMESTAMP(3)) WITH ('connector' = 'filesystem', 'path' = 'out/json', 'format' = 'json');
CREATE TABLE as_iso (id INT, t TIMESTAMP_LTZ(3), wall TIMESTAMP(3))
WITH ('connector' = 'filesystem', 'path' = 'out/iso', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');
CREATE TABLE as_csv (id INT, t TIMESTAMP_LTZ(3), wall TIMESTAMP(3)) WITH ('connector' = 'filesystem', 'path' = 'out/csv', 'format' = 'csv');
EXECUTE STATEMENT SET BEGIN
INSERT INTO as_json SELECT id, t, t FROM instants WHERE id < 10;
INSERT INTO as_iso SELECT id, t, wall FROM instants WHERE id < 10;
INSERT INTO as_csv SELECT id, wall, t FROM instants WHERE id < 10;
END;
