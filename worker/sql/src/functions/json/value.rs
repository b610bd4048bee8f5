//! JSON as the functions see it: text that was checked, opened level by level as it is needed.
//!
//! Numbers stay the text that they are: Flink reads them as BigDecimal, which keeps every digit.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, IgnoredAny};

/// A value that was found to be JSON: its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lazy<'a>(&'a str);

/// What a text begins with, and the rest.
fn first<T: DeserializeOwned>(text: &str) -> Option<(T, &str, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<T>();
    let value = values.next()?.ok()?;
    let (said, rest) = text.split_at_checked(values.byte_offset())?;
    Some((value, said, rest.trim_start()))
}

/// A value with what is directly in it. Of members with the same name the last counts.
#[derive(Debug)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    /// Its text.
    Number(&'a str),
    Text(String),
    Array(Vec<Lazy<'a>>),
    Object(BTreeMap<String, Lazy<'a>>),
}

impl<'a> Lazy<'a> {
    /// The value that a text begins with; what stands behind it is not looked at, as in Flink.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        first::<IgnoredAny>(text).map(|(_, said, _)| Self(said.trim_start()))
    }

    /// The value itself.
    pub(super) fn open(self) -> Json<'a> {
        let text = self.0;
        match text.as_bytes().first() {
            Some(b'{') => Json::Object(self.members()),
            Some(b'[') => Json::Array(self.items()),
            Some(b'"') => serde_json::from_str(text).map_or(Json::Null, Json::Text),
            Some(b't') => Json::Bool(true),
            Some(b'f') => Json::Bool(false),
            Some(b'n') | None => Json::Null,
            Some(_) => Json::Number(text),
        }
    }

    /// The name of a member of an object that another has too.
    pub(super) fn named_twice(self) -> Option<String> {
        let mut known = BTreeMap::new();
        self.each_member(|name, value| known.insert(name.clone(), value).map(|_| name))
    }

    fn members(self) -> BTreeMap<String, Self> {
        let mut members = BTreeMap::new();
        self.each_member(|name, value| {
            members.insert(name, value);
            None::<()>
        });
        members
    }

    /// Calls `on` with every member of an object until it answers.
    fn each_member<T>(self, mut on: impl FnMut(String, Self) -> Option<T>) -> Option<T> {
        let mut rest = self.0[1..].trim_start();
        while let Some((name, _, value)) = first::<String>(rest) {
            let value = value.strip_prefix(':').unwrap_or(value).trim_start();
            let Some((_, said, after)) = first::<IgnoredAny>(value) else {
                break;
            };
            if let Some(answer) = on(name, Self(said)) {
                return Some(answer);
            }
            rest = after.strip_prefix(',').unwrap_or(after).trim_start();
        }
        None
    }

    fn items(self) -> Vec<Self> {
        let mut items = Vec::new();
        let mut rest = self.0[1..].trim_start();
        while let Some((_, said, after)) = first::<IgnoredAny>(rest) {
            items.push(Self(said));
            rest = after.strip_prefix(',').unwrap_or(after).trim_start();
        }
        items
    }

    /// Writes the value without blanks, members sorted.
    pub(super) fn write(self, out: &mut String) {
        match self.open() {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if value { "true" } else { "false" }),
            Json::Number(text) => out.push_str(&number(text)),
            Json::Text(text) => write_text(&text, out),
            Json::Array(items) => write_array(&items, out),
            Json::Object(members) => {
                out.push('{');
                for (i, (name, member)) in members.into_iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    write_text(&name, out);
                    out.push(':');
                    member.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// `[a,b]`.
pub(super) fn write_array(items: &[Lazy<'_>], out: &mut String) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        item.write(out);
    }
    out.push(']');
}

/// A string in quotes; control characters as Jackson writes them.
pub(super) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A number as Java's BigDecimal prints it, BigInteger where it has neither point nor exponent.
pub(super) fn number(text: &str) -> String {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Ok(exponent) = exponent.parse::<i64>() else {
        return text.to_owned();
    };
    let all = format!("{whole}{fraction}");
    let unscaled = all.trim_start_matches('0');
    let unscaled = if unscaled.is_empty() { "0" } else { unscaled };
    let sign = if negative && unscaled != "0" { "-" } else { "" };
    let scale = fraction.len() as i64 - exponent;
    // The power of ten of the first digit.
    let adjusted = unscaled.len() as i64 - 1 - scale;
    if scale == 0 {
        return format!("{sign}{unscaled}");
    }
    if scale > 0 && adjusted >= -6 {
        let scale = scale as usize;
        let padded = format!("{unscaled:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        return format!("{sign}{whole}.{fraction}");
    }
    let (first, rest) = unscaled.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}E{adjusted:+}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_java_prints_them() {
        for (text, printed) in [
            ("1.50", "1.50"),
            ("1e3", "1E+3"),
            ("-0", "0"),
            ("12345678901234567890", "12345678901234567890"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1E-7"),
            ("-12.5E-10", "-1.25E-9"),
            ("1.0E+5", "1.0E+5"),
            ("1e-2", "0.01"),
            ("123e-1", "12.3"),
        ] {
            assert_eq!(number(text), printed, "{text}");
        }
    }

    #[test]
    fn the_last_of_members_with_one_name_counts_and_all_are_sorted() {
        let json = Lazy::parse(r#" {"b": [1, "x\u0001"], "a": null, "b": {"é": tru"#);
        assert!(json.is_none());
        let json = Lazy::parse(r#" {"b": [1], "a": null, "b": {"é": true, "c":"\n/\u001f"}} rest"#);
        let mut out = String::new();
        json.unwrap().write(&mut out);
        assert_eq!(out, r#"{"a":null,"b":{"c":"\n/\u001F","é":true}}"#);
    }
}
