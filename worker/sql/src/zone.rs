//! The session's time zone, `table.local-time-zone`: what is between points in time
//! (`TIMESTAMP_LTZ`) and the clock on the wall (`TIMESTAMP`, `DATE`, texts).
//!
//! Statements are bound one after the other, on one thread, and casts are put in wherever types
//! meet. So the zone is what holds on the thread while a program is bound ([`Session`]), and every
//! expression that depends on it keeps the zone with which it was bound, also in its name. Rules of
//! zones are compiled in, so that all workers know the same.

use std::cell::Cell;

use chrono::{
    DateTime, Datelike, LocalResult, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone,
};
use chrono_tz::{OffsetComponents, Tz};

use crate::expr::time::Instant;

/// A time zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Zone {
    Utc,
    /// Seconds ahead of UTC.
    Fixed(i32),
    Named(Tz),
}

/// Which of two points in time a clock means that shows the same hour twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Twice {
    /// `java.time`: the first.
    Earlier,
    /// `java.util.GregorianCalendar`, which `SimpleDateFormat` reads with: the second.
    Later,
}

thread_local! {
    static CURRENT: Cell<Zone> = const { Cell::new(Zone::Utc) };
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

/// Binding of a program; begins in UTC, and what held before holds again after it.
pub(crate) struct Session(Zone);

impl Session {
    pub(crate) fn begin() -> Self {
        ASKED.set(false);
        Self::of(Zone::Utc)
    }

    /// As if a program were bound in this zone.
    pub(crate) fn of(zone: Zone) -> Self {
        Self(CURRENT.replace(zone))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// The zone that holds now, for an expression that depends on it.
pub(crate) fn current() -> Zone {
    ASKED.set(true);
    CURRENT.get()
}

/// The zone that holds now, for what does not depend on it.
pub(crate) fn held() -> Zone {
    CURRENT.get()
}

/// What is bound from here on is in this zone.
pub(crate) fn set(zone: Zone) {
    CURRENT.set(zone);
}

/// Whether an expression asked for the zone since the last [`forget`] of it.
pub(crate) fn was_asked() -> bool {
    ASKED.get()
}

/// Sets what [`was_asked`] says.
pub(crate) fn forget(asked: bool) {
    ASKED.set(asked);
}

impl Zone {
    /// A zone by the name that Flink takes: UTC, an IANA name or `GMT+08:00`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if ["UTC", "GMT", "Etc/UTC", "Etc/GMT", "Z", "+00:00", "default"].contains(&name) {
            return Some(Self::Utc);
        }
        if let Some(offset) = name.strip_prefix("GMT").filter(|rest| rest.starts_with(['+', '-'])) {
            return fixed(offset);
        }
        name.parse().ok().map(Self::Named)
    }

    /// A zone by what `java.time.ZoneId` takes: the names of [`Zone::parse`], `+08:00` and `UTC+8`.
    pub(crate) fn parse_id(name: &str) -> Option<Self> {
        let offset = ["UTC", "UT", ""].iter().find_map(|before| {
            name.strip_prefix(before).filter(|rest| rest.starts_with(['+', '-']))
        });
        match offset {
            Some(offset) => fixed(offset),
            None if name == "UT" => Some(Self::Utc),
            None => Self::parse(name).filter(|_| name != "default"),
        }
    }

    pub(crate) fn is_utc(self) -> bool {
        self == Self::Utc
    }

    /// ` in Asia/Shanghai`, and nothing for UTC.
    pub(crate) fn suffix(self) -> String {
        match self {
            Self::Utc => String::new(),
            Self::Fixed(seconds) => format!(" in GMT{seconds:+}s"),
            Self::Named(zone) => format!(" in {}", zone.name()),
        }
    }

    /// Seconds ahead of UTC without daylight saving, as of 2024.
    pub(crate) fn standard_offset(self) -> i64 {
        match self {
            Self::Utc => 0,
            Self::Fixed(seconds) => i64::from(seconds),
            Self::Named(zone) => {
                let now = DateTime::from_timestamp(1_704_067_200, 0).unwrap_or_default();
                zone.offset_from_utc_datetime(&now.naive_utc()).base_utc_offset().num_seconds()
            }
        }
    }

    fn offset_at(self, seconds: i64) -> Option<i64> {
        Some(match self {
            Self::Utc => 0,
            Self::Fixed(seconds) => i64::from(seconds),
            Self::Named(zone) => {
                let at = within_rules(DateTime::from_timestamp(seconds, 0)?.naive_utc());
                i64::from(zone.offset_from_utc_datetime(&at).fix().local_minus_utc())
            }
        })
    }

    /// What the clock on the wall shows; `None` out of all range.
    pub(crate) fn local(self, at: Instant) -> Option<Instant> {
        let offset = self.offset_at(at.seconds)?;
        Some(Instant { seconds: at.seconds.checked_add(offset)?, ..at })
    }

    /// The point in time at which the clock shows `at`. A time that the clock skips is moved on by
    /// what it skips, as Java does; `None` out of all range.
    pub(crate) fn point(self, at: Instant, twice: Twice) -> Option<Instant> {
        let offset = match self {
            Self::Named(zone) => {
                let time = at.datetime()?;
                i64::from(match offset_of(zone, &time) {
                    LocalResult::Single(offset) => offset,
                    LocalResult::Ambiguous(first, second) if twice == Twice::Earlier => {
                        first.max(second)
                    }
                    LocalResult::Ambiguous(first, second) => first.min(second),
                    LocalResult::None => before_gap(zone, time)?,
                })
            }
            zone => zone.offset_at(at.seconds)?,
        };
        Some(Instant { seconds: at.seconds.checked_sub(offset)?, ..at })
    }
}

/// Windows on a clock, and watermarks, which are points in time; both in milliseconds.
impl Zone {
    /// The watermark of a clock: what ends there or before on it, is over at the watermark `mark`.
    /// Hours that come twice are over once the second has passed; those that are skipped, with the
    /// jump.
    pub(crate) fn over_at(self, mark: i64) -> i64 {
        let last = mark.saturating_sub(1);
        let Some(local) = self.local(Instant::of_millis(last)).map(Instant::millis) else {
            return mark;
        };
        let Self::Named(zone) = self else { return local.saturating_add(1) };
        let time = Instant::of_millis(local).datetime();
        match time.map(|time| offset_of(zone, &time)) {
            Some(LocalResult::Ambiguous(a, b)) if (local - last) / 1000 == i64::from(a.max(b)) => {
                // The first of the two: the clock has not been put back yet.
                let least = i64::from(a.min(b));
                let from = last.div_euclid(1000);
                let until = from + i64::from(a.max(b)) - least;
                let back = self.transition(from, until);
                back.saturating_add(least).saturating_mul(1000)
            }
            _ => local.saturating_add(1),
        }
    }

    /// A watermark for what a clock shows from `mark` on: the first such point in time, where an hour
    /// that comes twice is taken for the first.
    pub(crate) fn begins_at(self, mark: i64) -> i64 {
        let at = Instant::of_millis(mark);
        let Some(point) = self.point(at, Twice::Earlier) else { return mark };
        let Self::Named(zone) = self else { return point.millis() };
        match at.datetime().map(|time| offset_of(zone, &time)) {
            Some(LocalResult::None) => {
                let after = self.offset_at(point.seconds).unwrap_or(0);
                self.transition(at.seconds - after, point.seconds).saturating_mul(1000)
            }
            _ => point.millis(),
        }
    }

    /// The first second after `from`, and not behind `until`, of another offset than that of `from`.
    fn transition(self, mut from: i64, mut until: i64) -> i64 {
        let before = self.offset_at(from);
        while from + 1 < until {
            let middle = from + (until - from) / 2;
            if self.offset_at(middle) == before {
                from = middle;
            } else {
                until = middle;
            }
        }
        until
    }
}

/// The rules that are compiled in end with the year 2099, and the last go on for ever: later times
/// are those of an earlier year that begins on the same day of the week and is as long.
fn within_rules(time: NaiveDateTime) -> NaiveDateTime {
    if time.year() < 2099 {
        return time;
    }
    let first = |year: i32| NaiveDate::from_ymd_opt(year, 1, 1);
    let looks = |year: i32| first(year).map(|first| (first.weekday(), first.leap_year()));
    let alike = (2060..2099).find(|&year| looks(year) == looks(time.year()));
    let (Some(from), Some(to)) = (first(time.year()), alike.and_then(first)) else {
        return time;
    };
    time.checked_sub_signed(from - to).unwrap_or(time)
}

fn offset_of(zone: Tz, time: &NaiveDateTime) -> LocalResult<i32> {
    zone.offset_from_local_datetime(&within_rules(*time))
        .map(|offset| offset.fix().local_minus_utc())
}

/// The offset before the gap that a time lies in. Gaps are of a day at most: islands that changed
/// sides of the date line.
fn before_gap(zone: Tz, time: NaiveDateTime) -> Option<i32> {
    (1..=100).find_map(|quarters| {
        let before = time.checked_sub_signed(TimeDelta::minutes(15 * quarters))?;
        match offset_of(zone, &before) {
            LocalResult::Single(offset) => Some(offset),
            LocalResult::Ambiguous(first, second) => Some(first.min(second)),
            LocalResult::None => None,
        }
    })
}

/// `+8`, `+08` or `-08:30`.
fn fixed(text: &str) -> Option<Zone> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text.get(1..)?.split_once(':').unwrap_or((text.get(1..)?, "00"));
    let number = |text: &str, most: i32| {
        let fits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| text.parse::<i32>().ok()).flatten().filter(|n| *n <= most)
    };
    match sign * (number(hours, 18)? * 3600 + number(minutes, 59)? * 60) {
        0 => Some(Zone::Utc),
        seconds => Some(Zone::Fixed(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::time::{format_timestamp, parse_timestamp};

    fn point(zone: &str, text: &str, twice: Twice) -> String {
        let zone = Zone::parse(zone).unwrap();
        format_timestamp(zone.point(parse_timestamp(text).unwrap(), twice).unwrap(), 0)
    }

    #[test]
    fn a_clock_that_skips_and_repeats_hours_is_read_as_java_reads_it() {
        let cases = [
            // Skipped: moved on.
            ("America/New_York", "2024-03-10 02:30:00", "2024-03-10 07:30:00"),
            ("America/New_York", "2024-03-10 03:30:00", "2024-03-10 07:30:00"),
            ("Pacific/Apia", "2011-12-30 12:00:00", "2011-12-30 22:00:00"),
            // Twice: the first.
            ("America/New_York", "2024-11-03 01:30:00", "2024-11-03 05:30:00"),
            ("Europe/Berlin", "2024-10-27 02:30:00", "2024-10-27 00:30:00"),
            ("Asia/Shanghai", "2024-01-01 00:00:00", "2023-12-31 16:00:00"),
            ("GMT-08:30", "2024-01-01 00:00:00", "2024-01-01 08:30:00"),
            // Beyond the rules that are compiled in.
            ("Europe/Berlin", "2150-07-01 00:00:00", "2150-06-30 22:00:00"),
            ("Europe/Berlin", "9000-01-15 00:00:00", "9000-01-14 23:00:00"),
        ];
        for (zone, local, utc) in cases {
            assert_eq!(point(zone, local, Twice::Earlier), utc, "{local} in {zone}");
        }
        let later = point("Europe/Berlin", "2024-10-27 02:30:00", Twice::Later);
        assert_eq!(later, "2024-10-27 01:30:00");
    }

    #[test]
    fn every_point_of_time_that_a_clock_shows_once_is_found_again() {
        for name in ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"] {
            let zone = Zone::parse(name).unwrap();
            for hour in 0..24 * 366 {
                let at = Instant { seconds: 1_704_067_200 + hour * 3600, nanos: 5 };
                let local = zone.local(at).unwrap();
                let found = [Twice::Earlier, Twice::Later].map(|t| zone.point(local, t).unwrap());
                assert!(found.contains(&at), "{name} {at:?}");
            }
        }
    }

    #[test]
    fn watermarks_of_a_clock_let_hours_that_come_twice_pass_both_times() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let ms = |text: &str| parse_timestamp(text).unwrap().millis();
        let cases = [
            ("2024-01-15 12:00:00", "2024-01-15 13:00:00"),
            // At the jump nothing behind it is over.
            ("2024-03-31 01:00:00", "2024-03-31 02:00:00"),
            ("2024-03-31 01:00:00.001", "2024-03-31 03:00:00.001"),
            ("2024-10-27 00:00:00", "2024-10-27 02:00:00"),
            ("2024-10-27 00:30:00", "2024-10-27 02:00:00"),
            ("2024-10-27 01:00:00", "2024-10-27 02:00:00"),
            ("2024-10-27 01:30:00", "2024-10-27 02:30:00"),
            ("2024-10-27 02:00:00", "2024-10-27 03:00:00"),
        ];
        for (mark, over) in cases {
            assert_eq!(berlin.over_at(ms(mark)), ms(over), "{mark}");
        }
        assert_eq!(berlin.begins_at(ms("2024-03-31 02:30:00")), ms("2024-03-31 01:00:00"));
        assert_eq!(berlin.begins_at(ms("2024-10-27 02:30:00")), ms("2024-10-27 00:30:00"));
    }

    #[test]
    fn watermarks_of_a_clock_never_fall_and_come_back_no_later() {
        for name in ["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "GMT-08:30"] {
            let zone = Zone::parse(name).unwrap();
            let (mut there, mut back) = (i64::MIN, i64::MIN);
            // From the end of 2023 on, every 7 minutes, and the end of 2011, when Apia skipped a day.
            for start in [1_324_000_000_000, 1_704_000_000_000] {
                for step in 0..80_000 {
                    let mark = start + step * 420_001;
                    let (over, again) = (zone.over_at(mark), zone.begins_at(zone.over_at(mark)));
                    assert!(over >= there && again >= back && again <= mark, "{name} {mark}");
                    (there, back) = (over, again);
                }
            }
        }
    }

    #[test]
    fn zones_have_the_names_that_flink_takes() {
        assert_eq!(Zone::parse("GMT+8"), Some(Zone::Fixed(28_800)));
        assert_eq!(Zone::parse("Etc/UTC"), Some(Zone::Utc));
        for wrong in ["UTC+8", "Mars/Base", "GMT+99", "GMT+", "CST", ""] {
            assert_eq!(Zone::parse(wrong), None, "{wrong}");
        }
    }
}
