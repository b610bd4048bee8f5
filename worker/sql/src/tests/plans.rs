//! Golden plans.

use expect_test::{Expect, expect};

use super::planned;
use crate::explain;

const FLIGHTS: &str = "
CREATE TABLE flights (
  `date` TIMESTAMP(3), delay INT, distance INT, origin STRING, destination STRING,
  WATERMARK FOR `date` AS `date` - INTERVAL '1' HOUR
) WITH ('connector' = 'filesystem', 'path' = 'flights', 'format' = 'json');
CREATE TABLE delays (window_start TIMESTAMP(3), origin STRING, flights BIGINT, late BIGINT)
  WITH ('connector' = 'filesystem', 'path' = 'delays', 'format' = 'parquet');
";

fn check(sql: &str, expect: Expect) {
    let planned = planned(&format!("{FLIGHTS}{sql}"));
    expect.assert_eq(&explain::text(&planned.graph));
}

#[test]
fn an_hourly_count_has_two_halves() {
    check(
        "INSERT INTO delays
         SELECT window_start, origin, COUNT(*), COUNT(*) FILTER (WHERE delay > 15)
         FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR))
         GROUP BY window_start, window_end, origin;",
        expect![""],
    );
}
