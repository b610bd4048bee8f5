//! Functions between times and their texts, and between points in time and what clocks show.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray, Date32Array, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use weir_engine::EngineError;
use weir_engine::env::Clock;

use super::math::nondeterministic;
use super::times::{CLOCK, TIMESTAMP, on_the_clock, temporal};
use super::{Site, Want};
use crate::ast::BinaryOp;
use crate::bind::expr::arithmetic;
use crate::error::SqlError;
use crate::expr::col::{Prims, Texts};
use crate::expr::format::{Formatter, SimpleFormat};
use crate::expr::time::{Instant, Instants, parse_date, parse_timestamp, timestamps};
use crate::expr::{Col, Expr};
use crate::types::{Kind, SqlType};
use crate::zone::{self, Twice, Zone};

/// `CONVERT_TZ(text, from, to)`: what a clock of one zone shows when that of another shows `text`.
pub(super) fn convert_tz(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(3..=3)?;
    let plain = plain_format().map_err(|reason| SqlError::new(site.span, reason))?;
    let zones = [PatternArg::of(site, 1, zone_named)?, PatternArg::of(site, 2, zone_named)?];
    let args = (0..3).map(|i| site.want(i, Want::Text)).collect::<Result<Vec<_>, _>>()?;
    let fallible = zones.iter().any(PatternArg::fallible);
    site.call(args, SqlType::nullable(Kind::STRING), fallible, move |args, rows| {
        let texts = [0, 1, 2].map(|i| Texts::of(&args[i]));
        let one = |r: usize| {
            let Some(text) = texts[0].get(r) else { return Ok(None) };
            let from = zones[0].with(&texts[1], r, |zone| Some(*zone))?;
            let to = zones[1].with(&texts[2], r, |zone| Some(*zone))?;
            let (Some(from), Some(to)) = (from, to) else { return Ok(None) };
            let point = plain.read(text).and_then(|ms| point_ms(from, ms));
            Ok(point.map(|ms| plain.format(clock_ms(to, ms))))
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, EngineError>>()?))
    })
}

/// How zones are named, for messages.
const ZONES: &str = "'Europe/Berlin', 'GMT+08:00' or 'UTC'";

/// Flink takes every name, and one that it does not know for UTC.
fn zone_named(name: &str) -> Result<Zone, String> {
    Zone::parse(name).ok_or_else(|| format!("it is no time zone; write {ZONES}"))
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

/// A pattern that texts are read with.
fn reading_simple(text: &str) -> Result<SimpleFormat, String> {
    let pattern = simple_format(text)?;
    pattern.check_reading().map(|()| pattern)
}

/// How strings hold times where no pattern says so.
fn plain_format() -> Result<SimpleFormat, String> {
    simple_format("yyyy-MM-dd HH:mm:ss")
}

pub(super) fn date_format(site: &mut Site) -> Result<Expr, SqlError> {
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
    let arg = on_the_clock(site, arg)?;
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

pub(super) fn to_timestamp(site: &mut Site) -> Result<Expr, SqlError> {
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
pub(super) fn to_date(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=2)?;
    let ty = SqlType::nullable(Kind::Date);
    if site.args.len() == 1 {
        return site.call(vec![site.want(0, Want::Text)?], ty, false, |args, rows| {
            let texts = Texts::of(&args[0]);
            let one = |r: usize| parse_date(texts.get(r)?);
            Ok(Arc::new((0..rows).map(one).collect::<Date32Array>()))
        });
    }
    let known = PatternArg::of(site, 1, reading_simple)?;
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

pub(super) fn to_timestamp_ltz(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=3)?;
    if site.expr(0)?.kind().is_text() {
        return read_ltz(site);
    }
    site.expect_count(1..=2)?;
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
    let expr = site.expr(0)?;
    let seconds_with_part = precision == 0 && expr.kind().is_approximate();
    // Parts of the unit are cut off, but those of seconds in a DOUBLE.
    let (number, precision) = if seconds_with_part {
        let span = expr.span;
        let thousand =
            Expr::literal(Arc::new(Float64Array::from(vec![1000.0])), Kind::Double, span);
        let milliseconds =
            arithmetic(site.cast(expr, Kind::Double)?, BinaryOp::Multiply, thousand, span)?;
        (site.cast(milliseconds, Kind::BigInt)?, 3)
    } else if expr.kind().is_numeric() {
        (site.cast(expr, Kind::BigInt)?, precision)
    } else {
        (site.want(0, Want::BigInt)?, precision)
    };
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

/// `TO_TIMESTAMP_LTZ(text [, pattern [, zone]])`: the point in time at which a clock of the zone shows
/// the text; in UTC where no zone is said, whatever the session's is. Without a pattern a text that
/// cannot be read is an error, as in Flink, and NULL with one.
fn read_ltz(site: &Site) -> Result<Expr, SqlError> {
    let known = match site.args.len() {
        1 => PatternArg { known: None, read: reading },
        _ => PatternArg::of(site, 1, reading)?,
    };
    if site.args.len() == 3 {
        check_zone(site, 2)?;
    }
    let args = (0..site.args.len()).map(|i| site.want(i, Want::Text));
    let args = args.collect::<Result<Vec<_>, _>>()?;
    let kind = Kind::TimestampLtz(digits_of_second(&args));
    let fallible = args.len() == 1 || known.fallible();
    site.call(args, SqlType::nullable(kind), fallible, move |args, rows| {
        let texts: Vec<Texts<'_>> = args.iter().map(Texts::of).collect();
        let zone_of = |row: usize| match texts.get(2) {
            None => Some(Zone::Utc),
            Some(zones) => zones.get(row).and_then(Zone::parse_id),
        };
        let one = |row: usize| {
            let (Some(text), Some(zone)) = (texts[0].get(row), zone_of(row)) else {
                return Ok(None);
            };
            let shown = match texts.get(1) {
                None => Some(parse_timestamp(text).ok_or_else(|| unreadable(text))?),
                Some(patterns) => known.with(patterns, row, |p| p.read(text))?,
            };
            Ok(shown.and_then(|at| zone.point(at, Twice::Earlier)))
        };
        timestamps(kind, (0..rows).map(one))
    })
}

fn unreadable(text: &str) -> EngineError {
    let shown: String = text.chars().take(60).collect();
    EngineError::user(format!(
        "TO_TIMESTAMP_LTZ cannot read '{shown}'; with a pattern as second argument it gives NULL instead"
    ))
}

/// As many digits of the second as a pattern in quotes has, at least three.
fn digits_of_second(args: &[Expr]) -> u8 {
    let pattern = args.get(1).and_then(Expr::as_literal).filter(|v| v.is_valid(0));
    let digits = pattern.map_or(0, |v| v.as_string::<i32>().value(0).matches('S').count());
    digits.clamp(3, 9) as u8
}

/// Refuses a zone in quotes that there is not.
fn check_zone(site: &Site, at: usize) -> Result<(), SqlError> {
    let expr = site.expr(at)?;
    let value = expr.as_literal().filter(|v| v.is_valid(0) && expr.kind().is_text());
    match value.map(|v| v.as_string::<i32>().value(0)) {
        Some(name) if Zone::parse_id(name).is_none() => {
            site.error(expr.span, format!("'{name}' is no time zone; write {ZONES}"))
        }
        _ => Ok(()),
    }
}

pub(super) fn unix_timestamp(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(0..=2)?;
    if site.args.is_empty() {
        return Ok(nondeterministic(site, Kind::BigInt, CLOCK, |rows| {
            Ok(Arc::new(Int64Array::from_value(Clock::System.now_ms().div_euclid(1000), rows)))
        }));
    }
    let mut args = vec![site.want(0, Want::Text)?];
    let known = if site.args.len() == 2 {
        args.push(site.want(1, Want::Text)?);
        PatternArg::of(site, 1, reading_simple)?
    } else {
        let plain = plain_format().map_err(|reason| SqlError::new(site.span, reason))?;
        PatternArg { known: Some(plain), read: reading_simple }
    };
    let nullable = args.iter().any(|a| a.ty.nullable);
    let fallible = known.fallible();
    let zone = zone::current();
    let name = format!("UNIX_TIMESTAMP{}", zone.suffix());
    let ty = SqlType { kind: Kind::BigInt, nullable };
    site.named_call(name, args, ty, fallible, move |args, rows| {
        let (texts, patterns) = (Texts::of(&args[0]), Texts::of(args.get(1).unwrap_or(&args[0])));
        let one = |r: usize| {
            let Some(text) = texts.get(r) else {
                return Ok(None);
            };
            // What cannot be read is the smallest number, as in Flink; parts of a second are cut
            // off towards 1970.
            let read = |p: &SimpleFormat| Some(p.read(text).and_then(|ms| point_ms(zone, ms)));
            let ms = known.with(&patterns, r, read)?;
            Ok(ms.map(|ms| ms.map_or(i64::MIN, |ms| ms / 1000)))
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<Int64Array, EngineError>>()?))
    })
}

/// The year 1900, in milliseconds. Further back, `java.util.TimeZone` knows a zone's standard time
/// alone, where `java.time` has that of the sun.
const YEAR_1900: i64 = -2_208_988_800_000;

/// The point in time of what a clock shows, both in milliseconds since 1970, as
/// `java.text.SimpleDateFormat` reads it.
fn point_ms(zone: Zone, ms: i64) -> Option<i64> {
    if zone.is_utc() || ms < YEAR_1900 {
        return ms.checked_sub(zone.standard_offset() * 1000);
    }
    zone.point(Instant::of_millis(ms), Twice::Later).map(Instant::millis)
}

/// What a clock shows at a point in time, both in milliseconds since 1970; those out of all range
/// are in UTC.
fn clock_ms(zone: Zone, ms: i64) -> i64 {
    if zone.is_utc() || ms < YEAR_1900 {
        return ms.saturating_add(zone.standard_offset() * 1000);
    }
    zone.local(Instant::of_millis(ms)).map_or(ms, Instant::millis)
}

pub(super) fn from_unixtime(site: &mut Site) -> Result<Expr, SqlError> {
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
    let zone = zone::current();
    let name = format!("FROM_UNIXTIME{}", zone.suffix());
    site.named_call(name, args, SqlType::nullable(Kind::STRING), fallible, move |args, rows| {
        let numbers = Prims::<Int64Type>::of(&args[0]);
        let one = |r: usize| {
            let Some(seconds) = numbers.get(r) else {
                return Ok(None);
            };
            let ms = clock_ms(zone, seconds.wrapping_mul(1000));
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
