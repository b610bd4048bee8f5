//! `java.text.SimpleDateFormat`, as `TO_DATE` and `UNIX_TIMESTAMP` read with it, `FROM_UNIXTIME`
//! writes with it and `DATE_FORMAT` of a string does both. In UTC.

use super::calendar::{self, Within};
use super::weeks::Day;
use super::{DAYS, MONTHS, Piece, pieces, unknown_letter};

/// Letters of what no time is read of.
const WRITTEN_ONLY: &str = "YwWFG";

/// A pattern such as `dd.MM.yyyy HH:mm`.
#[derive(Debug)]
pub(crate) struct SimpleFormat {
    parts: Vec<Part>,
    /// From when on `yy` counts: 80 years before the pattern was read.
    century: Century,
}

#[derive(Debug)]
enum Part {
    Literal(String),
    Field(char, usize),
}

/// The hundred years that two digits of a year are in.
#[derive(Clone, Copy, Debug)]
struct Century {
    /// Milliseconds since 1970.
    start_ms: i64,
    start_year: i64,
}

impl Century {
    fn before(now_ms: i64) -> Self {
        let day_ms = 86_400_000;
        let today = calendar::date(now_ms.div_euclid(day_ms));
        let start = calendar::days(today.year - 80, Within::Month(today.month - 1, today.day));
        let start_ms = start * day_ms + now_ms.rem_euclid(day_ms);
        Self { start_ms, start_year: today.year - 80 }
    }
}

/// What a text told. Of a day in the month and one in the year the later in the text counts, as
/// does the later of hours of both clocks.
#[derive(Default)]
struct Read {
    year: Option<i64>,
    month0: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    /// Of 24.
    hour: Option<i64>,
    /// Of 12.
    half_hour: Option<i64>,
    /// 0 or 1.
    afternoon: Option<i64>,
    /// Whether `hour` stood behind `half_hour` and `afternoon`.
    hour_is_later: bool,
    minute: i64,
    second: i64,
    milli: i64,
    /// The year was written with two digits, those of the century's first.
    ambiguous: bool,
}

impl SimpleFormat {
    /// Reads a pattern; `now_ms` decides what two digits of a year mean.
    ///
    /// # Errors
    /// What is wrong with it, or not supported.
    pub(crate) fn parse(text: &str, now_ms: i64) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        for piece in pieces(text)? {
            parts.push(match piece {
                Piece::Literal(text) => Part::Literal(text),
                Piece::Sign(c) => Part::Literal(c.to_string()),
                Piece::Letters(letter, count)
                    if "yuMdDEaHhKkmsS".contains(letter) || WRITTEN_ONLY.contains(letter) =>
                {
                    Part::Field(letter, count)
                }
                Piece::Letters(letter, _) => {
                    return Err(unknown_letter(
                        letter,
                        "y M d D E u a H h K k m s S, and where times are written Y w W F G",
                    ));
                }
            });
        }
        Ok(Self { parts, century: Century::before(now_ms) })
    }

    /// Whether texts can be read with it.
    ///
    /// # Errors
    /// What cannot be read.
    pub(crate) fn check_reading(&self) -> Result<(), String> {
        let is_written_only = |part: &Part| match part {
            Part::Field(letter, _) => WRITTEN_ONLY.contains(*letter),
            Part::Literal(_) => false,
        };
        match self.parts.iter().any(is_written_only) {
            true => Err("of weeks and eras (Y w W F G) no time is read; leave them out".to_owned()),
            false => Ok(()),
        }
    }

    /// Milliseconds since 1970 as text.
    pub(crate) fn format(&self, ms: i64) -> String {
        let days = ms.div_euclid(86_400_000);
        let date = calendar::date(days);
        let clock = ms.rem_euclid(86_400_000);
        let hour = clock / 3_600_000;
        let week = || {
            let before = calendar::days(date.year, Within::Month(0, 1));
            let behind = calendar::days(date.year + 1, Within::Month(0, 1));
            Day {
                year: date.year,
                days: behind - before,
                of_year: days - before,
                of_month: date.day,
                of_week: (calendar::weekday0(days) as i64 + 1) % 7,
            }
        };
        let mut out = String::new();
        for part in &self.parts {
            let (letter, count) = match part {
                Part::Literal(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Field(letter, count) => (*letter, *count),
            };
            let number = match letter {
                'y' => {
                    let year = if date.year < 1 { 1 - date.year } else { date.year };
                    if count == 2 { year % 100 } else { year }
                }
                'Y' if count == 2 => week().week().0 % 100,
                'Y' => week().week().0,
                'w' => week().week().1,
                'W' => week().week_of_month(),
                'F' => (date.day - 1) / 7 + 1,
                'G' => {
                    out.push_str(if date.year < 1 { "BC" } else { "AD" });
                    continue;
                }
                'M' if count >= 3 => {
                    let name = MONTHS[(date.month - 1) as usize];
                    out.push_str(if count == 3 { &name[..3] } else { name });
                    continue;
                }
                'M' => date.month,
                'd' => date.day,
                'D' => date.day_of_year,
                'u' => calendar::weekday0(days) as i64 + 1,
                'H' => hour,
                'k' => (hour + 23) % 24 + 1,
                'K' => hour % 12,
                'h' => (hour + 11) % 12 + 1,
                'm' => clock / 60_000 % 60,
                's' => clock / 1000 % 60,
                'S' => clock % 1000,
                'a' => {
                    out.push_str(if hour < 12 { "AM" } else { "PM" });
                    continue;
                }
                _ => {
                    let name = DAYS[calendar::weekday0(days)];
                    out.push_str(if count <= 3 { &name[..3] } else { name });
                    continue;
                }
            };
            out.push_str(&format!("{number:0count$}"));
        }
        out
    }

    /// Milliseconds since 1970 of the time that a text begins with; what follows is not looked
    /// at, and what does not exist rolls over. `None` when there is none.
    pub(crate) fn read(&self, text: &str) -> Option<i64> {
        let mut found = Read::default();
        let mut at = 0;
        for (i, part) in self.parts.iter().enumerate() {
            at = match part {
                Part::Literal(literal) => {
                    text.get(at..)?.starts_with(literal.as_str()).then(|| at + literal.len())?
                }
                Part::Field(letter, count) => {
                    // Numbers that touch have their letters' width.
                    let touches = matches!(self.parts.get(i + 1), Some(Part::Field(next, n)) if is_number(*next, *n));
                    self.field(*letter, *count, touches, text, at, &mut found)?
                }
            };
        }
        let ms = found.ms()?;
        if found.ambiguous && ms < self.century.start_ms {
            found.year = found.year.map(|year| year + 100);
            return found.ms();
        }
        Some(ms)
    }

    fn field(
        &self,
        letter: char,
        count: usize,
        touches: bool,
        text: &str,
        start: usize,
        found: &mut Read,
    ) -> Option<usize> {
        let rest = text.get(start..)?;
        let blanks = rest.bytes().take_while(|b| matches!(b, b' ' | b'\t')).count();
        if blanks == rest.len() {
            return None;
        }
        if !is_number(letter, count) {
            let (names, both): (&[&str], bool) = match letter {
                'a' => (&["AM", "PM"], false),
                'M' => (&MONTHS, true),
                _ => (&DAYS, true),
            };
            let (index, length) = longest(rest, names, both)?;
            match letter {
                'a' => {
                    found.afternoon = Some(index);
                    found.hour_is_later = false;
                }
                'M' => found.month0 = Some(index),
                // The day of the week says nothing beside a date.
                _ => {}
            }
            return Some(start + length);
        }
        let limit = if touches { Some(count).filter(|n| *n <= rest.len())? } else { rest.len() };
        let number = rest.get(blanks..limit)?;
        let sign = usize::from(number.starts_with('-'));
        let digits = number[sign..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        let value = int_value(&number[..sign + digits]);
        found.set(letter, value);
        if letter == 'y' && count <= 2 && sign == 0 && digits == 2 {
            let first = self.century.start_year;
            found.ambiguous = value == first % 100;
            let century = first / 100 * 100 + if value < first % 100 { 100 } else { 0 };
            found.year = Some(value + century);
        }
        Some(start + blanks + sign + digits)
    }
}

fn is_number(letter: char, count: usize) -> bool {
    match letter {
        'M' => count <= 2,
        'a' | 'E' => false,
        _ => true,
    }
}

/// As Java's `Number.intValue`: numbers that are too long for a `long` are the largest `int`.
fn int_value(digits: &str) -> i64 {
    match digits.parse::<i64>() {
        Ok(value) => i64::from(value as i32),
        Err(_) if digits.starts_with('-') => i64::from(i32::MIN),
        Err(_) => i64::from(i32::MAX),
    }
}

/// The longest name that a text begins with, in any case; long names also by their first three
/// letters.
fn longest(text: &str, names: &[&str], both: bool) -> Option<(i64, usize)> {
    let begins =
        |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    if let Some(index) = names.iter().position(|name| begins(name)) {
        return Some((index as i64, names[index].len()));
    }
    let index = names.iter().position(|name| both && begins(&name[..3]))?;
    Some((index as i64, 3))
}

impl Read {
    fn set(&mut self, letter: char, value: i64) {
        match letter {
            'y' => self.year = Some(value),
            'M' => self.month0 = Some(value - 1),
            'd' => {
                self.day = Some(value);
                self.day_of_year = None;
            }
            'D' => self.day_of_year = Some(value),
            'H' | 'k' => {
                self.hour = Some(if letter == 'k' && value == 24 { 0 } else { value });
                self.hour_is_later = true;
            }
            'K' | 'h' => {
                self.half_hour = Some(if letter == 'h' && value == 12 { 0 } else { value });
                self.hour_is_later = false;
            }
            'm' => self.minute = value,
            's' => self.second = value,
            'S' => self.milli = value,
            _ => {}
        }
    }

    fn ms(&self) -> Option<i64> {
        let half = self.half_hour.unwrap_or(0) + 12 * self.afternoon.unwrap_or(0);
        let hour = match (self.hour, self.half_hour, self.afternoon) {
            (Some(hour), Some(_), Some(_)) if self.hour_is_later => hour,
            (Some(_), Some(_), Some(_)) => half,
            (Some(hour), ..) => hour,
            (None, ..) => half,
        };
        let within = match self.day_of_year {
            Some(day) => Within::Year(day),
            None => Within::Month(self.month0.unwrap_or(0), self.day.unwrap_or(1)),
        };
        let day = calendar::days(self.year.unwrap_or(1970), within);
        let clock = ((hour * 60 + self.minute) * 60 + self.second) * 1000 + self.milli;
        day.checked_mul(86_400_000)?.checked_add(clock)
    }
}
