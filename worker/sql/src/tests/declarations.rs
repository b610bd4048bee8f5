//! `LIKE`, `AS SELECT`, `ALTER` and `DROP`: each program against one that says the same at once.

use super::errors::check;
use super::options;
use crate::plan;

const T: &str = "CREATE TABLE t (a INT, s STRING, ts TIMESTAMP(3), b AS a + 1, \
    WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector' = 'filesystem', 'path' = 't');\n";
const O: &str = "CREATE TABLE o (a INT, s STRING) WITH ('connector' = 'print');\n";

/// What a plan does, operator by operator.
fn meaning(sql: &str) -> Vec<String> {
    let planned = plan(sql, &options()).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    let operators = planned.graph.vertices.iter().flat_map(|vertex| &vertex.chain);
    operators.map(|(info, _)| format!("{} {:?}", info.uid, info.details)).collect()
}

#[test]
fn tables_made_of_tables_are_those_that_say_it_all() {
    let cases = [
        // LIKE: the base's options, which the new table's come before.
        (
            format!(
                "{T}CREATE TABLE u WITH ('path' = 'u') LIKE t; {O}INSERT INTO o SELECT b, s FROM u;"
            ),
            format!(
                "{}{O}INSERT INTO o SELECT b, s FROM u;",
                T.replace("TABLE t", "TABLE u").replace("'path' = 't'", "'path' = 'u'")
            ),
        ),
        (
            format!(
                "{T}CREATE TABLE u (s2 STRING) WITH ('connector' = 'print') LIKE t (EXCLUDING ALL); INSERT INTO u SELECT a, s, ts, s FROM t;"
            ),
            format!(
                "{T}CREATE TABLE u (a INT, s STRING, ts TIMESTAMP(3), s2 STRING) WITH ('connector' = 'print'); INSERT INTO u SELECT a, s, ts, s FROM t;"
            ),
        ),
        (
            format!(
                "{T}CREATE TABLE u (b AS a + 2, WATERMARK FOR ts AS ts) LIKE t (OVERWRITING GENERATED OVERWRITING WATERMARKS); {O}INSERT INTO o SELECT b, s FROM u;"
            ),
            format!(
                "{}{O}INSERT INTO o SELECT b, s FROM u;",
                T.replace("TABLE t", "TABLE u")
                    .replace("a + 1", "a + 2")
                    .replace("ts - INTERVAL '5' SECOND", "ts")
            ),
        ),
        // AS SELECT.
        (
            format!("{T}CREATE TABLE o WITH ('connector' = 'print') AS SELECT a, s FROM t;"),
            format!("{T}{O}INSERT INTO o SELECT a, s FROM t;"),
        ),
        (
            format!("{T}CREATE TABLE o (s, a) WITH ('connector' = 'print') AS SELECT a, s FROM t;"),
            format!(
                "{T}CREATE TABLE o (s STRING, a INT) WITH ('connector' = 'print'); INSERT INTO o SELECT s, a FROM t;"
            ),
        ),
        (
            format!(
                "{T}CREATE TABLE o (x STRING, a BIGINT) WITH ('connector' = 'print') AS SELECT a, s FROM t;"
            ),
            format!(
                "{T}CREATE TABLE o (x STRING, a BIGINT, s STRING) WITH ('connector' = 'print'); INSERT INTO o (a, s) SELECT a, s FROM t;"
            ),
        ),
        // ALTER.
        (
            format!("{T}ALTER TABLE t SET ('path' = 'u'); {O}INSERT INTO o SELECT a, s FROM t;"),
            format!(
                "{}{O}INSERT INTO o SELECT a, s FROM t;",
                T.replace("'path' = 't'", "'path' = 'u'")
            ),
        ),
        (
            format!(
                "{T}ALTER TABLE t RESET ('source.monitor-interval'); {O}INSERT INTO o SELECT a, s FROM t;"
            ),
            format!("{T}{O}INSERT INTO o SELECT a, s FROM t;"),
        ),
        (
            format!("{T}ALTER TABLE t RENAME TO u; {O}INSERT INTO o SELECT a, s FROM u;"),
            format!("{}{O}INSERT INTO o SELECT a, s FROM u;", T.replace("TABLE t", "TABLE u")),
        ),
        (
            format!(
                "{O}{T}ALTER TABLE t DROP b; ALTER TABLE t DROP WATERMARK; ALTER TABLE t ADD (x INT AFTER a, c AS x * 2); INSERT INTO o SELECT c, s FROM t;"
            ),
            format!(
                "{O}CREATE TABLE t (a INT, x INT, s STRING, ts TIMESTAMP(3), c AS x * 2) WITH ('connector' = 'filesystem', 'path' = 't'); INSERT INTO o SELECT c, s FROM t;"
            ),
        ),
        (
            format!(
                "{O}{T}ALTER TABLE t MODIFY (a BIGINT, s STRING FIRST, b AS 1); ALTER TABLE t RENAME s TO z; INSERT INTO o SELECT b, z FROM t;"
            ),
            format!(
                "{O}CREATE TABLE t (z STRING, a BIGINT, ts TIMESTAMP(3), b AS 1, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector' = 'filesystem', 'path' = 't'); INSERT INTO o SELECT b, z FROM t;"
            ),
        ),
        // A view stands for its query; a statement before a change for what it read.
        (
            format!(
                "{O}{T}CREATE VIEW v AS SELECT a, s FROM t; ALTER TABLE t SET ('path' = 'u'); INSERT INTO o SELECT * FROM v;"
            ),
            format!(
                "{O}{}INSERT INTO o SELECT a, s FROM t;",
                T.replace("'path' = 't'", "'path' = 'u'")
            ),
        ),
        (
            format!(
                "{O}{T}INSERT INTO o SELECT a, s FROM t; ALTER TABLE t SET ('path' = 'u'); INSERT INTO o SELECT a, s FROM t;"
            ),
            format!(
                "{O}{T}{}INSERT INTO o SELECT a, s FROM t; INSERT INTO o SELECT a, s FROM u;",
                T.replace("TABLE t", "TABLE u").replace("'path' = 't'", "'path' = 'u'")
            ),
        ),
        (
            format!(
                "{O}{T}CREATE VIEW v AS SELECT a FROM t; ALTER VIEW v AS SELECT s, a FROM t; ALTER VIEW v RENAME TO w; INSERT INTO o SELECT a, s FROM w;"
            ),
            format!("{O}{T}INSERT INTO o SELECT a, s FROM t;"),
        ),
        // DROP, and the same name again.
        (
            format!(
                "{O}{T}DROP TABLE IF EXISTS x; CREATE VIEW v AS SELECT a, s FROM t; DROP TABLE t; {}INSERT INTO o SELECT a, s FROM v; DROP VIEW v;",
                T.replace("'path' = 't'", "'path' = 'u'")
            ),
            format!(
                "{O}{}INSERT INTO o SELECT a, s FROM t;",
                T.replace("'path' = 't'", "'path' = 'u'")
            ),
        ),
        // What tells something, names of Flink's own catalog, settings without effect.
        (
            format!(
                "USE CATALOG default_catalog; USE default_database; SHOW TABLES; {O}{T}DESCRIBE t; EXPLAIN PLAN FOR SELECT a FROM t; EXPLAIN CHANGELOG_MODE INSERT INTO o SELECT a, s FROM t; EXPLAIN STATEMENT SET BEGIN INSERT INTO o SELECT a, s FROM t; END; INSERT INTO o SELECT a, s FROM default_catalog.default_database.t;"
            ),
            format!("{O}{T}INSERT INTO o SELECT a, s FROM t;"),
        ),
        (
            format!(
                "SET table.exec.state.ttl = 1 h; RESET 'table.exec.state.ttl'; SET 'parallelism.default' = '4'; SET 'table.exec.mini-batch.enabled' = 'true'; RESET; {O}{T}INSERT INTO o SELECT DISTINCT a, s FROM t;"
            ),
            format!("{O}{T}INSERT INTO o SELECT DISTINCT a, s FROM t;"),
        ),
        (
            format!(
                "{T}CREATE TABLE p (a INT, s STRING) PARTITIONED BY (s) WITH ('connector' = 'filesystem', 'path' = 'p'); INSERT INTO p PARTITION (s = 'x') SELECT a FROM t;"
            ),
            format!(
                "{T}CREATE TABLE p (a INT, s STRING) PARTITIONED BY (s) WITH ('connector' = 'filesystem', 'path' = 'p'); INSERT INTO p SELECT a, 'x' FROM t;"
            ),
        ),
        // Databases: two tables of one name, names that say all of it, the current one, views of
        // another; what is stored has no database in its name.
        (
            format!(
                "CREATE DATABASE IF NOT EXISTS default_database; CREATE DATABASE db COMMENT 'c' WITH ('k' = 'v'); ALTER DATABASE db SET ('k' = 'w'); {O}{T}USE db; {}{}CREATE VIEW v AS SELECT a, s FROM t; USE default_catalog.default_database; INSERT INTO o SELECT a, s FROM t; INSERT INTO default_catalog.db.o SELECT w.a, t.s FROM db.v AS w JOIN db.t ON w.a = t.a; ",
                T.replace("'path' = 't'", "'path' = 'u'"),
                O.replace("print", "blackhole")
            ),
            format!(
                "{O}{T}{}{}INSERT INTO o SELECT a, s FROM t; INSERT INTO o2 SELECT w.a, t2.s FROM (SELECT a, s FROM t2) AS w JOIN t2 ON w.a = t2.a; ",
                T.replace("'path' = 't'", "'path' = 'u'").replace("TABLE t", "TABLE t2"),
                O.replace("print", "blackhole").replace("TABLE o", "TABLE o2")
            ),
        ),
        // Catalogs: the same, of names of three parts, of the current one's databases and of views
        // that were declared where another one was current.
        (
            format!(
                "CREATE CATALOG IF NOT EXISTS c COMMENT 'x' WITH ('type' = 'generic_in_memory', 'default-database' = 'd'); {O}{T}USE CATALOG c; {}{}CREATE VIEW v AS SELECT a, s FROM t; CREATE DATABASE e; CREATE VIEW e.v AS SELECT a, s FROM d.t; USE CATALOG default_catalog; INSERT INTO o SELECT a, s FROM t; INSERT INTO c.d.o SELECT w.a, t.s FROM c.e.v AS w JOIN c.d.t ON w.a = t.a; CREATE CATALOG IF NOT EXISTS c WITH ('type' = 'generic_in_memory'); ",
                T.replace("'path' = 't'", "'path' = 'u'"),
                O.replace("print", "blackhole")
            ),
            format!(
                "{O}{T}{}{}INSERT INTO o SELECT a, s FROM t; INSERT INTO o2 SELECT w.a, t2.s FROM (SELECT a, s FROM t2) AS w JOIN t2 ON w.a = t2.a; ",
                T.replace("'path' = 't'", "'path' = 'u'").replace("TABLE t", "TABLE t2"),
                O.replace("print", "blackhole").replace("TABLE o", "TABLE o2")
            ),
        ),
        (
            format!(
                "CREATE CATALOG c WITH ('type' = 'generic_in_memory'); USE c.`default`; {O}USE CATALOG default_catalog; {O}{T}DROP CATALOG c; DROP CATALOG IF EXISTS c; INSERT INTO o SELECT default_catalog.default_database.t.a, s FROM t;"
            ),
            format!("{O}{T}INSERT INTO o SELECT a, s FROM t;"),
        ),
        (
            format!(
                "CREATE DATABASE db; {O}CREATE TABLE db.b (a INT, s STRING) WITH ('connector' = 'filesystem', 'path' = 't'); CREATE TABLE db.u (x INT) LIKE db.b; ALTER TABLE db.u RENAME TO w; USE db; ALTER TABLE w DROP x; DROP TABLE b; WITH w2 AS (SELECT a, s FROM w) SELECT a, s FROM w2;"
            ),
            format!(
                "{O}CREATE TABLE b (a INT, s STRING) WITH ('connector' = 'filesystem', 'path' = 't'); SELECT a, s FROM b;"
            ),
        ),
        (
            format!(
                "{O}CREATE DATABASE db; CREATE TABLE db.t (a INT) WITH ('connector' = 'print'); DROP DATABASE IF EXISTS none; DROP DATABASE db CASCADE; {T}CREATE DATABASE db; CREATE VIEW db.t AS SELECT a, s FROM t; INSERT INTO o SELECT a, s FROM db.t;"
            ),
            format!("{O}{T}INSERT INTO o SELECT a, s FROM t;"),
        ),
        // A table that hides another one while it is there, and one that takes its place.
        (
            format!(
                "{O}{T}CREATE VIEW v AS SELECT a, s FROM t; CREATE TEMPORARY TABLE t (a INT, s STRING) WITH ('connector' = 'filesystem', 'path' = 'u'); INSERT INTO o SELECT a, s FROM v; DROP TEMPORARY TABLE IF EXISTS o; DROP TEMPORARY TABLE t; INSERT INTO o SELECT a, s FROM v;"
            ),
            format!(
                "{O}{T}CREATE TABLE u (a INT, s STRING) WITH ('connector' = 'filesystem', 'path' = 'u'); INSERT INTO o SELECT a, s FROM u; INSERT INTO o SELECT a, s FROM t;"
            ),
        ),
        (
            format!(
                "{T}{O}CREATE OR REPLACE TABLE o WITH ('connector' = 'blackhole') AS SELECT a, s FROM t; REPLACE TABLE o WITH ('connector' = 'print') AS SELECT a FROM t;"
            ),
            format!(
                "{T}CREATE TABLE o WITH ('connector' = 'blackhole') AS SELECT a, s FROM t; CREATE TABLE p WITH ('connector' = 'print') AS SELECT a FROM t;"
            ),
        ),
        // Settings: what holds anyway, what changes no row, what nobody knows.
        (
            format!(
                "SET 'table.exec.sink.type-length-enforcer' = 'ignore'; SET 'table.exec.legacy-cast-behaviour' = 'DISABLED'; SET 'table.column-expansion-strategy' = ''; SET 'metrics.reporters' = 'p'; SET 'kubernetes.namespace' = 'n'; SET 'my.own' = 'x'; RESET 'my.own'; SET 'table.planner' = 'blink'; SET 'execution.attached' = 'true'; SET 'table.exec.sink.not-null-enforcer' = 'error'; {O}{T}INSERT INTO o SELECT a, s FROM t;"
            ),
            format!("{O}{T}INSERT INTO o SELECT a, s FROM t;"),
        ),
        (
            format!(
                "SET 'table.exec.sink.not-null-enforcer' = 'drop'; {T}CREATE TABLE o (a INT NOT NULL, s STRING) WITH ('connector' = 'print'); INSERT INTO o SELECT a, s FROM t; SET 'table.exec.sink.not-null-enforcer' = 'ERROR'; "
            ),
            format!("{T}{O}INSERT INTO o SELECT a, s FROM t WHERE a IS NOT NULL;"),
        ),
    ];
    for (short, whole) in cases {
        assert_eq!(meaning(&short), meaning(&whole), "{short}");
    }
}

#[test]
fn a_source_that_says_nothing_of_silence_has_that_of_the_program() {
    let of = |set: &str, with: &str| {
        let sql = format!(
            "{set}; CREATE TABLE t (a INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'kafka'{with}); {O}SELECT a FROM t; RESET;"
        );
        let planned = plan(&sql, &options()).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        planned.graph.vertices[0].chain[0].0.details.get("idle after").cloned()
    };
    let idle = "SET 'table.exec.source.idle-timeout' = '2 s'";
    assert_eq!(of(idle, ""), Some("2 s".to_owned()));
    assert_eq!(of("RESET", ""), None);
    assert_eq!(of(&format!("{idle}; {}", idle.replace("2 s", "0 s")), ""), None);
}

#[test]
fn what_changes_nothing_is_said() {
    let sql = format!(
        "SET 'metrics.reporters' = 'p'; SET 'my.own' = 'x'; SET 'table.exec.sink.type-length-enforcer' = 'IGNORE'; {O}{T}INSERT INTO o SELECT a, s FROM t;"
    );
    let planned = plan(&sql, &options()).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    let said: Vec<&str> = planned.warnings.iter().map(|w| w.message.as_str()).collect();
    let expected = [
        "'metrics.reporters' changes nothing here: metrics are always there for Prometheus",
        "'my.own' changes nothing here: no setting of this name is known",
    ];
    assert_eq!(said, expected);
}

#[test]
fn thousands_of_rows_stand_in_a_list() {
    let rows: Vec<String> = (0..10_000).map(|i| format!("({i}, 's{i}')")).collect();
    let list = rows.join(", ");
    check(&[
        (&format!("INSERT INTO out1 SELECT a FROM plain WHERE (a, s) IN ({list})"), "it plans"),
        (&format!("INSERT INTO out1 SELECT a FROM plain WHERE (a, s) NOT IN ({list})"), "it plans"),
    ]);
}

#[test]
fn what_differs_each_time_is_not_computed_of_rows_that_are_taken_back() {
    check(&[
        (
            "SELECT a, n, NOW() FROM (SELECT a, COUNT(*) AS n FROM plain GROUP BY a)",
            "sql:6:14: this reads the clock, and would not give the same once more when a row is taken back as it was given (GROUP BY without a window at 6:61); compute it of rows that only come, before that",
        ),
        (
            "CREATE TABLE c (id INT, at AS NOW()) WITH ('connector' = 'filesystem', 'format' = 'debezium-json'); SELECT id, at FROM c",
            "sql:6:31: this reads the clock, and would not give the same once more when a row is taken back as it was given (a format of changes at 6:14); compute it of rows that only come, before that",
        ),
        (
            "CREATE TABLE c (id INT, at AS NOW()) WITH ('connector' = 'filesystem', 'format' = 'debezium-json'); SELECT id FROM c",
            "it plans",
        ),
        ("SELECT a, MAX(at) FROM (SELECT a, NOW() AS at FROM plain) GROUP BY a", "it plans"),
    ]);
}

#[test]
fn what_cannot_be_made_of_another_table_is_refused_at_its_place() {
    check(&[
        (
            "CREATE TABLE o LIKE nothing",
            "sql:6:21: table \"nothing\" not found; the program declares \"flights\", \"out1\", \"out2\", \"plain\"",
        ),
        (
            "CREATE VIEW v AS SELECT a FROM plain; CREATE TABLE o LIKE v",
            "sql:6:59: \"v\" is a view, and LIKE takes a table; write CREATE TABLE … AS SELECT",
        ),
        (
            "CREATE TABLE o (a INT) LIKE plain",
            "sql:6:17: table \"plain\" has the column \"a\" already; leave it out, or name it otherwise",
        ),
        (
            "CREATE TABLE o (WATERMARK FOR `date` AS `date`) LIKE flights",
            "sql:6:31: table \"flights\" has a WATERMARK already; write OVERWRITING WATERMARKS or EXCLUDING WATERMARKS",
        ),
        (
            "CREATE TABLE o WITH ('connector' = 'print') LIKE plain (INCLUDING OPTIONS)",
            "sql:6:22: table \"plain\" has the option 'connector' already; write OVERWRITING OPTIONS",
        ),
        (
            "CREATE TABLE o LIKE plain (OVERWRITING PARTITIONS)",
            "sql:6:28: only OPTIONS, GENERATED, METADATA and WATERMARKS can be overwritten; write EXCLUDING and declare your own",
        ),
        (
            "CREATE TABLE o LIKE plain (INCLUDING EVERYTHING)",
            "sql:6:38: expected ALL, CONSTRAINTS, PARTITIONS, OPTIONS, GENERATED, METADATA or WATERMARKS, found 'EVERYTHING'",
        ),
        (
            "CREATE TABLE o (a, b) WITH ('connector' = 'print')",
            "sql:6:17: column \"a\" has no type; only with AS SELECT are columns those of a query",
        ),
        (
            "CREATE TABLE o (a, b) WITH ('connector' = 'print') AS SELECT a FROM plain",
            "sql:6:20: the query has no column \"b\"",
        ),
        (
            "CREATE TABLE o (a, t TIMESTAMP(3)) WITH ('connector' = 'print') AS SELECT a FROM plain",
            "sql:6:20: either all columns are names of the query's columns, or none is",
        ),
        (
            "CREATE TABLE o (a) WITH ('connector' = 'print') AS SELECT a, s FROM plain",
            "sql:6:14: the list leaves out the query's column \"s\"; name all of them",
        ),
        (
            "CREATE TABLE o AS SELECT a FROM plain",
            "sql:6:14: table \"o\" has no connector; add WITH ('connector' = '…')",
        ),
        (
            "CREATE TABLE o (a STRING) WITH ('connector' = 'print') AS SELECT a FROM plain",
            "sql:6:66: column 1 of the query, \"a\", is INT, but column \"a\" of table \"o\" is STRING; write CAST(… AS STRING)",
        ),
        (
            "ALTER TABLE plan SET ('a' = 'b')",
            "sql:6:13: table \"plan\" not found; did you mean \"plain\"?",
        ),
        ("ALTER VIEW plain RENAME TO p", "sql:6:12: \"plain\" is a table; write ALTER TABLE"),
        ("ALTER TABLE plain RENAME TO out1", "sql:6:29: \"out1\" is declared twice, first at 4:14"),
        (
            "ALTER TABLE plain RESET ('connector')",
            "sql:6:26: a table cannot be without a connector",
        ),
        (
            "ALTER TABLE plain ADD a INT",
            "sql:6:23: the table has a column \"a\" already; MODIFY changes it",
        ),
        ("ALTER TABLE plain ADD (x INT AFTER y)", "sql:6:36: table \"plain\" has no column \"y\""),
        ("ALTER TABLE plain MODIFY (x INT)", "sql:6:27: table \"plain\" has no column \"x\""),
        (
            "ALTER TABLE flights DROP `date`",
            "sql:6:26: column \"date\" is used by the WATERMARK; drop that first",
        ),
        (
            "ALTER TABLE flights RENAME `date` TO d",
            "sql:6:28: column \"date\" is used by the WATERMARK; change that first",
        ),
        (
            "ALTER TABLE flights ADD WATERMARK FOR `date` AS `date`",
            "sql:6:39: the table has a WATERMARK already; MODIFY changes it",
        ),
        ("ALTER TABLE plain DROP WATERMARK", "sql:6:24: the table has no WATERMARK"),
        ("ALTER TABLE plain DROP PRIMARY KEY", "sql:6:24: the table has no PRIMARY KEY"),
        (
            "ALTER TABLE plain ADD PARTITION (a = 1)",
            "sql:6:19: partitions are not added or dropped here: they are what is written",
        ),
        (
            "ALTER TABLE plain FROB",
            "sql:6:19: expected RENAME, SET, RESET, ADD, MODIFY or DROP, found 'FROB'",
        ),
        (
            "ALTER DATABASE d SET ('a' = 'b')",
            "sql:6:16: database \"d\" not found; make it with CREATE DATABASE, or leave it out for tables of \"default_database\"",
        ),
        (
            "DROP TABLE nothing",
            "sql:6:12: table \"nothing\" not found; the program declares \"flights\", \"out1\", \"out2\", \"plain\"",
        ),
        ("DROP VIEW plain", "sql:6:11: \"plain\" is a table; write DROP TABLE"),
        (
            "DROP FUNCTION f",
            "sql:6:6: DROP FUNCTION is not supported: functions of your own are not available in SQL",
        ),
        (
            "DROP TABLE plain; INSERT INTO out1 SELECT a FROM plain",
            "sql:6:50: table \"plain\" not found; it was dropped or renamed at 6:12",
        ),
        (
            "CREATE VIEW v AS SELECT a FROM plain; ALTER TABLE plain DROP a; INSERT INTO out1 SELECT a FROM v",
            "sql:6:25: column \"a\" not found in table \"plain\"; it has s, t",
        ),
        (
            "CREATE VIEW v AS SELECT a FROM plain; ALTER VIEW v AS SELECT a FROM v; INSERT INTO out1 SELECT a FROM v",
            "sql:6:69: table \"v\" not found; the program declares \"flights\", \"out1\", \"out2\", \"plain\"",
        ),
        (
            "CREATE TABLE pt (a INT, s STRING) PARTITIONED BY (s) WITH ('connector' = 'filesystem'); INSERT INTO pt PARTITION (s = 'x', s = 'y') SELECT a FROM plain",
            "sql:6:124: PARTITION gives \"s\" twice; keep one",
        ),
        (
            "CREATE TABLE pt (a INT, s STRING) PARTITIONED BY (s) WITH ('connector' = 'filesystem'); INSERT INTO pt PARTITION (s = 'x') (s, a) SELECT a FROM plain",
            "sql:6:125: column \"s\" has its value in PARTITION; leave it out of the list",
        ),
        (
            "SET 'table.exec.source.idle-timeout' = 'soon'",
            "sql:6:5: 'table.exec.source.idle-timeout' = 'soon' is no length of time; write it as '12 h' or '30 min', 0 never",
        ),
        (
            "SET 'table.exec.sink.not-null-enforcer' = 'IGNORE'",
            "sql:6:5: 'table.exec.sink.not-null-enforcer' = 'IGNORE' is not supported; use 'ERROR' or 'DROP'",
        ),
        (
            "SET 'table.exec.legacy-cast-behaviour' = 'ENABLED'",
            "sql:6:5: 'table.exec.legacy-cast-behaviour' = 'ENABLED' is not supported: a CAST that fails ends the job; write TRY_CAST where NULL is to take the value's place",
        ),
        (
            "SET 'table.exec.sort.default-limit' = '10'",
            "sql:6:5: 'table.exec.sort.default-limit' = '10' is not supported: all rows of an ORDER BY are given; write LIMIT behind it",
        ),
        (
            "SET 'execution.runtime-mod' = 'batch'",
            "sql:6:5: the option 'execution.runtime-mod' is unknown; did you mean 'execution.runtime-mode'?",
        ),
        (
            "INSERT INTO out1 PARTITION (a = 1) SELECT s FROM plain",
            "sql:6:29: table \"out1\" is not partitioned by a column \"a\"",
        ),
        (
            "USE elsewhere",
            "sql:6:5: database \"elsewhere\" not found; make it with CREATE DATABASE, or leave it out for tables of \"default_database\"",
        ),
        (
            "USE CATALOG hive",
            "sql:6:13: there is no catalog \"hive\"; make it with CREATE CATALOG hive WITH ('type' = 'generic_in_memory'), or write database.table, or the table's name alone",
        ),
        (
            "CREATE CATALOG hive WITH ('type' = 'hive', 'hive-conf-dir' = '/etc/hive')",
            "sql:6:36: a catalog of type 'hive' is not supported: it would know tables of another system; write 'type' = 'generic_in_memory', and declare the tables that are used with CREATE TABLE and their connector",
        ),
        (
            "CREATE CATALOG c",
            "sql:6:16: catalog \"c\" has no type; add WITH ('type' = 'generic_in_memory')",
        ),
        (
            "CREATE CATALOG c WITH ('type' = 'generic_in_memory', 'default-databse' = 'd')",
            "sql:6:54: option 'default-databse' is unknown for a catalog of type 'generic_in_memory'; did you mean 'default-database'?",
        ),
        (
            "CREATE CATALOG c WITH ('type' = 'generic_in_memory'); CREATE CATALOG c WITH ('type' = 'generic_in_memory')",
            "sql:6:70: there is a catalog \"c\" already; write CREATE CATALOG IF NOT EXISTS, or leave it out",
        ),
        (
            "CREATE CATALOG c WITH ('type' = 'generic_in_memory'); USE CATALOG c; DROP CATALOG c",
            "sql:6:83: \"c\" is the current catalog; USE CATALOG default_catalog first",
        ),
        (
            "CREATE CATALOG c WITH ('type' = 'generic_in_memory'); USE CATALOG c; DROP CATALOG default_catalog",
            "sql:6:83: default_catalog is every program's, and stays; drop the tables in it",
        ),
        (
            "CREATE CATALOG c WITH ('type' = 'generic_in_memory'); INSERT INTO out1 SELECT a FROM c.nowhere.plain",
            "sql:6:86: database \"c.nowhere\" not found; make it with CREATE DATABASE, or leave it out for tables of \"default_database\"",
        ),
        (
            "CREATE CATALOG c WITH ('type' = 'generic_in_memory'); USE CATALOG c; INSERT INTO default_catalog.default_database.out1 SELECT a FROM plain",
            "sql:6:134: table \"c.default.plain\" not found; the program declares \"flights\", \"out1\", \"out2\", \"plain\"",
        ),
        (
            "INSERT INTO out1 SELECT a FROM x.db.public.plain",
            "sql:6:32: a table's name has three parts at most: catalog.database.table",
        ),
        (
            "ALTER CATALOG default_catalog COMMENT 'c'",
            "sql:6:7: ALTER CATALOG is not supported: a catalog stays as it was made; DROP CATALOG and CREATE CATALOG make another one",
        ),
        (
            "INSERT INTO out1 SELECT a FROM db.plain",
            "sql:6:32: database \"db\" not found; make it with CREATE DATABASE, or leave it out for tables of \"default_database\"",
        ),
        (
            "INSERT INTO out1 SELECT a FROM db.public.plain",
            "sql:6:32: there is no catalog \"db\"; make it with CREATE CATALOG db WITH ('type' = 'generic_in_memory'), or write database.table, or the table's name alone",
        ),
        (
            "CREATE DATABASE db; INSERT INTO out1 SELECT a FROM db.plain",
            "sql:6:52: table \"db.plain\" not found; did you mean \"plain\"?",
        ),
        (
            "CREATE DATABASE db; CREATE DATABASE db",
            "sql:6:37: there is a database \"db\" already; write CREATE DATABASE IF NOT EXISTS, or leave it out",
        ),
        (
            "CREATE DATABASE db; USE db; DROP DATABASE db",
            "sql:6:43: \"db\" is the current database; USE default_database first",
        ),
        (
            "CREATE DATABASE db; CREATE VIEW db.v AS SELECT a FROM plain; DROP DATABASE db",
            "sql:6:76: database \"db\" holds \"v\" and 0 more; drop them first, or write DROP DATABASE db CASCADE",
        ),
        (
            "CREATE DATABASE db; ALTER TABLE plain RENAME TO db.other",
            "sql:6:49: \"plain\" stays in its database when it is renamed; declare it in the other one",
        ),
        (
            "CREATE TEMPORARY VIEW plain AS SELECT a FROM plain; DROP TABLE plain",
            "sql:6:64: \"plain\" is a view; write DROP VIEW",
        ),
        (
            "CREATE TEMPORARY TABLE plain (a INT) WITH ('connector' = 'print'); DROP TABLE plain",
            "sql:6:79: \"plain\" is a temporary one that hides another; write DROP TEMPORARY TABLE first",
        ),
        ("DROP TEMPORARY TABLE plain", "sql:6:22: \"plain\" is not temporary; write DROP TABLE"),
        (
            "CREATE OR REPLACE TABLE plain (a INT) WITH ('connector' = 'print')",
            "sql:6:1: only a table made of a query replaces another, with AS SELECT; write DROP TABLE IF EXISTS in front of CREATE TABLE",
        ),
        (
            "EXPLAIN SELECT zzz FROM plain",
            "sql:6:16: column \"zzz\" not found in table \"plain\"; it has a, s, t",
        ),
        (
            "RESET 'table.exec.state.tll'",
            "sql:6:7: the option 'table.exec.state.tll' is unknown; did you mean 'table.exec.state.ttl'?",
        ),
        (
            "SET table.frobnicate = 1",
            "sql:6:5: the option 'table.frobnicate' is unknown; known are 'table.exec.state.ttl', 'table.local-time-zone', 'execution.runtime-mode', 'table.exec.source.idle-timeout', 'table.exec.sink.not-null-enforcer'",
        ),
    ]);
}

#[test]
fn temporary_tables_that_hide_others_keep_their_names() {
    check(&[
        (
            "CREATE TEMPORARY TABLE plain (a INT) WITH ('connector' = 'print'); ALTER TABLE plain RENAME TO other",
            "sql:6:80: \"plain\" is a temporary one that hides another; write DROP TEMPORARY TABLE or VIEW first",
        ),
        (
            "CREATE TEMPORARY TABLE out1 (a INT) WITH ('connector' = 'print'); CREATE OR REPLACE TABLE out1 WITH ('connector' = 'print') AS SELECT a FROM plain",
            "sql:6:91: \"out1\" is a temporary one that hides another; write DROP TEMPORARY TABLE or VIEW first",
        ),
    ]);
}

#[test]
fn late_rows_go_to_the_table_that_there_is_when_rows_are_read() {
    let late = "CREATE TABLE late (a INT) WITH ('connector' = 'print');";
    let source = "CREATE TABLE l (a INT, t TIMESTAMP(3), WATERMARK FOR t AS t) WITH ('connector' = 'filesystem', 'path' = 'l', 'weir.late-rows.table' = 'late');";
    let insert = "INSERT INTO out1 SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE l, DESCRIPTOR(t), INTERVAL '1' HOUR)) GROUP BY window_start, window_end;";
    let use_of = |program: String, expected: &str| check(&[(&program, expected)]);
    use_of(format!("{late} {source} {insert}"), "it plans");
    use_of(format!("{source} {late} {insert} DROP TABLE late;"), "it plans");
    use_of(
        format!("{late} {source} DROP TABLE late; {insert}"),
        "sql:6:191: 'weir.late-rows.table': table \"late\" not found",
    );
    use_of(
        format!(
            "CREATE DATABASE d; USE d; {source} USE default_database; {late} {}",
            insert.replace("TABLE l,", "TABLE d.l,")
        ),
        "sql:6:161: 'weir.late-rows.table': table \"d.late\" not found; did you mean \"late\"?",
    );
}
