//! Joins that cannot be, and their exact messages.

use super::errors::check;

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
        ("INSERT INTO out1 SELECT (SELECT delay FROM flights) FROM plain", "it plans"),
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
            "SELECT n FROM plain AS p, LATERAL (SELECT COUNT(*) AS n FROM flights WHERE delay < p.a QUALIFY n > 1) AS t",
            "6:44: a query behind LATERAL that speaks of the rows before it can select, group, aggregate and take the first rows; write what does more as a query of its own and join it by its keys (by itself: table \"p\" is not in FROM; FROM has \"flights\")",
        ),
        (
            "SELECT n FROM plain AS p, LATERAL (SELECT UPPER('x', 1) AS n FROM flights WHERE delay < p.a QUALIFY n > 1) AS t",
            "6:60: UPPER does not take 2 arguments; it is UPPER(string)",
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
