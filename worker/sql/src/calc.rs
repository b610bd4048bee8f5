//! The calc operator: filters rows, then computes columns.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use weir_engine::operator::{OperatorFactory, SnapshotRequest};
use weir_engine::{
    Batch, Context, EngineError, Operator, OperatorError, Output, Progress, Snapshot,
};

use crate::expr::Expr;
use crate::expr::program::{Program, truth};

/// A compiled filter and projection.
#[derive(Clone)]
pub(crate) struct Calc {
    filter: Option<Program>,
    project: Program,
    schema: SchemaRef,
    /// Columns that must not be NULL, with the words for it.
    not_null: Arc<[(usize, String)]>,
}

impl Calc {
    pub(crate) fn new(filter: Option<&Expr>, exprs: &[Expr], schema: SchemaRef) -> Self {
        Self {
            filter: filter.map(|f| Program::new(std::slice::from_ref(f))),
            project: Program::new(exprs),
            schema,
            not_null: Arc::new([]),
        }
    }

    /// Fails on NULL in these columns, with this message.
    pub(crate) fn with_not_null(self, columns: Vec<(usize, String)>) -> Self {
        Self { not_null: columns.into(), ..self }
    }

    /// The rows that pass, with the computed columns. Key hashes are dropped, as columns change.
    pub(crate) fn apply(&self, batch: Batch) -> Result<Batch, EngineError> {
        let batch = match &self.filter {
            Some(filter) => {
                let mask = filter.evaluate(batch.records())?;
                let mask = mask
                    .first()
                    .ok_or_else(|| EngineError::internal("a filter without a column"))?;
                batch.filter(truth(mask.as_boolean())?.values())?
            }
            None => batch,
        };
        if batch.num_rows() == 0 {
            return Ok(Batch::new(RecordBatch::new_empty(self.schema.clone())));
        }
        let records = self.project(batch.records())?;
        let kinds = batch.kinds().cloned();
        let behind = batch.behind().cloned();
        Ok(Batch::new(records).with_kinds(kinds).with_behind(behind))
    }

    pub(crate) fn project(&self, records: &RecordBatch) -> Result<RecordBatch, EngineError> {
        let columns = self.project.evaluate(records)?;
        for (index, message) in self.not_null.iter() {
            if columns[*index].null_count() > 0 {
                return Err(EngineError::user(message));
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

/// Makes calc operators; they share the compiled expressions.
pub(crate) struct CalcFactory(pub(crate) Calc);

impl OperatorFactory for CalcFactory {
    fn create(&self, _: &Context) -> Result<Box<dyn Operator>, OperatorError> {
        Ok(Box::new(CalcOperator(self.0.clone())))
    }
}

struct CalcOperator(Calc);

impl Operator for CalcOperator {
    fn on_batch(
        &mut self,
        _: &mut Context,
        _: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress, OperatorError> {
        out.push(self.0.apply(batch)?);
        Ok(Progress::Done)
    }

    fn on_barrier(
        &mut self,
        _: &mut Context,
        _: SnapshotRequest,
    ) -> Result<Snapshot, OperatorError> {
        Ok(Snapshot::default())
    }
}
