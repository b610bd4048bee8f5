//! Durations as people write them: `10s`, `5m`, `1h30m`, `250ms`.

use std::time::Duration;

/// Fields that are durations, below `spec`.
pub(crate) const DURATIONS: [&str; 9] = [
    "state.checkpoint.interval",
    "state.checkpoint.timeout",
    "state.checkpoint.unhealthyAfter",
    "upgrade.progressDeadline",
    "restart.backoff.initial",
    "restart.backoff.max",
    "restart.resetAfter",
    "nodeLostTimeout",
    "deletion.timeout",
];

const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads a duration such as `1h30m`.
///
/// # Errors
/// The cause and the fix, without a place: the caller knows the field.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let hint = "write it as 10s, 5m, 1h30m or 250ms";
    if text.is_empty() {
        return Err(format!("the duration is empty; {hint}"));
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{text} has no unit; {hint}"));
    }
    let mut rest = text;
    let mut total_ms = 0u64;
    let mut smallest_so_far = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_alphabetic()).len();
        let (unit, tail) = tail.split_at(letters);
        let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, ms)| *ms);
        let (Ok(number), Some(factor)) = (number.parse::<u64>(), factor) else {
            return Err(format!("'{text}' is not a duration; {hint}"));
        };
        if factor >= smallest_so_far {
            return Err(format!(
                "'{text}' is not a duration: units go from large to small; {hint}"
            ));
        }
        smallest_so_far = factor;
        total_ms = number
            .checked_mul(factor)
            .and_then(|ms| ms.checked_add(total_ms))
            .ok_or_else(|| format!("'{text}' is longer than any duration can be"))?;
        rest = tail;
    }
    Ok(Duration::from_millis(total_ms))
}

/// Writes a duration the way [`parse_duration`] reads it, to the millisecond.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, ms) in UNITS {
        if left >= ms {
            text.push_str(&format!("{}{unit}", left / ms));
            left %= ms;
        }
    }
    text
}

/// `#[serde(with = "duration::text")]`: durations in JSON and YAML are text.
pub(crate) mod text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::format_duration(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        super::parse_duration(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_add_up() {
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("1s250ms"), Ok(Duration::from_millis(1250)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn what_is_not_a_duration_is_named() {
        let errors: Vec<_> = ["", "10", "ten", "1m1h", "1m1m", "-1s", "1.5s", "99999999999999999h"]
            .into_iter()
            .map(|text| parse_duration(text).expect_err(text))
            .collect();
        expect_test::expect![[r#"
            [
                "the duration is empty; write it as 10s, 5m, 1h30m or 250ms",
                "10 has no unit; write it as 10s, 5m, 1h30m or 250ms",
                "'ten' is not a duration; write it as 10s, 5m, 1h30m or 250ms",
                "'1m1h' is not a duration: units go from large to small; write it as 10s, 5m, 1h30m or 250ms",
                "'1m1m' is not a duration: units go from large to small; write it as 10s, 5m, 1h30m or 250ms",
                "'-1s' is not a duration; write it as 10s, 5m, 1h30m or 250ms",
                "'1.5s' is not a duration; write it as 10s, 5m, 1h30m or 250ms",
                "'99999999999999999h' is longer than any duration can be",
            ]
        "#]]
        .assert_debug_eq(&errors);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ms in 0u64..1_000_000_000_000) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}") {
            let _ = parse_duration(&text);
        }
    }
}
