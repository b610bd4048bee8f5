//! Dates and times: between Arrow's numbers, their parts and their text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use weir_engine::EngineError;

use super::col::Col;
use super::format::{Formatter, trim};
use crate::types::{Kind, time_unit};

/// A point of time: seconds since the epoch and nanoseconds of that second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Instant {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
}

impl Instant {
    pub(crate) fn of_millis(ms: i64) -> Self {
        Self::of_unit(ms, TimeUnit::Millisecond)
    }

    pub(crate) fn of_unit(value: i64, unit: TimeUnit) -> Self {
        let per_second = per_second(unit);
        let rest = value.rem_euclid(per_second) as u64;
        Self {
            seconds: value.div_euclid(per_second),
            nanos: (rest * (1_000_000_000 / per_second as u64)) as u32,
        }
    }

    /// In a unit, cut off towards the past; `None` when it does not fit.
    pub(crate) fn in_unit(self, unit: TimeUnit) -> Option<i64> {
        let per_second = per_second(unit);
        let part = i64::from(self.nanos) / (1_000_000_000 / per_second);
        self.seconds.checked_mul(per_second)?.checked_add(part)
    }

    pub(crate) fn millis(self) -> i64 {
        self.seconds.saturating_mul(1000).saturating_add(i64::from(self.nanos / 1_000_000))
    }

    pub(crate) fn of_date(date: NaiveDate) -> Self {
        Self { seconds: i64::from(days_of(date)) * 86_400, nanos: 0 }
    }

    pub(crate) fn of_datetime(at: NaiveDateTime) -> Self {
        let utc = at.and_utc();
        Self { seconds: utc.timestamp(), nanos: utc.timestamp_subsec_nanos() }
    }

    pub(crate) fn datetime(self) -> Option<NaiveDateTime> {
        DateTime::from_timestamp(self.seconds, self.nanos).map(|t| t.naive_utc())
    }
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// Days since the epoch.
pub(crate) fn days_of(date: NaiveDate) -> i32 {
    // `num_days_from_ce` of 1970-01-01 is 719 163.
    date.num_days_from_ce() - 719_163
}

pub(crate) fn date_of(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(days.checked_add(719_163)?)
}

/// A column of timestamps of any unit, by row.
pub(crate) struct Instants<'a> {
    col: &'a Col,
    values: &'a [i64],
    unit: TimeUnit,
}

impl<'a> Instants<'a> {
    pub(crate) fn of(col: &'a Col) -> Self {
        let (values, unit): (&[i64], TimeUnit) = match col.values().data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, _) => (
                col.values().as_primitive::<TimestampMicrosecondType>().values(),
                TimeUnit::Microsecond,
            ),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => (
                col.values().as_primitive::<TimestampNanosecondType>().values(),
                TimeUnit::Nanosecond,
            ),
            _ => (
                col.values().as_primitive::<TimestampMillisecondType>().values(),
                TimeUnit::Millisecond,
            ),
        };
        Self { col, values, unit }
    }

    pub(crate) fn get(&self, row: usize) -> Option<Instant> {
        let row = if self.col.is_scalar() { 0 } else { row };
        self.col.values().is_valid(row).then(|| Instant::of_unit(self.values[row], self.unit))
    }
}

/// Builds a timestamp column of `kind`.
pub(crate) fn timestamps(
    kind: Kind,
    values: impl Iterator<Item = Result<Option<Instant>, EngineError>>,
) -> Result<ArrayRef, EngineError> {
    let precision = match kind {
        Kind::Timestamp(p) | Kind::TimestampLtz(p) => p,
        _ => 3,
    };
    let unit = time_unit(precision);
    let numbers = values
        .map(|value| {
            value.and_then(|value| match value {
                None => Ok(None),
                Some(at) => at.in_unit(unit).map(Some).ok_or_else(|| {
                    EngineError::user(format!(
                        "the time {} does not fit {kind}; use TIMESTAMP(3)",
                        format_timestamp(at, 3)
                    ))
                }),
            })
        })
        .collect::<Result<Vec<Option<i64>>, _>>()?;
    let array: ArrayRef = match unit {
        TimeUnit::Microsecond => {
            typed(PrimitiveArray::<TimestampMicrosecondType>::from(numbers), kind)
        }
        TimeUnit::Nanosecond => {
            typed(PrimitiveArray::<TimestampNanosecondType>::from(numbers), kind)
        }
        _ => typed(PrimitiveArray::<TimestampMillisecondType>::from(numbers), kind),
    };
    Ok(array)
}

fn typed<T: arrow::datatypes::ArrowPrimitiveType>(
    array: PrimitiveArray<T>,
    kind: Kind,
) -> ArrayRef {
    Arc::new(array.with_data_type(kind.arrow()))
}

/// `yyyy-MM-dd`.
pub(crate) fn format_date(days: i32) -> String {
    match date_of(days) {
        Some(date) => format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()),
        None => format!("{days} days since 1970-01-01"),
    }
}

/// `HH:mm:ss`; the milliseconds are cut off, as TIME has none of them.
pub(crate) fn format_time(ms: i32, precision: u8) -> String {
    let seconds = ms / 1000;
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let digits = usize::from(precision.min(3));
    if digits > 0 {
        text.push('.');
        text.push_str(&format!("{:03}", ms % 1000)[..digits]);
    }
    text
}

/// A time of day in milliseconds with so many digits of the second, the others cut off.
pub(crate) fn cut_time(ms: i32, precision: u8) -> i32 {
    let step = 10i32.pow(3 - u32::from(precision.min(3)));
    ms / step * step
}

/// `yyyy-MM-dd HH:mm:ss` and `precision` digits of the second.
pub(crate) fn format_timestamp(at: Instant, precision: u8) -> String {
    let Some(time) = at.datetime() else {
        return format!("{} s since 1970-01-01", at.seconds);
    };
    let mut text = format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    if precision > 0 {
        let nanos = format!("{:09}", at.nanos);
        text.push('.');
        text.push_str(&nanos[..usize::from(precision.min(9))]);
    }
    text
}

/// `yyyy[-M[-d]]`, with nothing behind it but a blank and a time, which is ignored. Blanks around
/// the numbers are too, but a time behind a text that begins with one is not.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let text = match text.find(' ') {
        Some(at) if at > 0 => &text[..at],
        _ => text,
    };
    let mut parts = text.splitn(3, '-').map(trim);
    let year = digits(parts.next()?, 1, 4)?;
    let month = parts.next().map_or(Some(1), |m| digits(m, 1, 2))?;
    let day = parts.next().map_or(Some(1), |d| digits(d, 1, 2))?;
    NaiveDate::from_ymd_opt(year as i32, month, day).map(days_of)
}

fn digits(text: &str, least: usize, most: usize) -> Option<u32> {
    let fits = (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// `H:m:s.fffffffff` with the parts from minutes on optional.
pub(crate) fn parse_time(text: &str) -> Option<(u32, u32)> {
    let text = text.trim();
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let mut parts = clock.splitn(3, ':');
    let hour = digits(parts.next()?, 1, 2)?;
    let minute = parts.next().map_or(Some(0), |m| digits(m, 1, 2))?;
    let seconds = parts.next();
    let second = seconds.map_or(Some(0), |s| digits(s, 1, 2))?;
    let nanos = match fraction {
        None => 0,
        Some(_) if seconds.is_none() => return None,
        Some("") => 0,
        Some(f) if (1..=9).contains(&f.len()) => digits(f, 1, 9)? * 10u32.pow(9 - f.len() as u32),
        Some(_) => return None,
    };
    let time = NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)?;
    Some((time.num_seconds_from_midnight(), nanos))
}

/// `yyyy-M-d[ H:m:s[.fffffffff]]`; a day that the month does not have, up to the 31st, is its
/// last, and 24:00:00 the beginning of the next day.
pub(crate) fn parse_timestamp(text: &str) -> Option<Instant> {
    static FORM: std::sync::OnceLock<Formatter> = std::sync::OnceLock::new();
    FORM.get_or_init(Formatter::of_timestamps).read_whole(text)
}

/// Moves a time by months; the day is cut to the month's last.
pub(crate) fn add_months(at: Instant, months: i64) -> Option<Instant> {
    let time = at.datetime()?;
    let total = i64::from(time.year()) * 12 + i64::from(time.month0()) + months;
    let (year, month0) = (total.div_euclid(12), total.rem_euclid(12));
    let year = i32::try_from(year).ok()?;
    let day = (28..=time.day().max(28))
        .rev()
        .find_map(|day| NaiveDate::from_ymd_opt(year, month0 as u32 + 1, day.min(time.day())))?;
    Some(Instant { nanos: at.nanos, ..Instant::of_datetime(day.and_time(time.time())) })
}

/// Moves a time by milliseconds.
pub(crate) fn add_millis(at: Instant, ms: i64) -> Option<Instant> {
    let nanos = i64::from(at.nanos) + ms.rem_euclid(1000) * 1_000_000;
    let seconds =
        at.seconds.checked_add(ms.div_euclid(1000))?.checked_add(nanos / 1_000_000_000)?;
    Some(Instant { seconds, nanos: (nanos % 1_000_000_000) as u32 })
}
