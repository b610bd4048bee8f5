//! VARIANT: PARSE_JSON, TRY_PARSE_JSON, and what is taken out of one.
//!
//! A VARIANT is the text of its JSON without blanks, members sorted and numbers in one form each, so
//! that equal values are equal texts.

use std::sync::Arc;

use arrow::array::StringArray;
use arrow::datatypes::Int32Type;
use weir_engine::EngineError;

use super::value::{Json, Lazy, write_text};
use crate::error::SqlError;
use crate::expr::Expr;
use crate::expr::col::{Bools, Prims, Texts};
use crate::expr::render::java_double;
use crate::functions::{Site, Want};
use crate::types::{Kind, SqlType};

/// Digits that a DECIMAL has at most.
const MOST_DIGITS: usize = 38;

pub(super) fn parse_json(site: &mut Site) -> Result<Expr, SqlError> {
    parse(site, false)
}

pub(super) fn try_parse_json(site: &mut Site) -> Result<Expr, SqlError> {
    parse(site, true)
}

fn parse(site: &mut Site, lenient: bool) -> Result<Expr, SqlError> {
    site.expect_count(1..=2)?;
    let mut args = vec![site.want(0, Want::Text)?];
    if site.args.len() > 1 {
        args.push(site.want(1, Want::Boolean)?);
    }
    let ty = SqlType { kind: Kind::Variant, nullable: lenient || args[0].ty.nullable };
    site.call(args, ty, !lenient, move |args, rows| {
        let texts = Texts::of(&args[0]);
        let twice = args.get(1).map(Bools::of);
        let one = |row: usize| {
            let Some(text) = texts.get(row) else { return Ok(None) };
            let twice = twice.as_ref().is_some_and(|twice| twice.get(row) == Some(true));
            match variant(text, twice) {
                Ok(variant) => Ok(Some(variant)),
                Err(_) if lenient => Ok(None),
                Err(why) => Err(EngineError::user(format!(
                    "PARSE_JSON: {why}: `{}`; TRY_PARSE_JSON gives NULL instead",
                    text.chars().take(80).collect::<String>()
                ))),
            }
        };
        let variants = (0..rows).map(one).collect::<Result<StringArray, EngineError>>()?;
        Ok(Arc::new(variants))
    })
}

/// The text of a VARIANT.
fn variant(text: &str, twice: bool) -> Result<String, String> {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return Err("this is no JSON".to_owned());
    }
    let json = Lazy::parse(text).ok_or("this is no JSON")?;
    let mut out = String::new();
    write(json, twice, &mut out)?;
    Ok(out)
}

fn write(json: Lazy<'_>, twice: bool, out: &mut String) -> Result<(), String> {
    match json.open() {
        Json::Null => out.push_str("null"),
        Json::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Json::Number(text) => out.push_str(&number(text)),
        Json::Text(text) => write_text(&text, out),
        Json::Array(items) => {
            out.push('[');
            for (i, item) in items.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, twice, out)?;
            }
            out.push(']');
        }
        Json::Object(members) => {
            if let Some(name) = json.named_twice().filter(|_| !twice) {
                return Err(format!("the member \"{name}\" is there twice"));
            }
            out.push('{');
            for (i, (name, member)) in members.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_text(&name, out);
                out.push(':');
                write(member, twice, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

/// A number: exact without an exponent and with few digits, else a DOUBLE.
fn number(text: &str) -> String {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if text.contains(['e', 'E']) || digits > MOST_DIGITS {
        return text.parse().map_or_else(|_| text.to_owned(), java_double);
    }
    let plain = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    };
    if plain == "-0" { "0".to_owned() } else { plain.to_owned() }
}

/// `v['member']` of an object, `v[index from 1]` of an array: NULL where there is none.
pub(in crate::functions) fn item(site: &mut Site) -> Result<Expr, SqlError> {
    let (of, key) = (site.expr(0)?, site.expr(1)?);
    let ty = SqlType::nullable(Kind::Variant);
    if key.kind().is_text() {
        return site.call(vec![of, key], ty, true, move |args, rows| {
            let (variants, names) = (Texts::of(&args[0]), Texts::of(&args[1]));
            let one = |row: usize| {
                let Some((variant, name)) = variants.get(row).zip(names.get(row)) else {
                    return Ok(None);
                };
                match Lazy::parse(variant).map(Lazy::open) {
                    Some(Json::Object(mut members)) => Ok(text(members.remove(name))),
                    _ => Err(wrong(variant, "an object", "a member's name")),
                }
            };
            Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, EngineError>>()?))
        });
    }
    let index = site.want(1, Want::Int)?;
    site.call(vec![of, index], ty, true, move |args, rows| {
        let (variants, indices) = (Texts::of(&args[0]), Prims::<Int32Type>::of(&args[1]));
        let one = |row: usize| {
            let Some((variant, index)) = variants.get(row).zip(indices.get(row)) else {
                return Ok(None);
            };
            match Lazy::parse(variant).map(Lazy::open) {
                Some(Json::Array(items)) => {
                    let at = usize::try_from(index).ok().and_then(|at| at.checked_sub(1));
                    Ok(text(at.and_then(|at| items.get(at).copied())))
                }
                _ => Err(wrong(variant, "an array", "a number")),
            }
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, EngineError>>()?))
    })
}

/// A part of a VARIANT, which is one itself.
fn text(json: Option<Lazy<'_>>) -> Option<String> {
    let mut out = String::new();
    write(json?, true, &mut out).ok().map(|()| out)
}

fn wrong(variant: &str, wanted: &str, by: &str) -> EngineError {
    EngineError::user(format!(
        "this VARIANT is taken apart by {by}, but is not {wanted}: `{}`; filter such rows out",
        variant.chars().take(80).collect::<String>()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_equal_texts() {
        for (json, text) in [
            (r#" {"b": [1, 2.50, "x"], "a": {"c": null}} "#, r#"{"a":{"c":null},"b":[1,2.5,"x"]}"#),
            ("1.0", "1"),
            ("-0.0", "0"),
            ("100", "100"),
            ("1e3", "1000.0"),
            ("12345678901234567890.10", "12345678901234567890.1"),
        ] {
            assert_eq!(variant(json, false).as_deref(), Ok(text), "{json}");
        }
        for broken in ["", "{", "1 2", "x", r#"{"a":1,"a":2}"#, r#"[{"a":1,"a":2}]"#] {
            assert!(variant(broken, false).is_err(), "{broken}");
        }
        assert_eq!(variant(r#"{"a":1,"a":2}"#, true).as_deref(), Ok(r#"{"a":2}"#));
    }
}
