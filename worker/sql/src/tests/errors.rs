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
fn control_characters_in_names_are_refused_where_they_stand() {
    check(&[
        (
            "INSERT INTO out1 SELECT `a\u{1f}b` FROM plain",
            "sql:6:27: a name cannot hold control characters, and this one is U+001F; leave it out",
        ),
        (
            "INSERT INTO `default\u{1e}out1` SELECT a FROM plain",
            "sql:6:21: a name cannot hold control characters, and this one is U+001E; leave it out",
        ),
        (
            "INSERT INTO out1 SELECT\n  `a\n` FROM plain",
            "sql:7:5: a name cannot hold control characters, and this one is U+000A; leave it out",
        ),
    ]);
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
            "sql:6:39: argument 1 of BITMAP_OR_AGG is a BITMAP, not STRING; it is BITMAP_OR_AGG(bitmap)",
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
            "sql:6:36: argument 1 of PERCENTILE is a number, not STRING; it is PERCENTILE(number, part from 0 to 1, or an array of parts [, how often])",
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
            "sql:6:8: INSERT OVERWRITE is for batch jobs alone: a streaming job has no end at which its rows could take the place of what is there; SET 'execution.runtime-mode' = 'batch' in front of it, or write INSERT INTO",
        ),
        (
            "SET 'execution.runtime-mode' = 'batch'; CREATE TABLE o (a INT) WITH ('connector' = 'blackhole'); INSERT OVERWRITE o SELECT a FROM plain",
            "sql:6:115: INSERT OVERWRITE replaces files, and table \"o\" (connector 'blackhole') has none; write INSERT INTO, or a table with 'connector' = 'filesystem'",
        ),
        (
            "SET 'execution.runtime-mode' = 'batch'; CREATE TABLE f (a INT, p STRING) PARTITIONED BY (p) WITH ('connector' = 'filesystem', 'path' = 'f', 'format' = 'csv'); INSERT OVERWRITE f SELECT a, 'x' FROM plain; INSERT INTO f SELECT a, 'y' FROM plain",
            "sql:6:177: table \"f\" is overwritten here and written at 6:217 as well, in one job, of whose rows one would take the place of the other; write all of them by one INSERT OVERWRITE with UNION ALL, or run two jobs",
        ),
        (
            "SET 'execution.runtime-mode' = 'batch'; CREATE TABLE f (a INT, p STRING) PARTITIONED BY (p) WITH ('connector' = 'filesystem', 'path' = 'f', 'format' = 'csv'); INSERT OVERWRITE f PARTITION (p = 'x') VALUES (1); INSERT OVERWRITE f PARTITION (p = 'y') VALUES (2)",
            "it plans",
        ),
        (
            "SET 'execution.runtime-mode' = 'batch'; CREATE TABLE f (a INT) WITH ('connector' = 'filesystem', 'path' = 'out/f', 'format' = 'csv'); CREATE TABLE g (a INT) WITH ('connector' = 'filesystem', 'path' = 'x/../out/f/deep', 'format' = 'csv'); INSERT OVERWRITE f SELECT a FROM plain; INSERT INTO g SELECT a FROM plain",
            "sql:6:256: table \"f\" is overwritten here and written at 6:291 as well, in one job, of whose rows one would take the place of the other; write all of them by one INSERT OVERWRITE with UNION ALL, or run two jobs",
        ),
        (
            "SET 'execution.runtime-mode' = 'batch'; CREATE TABLE f (a INT) WITH ('connector' = 'filesystem', 'path' = 'out/p=x', 'format' = 'csv'); CREATE TABLE g (a INT, p STRING) PARTITIONED BY (p) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'csv'); INSERT OVERWRITE f SELECT a FROM plain; INSERT INTO g SELECT a, 'x' FROM plain",
            "sql:6:275: table \"f\" is overwritten here and written at 6:310 as well, in one job, of whose rows one would take the place of the other; write all of them by one INSERT OVERWRITE with UNION ALL, or run two jobs",
        ),
        (
            "SET 'execution.runtime-mode' = 'batch'; CREATE TABLE f (a INT, d DATE) PARTITIONED BY (d) WITH ('connector' = 'filesystem', 'path' = 'f', 'format' = 'csv'); INSERT OVERWRITE f PARTITION (d = CURRENT_DATE) SELECT a FROM plain",
            "sql:6:192: INSERT OVERWRITE replaces partitions that have to be known before it runs: write the value in PARTITION as a literal",
        ),
        // A table of FROM comes before a database of its name.
        (
            "CREATE DATABASE d; USE d; CREATE TABLE r1 (r ROW<x INT>) WITH ('connector' = 'datagen'); CREATE TABLE o (x INT) WITH ('connector' = 'print'); INSERT INTO o SELECT d.r.x FROM r1 AS d",
            "it plans",
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
fn a_short_text_cannot_ask_for_more_than_any_machine_has() {
    let refused = |text: String| {
        let all = messages(&format!("{TABLES}{text}"));
        assert!(all[0].contains("comes to more than 10000 queries"), "{all:?}");
    };
    // Every view reads the one before it twice.
    let views: String = (1..40)
        .map(|n| {
            format!("CREATE VIEW v{n} AS SELECT x.a FROM v{0} x JOIN v{0} y ON x.a = y.a;", n - 1)
        })
        .collect();
    refused(format!(
        "CREATE VIEW v0 AS SELECT a FROM plain; {views} INSERT INTO out1 SELECT a FROM v39;"
    ));
    let queries: String = (1..40)
        .map(|n| format!(", v{n} AS (SELECT a FROM v{0} UNION ALL SELECT a FROM v{0})", n - 1))
        .collect();
    refused(format!(
        "INSERT INTO out1 WITH v0 AS (SELECT a FROM plain){queries} SELECT a FROM v39;"
    ));
    // Each is bound with and without the column that it is sorted by.
    let sorted = |query: String| format!("(SELECT a FROM {query} t ORDER BY a + 1 LIMIT 5)");
    let query = (0..40).fold("plain".to_owned(), |query, _| sorted(query));
    refused(format!("INSERT INTO out1 SELECT a FROM {query} t;"));
    // Each is bound by itself and then beside the rows before it.
    let beside = |query: String| format!("(SELECT p.a, q.a AS b FROM plain p, LATERAL {query} q)");
    let query = (0..40)
        .fold("(SELECT a FROM plain r WHERE r.a = p.a)".to_owned(), |query, _| beside(query));
    refused(format!("INSERT INTO out1 SELECT a FROM {query} t;"));
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
