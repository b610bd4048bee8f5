//! Values and expressions as people write them; also the text of Flink's `CAST(… AS STRING)`.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType,
};
use weir_engine::roaring;

use super::col::Col;
use super::time::{Instants, format_date, format_time, format_timestamp};
use super::{Expr, Node, Style, nested};
use crate::types::Kind;

/// The value in `row` as `CAST(… AS STRING)` gives it; `None` for NULL.
pub(crate) fn value(col: &Col, kind: Kind, row: usize) -> Option<String> {
    let array = col.values();
    let row = if col.is_scalar() { 0 } else { row };
    if kind == Kind::Null || array.is_null(row) {
        return None;
    }
    Some(match kind {
        Kind::Null => return None,
        Kind::Boolean => if array.as_boolean().value(row) { "TRUE" } else { "FALSE" }.to_owned(),
        Kind::TinyInt => array.as_primitive::<Int8Type>().value(row).to_string(),
        Kind::SmallInt => array.as_primitive::<Int16Type>().value(row).to_string(),
        Kind::Int => array.as_primitive::<Int32Type>().value(row).to_string(),
        Kind::BigInt => array.as_primitive::<Int64Type>().value(row).to_string(),
        Kind::Float => java_float(&format!("{:e}", array.as_primitive::<Float32Type>().value(row))),
        Kind::Double => java_double(array.as_primitive::<Float64Type>().value(row)),
        Kind::Decimal(_, s) => decimal(array.as_primitive::<Decimal128Type>().value(row), s),
        Kind::Char(_) | Kind::VarChar(_) | Kind::Variant => {
            array.as_string::<i32>().value(row).to_owned()
        }
        Kind::Bytes => String::from_utf8_lossy(array.as_binary::<i32>().value(row)).into_owned(),
        Kind::Bitmap => {
            let set = roaring::read(array.as_binary::<i32>().value(row));
            set.map_or_else(|reason| reason, |set| roaring::text(&set))
        }
        Kind::Date => format_date(array.as_primitive::<Date32Type>().value(row)),
        Kind::Time(p) => format_time(array.as_primitive::<Time32MillisecondType>().value(row), p),
        Kind::Timestamp(p) | Kind::TimestampLtz(p) => {
            format_timestamp(Instants::of(col).get(row)?, p)
        }
        Kind::Nested(nested) => nested::text(array, nested, row),
        Kind::IntervalMillis => interval_millis(array.as_primitive::<Int64Type>().value(row)),
        Kind::IntervalMonths => {
            let months = array.as_primitive::<Int64Type>().value(row);
            let sign = if months < 0 { '-' } else { '+' };
            format!("{sign}{}-{:02}", months.abs() / 12, months.abs() % 12)
        }
    })
}

fn interval_millis(ms: i64) -> String {
    let sign = if ms < 0 { '-' } else { '+' };
    let ms = ms.unsigned_abs();
    let seconds = ms / 1000;
    format!(
        "{sign}{} {:02}:{:02}:{:02}.{:03}",
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        ms % 1000
    )
}

/// What Java prints of an interval: `PT26H3M0.5S` of milliseconds, `P14M` of months.
pub(crate) fn java_interval(amount: i64, kind: Kind) -> String {
    if kind == Kind::IntervalMonths {
        return if amount == 0 { "P0D".to_owned() } else { format!("P{amount}M") };
    }
    let mut text = "PT".to_owned();
    let mut rest = amount;
    for (length, letter) in [(3_600_000, 'H'), (60_000, 'M')] {
        if rest / length != 0 {
            text.push_str(&format!("{}{letter}", rest / length));
        }
        rest %= length;
    }
    if rest != 0 {
        let sign = if rest < 0 { "-" } else { "" };
        let (seconds, part) = (rest.abs() / 1000, format!("{:03}", rest.abs() % 1000));
        let part = part.trim_end_matches('0');
        let point = if part.is_empty() { "" } else { "." };
        text.push_str(&format!("{sign}{seconds}{point}{part}S"));
    }
    if amount == 0 { "PT0S".to_owned() } else { text }
}

/// Text of a decimal with `scale` digits behind the point.
pub(crate) fn decimal(value: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// Java's `Double.toString`.
pub(crate) fn java_double(value: f64) -> String {
    java_float(&format!("{value:e}"))
}

/// Java's `Double.toString`, from Rust's shortest digits in scientific notation.
fn java_float(scientific: &str) -> String {
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return match scientific {
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            other => other.to_owned(),
        };
    };
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if digits == "0" {
        return format!("{sign}0.0");
    }
    let text = if (0..7).contains(&exponent) {
        let whole = exponent as usize + 1;
        let padded = format!("{digits:0<width$}", width = whole + 1);
        format!("{}.{}", &padded[..whole], &padded[whole..])
    } else if (-3..0).contains(&exponent) {
        format!("0.{}{digits}", "0".repeat((-exponent - 1) as usize))
    } else {
        let part = if digits.len() > 1 { &digits[1..] } else { "0" };
        format!("{}.{part}E{exponent}", &digits[..1])
    };
    format!("{sign}{text}")
}

/// A literal's value as text, `NULL` included.
pub(crate) fn literal(array: &ArrayRef, kind: Kind) -> String {
    value(&Col::Scalar(array.clone()), kind, 0).unwrap_or_else(|| "NULL".to_owned())
}

/// The expression as SQL, over columns named by `column`.
pub(crate) fn sql(expr: &Expr, column: &impl Fn(usize) -> String) -> String {
    match &*expr.node {
        Node::Column(index) => column(*index),
        Node::Literal(value) => {
            let text = literal(value, expr.kind());
            if value.is_null(0) || expr.kind() == Kind::Null {
                return text;
            }
            match expr.kind() {
                kind if kind.is_text() => format!("'{}'", text.replace('\'', "''")),
                Kind::Date => format!("DATE '{text}'"),
                Kind::Time(_) => format!("TIME '{text}'"),
                Kind::Timestamp(_) | Kind::TimestampLtz(_) => format!("TIMESTAMP '{text}'"),
                Kind::IntervalMillis | Kind::IntervalMonths => format!("INTERVAL '{text}'"),
                _ => text,
            }
        }
        Node::And(a, b) => format!("{} AND {}", part(a, column), part(b, column)),
        Node::Or(a, b) => format!("{} OR {}", part(a, column), part(b, column)),
        Node::Case { whens, otherwise } => {
            let mut text = "CASE".to_owned();
            for (when, then) in whens {
                text.push_str(&format!(" WHEN {} THEN {}", sql(when, column), sql(then, column)));
            }
            text.push_str(&format!(" ELSE {} END", sql(otherwise, column)));
            text
        }
        Node::Call(call) => {
            let first = || call.args.first().map(|a| part(a, column)).unwrap_or_default();
            match call.style {
                Style::Infix if call.args.len() == 2 => {
                    format!("{} {} {}", first(), call.name, part(&call.args[1], column))
                }
                Style::Prefix => format!("{} {}", call.name, first()),
                Style::Postfix => format!("{} {}", first(), call.name),
                Style::Hidden => call.args.first().map(|a| sql(a, column)).unwrap_or_default(),
                Style::Cast => format!(
                    "CAST({} AS {})",
                    call.args.first().map(|a| sql(a, column)).unwrap_or_default(),
                    expr.kind()
                ),
                _ => {
                    let args: Vec<_> = call.args.iter().map(|a| sql(a, column)).collect();
                    format!("{}({})", call.name, args.join(", "))
                }
            }
        }
    }
}

/// A part of a larger expression, in parentheses where they might be needed.
fn part(expr: &Expr, column: &impl Fn(usize) -> String) -> String {
    let text = sql(expr, column);
    match &*expr.node {
        Node::And(..) | Node::Or(..) => format!("({text})"),
        Node::Call(call) if matches!(call.style, Style::Infix | Style::Prefix | Style::Postfix) => {
            format!("({text})")
        }
        Node::Call(call) if call.style == Style::Hidden => {
            call.args.first().map(|a| part(a, column)).unwrap_or_default()
        }
        _ => text,
    }
}
