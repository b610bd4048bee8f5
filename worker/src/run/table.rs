//! What a job prints as a table that fits the screen: of one that ends when it has, of one that has
//! no end the rows as they are now, where they are corrected.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use parking_lot::Mutex;
use weir_connectors::print::{Console, Printed};
use weir_page::words::grouped;

use super::Above;
use crate::rows::folded::{Folded, in_order};
use crate::rows::grid::{Grid, cells, fitting};

/// Rows of a table that are kept; what comes after them is counted.
const KEPT: usize = 100_000;
/// Rows of the screen that are not the table's: what was said before it and comes after it.
const OTHERS: usize = 9;
/// A table has so many rows, however low the screen.
const LEAST: usize = 8;

/// Keeps what is printed, by the name of the sink.
#[derive(Default)]
pub(super) struct Tables(Mutex<BTreeMap<String, Table>>);

impl Console for Tables {
    fn rows(&self, printed: &Printed<'_>) -> Result<(), String> {
        let mut tables = self.0.lock();
        let table = tables.entry(printed.table.to_owned()).or_default();
        table.take(printed);
        Ok(())
    }
}

impl Tables {
    /// All tables as they are in the end, for a screen of this size.
    pub(super) fn show(&self, size: (usize, usize)) -> String {
        self.written(size, true)
    }

    /// All tables as they are now, for the lines at the bottom of a screen of this size, which are
    /// redrawn; nothing before there are rows.
    pub(super) fn picture(&self, (columns, rows): (usize, usize)) -> String {
        let all = self.written((columns, rows), false);
        let line = |line: &str| format!("{}\n", fitting(line, columns.saturating_sub(1)));
        // One is the progress line's, and the screen must not scroll.
        all.lines().take(rows.saturating_sub(2)).map(line).collect::<Vec<String>>().concat()
    }

    fn written(&self, (columns, rows): (usize, usize), is_end: bool) -> String {
        let mut tables = self.0.lock();
        let each = (rows / tables.len().max(1)).saturating_sub(OTHERS).max(LEAST);
        let named = tables.len() > 1;
        let mut out = String::new();
        for (name, table) in tables.iter_mut() {
            if named {
                let _ = writeln!(out, "\n{name}");
            }
            table.show(&mut out, columns, each, is_end);
        }
        out
    }
}

/// Rows that only come, as lines; those of the other sinks in tables.
pub(super) struct Live {
    /// Names of sinks whose rows are corrected.
    corrected: BTreeSet<String>,
    tables: Arc<Tables>,
}

impl Live {
    /// For these sinks; none of them has rows yet.
    pub(super) fn new(corrected: BTreeSet<String>, tables: Arc<Tables>) -> Self {
        Self { corrected, tables }
    }
}

impl Console for Live {
    fn rows(&self, printed: &Printed<'_>) -> Result<(), String> {
        match self.corrected.contains(printed.table) {
            true => self.tables.rows(printed),
            false => Above.rows(printed),
        }
    }
}

/// A table's rows as they are after every change so far.
#[derive(Default)]
struct Table {
    columns: Vec<String>,
    rows: Folded,
    subtasks: BTreeSet<u32>,
}

impl Table {
    fn take(&mut self, printed: &Printed<'_>) {
        if self.columns.is_empty() {
            self.columns.clone_from(&printed.columns);
        }
        self.subtasks.insert(printed.subtask);
        self.rows.take(cells(printed.records), printed.kinds, KEPT);
    }

    fn show(&mut self, out: &mut String, width: usize, most: usize, is_end: bool) {
        let all = self.rows.len() + self.rows.more();
        // Rows of several subtasks come in no order: in the end in that of their values. While they
        // change, whoever writes them would wait for that.
        let is_sorted = is_end && self.subtasks.len() > 1;
        let looked_at = if is_sorted { usize::MAX } else { most };
        let mut rows: Vec<&Vec<String>> = self.rows.iter().take(looked_at).collect();
        if is_sorted {
            rows.sort_by(|a, b| in_order(a, b));
        }
        rows.truncate(most);
        let grid = Grid::of(&self.columns, &rows, Some(width.saturating_sub(2)));
        let _ = writeln!(out, "  {}", grid.line(&self.columns));
        for row in &rows {
            let _ = writeln!(out, "  {}", grid.line(row));
        }
        let left = all - rows.len();
        let mut notes = Vec::new();
        if left > 0 {
            notes.push(format!("{} more rows", grouped(left as u64)));
        }
        if grid.hidden() > 0 {
            notes.push(format!("{} more columns", grid.hidden()));
        }
        if !notes.is_empty() {
            // Piped, the rows of a job without an end are their changes.
            let all = if is_end { ": `weir run … | less` shows all" } else { "" };
            let _ = writeln!(out, "  … {}{all}", notes.join(" and "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    fn table(subtasks: u32) -> Table {
        let columns = row(&["window_start", "origin", "flights"]);
        let subtasks = (0..subtasks).collect();
        Table { columns, subtasks, ..Table::default() }
    }

    #[test]
    fn a_table_has_a_header_fits_the_screen_and_says_what_it_leaves_out() {
        let mut table = table(2);
        for n in [10, 9, 3] {
            table.rows.add(row(&["06:00", "ATL", &n.to_string()]));
        }
        table.rows.add(row(&[
            "06:00",
            "an airport with a name that is much too long for a cell",
            "1",
        ]));
        let mut out = String::new();
        table.show(&mut out, 80, 3, true);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], "  window_start  origin  flights");
        assert_eq!(lines[1], "  06:00         ATL           3", "{out}");
        assert_eq!(lines[3], "  06:00         ATL          10", "{out}");
        assert_eq!(lines[4], "  … 1 more rows: `weir run … | less` shows all");
        let mut narrow = String::new();
        table.show(&mut narrow, 24, 9, true);
        assert!(
            narrow.contains("2 more columns") && narrow.lines().all(|l| l.chars().count() < 60),
            "{narrow}"
        );
    }

    #[test]
    fn lines_that_are_redrawn_never_wrap_however_wide_their_characters_are() {
        let mut table = table(1);
        table.columns = row(&["city"]);
        table.rows.add(row(&["東京都新宿区西新宿"]));
        table.rows.add(row(&["🛫🛬🛫🛬🛫🛬"]));
        let tables = Tables(Mutex::new(BTreeMap::from([("out".to_owned(), table)])));
        let picture = tables.picture((12, 24));
        let widths: Vec<usize> =
            picture.lines().map(unicode_width::UnicodeWidthStr::width).collect();
        assert!(widths.iter().all(|width| *width < 12), "{picture}");
        assert!(picture.contains("  東京都新\n") && picture.contains("  🛫🛬🛫🛬\n"), "{picture}");
    }

    #[test]
    fn rows_that_are_taken_back_are_gone() {
        let mut table = table(1);
        table.rows.add(row(&["a", "b", "1"]));
        table.rows.add(row(&["c", "d", "1"]));
        table.rows.remove(&row(&["a", "b", "1"]));
        table.rows.add(row(&["a", "b", "2"]));
        let mut out = String::new();
        table.show(&mut out, 80, 10, true);
        let lines: Vec<&str> = out.lines().skip(1).map(str::trim).collect();
        assert_eq!(lines, ["c             d             1", "a             b             2"]);
    }
}
