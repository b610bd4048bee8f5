//! What a source does with its connector's rows: computed columns, the watermark's columns.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use weir_connectors::formats::changes::kinds_of;
use weir_engine::EngineError;
use weir_engine::batch::RowKind;
use weir_engine::source::{EventTimes, NotNull, RowMark, WatermarkRule};

use crate::calc::Calc;

/// Computes a table's columns and names its watermark rule.
#[derive(Clone)]
pub(crate) struct TableTimes {
    /// `None`: the connector's columns are the table's.
    pub(crate) calc: Option<Calc>,
    /// The connector's column that holds the kinds of rows.
    pub(crate) kinds: Option<usize>,
    /// Whether of rows that go only the primary key counts.
    pub(crate) by_key: bool,
    pub(crate) rule: Option<WatermarkRule>,
    /// The column that shows which watermark a row found.
    pub(crate) shown: Option<usize>,
    /// Whether time passes at the end alone.
    pub(crate) at_end: bool,
    /// Of the connector's columns.
    pub(crate) not_null: Vec<NotNull>,
}

impl TableTimes {
    /// See [`weir_connectors::table::FirstRow`]: rows behind the first are late below the
    /// watermark that it allows, and it is itself not before its own event time.
    pub(crate) fn first_row(&self, rows: &RecordBatch) -> Option<i64> {
        let rule = self.rule.as_ref().filter(|_| rows.num_rows() > 0)?;
        // Whoever reads the file tells what is wrong with the row.
        let row = self.clone().project(rows.slice(0, 1)).ok()?;
        let time = first_ms(&row, rule.column)?;
        let mark = match rule.mark {
            RowMark::Delay(delay) => time.saturating_sub(delay),
            RowMark::Column(column) => first_ms(&row, column)?.saturating_add(1),
        };
        Some(mark.min(time))
    }
}

/// The first value of a timestamp column in milliseconds, rounded down.
fn first_ms(rows: &RecordBatch, column: usize) -> Option<i64> {
    let array = rows.column(column);
    let DataType::Timestamp(unit, _) = array.data_type() else { return None };
    let counts = cast(array, &DataType::Int64).ok()?;
    let value = counts.is_valid(0).then(|| counts.as_primitive::<Int64Type>().value(0))?;
    Some(match unit {
        TimeUnit::Second => value.saturating_mul(1000),
        TimeUnit::Millisecond => value,
        TimeUnit::Microsecond => value.div_euclid(1000),
        TimeUnit::Nanosecond => value.div_euclid(1_000_000),
    })
}

impl EventTimes for TableTimes {
    fn project(&mut self, records: RecordBatch) -> Result<RecordBatch, EngineError> {
        match &self.calc {
            Some(calc) => calc.project(&records),
            None => Ok(records),
        }
    }

    fn kinds(&self, records: &RecordBatch) -> Result<Option<Arc<[RowKind]>>, EngineError> {
        let kinds = self.kinds.map(|column| kinds_of(records.column(column)));
        kinds.transpose().map_err(EngineError::internal)
    }

    fn goes_by_key(&self) -> bool {
        self.by_key
    }

    fn rule(&self) -> Option<&WatermarkRule> {
        self.rule.as_ref()
    }

    fn shows_watermark(&self) -> Option<usize> {
        self.shown
    }

    fn waits_for_end(&self) -> bool {
        self.at_end
    }

    fn not_null(&self) -> &[NotNull] {
        &self.not_null
    }
}
