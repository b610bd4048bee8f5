//! What is wrong with a MATCH_RECOGNIZE, and what to write instead.

use super::errors::check;

/// The query that stands on line 6, with one clause of it another one.
struct Clauses {
    before: &'static str,
    measures: &'static str,
    rows: &'static str,
    pattern: &'static str,
    define: &'static str,
}

const RIGHT: Clauses = Clauses {
    before: "PARTITION BY origin ORDER BY `date`",
    measures: "A.delay AS d",
    rows: "ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW",
    pattern: "PATTERN (A B)",
    define: "A AS A.delay > 1",
};

/// Each clause on a line of its own, from line 7 on.
fn query(clauses: &Clauses) -> String {
    let Clauses { before, measures, rows, pattern, define } = clauses;
    format!(
        "SELECT * FROM flights MATCH_RECOGNIZE (\n{before}\nMEASURES {measures}\n{rows}\n{pattern}\nDEFINE {define}\n)"
    )
}

fn check_clauses(cases: &[(Clauses, &str)]) {
    let queries: Vec<(String, &str)> =
        cases.iter().map(|(clauses, expected)| (query(clauses), *expected)).collect();
    let cases: Vec<(&str, &str)> = queries.iter().map(|(sql, e)| (sql.as_str(), *e)).collect();
    check(&cases);
}

#[test]
fn rows_that_have_no_order() {
    let before = |before| Clauses { before, ..RIGHT };
    check_clauses(&[
        (before("ORDER BY `date`"), "it plans"),
        (
            before("PARTITION BY origin"),
            "sql:6:23: MATCH_RECOGNIZE needs ORDER BY and an event time, in the order of which rows follow each other; the event time of table \"flights\" is \"date\"",
        ),
        (
            before("ORDER BY delay"),
            "sql:7:10: MATCH_RECOGNIZE is ordered by an event time first, and \"delay\" is none; the event time of table \"flights\" is \"date\"",
        ),
        (
            before("ORDER BY `date` DESC"),
            "sql:7:10: MATCH_RECOGNIZE is ordered by an event time upwards: a stream has no last row to begin at; leave DESC out",
        ),
        (
            before("PARTITION BY UPPER(origin) ORDER BY `date`"),
            "sql:7:14: PARTITION BY of MATCH_RECOGNIZE names columns; compute this in a query below",
        ),
        (
            before("PARTITION BY nowhere ORDER BY `date`"),
            "sql:7:14: column \"nowhere\" not found in table \"flights\"; it has date, delay, distance, origin",
        ),
        (
            before("PARTITION BY origin ORDER BY `date`, nowhere"),
            "sql:7:38: column \"nowhere\" not found in table \"flights\"; it has date, delay, distance, origin",
        ),
    ]);
    check(&[
        (
            "SELECT * FROM plain MATCH_RECOGNIZE (ORDER BY t MEASURES A.a AS x PATTERN (A B) DEFINE A AS A.a > 1)",
            "sql:6:47: MATCH_RECOGNIZE is ordered by an event time first, and \"t\" is none; table \"plain\" has none: declare a WATERMARK, or select it along",
        ),
        (
            "SELECT * FROM (SELECT origin, MAX(delay) AS d, MAX(`date`) AS t FROM flights GROUP BY origin) MATCH_RECOGNIZE (ORDER BY t MEASURES A.d AS x PATTERN (A B) DEFINE A AS A.d > 1)",
            "sql:6:121: MATCH_RECOGNIZE is ordered by an event time first, and \"t\" is none; the query in FROM has none: declare a WATERMARK, or select it along",
        ),
        (
            "SELECT * FROM flights AS f MATCH_RECOGNIZE (ORDER BY `date` PATTERN (A) DEFINE A AS A.delay > 1)",
            "sql:6:28: MATCH_RECOGNIZE stands right behind a table or a query in parentheses, before its alias; put a join into a view, and an alias behind MATCH_RECOGNIZE (…)",
        ),
        (
            "SELECT * FROM flights MATCH_RECOGNIZE (ORDER BY `date` PATTERN (A) DEFINE A AS A.delay > 1)",
            "sql:6:23: this gives no column: a match gives what PARTITION BY and MEASURES name; add MEASURES",
        ),
    ]);
}

#[test]
fn rows_that_are_corrected_are_no_sequence() {
    check(&[(
        "SELECT * FROM (SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY origin ORDER BY delay) AS n FROM flights) WHERE n <= 2) MATCH_RECOGNIZE (ORDER BY `date` MEASURES A.delay AS x PATTERN (A B) DEFINE A AS A.delay > 1)",
        "sql:6:129: MATCH_RECOGNIZE takes rows that only come, and Top-N by rank at 6:59 corrects rows that it gave before; rank the rows of windows (PARTITION BY window_start, window_end)",
    )]);
}

#[test]
fn patterns_that_cannot_be() {
    let pattern = |pattern| Clauses { pattern, ..RIGHT };
    check_clauses(&[
        (pattern("PATTERN (A+ | B)"), "it plans"),
        (
            pattern("PATTERN (PERMUTE(A, B) {- A -}) WITHIN INTERVAL '1' HOUR SUBSET S = (A, B)"),
            "it plans",
        ),
        (
            pattern("PATTERN (A* B?)"),
            "sql:6:23: this PATTERN fits no row at all as well, and a match has at least one; let one of its variables be there without '?' or '*'",
        ),
        (
            pattern("PATTERN (A (B?)+)"),
            "sql:10:12: what is repeated here may be no row at all, so that it has no end; leave out the '?' or '*' inside of it",
        ),
        (
            pattern("PATTERN (^ A)"),
            "sql:10:10: '^' demands that a match begins with the first row of its partition; it is not supported; leave it out",
        ),
        (
            pattern("PATTERN (A B$)"),
            "sql:10:12: '$' demands that a match ends with the last row of its partition, which a stream does not have; it is not supported; leave it out",
        ),
        (
            pattern("PATTERN (A B $)"),
            "sql:10:14: '$' demands that a match ends with the last row of its partition, which a stream does not have; it is not supported; leave it out",
        ),
        (
            pattern("PATTERN (A ())"),
            "sql:10:12: an empty pattern fits no row; name a variable between the parentheses",
        ),
        (
            pattern("PATTERN (A{3,2})"),
            "sql:10:11: a quantifier is {n}, {n,}, {n,m} or {,m}, with m at least n and 1",
        ),
        (
            pattern("PATTERN (A{0})"),
            "sql:10:11: a quantifier is {n}, {n,}, {n,m} or {,m}, with m at least n and 1",
        ),
        (
            pattern("PATTERN (A B{20000})"),
            "sql:6:23: the PATTERN has more than 16384 steps when its repetitions are written out; use smaller numbers in {n,m}",
        ),
        (
            pattern("PATTERN (PERMUTE(A, B, A, B, A, B, A))"),
            "sql:10:10: PERMUTE of 7 parts stands for too many patterns; it takes up to 6",
        ),
        (
            pattern("PATTERN (A B) WITHIN INTERVAL '1' MONTH"),
            "sql:10:22: WITHIN takes a length of time that is always the same; write it in days or less",
        ),
        (
            pattern("PATTERN (A B) WITHIN INTERVAL '0' SECOND"),
            "sql:10:22: WITHIN takes a length of time longer than nothing, such as INTERVAL '1' HOUR",
        ),
        (
            pattern("PATTERN (A B) WITHIN 5"),
            "sql:10:22: WITHIN takes a length of time longer than nothing, such as INTERVAL '1' HOUR",
        ),
        (
            pattern("PATTERN (A B) SUBSET S = (A, X)"),
            "sql:10:30: \"X\" is no variable of PATTERN; it has A, B",
        ),
        (
            pattern("PATTERN (A B) SUBSET A = (A, B)"),
            "sql:10:22: \"A\" has a meaning already; give the subset another name",
        ),
        (pattern("PATTERN A B"), "sql:10:9: expected '(', found 'A'"),
    ]);
}

#[test]
fn what_leaves_and_where_the_search_goes_on() {
    let rows = |rows| Clauses { rows, ..RIGHT };
    check_clauses(&[
        (rows("ALL ROWS PER MATCH"), "it plans"),
        (rows("ALL ROWS PER MATCH OMIT EMPTY MATCHES AFTER MATCH SKIP TO B"), "it plans"),
        (
            rows("ALL ROWS PER MATCH WITH UNMATCHED ROWS"),
            "sql:9:20: WITH UNMATCHED ROWS is not supported: rows leave as part of a match; leave it out, and join the matches with the table",
        ),
        (
            rows("ALL ROWS PER MATCH SHOW EMPTY MATCHES"),
            "sql:9:20: SHOW EMPTY MATCHES is not supported: a match has at least one row; leave it out",
        ),
        (
            rows("AFTER MATCH SKIP TO FIRST X"),
            "sql:9:27: \"X\" is no variable of PATTERN; it has A, B",
        ),
        (
            rows("AFTER MATCH SKIP AHEAD"),
            "sql:9:18: expected PAST LAST ROW, TO NEXT ROW, or TO and a variable, found 'AHEAD'",
        ),
        (rows("AFTER MATCH SKIP TO"), "sql:10:9: expected PATTERN, found '('"),
    ]);
}

#[test]
fn measures_that_mean_nothing() {
    let measures = |measures| Clauses { measures, ..RIGHT };
    check_clauses(&[
        (
            measures("FINAL LAST(A.delay, 1) + RUNNING SUM(B.delay) AS x, COUNT(A.*) AS n"),
            "it plans",
        ),
        (measures("A.delay"), "sql:9:1: expected AS and the measure's name, found 'ONE'"),
        (measures("X.delay AS x"), "sql:8:10: \"X\" is no variable of PATTERN; it has A, B"),
        (
            measures("A.late AS x"),
            "sql:8:12: column \"late\" not found in table \"flights\"; did you mean \"date\"?",
        ),
        (
            measures("A.delay AS origin"),
            "sql:8:21: two columns of the result are called \"origin\"; give the measure another name",
        ),
        (measures("NULL AS x"), "sql:8:10: a NULL without a type is no measure; CAST it"),
        (
            measures("MATCH_PROCTIME() AS x"),
            "sql:8:10: MATCH_PROCTIME() is a processing time, and this match is ordered by event time; write MATCH_ROWTIME()",
        ),
        (
            measures("MATCH_ROWTIME(delay) AS x"),
            "sql:8:10: MATCH_ROWTIME takes nothing, or the event time \"date\" that the match is ordered by",
        ),
        (measures("CLASSIFIER(A) AS x"), "sql:8:10: CLASSIFIER takes no arguments"),
        (
            measures("LAST(A.delay, B.delay) AS x"),
            "sql:8:24: the second argument of LAST is a number of rows, such as 1",
        ),
        (
            measures("LAST(A.delay, -1) AS x"),
            "sql:8:24: the second argument of LAST is a number of rows, such as 1",
        ),
        (
            measures("LAST() AS x"),
            "sql:8:10: LAST takes a value and how many rows away it is, as in LAST(A.x, 1)",
        ),
        (measures("LAST(1) AS x"), "sql:8:15: LAST needs a column of a row"),
        (
            measures("LAST(A.delay + B.delay) AS x"),
            "sql:8:25: FIRST, LAST, PREV and NEXT are of one variable's row; write them around each column",
        ),
        (
            measures("LAST(FIRST(A.delay)) AS x"),
            "sql:8:15: FIRST and LAST do not stand inside of each other; count the rows in one of them",
        ),
        (
            measures("LAST(PREV(A.delay)) AS x"),
            "sql:8:15: PREV stands around FIRST and LAST, not inside; write PREV(LAST(…))",
        ),
        (
            measures("PREV(NEXT(A.delay)) AS x"),
            "sql:8:15: PREV and NEXT do not stand inside of each other; count the rows in one of them",
        ),
        (
            measures("LAST(SUM(A.delay)) AS x"),
            "sql:8:15: SUM has no place in FIRST, LAST, PREV or NEXT, which take a row's value",
        ),
        (
            measures("SUM(LAST(A.delay)) AS x"),
            "sql:8:14: LAST has no place in an aggregate; aggregate the column itself",
        ),
        (
            measures("SUM(MAX(A.delay)) AS x"),
            "sql:8:14: MAX is an aggregate, which cannot stand inside another",
        ),
        (
            measures("SUM(A.delay + B.delay) AS x"),
            "sql:8:24: an aggregate is over the rows of one variable; SUBSET gives several of them a name",
        ),
        (
            measures("SUM(A.delay / A.distance) AS x"),
            "sql:8:14: this argument can fail, and would for rows that are in no match; compute it in a query that MATCH_RECOGNIZE stands behind",
        ),
        (
            measures("SUM(A.delay) FILTER (WHERE A.delay > 1) AS x"),
            "sql:8:37: FILTER has no place in MATCH_RECOGNIZE; a variable of its own says which rows count",
        ),
        (measures("COUNT(X.*) AS x"), "sql:8:16: \"X\" is no variable of PATTERN; it has A, B"),
        (
            measures("FINAL UPPER(A.origin) AS x"),
            "sql:8:10: FINAL stands before FIRST, LAST or an aggregate",
        ),
        (
            measures("(SELECT 1) AS x"),
            "sql:8:10: a query that stands for a value has its place in SELECT, WHERE and HAVING; here, join it",
        ),
        (
            measures("SUM(A.delay) OVER (ORDER BY A.delay) AS x"),
            "sql:8:10: OVER has its place in SELECT and QUALIFY; name the result in a subquery and use it around that",
        ),
    ]);
}

#[test]
fn conditions_that_cannot_be_looked_at() {
    let define = |define| Clauses { define, ..RIGHT };
    check_clauses(&[
        (
            define("A AS A.delay > 1 AND PREV(A.delay) < 2, B AS COUNT(A.delay) > SUM(B.delay)"),
            "it plans",
        ),
        (
            define("A AS A.delay"),
            "sql:11:13: the condition of \"A\" is a BOOLEAN, not INT; compare the value with something",
        ),
        (
            define("A AS A.delay > 1, A AS A.delay < 5"),
            "sql:11:26: \"A\" is defined twice; join its conditions by AND",
        ),
        (define("X AS X.delay > 1"), "sql:11:8: \"X\" is no variable of PATTERN; it has A, B"),
        (
            define("A AS RAND() > 0.5"),
            "sql:11:13: a condition of DEFINE is looked at more than once, and this one is made by chance, so that rows computed again after a failure have other values; compute the value in a query below",
        ),
        (
            define("A AS FINAL LAST(A.delay) > 1"),
            "sql:11:13: FINAL has no place in DEFINE: the end of the match is not known while its rows are looked for; leave it out",
        ),
        (
            define("A AS MATCH_ROWTIME() IS NULL"),
            "sql:11:13: MATCH_ROWTIME() is the time of a whole match, and has its place in MEASURES, by itself or in an expression; use the event-time column here",
        ),
        (
            define("A AS COUNT(DISTINCT A.delay) > 1"),
            "sql:11:13: COUNT(DISTINCT …) is not supported in DEFINE: the values would have to be kept for every way that is tried; it is in MEASURES",
        ),
        (
            define("A AS A.delay IN (SELECT 1)"),
            "sql:11:13: a query that stands for a value has its place in SELECT, WHERE and HAVING; here, join it",
        ),
    ]);
}

#[test]
fn times_of_matches_that_leave_late_are_no_event_times() {
    let sql = |pattern: &str| {
        format!(
            "CREATE VIEW m AS SELECT * FROM flights MATCH_RECOGNIZE (ORDER BY `date` MEASURES MATCH_ROWTIME() AS t PATTERN ({pattern} DEFINE B AS B.delay > 1);\nSELECT COUNT(*) FROM TABLE(TUMBLE(TABLE m, DESCRIPTOR(t), INTERVAL '1' HOUR)) GROUP BY window_start, window_end"
        )
    };
    check(&[
        (&sql("A B+ A)"), "it plans"),
        (&sql("A B+) WITHIN INTERVAL '1' HOUR"), "it plans"),
        (
            &sql("A B+)"),
            "sql:7:55: \"t\" is no event time: with this PATTERN matches may leave long after their last row, and would be late; end it with a variable that is there once, or add WITHIN",
        ),
    ]);
}
