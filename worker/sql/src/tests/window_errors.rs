//! Windows, groups and OVER that cannot be, and their exact messages.

use super::errors::check;

#[test]
fn windows_that_make_no_sense() {
    const HOURLY: &str = "FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR))";
    let case =
        |select: &str, group: &str| format!("INSERT INTO out1 SELECT {select} {HOURLY} {group}");
    let cases = [
        (
            case("COUNT(*)", "GROUP BY window_start"),
            "it plans",
        ),
        (
            "INSERT INTO out1 SELECT COUNT(*) FROM TABLE(TUMBLE((SELECT origin, `date` FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY origin ORDER BY `date` DESC) AS rn FROM flights) WHERE rn = 1), DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end".to_owned(),
            "it plans",
        ),
        (
            case("COUNT(*), delay", "GROUP BY window_start, window_end"),
            "sql:6:35: column \"delay\" is neither in GROUP BY nor inside an aggregate; add it to GROUP BY, or use MAX(delay)",
        ),
        (
            case("SUM(COUNT(*))", "GROUP BY window_start, window_end"),
            "sql:6:29: COUNT is an aggregate, which cannot stand inside another aggregate",
        ),
        (
            case("SUM(origin)", "GROUP BY window_start, window_end"),
            "sql:6:29: SUM needs a number, not STRING",
        ),
        (
            case("STDDEV(origin)", "GROUP BY window_start, window_end"),
            "sql:6:32: STDDEV needs a number, not STRING",
        ),
        (
            case("COUNT(*)", "GROUP BY 1"),
            "sql:6:116: GROUP BY takes columns and expressions, not positions",
        ),
        (
            case("COUNT(*)", "WHERE COUNT(*) > 1 GROUP BY window_start, window_end"),
            "sql:6:113: COUNT is an aggregate, which has no place in WHERE; use HAVING",
        ),
    ];
    check(&cases.iter().map(|(sql, message)| (sql.as_str(), *message)).collect::<Vec<_>>());
    check(&[
        (
            "INSERT INTO out1 SELECT a FROM TABLE(TUMBLE(TABLE plain, DESCRIPTOR(t), INTERVAL '1' HOUR))",
            "sql:6:69: \"t\" is no event time: table \"plain\" has no WATERMARK; declare WATERMARK FOR `t` AS `t` - INTERVAL '5' SECOND",
        ),
        (
            "INSERT INTO out1 SELECT delay FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(delay), INTERVAL '1' HOUR))",
            "sql:6:75: \"delay\" is no event time of table \"flights\"; its event time is \"date\"",
        ),
        (
            "INSERT INTO out1 SELECT delay FROM TABLE(HOP(TABLE flights, DESCRIPTOR(`date`), INTERVAL '2' HOUR, INTERVAL '1' HOUR))",
            "sql:6:100: the size of HOP must be a multiple of its slide; the slide comes before the size: HOP(TABLE t, DESCRIPTOR(ts), slide, size)",
        ),
        (
            "INSERT INTO out1 SELECT delay FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`)))",
            "sql:6:42: TUMBLE lacks its argument SIZE; it takes DATA, TIMECOL, SIZE, OFFSET",
        ),
        (
            "INSERT INTO out1 SELECT delay FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), 5))",
            "sql:6:84: the SIZE of TUMBLE is an interval, such as INTERVAL '1' HOUR",
        ),
        (
            "INSERT INTO out1 SELECT delay FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' MONTH))",
            "sql:6:84: the SIZE of TUMBLE has a fixed length; months and years have not: use DAY and shorter units",
        ),
        (
            "INSERT INTO out1 SELECT delay FROM TABLE(SESSION(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR))",
            "it plans",
        ),
        (
            "INSERT INTO out1 SELECT delay FROM TABLE(TUMBLE(DATA => TABLE flights, TIME => DESCRIPTOR(`date`), SIZE => INTERVAL '1' HOUR))",
            "sql:6:72: TUMBLE has no argument TIME; it has DATA, TIMECOL, SIZE, OFFSET; did you mean 'TIMECOL'?",
        ),
        (
            "INSERT INTO out1 SELECT COUNT(*) FROM TABLE(HOP(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR, INTERVAL '2' HOUR)) WHERE window_start > TIMESTAMP '2001-01-01 00:00:00' GROUP BY window_start, window_end",
            "sql:6:129: window_start of HOP cannot be used before the aggregation, as a row is in several windows; filter with HAVING, or around the query",
        ),
        (
            "INSERT INTO out1 SELECT TUMBLE_START(`date`, INTERVAL '1' HOUR) FROM flights",
            "sql:6:25: TUMBLE_START belongs to a SELECT that has GROUP BY TUMBLE(ts, INTERVAL …), HOP or SESSION; or write FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL …)) and GROUP BY window_start, window_end",
        ),
    ]);
}

#[test]
fn results_that_are_corrected_go_only_where_that_can_be() {
    check(&[
        (
            "INSERT INTO plain SELECT CAST(COUNT(*) AS INT), origin, MAX(`date`) FROM flights GROUP BY origin",
            "sql:6:13: table \"plain\" (connector 'kafka') takes rows that only come, and this query corrects rows that it gave before: GROUP BY without a window at 6:82; group by window_start, window_end, or give the table 'format' = 'debezium-json'",
        ),
        (
            "CREATE VIEW v AS SELECT delay, MAX(`date`) AS `date` FROM flights GROUP BY delay;
INSERT INTO out1 SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE v, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end",
            "sql:7:72: \"date\" is no event time: view \"v\" does not pass one on; select the event-time column (or window_time) unchanged",
        ),
        (
            "SET 'table.exec.state.ttl' = 'soon'; INSERT INTO out1 SELECT DISTINCT a FROM plain",
            "sql:6:5: 'table.exec.state.ttl' = 'soon' is no length of time; write it as '12 h' or '30 min', 0 for ever",
        ),
        (
            "INSERT INTO out1 SELECT a, COUNT(*) FROM plain GROUP BY s",
            "sql:6:25: column \"a\" is neither in GROUP BY nor inside an aggregate; add it to GROUP BY, or use MAX(a)",
        ),
        ("INSERT INTO out1 SELECT DISTINCT a FROM plain", "it plans"),
        ("INSERT INTO out1 SELECT COUNT(*) FROM flights", "it plans"),
        ("INSERT INTO plain SELECT DISTINCT a, s, t FROM plain", "it plans"),
    ]);
}

#[test]
fn grouping_sets_that_cannot_be() {
    check(&[
        (
            "INSERT INTO out1 SELECT COUNT(*) FROM TABLE(SESSION(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, origin",
            "it plans",
        ),
        (
            "INSERT INTO out1 SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR)) GROUP BY ROLLUP (window_start, window_end)",
            "sql:6:107: window_start and window_end belong to every grouping set; write them in front of GROUPING SETS, ROLLUP or CUBE",
        ),
        (
            "INSERT INTO out1 SELECT GROUPING(delay) FROM flights GROUP BY CUBE (origin)",
            "sql:6:34: GROUPING takes columns of GROUP BY",
        ),
        (
            "INSERT INTO out1 SELECT GROUPING(delay) FROM flights",
            "sql:6:25: GROUPING tells grouping sets apart, and there is no GROUP BY",
        ),
        (
            "INSERT INTO out1 SELECT COUNT(*) FROM flights GROUP BY CUBE (origin, delay, distance)",
            "it plans",
        ),
        (
            "INSERT INTO out1 SELECT COUNT(*) FROM flights GROUP BY TUMBLE(`date`, INTERVAL '1' HOUR), CUBE (origin)",
            "sql:6:56: TUMBLE in GROUP BY does not stand beside grouping sets; write FROM TABLE(TUMBLE(…)) and group by window_start, window_end",
        ),
        (
            "INSERT INTO out1 SELECT COUNT(*) FROM flights GROUP BY HOP(`date`, INTERVAL '1' HOUR)",
            "sql:6:56: HOP in GROUP BY is HOP(time, slide, size)",
        ),
    ]);
}

#[test]
fn windows_of_rows_that_cannot_be() {
    check(&[
        ("INSERT INTO out1 SELECT SUM(delay) OVER (PARTITION BY origin) FROM flights", "it plans"),
        (
            "INSERT INTO plain SELECT a, FIRST_VALUE(s) OVER (ORDER BY a), t FROM plain",
            "sql:6:13: table \"plain\" (connector 'kafka') takes rows that only come, and this query corrects rows that it gave before: OVER by no event time at 6:49; order the window by the event time, or give the table 'format' = 'debezium-json'",
        ),
        (
            "INSERT INTO out1 SELECT COUNT(*) OVER (ORDER BY `date`, delay RANGE INTERVAL '1' HOUR PRECEDING) FROM flights",
            "sql:6:63: a frame of RANGE with a distance goes by one column of ORDER BY; sort by that alone, or count ROWS",
        ),
        (
            "INSERT INTO out1 SELECT COUNT(*) OVER (ORDER BY distance RANGE INTERVAL '1' HOUR PRECEDING) FROM flights",
            "sql:6:39: a frame of RANGE with a length of time is ordered by a TIMESTAMP(3) upwards; its event time is \"date\"; order the window by one, or count ROWS",
        ),
        (
            "INSERT INTO out1 SELECT COUNT(*) OVER (ORDER BY p) FROM (SELECT *, PROCTIME() AS p FROM (SELECT * FROM flights ORDER BY delay LIMIT 3))",
            "sql:6:39: OVER by processing time takes rows that only come, and LIMIT at 6:112 corrects rows that it gave before; order it by a column\nsql:6:68: this reads the clock, and would not give the same once more when a row is taken back as it was given (LIMIT at 6:112); compute it of rows that only come, before that",
        ),
        (
            "INSERT INTO out1 SELECT COUNT(*) OVER (ORDER BY `date` ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) FROM flights",
            "sql:6:56: frames that reach behind the current row are not supported: those rows have not come yet; end it with CURRENT ROW",
        ),
        (
            "INSERT INTO out1 SELECT COUNT(*) OVER (ORDER BY `date` RANGE 5 PRECEDING) FROM flights",
            "sql:6:62: a frame of RANGE reaches back a length of time, such as INTERVAL '1' HOUR",
        ),
        (
            "INSERT INTO out1 SELECT RANK() OVER (ORDER BY `date` ROWS 5 PRECEDING) FROM flights",
            "sql:6:54: RANK is of a row's place and takes no frame; leave it out",
        ),
        (
            "INSERT INTO out1 SELECT LEAD(delay) OVER (ORDER BY `date`) FROM flights",
            "sql:6:25: LEAD needs rows that have not come yet, which is not supported; write LAG over the opposite order, or join the rows",
        ),
        (
            "INSERT INTO out1 SELECT COUNT(*) OVER w FROM flights",
            "sql:6:39: the window \"w\" is not defined; write WINDOW w AS (…) behind FROM, WHERE and GROUP BY",
        ),
        (
            "INSERT INTO out1 SELECT delay FROM flights WHERE ROW_NUMBER() OVER (ORDER BY `date`) = 1",
            "sql:6:50: OVER has its place in SELECT and QUALIFY; name the result in a subquery and use it around that",
        ),
        (
            "INSERT INTO out1 SELECT UPPER(origin) OVER (ORDER BY `date`) FROM flights",
            "sql:6:25: UPPER does not stand over a window; aggregates, ROW_NUMBER, RANK, DENSE_RANK, LAG, FIRST_VALUE and LAST_VALUE do",
        ),
        (
            "INSERT INTO out1 SELECT ROW_NUMBER() FROM flights",
            "sql:6:25: ROW_NUMBER needs OVER; write ROW_NUMBER(…) OVER (PARTITION BY … ORDER BY …)",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain ORDER BY 2 LIMIT 1",
            "sql:6:47: ORDER BY 2 is no column of the result, which has 1",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain ORDER BY a OFFSET 3",
            "sql:6:56: OFFSET needs a LIMIT: without one all rows that ever come would be kept",
        ),
        (
            "INSERT INTO plain SELECT a, s, t FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY s ORDER BY a) AS rn FROM plain) WHERE rn = 1",
            "sql:6:13: table \"plain\" (connector 'kafka') takes rows that only come, and this query corrects rows that it gave before: Top-N by rank at 6:68; rank the rows of windows (PARTITION BY window_start, window_end), or give the table 'format' = 'debezium-json'",
        ),
        ("INSERT INTO plain SELECT delay, origin, `date` FROM flights LIMIT 10", "it plans"),
        // The first row by event time stays.
        (
            "INSERT INTO plain SELECT delay, origin, `date` FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY origin ORDER BY `date`) AS rn FROM flights) WHERE rn = 1",
            "it plans",
        ),
    ]);
}
