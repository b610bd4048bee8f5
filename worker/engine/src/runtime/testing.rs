//! What the runtime's own tests share.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampMillisecondArray};
use weir_protocol::{KeyGroupRange, OperatorUid, Subtask, Term};

use crate::Context;
use crate::env::Clock;
use crate::operator::{OperatorMetrics, Waker};

/// The only subtask of an operator.
pub(crate) fn context(name: &str, io: &tokio::runtime::Runtime) -> Context {
    Context {
        uid: OperatorUid::from(name),
        name: name.into(),
        subtask: Subtask(0),
        parallelism: 1,
        max_parallelism: 24,
        key_groups: KeyGroupRange::all(24),
        term: Term(1),
        clock: Clock::manual(0),
        io: io.handle().clone(),
        waker: Waker::none(),
        metrics: Arc::new(OperatorMetrics::default()),
    }
}

/// Rows with these event times.
pub(crate) fn records(times: &[i64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(TimestampMillisecondArray::from(times.to_vec()));
    RecordBatch::try_from_iter([("ts", column)]).expect("one column")
}
