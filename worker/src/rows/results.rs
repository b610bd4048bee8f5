//! The rows of a result on their way to standard output.
//!
//! Rows that only come are written as they come. Where rows are taken back, those that are left
//! in the end are written, or each change with its kind. No row is left out unsaid.
//! A screen shows what is there until then.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use weir_connectors::print::{Console, Printed};
use weir_page::words::grouped;
use weir_sql::session::Shown;

use super::encode::Encoder;
use super::folded::{Folded, in_order};
use super::grid::Grid;
use crate::cli::Format;
use crate::run::terminal;

/// Rows that may change and are kept until the end.
const KEPT: usize = 1_000_000;
/// Rows by which the widths of columns are found …
const MEASURED: usize = 1_000;
/// … unless no more come for so long.
const PATIENCE: Duration = Duration::from_millis(300);
/// Lines of the screen that are not rows of a picture.
const FRAME: usize = 6;

/// How the rows of a query are shown.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) encoder: Encoder,
    /// Only the rows that are left in the end are shown.
    pub(crate) at_end: bool,
    /// Until then those that are there can be looked at.
    pub(crate) live: bool,
    /// Width of the screen, where it is one.
    pub(crate) screen: Option<usize>,
    /// So many rows are shown, the others are counted.
    pub(crate) most: usize,
}

/// Takes the rows of one query.
pub(crate) struct Results {
    look: Look,
    columns: Vec<String>,
    /// What is known of the query, where there is one.
    shown: Option<Shown>,
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
    /// Rows that were only counted.
    more: usize,
}

impl Console for Results {
    fn rows(&self, printed: &Printed<'_>) -> Result<(), String> {
        let encoder = self.look.encoder;
        let kinds = printed.kinds.filter(|_| encoder.changes || self.look.at_end);
        // JSON is for programs, which want points in time as such.
        let shown = self.shown.as_ref().filter(|_| encoder.format != Format::Json);
        let on_the_clock = shown.map(|shown| shown.on_the_clock(printed.records));
        let records = on_the_clock.as_ref().unwrap_or(printed.records);
        let rows = encoder
            .rows(records, kinds)
            .map_err(|why| format!("{why}, or choose another format"))?;
        let mut inner = self.inner.lock();
        inner.subtasks.insert(printed.subtask);
        if self.look.at_end {
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
    pub(crate) fn new(look: Look, columns: impl Iterator<Item = String>) -> Self {
        let columns = look.encoder.columns(columns);
        Self { look, columns, shown: None, inner: Mutex::default() }
    }

    /// Results of a query.
    pub(crate) fn of_query(look: Look, shown: &Shown) -> Self {
        let columns = shown.columns.iter().map(|(name, _)| name.clone());
        Self { shown: Some(shown.clone()), ..Self::new(look, columns) }
    }

    /// Writes rows that are there already.
    pub(crate) fn write(&self, rows: Vec<Vec<String>>) {
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
    pub(crate) fn tick(&self) {
        let mut inner = self.inner.lock();
        if !self.look.at_end
            && inner.grid.is_none()
            && inner.since.is_some_and(|since| since.elapsed() > PATIENCE)
        {
            self.put_waiting(&mut inner);
        }
    }

    /// What there is so far, for a screen of this size, where it is to be looked at.
    pub(crate) fn picture(&self, (columns, lines): (usize, usize)) -> Option<String> {
        if !self.look.live {
            return None;
        }
        let mut inner = self.inner.lock();
        // What is over at once is not worth two pictures.
        let since = *inner.since.get_or_insert_with(Instant::now);
        if inner.subtasks.is_empty() || since.elapsed() < PATIENCE {
            return None;
        }
        let all = inner.folded.len();
        let most = lines.saturating_sub(FRAME).max(1);
        let rows: Vec<&Vec<String>> = inner.folded.iter().take(most).collect();
        let grid = Grid::of(&self.columns, &rows, Some(columns.saturating_sub(1)));
        let mut text = format!("{}\n{}\n", grid.line(&self.columns), grid.rule());
        for row in &rows {
            text.extend([&grid.line(row), "\n"]);
        }
        text.push_str(&count(all as u64));
        if all > rows.len() {
            text.push_str(&format!(", the first {} of them shown", rows.len()));
        }
        text.push('\n');
        Some(text)
    }

    /// Writes what is left, and says how many rows there were.
    pub(crate) fn finish(&self) -> usize {
        let mut inner = self.inner.lock();
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
        write_out(&text);
    }
}

/// Writes to standard output, above what is drawn.
pub(crate) fn write_out(text: &str) {
    terminal::above(|| {
        let mut out = std::io::stdout().lock();
        // A reader that has gone ends what is done for it (`stdout::closed`).
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    });
}

/// `1,200 rows`.
pub(crate) fn count(rows: u64) -> String {
    format!("{} row{}", grouped(rows), if rows == 1 { "" } else { "s" })
}
