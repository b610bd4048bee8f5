//! What a plain scalar is to kubectl.
//!
//! kubectl, Helm and GitOps tools read YAML with sigs.k8s.io/yaml, which is YAML 1.1 in most of
//! its traps: a leading zero means octal, `yes`, `on` and `y` are booleans, underscores group
//! digits. A manifest must not be one thing to `weir run` and another to a cluster, so this
//! reader means the same by every plain scalar; where people would read a number otherwise, the
//! field refuses it (see `reader::words`).

use serde_json::{Number, Value as Json};

/// What a scalar without quotes stands for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Meaning {
    Null,
    Bool(bool),
    /// Of any size that JSON can hold exactly.
    Whole(i128),
    Float(f64),
    Text,
}

impl Meaning {
    /// Reads a plain scalar.
    pub(crate) fn of(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
                return Self::Bool(true);
            }
            "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off"
            | "OFF" => return Self::Bool(false),
            ".nan" | ".NaN" | ".NAN" => return Self::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
                return Self::Float(f64::INFINITY);
            }
            "-.inf" | "-.Inf" | "-.INF" => return Self::Float(f64::NEG_INFINITY),
            _ => {}
        }
        if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
            return Self::Text;
        }
        // Times and dates are text, and so are numbers to the base of 60.
        let digits = text.replace('_', "");
        if let Some(whole) = whole(&digits) {
            return Self::Whole(whole);
        }
        match is_float(&digits).then(|| digits.parse::<f64>()) {
            Some(Ok(float)) => Self::Float(float),
            _ => Self::Text,
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Whole(_) | Self::Float(_))
    }

    /// As an API server receives it; `text` is what was read.
    pub(crate) fn to_json(self, text: &str) -> Json {
        /// Above, a double says less than its digits.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let number = match self {
            Self::Null => return Json::Null,
            Self::Bool(value) => return Json::Bool(value),
            Self::Whole(value) => Number::from_i128(value),
            // JSON has no fraction that is none.
            Self::Float(value) if value.fract() == 0.0 && value.abs() < EXACT => {
                Some(Number::from(value as i64))
            }
            Self::Float(value) => Number::from_f64(value),
            Self::Text => None,
        };
        number.map_or_else(|| Json::String(text.to_owned()), Json::Number)
    }
}

/// A whole number of 64 bits with a sign and a prefix for its base; a leading zero is one.
fn whole(text: &str) -> Option<i128> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (base, digits) = match rest.get(..2).unwrap_or_default() {
        "0x" | "0X" => (16, &rest[2..]),
        "0o" | "0O" => (8, &rest[2..]),
        "0b" | "0B" => (2, &rest[2..]),
        _ if rest.len() > 1 && rest.starts_with('0') => (8, &rest[1..]),
        _ => (10, rest),
    };
    if !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let value = sign * i128::from_str_radix(digits, base).ok()?;
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(value)
}

/// Digits with at most one point, and an exponent.
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, Some(exponent)),
        None => (text, None),
    };
    let all_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let exponent_ok = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && all_digits(exponent)
    });
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    exponent_ok
        && all_digits(whole)
        && all_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_they_mean_to_kubectl() {
        for (text, expected) in [
            ("", Meaning::Null),
            ("~", Meaning::Null),
            ("Null", Meaning::Null),
            ("nUll", Meaning::Text),
            ("y", Meaning::Bool(true)),
            ("Yes", Meaning::Bool(true)),
            ("on", Meaning::Bool(true)),
            ("yEs", Meaning::Text),
            ("n", Meaning::Bool(false)),
            ("NO", Meaning::Bool(false)),
            ("off", Meaning::Bool(false)),
            ("Off", Meaning::Bool(false)),
            ("none", Meaning::Text),
            ("10", Meaning::Whole(10)),
            ("+5", Meaning::Whole(5)),
            ("0", Meaning::Whole(0)),
            ("-0", Meaning::Whole(0)),
            ("010", Meaning::Whole(8)),
            ("-010", Meaning::Whole(-8)),
            ("0o10", Meaning::Whole(8)),
            // Not octal, and so a float.
            ("08", Meaning::Float(8.0)),
            ("0x1F", Meaning::Whole(31)),
            ("0b101", Meaning::Whole(5)),
            ("0b102", Meaning::Text),
            ("1_000", Meaning::Whole(1000)),
            ("18446744073709551615", Meaning::Whole(18_446_744_073_709_551_615)),
            ("18446744073709551616", Meaning::Float(18_446_744_073_709_551_616.0)),
            (".5", Meaning::Float(0.5)),
            ("5.", Meaning::Float(5.0)),
            ("1e3", Meaning::Float(1000.0)),
            ("1e", Meaning::Text),
            (".", Meaning::Text),
            ("+", Meaning::Text),
            ("-.inf", Meaning::Float(f64::NEG_INFINITY)),
            ("+inf", Meaning::Text),
            ("1:30", Meaning::Text),
            ("10s", Meaning::Text),
            ("2024-01-01", Meaning::Text),
            ("2024-01-01T00:00:00Z", Meaning::Text),
            ("1.2.3", Meaning::Text),
        ] {
            assert_eq!(Meaning::of(text), expected, "{text}");
        }
        assert!(matches!(Meaning::of(".nan"), Meaning::Float(nan) if nan.is_nan()));
    }

    #[test]
    fn an_api_server_receives_numbers_without_their_notation() {
        for (text, expected) in [
            ("010", "8"),
            ("08", "8"),
            ("1e3", "1000"),
            ("0.5", "0.5"),
            ("1_0", "10"),
            ("no", "false"),
            ("~", "null"),
            ("1:30", "\"1:30\""),
        ] {
            assert_eq!(Meaning::of(text).to_json(text).to_string(), expected, "{text}");
        }
    }
}
