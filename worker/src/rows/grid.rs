//! Texts in columns.

use arrow::array::RecordBatch;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
use weir_connectors::print::cell;
use weir_page::words::on_one_line;

/// On a screen a cell is cut here.
const WIDEST: usize = 40;
/// How NULL is shown.
pub(crate) const NULL: &str = "NULL";

/// How wide columns are, and on which side their texts begin.
pub(crate) struct Grid {
    widths: Vec<usize>,
    /// Numbers end where those above them end.
    numbers: Vec<bool>,
    shown: usize,
    is_cut: bool,
}

impl Grid {
    /// A grid for these rows. On a screen of so many columns cells are cut, and columns that do not
    /// fit beside the others are left out; elsewhere everything stays.
    pub(crate) fn of(columns: &[String], rows: &[&Vec<String>], screen: Option<usize>) -> Self {
        let is_number =
            |row: &&Vec<String>, at: usize| row[at] == NULL || row[at].parse::<f64>().is_ok();
        let numbers = (0..columns.len()).map(|at| rows.iter().all(|row| is_number(row, at)));
        let mut widths: Vec<usize> = columns.iter().map(|name| name.width()).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row.iter()) {
                let most = if screen.is_some() { WIDEST } else { usize::MAX };
                *width = (*width).max(cell.width().min(most));
            }
        }
        let mut shown = widths.len();
        if let Some(screen) = screen {
            let mut used = 0;
            for (at, each) in widths.iter().enumerate() {
                if at > 0 && used + each > screen {
                    shown = at;
                    break;
                }
                used += each + 2;
            }
        }
        Self { numbers: numbers.collect(), widths, shown, is_cut: screen.is_some() }
    }

    /// Makes room for a row that comes later.
    pub(crate) fn widen(&mut self, row: &[String]) {
        let most = if self.is_cut { WIDEST } else { usize::MAX };
        for (width, cell) in self.widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width().min(most));
        }
    }

    /// How many columns are left out.
    pub(crate) fn hidden(&self) -> usize {
        self.widths.len() - self.shown
    }

    /// A row, or the names of the columns.
    pub(crate) fn line(&self, cells: &[String]) -> String {
        let mut text = String::new();
        for (at, cell) in cells.iter().take(self.shown).enumerate() {
            let cell = on_one_line(cell);
            let cell = if self.is_cut { cut(&cell, self.widths[at]) } else { cell };
            let pad = " ".repeat(self.widths[at].saturating_sub(cell.width()));
            match self.numbers[at] {
                true => text.extend([&pad, &cell, "  "]),
                false => text.extend([&cell, pad.as_str(), "  "]),
            }
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// What stands between names and rows.
    pub(crate) fn rule(&self) -> String {
        let each = self.widths.iter().take(self.shown).map(|width| "─".repeat(*width));
        each.collect::<Vec<_>>().join("  ")
    }
}

/// The values of rows as texts.
pub(crate) fn cells(records: &RecordBatch) -> Vec<Vec<String>> {
    let text = |row: usize| {
        let columns = records.columns().iter();
        columns.map(move |column| cell(column.as_ref(), row).unwrap_or_else(|| NULL.to_owned()))
    };
    (0..records.num_rows()).map(|row| text(row).collect()).collect()
}

fn cut(text: &str, most: usize) -> String {
    if text.width() <= most {
        return text.to_owned();
    }
    format!("{}…", fitting(text, most.saturating_sub(1)))
}

/// As much of the beginning of a text as fits into so many columns of a screen.
pub(crate) fn fitting(text: &str, most: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > most
    });
    end.map_or(text, |(end, _)| &text[..end])
}
