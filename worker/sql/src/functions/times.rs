//! Functions of dates and times. Points in time are first what a clock of the session's zone shows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, Time32MillisecondArray};
use arrow::datatypes::{Date32Type, Int64Type, Time32MillisecondType};
use chrono::{Datelike, NaiveDate, Timelike};
use weir_engine::EngineError;
use weir_engine::env::Clock;

use super::formats::{
    convert_tz, date_format, from_unixtime, to_date, to_timestamp, to_timestamp_ltz, unix_timestamp,
};
use super::math::nondeterministic;
use super::periods::{difference, overlaps, timestamp_add, timestamp_diff};
use super::{Function, Site, special};
use crate::ast::Unit;
use crate::error::SqlError;
use crate::expr::col::Prims;
use crate::expr::time::{Instant, Instants, add_months, timestamps};
use crate::expr::{Col, Expr};
use crate::types::{Kind, SqlType};
use crate::zone::{self, Zone};

pub(super) const TIMESTAMP: Kind = Kind::Timestamp(3);
pub(super) const LTZ: Kind = Kind::TimestampLtz(3);
pub(super) const CLOCK: &str =
    "reads the clock, so that rows computed again after a failure may differ";

pub(super) const FUNCTIONS: &[Function] = &[
    special("EXTRACT", "EXTRACT(unit FROM time)", |site| {
        site.expect_count(2..=2)?;
        let (unit, _) = site.unit(0)?;
        extract(site, 1, unit)
    }),
    special("YEAR", "YEAR(date)", |site| part(site, Unit::Year)),
    special("QUARTER", "QUARTER(date)", |site| part(site, Unit::Quarter)),
    special("MONTH", "MONTH(date)", |site| part(site, Unit::Month)),
    special("WEEK", "WEEK(date)", |site| part(site, Unit::Week)),
    special("DAYOFYEAR", "DAYOFYEAR(date)", |site| part(site, Unit::DayOfYear)),
    special("DAYOFMONTH", "DAYOFMONTH(date)", |site| part(site, Unit::Day)),
    special("DAYOFWEEK", "DAYOFWEEK(date)", |site| part(site, Unit::DayOfWeek)),
    special("HOUR", "HOUR(time)", |site| part(site, Unit::Hour)),
    special("MINUTE", "MINUTE(time)", |site| part(site, Unit::Minute)),
    special("SECOND", "SECOND(time)", |site| part(site, Unit::Second)),
    special("DATE_FORMAT", "DATE_FORMAT(timestamp, pattern)", date_format),
    special("TO_TIMESTAMP", "TO_TIMESTAMP(string [, pattern])", to_timestamp),
    special("TO_DATE", "TO_DATE(string [, pattern])", to_date),
    special(
        "TO_TIMESTAMP_LTZ",
        "TO_TIMESTAMP_LTZ(number [, 0 for seconds, 3 for milliseconds, 6 for microseconds]), or TO_TIMESTAMP_LTZ(string [, pattern [, zone]])",
        to_timestamp_ltz,
    ),
    special("UNIX_TIMESTAMP", "UNIX_TIMESTAMP([string [, pattern]])", unix_timestamp),
    special("FROM_UNIXTIME", "FROM_UNIXTIME(seconds [, pattern])", from_unixtime),
    special("CONVERT_TZ", "CONVERT_TZ(string, zone, zone)", convert_tz),
    special("TIMESTAMPADD", "TIMESTAMPADD(unit, number, time)", timestamp_add),
    // Written in words of their own.
    special("TIME DIFFERENCE", "(time - time) DAY", difference),
    special("PERIODS OVERLAP", "(from, to) OVERLAPS (from, to)", overlaps),
    special("TIMESTAMPDIFF", "TIMESTAMPDIFF(unit, from, to)", timestamp_diff),
    special("CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP", |site| now(site, LTZ)),
    special("NOW", "NOW()", |site| now(site, LTZ)),
    special("CURRENT_ROW_TIMESTAMP", "CURRENT_ROW_TIMESTAMP()", |site| now(site, LTZ)),
    special("PROCTIME", "PROCTIME()", |site| now(site, LTZ)),
    special("LOCALTIMESTAMP", "LOCALTIMESTAMP", |site| now(site, TIMESTAMP)),
    special("CURRENT_DATE", "CURRENT_DATE", |site| now(site, Kind::Date)),
    special("CURRENT_TIME", "CURRENT_TIME", |site| now(site, Kind::Time(0))),
    special("LOCALTIME", "LOCALTIME", |site| now(site, Kind::Time(0))),
];

fn now(site: &mut Site, kind: Kind) -> Result<Expr, SqlError> {
    site.expect_count(0..=0)?;
    let zone = if kind == LTZ { Zone::Utc } else { zone::current() };
    Ok(nondeterministic(site, kind, CLOCK, move |rows| {
        let at = Instant::of_millis(Clock::System.now_ms());
        let at = zone.local(at).unwrap_or(at);
        Ok(match kind {
            Kind::Date => {
                Arc::new(Date32Array::from_value(at.seconds.div_euclid(86_400) as i32, rows))
            }
            Kind::Time(_) => Arc::new(Time32MillisecondArray::from_value(
                (at.seconds.rem_euclid(86_400) * 1000) as i32,
                rows,
            )),
            _ => timestamps(kind, (0..rows).map(|_| Ok(Some(at))))?,
        })
    }))
}

/// A date, time or timestamp by row; times of day count from the epoch.
pub(super) fn instants(col: &Col, kind: Kind, rows: usize) -> Vec<Option<Instant>> {
    match kind {
        Kind::Date => {
            let days = Prims::<Date32Type>::of(col);
            (0..rows)
                .map(|r| days.get(r).map(|d| Instant { seconds: i64::from(d) * 86_400, nanos: 0 }))
                .collect()
        }
        Kind::Time(_) => {
            let times = Prims::<Time32MillisecondType>::of(col);
            (0..rows).map(|r| times.get(r).map(|ms| Instant::of_millis(i64::from(ms)))).collect()
        }
        _ => {
            let times = Instants::of(col);
            (0..rows).map(|r| times.get(r)).collect()
        }
    }
}

/// Argument `i` as a date, time or timestamp; a literal string is read as a timestamp.
pub(super) fn temporal(site: &Site, i: usize) -> Result<Expr, SqlError> {
    let expr = site.expr(i)?;
    match expr.kind() {
        Kind::Null => Ok(Expr::null(TIMESTAMP, expr.span)),
        kind if kind.is_temporal() => Ok(expr),
        kind if kind.is_text() => Err(SqlError::new(
            expr.span,
            format!(
                "argument {} of {} is a date or time, not {kind}; write CAST(… AS TIMESTAMP(3)), or TO_TIMESTAMP",
                i + 1,
                site.function.name
            ),
        )),
        _ => site.type_error(i, "a date or time"),
    }
}

/// What a clock of the session's zone shows of a point in time; other times are as they are.
pub(super) fn on_the_clock(site: &Site, time: Expr) -> Result<Expr, SqlError> {
    match time.kind() {
        Kind::TimestampLtz(p) if !zone::current().is_utc() => site.cast(time, Kind::Timestamp(p)),
        _ => Ok(time),
    }
}

fn part(site: &mut Site, unit: Unit) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    extract(site, 0, unit)
}

fn extract(site: &Site, i: usize, unit: Unit) -> Result<Expr, SqlError> {
    if let Some(part) = part_of_interval(site, i, unit)? {
        return Ok(part);
    }
    let arg = temporal(site, i)?;
    let arg = if unit == Unit::Epoch { arg } else { on_the_clock(site, arg)? };
    let kind = arg.kind();
    let clock_only = matches!(unit, Unit::Hour | Unit::Minute | Unit::Second);
    if matches!(kind, Kind::Time(_)) && !clock_only {
        return site.type_error(i, "a date or timestamp");
    }
    let ty = SqlType { kind: Kind::BigInt, nullable: arg.ty.nullable };
    site.named_call(format!("EXTRACT {unit:?}"), vec![arg], ty, false, move |args, rows| {
        let values = instants(&args[0], kind, rows);
        Ok(Arc::new(values.into_iter().map(|at| field(at?, unit)).collect::<Int64Array>()))
    })
}

/// EXTRACT of an interval; `None` when the argument is none.
fn part_of_interval(site: &Site, i: usize, unit: Unit) -> Result<Option<Expr>, SqlError> {
    let arg = site.expr(i)?;
    let (length, whole) = match (arg.kind(), unit) {
        (Kind::IntervalMonths, Unit::Year) => (12, i64::MAX),
        (Kind::IntervalMonths, Unit::Month) => (1, 12),
        (Kind::IntervalMillis, Unit::Day) => (86_400_000, i64::MAX),
        (Kind::IntervalMillis, Unit::Hour) => (3_600_000, 86_400_000),
        (Kind::IntervalMillis, Unit::Minute) => (60_000, 3_600_000),
        (Kind::IntervalMillis, Unit::Second) => (1000, 60_000),
        (Kind::IntervalMonths | Kind::IntervalMillis, _) => {
            return site.type_error(
                i,
                "a time; of intervals there are YEAR and MONTH, or DAY, HOUR, MINUTE and SECOND",
            );
        }
        _ => return Ok(None),
    };
    let ty = SqlType { kind: Kind::BigInt, nullable: arg.ty.nullable };
    let name = format!("EXTRACT {unit:?}");
    let part = site.named_call(name, vec![arg], ty, false, move |args, rows| {
        let lengths = Prims::<Int64Type>::of(&args[0]);
        let one = |row: usize| Some(lengths.get(row)? % whole / length);
        Ok(Arc::new((0..rows).map(one).collect::<Int64Array>()))
    })?;
    Ok(Some(part))
}

/// Before 1970, too, a field is the calendar's: Flink cuts the day towards 1970 there, so that
/// `HOUR(TIMESTAMP '1969-12-31 23:00:00')` is -1 and the year of that minute 1970.
fn field(at: Instant, unit: Unit) -> Option<i64> {
    let time = at.datetime()?;
    let year = i64::from(time.year());
    Some(match unit {
        Unit::Millennium => (year + 999).div_euclid(1000),
        Unit::Century => (year + 99).div_euclid(100),
        Unit::Decade => year.div_euclid(10),
        Unit::Year => year,
        Unit::Quarter => i64::from(time.month0() / 3 + 1),
        Unit::Month => i64::from(time.month()),
        Unit::Week => i64::from(time.iso_week().week()),
        Unit::IsoYear => i64::from(time.iso_week().year()),
        Unit::Day => i64::from(time.day()),
        Unit::DayOfYear => i64::from(time.ordinal()),
        // Sunday is 1.
        Unit::DayOfWeek => i64::from(time.weekday().num_days_from_sunday() + 1),
        Unit::IsoDayOfWeek => i64::from(time.weekday().number_from_monday()),
        Unit::Hour => i64::from(time.hour()),
        Unit::Minute => i64::from(time.minute()),
        Unit::Second => i64::from(time.second()),
        Unit::Epoch => at.seconds,
        Unit::Millisecond => i64::from(at.nanos / 1_000_000),
        Unit::Microsecond => i64::from(at.nanos / 1000),
        Unit::Nanosecond => i64::from(at.nanos),
    })
}

/// FLOOR and CEIL of a time to a unit.
pub(super) fn cut(site: &Site, unit: Unit, up: bool) -> Result<Expr, SqlError> {
    let of = temporal(site, 0)?;
    let whole = of.kind();
    let clock = matches!(unit, Unit::Hour | Unit::Minute | Unit::Second | Unit::Millisecond);
    // An hour that comes twice is cut by itself, so that its time does not become that of the other;
    // days begin when the clock shows it.
    let zone = match whole {
        Kind::TimestampLtz(_) if clock => zone::current(),
        _ => Zone::Utc,
    };
    let arg = if clock { of } else { on_the_clock(site, of)? };
    let ty = arg.ty;
    let kind = ty.kind;
    if matches!(kind, Kind::Time(_)) && !clock || kind == Kind::Date && clock {
        return site.type_error(
            0,
            if matches!(kind, Kind::Time(_)) {
                "a date or timestamp"
            } else {
                "a time or timestamp"
            },
        );
    }
    let name = format!("{} TO {unit:?}{}", site.function.name, zone.suffix());
    let cut = site.named_call(name, vec![arg], ty, false, move |args, rows| {
        let cut = |at: Instant| {
            let ahead = zone.local(at)?.seconds - at.seconds;
            let floor = floor(Instant { seconds: at.seconds + ahead, ..at }, unit)?;
            let floor = Instant { seconds: floor.seconds - ahead, ..floor };
            if !up || floor == at {
                return Some(floor);
            }
            match unit.months() {
                Some(months) => add_months(floor, months),
                None => crate::expr::time::add_millis(floor, unit.millis()?),
            }
        };
        let values = instants(&args[0], kind, rows).into_iter().map(|at| at.and_then(cut));
        back(kind, values)
    })?;
    if kind == whole { Ok(cut) } else { site.cast(cut, whole) }
}

fn back(
    kind: Kind,
    values: impl Iterator<Item = Option<Instant>>,
) -> Result<ArrayRef, EngineError> {
    Ok(match kind {
        Kind::Date => Arc::new(
            values
                .map(|at| at.map(|at| at.seconds.div_euclid(86_400) as i32))
                .collect::<Date32Array>(),
        ),
        Kind::Time(_) => Arc::new(
            values
                .map(|at| at.map(|at| at.millis().rem_euclid(86_400_000) as i32))
                .collect::<Time32MillisecondArray>(),
        ),
        _ => timestamps(kind, values.map(Ok))?,
    })
}

fn floor(at: Instant, unit: Unit) -> Option<Instant> {
    let time = at.datetime()?;
    let day = |year: i32, month: u32| NaiveDate::from_ymd_opt(year, month, 1).map(Instant::of_date);
    Some(match unit {
        // The first millennium and century began in the year 1.
        Unit::Millennium => day((time.year() - 1).div_euclid(1000) * 1000 + 1, 1)?,
        Unit::Century => day((time.year() - 1).div_euclid(100) * 100 + 1, 1)?,
        Unit::Decade => day(time.year().div_euclid(10) * 10, 1)?,
        Unit::Year => day(time.year(), 1)?,
        Unit::Quarter => day(time.year(), time.month0() / 3 * 3 + 1)?,
        Unit::Month => day(time.year(), time.month())?,
        // Weeks begin on Sunday, as Calcite's do.
        Unit::Week => {
            let back = i64::from(time.weekday().num_days_from_sunday());
            Instant { seconds: (at.seconds.div_euclid(86_400) - back) * 86_400, nanos: 0 }
        }
        Unit::Millisecond => Instant { nanos: at.nanos / 1_000_000 * 1_000_000, ..at },
        unit => {
            let length = unit.millis()? / 1000;
            Instant { seconds: at.seconds.div_euclid(length) * length, nanos: 0 }
        }
    })
}
