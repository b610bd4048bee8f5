//! One question to a table, and its answer.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::concat_batches;
use parking_lot::Mutex;

use super::spec::{LookupJoin as Spec, Retry};
use crate::lookup::{Found, Lookup};
use crate::operators::rows::{BatchKeys, take_all};
use crate::{Batch, Context, EngineError, OperatorError};

/// The keys of a batch, each once, without those that have a NULL.
pub(super) struct Question {
    pub(super) keys: Vec<ArrayRef>,
    pub(super) len: usize,
    /// Per row of the batch which of the keys is its own.
    pub(super) of_row: Vec<Option<u32>>,
}

impl Question {
    pub(super) fn of(batch: &Batch, columns: &[usize]) -> Result<Self, OperatorError> {
        let columns: Vec<ArrayRef> =
            columns.iter().map(|&c| Arc::clone(batch.records().column(c))).collect();
        let BatchKeys { numbers, keys, len } = BatchKeys::number(&columns, batch.num_rows())?;
        let mut asked = Vec::new();
        let place: Vec<Option<u32>> = (0..len)
            .map(|number| {
                let whole = keys.iter().all(|key| key.is_valid(number));
                whole.then(|| {
                    asked.push(number as u32);
                    asked.len() as u32 - 1
                })
            })
            .collect();
        let of_row = numbers.iter().map(|&number| place[number as usize]).collect();
        let asked = UInt32Array::from(asked);
        Ok(Self { keys: take_all(&keys, &asked)?, len: asked.len(), of_row })
    }
}

/// An answer that may not be there yet.
#[derive(Clone, Default)]
pub(super) struct Answer(Arc<Mutex<Option<Result<Found, EngineError>>>>);

impl Answer {
    pub(super) fn is_there(&self) -> bool {
        self.0.lock().is_some()
    }

    pub(super) fn take(&self) -> Option<Result<Found, EngineError>> {
        self.0.lock().take()
    }
}

/// Asks; the task is woken once the answer is there.
pub(super) fn ask(
    cx: &Context,
    spec: &Spec,
    table: &Arc<dyn Lookup>,
    keys: Vec<ArrayRef>,
    rows: usize,
) -> Answer {
    let answer = Answer::default();
    let (place, table, waker) = (answer.clone(), Arc::clone(table), cx.waker.clone());
    let (timeout, retry) = (spec.timeout, spec.retry);
    cx.io.spawn(async move {
        let asked = tokio::time::timeout(timeout, patiently(&*table, keys, rows, retry)).await;
        let found = asked.unwrap_or_else(|_| {
            let message = format!(
                "the table has not answered within {timeout:?}; see whether it can be reached, or give it more time by the hint LOOKUP('table' = '…', 'timeout' = '…')"
            );
            Err(EngineError::external(message))
        });
        *place.0.lock() = Some(found);
        waker.wake();
    });
    answer
}

/// Asks once more for keys that had no row, as often as that is wanted.
async fn patiently(
    table: &dyn Lookup,
    keys: Vec<ArrayRef>,
    rows: usize,
    retry: Option<Retry>,
) -> Result<Found, EngineError> {
    let mut found = table.lookup(&keys, rows).await?;
    let Some(retry) = retry else { return Ok(found) };
    for _ in 1..retry.attempts {
        let missing = missing(&found, rows);
        if missing.is_empty() {
            break;
        }
        tokio::time::sleep(retry.delay).await;
        let asked = UInt32Array::from(missing);
        let more = table.lookup(&take_all(&keys, &asked)?, asked.len()).await?;
        let of = more.of.iter().map(|&at| asked.value(at as usize)).collect();
        found = merged(found, Found { rows: more.rows, of })?;
    }
    Ok(found)
}

/// Keys without a row.
pub(super) fn missing(found: &Found, keys: usize) -> Vec<u32> {
    let mut of = found.of.iter().copied().peekable();
    let mut missing = Vec::new();
    for key in 0..keys as u32 {
        let mut has = false;
        while of.next_if_eq(&key).is_some() {
            has = true;
        }
        if !has {
            missing.push(key);
        }
    }
    missing
}

/// Both answers, by key; no key has rows in both.
fn merged(a: Found, b: Found) -> Result<Found, EngineError> {
    let rows = concat_batches(&a.rows.schema(), [&a.rows, &b.rows])?;
    let of: Vec<u32> = a.of.into_iter().chain(b.of).collect();
    let mut order: Vec<u32> = (0..of.len() as u32).collect();
    order.sort_by_key(|&row| of[row as usize]);
    let of = order.iter().map(|&row| of[row as usize]).collect();
    let rows = arrow::compute::take_record_batch(&rows, &UInt32Array::from(order))?;
    Ok(Found { rows, of })
}
