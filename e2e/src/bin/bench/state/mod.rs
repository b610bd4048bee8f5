//! Keyed state that is larger than memory, nine of ten rows by a tenth of the keys.

pub(crate) mod expiry;
pub(crate) mod pauses;
pub(crate) mod rates;

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
