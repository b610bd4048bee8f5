//! What `weir run` shows while a job runs: lines that are redrawn, or nothing but results.

use std::io::{IsTerminal, stderr};

use weir_page::words::{bytes, event_time, rate, took};
use weir_protocol::control::{JobStatus, RunState};
use weir_protocol::{Counter, OperatorCounts};

use super::terminal;
use crate::rows::grid::fitting;

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

/// What is said of a job while it runs, and the line below it.
pub struct Screen {
    live: bool,
}

impl Screen {
    /// A screen on standard error; it redraws only on a terminal, and only if allowed.
    #[must_use]
    pub fn new(plain: bool) -> Self {
        let plain = plain || std::env::var_os("NO_COLOR").is_some();
        Self { live: !plain && stderr().is_terminal() }
    }

    /// Whether lines are redrawn.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Prints a line above the progress line.
    pub fn say(&mut self, line: &str) {
        terminal::above(|| eprintln!("{}", weir_engine::veil::hide(line)));
    }

    /// Takes the progress line away.
    pub fn clear(&mut self) {
        terminal::clear();
    }

    /// Draws the progress line; `rate` is in rows read a second. Whole lines of `picture` stand above
    /// it.
    pub fn draw(
        &mut self,
        status: &JobStatus,
        totals: &Totals,
        rate: f64,
        picture: Option<String>,
    ) {
        if self.live {
            let (columns, _) = terminal::size();
            // A line that wraps could not be taken away.
            let line = progress(status, totals, rate);
            let line = fitting(&line, columns.saturating_sub(1));
            terminal::draw(picture.unwrap_or_default() + line);
        }
    }
}

/// The line that tells how far a job is.
pub(crate) fn progress(status: &JobStatus, totals: &Totals, per_second: f64) -> String {
    let mut line = String::from("  ");
    if status.total > 0 {
        let done = 1.0 - status.remaining as f64 / status.total as f64;
        let done = done.clamp(0.0, 1.0);
        let full = (done * 24.0).round() as usize;
        line.push_str(&"█".repeat(full));
        line.push_str(&"░".repeat(24 - full));
        line.push_str(&format!("  {:3.0} %   ", done * 100.0));
    }
    line.push_str(&format!("{} rows/s", rate(per_second)));
    if let Some(mark) = totals.watermark {
        line.push_str(&format!("   event time {}", event_time(mark)));
    }
    if status.epoch > 0 {
        line.push_str(&format!(
            "   checkpoint {} ({}, {})",
            status.epoch,
            bytes(status.checkpoint_bytes),
            took(status.checkpoint_ms)
        ));
    }
    if status.state() != RunState::Running {
        line.push_str(&format!("   {}", status.state().name().to_lowercase()));
    }
    line
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
}
