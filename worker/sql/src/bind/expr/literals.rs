//! Literals.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray};

use super::Bound;
use crate::error::{Span, SqlError};
use crate::expr::{Expr, Style, cast};
use crate::types::{Kind, SqlType};

pub(crate) fn text_literal(text: &str, span: Span) -> Expr {
    let length = text.chars().count() as u32;
    let kind = if length == 0 { Kind::VarChar(1) } else { Kind::Char(length) };
    Expr::literal(Arc::new(StringArray::from(vec![text])), kind, span)
}

pub(super) fn number(text: &str, span: Span) -> Bound {
    let too_long = || {
        SqlError::new(
            span,
            format!(
                "the number {text} has more than 38 digits; write it as a DOUBLE, such as 1E40"
            ),
        )
    };
    let (array, kind): (ArrayRef, Kind) = if text.contains('E') {
        let value: f64 = text.parse().map_err(|_| too_long())?;
        (Arc::new(Float64Array::from(vec![value])), Kind::Double)
    } else if text.contains('.') {
        let scale = text.split_once('.').map_or(0, |(_, part)| part.len());
        // Leading zeros count: 0.05 is a DECIMAL(3, 2).
        let precision = text.chars().filter(char::is_ascii_digit).count();
        if precision > 38 {
            return Err(too_long());
        }
        let (p, s) = (precision as u8, scale as u8);
        let value = cast::decimal(text, p, s).ok_or_else(too_long)?;
        let array = Decimal128Array::from(vec![value])
            .with_precision_and_scale(p, s as i8)
            .map_err(|_| too_long())?;
        (Arc::new(array), Kind::Decimal(p, s))
    } else if let Ok(value) = text.parse::<i32>() {
        (Arc::new(Int32Array::from(vec![value])), Kind::Int)
    } else if let Ok(value) = text.parse::<i64>() {
        (Arc::new(Int64Array::from(vec![value])), Kind::BigInt)
    } else {
        let digits = text.trim_start_matches(['-', '0']).len();
        if digits > 38 {
            return Err(too_long());
        }
        let value = cast::decimal(text, digits as u8, 0).ok_or_else(too_long)?;
        let array = Decimal128Array::from(vec![value])
            .with_precision_and_scale(digits as u8, 0)
            .map_err(|_| too_long())?;
        (Arc::new(array), Kind::Decimal(digits as u8, 0))
    };
    Ok(Expr::literal(array, kind, span))
}

pub(super) fn typed_literal(keyword: &str, text: &str, span: Span) -> Bound {
    let digits = text.split_once('.').map_or(0, |(_, part)| part.trim().len().min(9)) as u8;
    let (kind, form) = match keyword {
        "DATE" => (Kind::Date, "DATE '2001-01-31'"),
        "TIME" => (Kind::Time(digits.min(3)), "TIME '23:59:59'"),
        _ => (Kind::Timestamp(digits), "TIMESTAMP '2001-01-31 23:59:59.123'"),
    };
    let literal = text_literal(text, span);
    cast::cast(literal, SqlType::not_null(kind), Style::Hidden, false, span)
        .map_err(|_| SqlError::new(span, format!("'{text}' is no {keyword}; it is written {form}")))
}
