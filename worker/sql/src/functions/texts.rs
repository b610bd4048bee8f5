//! Functions of strings that look at every character: OVERLAY, TRANSLATE, ELT, IS_ALPHA and so on.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use weir_engine::EngineError;
use weir_engine::aggregate::functions::listagg_item;

use super::{Function, Site, Want, optional, special};
use crate::error::SqlError;
use crate::expr::col::{Prims, Texts};
use crate::expr::{Col, Expr};
use crate::types::{Kind, SqlType};
use Want::{Int, Text};

type Made = Result<ArrayRef, EngineError>;

pub(super) const FUNCTIONS: &[Function] = &[
    optional(
        "OVERLAY",
        "OVERLAY(string PLACING string FROM position [FOR length])",
        &[Text, Text, Int, Int],
        1,
        Kind::STRING,
        overlay,
    ),
    optional(
        "TRANSLATE",
        "TRANSLATE(string, characters, replacements)",
        &[Text, Text, Text],
        0,
        Kind::STRING,
        translate,
    ),
    special("ELT", "ELT(index from 1, string, …)", elt),
    // What LISTAGG, an aggregate, takes in the place of its two arguments.
    optional(
        "LISTAGG ITEM",
        "LISTAGG(string [, separator])",
        &[Text, Text],
        1,
        Kind::STRING,
        listed,
    ),
    special("IS_ALPHA", "IS_ALPHA(string)", |site| {
        test(site, |s| s.chars().all(char::is_alphabetic))
    }),
    special("IS_DIGIT", "IS_DIGIT(string)", |site| test(site, |s| s.chars().all(is_digit))),
    special("IS_DECIMAL", "IS_DECIMAL(string)", |site| test(site, is_decimal)),
];

/// A text with a part of it replaced, which is as long as what replaces it unless said otherwise.
/// A beginning outside the text leaves it as it is; a length that goes beyond its end, or is below
/// zero, takes all that follows.
fn overlay(args: &[Col], rows: usize) -> Made {
    let (texts, placed) = (Texts::of(&args[0]), Texts::of(&args[1]));
    let from = Prims::<Int32Type>::of(&args[2]);
    let lengths = args.get(3).map(Prims::<Int32Type>::of);
    let one = |row: usize| {
        let (text, placed) = (texts.get(row)?, placed.get(row)?);
        let from = from.get(row)?;
        let length = match &lengths {
            Some(lengths) => i64::from(lengths.get(row)?),
            None => placed.chars().count() as i64,
        };
        let chars: Vec<char> = text.chars().collect();
        let start = usize::try_from(from).ok().and_then(|from| from.checked_sub(1));
        let Some(start) = start.filter(|start| *start < chars.len()) else {
            return Some(text.to_owned());
        };
        let end = usize::try_from(length).ok().filter(|length| *length > 0);
        let end = end.and_then(|length| start.checked_add(length)).unwrap_or(chars.len());
        let rest = chars.get(end..).unwrap_or_default();
        Some(
            chars[..start]
                .iter()
                .copied()
                .chain(placed.chars())
                .chain(rest.iter().copied())
                .collect(),
        )
    };
    Ok(Arc::new((0..rows).map(one).collect::<StringArray>()))
}

/// Each of the characters replaced by that at its place, or removed where there is none; NULL
/// characters replace nothing.
fn translate(args: &[Col], rows: usize) -> Made {
    let (texts, from, to) = (Texts::of(&args[0]), Texts::of(&args[1]), Texts::of(&args[2]));
    let one = |row: usize| {
        let text = texts.get(row)?;
        let (Some(from), to) = (from.get(row), to.get(row).unwrap_or_default()) else {
            return Some(text.to_owned());
        };
        let to: Vec<char> = to.chars().collect();
        let replaced = |c: char| match from.chars().position(|known| known == c) {
            Some(at) => to.get(at).copied(),
            None => Some(c),
        };
        Some(text.chars().filter_map(replaced).collect::<String>())
    };
    Ok(Arc::new((0..rows).map(one).collect::<StringArray>()))
}

fn listed(args: &[Col], rows: usize) -> Made {
    let texts = Texts::of(&args[0]);
    let separators = args.get(1).map(Texts::of);
    let one = |row: usize| {
        let separator = match &separators {
            Some(separators) => separators.get(row)?,
            None => ",",
        };
        Some(listagg_item(texts.get(row)?, separator))
    };
    Ok(Arc::new((0..rows).map(one).collect::<StringArray>()))
}

fn elt(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=usize::MAX)?;
    let mut args = vec![site.want(0, Want::BigInt)?];
    if let Some(index) = args[0].as_literal().filter(|v| v.is_valid(0))
        && index.as_primitive::<Int64Type>().value(0) < 0
    {
        return Err(SqlError::new(args[0].span, "the index of ELT is 1 or more"));
    }
    for i in 1..site.args.len() {
        args.push(site.want(i, Text)?);
    }
    site.call(args, SqlType::nullable(Kind::STRING), false, |args, rows| {
        let indices = Prims::<Int64Type>::of(&args[0]);
        let texts: Vec<_> = args[1..].iter().map(Texts::of).collect();
        let one = |row: usize| {
            let index = usize::try_from(indices.get(row)?).ok()?.checked_sub(1)?;
            texts.get(index)?.get(row)
        };
        Ok(Arc::new((0..rows).map(one).collect::<StringArray>()))
    })
}

/// A test of a text that is not empty; others, and NULL, do not pass. Numbers are tested as their
/// texts.
fn test(site: &mut Site, of: fn(&str) -> bool) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let expr = site.expr(0)?;
    let arg = if expr.kind().is_numeric() {
        crate::bind::expr::cast_to(expr.clone(), Kind::STRING, expr.span)?
    } else {
        site.want(0, Text)?
    };
    site.call(vec![arg], SqlType::not_null(Kind::Boolean), false, move |args, rows| {
        let texts = Texts::of(&args[0]);
        let one = |row: usize| texts.get(row).is_some_and(|text| !text.is_empty() && of(text));
        Ok(Arc::new((0..rows).map(|row| Some(one(row))).collect::<BooleanArray>()))
    })
}

/// A decimal digit of any script.
fn is_digit(c: char) -> bool {
    static DIGIT: std::sync::OnceLock<Option<::regex::Regex>> = std::sync::OnceLock::new();
    let digit = DIGIT.get_or_init(|| ::regex::Regex::new(r"\A\p{Nd}\z").ok());
    c.is_ascii_digit()
        || !c.is_ascii()
            && digit.as_ref().is_some_and(|digit| digit.is_match(c.encode_utf8(&mut [0; 4])))
}

/// What Java reads as a number of 64 bits of floating point.
fn is_decimal(text: &str) -> bool {
    crate::expr::cast::float(text).is_some()
}
