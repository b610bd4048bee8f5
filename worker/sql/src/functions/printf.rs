//! PRINTF: texts by a pattern, as `java.util.Formatter` makes them in English.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::{Float32Type, Float64Type};
use weir_engine::EngineError;

use super::digits::{Digits, grouped};
use super::{Function, Site, Want, special};
use crate::error::SqlError;
use crate::expr::cast::widen;
use crate::expr::col::Texts;
use crate::expr::{Col, Expr, render};
use crate::types::{Kind, SqlType};

pub(super) const FUNCTIONS: &[Function] = &[special("PRINTF", "PRINTF(pattern, value, …)", printf)];

/// A value as Java sees it.
enum Value {
    Null,
    Boolean(bool),
    /// A whole number and its bits.
    Int(i64, u32),
    /// A number, and its text, which a FLOAT's double does not tell.
    Float(f64, String),
    /// Something that only has a text.
    Text(String),
}

/// One `%…` of a pattern.
#[derive(Clone, Debug, PartialEq)]
struct Spec {
    argument: Argument,
    flags: String,
    width: Option<usize>,
    precision: Option<usize>,
    /// In lower case.
    conversion: char,
    upper: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Argument {
    Next,
    /// That of the one before.
    Last,
    /// From 0 on.
    At(usize),
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Spec(Spec),
}

/// Longest text and most digits that a pattern may ask for.
const LONGEST: usize = 10_000;

fn printf(site: &mut Site) -> Result<Expr, SqlError> {
    if site.args.is_empty() {
        return site.count_error();
    }
    let mut args = vec![site.want(0, Want::Text)?];
    for at in 1..site.args.len() {
        let expr = site.expr(at)?;
        let kind = expr.kind();
        let taken = kind == Kind::Boolean
            || kind.is_numeric()
            || kind.is_text()
            || matches!(kind, Kind::Null);
        if !taken {
            return site.type_error(at, "a number, a string or a BOOLEAN (CAST others AS STRING)");
        }
        args.push(expr);
    }
    let kinds: Vec<Kind> = args.iter().map(Expr::kind).collect();
    let pattern = args[0].as_literal().filter(|v| v.is_valid(0));
    let known = pattern.map(|v| parse(v.as_string::<i32>().value(0)));
    if let Some(Err(reason)) = known {
        return site.error(args[0].span, reason);
    }
    let known = known.and_then(Result::ok);
    let fallible = known.is_none();
    site.call(args, SqlType::nullable(Kind::STRING), fallible, move |args, rows| {
        let patterns = Texts::of(&args[0]);
        let one = |row: usize| -> Result<Option<String>, EngineError> {
            let values = || -> Vec<Value> {
                (1..args.len()).map(|at| value(&args[at], kinds[at], row)).collect()
            };
            match (&known, patterns.get(row)) {
                (_, None) => Ok(None),
                (Some(pieces), _) => Ok(pieces.as_ref().and_then(|p| format(p, &values()))),
                (None, Some(pattern)) => {
                    let pieces = parse(pattern).map_err(EngineError::user)?;
                    Ok(pieces.and_then(|p| format(&p, &values())))
                }
            }
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, _>>()?))
    })
}

fn value(col: &Col, kind: Kind, row: usize) -> Value {
    let at = if col.is_scalar() { 0 } else { row };
    let array = col.values();
    if kind == Kind::Null || array.is_null(at) {
        return Value::Null;
    }
    let bits = match kind {
        Kind::TinyInt => 8,
        Kind::SmallInt => 16,
        Kind::Int => 32,
        _ => 64,
    };
    match kind {
        Kind::Boolean => Value::Boolean(array.as_boolean().value(at)),
        Kind::Float | Kind::Double => {
            let number = match kind {
                Kind::Float => f64::from(array.as_primitive::<Float32Type>().value(at)),
                _ => array.as_primitive::<Float64Type>().value(at),
            };
            render::value(col, kind, row).map_or(Value::Null, |text| Value::Float(number, text))
        }
        kind if kind.is_integer() => {
            let one = Col::Scalar(array.slice(at, 1));
            widen(&one, kind, 1)[0].map_or(Value::Null, |v| Value::Int(v, bits))
        }
        _ => render::value(col, kind, row).map_or(Value::Null, Value::Text),
    }
}

/// The pieces of a pattern; `None` of one that Java refuses, of which the text is NULL.
///
/// # Errors
/// What is not supported.
fn parse(pattern: &str) -> Result<Option<Vec<Piece>>, String> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        if at > 0 {
            pieces.push(Piece::Text(rest[..at].to_owned()));
        }
        let Some((spec, length)) = spec(&rest[at + 1..]) else {
            return Ok(None);
        };
        if matches!(spec.conversion, 'a' | 'h' | 't') {
            return Err(format!(
                "PRINTF has no %{} here; DATE_FORMAT and HEX give such texts",
                spec.conversion
            ));
        }
        if spec.width.max(spec.precision).is_some_and(|n| n > LONGEST) {
            return Err(format!("PRINTF makes no texts that are wider than {LONGEST} characters"));
        }
        if !is_allowed(&spec) {
            return Ok(None);
        }
        pieces.push(Piece::Spec(spec));
        rest = &rest[at + 1 + length..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(Some(pieces))
}

/// What stands behind `%`, and how long it is.
fn spec(text: &str) -> Option<(Spec, usize)> {
    let number = |from: usize| {
        let digits = text[from..].bytes().take_while(u8::is_ascii_digit).count();
        (digits > 0).then(|| {
            (text[from..from + digits].parse::<usize>().unwrap_or(usize::MAX), from + digits)
        })
    };
    let mut at = 0;
    let mut argument = Argument::Next;
    if let Some((n, end)) = number(0)
        && text[end..].starts_with('$')
    {
        argument = Argument::At(n.checked_sub(1)?);
        at = end + 1;
    }
    let mut flags = String::new();
    while let Some(flag) = text[at..].chars().next().filter(|c| "-#+ 0,(<".contains(*c)) {
        if flags.contains(flag) {
            return None;
        }
        flags.push(flag);
        at += 1;
    }
    if flags.contains('<') {
        argument = Argument::Last;
        flags.retain(|flag| flag != '<');
    }
    let mut width = None;
    if let Some((n, end)) = number(at) {
        (width, at) = (Some(n), end);
    }
    let mut precision = None;
    if text[at..].starts_with('.') {
        let (n, end) = number(at + 1)?;
        (precision, at) = (Some(n), end);
    }
    let letter = text[at..].chars().next()?;
    let conversion = letter.to_ascii_lowercase();
    let upper = letter.is_ascii_uppercase();
    let known = match conversion {
        'b' | 'h' | 's' | 'c' | 'x' | 'e' | 'g' | 'a' | 't' => true,
        'd' | 'o' | 'f' | 'n' | '%' => !upper,
        _ => false,
    };
    known.then(|| (Spec { argument, flags, width, precision, conversion, upper }, at + 1))
}

/// Whether Java takes the flags, the width and the precision of a conversion.
fn is_allowed(spec: &Spec) -> bool {
    let has = |flag: char| spec.flags.contains(flag);
    let among = |known: &str| spec.flags.chars().all(|flag| known.contains(flag));
    let wide = spec.width.is_some() || !has('-') && !has('0');
    let whole = spec.precision.is_none();
    let apart = !(has('-') && has('0') || has('+') && has(' '));
    match spec.conversion {
        'd' => whole && wide && apart && among("-+ 0,("),
        'o' | 'x' => whole && wide && apart && among("-#0"),
        'f' => wide && apart && among("-#+ 0,("),
        'e' => wide && apart && among("-#+ 0("),
        'g' => wide && apart && among("-+ 0,("),
        'c' => whole && wide && among("-"),
        'n' => whole && spec.width.is_none() && spec.flags.is_empty(),
        '%' => whole && wide && among("-"),
        _ => wide && among("-"),
    }
}

/// The text; `None` where a value is missing or of a type that its place does not take.
fn format(pieces: &[Piece], values: &[Value]) -> Option<String> {
    let mut text = String::new();
    let (mut next, mut last) = (0, None);
    for piece in pieces {
        let spec = match piece {
            Piece::Text(plain) => {
                text.push_str(plain);
                continue;
            }
            Piece::Spec(spec) => spec,
        };
        let made = match spec.conversion {
            'n' => "\n".to_owned(),
            '%' => "%".to_owned(),
            _ => {
                let at = match spec.argument {
                    Argument::At(at) => at,
                    Argument::Last => last?,
                    Argument::Next => {
                        next += 1;
                        next - 1
                    }
                };
                last = Some(at);
                one(spec, values.get(at)?)?
            }
        };
        let made = if spec.upper { made.to_uppercase() } else { made };
        let missing = spec.width.unwrap_or(0).saturating_sub(made.chars().count());
        let blanks = std::iter::repeat_n(' ', missing);
        if spec.flags.contains('-') {
            text.push_str(&made);
            text.extend(blanks);
        } else {
            text.extend(blanks);
            text.push_str(&made);
        }
    }
    Some(text)
}

fn one(spec: &Spec, value: &Value) -> Option<String> {
    let cut = |text: String| match spec.precision {
        Some(most) => text.chars().take(most).collect(),
        None => text,
    };
    Some(match (spec.conversion, value) {
        ('b', Value::Null) => cut("false".to_owned()),
        ('b', Value::Boolean(value)) => cut(value.to_string()),
        ('b', _) => cut("true".to_owned()),
        (_, Value::Null) => cut("null".to_owned()),
        ('s', Value::Boolean(value)) => cut(value.to_string()),
        ('s', Value::Int(value, _)) => cut(value.to_string()),
        ('s', Value::Float(_, text)) => cut(text.clone()),
        ('s', Value::Text(text)) => cut(text.clone()),
        ('c', Value::Int(code, bits)) if *bits < 64 => {
            char::from_u32(u32::try_from(*code).ok()?)?.to_string()
        }
        ('d', Value::Int(value, _)) => {
            let digits = value.unsigned_abs().to_string();
            let digits = if spec.flags.contains(',') { grouped(&digits) } else { digits };
            signed(spec, *value < 0, digits)
        }
        ('x' | 'o', Value::Int(value, bits)) => {
            let value = *value as u64 & (u64::MAX >> (64 - bits));
            let (digits, mark) = match spec.conversion {
                'x' => (format!("{value:x}"), "0x"),
                _ => (format!("{value:o}"), "0"),
            };
            let mark = if spec.flags.contains('#') { mark } else { "" };
            filled(spec, mark, digits, "")
        }
        ('e' | 'f' | 'g', Value::Float(value, _)) if !value.is_finite() => {
            let digits = if value.is_nan() { "NaN" } else { "Infinity" };
            let spec = Spec { flags: spec.flags.replace('0', ""), ..spec.clone() };
            let negative = *value < 0.0;
            // What is no number has no sign.
            if value.is_nan() {
                digits.to_owned()
            } else {
                signed(&spec, negative, digits.to_owned())
            }
        }
        ('e' | 'f' | 'g', Value::Float(value, _)) => {
            signed(spec, value.is_sign_negative(), float(spec, value.abs()))
        }
        _ => return None,
    })
}

/// Digits with a sign, and zeros where the width asks for them.
fn signed(spec: &Spec, negative: bool, digits: String) -> String {
    let has = |flag: char| spec.flags.contains(flag);
    let (before, after) = match (negative, has('(')) {
        (true, true) => ("(", ")"),
        (true, false) => ("-", ""),
        (false, _) if has('+') => ("+", ""),
        (false, _) if has(' ') => (" ", ""),
        (false, _) => ("", ""),
    };
    filled(spec, before, digits, after)
}

fn filled(spec: &Spec, before: &str, digits: String, after: &str) -> String {
    let length = before.len() + digits.len() + after.len();
    let missing = match spec.flags.contains('0') {
        true => spec.width.unwrap_or(0).saturating_sub(length),
        false => 0,
    };
    format!("{before}{}{digits}{after}", "0".repeat(missing))
}

/// A number that is finite and has no sign.
fn float(spec: &Spec, value: f64) -> String {
    let precision = spec.precision.unwrap_or(6);
    let group = |fixed: String| match spec.flags.contains(',') {
        true => match fixed.split_once('.') {
            Some((whole, part)) => format!("{}.{part}", grouped(whole)),
            None => grouped(&fixed),
        },
        false => fixed,
    };
    let point = |text: String| match spec.flags.contains('#') && precision == 0 {
        true => format!("{text}."),
        false => text,
    };
    match spec.conversion {
        'f' => point(group(Digits::of(value).fixed(precision))),
        'e' => Digits::of(value).scientific(precision),
        _ => {
            let precision = precision.max(1);
            let digits = Digits::of(value);
            if value == 0.0 {
                return group(digits.fixed(precision - 1));
            }
            let exponent = digits.rounded_to(precision).exponent();
            if (-4..precision as i32).contains(&exponent) {
                group(digits.fixed((precision as i32 - 1 - exponent) as usize))
            } else {
                digits.scientific(precision - 1)
            }
        }
    }
}
