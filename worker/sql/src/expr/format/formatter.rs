//! `java.time.format.DateTimeFormatter`, as `DATE_FORMAT` of a timestamp and `TO_TIMESTAMP` with a
//! pattern use it.

use chrono::{Datelike, NaiveDateTime, Timelike};

use super::fields::{Field, Fields};
use super::weeks::Day;
use super::{DAYS, MONTHS, Piece, java_int, pieces, trim, unknown_letter};
use crate::expr::time::Instant;

/// A pattern such as `yyyy-MM-dd HH:mm[:ss]`.
#[derive(Debug)]
pub(crate) struct Formatter(Vec<Part>);

#[derive(Debug)]
enum Part {
    Literal(String),
    Number(Number),
    /// `S`: so many digits of the second.
    Fraction(usize),
    /// A point and up to nine digits of the second; nothing of it needs to be there.
    PointFraction,
    /// Names, and how many of their letters are written.
    Name(Field, Length),
    /// `[…]`: read where it can be.
    Optional(Vec<Part>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Length {
    Short,
    Full,
    /// One letter, which cannot be told apart when it is read.
    Narrow,
}

/// Which signs a number may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sign {
    /// None.
    Never,
    /// A minus.
    Minus,
    /// A minus, or a plus where there are more digits than usual.
    Exceeds,
}

#[derive(Clone, Copy, Debug)]
struct Number {
    field: Field,
    least: usize,
    most: usize,
    sign: Sign,
    /// `yy`: two digits from the year 2000 on.
    reduced: bool,
    /// Digits that the numbers right behind it need for themselves.
    after: usize,
}

impl Number {
    fn of(field: Field, least: usize, most: usize, sign: Sign) -> Self {
        Self { field, least, most, sign, reduced: false, after: 0 }
    }

    fn is_fixed(&self) -> bool {
        self.least == self.most && self.sign == Sign::Never
    }
}

impl Formatter {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, or not supported.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut open: Vec<Vec<Part>> = vec![Vec::new()];
        for piece in pieces(text)? {
            let part = match piece {
                Piece::Literal(text) => Part::Literal(text),
                Piece::Sign('[') => {
                    open.push(Vec::new());
                    continue;
                }
                Piece::Sign(']') => {
                    let inner = open.pop().filter(|_| !open.is_empty());
                    let inner = inner.ok_or("it has a ']' without a '[' before it")?;
                    Part::Optional(inner)
                }
                Piece::Sign(c @ ('#' | '{' | '}')) => {
                    return Err(format!("'{c}' is reserved; write it in quotes: '{c}'"));
                }
                Piece::Sign(c) => Part::Literal(c.to_string()),
                Piece::Letters(letter, count) => letters(letter, count)?,
            };
            push(&mut open, part);
        }
        // What is still open at the end ends there.
        while open.len() > 1 {
            if let Some(inner) = open.pop() {
                push(&mut open, Part::Optional(inner));
            }
        }
        let mut parts = open.pop().unwrap_or_default();
        adjacent(&mut parts);
        Ok(Self(parts))
    }

    /// How Flink reads timestamps where no pattern says so.
    pub(crate) fn of_timestamps() -> Self {
        let parts = |text: &str| Self::parse(text).map_or(Vec::new(), |formatter| formatter.0);
        let mut all = parts("yyyy-[MM][M]-[dd][d]");
        let mut clock = parts(" [HH][H]:[mm][m]:[ss][s]");
        clock.push(Part::PointFraction);
        all.push(Part::Optional(clock));
        Self(all)
    }

    /// Whether texts can be read with it.
    ///
    /// # Errors
    /// What cannot be read.
    pub(crate) fn check_reading(&self) -> Result<(), String> {
        fn any(parts: &[Part], is: &dyn Fn(&Part) -> bool) -> bool {
            parts.iter().any(|part| match part {
                Part::Optional(inner) => any(inner, is),
                part => is(part),
            })
        }
        let written_only = |part: &Part| match part {
            Part::Name(field, _) => field.is_written_only(),
            Part::Number(number) => number.field.is_written_only(),
            _ => false,
        };
        if any(&self.0, &written_only) {
            return Err("of weeks, quarters, eras and parts of a day (Y w W e c Q q G n A N) no time is read; leave them out".to_owned());
        }
        if any(&self.0, &|part| matches!(part, Part::Name(_, Length::Narrow))) {
            return Err("names of one letter (MMMMM, EEEEE) cannot be told apart".to_owned());
        }
        Ok(())
    }

    /// The time as text; `None` when its year is out of all range.
    pub(crate) fn format(&self, at: Instant) -> Option<String> {
        let time = at.datetime()?;
        let mut out = String::new();
        write(&self.0, &time, &mut out);
        Some(out)
    }

    /// Reads a time; `None` when the text does not have this form. Where it does not, Flink reads
    /// it as `yyyy-MM-dd[ HH:mm:ss[.fraction]]`, whatever the pattern is.
    pub(crate) fn read(&self, text: &str) -> Option<Instant> {
        self.read_whole(text).or_else(|| read_plain(text))
    }

    /// Reads a time from a text of exactly this form.
    pub(crate) fn read_whole(&self, text: &str) -> Option<Instant> {
        let mut fields = Fields::default();
        let end = read(&self.0, text, 0, &mut fields)?;
        if end == text.len() { fields.resolve() } else { None }
    }
}

fn push(open: &mut [Vec<Part>], part: Part) {
    if let Some(last) = open.last_mut() {
        last.push(part);
    }
}

fn letters(letter: char, count: usize) -> Result<Part, String> {
    let too_many = || Err(format!("'{letter}' stands {count} times in a row"));
    let number = |field| match count {
        1 => Ok(Part::Number(Number::of(field, 1, 19, Sign::Minus))),
        2 => Ok(Part::Number(Number::of(field, 2, 2, Sign::Never))),
        _ => too_many(),
    };
    let plain = |field| Ok(Part::Number(Number::of(field, count, 19, Sign::Never)));
    let year = |field| {
        Ok(Part::Number(match count {
            2 => Number { reduced: true, ..Number::of(field, 2, 2, Sign::Never) },
            1 | 3 => Number::of(field, count, 19, Sign::Minus),
            4..=19 => Number::of(field, count, 19, Sign::Exceeds),
            _ => return too_many(),
        }))
    };
    let name = |field| match count {
        1..=3 => Ok(Part::Name(field, Length::Short)),
        4 => Ok(Part::Name(field, Length::Full)),
        5 => Ok(Part::Name(field, Length::Narrow)),
        _ => too_many(),
    };
    match letter {
        'y' => year(Field::YearOfEra),
        'u' => year(Field::Year),
        'Y' => year(Field::WeekYear),
        'w' => number(Field::Week),
        'W' if count == 1 => number(Field::WeekOfMonth),
        'W' => too_many(),
        'e' | 'c' if count <= 2 => match (letter, count) {
            ('c', 2) => Err("'c' stands 2 times in a row".to_owned()),
            _ => number(Field::LocalDay),
        },
        'e' | 'c' => name(Field::DayOfWeek),
        'Q' | 'q' if count <= 2 => number(Field::Quarter),
        'Q' | 'q' => name(Field::Quarter),
        'G' => name(Field::Era),
        'n' if count <= 19 => plain(Field::NanoOfSecond),
        'A' if count <= 19 => plain(Field::MilliOfDay),
        'N' if count <= 19 => plain(Field::NanoOfDay),
        'n' | 'A' | 'N' => too_many(),
        'M' | 'L' if count <= 2 => number(Field::Month),
        'M' | 'L' => name(Field::Month),
        'E' => name(Field::DayOfWeek),
        'd' => number(Field::Day),
        'D' if count == 1 => Ok(Part::Number(Number::of(Field::DayOfYear, 1, 19, Sign::Minus))),
        'D' if count <= 3 => Ok(Part::Number(Number::of(Field::DayOfYear, count, 3, Sign::Never))),
        'D' => too_many(),
        'H' => number(Field::Hour),
        'k' => number(Field::ClockHour),
        'K' => number(Field::HourOfAmPm),
        'h' => number(Field::ClockHourOfAmPm),
        'm' => number(Field::Minute),
        's' => number(Field::Second),
        'S' if count <= 9 => Ok(Part::Fraction(count)),
        'S' => too_many(),
        'a' if count == 1 => Ok(Part::Name(Field::AmPm, Length::Full)),
        'a' => too_many(),
        _ => Err(unknown_letter(
            letter,
            "y u Y M L d D E e c w W Q q G a H h K k m s S n A N, [ and ]",
        )),
    }
}

/// Numbers that touch: the first takes as many digits as those of fixed width behind it leave.
fn adjacent(parts: &mut [Part]) {
    let mut active: Option<usize> = None;
    for i in 0..parts.len() {
        if let Part::Optional(inner) = &mut parts[i] {
            adjacent(inner);
        }
        let width = match &parts[i] {
            Part::Number(number) if number.is_fixed() => Some(number.most),
            Part::Fraction(width) => Some(*width),
            Part::Number(_) => None,
            _ => {
                active = None;
                continue;
            }
        };
        match (active, width) {
            (Some(first), Some(width)) => {
                if let Part::Number(number) = &mut parts[first] {
                    number.after += width;
                }
            }
            _ => active = Some(i),
        }
    }
}

fn write(parts: &[Part], time: &NaiveDateTime, out: &mut String) {
    for part in parts {
        match part {
            Part::Literal(text) => out.push_str(text),
            Part::Optional(inner) => write(inner, time, out),
            Part::PointFraction => {}
            Part::Fraction(width) => {
                let digits = format!("{:09}", time.nanosecond() % 1_000_000_000);
                out.push_str(&digits[..*width]);
            }
            Part::Name(field, length) => out.push_str(name_of(*field, *length, time)),
            Part::Number(number) => write_number(number, time, out),
        }
    }
}

/// What a name is of a time.
fn name_of(field: Field, length: Length, time: &NaiveDateTime) -> &'static str {
    match field {
        Field::Month => cut(MONTHS[time.month0() as usize], length),
        Field::AmPm => cut(if time.hour() < 12 { "AM" } else { "PM" }, length),
        Field::Quarter => {
            let names = match length {
                Length::Short => ["Q1", "Q2", "Q3", "Q4"],
                Length::Full => ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"],
                Length::Narrow => ["1", "2", "3", "4"],
            };
            names[time.month0() as usize / 3]
        }
        Field::Era => match (length, time.year() < 1) {
            (Length::Short, false) => "AD",
            (Length::Full, false) => "Anno Domini",
            (Length::Narrow, false) => "A",
            (Length::Short, true) => "BC",
            (Length::Full, true) => "Before Christ",
            (Length::Narrow, true) => "B",
        },
        _ => cut(DAYS[time.weekday().num_days_from_monday() as usize], length),
    }
}

/// A time's day.
fn day_of(time: &NaiveDateTime) -> Day {
    Day {
        year: i64::from(time.year()),
        days: if time.date().leap_year() { 366 } else { 365 },
        of_year: i64::from(time.ordinal0()),
        of_month: i64::from(time.day()),
        of_week: i64::from(time.weekday().num_days_from_sunday()),
    }
}

/// As many letters of a name as are written.
fn cut(name: &'static str, length: Length) -> &'static str {
    match length {
        Length::Full => name,
        Length::Short => &name[..name.len().min(3)],
        Length::Narrow => &name[..1],
    }
}

fn nanos_of_day(time: &NaiveDateTime) -> i64 {
    i64::from(time.num_seconds_from_midnight()) * 1_000_000_000 + i64::from(time.nanosecond())
}

fn write_number(number: &Number, time: &NaiveDateTime, out: &mut String) {
    let year = i64::from(time.year());
    let value = match number.field {
        Field::Year => year,
        Field::YearOfEra if year < 1 => 1 - year,
        Field::YearOfEra => year,
        Field::Month => i64::from(time.month()),
        Field::Day => i64::from(time.day()),
        Field::DayOfYear => i64::from(time.ordinal()),
        Field::ClockHour => i64::from((time.hour() + 23) % 24 + 1),
        Field::HourOfAmPm => i64::from(time.hour() % 12),
        Field::ClockHourOfAmPm => i64::from((time.hour() + 11) % 12 + 1),
        Field::Minute => i64::from(time.minute()),
        Field::Second => i64::from(time.second()),
        Field::WeekYear => day_of(time).week().0,
        Field::Week => day_of(time).week().1,
        Field::WeekOfMonth => day_of(time).week_of_month(),
        Field::LocalDay => i64::from(time.weekday().num_days_from_sunday()) + 1,
        Field::Quarter => i64::from(time.month0()) / 3 + 1,
        Field::NanoOfSecond => i64::from(time.nanosecond()),
        Field::MilliOfDay => nanos_of_day(time) / 1_000_000,
        Field::NanoOfDay => nanos_of_day(time),
        // The others are names, or fractions.
        _ => i64::from(time.hour()),
    };
    let digits = if number.reduced { value.unsigned_abs() % 100 } else { value.unsigned_abs() };
    let digits = format!("{digits:0width$}", width = number.least);
    if value < 0 && !number.reduced {
        out.push('-');
    } else if number.sign == Sign::Exceeds && digits.len() > number.least {
        out.push('+');
    }
    out.push_str(&digits);
}

/// Reads parts from a place in the text; the place behind them.
fn read(parts: &[Part], text: &str, mut at: usize, fields: &mut Fields) -> Option<usize> {
    for part in parts {
        at = match part {
            Part::Literal(literal) => {
                text.get(at..)?.starts_with(literal.as_str()).then(|| at + literal.len())?
            }
            Part::Optional(inner) => {
                let mut inside = fields.clone();
                match read(inner, text, at, &mut inside) {
                    Some(end) => {
                        *fields = inside;
                        end
                    }
                    None => at,
                }
            }
            Part::Name(field, length) => read_name(*field, *length, text, at, fields)?,
            Part::Fraction(width) => {
                let digits = text.get(at..at + width)?;
                let plain = digits.bytes().all(|b| b.is_ascii_digit());
                let value: i64 = plain.then(|| digits.parse().ok()).flatten()?;
                fields.set(Field::Nano, value * 10i64.pow(9 - *width as u32))?;
                at + width
            }
            Part::PointFraction => match text.get(at..)?.strip_prefix('.') {
                None => at,
                Some(rest) => {
                    let width = rest.bytes().take(9).take_while(u8::is_ascii_digit).count();
                    let value: i64 = format!("{:0<9}", &rest[..width]).parse().ok()?;
                    fields.set(Field::Nano, value)?;
                    at + 1 + width
                }
            },
            Part::Number(number) => read_number(number, text, at, fields)?,
        };
    }
    Some(at)
}

/// The longest name that stands there, in the case that Java writes.
fn read_name(
    field: Field,
    length: Length,
    text: &str,
    at: usize,
    fields: &mut Fields,
) -> Option<usize> {
    let rest = text.get(at..)?;
    let (names, first): (&[&str], i64) = match field {
        Field::Month => (&MONTHS, 1),
        Field::AmPm => (&["AM", "PM"], 0),
        _ => (&DAYS, 1),
    };
    let (index, name) = names
        .iter()
        .map(|name| cut(name, length))
        .enumerate()
        .find(|(_, n)| rest.starts_with(n))?;
    fields.set(field, index as i64 + first)?;
    Some(at + name.len())
}

fn read_number(number: &Number, text: &str, at: usize, fields: &mut Fields) -> Option<usize> {
    let rest = &text.as_bytes()[at..];
    let sign = rest.first().copied().filter(|b| matches!(b, b'+' | b'-'));
    match (sign, number.sign) {
        (Some(_), Sign::Never) | (Some(b'+'), Sign::Minus) => return None,
        _ => {}
    }
    let start = usize::from(sign.is_some());
    let run = rest[start..]
        .iter()
        .take(number.most + number.after)
        .take_while(|b| b.is_ascii_digit())
        .count();
    if run < number.least {
        return None;
    }
    let taken =
        if number.after > 0 { run.saturating_sub(number.after).max(number.least) } else { run };
    let digits = &text[at + start..at + start + taken];
    let value: i64 = digits.parse().ok()?;
    let value = match sign {
        // Minus zero is none.
        Some(b'-') if value == 0 => return None,
        Some(b'-') => -value,
        Some(_) if taken <= number.least => return None,
        None if number.sign == Sign::Exceeds && taken > number.least => return None,
        _ => value,
    };
    fields.set(number.field, if number.reduced { 2000 + value } else { value })?;
    Some(at + start + taken)
}

/// `yyyy-M-d`, or with a time `yyyy-M-d H:m:s[.fraction]`; what is too large rolls over, as in
/// `java.sql.Timestamp.valueOf`.
fn read_plain(text: &str) -> Option<Instant> {
    let text = trim(text);
    let (day, clock) = match text.split_once(' ') {
        Some((day, clock)) => (day, Some(clock)),
        None => (text, None),
    };
    let mut parts = day.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let width = |text: &str, widths: std::ops::RangeInclusive<usize>| widths.contains(&text.len());
    if !width(year, 4..=4) || !width(month, 1..=2) || !width(day, 1..=2) {
        return None;
    }
    let (year, month, day) = (java_int(year)?, java_int(month)?, java_int(day)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let first = chrono::NaiveDate::from_ymd_opt(year, month as u32, 1)?;
    let mut at = Instant::of_date(first);
    at.seconds += i64::from(day - 1) * 86_400;
    let Some(clock) = clock else {
        return Some(at);
    };
    let (hour, rest) = clock.split_once(':')?;
    let (minute, rest) = rest.split_once(':')?;
    let (second, fraction) = match rest.split_once('.') {
        Some((second, fraction)) => (second, Some(fraction)),
        None => (rest, None),
    };
    let part = |text: &str| java_int(text).map(i64::from);
    at.seconds += part(hour)? * 3600 + part(minute)? * 60 + part(second)?;
    if let Some(fraction) = fraction {
        let plain = width(fraction, 1..=9) && fraction.bytes().all(|b| b.is_ascii_digit());
        let value: u32 = plain.then(|| fraction.parse().ok()).flatten()?;
        at.nanos = value * 10u32.pow(9 - fraction.len() as u32);
    }
    Some(at)
}
