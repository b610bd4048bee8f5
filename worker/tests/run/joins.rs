//! Joins: what their rows fold to, at any parallelism, and that their state outlives the process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;

use super::{Copying, Running, WATCHED, fold, until};

fn rows(of: &[&str]) -> BTreeMap<String, i64> {
    let mut rows = BTreeMap::new();
    of.iter().for_each(|row| *rows.entry((*row).to_owned()).or_insert(0) += 1);
    rows
}

/// Orders and users, which end.
const TABLES: &str = "
    CREATE TABLE o (id BIGINT, u BIGINT, amount INT) WITH ('connector' = 'filesystem', 'path' = 'orders', 'format' = 'csv', 'csv.null-literal' = ''OPTIONS);
    CREATE TABLE u (u BIGINT, name STRING, least INT) WITH ('connector' = 'filesystem', 'path' = 'users', 'format' = 'csv', 'csv.null-literal' = ''OPTIONS);";

fn write(job: &Copying, parallelism: u32, options: &str, columns: &str, query: &str) {
    write_over(job, TABLES, parallelism, options, columns, query);
}

fn write_over(
    job: &Copying,
    tables: &str,
    parallelism: u32,
    options: &str,
    columns: &str,
    query: &str,
) {
    let tables = tables.replace("OPTIONS", options);
    let manifest = format!(
        "apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {{name: copy}}
spec:
  parallelism: {parallelism}
  state: {{checkpoint: {{interval: 100ms}}}}
  sql: |{tables}
    CREATE TABLE shown ({columns}) WITH ('connector' = 'print');
    INSERT INTO shown {query};
"
    );
    fs::write(job.path("job.yaml"), manifest).expect("written");
}

fn give(job: &Copying, to: &str, name: &str, rows: &str) {
    fs::create_dir_all(job.path(to)).expect("made");
    fs::write(job.path(".new"), rows).expect("written");
    fs::rename(job.path(".new"), job.path(to).join(name)).expect("moved");
}

const ORDERS: &str = "1,10,5\n2,20,7\n3,10,9\n4,,1\n5,40,2\n5,40,2\n";
const USERS: &str = "10,ann,6\n20,bob,6\n30,cyd,0\n,nul,0\n";

/// What a query over both tables gives, whatever the parallelism.
fn gives(columns: &str, query: &str, expected: &[&str]) {
    for parallelism in [1, 2] {
        let job = Copying::new("");
        give(&job, "orders", "a.csv", ORDERS);
        give(&job, "users", "a.csv", USERS);
        write(&job, parallelism, "", columns, query);
        let output = job.command("st").output().expect("weir starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{query}: {said}");
        let given = String::from_utf8_lossy(&output.stdout);
        assert_eq!(fold(&given), rows(expected), "{query}: {given}");
    }
}

const IDS: &str = "id BIGINT, name STRING";

#[test]
fn rows_that_match_are_joined() {
    let pairs = ["1, ann", "2, bob", "3, ann"];
    gives(IDS, "SELECT id, name FROM o JOIN u ON o.u = u.u", &pairs);
    gives(IDS, "SELECT o.id, x.name FROM o, u AS x WHERE o.u = x.u", &pairs);
    gives(IDS, "SELECT id, name FROM o INNER JOIN u USING (u)", &pairs);
    gives(IDS, "SELECT id, name FROM o NATURAL JOIN u", &pairs);
    gives(IDS, "SELECT id, name FROM o JOIN u ON o.u = u.u AND amount > least", &pairs[1..]);
}

#[test]
fn rows_without_a_match_are_kept_where_the_join_says_so() {
    let left = ["1, ann", "2, bob", "3, ann", "4, null", "5, null", "5, null"];
    gives(IDS, "SELECT id, name FROM o LEFT JOIN u ON o.u = u.u", &left);
    gives(IDS, "SELECT id, name FROM u RIGHT OUTER JOIN o ON o.u = u.u", &left);
    let full = [left.as_slice(), &["null, cyd", "null, nul"]].concat();
    gives(IDS, "SELECT id, name FROM o FULL JOIN u ON o.u = u.u", &full);
    let under = ["1, null", "2, bob", "3, ann", "4, null", "5, null", "5, null"];
    gives(IDS, "SELECT id, name FROM o LEFT JOIN u ON o.u = u.u AND amount > least", &under);
    gives(IDS, "SELECT id, name FROM o LEFT JOIN u ON o.u = u.u WHERE name IS NULL", &left[3..]);
    gives(
        "u BIGINT, id BIGINT, name STRING",
        "SELECT u, id, name FROM o FULL JOIN u USING (u)",
        &[
            "10, 1, ann",
            "20, 2, bob",
            "10, 3, ann",
            "null, 4, null",
            "40, 5, null",
            "40, 5, null",
            "30, null, cyd",
            "null, null, nul",
        ],
    );
    gives(
        "id BIGINT, name STRING",
        "SELECT id, name FROM o LEFT JOIN u ON o.u IS NOT DISTINCT FROM u.u WHERE id < 5",
        &["1, ann", "2, bob", "3, ann", "4, nul"],
    );
}

#[test]
fn every_pair_and_pairs_of_other_conditions_come_from_one_task() {
    gives(
        "id BIGINT, name STRING",
        "SELECT id, name FROM o CROSS JOIN u WHERE id = 1",
        &["1, ann", "1, bob", "1, cyd", "1, nul"],
    );
    gives(
        "id BIGINT, name STRING",
        "SELECT id, name FROM o LEFT JOIN u ON o.amount > u.least + 1 AND name <> 'cyd' AND name <> 'nul'",
        &["1, null", "2, null", "3, ann", "3, bob", "4, null", "5, null", "5, null"],
    );
}

#[test]
fn joins_of_joins_of_corrected_rows_are_corrected() {
    // Sums of each user, beside the same of all, and who has none.
    gives(
        "name STRING, s BIGINT, orders BIGINT, total BIGINT",
        "SELECT name, s, c, total FROM u
           LEFT JOIN (SELECT u, SUM(CAST(amount AS BIGINT)) s, COUNT(*) c FROM o GROUP BY u) t USING (u)
           CROSS JOIN (SELECT COUNT(*) total FROM o) a",
        &["ann, 14, 2, 6", "bob, 7, 1, 6", "cyd, null, null, 6", "nul, null, null, 6"],
    );
    // By what is corrected itself: users of as many orders.
    gives(
        "a BIGINT, b BIGINT, c BIGINT",
        "WITH t AS (SELECT u, COUNT(*) c FROM o WHERE u IS NOT NULL GROUP BY u)
         SELECT a.u, b.u, b.c FROM t a JOIN t b ON a.c = b.c",
        &["10, 10, 2", "10, 40, 2", "40, 10, 2", "40, 40, 2", "20, 20, 1"],
    );
    gives(
        "least BIGINT, n BIGINT",
        "SELECT least, COUNT(*) FROM (SELECT u.least, o.id FROM u LEFT JOIN o ON o.u = u.u) x GROUP BY least",
        &["6, 3", "0, 2"],
    );
}

#[test]
fn rows_are_kept_for_having_a_match_or_none() {
    let id = "id BIGINT";
    gives(id, "SELECT id FROM o WHERE u IN (SELECT u FROM u)", &["1", "2", "3"]);
    gives(
        id,
        "SELECT id FROM o WHERE u IN (SELECT u FROM u WHERE least > 3) AND id > 1",
        &["2", "3"],
    );
    let exists = "EXISTS (SELECT * FROM u WHERE u.u = o.u AND least < amount)";
    gives(id, &format!("SELECT id FROM o WHERE {exists}"), &["2", "3"]);
    gives(id, &format!("SELECT id FROM o WHERE NOT {exists}"), &["1", "4", "5", "5"]);
    gives(id, "SELECT id FROM o WHERE EXISTS (SELECT 1 FROM u WHERE least > 100)", &[]);
    gives(
        "name STRING",
        "SELECT name FROM u WHERE u.u IN (SELECT o.u FROM o GROUP BY o.u HAVING COUNT(*) > 1)",
        &["ann"],
    );
    gives(
        "name STRING",
        "SELECT name FROM u x WHERE 9 IN (SELECT amount FROM o WHERE o.u = x.u)",
        &["ann"],
    );
}

#[test]
fn not_in_knows_of_null() {
    let id = "id BIGINT";
    // One of the users is NULL: no order is known to be of none of them.
    gives(id, "SELECT id FROM o WHERE u NOT IN (SELECT u FROM u)", &[]);
    gives(id, "SELECT id FROM o WHERE u NOT IN (SELECT u FROM u WHERE u IS NOT NULL)", &["5", "5"]);
    gives(
        id,
        "SELECT id FROM o WHERE u NOT IN (SELECT u FROM u WHERE least > 100)",
        &["1", "2", "3", "4", "5", "5"],
    );
    gives(
        id,
        "SELECT id FROM o WHERE NOT (COALESCE(u, 0) IN (SELECT COALESCE(u, -1) FROM u))",
        &["4", "5", "5"],
    );
}

#[test]
fn a_query_can_stand_for_a_value() {
    gives(
        "id BIGINT, most INT, n BIGINT",
        "SELECT id, (SELECT MAX(least) FROM u), (SELECT COUNT(*) FROM u WHERE least > 100) FROM o WHERE id < 3",
        &["1, 6, 0", "2, 6, 0"],
    );
    gives(
        "name STRING, n BIGINT, most INT",
        "SELECT name, (SELECT COUNT(*) FROM o WHERE o.u = x.u AND id > 1),
           (SELECT MAX(amount) FROM o WHERE o.u = x.u) + x.least FROM u x WHERE x.u IS NOT NULL",
        &["ann, 1, 15", "bob, 1, 13", "cyd, 0, null"],
    );
    gives("id BIGINT", "SELECT id FROM o WHERE amount >= (SELECT MAX(amount) FROM o)", &["3"]);
}

#[test]
fn a_join_goes_on_where_it_was_with_another_parallelism() {
    let job = Copying::new(WATCHED);
    let query = "SELECT id, name FROM o LEFT JOIN u ON o.u = u.u";
    let start = |parallelism: u32, to: &str| {
        write(&job, parallelism, WATCHED, IDS, query);
        let out = File::create(job.path(to)).expect("made");
        Running(job.command("st").stdout(out).stderr(Stdio::piped()).spawn().expect("weir starts"))
    };
    let folded = |path: &Path| fold(&fs::read_to_string(path).unwrap_or_default());
    give(&job, "orders", "a.csv", "1,10,5\n2,20,7\n3,10,9\n");
    give(&job, "users", "a.csv", "20,bob,6\n");
    let run = start(1, "first");
    let before = rows(&["1, null", "2, bob", "3, null"]);
    until("the pairs", || folded(&job.path("first")) == before);
    run.signal(Signal::INT);
    let (code, text) = run.end();
    assert_eq!(code, 0, "{text}");
    let run = start(3, "second");
    give(&job, "users", "b.csv", "10,ann,6\n");
    give(&job, "orders", "b.csv", "4,20,7\n5,10,7\n6,30,7\n");
    let mut after = rows(&["1, ann", "3, ann", "4, bob", "5, ann", "6, null"]);
    // What was given before the end is taken back.
    after.extend([("1, null".to_owned(), -1), ("3, null".to_owned(), -1)]);
    until("the pairs", || folded(&job.path("second")) == after);
    run.signal(Signal::KILL);
    run.end();
}

/// Clicks and views with times, ordered by them.
const TIMED: &str = "
    CREATE TABLE c (id BIGINT, k BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'filesystem', 'path' = 'clicks', 'format' = 'csv'OPTIONS);
    CREATE TABLE v (k BIGINT, at TIMESTAMP(3), what STRING, WATERMARK FOR at AS at) WITH ('connector' = 'filesystem', 'path' = 'views', 'format' = 'csv'OPTIONS);";

const CLICKS: &str = "1,1,2024-01-01 00:00:10\n2,2,2024-01-01 00:00:20\n3,1,2024-01-01 00:01:00\n4,3,2024-01-01 00:05:00\n";
const VIEWS: &str = "1,2024-01-01 00:00:05,a\n1,2024-01-01 00:00:55,b\n2,2024-01-01 00:01:30,c\n3,2024-01-01 00:05:05,d\n";

fn gives_timed(columns: &str, query: &str, expected: &[&str]) {
    for parallelism in [1, 2] {
        let job = Copying::new("");
        give(&job, "clicks", "a.csv", CLICKS);
        give(&job, "views", "a.csv", VIEWS);
        write_over(&job, TIMED, parallelism, "", columns, query);
        let output = job.command("st").output().expect("weir starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{query}: {said}");
        let given = String::from_utf8_lossy(&output.stdout);
        assert!(given.lines().all(|line| line.contains("+I[")), "{query}: {given}");
        assert_eq!(fold(&given), rows(expected), "{query}: {given}");
    }
}

#[test]
fn rows_near_each_other_in_time_are_joined_and_never_corrected() {
    let columns = "id BIGINT, what STRING";
    let on = "c.k = v.k AND at BETWEEN ts - INTERVAL '10' SECOND AND ts + INTERVAL '1' MINUTE";
    let inner = ["1, a", "1, b", "3, b", "4, d"];
    gives_timed(columns, &format!("SELECT id, what FROM c JOIN v ON {on}"), &inner);
    gives_timed(columns, &format!("SELECT id, what FROM c, v WHERE {on}"), &inner);
    let left = [inner.as_slice(), &["2, null"]].concat();
    gives_timed(columns, &format!("SELECT id, what FROM c LEFT JOIN v ON {on}"), &left);
    let full = [left.as_slice(), &["null, c"]].concat();
    gives_timed(columns, &format!("SELECT id, what FROM c FULL JOIN v ON {on}"), &full);
    let near = "ts - INTERVAL '5' SECOND <= at AND ts + INTERVAL '5' SECOND > at";
    gives_timed(
        columns,
        &format!("SELECT id, what FROM v RIGHT JOIN c ON {near} AND what <> 'x'"),
        &["1, a", "2, null", "3, b", "4, null"],
    );
    gives_timed(
        "w TIMESTAMP(3), n BIGINT",
        &format!(
            "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE (SELECT ts, what FROM c JOIN v ON {on}), DESCRIPTOR(ts), INTERVAL '1' MINUTE))
             GROUP BY window_start, window_end"
        ),
        &["2024-01-01T00:00, 2", "2024-01-01T00:01, 1", "2024-01-01T00:05, 1"],
    );
}

#[test]
fn rows_of_the_same_windows_are_joined_and_grouped_once_more() {
    let windows = "WITH a AS (SELECT k, COUNT(*) n, window_start, window_end FROM TABLE(TUMBLE(TABLE c, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY k, window_start, window_end),
           b AS (SELECT k, what, window_start, window_end FROM TABLE(TUMBLE(TABLE v, DESCRIPTOR(at), INTERVAL '1' MINUTE)))";
    let on = "a.k = b.k AND a.window_start = b.window_start AND a.window_end = b.window_end";
    let columns = "k BIGINT, n BIGINT, what STRING, w TIMESTAMP(3)";
    let inner =
        ["1, 1, a, 2024-01-01T00:00", "1, 1, b, 2024-01-01T00:00", "3, 1, d, 2024-01-01T00:05"];
    gives_timed(
        columns,
        &format!("{windows} SELECT a.k, n, what, a.window_start FROM a JOIN b ON {on}"),
        &inner,
    );
    let alone = ["2, 1, null, 2024-01-01T00:00", "1, 1, null, 2024-01-01T00:01"];
    gives_timed(
        columns,
        &format!("{windows} SELECT a.k, n, what, a.window_start FROM a LEFT JOIN b ON {on}"),
        &[inner.as_slice(), &alone].concat(),
    );
    gives_timed(
        "w TIMESTAMP(3), n BIGINT",
        &format!(
            "{windows} SELECT window_start, COUNT(*) FROM
               (SELECT a.window_start, a.window_end, what FROM a LEFT JOIN b ON {on}) GROUP BY window_start, window_end"
        ),
        &["2024-01-01T00:00, 3", "2024-01-01T00:01, 1", "2024-01-01T00:05, 1"],
    );
}
