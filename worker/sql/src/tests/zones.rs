//! The session's time zone: what is refused.

use super::errors::check;

#[test]
fn zones_that_there_are_not_and_what_depends_on_them_too_late() {
    check(&[
        (
            "SET 'table.local-time-zone' = 'Mars/Base'",
            "sql:6:5: 'table.local-time-zone' = 'Mars/Base' is no time zone; write it as 'Europe/Berlin', 'GMT+08:00' or 'UTC'",
        ),
        (
            "CREATE VIEW v AS SELECT CAST(CAST(t AS TIMESTAMP_LTZ(3)) AS STRING) AS s FROM plain; SET 'table.local-time-zone' = 'Europe/Berlin'; INSERT INTO out2 (a, b) SELECT 1, s FROM v",
            "sql:6:90: 'table.local-time-zone' changes after a table or view whose expressions depend on it was declared; set it before",
        ),
        (
            "INSERT INTO out2 (a, b) SELECT 1, CONVERT_TZ(s, 'UTC', 'Mars') FROM plain",
            "sql:6:56: the pattern 'Mars' cannot be used: it is no time zone; write 'Europe/Berlin', 'GMT+08:00' or 'UTC'",
        ),
        (
            "INSERT INTO out2 (a, b) SELECT 1, CAST(TO_TIMESTAMP_LTZ(s, 'yyyy', 'CST') AS STRING) FROM plain",
            "sql:6:68: 'CST' is no time zone; write 'Europe/Berlin', 'GMT+08:00' or 'UTC'",
        ),
        (
            "SET 'table.local-time-zone' = 'Europe/Berlin'; INSERT INTO out1 SELECT TIMESTAMPDIFF(DAY, t, CAST(t AS TIMESTAMP_LTZ(3))) FROM plain",
            "sql:6:72: a difference between a TIMESTAMP_LTZ and another type is not supported with a 'table.local-time-zone' other than UTC; CAST both times AS TIMESTAMP(3)",
        ),
        (
            "SET 'table.local-time-zone' = 'Europe/Berlin'; CREATE TABLE pt (a INT, d TIMESTAMP_LTZ(3)) PARTITIONED BY (d) WITH ('connector' = 'filesystem'); INSERT INTO pt SELECT a, t FROM plain",
            "sql:6:158: partitions by a TIMESTAMP_LTZ are not supported with a 'table.local-time-zone' other than UTC; partition by a STRING, such as DATE_FORMAT gives",
        ),
        (
            "SET 'table.local-time-zone' = 'Europe/Berlin'; CREATE TABLE m (a INT, `at` TIMESTAMP(3) METADATA FROM 'timestamp') WITH ('connector' = 'kafka', 'topic' = 't', 'properties.bootstrap.servers' = 'x', 'format' = 'json'); INSERT INTO out1 SELECT a FROM m",
            "sql:6:249: column \"at\" of table \"m\" is TIMESTAMP(3), and its metadata are points in time, which are not shown by a 'table.local-time-zone' other than UTC there; declare it TIMESTAMP_LTZ(3), and CAST it where it is used",
        ),
        (
            "SET 'table.local-time-zone' = 'Europe/Berlin'; CREATE TABLE m (a INT, `at` TIMESTAMP(3) METADATA FROM 'timestamp') WITH ('connector' = 'kafka', 'topic' = 't', 'properties.bootstrap.servers' = 'x', 'format' = 'json'); INSERT INTO m SELECT a, t FROM plain",
            "sql:6:230: column \"at\" of table \"m\" is TIMESTAMP(3), and its metadata are points in time, which are not shown by a 'table.local-time-zone' other than UTC there; declare it TIMESTAMP_LTZ(3), and CAST it where it is used",
        ),
        (
            "CREATE TABLE m (a INT, `at` TIMESTAMP(3) METADATA FROM 'timestamp') WITH ('connector' = 'kafka', 'topic' = 't', 'properties.bootstrap.servers' = 'x', 'format' = 'json'); INSERT INTO out1 SELECT a FROM m",
            "it plans",
        ),
        (
            "SET 'table.local-time-zone' = 'Europe/Berlin'; CREATE TABLE m (a INT, `at` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp') WITH ('connector' = 'kafka', 'topic' = 't', 'properties.bootstrap.servers' = 'x', 'format' = 'json'); INSERT INTO out1 SELECT a FROM m",
            "it plans",
        ),
    ]);
}

#[test]
fn intervals_are_shown_and_not_stored() {
    check(&[
        (
            "CREATE TABLE lengths (a INT, l INTERVAL DAY TO SECOND(3)) WITH ('connector' = 'filesystem')",
            "sql:6:30: INTERVAL is not a type for columns; store a number of milliseconds or months as BIGINT, or CAST(value AS STRING)",
        ),
        (
            "SELECT ARRAY[INTERVAL '1' DAY] FROM plain",
            "sql:6:1: column \"EXPR$0\" is ARRAY<INTERVAL DAY TO SECOND>: intervals and bitmaps inside of other values cannot be printed; CAST them AS STRING",
        ),
        (
            "SELECT CAST(NULL AS INTERVAL MONTH TO DAY) FROM plain",
            "sql:6:30: an INTERVAL is of YEAR, MONTH or YEAR TO MONTH, or of DAY, HOUR, MINUTE, SECOND or DAY TO SECOND",
        ),
        (
            "INSERT INTO out1 SELECT (a, 1) OVERLAPS a FROM plain",
            "sql:6:32: OVERLAPS stands between two periods: (from, to) OVERLAPS (from, to)",
        ),
        (
            "INSERT INTO out2 (a, b) SELECT 1, PRINTF('%tY', t) FROM plain",
            "sql:6:49: argument 2 of PRINTF is a number, a string or a BOOLEAN (CAST others AS STRING), not TIMESTAMP(3); it is PRINTF(pattern, value, …)",
        ),
        (
            "INSERT INTO out2 (a, b) SELECT 1, PRINTF('%h', s) FROM plain",
            "sql:6:42: PRINTF has no %h here; DATE_FORMAT and HEX give such texts",
        ),
        (
            "INSERT INTO out2 (a, b) SELECT 1, TYPEOF(ARRAY[a]) FROM plain",
            "sql:6:42: TYPEOF of ARRAY, MAP, MULTISET and ROW is not supported: whether their parts may be NULL is not kept",
        ),
    ]);
}
