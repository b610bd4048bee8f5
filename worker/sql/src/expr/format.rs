//! Java's date patterns, as far as DATE_FORMAT, TO_TIMESTAMP and FROM_UNIXTIME need them.

use chrono::{Datelike, NaiveDate, Timelike};

use super::time::Instant;

/// A pattern such as `yyyy-MM-dd HH:mm:ss`.
pub(crate) struct Pattern(Vec<Part>);

enum Part {
    Literal(String),
    /// A letter and how often it stands there.
    Field(char, usize),
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\'' {
                let mut literal = String::new();
                loop {
                    match chars.next() {
                        Some('\'') if chars.peek() == Some(&'\'') => {
                            chars.next();
                            literal.push('\'');
                        }
                        Some('\'') => break,
                        Some(c) => literal.push(c),
                        None => return Err("a quote in it is not closed".to_owned()),
                    }
                }
                // Two quotes are one.
                parts.push(Part::Literal(if literal.is_empty() {
                    "'".to_owned()
                } else {
                    literal
                }));
            } else if c.is_ascii_alphabetic() {
                if !"yuMdHhmsSaEDk".contains(c) {
                    return Err(format!(
                        "the letter '{c}' is not supported; known are y M d D E a H h k m s S, and 'text' in quotes"
                    ));
                }
                let mut count = 1;
                while chars.next_if_eq(&c).is_some() {
                    count += 1;
                }
                parts.push(Part::Field(c, count));
            } else {
                parts.push(Part::Literal(c.to_string()));
            }
        }
        Ok(Self(parts))
    }

    pub(crate) fn format(&self, at: Instant) -> Option<String> {
        let time = at.datetime()?;
        let mut out = String::new();
        for part in &self.0 {
            let (letter, count) = match part {
                Part::Literal(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Field(letter, count) => (*letter, *count),
            };
            let number = match letter {
                'y' | 'u' if count == 2 => time.year().rem_euclid(100) as u32,
                'y' | 'u' => time.year().unsigned_abs(),
                'M' if count >= 3 => {
                    let name = MONTHS[time.month0() as usize];
                    out.push_str(if count == 3 { &name[..3] } else { name });
                    continue;
                }
                'M' => time.month(),
                'd' => time.day(),
                'D' => time.ordinal(),
                'H' => time.hour(),
                'k' => (time.hour() + 23) % 24 + 1,
                'h' => (time.hour() + 11) % 12 + 1,
                'm' => time.minute(),
                's' => time.second(),
                'S' => {
                    let digits = format!("{:09}", at.nanos);
                    out.extend(digits.chars().chain(std::iter::repeat('0')).take(count));
                    continue;
                }
                'a' => {
                    out.push_str(if time.hour() < 12 { "AM" } else { "PM" });
                    continue;
                }
                _ => {
                    let name = DAYS[time.weekday().num_days_from_monday() as usize];
                    out.push_str(if count <= 3 { &name[..3] } else { name });
                    continue;
                }
            };
            out.push_str(&format!("{number:0count$}"));
        }
        Some(out)
    }

    /// Reads a time; `None` when the text does not have this form.
    pub(crate) fn parse_text(&self, text: &str) -> Option<Instant> {
        let mut rest = text.trim();
        let (mut year, mut month, mut day) = (1970, 1, 1);
        let (mut hour, mut minute, mut second, mut nanos) = (0, 0, 0, 0u32);
        let mut afternoon = None;
        for (i, part) in self.0.iter().enumerate() {
            let (letter, count) = match part {
                Part::Literal(literal) => {
                    rest = rest.strip_prefix(literal.as_str())?;
                    continue;
                }
                Part::Field(letter, count) => (*letter, *count),
            };
            if letter == 'a' {
                afternoon = match rest.get(..2)?.to_ascii_uppercase().as_str() {
                    "AM" => Some(false),
                    "PM" => Some(true),
                    _ => return None,
                };
                rest = &rest[2..];
                continue;
            }
            if letter == 'E' || letter == 'M' && count >= 3 {
                let names: &[&str] = if letter == 'E' { &DAYS } else { &MONTHS };
                let (index, length) = names.iter().enumerate().find_map(|(i, name)| {
                    let length = if count <= 3 { 3 } else { name.len() };
                    rest.get(..length)?.eq_ignore_ascii_case(&name[..length]).then_some((i, length))
                })?;
                if letter == 'M' {
                    month = index as u32 + 1;
                }
                rest = &rest[length..];
                continue;
            }
            // Fields that touch have exactly their letters' width, as otherwise nobody knows
            // where one ends; others take all digits that come, up to what makes sense.
            let touches = matches!(self.0.get(i + 1), Some(Part::Field(next, _)) if !matches!(next, 'a' | 'E'));
            let most = match (touches, letter) {
                (true, _) => count,
                (false, 'S') => 9,
                (false, 'y' | 'u') if count != 2 => 9,
                (false, 'D') => 3,
                _ => count.max(2),
            };
            let length = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
            if length == 0 || count > 1 && letter != 'S' && length < count.min(2) {
                return None;
            }
            let digits = &rest[..length];
            let number: u32 = digits.parse().ok()?;
            rest = &rest[length..];
            match letter {
                'y' | 'u' if count == 2 => year = 2000 + number as i32,
                'y' | 'u' => year = number as i32,
                'M' => month = number,
                'd' => day = number,
                'D' => {
                    let date = NaiveDate::from_yo_opt(year, number)?;
                    (month, day) = (date.month(), date.day());
                }
                'H' => hour = number,
                'k' => hour = number % 24,
                'h' => hour = number % 12,
                'm' => minute = number,
                's' => second = number,
                _ => nanos = number * 10u32.pow(9 - length as u32),
            }
        }
        if !rest.is_empty() {
            return None;
        }
        if afternoon == Some(true) {
            hour = hour % 12 + 12;
        }
        let date = NaiveDate::from_ymd_opt(year, month, day)?;
        Some(Instant::of_datetime(date.and_hms_nano_opt(hour, minute, second, nanos)?))
    }
}
