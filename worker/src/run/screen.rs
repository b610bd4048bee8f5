//! What `weir run` shows while a job runs: one line that is redrawn, or nothing but results.

use std::io::{IsTerminal, Write, stderr};

use weir_protocol::control::{JobStatus, RunState};
use weir_protocol::{Counter, OperatorCounts};

/// Sums over all tasks of a status, and over those of earlier terms up to the cut that the
/// present ones go on from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Rows that sources have read.
    pub rows_in: u64,
    /// Rows that sinks have taken.
    pub rows_out: u64,
    /// Rows dropped as late.
    pub late: u64,
    /// Records skipped because they could not be read.
    pub malformed: u64,
    /// Smallest watermark, in milliseconds.
    pub watermark: Option<i64>,
}

/// Which vertices read and write, to sum the right counters.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// Operators that read sources.
    pub sources: Vec<String>,
    /// Operators that are sinks.
    pub sinks: Vec<String>,
}

impl Totals {
    /// Sums up a status.
    #[must_use]
    pub fn of(status: &JobStatus, ends: &Ends) -> Self {
        let mut totals = Self::default();
        for (uid, before) in &status.counted_before {
            totals.add(ends, uid, (&before.counts).into());
        }
        for task in &status.tasks {
            for operator in &task.operators {
                totals.add(ends, &operator.uid, (&operator.counts).into());
            }
            if let Some(mark) = task.watermark {
                totals.watermark = Some(totals.watermark.map_or(mark, |w| w.min(mark)));
            }
        }
        totals
    }

    fn add(&mut self, ends: &Ends, uid: &String, counts: OperatorCounts) {
        if ends.sources.contains(uid) {
            self.rows_in += counts[Counter::RowsOut];
        }
        if ends.sinks.contains(uid) {
            self.rows_out += counts[Counter::RowsIn];
        }
        self.late += counts[Counter::Late];
        self.malformed += counts[Counter::Malformed];
    }
}

/// The line at the bottom.
pub struct Screen {
    live: bool,
    drawn: bool,
    /// When the line was drawn last, in which term, and the rows read by then.
    last: Option<(tokio::time::Instant, u64, u64)>,
    rate: f64,
}

impl Screen {
    /// A screen on standard error; it redraws only on a terminal, and only if allowed.
    #[must_use]
    pub fn new(plain: bool) -> Self {
        let plain = plain || std::env::var_os("NO_COLOR").is_some();
        Self { live: !plain && stderr().is_terminal(), drawn: false, last: None, rate: 0.0 }
    }

    /// Prints a line above the progress line.
    pub fn say(&mut self, line: &str) {
        self.clear();
        eprintln!("{}", weir_engine::veil::hide(line));
    }

    /// Takes the progress line away.
    pub fn clear(&mut self) {
        if self.drawn {
            eprint!("\r\x1b[2K");
            self.drawn = false;
        }
    }

    /// Draws the progress line.
    pub fn draw(&mut self, status: &JobStatus, totals: &Totals) {
        if !self.live {
            return;
        }
        let now = tokio::time::Instant::now();
        // A new term goes on from its head's counts: what lies between them was not read just now.
        if let Some((then, term, rows)) = self.last
            && term == status.term
        {
            let seconds = now.duration_since(then).as_secs_f64();
            if seconds > 0.0 {
                let current = totals.rows_in.saturating_sub(rows) as f64 / seconds;
                self.rate =
                    if self.rate == 0.0 { current } else { 0.7 * self.rate + 0.3 * current };
            }
        }
        self.last = Some((now, status.term, totals.rows_in));
        let mut line = String::from("  ");
        if status.total > 0 {
            let done = 1.0 - status.remaining as f64 / status.total as f64;
            let done = done.clamp(0.0, 1.0);
            let full = (done * 24.0).round() as usize;
            line.push_str(&"█".repeat(full));
            line.push_str(&"░".repeat(24 - full));
            line.push_str(&format!("  {:3.0} %   ", done * 100.0));
        }
        line.push_str(&format!("{} rows/s", count(self.rate as u64)));
        if let Some(mark) = totals.watermark {
            line.push_str(&format!("   event time {}", event_time(mark)));
        }
        if status.epoch > 0 {
            line.push_str(&format!(
                "   checkpoint {} ({}, {} ms)",
                status.epoch,
                bytes(status.checkpoint_bytes),
                status.checkpoint_ms
            ));
        }
        if status.state() != RunState::Running {
            line.push_str(&format!("   {}", status.state().name().to_lowercase()));
        }
        eprint!("\r\x1b[2K{line}");
        let _ = stderr().flush();
        self.drawn = true;
    }
}

/// `1.9 M`, `112 k`, `38`.
#[must_use]
pub fn count(n: u64) -> String {
    match n {
        0..=9_999 => n.to_string(),
        10_000..=999_999 => format!("{} k", n / 1000),
        _ => format!("{:.1} M", n as f64 / 1e6),
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
        ms => chrono::DateTime::from_timestamp_millis(ms)
            .map_or_else(|| "-".to_owned(), |t| t.format("%Y-%m-%d %H:%M").to_string()),
    }
}

/// `2026-01-21 14:00:07`.
#[must_use]
pub fn clock_time(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms)
        .map_or_else(|| "-".to_owned(), |t| t.format("%Y-%m-%d %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_protocol::control::{self, OperatorStats, TaskStats};

    #[test]
    fn rows_of_earlier_terms_count_once_and_with_those_of_this_one() {
        let ends = Ends { sources: vec!["in".into()], sinks: vec!["out".into()] };
        let counts = |rows_in, rows_out, late, malformed| {
            let counts = OperatorCounts::default().with(Counter::RowsIn, rows_in);
            let counts = counts.with(Counter::RowsOut, rows_out).with(Counter::Late, late);
            counts.with(Counter::Malformed, malformed).into()
        };
        let before = |rows_in, rows_out, late| control::OperatorCounts {
            counts: counts(rows_in, rows_out, late, 1),
        };
        let now = |uid: &str, rows_in, rows_out| OperatorStats {
            uid: uid.into(),
            counts: counts(rows_in, rows_out, 2, 0),
            ..OperatorStats::default()
        };
        let operators = vec![now("in", 7, 7), now("between", 7, 5), now("out", 5, 5)];
        let status = JobStatus {
            counted_before: [
                ("in".to_owned(), before(100, 100, 0)),
                ("out".to_owned(), before(40, 40, 30)),
            ]
            .into(),
            tasks: vec![TaskStats { operators, ..TaskStats::default() }],
            ..JobStatus::default()
        };
        let totals = Totals::of(&status, &ends);
        let expected =
            Totals { rows_in: 107, rows_out: 45, late: 36, malformed: 2, watermark: None };
        assert_eq!(totals, expected);
    }

    #[test]
    fn numbers_are_short_and_readable() {
        assert_eq!(count(999), "999");
        assert_eq!(count(112_345), "112 k");
        assert_eq!(count(1_900_000), "1.9 M");
        assert_eq!(grouped(200_000), "200,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(bytes(1_234_567), "1.2 MB");
        assert_eq!(event_time(980_085_600_000), "2001-01-21 14:00");
    }
}
