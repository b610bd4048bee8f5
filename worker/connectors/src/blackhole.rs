//! `blackhole`: takes every row and keeps none; for benchmarks and for sinks yet to come.

use std::sync::Arc;

use weir_engine::operator::{
    Context, Operator, OperatorFactory, Output, Progress, Snapshot, SnapshotRequest,
};
use weir_engine::{Batch, OperatorError};
use weir_protocol::Counter;

use crate::options::Options;
use crate::table::{Guarantee, Problem, SinkParts, Table};

/// A blackhole sink.
///
/// # Errors
/// Every problem with the table's options.
pub fn sink(table: &Table) -> Result<SinkParts, Vec<Problem>> {
    let mut options = Options::new(table);
    let parallelism = options.parallelism("sink.parallelism");
    let problems = options.finish();
    if !problems.is_empty() {
        return Err(problems);
    }
    let factory =
        |_: &Context| -> Result<Box<dyn Operator>, OperatorError> { Ok(Box::new(Blackhole)) };
    let factory: Arc<dyn OperatorFactory> = Arc::new(factory);
    let connector = ("connector".to_owned(), "blackhole".to_owned());
    let details = [connector].into_iter().chain(parallelism).collect();
    let guarantee = Guarantee::None;
    Ok(SinkParts { factory, committer: None, guarantee, single: false, details })
}

struct Blackhole;

impl Operator for Blackhole {
    fn on_batch(
        &mut self,
        cx: &mut Context,
        _input: usize,
        batch: Batch,
        _out: &mut Output,
    ) -> Result<Progress, OperatorError> {
        cx.metrics.add(Counter::Bytes, batch.bytes());
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
    use arrow::array::{Int64Array, RecordBatch};
    use arrow::datatypes::DataType;

    use super::*;
    use crate::testing::{context, runtime, table};

    #[test]
    fn bytes_are_counted_and_rows_go_nowhere() {
        let table = table(&[("connector", "blackhole")], &[("n", DataType::Int64)]);
        let io = runtime();
        let mut cx = context(io.handle(), 1, 0, 1);
        let mut sink = sink(&table).unwrap().factory.create(&cx).unwrap();
        let records = RecordBatch::try_new(
            table.schema.clone(),
            vec![Arc::new(Int64Array::from(vec![1; 100]))],
        )
        .unwrap();
        let mut out = Output::default();
        let progress = sink.on_batch(&mut cx, 0, Batch::new(records), &mut out).unwrap();
        assert_eq!((progress, out.is_empty()), (Progress::Done, true));
        assert!(cx.metrics.get(Counter::Bytes) >= 800);
    }
}
