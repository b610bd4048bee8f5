//! What a job that ends has printed, as a table that fits the screen.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use parking_lot::Mutex;
use weir_connectors::print::{Console, Printed, cell};
use weir_engine::RowKind;
use weir_page::words::grouped;

/// Rows of a table that are kept; what comes after them is counted.
const KEPT: usize = 100_000;
/// A cell is cut here.
const WIDEST: usize = 40;
/// Rows of the screen that are not the table's: what was said before it and comes after it.
const OTHERS: usize = 9;
/// A table has so many rows, however low the screen.
const LEAST: usize = 8;

/// Keeps what is printed, by the name of the sink.
#[derive(Default)]
pub(super) struct Tables(Mutex<BTreeMap<String, Table>>);

impl Console for Tables {
    fn rows(&self, printed: &Printed<'_>) {
        let mut tables = self.0.lock();
        let table = tables.entry(printed.table.to_owned()).or_default();
        table.take(printed);
    }
}

impl Tables {
    /// All tables, for a screen of this size.
    pub(super) fn show(&self, (columns, rows): (usize, usize)) -> String {
        let mut tables = self.0.lock();
        let each = (rows / tables.len().max(1)).saturating_sub(OTHERS).max(LEAST);
        let named = tables.len() > 1;
        let mut out = String::new();
        for (name, table) in tables.iter_mut() {
            if named {
                let _ = writeln!(out, "\n{name}");
            }
            table.show(&mut out, columns, each);
        }
        out
    }
}

/// A table's rows as they are after every change so far.
#[derive(Default)]
struct Table {
    columns: Vec<String>,
    /// In the order in which they came; none where one was taken back.
    rows: Vec<Option<Vec<String>>>,
    places: HashMap<Vec<String>, Vec<usize>>,
    subtasks: BTreeSet<u32>,
    /// Rows that are not kept.
    more: i64,
}

impl Table {
    fn take(&mut self, printed: &Printed<'_>) {
        if self.columns.is_empty() {
            self.columns.clone_from(&printed.columns);
        }
        self.subtasks.insert(printed.subtask);
        let columns = printed.records.columns();
        for at in 0..printed.records.num_rows() {
            let row: Vec<String> = columns.iter().map(|column| cell(column.as_ref(), at)).collect();
            match printed.kinds.map_or(RowKind::Insert, |kinds| kinds[at]) {
                RowKind::Insert | RowKind::UpdateAfter => self.add(row),
                RowKind::Delete | RowKind::UpdateBefore => self.remove(&row),
            }
        }
    }

    fn add(&mut self, row: Vec<String>) {
        if self.rows.len() >= KEPT {
            self.more += 1;
            return;
        }
        self.places.entry(row.clone()).or_default().push(self.rows.len());
        self.rows.push(Some(row));
    }

    fn remove(&mut self, row: &[String]) {
        match self.places.get_mut(row).and_then(Vec::pop) {
            Some(at) => self.rows[at] = None,
            None => self.more -= 1,
        }
    }

    fn show(&mut self, out: &mut String, width: usize, most: usize) {
        let mut rows: Vec<&Vec<String>> = self.rows.iter().flatten().collect();
        // Rows of several subtasks come in no order: then in that of their values.
        if self.subtasks.len() > 1 {
            rows.sort_by(|a, b| in_order(a, b));
        }
        let all = rows.len() as i64 + self.more;
        rows.truncate(most);
        let numbers: Vec<bool> = (0..self.columns.len())
            .map(|at| rows.iter().all(|row| row[at] == "null" || row[at].parse::<f64>().is_ok()))
            .collect();
        let mut widths: Vec<usize> = self.columns.iter().map(|name| letters(name)).collect();
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row.iter()) {
                *width = (*width).max(letters(cell)).min(WIDEST);
            }
        }
        // What does not fit beside the others is left out, and said.
        let mut shown = 0;
        let mut used = 2;
        for each in &widths {
            if shown > 0 && used + each > width {
                break;
            }
            used += each + 2;
            shown += 1;
        }
        let mut line = |cells: &[String]| {
            let mut text = String::from("  ");
            for (at, cell) in cells.iter().take(shown).enumerate() {
                let (cell, pad) = (cut(cell, widths[at]), widths[at]);
                let pad = " ".repeat(pad.saturating_sub(letters(&cell)));
                let _ = match numbers[at] {
                    true => write!(text, "{pad}{cell}  "),
                    false => write!(text, "{cell}{pad}  "),
                };
            }
            out.push_str(text.trim_end());
            out.push('\n');
        };
        line(&self.columns);
        rows.iter().for_each(|row| line(row));
        let left = all - rows.len() as i64;
        let mut notes = Vec::new();
        if left > 0 {
            notes.push(format!("{} more rows", grouped(left as u64)));
        }
        let hidden = self.columns.len() - shown;
        if hidden > 0 {
            notes.push(format!("{hidden} more columns"));
        }
        if !notes.is_empty() {
            let _ = writeln!(out, "  … {}: `weir run … | less` shows all", notes.join(" and "));
        }
    }
}

/// Numbers by value, everything else by text.
fn in_order(a: &[String], b: &[String]) -> Ordering {
    let each = a.iter().zip(b).map(|(a, b)| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    });
    each.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn letters(text: &str) -> usize {
    text.chars().count()
}

fn cut(text: &str, most: usize) -> String {
    let text = text.replace(['\n', '\r', '\t', '\x1b'], " ");
    if letters(&text) <= most {
        return text;
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
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
            table.add(row(&["06:00", "ATL", &n.to_string()]));
        }
        table.add(row(&["06:00", "an airport with a name that is much too long for a cell", "1"]));
        let mut out = String::new();
        table.show(&mut out, 80, 3);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], "  window_start  origin  flights");
        assert_eq!(lines[1], "  06:00         ATL           3", "{out}");
        assert_eq!(lines[3], "  06:00         ATL          10", "{out}");
        assert_eq!(lines[4], "  … 1 more rows: `weir run … | less` shows all");
        let mut narrow = String::new();
        table.show(&mut narrow, 24, 9);
        assert!(
            narrow.contains("2 more columns") && narrow.lines().all(|l| letters(l) < 60),
            "{narrow}"
        );
    }

    #[test]
    fn rows_that_are_taken_back_are_gone() {
        let mut table = table(1);
        table.add(row(&["a", "b", "1"]));
        table.add(row(&["c", "d", "1"]));
        table.remove(&row(&["a", "b", "1"]));
        table.add(row(&["a", "b", "2"]));
        let mut out = String::new();
        table.show(&mut out, 80, 10);
        let lines: Vec<&str> = out.lines().skip(1).map(str::trim).collect();
        assert_eq!(lines, ["c             d             1", "a             b             2"]);
    }
}
