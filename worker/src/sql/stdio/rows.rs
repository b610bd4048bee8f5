//! The rows of one query on their way to the program that asked.
//!
//! Rows that stay leave as they come. Where somebody looks on, and where rows are corrected, they are
//! kept in bounds, shown from time to time as they are, and leave at the end.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use parking_lot::Mutex;
use weir_connectors::formats::json::{JsonEncoder, JsonOptions};
use weir_connectors::formats::{RecordEncoder, TimestampFormat};
use weir_connectors::print::{Console, Printed, cell};
use weir_engine::RowKind;
use weir_engine::env::instant;
use weir_page::words::grouped;
use weir_sql::session::RESULT_MODE;

use super::events;
use crate::rows::encode::change;
use crate::rows::folded::{Folded, in_order};

/// Rows that a result has without a limit of its own.
const MOST: usize = 1_000_000;
/// The newest rows that are kept of a result without an end.
const NEWEST: usize = 10_000;
/// From one look at the rows to the next. What is over before is not shown twice.
const LOOK: Duration = Duration::from_millis(300);
/// Rows of one event.
const TOGETHER: usize = 1_000;

/// What is known of a result, and what of it is wanted.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// Each change is a row, with what it does in front.
    pub(super) changes: bool,
    /// Rows are taken back and replaced.
    pub(super) corrected: bool,
    pub(super) bounded: bool,
    /// Somebody looks on.
    pub(super) live: bool,
    pub(super) limit: Option<usize>,
    /// Rows of one look.
    pub(super) shown: usize,
}

impl Look {
    /// The result is not to have more rows, and where it must not lose its oldest.
    fn most(&self) -> Option<usize> {
        let all = self.bounded || self.corrected || !self.live;
        self.limit.or(all.then_some(MOST))
    }
}

/// See the module.
pub(super) struct Rows {
    look: Look,
    inner: Mutex<Inner>,
}

struct Inner {
    kept: Kept,
    subtasks: BTreeSet<u32>,
    /// Rows that came, without those beyond the limit.
    total: usize,
    /// There were more.
    is_cut: bool,
    looked: Instant,
    has_changed: bool,
}

/// Rows, each an array of JSON.
enum Kept {
    /// They have left.
    None,
    /// Nobody waits for them any more: tasks end a little later than what is said of them.
    Over,
    Newest(VecDeque<String>),
    Folded(Folded),
}

impl Console for Rows {
    fn rows(&self, printed: &Printed<'_>) -> Result<(), String> {
        let kinds = printed.kinds;
        let mut rows = arrays(printed.records, kinds, self.look.changes)?;
        let most = self.look.most();
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        if matches!(inner.kept, Kept::Over) {
            return Ok(());
        }
        inner.subtasks.insert(printed.subtask);
        inner.has_changed = true;
        if let Kept::Folded(folded) = &mut inner.kept {
            folded.take(rows.into_iter().map(|row| vec![row]).collect(), kinds, MOST);
            if folded.more() > 0 {
                return Err(format!(
                    "more than {} rows that may still change are too many to be kept for a final result; write them with INSERT INTO, or see each change with SET '{RESULT_MODE}' = 'changelog'",
                    grouped(MOST as u64)
                ));
            }
            inner.total = folded.len();
            return Ok(());
        }
        if let Some(most) = most
            && rows.len() > most - inner.total
        {
            rows.truncate(most - inner.total);
            inner.is_cut = true;
        }
        inner.total += rows.len();
        match &mut inner.kept {
            Kept::Newest(newest) => {
                newest.extend(rows);
                let old = newest.len().saturating_sub(most.unwrap_or(NEWEST));
                newest.drain(..old);
            }
            _ => write(rows.iter().map(String::as_str)),
        }
        Ok(())
    }
}

impl Rows {
    pub(super) fn new(look: Look) -> Self {
        let kept = match (look.corrected, look.live) {
            (true, _) => Kept::Folded(Folded::default()),
            (false, true) => Kept::Newest(VecDeque::new()),
            (false, false) => Kept::None,
        };
        let inner = Inner {
            kept,
            subtasks: BTreeSet::new(),
            total: 0,
            is_cut: false,
            looked: instant(),
            has_changed: false,
        };
        Self { look, inner: Mutex::new(inner) }
    }

    /// Whether more rows would not be wanted. Of a result that is corrected and has an end all are
    /// needed to know the first.
    pub(super) fn is_full(&self) -> bool {
        let inner = self.inner.lock();
        let waits = self.look.corrected && self.look.bounded;
        !waits && self.look.most().is_some_and(|most| inner.total >= most)
    }

    /// To be called from time to time.
    pub(super) fn tick(&self) {
        let mut inner = self.inner.lock();
        let now = instant();
        if !self.look.live || !inner.has_changed || now - inner.looked < LOOK {
            return;
        }
        (inner.looked, inner.has_changed) = (now, false);
        let shown = self.look.shown;
        let rows: Vec<&str> = match &inner.kept {
            Kept::None | Kept::Over => return,
            Kept::Newest(rows) => {
                rows.iter().skip(rows.len().saturating_sub(shown)).map(String::as_str).collect()
            }
            Kept::Folded(rows) => rows.iter().take(shown).map(|row| row[0].as_str()).collect(),
        };
        events::rows(&rows, Some(inner.total as u64));
    }

    /// Writes what is left; how many rows came, and whether some of them do not belong to what was
    /// written.
    pub(super) fn finish(&self) -> (u64, bool) {
        let mut inner = self.inner.lock();
        match std::mem::replace(&mut inner.kept, Kept::Over) {
            Kept::None | Kept::Over => {}
            Kept::Newest(rows) => write(rows.iter().map(String::as_str)),
            Kept::Folded(folded) => {
                let mut rows: Vec<&Vec<String>> = folded.iter().collect();
                // Rows of several subtasks come in no order: then in that of their values.
                if inner.subtasks.len() > 1 {
                    rows.sort_by(|a, b| in_order(a, b));
                }
                let most = self.look.limit.unwrap_or(usize::MAX);
                inner.is_cut = rows.len() > most;
                write(rows.iter().take(most).map(|row| row[0].as_str()));
            }
        }
        (inner.total as u64, inner.is_cut)
    }
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.inner.lock().kept = Kept::Over;
    }
}

/// Rows of which nothing is written once this is gone, however their query ended.
pub(super) struct Closing<'a>(pub(super) &'a Rows);

/// Writes rows of texts.
pub(super) fn texts(rows: &[Vec<Option<String>>]) {
    let rows: Vec<String> =
        rows.iter().map(|row| serde_json::Value::from(row.clone()).to_string()).collect();
    write(rows.iter().map(String::as_str));
}

fn write<'a>(rows: impl Iterator<Item = &'a str>) {
    let rows: Vec<&str> = rows.collect();
    for rows in rows.chunks(TOGETHER) {
        events::rows(rows, None);
    }
}

/// Each row as an array of JSON, in front what happens to it where `changes` is asked for.
fn arrays(
    records: &RecordBatch,
    kinds: Option<&[RowKind]>,
    changes: bool,
) -> Result<Vec<String>, String> {
    let schema = records.schema();
    let columns = schema.fields().iter().zip(records.columns());
    let columns: Vec<Vec<String>> =
        columns.map(|(field, column)| values(field, column)).collect::<Result<_, _>>()?;
    let row = |at: usize| {
        let change = changes.then(|| format!("\"{}\"", change(kinds, at)));
        let values = columns.iter().map(|column| column[at].as_str());
        let all: Vec<&str> = change.as_deref().into_iter().chain(values).collect();
        format!("[{}]", all.join(","))
    };
    Ok((0..records.num_rows()).map(row).collect())
}

/// The values of a column as JSON; as texts where its type has no place there.
fn values(field: &Field, column: &ArrayRef) -> Result<Vec<String>, String> {
    const NAME: &str = "v";
    let schema = Arc::new(Schema::new(vec![field.clone().with_name(NAME)]));
    let options = JsonOptions {
        decimal_as_plain_number: true,
        timestamp_format: TimestampFormat::Iso8601,
        ..JsonOptions::default()
    };
    let mut values = Vec::with_capacity(column.len());
    let Ok(mut encoder) = JsonEncoder::new(Arc::clone(&schema), options) else {
        let text = |at: usize| serde_json::Value::from(cell(column.as_ref(), at)).to_string();
        return Ok((0..column.len()).map(text).collect());
    };
    let records = RecordBatch::try_new(schema, vec![Arc::clone(column)]);
    let records = records.map_err(|error| error.to_string())?;
    // `{"v":` … `}`
    let before = NAME.len() + 4;
    let mut end = |out: &mut Vec<u8>| {
        let value = out.get(before..out.len() - 1).unwrap_or_default();
        values.push(String::from_utf8_lossy(value).into_owned());
        out.clear();
    };
    let mut out = Vec::new();
    encoder.each_row(&records, &mut out, &mut end).map_err(|error| error.message)?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Array as _, Int64Array, Int64Builder, MapBuilder, StringArray, StringBuilder,
    };
    use arrow::datatypes::DataType;

    use super::*;

    #[test]
    fn rows_are_arrays_and_what_has_no_place_in_json_is_text() {
        let mut map = MapBuilder::new(None, Int64Builder::new(), StringBuilder::new());
        for value in ["a\"", "b"] {
            map.keys().append_value(1);
            map.values().append_value(value);
            map.append(true).expect("as many values as keys");
        }
        let map = map.finish();
        let fields = vec![
            Field::new("n", DataType::Int64, true),
            // Two columns may have one name.
            Field::new("n", DataType::Utf8, true),
            Field::new("m", map.data_type().clone(), true),
        ];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(i64::MAX), None])),
            Arc::new(StringArray::from(vec![Some("<b>\n\"x\""), None])),
            Arc::new(map),
        ];
        let records = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("fits");
        let kinds = [RowKind::Insert, RowKind::Delete];
        let rows = arrays(&records, Some(&kinds), true).expect("written");
        assert_eq!(rows[0], r#"["+I",9223372036854775807,"<b>\n\"x\"","{1=a\"}"]"#);
        assert_eq!(rows[1], r#"["-D",null,null,"{1=b}"]"#);
    }
}
