//! Days and dates in the calendar of `java.util.GregorianCalendar`: Julian up to 4 October 1582,
//! Gregorian from the next day, 15 October 1582, on.

/// 1582-10-15, the first Gregorian day, in days since 1970-01-01.
const CUTOVER: i64 = -141_427;
const CUTOVER_YEAR: i64 = 1582;

/// A calendar date; year 0 is 1 BC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Date {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    /// From 1.
    pub(super) day: i64,
    /// From 1.
    pub(super) day_of_year: i64,
}

/// The first of a month that may lie outside of its year, in days since 1970-01-01.
fn first_of_month(gregorian: bool, year: i64, month0: i64) -> i64 {
    let (year, month0) = (year + month0.div_euclid(12), month0.rem_euclid(12));
    // Years that begin in March have their leap day at the end.
    let (y, m) = if month0 < 2 { (year - 1, month0 + 10) } else { (year, month0 - 2) };
    let days = 365 * y + y.div_euclid(4) + (153 * m + 2) / 5;
    if gregorian { days - y.div_euclid(100) + y.div_euclid(400) - 719_468 } else { days - 719_470 }
}

/// What a date is told by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Within {
    /// Month from 0 and day from 1; both may lie outside of what exists.
    Month(i64, i64),
    /// Day of the year from 1.
    Year(i64),
}

/// Days since 1970-01-01 of a date, rolled over where it does not exist.
pub(super) fn days(year: i64, within: Within) -> i64 {
    let fixed = |gregorian: bool| match within {
        Within::Month(month0, day) => first_of_month(gregorian, year, month0) + day - 1,
        Within::Year(day) => first_of_month(gregorian, year, 0) + day - 1,
    };
    let (julian, gregorian) = (fixed(false), fixed(true));
    if year > CUTOVER_YEAR && gregorian >= CUTOVER {
        return gregorian;
    }
    if year < CUTOVER_YEAR || matches!(within, Within::Year(_)) {
        return julian;
    }
    // What lies in the days that were left out is read as Julian.
    if gregorian >= CUTOVER && julian >= CUTOVER { gregorian } else { julian }
}

/// The date of a day since 1970-01-01.
pub(super) fn date(days: i64) -> Date {
    let gregorian = days >= CUTOVER;
    // An estimate that is never too small by more than the loop mends.
    let mut year = 1970 + (days as f64 / 365.2425).floor() as i64 + 1;
    while first_of_month(gregorian, year, 0) > days {
        year -= 1;
    }
    // The year of the change began in the old calendar.
    let start = first_of_month(gregorian && year != CUTOVER_YEAR, year, 0);
    let month0 = (0..12).rev().find(|&m| first_of_month(gregorian, year, m) <= days).unwrap_or(0);
    let day = days - first_of_month(gregorian, year, month0) + 1;
    Date { year, month: month0 + 1, day, day_of_year: days - start + 1 }
}

/// Monday is 0.
pub(super) fn weekday0(days: i64) -> usize {
    (days + 3).rem_euclid(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_and_its_date_lead_to_each_other_in_both_calendars() {
        for day in (-800_000..3_000_000).step_by(17).chain(CUTOVER - 800..CUTOVER + 800) {
            let found = date(day);
            assert_eq!(
                days(found.year, Within::Month(found.month - 1, found.day)),
                day,
                "{found:?}"
            );
        }
        let last_julian = Date { year: 1582, month: 10, day: 4, day_of_year: 277 };
        assert_eq!(date(CUTOVER - 1), last_julian);
        assert_eq!(date(0), Date { year: 1970, month: 1, day: 1, day_of_year: 1 });
        assert_eq!(weekday0(0), 3);
    }
}
