//! `print`: every row as a line for a person to read, in Flink's form: `+I[ATL, 17, null]`.

pub(crate) mod value;

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use arrow::array::{Array, ArrayRef, RecordBatch};
use weir_engine::operator::{
    Context, Operator, OperatorFactory, Output, Progress, Snapshot, SnapshotRequest,
};
use weir_engine::{Batch, EngineError, OperatorError, RowKind};
use weir_protocol::Counter;

use crate::options::Options;
use crate::table::{Guarantee, Problem, SinkParts, Table};

/// Where lines go.
pub type Lines = Arc<Mutex<dyn Write + Send>>;

/// Takes rows in the place of standard output: a terminal that shows something else as well, or
/// whoever shows the result of a query.
pub trait Console: Send + Sync {
    /// Rows of one subtask, as they come.
    ///
    /// # Errors
    /// Why these rows cannot be shown: the job fails.
    fn rows(&self, printed: &Printed<'_>) -> Result<(), String>;
}

/// Who takes what a program prints to standard output: nobody, unless it is said before its tasks
/// begin.
#[derive(Clone, Default)]
pub struct Taker(Arc<OnceLock<Arc<dyn Console>>>);

impl Taker {
    /// From now on `console` takes it; the first one stays.
    pub fn set(&self, console: Arc<dyn Console>) {
        self.0.set(console).ok();
    }
}

/// Rows that are printed.
pub struct Printed<'a> {
    /// The sink's name for people.
    pub table: &'a str,
    /// Names of the table's columns.
    pub columns: Vec<String>,
    /// The subtask.
    pub subtask: u32,
    /// The rows.
    pub records: &'a RecordBatch,
    /// What happens to each; all are added where this is absent.
    pub kinds: Option<&'a [RowKind]>,
    /// As lines in Flink's form.
    pub lines: &'a [u8],
}

/// A value as a table shows it: as it is printed, but times as SQL writes them. Nothing where
/// it is NULL.
#[must_use]
pub fn cell(column: &dyn Array, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    let mut out = Vec::new();
    value::write_shown(&mut out, column, row);
    Some(String::from_utf8_lossy(&out).into_owned())
}

/// A print sink to the standard output, or to the standard error when the options say so.
///
/// # Errors
/// Every problem with the table's options.
pub fn sink(table: &Table) -> Result<SinkParts, Vec<Problem>> {
    sink_for(table, &Taker::default())
}

/// A print sink to whoever takes what is printed to standard output.
///
/// # Errors
/// Every problem with the table's options.
pub fn sink_for(table: &Table, taker: &Taker) -> Result<SinkParts, Vec<Problem>> {
    let (out, err) = (std::io::stdout(), std::io::stderr());
    make(table, Arc::new(Mutex::new(out)), Arc::new(Mutex::new(err)), taker.clone())
}

/// A print sink to these writers.
///
/// # Errors
/// Every problem with the table's options.
pub fn sink_to(table: &Table, out: Lines, err: Lines) -> Result<SinkParts, Vec<Problem>> {
    make(table, out, err, Taker::default())
}

/// Whether there is a console is known once tasks begin.
fn make(table: &Table, out: Lines, err: Lines, taker: Taker) -> Result<SinkParts, Vec<Problem>> {
    let mut options = Options::new(table);
    let identifier = options.reveal("print-identifier").unwrap_or_default().to_owned();
    let is_error = options.bool("standard-error", false);
    let to = if is_error { err } else { out };
    let parallelism = options.parallelism("sink.parallelism");
    let problems = options.finish();
    if !problems.is_empty() {
        return Err(problems);
    }
    let names: Vec<String> = table.schema.fields().iter().map(|f| f.name().clone()).collect();
    let factory = move |cx: &Context| -> Result<Box<dyn Operator>, OperatorError> {
        Ok(Box::new(Print {
            prefix: prefix(&identifier, cx),
            columns: names.clone(),
            to: to.clone(),
            console: taker.0.get().filter(|_| !is_error).cloned(),
            line: Vec::new(),
        }))
    };
    let factory: Arc<dyn OperatorFactory> = Arc::new(factory);
    let connector = ("connector".to_owned(), "print".to_owned());
    let details = [connector].into_iter().chain(parallelism).collect();
    let guarantee = Guarantee::None;
    Ok(SinkParts { factory, committer: None, guarantee, single: false, details })
}

/// As Flink: `identifier:subtask> `, the subtask only where there are several.
fn prefix(identifier: &str, cx: &Context) -> String {
    let subtask = (cx.parallelism > 1).then(|| (cx.subtask.0 + 1).to_string());
    match (identifier.is_empty(), subtask) {
        (true, None) => String::new(),
        (true, Some(subtask)) => format!("{subtask}> "),
        (false, None) => format!("{identifier}> "),
        (false, Some(subtask)) => format!("{identifier}:{subtask}> "),
    }
}

struct Print {
    prefix: String,
    columns: Vec<String>,
    to: Lines,
    console: Option<Arc<dyn Console>>,
    line: Vec<u8>,
}

impl Operator for Print {
    fn on_batch(
        &mut self,
        cx: &mut Context,
        _input: usize,
        batch: Batch,
        _out: &mut Output,
    ) -> Result<Progress, OperatorError> {
        self.line.clear();
        let columns: &[ArrayRef] = batch.records().columns();
        for row in 0..batch.num_rows() {
            let kind = batch.kinds().map_or(RowKind::Insert, |kinds| kinds[row]);
            self.line.extend_from_slice(self.prefix.as_bytes());
            value::write_row(&mut self.line, kind, columns, row);
            self.line.push(b'\n');
        }
        cx.metrics.add(Counter::Bytes, self.line.len());
        if let Some(console) = &self.console {
            let printed = Printed {
                table: &cx.name,
                columns: self.columns.clone(),
                subtask: cx.subtask.0,
                records: batch.records(),
                kinds: batch.kinds().map(AsRef::as_ref),
                lines: &self.line,
            };
            console.rows(&printed).map_err(EngineError::user)?;
            return Ok(Progress::Done);
        }
        // Whole batches at once, so that subtasks do not mix their lines.
        let mut to = self.to.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        to.write_all(&self.line).and_then(|()| to.flush()).map_err(|error| {
            EngineError::external(format!("{}: rows cannot be printed: {error}", cx.name))
        })?;
        Ok(Progress::Done)
    }

    fn on_barrier(
        &mut self,
        _cx: &mut Context,
        _request: SnapshotRequest,
    ) -> Result<Snapshot, OperatorError> {
        Ok(Snapshot::default())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::DataType;

    use super::*;
    use crate::testing::{context, runtime, table};

    fn printed(options: &[(&str, &str)], parallelism: u32) -> (String, String) {
        let table = table(options, &[("s", DataType::Utf8), ("n", DataType::Int64)]);
        let (out, err) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let parts = sink_to(&table, out.clone(), err.clone()).unwrap();
        let io = runtime();
        let mut cx = context(io.handle(), 1, 1, parallelism);
        let mut sink = parts.factory.create(&cx).unwrap();
        let records = RecordBatch::try_new(
            table.schema.clone(),
            vec![
                Arc::new(StringArray::from(vec![Some("ATL"), None])),
                Arc::new(Int64Array::from(vec![17, -2])),
            ],
        );
        let batch = Batch::new(records.unwrap())
            .with_kinds(Some([RowKind::Insert, RowKind::Delete].into()));
        let progress = sink.on_batch(&mut cx, 0, batch, &mut Output::default()).unwrap();
        assert_eq!(progress, Progress::Done);
        let text =
            |lines: &Mutex<Vec<u8>>| String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        (text(&out), text(&err))
    }

    #[test]
    fn rows_are_printed_as_flink_prints_them() {
        assert_eq!(
            printed(&[("connector", "print")], 1),
            ("+I[ATL, 17]\n-D[null, -2]\n".into(), String::new())
        );
        let named =
            [("connector", "print"), ("print-identifier", "late"), ("standard-error", "true")];
        assert_eq!(
            printed(&named, 4),
            (String::new(), "late:2> +I[ATL, 17]\nlate:2> -D[null, -2]\n".into())
        );
        assert_eq!(printed(&named[..1], 2).0, "2> +I[ATL, 17]\n2> -D[null, -2]\n");
        assert_eq!(printed(&named[..2], 1).0, "late> +I[ATL, 17]\nlate> -D[null, -2]\n");
    }

    #[test]
    fn an_unknown_option_is_refused() {
        let table = table(&[("connector", "print"), ("print-identifer", "x")], &[]);
        let problems = sink(&table).err().unwrap();
        assert_eq!(
            problems[0].message,
            "option 'print-identifer' is unknown for connector 'print'; did you mean 'print-identifier'?"
        );
    }
}
