//! Processing time as event time: rows get the time at which they come, and the watermark goes with
//! the clock.
//!
//! What enters: rows of any times. What leaves: the same rows, with the clock's time in one column,
//! and at every tick the watermark that says so. What is known of other times stops here:
//! watermarks from above, and that inputs are idle. So whatever works by event time works by
//! processing time behind it, and no row is ever late. State: the time that was given last.
//!
//! What always holds:
//! - Times never fall, and no row's is below a watermark that has left, also when the clock is set
//!   back, or another machine's goes on.
//! - Behind the end of all rows every time has passed, so that nothing that came is lost.

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMillisecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use bytes::Bytes;

use crate::operator::{OperatorFactory, Restored, Snapshot, SnapshotRequest};
use crate::{Batch, Context, EventTime, Operator, OperatorError, Output, Progress, Watermark};

/// The operator; `column` of its rows, of a type `Timestamp(Millisecond, _)`, gets their times. It
/// ends a chain.
#[must_use]
pub fn operator(column: usize) -> Arc<dyn OperatorFactory> {
    Arc::new(move |_: &Context| {
        Ok(Box::new(Arrivals { column, last: EventTime::MIN }) as Box<dyn Operator>)
    })
}

#[derive(Debug)]
struct Arrivals {
    column: usize,
    last: EventTime,
}

impl Arrivals {
    fn now(&mut self, cx: &Context) -> EventTime {
        self.last = self.last.max(cx.clock.now_ms());
        self.last
    }
}

impl Operator for Arrivals {
    fn restore(&mut self, _: &mut Context, state: Restored) -> Result<(), OperatorError> {
        for item in state.items {
            let last = <[u8; 8]>::try_from(item.as_ref()).map_err(|_| {
                OperatorError::internal("the time that was given last cannot be read")
            })?;
            self.last = self.last.max(EventTime::from_le_bytes(last));
        }
        Ok(())
    }

    fn on_batch(
        &mut self,
        cx: &mut Context,
        _: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress, OperatorError> {
        let now = self.now(cx);
        let schema = batch.records().schema();
        let mut columns = batch.records().columns().to_vec();
        let (Some(column), Some(field)) =
            (columns.get_mut(self.column), schema.fields().get(self.column))
        else {
            return Err(OperatorError::internal("the column for processing time is not there"));
        };
        let DataType::Timestamp(TimeUnit::Millisecond, zone) = field.data_type() else {
            return Err(OperatorError::internal("processing time is kept in milliseconds"));
        };
        let times = TimestampMillisecondArray::from_value(now, batch.num_rows());
        *column = Arc::new(times.with_timezone_opt(zone.clone())) as ArrayRef;
        let records = arrow::array::RecordBatch::try_new(schema, columns)?;
        out.push(Batch::new(records).with_kinds(batch.kinds().cloned()));
        Ok(Progress::Done)
    }

    fn own_watermark(&mut self, cx: &Context) -> Option<Watermark> {
        Some(Watermark(self.now(cx)))
    }

    fn keeps_own_time(&self) -> bool {
        true
    }

    fn on_barrier(
        &mut self,
        _: &mut Context,
        _: SnapshotRequest,
    ) -> Result<Snapshot, OperatorError> {
        let items = vec![Bytes::copy_from_slice(&self.last.to_le_bytes())];
        Ok(Snapshot { items, ..Snapshot::default() })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use arrow::array::{AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::TimestampMillisecondType;

    use super::*;
    use crate::RowKind;
    use crate::env::Clock;
    use crate::operators::testing::Bench;

    fn batch(rows: usize) -> Batch {
        let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
        let p: ArrayRef =
            Arc::new(TimestampMillisecondArray::from_value(7, rows).with_timezone("UTC"));
        Batch::new(RecordBatch::try_from_iter([("n", n), ("p", p)]).unwrap())
    }

    fn times(bench: &mut Bench, rows: usize) -> Vec<i64> {
        let mut out = Output::default();
        let done = bench.operator.on_batch(&mut bench.cx, 0, batch(rows), &mut out).unwrap();
        assert_eq!(done, Progress::Done);
        let given = out.take();
        let times = given[0].1.records().column(1).as_primitive::<TimestampMillisecondType>();
        times.values().to_vec()
    }

    fn made(bench: &Bench) -> Box<dyn Operator> {
        operator(1).create(&bench.cx).unwrap()
    }

    #[test]
    fn times_go_with_the_clock_and_never_fall() {
        let mut bench = Bench::new(Box::new(Arrivals { column: 1, last: EventTime::MIN }));
        bench.cx.clock = Clock::manual(1_000);
        assert_eq!(times(&mut bench, 2), [1_000, 1_000]);
        bench.cx.clock.advance(Duration::from_millis(50));
        assert_eq!(bench.operator.own_watermark(&bench.cx), Some(Watermark(1_050)));
        bench.cx.clock = Clock::manual(900);
        assert_eq!(times(&mut bench, 1), [1_050]);

        let request =
            SnapshotRequest { attempt: weir_protocol::Attempt(1), full: false, last: false };
        let items = bench.operator.on_barrier(&mut bench.cx, request).unwrap().items;
        bench.operator = made(&bench);
        let state = Restored { items, ..Restored::default() };
        bench.operator.restore(&mut bench.cx, state).unwrap();
        assert_eq!(times(&mut bench, 1), [1_050]);
    }

    #[test]
    fn rows_keep_their_kinds() {
        let mut bench = Bench::new(Box::new(Arrivals { column: 1, last: EventTime::MIN }));
        let kinds = [RowKind::UpdateBefore, RowKind::UpdateAfter];
        let batch = batch(2).with_kinds(Some(kinds.into()));
        let mut out = Output::default();
        let done = bench.operator.on_batch(&mut bench.cx, 0, batch, &mut out).unwrap();
        assert_eq!(done, Progress::Done);
        assert_eq!(out.take()[0].1.kinds().map(|kinds| kinds.to_vec()), Some(kinds.to_vec()));
    }
}
