//! JSON from values: JSON_STRING, JSON_OBJECT, JSON_ARRAY, JSON, JSON_QUOTE, JSON_UNQUOTE.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weir_engine::EngineError;

use super::query::word;
use super::value::{Lazy, number, write_text};
use crate::error::SqlError;
use crate::expr::col::Texts;
use crate::expr::{Col, Expr, render};
use crate::functions::{Site, Want};
use crate::types::{Kind, SqlType};

/// What the parser says of a value that is JSON already: the result of one of these functions.
const RAW: &str = "RAW";

/// An argument that becomes part of JSON.
#[derive(Clone, Copy)]
struct Part {
    kind: Kind,
    raw: bool,
}

impl Part {
    fn of(site: &Site, argument: usize, raw: bool) -> Result<(Self, Expr), SqlError> {
        let expr = site.expr(argument)?;
        let kind = expr.kind();
        let taken = kind == Kind::Boolean
            || kind.is_numeric()
            || kind.is_text()
            || kind.is_timestamp()
            || matches!(kind, Kind::Bytes | Kind::Null | Kind::Variant);
        if !taken {
            return site.type_error(
                argument,
                "a number, a string, a BOOLEAN, BYTES or a timestamp (CAST others AS STRING)",
            );
        }
        // A VARIANT is the text of its JSON.
        Ok((Self { kind, raw: raw || kind == Kind::Variant }, expr))
    }

    /// The value of a row as JSON; where it is NULL, that or nothing.
    fn item(self, col: &Col, row: usize, absent: bool) -> Option<String> {
        let mut out = String::new();
        match self.write(col, row, &mut out) {
            true => Some(out),
            false => (!absent).then(|| "null".to_owned()),
        }
    }

    /// Writes the value of a row; `false`: there is none.
    fn write(self, col: &Col, row: usize, out: &mut String) -> bool {
        let Some(text) = render::value(col, self.kind, row) else {
            return false;
        };
        match self.kind {
            _ if self.raw => out.push_str(&text),
            Kind::Boolean => out.push_str(&text.to_ascii_lowercase()),
            Kind::Bytes => {
                let row = if col.is_scalar() { 0 } else { row };
                let bytes = col.values().as_binary::<i32>().value(row);
                write_text(&STANDARD.encode(bytes), out);
            }
            // 32 bits are widened first, which shows all digits of the double.
            Kind::Float => match text.parse::<f32>() {
                Ok(value) if value.is_finite() => {
                    out.push_str(&number(&render::java_double(f64::from(value))));
                }
                _ => write_text(&text, out),
            },
            Kind::Double if !text.ends_with(|c: char| c.is_ascii_digit()) => write_text(&text, out),
            kind if kind.is_numeric() => out.push_str(&number(&text)),
            kind if kind.is_timestamp() => {
                let zone = if matches!(kind, Kind::TimestampLtz(_)) { "Z" } else { "" };
                let text = match text.split_once('.') {
                    Some((second, digits)) => {
                        let digits = digits.trim_end_matches('0');
                        format!("{second}{}{digits}", if digits.is_empty() { "" } else { "." })
                    }
                    None => text,
                };
                write_text(&format!("{}{zone}", text.replacen(' ', "T", 1)), out);
            }
            _ => write_text(&text, out),
        }
        true
    }
}

pub(super) fn json_string(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let (part, expr) = Part::of(site, 0, false)?;
    let ty = SqlType { kind: Kind::STRING, nullable: expr.ty.nullable };
    site.call(vec![expr], ty, false, move |args, rows| {
        let one = |row: usize| {
            let mut out = String::new();
            part.write(&args[0], row, &mut out).then_some(out)
        };
        Ok(Arc::new((0..rows).map(one).collect::<StringArray>()))
    })
}

/// JSON_OBJECT(on null, key, RAW or VALUE, value, …): members sorted, of one name the last.
pub(super) fn json_object(site: &mut Site) -> Result<Expr, SqlError> {
    let absent = word(site, 0)? == "ABSENT";
    let (mut names, mut parts, mut args) = (Vec::new(), Vec::new(), Vec::new());
    for at in (1..site.args.len()).step_by(3) {
        let key = site.expr(at)?;
        let name =
            key.as_literal().filter(|v| v.is_valid(0)).and_then(|v| v.as_string_opt::<i32>());
        let Some(name) = name else {
            return Err(SqlError::new(key.span, "a key of JSON_OBJECT is a string in quotes"));
        };
        names.push(name.value(0).to_owned());
        let (part, expr) = Part::of(site, at + 2, word(site, at + 1)? == RAW)?;
        parts.push(part);
        args.push(expr);
    }
    let name = format!("JSON_OBJECT {} {names:?}{}", word(site, 0)?, marks(&parts));
    let ty = SqlType::not_null(Kind::STRING);
    built(site, name, args, ty, move |args, row| {
        let mut members = BTreeMap::new();
        for ((name, part), col) in names.iter().zip(&parts).zip(args) {
            let mut value = String::new();
            let found = part.write(col, row, &mut value);
            if !found {
                value.push_str("null");
            }
            // What is absent leaves an earlier value of the name as it is.
            if found || !absent {
                members.insert(name.as_str(), value);
            }
        }
        let mut out = String::from("{");
        for (i, (name, value)) in members.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            write_text(name, &mut out);
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
        out
    })
}

/// JSON_ARRAY(on null, RAW or VALUE, value, …).
pub(super) fn json_array(site: &mut Site) -> Result<Expr, SqlError> {
    let absent = word(site, 0)? == "ABSENT";
    let (mut parts, mut args) = (Vec::new(), Vec::new());
    for at in (1..site.args.len()).step_by(2) {
        let (part, expr) = Part::of(site, at + 1, word(site, at)? == RAW)?;
        parts.push(part);
        args.push(expr);
    }
    let name = format!("JSON_ARRAY {}{}", word(site, 0)?, marks(&parts));
    built(site, name, args, SqlType::not_null(Kind::STRING), move |args, row| {
        let mut out = String::from("[");
        for (part, col) in parts.iter().zip(args) {
            let mut value = String::new();
            if !part.write(col, row, &mut value) {
                if absent {
                    continue;
                }
                value.push_str("null");
            }
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&value);
        }
        out.push(']');
        out
    })
}

/// JSON ITEM(on null, RAW or VALUE, value): a value as JSON; NULL where it is left out.
pub(super) fn json_item(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(3..=3)?;
    let absent = word(site, 0)? == "ABSENT";
    let (part, expr) = Part::of(site, 2, word(site, 1)? == RAW)?;
    let name = format!("JSON ITEM {}{}", word(site, 0)?, marks(&[part]));
    site.named_call(name, vec![expr], SqlType::nullable(Kind::STRING), false, move |args, rows| {
        let one = |row: usize| part.item(&args[0], row, absent);
        Ok(Arc::new((0..rows).map(one).collect::<StringArray>()))
    })
}

/// JSON MEMBER(on null, key, RAW or VALUE, value): `"key":value`; NULL where it is left out.
pub(super) fn json_member(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(4..=4)?;
    let absent = word(site, 0)? == "ABSENT";
    let (part, expr) = Part::of(site, 3, word(site, 2)? == RAW)?;
    let args = vec![site.want(1, Want::Text)?, expr];
    let name = format!("JSON MEMBER {}{}", word(site, 0)?, marks(&[part]));
    site.named_call(name, args, SqlType::nullable(Kind::STRING), true, move |args, rows| {
        let keys = Texts::of(&args[0]);
        let one = |row: usize| {
            let Some(value) = part.item(&args[1], row, absent) else {
                return Ok(None);
            };
            let key = keys.get(row).ok_or_else(|| {
                EngineError::user(
                    "a key of JSON_OBJECTAGG is NULL; filter such rows, or use COALESCE",
                )
            })?;
            let mut out = String::new();
            write_text(key, &mut out);
            Ok(Some(format!("{out}:{value}")))
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, EngineError>>()?))
    })
}

/// JSON LIST(items with commas between them).
pub(super) fn json_list(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let args = vec![site.want(0, Want::Text)?];
    site.call(args, SqlType::not_null(Kind::STRING), false, |args, rows| {
        let texts = Texts::of(&args[0]);
        let one = |row: usize| Some(format!("[{}]", texts.get(row).unwrap_or_default()));
        Ok(Arc::new((0..rows).map(one).collect::<StringArray>()))
    })
}

/// JSON MEMBERS(members with commas between them): sorted, and no name twice.
pub(super) fn json_members(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let args = vec![site.want(0, Want::Text)?];
    site.call(args, SqlType::not_null(Kind::STRING), true, |args, rows| {
        let texts = Texts::of(&args[0]);
        let one = |row: usize| {
            let text = format!("{{{}}}", texts.get(row).unwrap_or_default());
            let object = Lazy::parse(&text)
                .ok_or_else(|| EngineError::internal("members that are no JSON"))?;
            if let Some(twice) = object.named_twice() {
                return Err(EngineError::user(format!(
                    "JSON_OBJECTAGG: the key '{twice}' is there twice"
                )));
            }
            let mut out = String::new();
            object.write(&mut out);
            Ok(Some(out))
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, EngineError>>()?))
    })
}

/// Which parts are JSON, for the name of a call: two that differ in it are two.
fn marks(parts: &[Part]) -> String {
    parts.iter().map(|part| if part.raw { " raw" } else { " -" }).collect()
}

fn built(
    site: &Site,
    name: String,
    args: Vec<Expr>,
    ty: SqlType,
    one: impl Fn(&[Col], usize) -> String + Send + Sync + 'static,
) -> Result<Expr, SqlError> {
    site.named_call(name, args, ty, false, move |args, rows| {
        // Without arguments there is one value for every row.
        let rows = if args.is_empty() { 1.max(rows) } else { rows };
        Ok(Arc::new((0..rows).map(|row| Some(one(args, row))).collect::<StringArray>()))
    })
}

/// JSON(string): a text that is JSON, as it is.
pub(super) fn json(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let arg = site.want(0, Want::Text)?;
    let ty = SqlType { kind: Kind::STRING, nullable: arg.ty.nullable };
    site.call(vec![arg], ty, true, |args, rows| {
        let texts = Texts::of(&args[0]);
        let one = |row: usize| {
            let Some(text) = texts.get(row) else {
                return Ok(None);
            };
            let json = Lazy::parse(text).ok_or_else(|| {
                let shown: String = text.chars().take(60).collect();
                EngineError::user(format!("JSON: '{shown}' is no JSON; test it with IS JSON"))
            })?;
            let mut out = String::new();
            json.write(&mut out);
            Ok(Some(out))
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, EngineError>>()?))
    })
}

/// A string as a JSON string of ASCII characters.
pub(super) fn json_quote(args: &[Col], rows: usize) -> Result<ArrayRef, EngineError> {
    let texts = Texts::of(&args[0]);
    let one = |row: usize| {
        let mut out = String::from("\"");
        let mut units = [0; 2];
        for c in texts.get(row)?.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '/' => out.push_str("\\/"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                ' '..='~' => out.push(c),
                c => {
                    for unit in c.encode_utf16(&mut units) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
            }
        }
        out.push('"');
        Some(out)
    };
    Ok(Arc::new((0..rows).map(one).collect::<StringArray>()))
}

/// What a JSON string says; any other text as it is.
pub(super) fn json_unquote(args: &[Col], rows: usize) -> Result<ArrayRef, EngineError> {
    let texts = Texts::of(&args[0]);
    let one = |row: usize| {
        let text = texts.get(row)?;
        let quoted = text.len() >= 2 && text.starts_with('"') && text.ends_with('"');
        let said = quoted.then(|| serde_json::from_str::<String>(text).ok()).flatten();
        Some(said.unwrap_or_else(|| text.to_owned()))
    };
    Ok(Arc::new((0..rows).map(one).collect::<StringArray>()))
}
