//! Java's two languages of date patterns, each as Flink's functions use it.
//!
//! | functions | language |
//! |---|---|
//! | `TO_TIMESTAMP(string, pattern)`, `DATE_FORMAT(timestamp, pattern)` | [`Formatter`]: `java.time.format.DateTimeFormatter` |
//! | `TO_DATE`, `UNIX_TIMESTAMP`, `FROM_UNIXTIME`, `DATE_FORMAT` of a string | [`SimpleFormat`]: `java.text.SimpleDateFormat` |
//!
//! They write most letters alike and read quite differently: the first takes a text whole and
//! refuses a day that does not exist, the second takes what stands at the beginning, rolls the
//! 45th of a 13th month over, and counts in the Julian calendar before 15 October 1582. Letters
//! that are not here are refused when a pattern is read, never taken for text.

mod calendar;
mod fields;
mod formatter;
mod simple;
mod weeks;

pub(crate) use formatter::Formatter;
pub(crate) use simple::SimpleFormat;

/// Names in English, which is what Flink's locale gives.
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

/// A piece of a pattern in either language.
#[derive(Clone, PartialEq, Debug)]
enum Piece {
    /// Text that stands for itself.
    Literal(String),
    /// A letter and how often it stands there.
    Letters(char, usize),
    /// Any other sign, which one language gives a meaning to and the other does not.
    Sign(char),
}

/// Cuts a pattern into pieces: quotes and runs of letters are the same in both languages.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            let mut literal = String::new();
            loop {
                match chars.next() {
                    Some('\'') if chars.next_if_eq(&'\'').is_some() => literal.push('\''),
                    Some('\'') => break,
                    Some(c) => literal.push(c),
                    None => return Err("a quote in it is not closed".to_owned()),
                }
            }
            // Two quotes are one.
            let literal = if literal.is_empty() { "'".to_owned() } else { literal };
            pieces.push(Piece::Literal(literal));
        } else if c.is_ascii_alphabetic() {
            let mut count = 1;
            while chars.next_if_eq(&c).is_some() {
                count += 1;
            }
            pieces.push(Piece::Letters(c, count));
        } else {
            pieces.push(Piece::Sign(c));
        }
    }
    Ok(pieces)
}

fn unknown_letter(letter: char, known: &str) -> String {
    format!("the letter '{letter}' is not supported; known are {known}, and 'text' in quotes")
}

/// Java's `trim`: everything up to the blank goes, but no blank of Unicode's.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// A number at most two digits long, or a text, may have a sign in `Integer.parseInt`.
pub(super) fn java_int(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}
