//! Wrong programs and their exact messages.

use super::options;
use crate::{plan, render};

const TABLES: &str = "\
CREATE TABLE flights (`date` TIMESTAMP(3), delay INT, distance INT, origin STRING,
  WATERMARK FOR `date` AS `date` - INTERVAL '1' HOUR) WITH ('connector' = 'filesystem');
CREATE TABLE plain (a INT, s STRING, t TIMESTAMP(3)) WITH ('connector' = 'kafka');
CREATE TABLE out1 (a BIGINT) WITH ('connector' = 'print');
CREATE TABLE out2 (a INT NOT NULL, b STRING) WITH ('connector' = 'print');
";

fn messages(sql: &str) -> Vec<String> {
    match plan(sql, &options()) {
        Ok(_) => vec!["it plans".to_owned()],
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// Programs that begin on line 6, after the tables.
pub(super) fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(sql, expected)| {
            let found = messages(&format!("{TABLES}{sql}")).join("\n");
            (found != *expected).then(|| format!("{sql}\n  says {found}\n  not  {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
}

#[test]
fn names_that_do_not_exist() {
    check(&[
        (
            "INSERT INTO out1 SELECT dist FROM flights",
            "sql:6:25: column \"dist\" not found in table \"flights\"; did you mean \"distance\"?",
        ),
        (
            "INSERT INTO out1 SELECT Delay FROM flights",
            "sql:6:25: column \"Delay\" not found in table \"flights\"; did you mean \"delay\"?",
        ),
        (
            "INSERT INTO out1 SELECT zzz FROM plain",
            "sql:6:25: column \"zzz\" not found in table \"plain\"; it has a, s, t",
        ),
        (
            "INSERT INTO out1 SELECT f.a FROM plain p",
            "sql:6:25: table \"f\" is not in FROM; FROM has \"p\"",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plane",
            "sql:6:32: table \"plane\" not found; did you mean \"plain\"?",
        ),
        (
            "INSERT INTO out3 SELECT a FROM plain",
            "sql:6:13: table \"out3\" not found; did you mean \"out1\"?",
        ),
        (
            "INSERT INTO out1 SELECT window_start FROM plain",
            "sql:6:25: column \"window_start\" not found in table \"plain\": it comes from a window function, FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL …))",
        ),
        (
            "INSERT INTO out1 SELECT a + 1 AS b FROM plain WHERE b > 1",
            "sql:6:53: \"b\" is a name given in SELECT, which is not visible here; repeat its expression, or name it in a subquery",
        ),
        (
            "INSERT INTO out1 SELECT abc",
            "sql:6:25: column \"abc\" not found: there is no FROM; strings are written in 'single quotes'",
        ),
        (
            "INSERT INTO out1 SELECT UPER(s) FROM plain",
            "sql:6:25: the function \"UPER\" is unknown; did you mean \"UPPER\"?",
        ),
        (
            "INSERT INTO out1 SELECT BITMAP_OR_AGG(s) FROM plain",
            "sql:6:25: the aggregate function BITMAP_OR_AGG is not supported; COUNT, SUM, AVG, MIN, MAX, VAR_POP, VAR_SAMP, STDDEV_POP, STDDEV_SAMP, FIRST_VALUE, LAST_VALUE, LISTAGG, ARRAY_AGG, COLLECT and PERCENTILE are",
        ),
        (
            "INSERT INTO out1 SELECT PERCENTILE(a, 1.5) FROM plain",
            "sql:6:39: a part that PERCENTILE asks for is from 0 to 1, not 1.5",
        ),
        (
            "INSERT INTO out1 SELECT PERCENTILE(a, a) FROM plain",
            "sql:6:39: the part that PERCENTILE asks for is a number in the text, or an array of such",
        ),
        (
            "INSERT INTO out1 SELECT PERCENTILE(s, 0.5) FROM plain",
            "sql:6:36: argument 1 of PERCENTILE ITEM is a number, not STRING; it is PERCENTILE(number, part from 0 to 1, or an array of parts [, how often])",
        ),
        (
            "INSERT INTO out1 SELECT GROUP_ID(a) FROM plain GROUP BY a",
            "sql:6:25: GROUP_ID takes no arguments",
        ),
        (
            "INSERT INTO out2 (a, c) SELECT a, s FROM plain",
            "sql:6:22: column \"c\" not found in table \"out2\"",
        ),
        (
            "CREATE TABLE plain (a INT) WITH ('connector' = 'print')",
            "sql:6:14: \"plain\" is declared twice, first at 3:14",
        ),
    ]);
}

#[test]
fn types_that_do_not_fit() {
    check(&[
        (
            "INSERT INTO out1 SELECT s FROM plain",
            "sql:6:25: column 1 of the query, \"s\", is STRING, but column \"a\" of table \"out1\" is BIGINT; write CAST(… AS BIGINT)",
        ),
        (
            "INSERT INTO out1 SELECT a, s FROM plain",
            "sql:6:18: table \"out1\" takes 1 column, the query gives 2: [a BIGINT] against [a INT, s STRING]",
        ),
        (
            "INSERT INTO out2 (b) SELECT s FROM plain",
            "sql:6:22: column \"a\" of table \"out2\" is NOT NULL, but gets no value",
        ),
        (
            "INSERT INTO out1 SELECT a + s FROM plain",
            "sql:6:25: '+' cannot take INT and STRING; strings are joined with ||",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain WHERE a = s",
            "sql:6:44: INT and STRING cannot be compared; CAST one side to the other's type",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain WHERE a",
            "sql:6:44: WHERE is a BOOLEAN, not INT; compare the value with something",
        ),
        (
            "INSERT INTO out1 SELECT UPPER(a) FROM plain",
            "sql:6:31: argument 1 of UPPER is a string, not INT; it is UPPER(string)",
        ),
        (
            "INSERT INTO out1 SELECT UPPER(s, s) FROM plain",
            "sql:6:25: UPPER does not take 2 arguments; it is UPPER(string)",
        ),
        (
            "INSERT INTO out1 SELECT s || a FROM plain",
            "sql:6:30: || joins strings, and this is INT; write CAST(… AS STRING)",
        ),
        (
            "INSERT INTO out1 SELECT CASE WHEN a > 1 THEN a ELSE s END FROM plain",
            "sql:6:53: the results of CASE have no common type: INT and STRING; CAST one of them",
        ),
        (
            "INSERT INTO out1 SELECT CAST(a AS TIMESTAMP(3)) FROM plain",
            "sql:6:25: CAST from INT to TIMESTAMP(3) does not exist; use CAST(TO_TIMESTAMP_LTZ(number, 3) AS TIMESTAMP(3))",
        ),
        (
            "INSERT INTO out1 SELECT t - t FROM plain",
            "sql:6:25: '-' cannot take TIMESTAMP(3) and TIMESTAMP(3); use TIMESTAMPDIFF(SECOND, b, a)",
        ),
        (
            "INSERT INTO out1 SELECT 1 / 0",
            "sql:6:25: division by zero; guard it with NULLIF(divisor, 0) or CASE",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain UNION ALL SELECT s FROM plain",
            "sql:6:48: column \"s\" is STRING here, but INT in the first query of UNION ALL; CAST one of them",
        ),
        ("INSERT INTO out1 VALUES (1), (2, 3)", "sql:6:31: this row has 2 values, the first has 1"),
        (
            "INSERT INTO out1 SELECT DATE '2001-13-01'",
            "sql:6:25: '2001-13-01' is no DATE; it is written DATE '2001-01-31'",
        ),
    ]);
}

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
            "sql:6:227: windows take rows that are corrected by a format of changes, and these are by Top-N by rank at 6:109, which gives the last of several corrections alone: which window had ended before one of them is known to nobody but the clock; window the rows before that, or group without a window",
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
fn syntax_that_is_refused_says_what_is_missing() {
    check(&[
        ("SELECT a FROM plain", "it plans"),
        (
            "(SELECT a, NULL FROM plain)",
            "sql:6:1: column \"EXPR$1\" is NULL in every row and has no type; write CAST(NULL AS …)",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain ORDER BY a",
            "sql:6:38: ORDER BY without LIMIT needs the event time, ascending, as its first column: a stream has no end to sort at; add LIMIT, or sort by the event time",
        ),
        ("INSERT INTO out1 SELECT a FROM plain LIMIT 5", "it plans"),
        (
            "INSERT INTO out1 SELECT COUNT(*) FROM plain GROUP BY GROUPING SETS ((a), (s))",
            "it plans",
        ),
        ("INSERT INTO out1 SELECT a FROM plain UNION SELECT a FROM plain", "it plans"),
        (
            "INSERT OVERWRITE out1 SELECT a FROM plain",
            "sql:6:8: INSERT OVERWRITE is not supported: it replaces what is there, which a stream cannot; use INSERT INTO",
        ),
        (
            "DELETE FROM plain",
            "sql:6:1: DELETE is not supported: a stream is changed by what is inserted",
        ),
        (
            "INSERT INTO out1 SELECT \"a\" FROM plain",
            "sql:6:25: '\"' does not begin anything here; identifiers are quoted with `backquotes`, strings with 'single quotes'",
        ),
        (
            "INSERT INTO out1 SELECT 'abc FROM plain",
            "sql:6:25: the string that begins here has no end; close it with '",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain WHERE",
            "sql:6:43: expected an expression, found the end of the program",
        ),
        (
            "INSERT INTO out1 SELECT a b c FROM plain",
            "sql:6:29: expected ';' or the end of the statement, found 'c'",
        ),
        (
            "INSRT INTO out1 SELECT a FROM plain",
            "sql:6:1: expected a statement (CREATE TABLE, CREATE VIEW, INSERT INTO, SELECT, SET, EXECUTE STATEMENT SET), found 'INSRT'; did you mean 'INSERT'?",
        ),
        (
            "INSERT INTO out1 SELECT a::BIGINT FROM plain",
            "sql:6:26: '::' is not Flink's; write CAST(… AS …)",
        ),
        (
            "SET 'parallelism.default' = '4'",
            "sql:1:1: the program has no INSERT INTO and no SELECT, so it would do nothing",
        ),
        (
            "EXECUTE STATEMENT SET BEGIN INSERT INTO out1 SELECT a FROM plain;",
            "sql:6:1: the STATEMENT SET that begins here has no END",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain WHERE t > INTERVAL 5 MINUTE",
            "sql:6:57: an interval's value stands in quotes: INTERVAL '5' …",
        ),
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

#[test]
fn tables_that_are_declared_wrongly() {
    check(&[
        (
            "CREATE TABLE x (a TEXT) WITH ('connector' = 'print')",
            "sql:6:19: the type 'TEXT' is unknown; did you mean 'STRING'?",
        ),
        (
            "CREATE TABLE x (v ARRAY<VARIANT>) WITH ('connector' = 'kafka')",
            "sql:6:17: a VARIANT is shown by 'print' alone; declare the column STRING, write JSON_STRING(value), and read with PARSE_JSON(column)",
        ),
        (
            "CREATE TABLE x (a RAW('x', 'y')) WITH ('connector' = 'print')",
            "sql:6:19: the type RAW is not supported; declare the fields you need as columns of their own, or read the whole as STRING",
        ),
        (
            "CREATE TABLE x (a DECIMAL(40, 2)) WITH ('connector' = 'print')",
            "sql:6:27: DECIMAL has 1 to 38 digits, not 40",
        ),
        (
            "CREATE TABLE x (a INT, a INT) WITH ('connector' = 'print')",
            "sql:6:24: column \"a\" is declared twice, first at 6:17",
        ),
        (
            "CREATE TABLE x (a INT, PRIMARY KEY (a)) WITH ('connector' = 'print')",
            "sql:6:24: a PRIMARY KEY is not checked, so it must say NOT ENFORCED",
        ),
        (
            "CREATE TABLE x (a INT)",
            "sql:6:14: table \"x\" has no connector; add WITH ('connector' = '…')",
        ),
        (
            "CREATE TABLE x (a INT, PRIMARY KEY (b) NOT ENFORCED) WITH ('connector' = 'print')",
            "sql:6:37: PRIMARY KEY: column \"b\" not found in table \"x\"",
        ),
        (
            "CREATE TABLE x (a INT, b AS a + 1, PRIMARY KEY (b) NOT ENFORCED) WITH ('connector' = 'print')",
            "sql:6:49: PRIMARY KEY: column \"b\" is a computed or METADATA column, which the table does not store; name columns that are declared with a type only",
        ),
        (
            "CREATE TABLE x (a INT, b STRING METADATA) PARTITIONED BY (b) WITH ('connector' = 'print')",
            "sql:6:59: PARTITIONED BY: column \"b\" is a computed or METADATA column, which the table does not store; name columns that are declared with a type only",
        ),
        (
            "CREATE TABLE x (t TIMESTAMP, WATERMARK FOR t AS t) WITH ('connector' = 'kafka')",
            "sql:6:44: the event time \"t\" is TIMESTAMP(6), but must be TIMESTAMP(p) or TIMESTAMP_LTZ(p) with p from 0 to 3; declare \"t\" as TIMESTAMP(3), as TIMESTAMP alone has 6 digits",
        ),
        (
            "CREATE TABLE x (t BIGINT, WATERMARK FOR t AS t) WITH ('connector' = 'kafka')",
            "sql:6:41: the event time \"t\" is BIGINT, but must be TIMESTAMP(p) or TIMESTAMP_LTZ(p) with p from 0 to 3; add a column: ts AS TO_TIMESTAMP_LTZ(`t`, 3)",
        ),
        (
            "CREATE TABLE x (t TIMESTAMP(3), WATERMARK FOR t AS t + INTERVAL '1' HOUR) WITH ('connector' = 'kafka')",
            "sql:6:52: this watermark is ahead of its rows, so that all of them would be late; subtract the interval",
        ),
        (
            "CREATE TABLE x (a INT, b AS a + 1, c AS b + 1) WITH ('connector' = 'kafka')",
            "sql:6:41: a computed column cannot use another one, \"b\"; repeat its expression",
        ),
        (
            "CREATE TABLE x (a INT) WITH ('connector' = 'kafka', 'topic' = '${env:NOPE}')",
            "sql:6:63: the environment variable NOPE is not set; set it for the workers (spec.workers.env or envFrom), or in the shell for `weir run`",
        ),
        (
            "CREATE TABLE x (a INT) WITH ('connector' = 'print', 'weir.late' = 'y')",
            "sql:6:53: option 'weir.late' is unknown; did you mean 'weir.late-rows.table'?",
        ),
        (
            "CREATE TABLE x (a INT) WITH ('connector' = 'kafka', 'bad' = '1'); INSERT INTO out1 SELECT a FROM x",
            "sql:6:53: option 'bad' is unknown for connector 'kafka'",
        ),
    ]);
}

#[test]
fn every_error_is_named_at_once() {
    check(&[(
        "INSERT INTO out1 SELECT nope, UPPER(a) FROM plain WHERE zip = 1;\nINSERT INTO out2 SELECT a FROM missing;",
        "sql:6:25: column \"nope\" not found in table \"plain\"; it has a, s, t\n\
         sql:6:37: argument 1 of UPPER is a string, not INT; it is UPPER(string)\n\
         sql:6:57: column \"zip\" not found in table \"plain\"; it has a, s, t\n\
         sql:7:32: table \"missing\" not found; the program declares \"flights\", \"out1\", \"out2\", \"plain\"",
    )]);
}

#[test]
fn an_error_in_a_view_is_told_once() {
    check(&[(
        "CREATE VIEW v AS SELECT nope FROM plain; INSERT INTO out1 SELECT nope FROM v;",
        "sql:6:25: column \"nope\" not found in table \"plain\"; it has a, s, t",
    )]);
}

#[test]
fn an_empty_program_is_refused() {
    assert_eq!(
        messages(" -- nothing"),
        ["sql:1:1: the program has no INSERT INTO and no SELECT, so it would do nothing"]
    );
}

#[test]
fn deep_nesting_is_refused_and_never_exhausts_the_stack() {
    let deep = format!("{TABLES}INSERT INTO out1 SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(
        messages(&deep),
        ["sql:6:221: nested deeper than 200 levels; split the query with CREATE VIEW"]
    );
    // Of queries and types within each other fewer are enough.
    for (within, message) in [
        ("(SELECT * FROM ", "nested deeper than 50 levels; split the query with CREATE VIEW"),
        ("(", "nested deeper than 50 levels; split the query with CREATE VIEW"),
    ] {
        let query = format!("{}plain{}", within.repeat(3000), ")".repeat(3000));
        let deep = format!("{TABLES}INSERT INTO out1 SELECT * FROM {query}");
        assert!(messages(&deep)[0].ends_with(message), "{:?}", messages(&deep));
    }
    let column = format!("{}INT{}", "ARRAY<".repeat(3000), ">".repeat(3000));
    let deep = format!("CREATE TABLE deep (a {column}) WITH ('connector' = 'datagen');");
    assert_eq!(
        messages(&deep)[0],
        "sql:1:322: nested deeper than 50 levels; read such a column as STRING"
    );
    let long = format!("{TABLES}INSERT INTO out1 SELECT {}", vec!["1"; 5000].join(" + "));
    assert!(
        messages(&long)[0].contains("the expression is nested deeper than 200 levels"),
        "{:?}",
        messages(&long)
    );
    let many = format!(
        "{TABLES}INSERT INTO out1 SELECT a FROM plain WHERE a IN ({})",
        (0..5000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ")
    );
    assert_eq!(messages(&many), ["it plans"]);
}

#[test]
fn an_error_shows_its_line_with_carets() {
    let sql = "CREATE TABLE t (a INT) WITH ('connector' = 'kafka');\nINSERT INTO u\n\tSELECT distance / delay\nFROM t;";
    let errors = plan(sql, &options()).err().unwrap_or_default();
    expect_test::expect![[r#"
        sql:2:13: table "u" not found; the program declares "t"
          2 | INSERT INTO u
            |             ^
        sql:3:9: column "distance" not found in table "t"; it has a
          3 | 	SELECT distance / delay
            | 	       ^^^^^^^^"#]]
    .assert_eq(&render(&errors, sql));
}

#[test]
fn hints_are_done_or_refused_by_name() {
    check(&[
        ("INSERT INTO out1 SELECT a FROM plain /*+ OPTIONS('x' = '1') */ AS p", "it plans"),
        ("INSERT INTO out1 /*+ OPTIONS('x' = '1') */ SELECT a FROM plain", "it plans"),
        (
            "INSERT INTO out1 SELECT a FROM plain /*+ OPTIONS('bad' = '1') */",
            "sql:6:50: option 'bad' is unknown for connector 'kafka'",
        ),
        (
            "INSERT INTO out1 SELECT /*+ BROADCAST(plain), MULTI_JOIN(plain) */ a FROM plain",
            "it plans",
        ),
        (
            "INSERT INTO out1 SELECT /*+ SHUFFLE_HASH(p, plain) */ a FROM plain AS p",
            "sql:6:45: the hint SHUFFLE_HASH is for \"plain\", which this FROM does not have; give a table's name or alias",
        ),
        (
            "INSERT INTO out1 SELECT /*+ LEADING(plain) */ a FROM plain",
            "sql:6:29: the hint LEADING is not supported; of Flink's hints OPTIONS('key' = 'value') is, right behind the name of a table, before its alias, and LOOKUP('table' = 'name', …), STATE_TTL('name' = '1 d', …) and those of joins, behind SELECT",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain /*+ STATE_TTL('plain' = '1d') */",
            "sql:6:42: the hint STATE_TTL is not supported; of Flink's hints OPTIONS('key' = 'value') is, right behind the name of a table, before its alias, and LOOKUP('table' = 'name', …), STATE_TTL('name' = '1 d', …) and those of joins, behind SELECT",
        ),
        (
            "INSERT INTO out1 SELECT /*+ OPTIONS('x' = '1') */ a FROM plain",
            "sql:6:29: OPTIONS has no place behind SELECT; it stands right behind the name of the table that it is for, before its alias",
        ),
        (
            "INSERT INTO out1 SELECT a /*+ later */ FROM plain",
            "sql:6:27: a hint has no place here; OPTIONS('key' = 'value') stands right behind the name of a table, and a comment begins with /* and no +",
        ),
        (
            "CREATE VIEW v AS SELECT a FROM plain; INSERT INTO out1 SELECT a FROM v /*+ OPTIONS('x' = '1') */",
            "sql:6:84: \"v\" is a query's name, and only tables have options; write the hint behind the table's name in that query",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain /*+ OPTIONS('weir.late-rows.table' = 'out1') */",
            "sql:6:50: option 'weir.late-rows.table' has no place in a hint; set it in the table's WITH",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain /*+ OPTIONS('x' = '1')",
            "sql:6:38: the hint that begins here has no end; close it with */",
        ),
    ]);
}

#[test]
fn a_table_without_columns() {
    check(&[(
        "CREATE TABLE o WITH ('connector' = 'print')",
        "sql:6:16: table \"o\" has no columns; declare them before WITH: CREATE TABLE o (name TYPE, …) WITH (…)",
    )]);
}

#[test]
fn functions_that_flink_has_are_no_misspelled_others() {
    check(&[
        (
            "INSERT INTO out1 SELECT CAST(SOURCE_WATERMARK() AS BIGINT) FROM plain",
            "sql:6:30: Flink's function SOURCE_WATERMARK is not supported by Weir yet",
        ),
        (
            "INSERT INTO out1 SELECT json_value(s, '$.a' RETURNING DATE) FROM plain",
            "sql:6:55: RETURNING takes STRING, BOOLEAN, INT, DOUBLE here; CAST the result",
        ),
        (
            "INSERT INTO out1 SELECT JSON_VALUE(s, '$..a' RETURNING INT) FROM plain",
            "sql:6:39: the JSON path '$..a' cannot be read: a name is missing behind a point ('..' is not supported)",
        ),
        (
            "INSERT INTO out1 SELECT CHAR_LENGTH(ML_PREDICT()) FROM plain",
            "sql:6:37: Flink's function ML_PREDICT is not supported by Weir yet",
        ),
        (
            "INSERT INTO out1 SELECT ROUNT(1.5) FROM plain",
            "sql:6:25: the function \"ROUNT\" is unknown; did you mean \"ROUND\"?",
        ),
    ]);
}

#[test]
fn strings_with_numbers_of_characters() {
    check(&[
        ("INSERT INTO out2 SELECT 1, U&'\\0041\\\\b' FROM plain", "it plans"),
        ("INSERT INTO out2 SELECT 1, U&'d!0061' UESCAPE '!' FROM plain", "it plans"),
        (
            "INSERT INTO out2 SELECT 1, U&'\\41' FROM plain",
            "sql:6:28: '\\41' in this string is no character; write \\ and four hexadecimal digits, as in \\0001",
        ),
        (
            "INSERT INTO out2 SELECT 1, U&'\\D83D' FROM plain",
            "sql:6:28: half of a surrogate pair is no character; write both halves",
        ),
        (
            "INSERT INTO out2 SELECT 1, U&'a' UESCAPE 'ab' FROM plain",
            "sql:6:42: UESCAPE is followed by one character in quotes, which is no hexadecimal digit, blank, quote or +",
        ),
    ]);
}

#[test]
fn a_comment_that_takes_in_a_statement_is_told() {
    let told = "the comment that begins here goes on to the end of its line, and holds a statement, which is not run; if the manifest has `sql: >`, its lines were joined: write `sql: |`";
    check(&[
        (
            "INSERT INTO -- rows of plain INSERT INTO out1 SELECT a FROM plain",
            &format!(
                "sql:6:13: {told}\nsql:6:66: expected a table's name, found the end of the program"
            ),
        ),
        ("INSERT INTO out1 SELECT a FROM plain -- all of them", "it plans"),
        (
            "-- INSERT INTO out1 SELECT s FROM plain\nINSERT INTO out1 SELECT a FROM plain",
            "it plans",
        ),
    ]);
    let warned = |sql: &str| {
        let warnings = plan(&format!("{TABLES}{sql}"), &options()).map(|p| p.warnings);
        warnings.unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let first =
        "INSERT INTO out1 SELECT a FROM plain; -- then INSERT INTO out1 SELECT a FROM plain;";
    assert_eq!(warned(first), [format!("sql:6:39: {told}")]);
    assert!(warned("INSERT INTO out1 SELECT a FROM plain; -- '-- SELECT'").is_empty());
}

#[test]
fn joins_that_cannot_be_say_why() {
    check(&[
        (
            "INSERT INTO out1 SELECT a FROM plain JOIN flights",
            "sql:6:38: this JOIN lacks its condition; write ON <condition> or USING (<columns>) behind the table, or CROSS JOIN for every pair of rows",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain JOIN plain ON a = a",
            "sql:6:43: \"plain\" is in FROM twice, so that its columns cannot be told apart; give one of them another name with AS",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain p JOIN plain q ON p.a = q.a",
            "sql:6:25: column \"a\" is ambiguous: \"p\" and \"q\" have one; write <table>.a",
        ),
        (
            "INSERT INTO out1 SELECT p.a FROM plain p JOIN flights f ON p.a = x.delay",
            "sql:6:66: table \"x\" is not in FROM; FROM has \"p\", \"f\"",
        ),
        (
            "INSERT INTO out1 SELECT p.a FROM plain p JOIN flights f ON p.a = f.dely",
            "sql:6:68: column \"dely\" not found in table \"flights\"; did you mean \"delay\"?",
        ),
        (
            "INSERT INTO out1 SELECT p.a FROM plain p JOIN flights f ON p.a + f.delay",
            "sql:6:60: ON is a BOOLEAN, not INT; compare the value with something",
        ),
        (
            "INSERT INTO out1 SELECT p.a FROM plain p JOIN flights f ON p.s = f.delay",
            "sql:6:60: STRING and INT cannot be compared; CAST one side to the other's type",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain JOIN flights USING (a)",
            "sql:6:58: column \"a\" of USING not found in table \"flights\"; both sides have to have it",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain JOIN flights ON a = delay AND t < LOCALTIMESTAMP",
            "sql:6:68: what joins rows has to give the same answer whenever it is asked, but this reads the clock, so that rows computed again after a failure may differ; compute the value in a query of its own, and compare with that",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain LEFT SEMI JOIN flights ON a = delay",
            "sql:6:43: SEMI and ANTI joins are written as WHERE … IN (SELECT …), EXISTS or NOT EXISTS",
        ),
        (
            "INSERT INTO out1 SELECT a FROM plain WHERE a IN (SELECT delay, distance FROM flights)",
            "sql:6:50: IN compares with one column, and this query gives 2; select the one that is meant",
        ),
        (
            "INSERT INTO out1 SELECT p.a FROM plain p JOIN flights ON p.a = 1 OR EXISTS (SELECT * FROM flights)",
            "sql:6:69: a query that stands for a value has its place in SELECT, WHERE and HAVING; here, join it",
        ),
        (
            "INSERT INTO out1 SELECT COUNT(*), (SELECT MAX(delay) FROM flights WHERE delay > p.a) FROM plain p",
            "sql:6:36: this query speaks of \"a\", which is not in GROUP BY, so that a group has no value of it; add it to GROUP BY",
        ),
        (
            "INSERT INTO out1 SELECT /*+ STATE_TTL('q' = '1 d') */ p.a FROM plain p",
            "sql:6:39: the hint STATE_TTL is for 'q', which this FROM does not have; give a table's alias, or its name where it has none",
        ),
        (
            "INSERT INTO out1 SELECT /*+ STATE_TTL('p' = 'soon') */ p.a FROM plain p",
            "sql:6:45: STATE_TTL of 'p' is a length of time, such as '12 h', not 'soon'",
        ),
        (
            "INSERT INTO out1 SELECT (SELECT delay FROM flights) FROM plain",
            "sql:6:25: this query may give more than one row where one value is wanted; take an aggregate of them, such as MAX, without GROUP BY, or join the query",
        ),
        (
            "INSERT INTO out1 SELECT (SELECT MAX(delay) FROM flights WHERE delay > p.a) FROM plain p",
            "it plans",
        ),
        (
            "CREATE TABLE f (a INT) WITH ('connector' = 'filesystem');\nINSERT INTO f SELECT p.a FROM plain p LEFT JOIN flights ON a = delay",
            "sql:7:13: table \"f\" (connector 'filesystem') takes rows that only come, and this query corrects rows that it gave before: LEFT JOIN at 7:39; say how far apart the event times of a pair may be (l.ts BETWEEN r.ts - INTERVAL … AND r.ts + INTERVAL …), or give the table 'format' = 'debezium-json'",
        ),
        ("INSERT INTO out1 SELECT p.a FROM plain p NATURAL JOIN plain q", "it plans"),
        (
            "INSERT INTO out1 SELECT p.a FROM (plain p CROSS JOIN flights) JOIN plain q ON q.a = p.a",
            "it plans",
        ),
    ]);
}

#[test]
fn joins_as_of_a_time_say_what_they_lack() {
    let table = |rest: &str| {
        format!(
            "CREATE TABLE r (k INT, v INT, t TIMESTAMP(3){rest}) WITH ('connector' = 'kafka');\nINSERT INTO out1 SELECT f.delay FROM flights f "
        )
    };
    let versioned = ", WATERMARK FOR t AS t, PRIMARY KEY (k) NOT ENFORCED";
    let cases = [
        (
            "INSERT INTO out1 SELECT a FROM plain FOR SYSTEM_TIME AS OF t".to_owned(),
            "sql:6:38: FOR SYSTEM_TIME AS OF has its place in a join, behind the table on the right: FROM a JOIN b FOR SYSTEM_TIME AS OF a.ts ON a.k = b.k",
        ),
        (
            format!("{}RIGHT JOIN r FOR SYSTEM_TIME AS OF f.`date` ON f.delay = r.k", table(versioned)),
            "sql:7:48: FOR SYSTEM_TIME AS OF takes JOIN and LEFT JOIN, not RIGHT JOIN: table \"r\" is asked by the rows on the left, and gives nothing by itself",
        ),
        (
            format!("{}JOIN r FOR SYSTEM_TIME AS OF f.`date` + INTERVAL '1' HOUR ON f.delay = r.k", table(versioned)),
            "sql:7:77: FOR SYSTEM_TIME AS OF takes an event time of the left side, a column alone; it has \"date\"",
        ),
        (
            format!("{}JOIN r FOR SYSTEM_TIME AS OF r.t ON f.delay = r.k", table(versioned)),
            "sql:7:77: table \"r\" is not in FROM; FROM has \"f\"",
        ),
        (
            "INSERT INTO out1 SELECT p.a FROM plain p JOIN flights FOR SYSTEM_TIME AS OF p.t AS f ON p.a = f.delay".to_owned(),
            "sql:6:77: \"t\" is no event time, and FOR SYSTEM_TIME AS OF takes one of the left side; it has none: declare WATERMARK FOR a column of its table, and select that column unchanged",
        ),
        (
            format!("{}JOIN r FOR SYSTEM_TIME AS OF f.`date` ON f.delay = r.k", table(", WATERMARK FOR t AS t")),
            "sql:7:53: table \"r\" has no key by which a version takes the place of the one before; declare PRIMARY KEY (…) NOT ENFORCED and keep its columns, or number the rows: ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) = 1",
        ),
        (
            format!("{}JOIN r FOR SYSTEM_TIME AS OF f.`date` ON f.delay = r.k", table(", PRIMARY KEY (k) NOT ENFORCED")),
            "sql:7:53: table \"r\" has no event time, from which a version is valid; declare WATERMARK FOR a column of its table, and select that column unchanged",
        ),
        (
            format!("{}JOIN r FOR SYSTEM_TIME AS OF f.`date` ON f.delay = r.v", table(versioned)),
            "sql:7:89: ON has to say of each column of the key of table \"r\" (\"k\") what it equals, in the same type; it does not of \"k\"",
        ),
        (
            format!("{}JOIN (SELECT * FROM r WHERE v > 1) FOR SYSTEM_TIME AS OF f.`date` AS r ON f.delay = r.k", table(versioned)),
            "sql:7:53: the query in FROM filters versions: what took the place of a row that is left would be unknown; put the condition into ON, where it is asked of the version that a row meets",
        ),
        (
            format!("{}JOIN (SELECT k, COUNT(*) AS n FROM r GROUP BY k) FOR SYSTEM_TIME AS OF f.`date` AS g ON f.delay = g.k", table(versioned)),
            "sql:7:53: the query in FROM is no versioned table: its rows are corrected (GROUP BY without a window at 7:85) at times that no column says. A versioned table has a PRIMARY KEY and a WATERMARK, or keeps the last row of each key: ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) = 1",
        ),
        (
            format!("{}JOIN r FOR SYSTEM_TIME AS OF PROCTIME() ON f.delay = r.k", table(versioned)),
            "sql:7:48: table \"r\" (connector 'kafka') cannot be asked by processing time: it would be read as a whole, and it has no end; ask by event time (FOR SYSTEM_TIME AS OF an event time of the left side), or read a table that ends, again and again ('lookup.full-cache.periodic-reload.interval')",
        ),
        (
            "CREATE TABLE s (k INT, p AS PROCTIME()) WITH ('connector' = 'kafka');\nINSERT INTO out1 SELECT s.k FROM s JOIN (SELECT delay, COUNT(*) AS n FROM flights GROUP BY delay) FOR SYSTEM_TIME AS OF s.p AS f ON s.k = f.delay".to_owned(),
            "sql:7:41: the query in FROM cannot be asked by processing time: only a table can, or VALUES, with a filter and expressions at most; write what it computes to a table, or ask by event time",
        ),
        (
            "CREATE TABLE s (k INT, p AS PROCTIME()) WITH ('connector' = 'kafka');\nINSERT INTO out1 SELECT s.k FROM s JOIN flights FOR SYSTEM_TIME AS OF s.p AS f ON s.k < f.delay".to_owned(),
            "sql:7:83: ON has to say what a column of table \"flights\" equals, in the same type: that is what it is asked by",
        ),
        (
            "CREATE TABLE s (k INT, p AS PROCTIME(), WATERMARK FOR p AS p) WITH ('connector' = 'kafka');\nINSERT INTO out1 SELECT k FROM s".to_owned(),
            "sql:6:55: \"p\" is the time at which a row is looked at, which needs no watermark; leave WATERMARK FOR out",
        ),
        (
            "INSERT INTO out1 SELECT /*+ LOOKUP('table' = 'f') */ a FROM plain".to_owned(),
            "sql:6:46: the hint LOOKUP is for \"f\", which this FROM does not ask: it stands behind JOIN with FOR SYSTEM_TIME AS OF processing time, under this name or alias",
        ),
        (
            "CREATE TABLE s (k INT, p AS PROCTIME()) WITH ('connector' = 'kafka');\nINSERT INTO out1 SELECT /*+ LOOKUP('table' = 'f', 'retry-predicate' = 'lookup_miss') */ s.k FROM s JOIN flights FOR SYSTEM_TIME AS OF s.p AS f ON s.k = f.delay".to_owned(),
            "sql:7:29: whoever asks again says all of 'retry-predicate' = 'lookup_miss', 'retry-strategy' = 'fixed_delay', 'fixed-delay' and 'max-attempts'",
        ),
    ];
    let cases: Vec<(&str, &str)> = cases.iter().map(|(sql, says)| (sql.as_str(), *says)).collect();
    check(&cases);
}

#[test]
fn what_stands_beside_rows_says_why_it_cannot() {
    let refusals = [
        (
            "SELECT x FROM plain CROSS JOIN UNNEST(a) AS t (x)",
            "6:56: UNNEST takes an ARRAY, a MAP or a MULTISET, and this is INT",
        ),
        (
            "SELECT x FROM plain CROSS JOIN UNNEST(ARRAY[a]) AS t (x, y)",
            "6:49: 2 names for 1 columns of UNNEST: t",
        ),
        (
            "SELECT x FROM plain RIGHT JOIN UNNEST(ARRAY[a]) AS t (x) ON TRUE",
            "6:38: UNNEST stands for rows beside those before it: write CROSS JOIN UNNEST, or LEFT JOIN UNNEST … ON TRUE for all of those",
        ),
        (
            "SELECT n FROM plain AS p LEFT JOIN LATERAL (SELECT delay AS n FROM flights WHERE delay = p.a) AS t ON n > 1",
            "6:120: LEFT JOIN LATERAL takes ON TRUE alone: it keeps rows that have nothing beside them; write the condition inside of LATERAL",
        ),
        (
            "SELECT x FROM plain JOIN UNNEST(ARRAY[a]) AS t (x) USING (x)",
            "6:38: UNNEST takes ON with a condition, or CROSS JOIN",
        ),
        (
            "SELECT x FROM plain, LATERAL TABLE(explode(s)) AS t (x)",
            "6:53: there is no table function EXPLODE; UNNEST gives the elements of an ARRAY, MAP or MULTISET as rows, SPLIT makes an ARRAY of a string",
        ),
        (
            "SELECT n FROM plain AS p, LATERAL (SELECT COUNT(*) AS n FROM flights WHERE delay < p.a) AS t",
            "6:44: a query behind LATERAL that speaks of the rows before it can choose and compute columns; what aggregates, groups or orders is written as a query of its own and joined by its keys (by itself: table \"p\" is not in FROM; FROM has \"flights\")",
        ),
        (
            "SELECT n FROM plain AS p LEFT JOIN LATERAL (SELECT delay + p.a AS n FROM flights WHERE delay = p.a) AS t ON TRUE",
            "6:69: where LEFT JOIN LATERAL finds nothing its columns are NULL, which only columns of the query's own FROM are by themselves; compute in the SELECT list around it",
        ),
        (
            "SELECT p.a FROM plain AS p CROSS JOIN UNNEST(ARRAY[1]) AS p (x)",
            "6:56: \"p\" is in FROM twice, so that its columns cannot be told apart; give one of them another name with AS",
        ),
        (
            "SELECT a FROM plain ORDER BY ARRAY[a] LIMIT 3",
            "6:47: ARRAY<INT> has no order to sort rows by; sort by its parts, or by a CAST of it AS STRING",
        ),
    ];
    let cases =
        refusals.map(|(sql, says)| (format!("INSERT INTO out1 {sql}"), format!("sql:{says}")));
    check(&cases.iter().map(|(sql, says)| (sql.as_str(), says.as_str())).collect::<Vec<_>>());
}
