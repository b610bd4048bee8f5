//! Functions of dates and times. The session's zone is UTC.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray, Date32Array, Int32Array, Int64Array, StringArray,
    Time32MillisecondArray,
};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type, Time32MillisecondType};
use chrono::{Datelike, NaiveDate, Timelike};
use weir_engine::EngineError;
use weir_engine::env::Clock;

use super::math::nondeterministic;
use super::{Function, Site, Want, special};
use crate::ast::{BinaryOp, Unit};
use crate::bind::expr::arithmetic;
use crate::error::SqlError;
use crate::expr::col::{Prims, Texts};
use crate::expr::format::{Formatter, SimpleFormat};
use crate::expr::time::{Instant, Instants, add_months, parse_date, parse_timestamp, timestamps};
use crate::expr::{Col, Expr};
use crate::types::{Kind, SqlType};

const TIMESTAMP: Kind = Kind::Timestamp(3);
const LTZ: Kind = Kind::TimestampLtz(3);
const CLOCK: &str = "reads the clock, so that rows computed again after a failure may differ";

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
        "TO_TIMESTAMP_LTZ(number, 0 for seconds, 3 for milliseconds, 6 for microseconds)",
        to_timestamp_ltz,
    ),
    special("UNIX_TIMESTAMP", "UNIX_TIMESTAMP([string [, pattern]])", unix_timestamp),
    special("FROM_UNIXTIME", "FROM_UNIXTIME(seconds [, pattern])", from_unixtime),
    special("TIMESTAMPADD", "TIMESTAMPADD(unit, number, time)", timestamp_add),
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
    Ok(nondeterministic(site, kind, CLOCK, move |rows| {
        let at = Instant::of_millis(Clock::System.now_ms());
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
fn instants(col: &Col, kind: Kind, rows: usize) -> Vec<Option<Instant>> {
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
fn temporal(site: &Site, i: usize) -> Result<Expr, SqlError> {
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

fn part(site: &mut Site, unit: Unit) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    extract(site, 0, unit)
}

fn extract(site: &Site, i: usize, unit: Unit) -> Result<Expr, SqlError> {
    let arg = temporal(site, i)?;
    let kind = arg.kind();
    if matches!(unit, Unit::Millisecond | Unit::Microsecond | Unit::Nanosecond) {
        return Err(SqlError::new(
            site.span,
            "EXTRACT of parts of a second is not supported; format the time with DATE_FORMAT(t, 'SSS')",
        ));
    }
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
        Unit::Millisecond | Unit::Microsecond | Unit::Nanosecond => return None,
    })
}

/// FLOOR and CEIL of a time to a unit.
pub(super) fn cut(site: &Site, unit: Unit, up: bool) -> Result<Expr, SqlError> {
    let arg = temporal(site, 0)?;
    let ty = arg.ty;
    let kind = ty.kind;
    let clock = matches!(unit, Unit::Hour | Unit::Minute | Unit::Second | Unit::Millisecond);
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
    let name = format!("{} TO {unit:?}", site.function.name);
    site.named_call(name, vec![arg], ty, false, move |args, rows| {
        let cut = |at: Instant| {
            let floor = floor(at, unit)?;
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
    })
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

/// A pattern argument: read once when it is a literal, so that errors have a place, else by row.
struct PatternArg<P> {
    known: Option<P>,
    read: fn(&str) -> Result<P, String>,
}

impl<P> PatternArg<P> {
    fn of(site: &Site, i: usize, read: fn(&str) -> Result<P, String>) -> Result<Self, SqlError> {
        let expr = site.expr(i)?;
        let value = expr.as_literal().filter(|v| v.is_valid(0) && expr.kind().is_text());
        let Some(text) = value.map(|v| v.as_string::<i32>().value(0)) else {
            return Ok(Self { known: None, read });
        };
        match read(text) {
            Ok(pattern) => Ok(Self { known: Some(pattern), read }),
            Err(reason) => Err(SqlError::new(expr.span, cannot_be_used(text, &reason))),
        }
    }

    /// Whether data can hold a pattern that cannot be used.
    fn fallible(&self) -> bool {
        self.known.is_none()
    }

    fn with<T>(
        &self,
        texts: &Texts<'_>,
        row: usize,
        f: impl FnOnce(&P) -> Option<T>,
    ) -> Result<Option<T>, EngineError> {
        match (&self.known, texts.get(row)) {
            (Some(pattern), _) => Ok(f(pattern)),
            (None, None) => Ok(None),
            (None, Some(text)) => match (self.read)(text) {
                Ok(pattern) => Ok(f(&pattern)),
                Err(reason) => Err(EngineError::user(cannot_be_used(text, &reason))),
            },
        }
    }
}

fn cannot_be_used(pattern: &str, reason: &str) -> String {
    format!("the pattern '{pattern}' cannot be used: {reason}")
}

/// A pattern that texts are read with.
fn reading(text: &str) -> Result<Formatter, String> {
    let pattern = Formatter::parse(text)?;
    pattern.check_reading().map(|()| pattern)
}

fn simple_format(text: &str) -> Result<SimpleFormat, String> {
    SimpleFormat::parse(text, Clock::System.now_ms())
}

/// How strings hold times where no pattern says so.
fn plain_format() -> Result<SimpleFormat, String> {
    simple_format("yyyy-MM-dd HH:mm:ss")
}

fn date_format(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=2)?;
    let arg = site.expr(0)?;
    let ty = SqlType::nullable(Kind::STRING);
    if arg.kind().is_text() {
        let known = PatternArg::of(site, 1, simple_format)?;
        let args = vec![site.want(0, Want::Text)?, site.want(1, Want::Text)?];
        let plain = plain_format().map_err(|reason| SqlError::new(site.span, reason))?;
        return site.call(args, ty, known.fallible(), move |args, rows| {
            let (texts, patterns) = (Texts::of(&args[0]), Texts::of(&args[1]));
            let one = |r: usize| match texts.get(r).and_then(|text| plain.read(text)) {
                Some(ms) => known.with(&patterns, r, |p| Some(p.format(ms))),
                None => Ok(None),
            };
            Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, _>>()?))
        });
    }
    let arg = temporal(site, 0)?;
    if !arg.kind().is_timestamp() {
        return site.type_error(0, "a timestamp");
    }
    let known = PatternArg::of(site, 1, Formatter::parse)?;
    let pattern = site.want(1, Want::Text)?;
    site.call(vec![arg, pattern], ty, known.fallible(), move |args, rows| {
        let (times, texts) = (Instants::of(&args[0]), Texts::of(&args[1]));
        let one = |r: usize| match times.get(r) {
            Some(at) => known.with(&texts, r, |p| p.format(at)),
            None => Ok(None),
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, _>>()?))
    })
}

fn to_timestamp(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=2)?;
    let ty = SqlType::nullable(TIMESTAMP);
    if site.args.len() == 1 {
        return site.call(vec![site.want(0, Want::Text)?], ty, false, |args, rows| {
            let texts = Texts::of(&args[0]);
            timestamps(TIMESTAMP, (0..rows).map(|r| Ok(texts.get(r).and_then(parse_timestamp))))
        });
    }
    let known = PatternArg::of(site, 1, reading)?;
    let args = vec![site.want(0, Want::Text)?, site.want(1, Want::Text)?];
    site.call(args, ty, known.fallible(), move |args, rows| {
        let (texts, patterns) = (Texts::of(&args[0]), Texts::of(&args[1]));
        let one = |r: usize| match texts.get(r) {
            Some(text) => known.with(&patterns, r, |p| p.read(text)),
            None => Ok(None),
        };
        timestamps(TIMESTAMP, (0..rows).map(one))
    })
}

/// What a text and a pattern give, in milliseconds since 1970.
fn read_simple(
    known: &PatternArg<SimpleFormat>,
    args: &[Col],
    row: usize,
) -> Result<Option<i64>, EngineError> {
    let (texts, patterns) = (Texts::of(&args[0]), Texts::of(&args[1]));
    match texts.get(row) {
        Some(text) => known.with(&patterns, row, |p| p.read(text)),
        None => Ok(None),
    }
}

/// What cannot be read is NULL; in Flink it is the 27th of September 5471.
fn to_date(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=2)?;
    let ty = SqlType::nullable(Kind::Date);
    if site.args.len() == 1 {
        return site.call(vec![site.want(0, Want::Text)?], ty, false, |args, rows| {
            let texts = Texts::of(&args[0]);
            let one = |r: usize| parse_date(texts.get(r)?);
            Ok(Arc::new((0..rows).map(one).collect::<Date32Array>()))
        });
    }
    let known = PatternArg::of(site, 1, simple_format)?;
    let args = vec![site.want(0, Want::Text)?, site.want(1, Want::Text)?];
    site.call(args, ty, known.fallible(), move |args, rows| {
        let one = |r: usize| {
            let ms = read_simple(&known, args, r)?;
            Ok(ms.and_then(|ms| i32::try_from(ms.div_euclid(86_400_000)).ok()))
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<Date32Array, EngineError>>()?))
    })
}

/// Seconds of the years 0 to 9999: further numbers are no times, as they are most likely of
/// another unit.
const YEARS_TO_9999: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

fn to_timestamp_ltz(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=2)?;
    if site.expr(0)?.kind().is_text() {
        return Err(SqlError::new(
            site.span,
            "TO_TIMESTAMP_LTZ of a string is not supported; write CAST(TO_TIMESTAMP(…) AS TIMESTAMP_LTZ(3))",
        ));
    }
    let precision = if site.args.len() == 2 {
        let expr = site.expr(1)?;
        let value = expr.as_literal().filter(|v| v.is_valid(0) && expr.kind() == Kind::Int);
        match value.map(|v| v.as_primitive::<Int32Type>().value(0)) {
            Some(n @ 0..=9) => n as u8,
            _ => {
                return Err(SqlError::new(
                    expr.span,
                    "the precision of TO_TIMESTAMP_LTZ is a number from 0 to 9, such as 0 (seconds), 3 (milliseconds) or 6 (microseconds)",
                ));
            }
        }
    } else {
        3
    };
    let number = site.want(0, Want::BigInt)?;
    let kind = Kind::TimestampLtz(precision.max(3));
    let name = format!("TO_TIMESTAMP_LTZ {precision}");
    site.named_call(name, vec![number], SqlType::nullable(kind), false, move |args, rows| {
        let numbers = Prims::<Int64Type>::of(&args[0]);
        let per_second = 10i64.pow(u32::from(precision));
        let one = |r: usize| {
            let number = numbers.get(r)?;
            let seconds = number.div_euclid(per_second);
            let part = number.rem_euclid(per_second) * 10i64.pow(9 - u32::from(precision));
            YEARS_TO_9999.contains(&seconds).then_some(Instant { seconds, nanos: part as u32 })
        };
        timestamps(kind, (0..rows).map(|r| Ok(one(r))))
    })
}

fn unix_timestamp(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(0..=2)?;
    if site.args.is_empty() {
        return Ok(nondeterministic(site, Kind::BigInt, CLOCK, |rows| {
            Ok(Arc::new(Int64Array::from_value(Clock::System.now_ms().div_euclid(1000), rows)))
        }));
    }
    let mut args = vec![site.want(0, Want::Text)?];
    let known = if site.args.len() == 2 {
        args.push(site.want(1, Want::Text)?);
        PatternArg::of(site, 1, simple_format)?
    } else {
        let plain = plain_format().map_err(|reason| SqlError::new(site.span, reason))?;
        PatternArg { known: Some(plain), read: simple_format }
    };
    let nullable = args.iter().any(|a| a.ty.nullable);
    let fallible = known.fallible();
    site.call(args, SqlType { kind: Kind::BigInt, nullable }, fallible, move |args, rows| {
        let (texts, patterns) = (Texts::of(&args[0]), Texts::of(args.get(1).unwrap_or(&args[0])));
        let one = |r: usize| {
            let Some(text) = texts.get(r) else {
                return Ok(None);
            };
            // What cannot be read is the smallest number, as in Flink; parts of a second are cut
            // off towards 1970.
            let ms = known.with(&patterns, r, |p| Some(p.read(text)))?;
            Ok(ms.map(|ms| ms.map_or(i64::MIN, |ms| ms / 1000)))
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<Int64Array, EngineError>>()?))
    })
}

fn from_unixtime(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=2)?;
    let mut args = vec![site.want(0, Want::BigInt)?];
    let known = if site.args.len() == 2 {
        args.push(site.want(1, Want::Text)?);
        PatternArg::of(site, 1, simple_format)?
    } else {
        let plain = plain_format().map_err(|reason| SqlError::new(site.span, reason))?;
        PatternArg { known: Some(plain), read: simple_format }
    };
    let fallible = known.fallible();
    site.call(args, SqlType::nullable(Kind::STRING), fallible, move |args, rows| {
        let numbers = Prims::<Int64Type>::of(&args[0]);
        let one = |r: usize| {
            let Some(seconds) = numbers.get(r) else {
                return Ok(None);
            };
            let ms = seconds.wrapping_mul(1000);
            match (&known.known, args.get(1)) {
                (Some(pattern), _) => Ok(Some(pattern.format(ms))),
                (None, Some(patterns)) => {
                    known.with(&Texts::of(patterns), r, |p| Some(p.format(ms)))
                }
                (None, None) => Ok(None),
            }
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, EngineError>>()?))
    })
}

fn timestamp_add(site: &mut Site) -> Result<Expr, SqlError> {
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

fn timestamp_diff(site: &mut Site) -> Result<Expr, SqlError> {
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
