//! The rows of a query on their way to standard output.
//!
//! Rows that only come are written as they come. Where rows are taken back, those that are left
//! in the end are written, or each change with its kind. No row is left out unsaid.
//! A screen shows what is there while a query runs that does not end by itself.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use weir_connectors::print::{Console, Printed};
use weir_page::words::grouped;

use super::encode::Encoder;
use crate::cli::Format;
use crate::rows::folded::{Folded, in_order};
use crate::rows::grid::Grid;
use crate::run::terminal;

/// Rows that may change and are kept until the end.
const KEPT: usize = 1_000_000;
/// Rows by which the widths of columns are found …
const MEASURED: usize = 1_000;
/// … unless no more come for so long.
const PATIENCE: Duration = Duration::from_millis(300);
/// Lines of the screen that are not rows while they are drawn again and again.
const FRAME: usize = 5;

/// How the rows of a query are shown.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) encoder: Encoder,
    /// Only the rows that are left in the end are shown.
    pub(super) at_end: bool,
    /// Until then those that are there are shown as well, and drawn again when they change.
    pub(super) live: bool,
    /// Width of the screen, where it is one.
    pub(super) screen: Option<usize>,
    /// So many rows are shown, the others are counted.
    pub(super) most: usize,
}

/// Takes the rows of one query.
pub(super) struct Results {
    look: Look,
    columns: Vec<String>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    folded: Folded,
    subtasks: BTreeSet<u32>,
    /// Rows that are not written yet, since columns have no widths.
    waiting: Vec<Vec<String>>,
    since: Option<Instant>,
    grid: Option<Grid>,
    has_header: bool,
    written: usize,
    /// Rows have come since the screen was drawn, which has so many lines of them.
    changed: bool,
    drawn: usize,
    /// Rows that were only counted.
    more: usize,
}

/// Takes so many lines above the cursor away.
fn erase(lines: usize) -> String {
    match lines {
        0 => String::new(),
        lines => format!("\r\x1b[{lines}A\x1b[J"),
    }
}

impl Console for Results {
    fn rows(&self, printed: &Printed<'_>) -> Result<(), String> {
        let encoder = self.look.encoder;
        let kinds = printed.kinds.filter(|_| encoder.changes || self.look.at_end);
        let rows = encoder
            .rows(printed.records, kinds)
            .map_err(|why| format!("{why}, or choose another format"))?;
        let mut inner = self.inner.lock();
        inner.subtasks.insert(printed.subtask);
        if self.look.at_end {
            inner.changed = true;
            inner.folded.take(rows, kinds, KEPT);
            return match inner.folded.more() {
                0 => Ok(()),
                _ => Err(format!(
                    "more than {} rows that may still change are too many to be kept for a final result; write them with INSERT INTO, or see each change with SET '{}' = 'changelog'",
                    grouped(KEPT as u64),
                    weir_sql::session::RESULT_MODE
                )),
            };
        }
        self.add(&mut inner, rows);
        Ok(())
    }
}

impl Results {
    /// Results with these columns.
    pub(super) fn new(look: Look, columns: impl Iterator<Item = String>) -> Self {
        let columns = look.encoder.columns(columns);
        Self { look, columns, inner: Mutex::default() }
    }

    /// Writes rows that are there already.
    pub(super) fn write(&self, rows: Vec<Vec<String>>) {
        self.add(&mut self.inner.lock(), rows);
    }

    fn add(&self, inner: &mut Inner, rows: Vec<Vec<String>>) {
        if self.look.encoder.format == Format::Table && inner.grid.is_none() {
            inner.since.get_or_insert_with(Instant::now);
            inner.waiting.extend(rows);
            if inner.waiting.len() >= MEASURED {
                self.put_waiting(inner);
            }
            return;
        }
        self.put(inner, &rows);
    }

    /// To be called from time to time.
    pub(super) fn tick(&self) {
        let mut inner = self.inner.lock();
        if self.look.live {
            return self.draw(&mut inner);
        }
        if inner.grid.is_none() && inner.since.is_some_and(|since| since.elapsed() > PATIENCE) {
            self.put_waiting(&mut inner);
        }
    }

    /// Draws what there is over what was drawn before.
    fn draw(&self, inner: &mut Inner) {
        if !std::mem::take(&mut inner.changed) {
            return;
        }
        let (columns, lines) = terminal::size();
        let all = inner.folded.len();
        // Beside the rows: names, rule, and the line below.
        let rows: Vec<&Vec<String>> =
            inner.folded.iter().take(lines.saturating_sub(FRAME).max(1)).collect();
        let grid = Grid::of(&self.columns, &rows, Some(columns - 1));
        let mut shown = vec![grid.line(&self.columns), grid.rule()];
        shown.extend(rows.iter().map(|row| grid.line(row)));
        let hidden = all - rows.len();
        let more = match hidden {
            0 => String::new(),
            _ => format!(", {} of them below", grouped(hidden as u64)),
        };
        let text = format!("{} rows{more}; Ctrl-C ends the query", grouped(all as u64));
        shown.push(text.chars().take(columns - 1).collect());
        let mut out = std::io::stdout().lock();
        let again = erase(inner.drawn);
        let _ = write!(out, "{again}{}\n", shown.join("\n")).and_then(|()| out.flush());
        inner.drawn = shown.len();
    }

    /// Writes what is left, and says how many rows there were.
    pub(super) fn finish(&self) -> usize {
        let mut inner = self.inner.lock();
        print!("{}", erase(std::mem::take(&mut inner.drawn)));
        if self.look.at_end {
            let mut rows: Vec<Vec<String>> = inner.folded.iter().cloned().collect();
            // Rows of several subtasks come in no order: then in that of their values.
            if inner.subtasks.len() > 1 {
                rows.sort_by(|a, b| in_order(a, b));
            }
            inner.waiting = rows;
        }
        self.put_waiting(&mut inner);
        let hidden = inner.grid.as_ref().map_or(0, Grid::hidden);
        let mut notes = Vec::new();
        if inner.more > 0 {
            notes.push(format!("{} more rows", grouped(inner.more as u64)));
        }
        if hidden > 0 {
            notes.push(format!("{hidden} more columns"));
        }
        if !notes.is_empty() {
            let notes = notes.join(" and ");
            terminal::above(|| eprintln!("… {notes}: a pipe or another format shows all"));
        }
        inner.written + inner.more
    }

    fn put_waiting(&self, inner: &mut Inner) {
        let rows = std::mem::take(&mut inner.waiting);
        if self.look.encoder.format == Format::Table && inner.grid.is_none() {
            let shown: Vec<&Vec<String>> = rows.iter().take(self.look.most).collect();
            inner.grid = Some(Grid::of(&self.columns, &shown, self.look.screen));
        }
        self.put(inner, &rows);
    }

    fn put(&self, inner: &mut Inner, rows: &[Vec<String>]) {
        let mut text = String::new();
        let mut line = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        if !std::mem::replace(&mut inner.has_header, true) {
            if let Some(grid) = &inner.grid {
                line(&grid.line(&self.columns));
                line(&grid.rule());
            } else if let Some(header) = self.look.encoder.header(&self.columns) {
                line(&header);
            }
        }
        let shown = rows.len().min(self.look.most - inner.written);
        for row in &rows[..shown] {
            match &mut inner.grid {
                Some(grid) => {
                    grid.widen(row);
                    line(&grid.line(row));
                }
                None => row.iter().for_each(|text| line(text)),
            }
        }
        inner.written += shown;
        inner.more += rows.len() - shown;
        terminal::above(|| {
            let mut out = std::io::stdout().lock();
            // A reader that has gone ends the query (`stdout::closed`).
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        });
    }
}
