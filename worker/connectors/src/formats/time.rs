//! Dates, times and timestamps as text, in the two notations of Flink's formats.
//!
//! Pure functions over bytes; the calendar is the proleptic Gregorian one (algorithm: Howard
//! Hinnant, "chrono-compatible low-level date algorithms").

use std::fmt::Write as _;

use arrow::datatypes::TimeUnit;

/// How timestamps are written: `json.timestamp-format.standard`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TimestampFormat {
    /// `2001-01-01 06:00:00.123`; with local time zone a `Z` follows.
    #[default]
    Sql,
    /// `2001-01-01T06:00:00.123`; with local time zone a `Z` follows.
    Iso8601,
}

/// A point on the time line or the calendar: whole seconds since the epoch, and nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Instant {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
}

impl Instant {
    /// The count of `unit` since the epoch, finer digits cut off; `None` when it does not fit.
    pub(crate) fn in_unit(self, unit: TimeUnit) -> Option<i64> {
        let (per_second, nanos_per) = match unit {
            TimeUnit::Second => (1, 1_000_000_000),
            TimeUnit::Millisecond => (1_000, 1_000_000),
            TimeUnit::Microsecond => (1_000_000, 1_000),
            TimeUnit::Nanosecond => (1_000_000_000, 1),
        };
        self.seconds.checked_mul(per_second)?.checked_add(i64::from(self.nanos / nanos_per))
    }

    /// The instant that `value` counts of `unit` are.
    pub(crate) fn from_unit(value: i64, unit: TimeUnit) -> Self {
        let (per_second, nanos_per) = match unit {
            TimeUnit::Second => (1, 1_000_000_000),
            TimeUnit::Millisecond => (1_000, 1_000_000),
            TimeUnit::Microsecond => (1_000_000, 1_000),
            TimeUnit::Nanosecond => (1_000_000_000, 1),
        };
        let nanos = value.rem_euclid(per_second) * nanos_per;
        Self {
            seconds: value.div_euclid(per_second),
            nanos: u32::try_from(nanos).unwrap_or_default(),
        }
    }
}

/// Days since 1970-01-01.
pub(crate) fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let shifted = i64::from((month + 9) % 12);
    let day_of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
pub(crate) fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = u32::try_from(day_of_year - (153 * shifted + 2) / 5 + 1).unwrap_or(1);
    let month = u32::try_from(if shifted < 10 { shifted + 3 } else { shifted - 9 }).unwrap_or(1);
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn two(text: &[u8], at: usize) -> Option<u32> {
    let (a, b) = (text.get(at)?.wrapping_sub(b'0'), text.get(at + 1)?.wrapping_sub(b'0'));
    (a < 10 && b < 10).then_some(u32::from(a) * 10 + u32::from(b))
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Reads a date at the start; returns days since the epoch and the bytes read.
fn date_prefix(text: &[u8]) -> Option<(i64, usize)> {
    let signed = matches!(text.first()?, b'+' | b'-');
    let digits = text[usize::from(signed)..].iter().take_while(|b| b.is_ascii_digit()).count();
    // As ISO_LOCAL_DATE: four digits, or more with a sign; a plus says that there are more.
    if !(4..=9).contains(&digits) || (digits > 4 && !signed) || (digits == 4 && text[0] == b'+') {
        return None;
    }
    let mut at = usize::from(signed);
    let mut year = 0i64;
    for &digit in &text[at..at + digits] {
        year = year * 10 + i64::from(digit - b'0');
    }
    at += digits;
    if text[0] == b'-' {
        year = -year;
    }
    if *text.get(at)? != b'-' || *text.get(at + 3)? != b'-' {
        return None;
    }
    let (month, day) = (two(text, at + 1)?, two(text, at + 4)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    Some((days_from_civil(year, month, day), at + 6))
}

/// Reads `HH:mm[:ss[.fraction]]` at the start; seconds may only be missing where `short` allows,
/// and the fraction may have no digits. 24:00 is the end of the day.
fn time_prefix(text: &[u8], short: bool) -> Option<(Instant, usize)> {
    let (hour, minute) = (two(text, 0)?, two(text, 3)?);
    if text[2] != b':' || hour > 24 || minute > 59 {
        return None;
    }
    let (mut second, mut nanos, mut at) = (0, 0, 5);
    if text.get(5) == Some(&b':') {
        second = two(text, 6)?;
        at = 8;
        if second > 59 {
            return None;
        }
        if text.get(8) == Some(&b'.') {
            let digits = text[9..].iter().take(9).take_while(|b| b.is_ascii_digit()).count();
            for &digit in &text[9..9 + digits] {
                nanos = nanos * 10 + u32::from(digit - b'0');
            }
            nanos *= 10u32.pow(u32::try_from(9 - digits).unwrap_or(0));
            at = 9 + digits;
        }
    } else if !short {
        return None;
    }
    if hour == 24 && (minute, second, nanos) != (0, 0, 0) {
        return None;
    }
    Some((Instant { seconds: i64::from(hour * 3_600 + minute * 60 + second), nanos }, at))
}

/// `2001-01-01`: days since the epoch.
pub(crate) fn parse_date(text: &[u8]) -> Option<i32> {
    let (days, read) = date_prefix(text)?;
    if read != text.len() {
        return None;
    }
    i32::try_from(days).ok()
}

/// `06:00:00[.123]`: since midnight, and before the next.
pub(crate) fn parse_time(text: &[u8]) -> Option<Instant> {
    let (time, read) = time_prefix(text, false)?;
    (read == text.len() && time.seconds < 86_400).then_some(time)
}

/// A timestamp; with `zoned` a `Z` or an offset such as `+02:00` must follow and is applied.
pub(crate) fn parse_timestamp(
    text: &[u8],
    format: TimestampFormat,
    zoned: bool,
) -> Option<Instant> {
    let separator = match format {
        TimestampFormat::Sql => b' ',
        TimestampFormat::Iso8601 => b'T',
    };
    if !zoned && let Some(instant) = parse_common(text, separator) {
        return Some(instant);
    }
    let (days, read) = date_prefix(text)?;
    if *text.get(read)? != separator {
        return None;
    }
    let rest = &text[read + 1..];
    let (time, read) = time_prefix(rest, format == TimestampFormat::Iso8601)?;
    let rest = &rest[read..];
    let offset = if zoned { parse_offset(rest)? } else { rest.is_empty().then_some(0)? };
    Some(Instant {
        seconds: days.checked_mul(86_400)?.checked_add(time.seconds - offset)?,
        nanos: time.nanos,
    })
}

/// The two common lengths, `yyyy-MM-dd HH:mm:ss` and the same with three digits of fraction,
/// without a branch per digit; everything else, and everything wrong, is `None`.
fn parse_common(text: &[u8], separator: u8) -> Option<Instant> {
    let (head, millis) = match text.len() {
        19 => (<&[u8; 19]>::try_from(text).ok()?, 0),
        23 if text[19] == b'.' => {
            let [a, b, c] = [text[20], text[21], text[22]].map(|d| u32::from(d.wrapping_sub(b'0')));
            if a > 9 || b > 9 || c > 9 {
                return None;
            }
            (<&[u8; 19]>::try_from(&text[..19]).ok()?, a * 100 + b * 10 + c)
        }
        _ => return None,
    };
    let marks = [head[4], head[7], head[10], head[13], head[16]];
    if marks != [b'-', b'-', separator, b':', b':'] {
        return None;
    }
    let mut worst = 0;
    let mut pair = |at: usize| {
        let (a, b) = (head[at].wrapping_sub(b'0'), head[at + 1].wrapping_sub(b'0'));
        worst |= u8::from(a > 9) | u8::from(b > 9);
        u32::from(a) * 10 + u32::from(b)
    };
    let year = i64::from(pair(0) * 100 + pair(2));
    let (month, day, hour, minute, second) = (pair(5), pair(8), pair(11), pair(14), pair(17));
    if worst != 0
        || !(1..=12).contains(&month)
        || day < 1
        || (day > 28 && day > days_in_month(year, month))
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let days = days_from_civil(year, month, day);
    Some(Instant {
        seconds: days * 86_400 + i64::from(hour * 3_600 + minute * 60 + second),
        nanos: millis * 1_000_000,
    })
}

/// `Z`, `+02:00`: seconds east of Greenwich.
fn parse_offset(text: &[u8]) -> Option<i64> {
    match text {
        b"Z" => Some(0),
        [sign @ (b'+' | b'-'), rest @ ..] if rest.len() == 5 && rest[2] == b':' => {
            let (hour, minute) = (two(rest, 0)?, two(rest, 3)?);
            if hour > 18 || minute > 59 {
                return None;
            }
            let seconds = i64::from(hour * 3_600 + minute * 60);
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn push_two(out: &mut Vec<u8>, value: u32) {
    out.push(b'0' + u8::try_from(value / 10 % 10).unwrap_or(0));
    out.push(b'0' + u8::try_from(value % 10).unwrap_or(0));
}

/// Writes a date as `yyyy-MM-dd`; years beyond four digits carry a sign.
pub(crate) fn write_date(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil_from_days(days);
    if let Ok(year @ 0..=9_999) = u32::try_from(year) {
        push_two(out, year / 100);
        push_two(out, year);
    } else {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write!(text, "{}{:04}", if year < 0 { '-' } else { '+' }, year.abs());
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'-');
    push_two(out, month);
    out.push(b'-');
    push_two(out, day);
}

/// Writes the time of day: fractions as long as they are not zero, as Flink does.
pub(crate) fn write_time(out: &mut Vec<u8>, second_of_day: u32, nanos: u32) {
    push_two(out, second_of_day / 3_600);
    out.push(b':');
    push_two(out, second_of_day / 60 % 60);
    out.push(b':');
    push_two(out, second_of_day % 60);
    if nanos > 0 {
        out.push(b'.');
        let (mut rest, mut unit) = (nanos, 100_000_000);
        while rest > 0 {
            out.push(b'0' + u8::try_from(rest / unit).unwrap_or(0));
            rest %= unit;
            unit /= 10;
        }
    }
}

/// Writes a timestamp; `zoned` adds `Z`.
pub(crate) fn write_timestamp(
    out: &mut Vec<u8>,
    instant: Instant,
    format: TimestampFormat,
    zoned: bool,
) {
    write_date(out, instant.seconds.div_euclid(86_400));
    out.push(if format == TimestampFormat::Sql { b' ' } else { b'T' });
    let second = u32::try_from(instant.seconds.rem_euclid(86_400)).unwrap_or(0);
    write_time(out, second, instant.nanos);
    if zoned {
        out.push(b'Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str, format: TimestampFormat, zoned: bool) -> Option<i64> {
        parse_timestamp(text.as_bytes(), format, zoned)?.in_unit(TimeUnit::Millisecond)
    }

    #[test]
    fn timestamps_are_read_in_the_chosen_notation_only() {
        use TimestampFormat::{Iso8601, Sql};
        assert_eq!(millis("1970-01-02 00:00:00.001", Sql, false), Some(86_400_001));
        assert_eq!(millis("1969-12-31 23:59:59.9", Sql, false), Some(-100));
        assert_eq!(millis("1970-01-02T00:00:00.001", Sql, false), None);
        assert_eq!(millis("1970-01-02T00:00", Iso8601, false), Some(86_400_000));
        assert_eq!(millis("1970-01-02 00:00", Sql, false), None);
        assert_eq!(millis("1970-01-01 00:00:00Z", Sql, true), Some(0));
        assert_eq!(millis("1970-01-01 02:00:00+02:00", Sql, true), Some(0));
        assert_eq!(millis("1970-01-01 00:00:00", Sql, true), None);
        assert_eq!(millis("2023-02-29 00:00:00", Sql, false), None);
        assert_eq!(millis("2024-02-29 00:00:00", Sql, false), Some(1_709_164_800_000));
        assert_eq!(millis("1970-01-01 24:00:00", Sql, false), Some(86_400_000));
        assert_eq!(millis("1970-01-01 24:00:01", Sql, false), None);
        assert_eq!(millis("1970-01-01 00:00:01.", Sql, false), Some(1_000));
        assert_eq!(parse_time(b"24:00:00"), None);
        assert_eq!(millis("2024-02-2x 00:00:00", Sql, false), None);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut seconds = -70_000_000_000i64;
        while seconds < 250_000_000_000 {
            for nanos in [0, 1, 120_000_000, 999_999_999] {
                for format in [TimestampFormat::Sql, TimestampFormat::Iso8601] {
                    let instant = Instant { seconds, nanos };
                    let mut text = Vec::new();
                    write_timestamp(&mut text, instant, format, false);
                    assert_eq!(parse_timestamp(&text, format, false), Some(instant));
                }
            }
            seconds += 123_456_789;
        }
    }
}
