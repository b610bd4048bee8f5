//! Intervals: literals, and arithmetic of times with them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::datatypes::{Date32Type, Int64Type, Time32MillisecondType};
use weir_engine::EngineError;

use super::expr::{call_with, cast_to};
use crate::ast::{BinaryOp, Unit};
use crate::error::{Span, SqlError};
use crate::expr::col::{Col, Prims, binary, rows_of};
use crate::expr::time::{Instant, Instants, add_millis, add_months, timestamps};
use crate::expr::{Expr, Kernel, Style};
use crate::types::{Kind, SqlType};

/// An interval literal.
pub(crate) fn bind(text: &str, from: Unit, to: Option<Unit>, span: Span) -> Result<Expr, SqlError> {
    let parsed = match to {
        None => single(text.trim(), from),
        Some(to) => range(text.trim(), from, to),
    };
    let Some((value, kind)) = parsed else {
        let form = match (from, to) {
            (Unit::Year, Some(_)) => "INTERVAL '1-6' YEAR TO MONTH",
            (Unit::Day, Some(_)) => "INTERVAL '1 12:30:00' DAY TO SECOND",
            (_, Some(_)) => "INTERVAL '1:30' HOUR TO MINUTE",
            _ => "INTERVAL '1' HOUR",
        };
        return Err(SqlError::new(
            span,
            format!("'{text}' is no interval of this unit; it is written like {form}"),
        ));
    };
    Ok(Expr::literal(Arc::new(Int64Array::from(vec![value])), kind, span))
}

fn single(text: &str, unit: Unit) -> Option<(i64, Kind)> {
    if let Some(months) = unit.months() {
        return Some((text.parse::<i64>().ok()?.checked_mul(months)?, Kind::IntervalMonths));
    }
    let millis = unit.millis()?;
    if unit == Unit::Second && text.contains('.') {
        return Some((seconds(text)?, Kind::IntervalMillis));
    }
    Some((text.parse::<i64>().ok()?.checked_mul(millis)?, Kind::IntervalMillis))
}

/// Seconds with a fraction, in milliseconds.
fn seconds(text: &str) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 9 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = format!("{part:0<3}").chars().take(3).collect();
    let ms = whole.parse::<u32>().ok()? as i64 * 1000 + digits.parse::<i64>().ok()?;
    Some(if negative { -ms } else { ms })
}

fn range(text: &str, from: Unit, to: Unit) -> Option<(i64, Kind)> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest.trim()),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if from == Unit::Year && to == Unit::Month {
        let (years, months) = text.split_once('-')?;
        let (years, months) = (years.parse::<u32>().ok()?, months.parse::<u32>().ok()?);
        return (months < 12)
            .then(|| (sign * (i64::from(years) * 12 + i64::from(months)), Kind::IntervalMonths));
    }
    let units = [Unit::Day, Unit::Hour, Unit::Minute, Unit::Second];
    let first = units.iter().position(|u| *u == from)?;
    let last = units.iter().position(|u| *u == to)?;
    if first >= last {
        return None;
    }
    let parts: Vec<&str> = if from == Unit::Day {
        let (days, clock) = text.split_once(' ')?;
        std::iter::once(days).chain(clock.trim().split(':')).collect()
    } else {
        text.split(':').collect()
    };
    if parts.len() != last - first + 1 {
        return None;
    }
    let mut total = 0i64;
    for (part, unit) in parts.iter().zip(&units[first..=last]) {
        total += match unit {
            Unit::Second => seconds(part).filter(|ms| *ms >= 0)?,
            unit => i64::from(part.parse::<u32>().ok()?).checked_mul(unit.millis()?)?,
        };
    }
    Some((sign * total, Kind::IntervalMillis))
}

/// Arithmetic in which an interval takes part; `None` when there is none.
pub(crate) fn arithmetic(
    a: Expr,
    op: BinaryOp,
    b: Expr,
    span: Span,
) -> Option<Result<Expr, SqlError>> {
    let is_interval = Kind::is_interval;
    let (ka, kb) = (a.kind(), b.kind());
    if !is_interval(ka) && !is_interval(kb) {
        return None;
    }
    let nullable = a.ty.nullable || b.ty.nullable;
    let plus = op == BinaryOp::Add;
    let result = match (ka, op, kb) {
        (ka, BinaryOp::Add | BinaryOp::Subtract, kb) if ka == kb => {
            whole(op, a, b, ka, nullable, span)
        }
        (ka, BinaryOp::Multiply, kb) if is_interval(ka) && kb.is_integer() => {
            let at = b.span;
            cast_to(b, Kind::BigInt, at).and_then(|b| whole(op, a, b, ka, nullable, span))
        }
        (ka, BinaryOp::Multiply, kb) if ka.is_integer() && is_interval(kb) => {
            let at = a.span;
            cast_to(a, Kind::BigInt, at).and_then(|a| whole(op, b, a, kb, nullable, span))
        }
        (ka, BinaryOp::Add | BinaryOp::Subtract, kb) if ka.is_temporal() => {
            shift(a, b, plus, kb, span)
        }
        (_, BinaryOp::Add, kb) if kb.is_temporal() => shift(b, a, true, ka, span),
        _ => {
            return Some(Err(SqlError::new(
                span,
                format!("'{}' cannot take {ka} and {kb}", op.sign()),
            )));
        }
    };
    Some(result)
}

fn whole(
    op: BinaryOp,
    a: Expr,
    b: Expr,
    kind: Kind,
    nullable: bool,
    span: Span,
) -> Result<Expr, SqlError> {
    let kernel: Kernel = Arc::new(move |args, rows| {
        let result = binary::<Int64Type, Int64Type, Int64Type>(args, rows, |a, b| {
            match op {
                BinaryOp::Add => a.checked_add(b),
                BinaryOp::Subtract => a.checked_sub(b),
                _ => a.checked_mul(b),
            }
            .ok_or_else(|| EngineError::user("the interval is too long"))
        })?;
        Ok(Col::of(Arc::new(result), args))
    });
    call_with(op.sign(), vec![a, b], kernel, SqlType { kind, nullable }, Style::Infix, true, span)
}

/// A time moved by an interval.
fn shift(time: Expr, by: Expr, plus: bool, unit: Kind, span: Span) -> Result<Expr, SqlError> {
    let kind = time.kind();
    // Months of a point in time are those of UTC's calendar, whatever the session's zone: as in Flink.
    // A DATE moved by less than days becomes a time of day in Flink's type, too.
    let ty = SqlType { kind, nullable: time.ty.nullable || by.ty.nullable };
    let kernel: Kernel = Arc::new(move |args, rows| {
        let rows = rows_of(args, rows);
        let amounts = Prims::<Int64Type>::of(&args[1]);
        let amount = |row: usize| amounts.get(row).map(|n| if plus { n } else { n.wrapping_neg() });
        let moved = |at: Instant, n: i64| {
            if unit == Kind::IntervalMonths { add_months(at, n) } else { add_millis(at, n) }
                .ok_or_else(|| EngineError::user("the time is out of range"))
        };
        let array: ArrayRef = match kind {
            Kind::Date => {
                let days = Prims::<Date32Type>::of(&args[0]);
                let result = (0..rows)
                    .map(|row| match (days.get(row), amount(row)) {
                        (Some(d), Some(n)) => {
                            let at = Instant { seconds: i64::from(d) * 86_400, nanos: 0 };
                            moved(at, n).map(|at| Some(at.seconds.div_euclid(86_400) as i32))
                        }
                        _ => Ok(None),
                    })
                    .collect::<Result<arrow::array::Date32Array, _>>()?;
                Arc::new(result)
            }
            Kind::Time(_) => {
                let times = Prims::<Time32MillisecondType>::of(&args[0]);
                let result: arrow::array::Time32MillisecondArray = (0..rows)
                    .map(|row| {
                        let ms = i64::from(times.get(row)?).wrapping_add(amount(row)?);
                        Some(ms.rem_euclid(86_400_000) as i32)
                    })
                    .collect();
                Arc::new(result)
            }
            _ => fast_shift(args, unit, plus).map_or_else(
                || {
                    let times = Instants::of(&args[0]);
                    timestamps(
                        kind,
                        (0..rows).map(|row| match (times.get(row), amount(row)) {
                            (Some(at), Some(n)) => moved(at, n).map(Some),
                            _ => Ok(None),
                        }),
                    )
                },
                Ok,
            )?,
        };
        Ok(Col::of(array, args))
    });
    let name = if plus { "+" } else { "-" };
    call_with(name, vec![time, by], kernel, ty, Style::Infix, false, span)
}

/// Milliseconds moved by a fixed number of milliseconds, without a detour per row.
fn fast_shift(args: &[Col], unit: Kind, plus: bool) -> Option<ArrayRef> {
    use arrow::array::AsArray;
    use arrow::datatypes::{DataType, TimeUnit, TimestampMillisecondType};
    let Col::Array(times) = &args[0] else {
        return None;
    };
    let Col::Scalar(by) = &args[1] else {
        return None;
    };
    if unit != Kind::IntervalMillis
        || by.is_null(0)
        || !matches!(times.data_type(), DataType::Timestamp(TimeUnit::Millisecond, _))
    {
        return None;
    }
    let n = by.as_primitive::<Int64Type>().value(0);
    let n = if plus { n } else { n.wrapping_neg() };
    let times = times.as_primitive::<TimestampMillisecondType>();
    let moved = times.unary::<_, TimestampMillisecondType>(|t| t.saturating_add(n));
    Some(Arc::new(moved.with_data_type(times.data_type().clone())))
}
