//! Lengths of time: added to times, between times, and what two of them have in common.

use std::sync::Arc;

use arrow::array::{Int32Array, Int64Array};
use chrono::Datelike;

use super::times::{instants, temporal};
use super::{Site, Want};
use crate::ast::BinaryOp;
use crate::bind::expr::{arithmetic, choose, compare_op, logical};
use crate::error::SqlError;
use crate::expr::Expr;
use crate::expr::time::{Instant, add_months};
use crate::types::{Kind, SqlType};
use crate::zone;

pub(super) fn timestamp_add(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(3..=3)?;
    let (unit, span) = site.unit(0)?;
    let number = site.want(1, Want::BigInt)?;
    let time = temporal(site, 2)?;
    // A date moved by hours is a timestamp.
    let time = if time.kind() == Kind::Date && unit.millis().is_some_and(|ms| ms < 86_400_000) {
        site.cast(time, Kind::Timestamp(6))?
    } else {
        time
    };
    let (length, kind) = match (unit.months(), unit.millis()) {
        (Some(months), _) => (months, Kind::IntervalMonths),
        (_, Some(ms)) => (ms, Kind::IntervalMillis),
        _ => {
            return Err(SqlError::new(
                span,
                "TIMESTAMPADD cannot add this unit; YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, MINUTE and SECOND it can",
            ));
        }
    };
    let interval = Expr::literal(Arc::new(Int64Array::from(vec![length])), kind, site.span);
    let amount = arithmetic(interval, BinaryOp::Multiply, number, site.span)?;
    arithmetic(time, BinaryOp::Add, amount, site.span)
}

pub(super) fn timestamp_diff(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(3..=3)?;
    let (unit, span) = site.unit(0)?;
    let (from, to) = (temporal(site, 1)?, temporal(site, 2)?);
    if unit.months().is_none() && unit.millis().is_none() {
        return Err(SqlError::new(
            span,
            "TIMESTAMPDIFF cannot count this unit; YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, MINUTE and SECOND it can",
        ));
    }
    let (a, b) = (from.kind(), to.kind());
    refuse_mixed(&[a, b], site)?;
    let ty = SqlType { kind: Kind::Int, nullable: from.ty.nullable || to.ty.nullable };
    site.named_call(
        format!("TIMESTAMPDIFF {unit:?}"),
        vec![from, to],
        ty,
        false,
        move |args, rows| {
            let (from, to) = (instants(&args[0], a, rows), instants(&args[1], b, rows));
            let one = |(from, to): (Option<Instant>, Option<Instant>)| {
                let (from, to) = (from?, to?);
                match unit.months() {
                    Some(months) => Some((whole_months(from, to)? / months) as i32),
                    None => {
                        Some((to.millis().saturating_sub(from.millis()) / unit.millis()?) as i32)
                    }
                }
            };
            Ok(Arc::new(from.into_iter().zip(to).map(one).collect::<Int32Array>()))
        },
    )
}

/// What is between a point in time and what a clock shows depends on the session's zone, and Flink
/// has no such difference.
fn refuse_mixed(kinds: &[Kind; 2], site: &Site) -> Result<(), SqlError> {
    let points = kinds.map(|kind| matches!(kind, Kind::TimestampLtz(_)));
    if points[0] == points[1] || zone::current().is_utc() {
        return Ok(());
    }
    site.error(
        site.span,
        "a difference between a TIMESTAMP_LTZ and another type is not supported with a 'table.local-time-zone' other than UTC; CAST both times AS TIMESTAMP(3)",
    )
}

/// Months between two times as Flink counts them: by days first, where a month later than the
/// 31st is the last day of the month, then one less when the day is met but its time is not.
fn whole_months(from: Instant, to: Instant) -> Option<i64> {
    let day = |at: Instant| Instant { seconds: at.seconds.div_euclid(86_400) * 86_400, nanos: 0 };
    let time = |at: Instant| (at.seconds.rem_euclid(86_400), at.nanos);
    let (first, last) = (day(from), day(to));
    let months =
        if last < first { -months_of_days(last, first)? } else { months_of_days(first, last)? };
    let met = add_months(first, months)? == last && time(to) < time(from);
    Some(if met { months - 1 } else { months })
}

/// The largest number of months that leads from `first` no further than `last`.
fn months_of_days(first: Instant, last: Instant) -> Option<i64> {
    let (a, b) = (first.datetime()?, last.datetime()?);
    let months = (i64::from(b.year()) - i64::from(a.year())) * 12 + i64::from(b.month())
        - i64::from(a.month());
    Some(if add_months(first, months)? > last { months - 1 } else { months })
}

/// `(a - b) unit`, as the arguments a, b and the unit: an interval of months or of milliseconds.
pub(super) fn difference(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(3..=3)?;
    let (to, from) = (temporal(site, 0)?, temporal(site, 1)?);
    let (unit, span) = site.unit(2)?;
    let (a, b) = (to.kind(), from.kind());
    let alike = match (a, b) {
        (Kind::Time(_), Kind::Time(_)) => unit.months().is_none(),
        (Kind::Time(_), _) | (_, Kind::Time(_)) => false,
        (Kind::TimestampLtz(_), b) => matches!(b, Kind::TimestampLtz(_)),
        (_, b) => !matches!(b, Kind::TimestampLtz(_)),
    };
    if !alike {
        return Err(SqlError::new(span, format!("{a} and {b} are no interval of this unit apart")));
    }
    let months = unit.months().is_some();
    let kind = if months { Kind::IntervalMonths } else { Kind::IntervalMillis };
    let ty = SqlType { kind, nullable: from.ty.nullable || to.ty.nullable };
    site.named_call(format!("DIFFERENCE {kind}"), vec![to, from], ty, false, move |args, rows| {
        let (to, from) = (instants(&args[0], a, rows), instants(&args[1], b, rows));
        let one = |(to, from): (Option<Instant>, Option<Instant>)| {
            let (to, from) = (to?, from?);
            if months { whole_months(from, to) } else { to.millis().checked_sub(from.millis()) }
        };
        Ok(Arc::new(to.into_iter().zip(from).map(one).collect::<Int64Array>()))
    })
}

/// `(a, b) OVERLAPS (c, d)`, as four arguments; b and d are times or lengths. Periods that only touch
/// each other overlap, too.
pub(super) fn overlaps(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(4..=4)?;
    let (first, second) = (period(site, 0)?, period(site, 2)?);
    let at = site.span;
    let reaches = compare_op(first.1, BinaryOp::GreaterEq, second.0, at)?;
    let reached = compare_op(second.1, BinaryOp::GreaterEq, first.0, at)?;
    Ok(logical(BinaryOp::And, reaches, reached, at))
}

/// Begin and end of a period, whichever of the two stands first.
fn period(site: &Site, at: usize) -> Result<(Expr, Expr), SqlError> {
    let (a, mut b) = (temporal(site, at)?, site.expr(at + 1)?);
    if matches!(b.kind(), Kind::IntervalMillis | Kind::IntervalMonths) {
        b = arithmetic(a.clone(), BinaryOp::Add, b, site.span)?;
    }
    let in_order = compare_op(a.clone(), BinaryOp::LessEq, b.clone(), site.span)?;
    let either = |x: &Expr, y: &Expr| {
        choose(
            vec![in_order.clone()],
            vec![x.clone(), y.clone()],
            "the ends of a period",
            site.span,
        )
    };
    Ok((either(&a, &b)?, either(&b, &a)?))
}
