//! Rows as a multiset of text, so that results of different programs can be compared.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Result, bail};
use serde_json::Value;

/// How many differing rows a failure shows.
const SHOWN: usize = 10;

/// Rows and how often each occurs. A row is the JSON array of its values as text, null
/// where there is none, timestamps as `2001-01-01 06:00:00` with a fraction only if not zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    counts: BTreeMap<String, u64>,
}

impl Rows {
    /// Adds one row.
    pub fn add(&mut self, values: &[Value]) {
        let values: Vec<_> = values.iter().map(canonical).collect();
        *self.counts.entry(Value::Array(values).to_string()).or_default() += 1;
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The distinct rows.
    pub fn distinct(&self) -> impl Iterator<Item = &str> {
        self.counts.keys().map(String::as_str)
    }

    /// Whether every row here is also in `other`, as often.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        self.counts.iter().all(|(row, n)| other.counts.get(row).is_some_and(|m| m >= n))
    }

    /// Fails unless both hold the same rows equally often. `self` is what is right.
    ///
    /// # Errors
    /// The first missing and surplus rows.
    pub fn check(&self, what: &str, actual: &Self) -> Result<()> {
        let missing = self.minus(actual);
        let surplus = actual.minus(self);
        if missing.is_empty() && surplus.is_empty() {
            return Ok(());
        }
        let mut message = format!("{what}: {} rows expected, {} found\n", self.len(), actual.len());
        show(&mut message, "missing", &missing);
        show(&mut message, "surplus", &surplus);
        bail!(message)
    }

    fn minus(&self, other: &Self) -> Vec<(&str, u64)> {
        self.counts
            .iter()
            .filter_map(|(row, n)| {
                let left = n.saturating_sub(other.counts.get(row).copied().unwrap_or(0));
                (left > 0).then_some((row.as_str(), left))
            })
            .collect()
    }
}

fn show(message: &mut String, name: &str, rows: &[(&str, u64)]) {
    let total: u64 = rows.iter().map(|(_, n)| n).sum();
    if total == 0 {
        return;
    }
    let _ = writeln!(message, "{total} {name}:");
    for (row, n) in rows.iter().take(SHOWN) {
        let _ =
            writeln!(message, "  {row}{}", if *n > 1 { format!(" × {n}") } else { String::new() });
    }
    if rows.len() > SHOWN {
        let _ = writeln!(message, "  … and {} others", rows.len() - SHOWN);
    }
}

fn canonical(value: &Value) -> Value {
    match value {
        Value::String(text) if looks_like_timestamp(text) => {
            let text = text.replacen('T', " ", 1);
            let trimmed = match text.split_once('.') {
                Some((_, fraction)) if fraction.bytes().any(|b| b != b'0') => {
                    text.trim_end_matches('0')
                }
                Some((seconds, _)) => seconds,
                None => &text,
            };
            Value::String(trimmed.to_owned())
        }
        // CSV knows no types: numbers and booleans compare as text.
        Value::Number(number) => Value::String(number.to_string()),
        Value::Bool(truth) => Value::String(truth.to_string()),
        other => other.clone(),
    }
}

fn looks_like_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 19
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && matches!(bytes[10], b' ' | b'T')
        && bytes[13] == b':'
        && bytes[16] == b':'
}

/// Milliseconds since 1970 as `2001-01-01 06:00:00`, with `.123` where they are not whole seconds.
#[must_use]
pub fn timestamp(ms: i64) -> String {
    match chrono::DateTime::from_timestamp_millis(ms) {
        Some(time) if ms % 1000 == 0 => time.format("%Y-%m-%d %H:%M:%S").to_string(),
        Some(time) => time.format("%Y-%m-%d %H:%M:%S%.3f").to_string(),
        None => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(rows: &[&[Value]]) -> Rows {
        let mut all = Rows::default();
        rows.iter().for_each(|row| all.add(row));
        all
    }

    #[test]
    fn a_row_too_many_and_a_row_too_few_are_both_told() {
        let right =
            rows(&[&[json!(1), json!("a")], &[json!(2), json!("b")], &[json!(2), json!("b")]]);
        let wrong = rows(&[&[json!(2), json!("b")], &[json!(3), json!(null)]]);
        let message = right.check("counts", &wrong).expect_err("they differ").to_string();
        assert_eq!(
            message,
            "counts: 3 rows expected, 2 found\n2 missing:\n  [\"1\",\"a\"]\n  [\"2\",\"b\"]\n1 surplus:\n  [\"3\",null]\n"
        );
        right.check("counts", &right).expect("equal to itself");
    }

    #[test]
    fn the_ways_to_write_a_timestamp_are_one() {
        let a = rows(&[&[json!("2001-01-01T06:00:00.000")], &[json!("2001-01-01 06:00:00.120")]]);
        let b = rows(&[&[json!("2001-01-01 06:00:00.12")], &[json!(timestamp(978_328_800_000))]]);
        a.check("timestamps", &b).expect("equal");
    }
}
