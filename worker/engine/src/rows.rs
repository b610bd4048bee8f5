//! Rows that pass, as texts, while somebody looks: a few, cut where they are long.

use std::fmt::{self, Write};

use arrow::array::Array;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use weir_protocol::view::{RowView, RowsView};

use crate::Batch;

/// Rows that are shown at a time.
pub const MAX_ROWS: usize = 20;
/// Columns of a row that are shown.
const MAX_COLUMNS: usize = 64;
/// A value is cut behind so many bytes.
const MAX_VALUE: usize = 200;
/// No further row is taken once these hold so many bytes.
const MAX_BYTES: usize = 16 << 10;

/// Takes the first rows that pass an operator from now on. Costs nothing once it has them.
#[derive(Debug)]
pub(crate) struct Tap {
    /// The position of the operator in its chain.
    pub(crate) at: usize,
    rows: RowsView,
    bytes: usize,
}

impl Tap {
    pub(crate) fn new(at: usize) -> Self {
        Self { at, rows: RowsView::default(), bytes: 0 }
    }

    /// Whether it takes no more rows.
    pub(crate) fn is_full(&self) -> bool {
        self.rows.rows.len() >= MAX_ROWS || self.bytes >= MAX_BYTES
    }

    /// Takes the newest rows of a batch, as far as there is room.
    pub(crate) fn take(&mut self, batch: &Batch, subtask: u32, now_ms: i64) {
        if self.is_full() || batch.num_rows() == 0 {
            return;
        }
        let records = batch.records();
        let schema = records.schema();
        let names = schema.fields().iter().take(MAX_COLUMNS).map(|field| field.name().clone());
        self.rows.columns = names.collect();
        self.rows.more_columns = records.num_columns().saturating_sub(MAX_COLUMNS) as u32;
        self.rows.at_ms = u64::try_from(now_ms).unwrap_or(0);
        let options = FormatOptions::default()
            .with_display_error(true)
            .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
            .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.fZ"));
        let columns: Vec<_> = records
            .columns()
            .iter()
            .take(MAX_COLUMNS)
            .map(|column| (column, ArrayFormatter::try_new(column.as_ref(), &options)))
            .collect();
        let room = MAX_ROWS - self.rows.rows.len();
        for row in batch.num_rows().saturating_sub(room)..batch.num_rows() {
            if self.is_full() {
                return;
            }
            let values = columns.iter().map(|(column, formatter)| match formatter {
                _ if column.is_null(row) => None,
                Ok(formatter) => Some(Cut::of(&formatter.value(row))),
                Err(_) => Some(format!("({})", column.data_type())),
            });
            let values: Vec<Option<String>> = values.collect();
            self.bytes +=
                values.iter().map(|value| 8 + value.as_ref().map_or(0, String::len)).sum::<usize>();
            let change = batch.kind(row).short().to_owned();
            self.rows.rows.push(RowView { subtask, change, values });
        }
    }

    /// What it has taken, if anything.
    pub(crate) fn rows(self) -> Option<RowsView> {
        (!self.rows.rows.is_empty()).then_some(self.rows)
    }
}

/// A text that ends where it is long: a value may be of any size, and is not written out first.
#[derive(Default)]
struct Cut(String);

impl Cut {
    fn of(value: &impl fmt::Display) -> String {
        let mut cut = Self::default();
        // An error says that it was cut.
        if write!(cut, "{value}").is_err() {
            cut.0.push('…');
        }
        cut.0
    }
}

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_VALUE.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
    };

    use super::*;
    use crate::RowKind;

    fn taken(tap: Tap) -> Vec<Vec<Option<String>>> {
        tap.rows()
            .map(|rows| rows.rows.into_iter().map(|row| row.values).collect())
            .unwrap_or_default()
    }

    #[test]
    fn rows_are_the_newest_of_the_first_batches_and_not_more_than_fit() {
        let batch = |from: i64, rows: i64| {
            let column: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + rows));
            Batch::new(RecordBatch::try_from_iter([("n", column)]).expect("one column"))
        };
        let mut tap = Tap::new(0);
        tap.take(&batch(0, 0), 3, 1);
        tap.take(&batch(0, 5), 3, 5);
        tap.take(&batch(100, 1_000), 3, 6);
        tap.take(&batch(5_000, 10), 3, 7);
        let rows = tap.rows().expect("rows");
        assert_eq!((rows.at_ms, rows.columns.as_slice()), (6, ["n".to_owned()].as_slice()));
        let values: Vec<_> = rows.rows.iter().filter_map(|row| row.values[0].clone()).collect();
        assert_eq!(values[..6], ["0", "1", "2", "3", "4", "1085"]);
        assert_eq!((values.len(), values.last().map(String::as_str)), (MAX_ROWS, Some("1099")));
        assert!(rows.rows.iter().all(|row| row.subtask == 3 && row.change == "+I"));
        assert!(Tap::new(0).rows().is_none(), "no row has passed");
    }

    #[test]
    fn values_are_readable_and_cut_where_they_are_long() {
        let long = "ä".repeat(1 << 20);
        let columns: [(&str, ArrayRef); 4] = [
            ("text", Arc::new(StringArray::from(vec![Some(long.as_str()), None]))),
            ("at", Arc::new(TimestampMillisecondArray::from(vec![980_085_600_500, 0]))),
            ("raw", Arc::new(BinaryArray::from(vec![&b"\xff\x00"[..], b""]))),
            ("n", Arc::new(Int64Array::from(vec![-7, 0]))),
        ];
        let kinds = Arc::from([RowKind::UpdateBefore, RowKind::UpdateAfter]);
        let batch = Batch::new(RecordBatch::try_from_iter(columns).expect("columns"));
        let mut tap = Tap::new(0);
        tap.take(&batch.with_kinds(Some(kinds)), 0, 1);
        let changes: Vec<_> = tap.rows.rows.iter().map(|row| row.change.clone()).collect();
        assert_eq!(changes, ["-U", "+U"]);
        let rows = taken(tap);
        let text = rows[0][0].clone().expect("a text");
        assert!(text.len() <= MAX_VALUE + "…".len() && text.ends_with("ä…"), "{text}");
        let others: Vec<_> = rows[0][1..].iter().map(|value| value.as_deref()).collect();
        assert_eq!(others, [Some("2001-01-21 14:00:00.500"), Some("ff00"), Some("-7")]);
        assert_eq!(rows[1][0], None);
    }

    #[test]
    fn wide_and_large_rows_are_cut_as_well() {
        let value: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(150); 100]));
        let columns = (0..100).map(|n| (format!("c{n}"), Arc::clone(&value)));
        let batch = Batch::new(RecordBatch::try_from_iter(columns).expect("columns"));
        let mut tap = Tap::new(0);
        tap.take(&batch, 0, 1);
        let rows = tap.rows().expect("rows");
        assert_eq!((rows.columns.len(), rows.more_columns), (MAX_COLUMNS, 36));
        assert_eq!(rows.rows.len(), 2, "two of these are more than {MAX_BYTES} bytes");
    }
}
