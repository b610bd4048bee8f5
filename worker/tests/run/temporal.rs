//! Joins with what a table said at a time, from files to what is printed.

use super::program::Program;

const RATES: &str = "\
USD,100,2024-03-01 10:00:00
EUR,110,2024-03-01 10:00:05
USD,102,2024-03-01 10:00:20
JPY,1,2024-03-01 10:00:21
USD,103,2024-03-01 10:00:40
";

const SALES: &str = "\
1,USD,10,2024-03-01 10:00:00
2,EUR,20,2024-03-01 10:00:04
3,EUR,30,2024-03-01 10:00:06
4,USD,40,2024-03-01 10:00:19
5,,50,2024-03-01 10:00:20
6,USD,60,2024-03-01 10:00:20
7,GBP,70,2024-03-01 10:00:30
8,USD,80,2024-03-01 10:01:00
";

const TABLES: &str = "
CREATE TABLE rates (currency STRING, rate INT, `at` TIMESTAMP(3), WATERMARK FOR `at` AS `at` - INTERVAL '1' SECOND,
  PRIMARY KEY (currency) NOT ENFORCED) WITH ('connector' = 'filesystem', 'path' = 'rates', 'format' = 'csv');
CREATE TABLE sales (id INT, currency STRING, amount INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
  WITH ('connector' = 'filesystem', 'path' = 'sales', 'format' = 'csv', 'csv.null-literal' = '');
";

fn check(columns: &str, query: &str, expected: &[&str]) {
    let program = Program::new(&[("rates/a.csv", RATES), ("sales/a.csv", SALES)]);
    let out = format!("CREATE TABLE shown ({columns}) WITH ('connector' = 'print');");
    program.always(&format!("{TABLES}{out}\n{query}"), expected);
}

#[test]
fn rows_meet_the_version_of_their_time() {
    check(
        "id INT, currency STRING, rate INT, since TIMESTAMP(3)",
        "INSERT INTO shown SELECT id, s.currency, rate, `at` FROM sales s
LEFT JOIN rates FOR SYSTEM_TIME AS OF s.ts AS r ON s.currency = r.currency;",
        &[
            "1, USD, 100, 2024-03-01T10:00",
            "2, EUR, null, null",
            "3, EUR, 110, 2024-03-01T10:00:05",
            "4, USD, 100, 2024-03-01T10:00",
            "5, null, null, null",
            "6, USD, 102, 2024-03-01T10:00:20",
            "7, GBP, null, null",
            "8, USD, 103, 2024-03-01T10:00:40",
        ],
    );
}

#[test]
fn what_else_on_says_is_asked_of_the_version() {
    check(
        "id INT, rate INT",
        "INSERT INTO shown SELECT id, rate FROM sales s
LEFT JOIN rates FOR SYSTEM_TIME AS OF s.ts AS r ON s.currency = r.currency AND r.rate < 103 AND s.amount > 10;",
        &[
            "1, null", "2, null", "3, null", "4, 100", "5, null", "6, 102", "7, null", "8, null",
        ],
    );
    check(
        "id INT, rate INT",
        "INSERT INTO shown SELECT id, rate FROM sales s
JOIN rates FOR SYSTEM_TIME AS OF s.ts AS r USING (currency) WHERE r.rate <> 100 AND s.id < 8;",
        &["3, 110", "6, 102"],
    );
}

#[test]
fn a_query_that_keeps_the_last_row_of_each_key_has_versions() {
    check(
        "id INT, rate INT",
        "CREATE VIEW latest AS SELECT `at`, currency AS c, rate * 2 AS twice FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY currency ORDER BY `at` DESC) AS n FROM rates WHERE rate > 1) WHERE n = 1;
INSERT INTO shown SELECT id, twice FROM sales s JOIN latest FOR SYSTEM_TIME AS OF s.ts ON s.currency = c;",
        &["1, 200", "3, 220", "4, 200", "6, 204", "8, 206"],
    );
}

/// The event time of the left goes on: what stands behind a temporal join is never late.
#[test]
fn windows_stand_behind_a_temporal_join() {
    check(
        "start TIMESTAMP(3), total INT",
        "CREATE VIEW priced AS SELECT s.ts, s.amount * r.rate AS price FROM sales s
  JOIN rates FOR SYSTEM_TIME AS OF s.ts AS r ON s.currency = r.currency;
INSERT INTO shown SELECT window_start, SUM(price)
FROM TABLE(TUMBLE(TABLE priced, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end;",
        &["2024-03-01T10:00, 8300", "2024-03-01T10:00:20, 6120", "2024-03-01T10:01, 8240"],
    );
    check(
        "start TIMESTAMP(3), total INT",
        "INSERT INTO shown SELECT window_start, SUM(amount * rate)
FROM TABLE(TUMBLE(TABLE sales, DESCRIPTOR(ts), INTERVAL '20' SECOND)) AS s
JOIN rates FOR SYSTEM_TIME AS OF s.window_time AS r ON s.currency = r.currency GROUP BY window_start, window_end;",
        &["2024-03-01T10:00, 10500", "2024-03-01T10:00:20, 6120", "2024-03-01T10:01, 8240"],
    );
}

#[test]
fn a_row_asks_several_tables_one_after_the_other() {
    check(
        "id INT, a INT, b INT",
        "INSERT INTO shown SELECT id, r.rate, q.rate FROM sales s
JOIN rates FOR SYSTEM_TIME AS OF s.ts AS r ON s.currency = r.currency
LEFT JOIN rates FOR SYSTEM_TIME AS OF s.ts AS q ON q.currency = 'JPY' AND q.currency = s.currency
WHERE id > 5;",
        &["6, 102, null", "8, 103, null"],
    );
}
