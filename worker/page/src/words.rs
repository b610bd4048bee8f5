//! Numbers and times as people read them, on the page and on a terminal.

use chrono::{DateTime, Datelike};
pub use weir_protocol::view::took;

/// `1.9 M`, `112 k`, `38`.
#[must_use]
pub fn count(n: u64) -> String {
    match n {
        0..=9_999 => grouped(n),
        10_000..=999_999 => format!("{} k", n / 1000),
        1_000_000..=999_999_999 => format!("{:.1} M", n as f64 / 1e6),
        _ => format!("{:.1} G", n as f64 / 1e9),
    }
}

/// A rate per second, with a decimal where it is small.
#[must_use]
pub fn rate(per_second: f64) -> String {
    match per_second {
        r if r <= 0.0 || !r.is_finite() => "0".to_owned(),
        r if r < 10.0 => format!("{r:.1}"),
        r => count(r.round() as u64),
    }
}

/// `200,000`.
#[must_use]
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1.2 MB`, `340 kB`, `12 B`.
#[must_use]
pub fn bytes(n: u64) -> String {
    match n {
        0..=999 => format!("{n} B"),
        1_000..=999_999 => format!("{} kB", n / 1000),
        1_000_000..=999_999_999 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}

/// `2001-01-21 14:00`, or what the ends of time are called.
#[must_use]
pub fn event_time(ms: i64) -> String {
    match ms {
        i64::MAX => "end".to_owned(),
        ms => formatted(ms, "%Y-%m-%d %H:%M"),
    }
}

/// `2001-01-21 14:00:07`, or what the ends of time are called.
#[must_use]
pub fn event_second(ms: i64) -> String {
    match ms {
        i64::MAX => "end".to_owned(),
        ms => formatted(ms, "%Y-%m-%d %H:%M:%S"),
    }
}

/// `2026-01-21 14:00:07`.
#[must_use]
pub fn clock_time(ms: i64) -> String {
    formatted(ms, "%Y-%m-%d %H:%M:%S")
}

/// `14:00:07`; with the date where that is not the day of `now`.
#[must_use]
pub fn time_of_day(ms: u64, now_ms: u64) -> String {
    let day = |ms: u64| DateTime::from_timestamp_millis(ms as i64).map(|t| t.num_days_from_ce());
    let form = if day(ms) == day(now_ms) { "%H:%M:%S" } else { "%b %-d %H:%M:%S" };
    formatted(ms as i64, form)
}

fn formatted(ms: i64, form: &str) -> String {
    DateTime::from_timestamp_millis(ms)
        .map_or_else(|| "–".to_owned(), |t| t.format(form).to_string())
}

/// How long ago, or how long: `0.4 s`, `38 s`, `4 min`, `3 h 12 min`, `2 d 4 h`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..10 if seconds < 9.95 => format!("{:.1} s", seconds.max(0.0)),
        0..120 => format!("{} s", seconds.round() as u64),
        120..7_200 => format!("{} min", whole / 60),
        7_200..172_800 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// `97 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A text of others on one line of a terminal: ends of lines are shown, and nothing has an effect,
/// as escape sequences have that move the cursor or set a title.
#[must_use]
pub fn on_one_line(text: &str) -> String {
    let sign = |c: char| match c {
        '\n' => '↵',
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().map(sign).collect()
}

/// A text of others whose lines stay lines, with `between` between them; each as [`on_one_line`]
/// makes it.
#[must_use]
pub fn in_lines(text: &str, between: &str) -> String {
    text.lines().map(on_one_line).collect::<Vec<_>>().join(between)
}

/// `1 row`, `2 rows`.
#[must_use]
pub fn plural(n: u64, one: &str) -> String {
    let end = if n == 1 { "" } else { "s" };
    format!("{} {one}{end}", grouped(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_others_has_no_effect_on_a_terminal() {
        assert_eq!(on_one_line("a\x1b]0;t\x07\u{9b}2Jb\n\tü"), "a ]0;t  2Jb↵ ü");
        assert_eq!(in_lines("a\r\n\x1b[1mb\n", "\n    "), "a\n     [1mb");
    }

    #[test]
    fn numbers_are_short_and_readable() {
        assert_eq!(count(999), "999");
        assert_eq!(count(112_345), "112 k");
        assert_eq!(count(1_900_000), "1.9 M");
        assert_eq!(
            (rate(0.0).as_str(), rate(3.21).as_str(), rate(1_000.4).as_str()),
            ("0", "3.2", "1,000")
        );
        assert_eq!(grouped(200_000), "200,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(bytes(1_234_567), "1.2 MB");
        assert_eq!(event_time(980_085_600_000), "2001-01-21 14:00");
        assert_eq!(duration(0.42), "0.4 s");
        assert_eq!(duration(9.97), "10 s");
        assert_eq!(duration(11_530.0), "3 h 12 min");
        assert_eq!(
            (took(38), took(2_917), took(250_000)),
            ("38 ms".into(), "2.91 s".into(), "4 min 10 s".into())
        );
    }
}
