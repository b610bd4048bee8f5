//! Keyed state that is larger than memory, nine of ten rows by a tenth of the keys.

pub(crate) mod expiry;
pub(crate) mod pauses;
pub(crate) mod rates;

use anyhow::{Context, Result};
use serde_json::Value;
use weir_e2e::job::Run;

/// Columns of a datagen table whose `k` is below `keys`, nine times of ten below a tenth of that.
const KEY: &str =
    "chance INT, hot BIGINT, cold BIGINT, k AS CASE WHEN chance < 9 THEN hot ELSE cold END";

/// The options that make it so.
fn key_options(keys: u64) -> String {
    let range = |column: &str, below: u64| {
        format!(
            "'fields.{column}.min' = '0', 'fields.{column}.max' = '{}'",
            below.saturating_sub(1)
        )
    };
    [range("chance", 10), range("hot", keys / 10), range("cold", keys)].join(", ")
}

/// The options of a datagen table that gives each key once.
fn each_key(keys: u64) -> String {
    format!(
        "'connector' = 'datagen', 'number-of-rows' = '{keys}', 'rows-per-second' = '1000000000',
  'fields.k.kind' = 'sequence', 'fields.k.start' = '0', 'fields.k.end' = '{}'",
        keys.saturating_sub(1)
    )
}

/// Rows that the source of this table has read.
fn rows_of(snapshot: &Value, table: &str) -> u64 {
    let vertices = snapshot["vertices"].as_array().into_iter().flatten();
    let operators =
        vertices.flat_map(|vertex| vertex["operators"].as_array().into_iter().flatten());
    operators
        .filter(|it| it["kind"] == "source" && it["name"].to_string().contains(table))
        .map(|it| it["counts"]["rows_out"].as_u64().unwrap_or(0))
        .sum()
}

fn number(snapshot: &Value, at: &str) -> u64 {
    snapshot.pointer(at).and_then(Value::as_u64).unwrap_or(0)
}

/// Memory of a job's process in MB, by its name in `/proc`: `VmRSS` what it has now, `VmHWM` the most
/// that it had.
fn memory(run: &Run, what: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", run.process.id()))?;
    let line = status.lines().find(|line| line.starts_with(what)).context("a line of /proc")?;
    let size = line.split_whitespace().nth(1).context("a number in /proc")?;
    Ok(size.parse::<u64>()? >> 10)
}
