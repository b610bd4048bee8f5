//! What a source does with its connector's rows: computed columns, the watermark's columns.

use arrow::array::RecordBatch;
use weir_engine::EngineError;
use weir_engine::source::{EventTimes, WatermarkRule};

use crate::calc::Calc;

/// Computes a table's columns and names its watermark rule.
#[derive(Clone)]
pub(crate) struct TableTimes {
    /// `None`: the connector's columns are the table's.
    pub(crate) calc: Option<Calc>,
    pub(crate) rule: Option<WatermarkRule>,
}

impl EventTimes for TableTimes {
    fn project(&mut self, records: RecordBatch) -> Result<RecordBatch, EngineError> {
        match &self.calc {
            Some(calc) => calc.project(&records),
            None => Ok(records),
        }
    }

    fn rule(&self) -> Option<&WatermarkRule> {
        self.rule.as_ref()
    }
}
