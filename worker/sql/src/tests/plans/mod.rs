//! Golden plans.

mod identity;
mod joins;
mod kept;
mod nested;
mod patterns;
mod queries;
mod ranks;
mod tables;
mod windows;

use expect_test::Expect;

use super::planned;
use crate::explain;

const FLIGHTS: &str = "
CREATE TABLE flights (
  `date` TIMESTAMP(3), delay INT, distance INT, origin STRING, destination STRING,
  WATERMARK FOR `date` AS `date` - INTERVAL '1' HOUR
) WITH ('connector' = 'filesystem', 'path' = 'flights', 'format' = 'json');
CREATE TABLE delays (window_start TIMESTAMP(3), origin STRING, flights BIGINT, late BIGINT)
  WITH ('connector' = 'filesystem', 'path' = 'delays', 'format' = 'parquet');
CREATE TABLE bids (
  id BIGINT, price DECIMAL(10, 2), s STRING, ms BIGINT, part INT METADATA FROM 'partition' VIRTUAL,
  ts AS TO_TIMESTAMP_LTZ(ms, 3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'kafka', 'topic' = 'bids', 'format' = 'json');
CREATE TABLE odd (k STRING, t TIMESTAMP(3), lag_ms INT, WATERMARK FOR t AS t - lag_ms * INTERVAL '0.001' SECOND)
  WITH ('connector' = 'kafka', 'topic' = 'odd');
CREATE TABLE lossy (k STRING, t TIMESTAMP(3), v INT, WATERMARK FOR t AS t)
  WITH ('connector' = 'kafka', 'topic' = 'lossy', 'weir.late-rows.table' = 'missed');
CREATE TABLE missed (t TIMESTAMP(3), v BIGINT) WITH ('connector' = 'filesystem', 'path' = 'missed');
CREATE TABLE names (name STRING) WITH ('connector' = 'print');
CREATE TABLE pairs (delay INT, b STRING) WITH ('connector' = 'blackhole');
CREATE TABLE strict (a INT NOT NULL, b STRING) WITH ('connector' = 'print');
CREATE TABLE topics (topic STRING METADATA, v DECIMAL(10, 2)) WITH ('connector' = 'kafka', 'topic' = 'out');
";

fn check(sql: &str, expect: Expect) {
    let planned = planned(&format!("{FLIGHTS}{sql}"));
    // A first line without indentation keeps that of the others.
    expect.assert_eq(&format!("plan\n{}", explain::text(&planned.graph)));
}
