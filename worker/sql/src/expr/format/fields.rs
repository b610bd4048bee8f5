//! What a text told of a time, and what follows from it: the resolving of `java.time` in its
//! usual, "smart" style.

use chrono::{Datelike, Days, NaiveDate, NaiveTime};

use crate::expr::time::Instant;

/// A field that a pattern can read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
    /// `u`: 0 is 1 BC.
    Year,
    /// `y`: from 1.
    YearOfEra,
    /// `M`.
    Month,
    /// `d`.
    Day,
    /// `D`.
    DayOfYear,
    /// `E`: Monday is 1.
    DayOfWeek,
    /// `a`: 0 or 1.
    AmPm,
    /// `H`: 0 to 23.
    Hour,
    /// `k`: 1 to 24.
    ClockHour,
    /// `K`: 0 to 11.
    HourOfAmPm,
    /// `h`: 1 to 12.
    ClockHourOfAmPm,
    /// `m`.
    Minute,
    /// `s`.
    Second,
    /// `S`.
    Nano,
    /// `Y`: the year whose week it is.
    WeekYear,
    /// `w`.
    Week,
    /// `W`.
    WeekOfMonth,
    /// `e`: Sunday is 1.
    LocalDay,
    /// `Q`: from 1.
    Quarter,
    /// `G`.
    Era,
    /// `n`: of the second.
    NanoOfSecond,
    /// `A`.
    MilliOfDay,
    /// `N`.
    NanoOfDay,
}

impl Field {
    /// Whether texts are not read with it.
    pub(super) fn is_written_only(self) -> bool {
        self as usize >= COUNT
    }
}

const COUNT: usize = Field::Nano as usize + 1;

/// Fields that were read.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields([Option<i64>; COUNT]);

impl Fields {
    fn get(&self, field: Field) -> Option<i64> {
        self.0[field as usize]
    }

    fn take(&mut self, field: Field) -> Option<i64> {
        self.0[field as usize].take()
    }

    /// Sets a field; `None` when it has another value already.
    pub(super) fn set(&mut self, field: Field, value: i64) -> Option<()> {
        match self.0[field as usize].replace(value) {
            Some(old) if old != value => None,
            _ => Some(()),
        }
    }

    /// The time; what is missing is that of 1970-01-01 00:00. `None` when fields contradict each
    /// other, or one of them does not exist.
    pub(super) fn resolve(mut self) -> Option<Instant> {
        self.clock_hours()?;
        if let Some(year) = self.take(Field::YearOfEra) {
            within(year, 1, 999_999_999)?;
            self.set(Field::Year, year)?;
        }
        let date = self.date()?;
        let (time, next_day) = self.time()?;
        let date = match (date, next_day) {
            (Some(date), true) => date.checked_add_days(Days::new(1))?,
            (Some(date), false) => date,
            (None, _) => {
                let part = |field| i32::try_from(self.get(field).unwrap_or(1)).ok();
                let year = i32::try_from(self.get(Field::Year).unwrap_or(1970)).ok()?;
                let (month, day) = (part(Field::Month)?, part(Field::Day)?);
                NaiveDate::from_ymd_opt(year, month.try_into().ok()?, day.try_into().ok()?)?
            }
        };
        Some(Instant::of_datetime(date.and_time(time)))
    }

    /// Hours of other clocks become hours of the day, where enough is known.
    fn clock_hours(&mut self) -> Option<()> {
        if let Some(hour) = self.take(Field::ClockHour) {
            within(hour, 0, 24)?;
            self.set(Field::Hour, if hour == 24 { 0 } else { hour })?;
        }
        if let Some(hour) = self.take(Field::ClockHourOfAmPm) {
            within(hour, 0, 12)?;
            self.set(Field::HourOfAmPm, if hour == 12 { 0 } else { hour })?;
        }
        if let (Some(half), Some(hour)) = (self.get(Field::AmPm), self.get(Field::HourOfAmPm)) {
            within(hour, 0, 11)?;
            self.take(Field::AmPm);
            self.take(Field::HourOfAmPm);
            self.set(Field::Hour, half * 12 + hour)?;
        }
        Some(())
    }

    /// The date, where there is enough of one.
    fn date(&self) -> Option<Option<NaiveDate>> {
        let Some(year) = self.get(Field::Year) else {
            return Some(None);
        };
        let year = i32::try_from(year).ok()?;
        let month = self.get(Field::Month);
        let date = match (month, self.get(Field::Day), self.get(Field::DayOfYear)) {
            (Some(month), Some(day), _) => {
                within(month, 1, 12)?;
                within(day, 1, 31)?;
                // A day that the month does not have, up to the 31st, is its last.
                (0..4).find_map(|less| {
                    NaiveDate::from_ymd_opt(year, month as u32, (day - less).try_into().ok()?)
                })?
            }
            (_, _, Some(day)) => NaiveDate::from_yo_opt(year, u32::try_from(day).ok()?)?,
            _ => return Some(None),
        };
        let told = [
            (Field::Month, i64::from(date.month())),
            (Field::DayOfYear, i64::from(date.ordinal())),
            (Field::DayOfWeek, i64::from(date.weekday().number_from_monday())),
        ];
        let agree = |(field, is): (Field, i64)| self.get(field).is_none_or(|value| value == is);
        told.into_iter().all(agree).then_some(Some(date))
    }

    /// The time of day, and whether it is that of the end of the day.
    fn time(&self) -> Option<(NaiveTime, bool)> {
        let part = |field| self.get(field).unwrap_or(0);
        let (hour, minute) = (part(Field::Hour), part(Field::Minute));
        let (second, nano) = (part(Field::Second), part(Field::Nano));
        if (hour, minute, second, nano) == (24, 0, 0, 0) {
            return Some((NaiveTime::MIN, true));
        }
        let of = |value: i64| u32::try_from(value).ok();
        let time = NaiveTime::from_hms_nano_opt(of(hour)?, of(minute)?, of(second)?, of(nano)?)?;
        // What could not be made an hour of the day is not used, but has to exist.
        within(part(Field::HourOfAmPm), 0, 11)?;
        Some((time, false))
    }
}

fn within(value: i64, least: i64, most: i64) -> Option<()> {
    (least..=most).contains(&value).then_some(())
}
