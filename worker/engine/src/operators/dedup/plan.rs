//! A deduplication, compiled: which columns are the key's, which the row's, and which row of a
//! batch counts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit, TimestampMillisecondType};
use weir_state::table::{Expiry, Field};

use super::spec::{Dedup, Keep};
use crate::operators::rows::{BatchKeys, take_all};
use crate::{Batch, OperatorError};

/// The compiled deduplication.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) spec: Dedup,
    /// Columns of the row, as numbers of the input's.
    pub(super) row: Vec<usize>,
    /// The event time among them; 0 where it does not count.
    pub(super) time: usize,
    pub(super) key_fields: Vec<Field>,
    pub(super) row_fields: Vec<Field>,
    pub(super) expiry: Expiry,
}

/// The rows of a batch that count: one per key.
pub(super) struct Winners {
    pub(super) keys: Vec<ArrayRef>,
    /// The columns of [`Plan::row`].
    pub(super) rows: Vec<ArrayRef>,
    /// Which rows of the batch they are.
    pub(super) numbers: UInt32Array,
    /// Their event times; none where they do not count.
    pub(super) times: Vec<i64>,
}

impl Plan {
    pub(super) fn new(spec: &Dedup) -> Result<Self, OperatorError> {
        let wrong = || OperatorError::internal("a deduplication reads a column that is not there");
        let field = |column: usize| spec.input.fields().get(column).ok_or_else(wrong);
        if let Some(time) = spec.time {
            if !matches!(field(time)?.data_type(), DataType::Timestamp(TimeUnit::Millisecond, _)) {
                return Err(OperatorError::user(
                    "a deduplication by event time needs a column of type TIMESTAMP(3)",
                ));
            }
            if spec.keys.contains(&time) {
                return Err(OperatorError::user(
                    "a deduplication by the event time that it is parted by keeps every row; leave one of them out",
                ));
            }
        } else if spec.keep != Keep::Newest {
            return Err(wrong());
        }
        let named = |&column: &usize| {
            let field = field(column)?;
            Ok::<_, OperatorError>(Field::new(field.name(), field.data_type().clone(), true))
        };
        let row: Vec<usize> =
            (0..spec.input.fields().len()).filter(|column| !spec.keys.contains(column)).collect();
        Ok(Self {
            key_fields: spec.keys.iter().map(named).collect::<Result<_, _>>()?,
            row_fields: row.iter().map(named).collect::<Result<_, _>>()?,
            time: row.iter().position(|&column| Some(column) == spec.time).unwrap_or_default(),
            expiry: spec.ttl.map_or(Expiry::Never, Expiry::Ttl),
            row,
            spec: spec.clone(),
        })
    }

    pub(super) fn keys(&self, batch: &Batch) -> Vec<ArrayRef> {
        let columns = self.spec.keys.iter();
        columns.map(|&key| Arc::clone(batch.records().column(key))).collect()
    }

    /// The row of each key of a batch that counts among its own.
    pub(super) fn winners(&self, batch: &Batch) -> Result<Winners, OperatorError> {
        let keys = BatchKeys::number(&self.keys(batch), batch.num_rows())?;
        let times = self.times(batch)?;
        let mut best: Vec<Option<u32>> = vec![None; keys.len];
        for (row, &number) in (0..).zip(&keys.numbers) {
            let best = &mut best[number as usize];
            let counts = best.is_none_or(|other| match self.spec.keep {
                Keep::First => times[row as usize] < times[other as usize],
                Keep::Last => times[row as usize] >= times[other as usize],
                Keep::Newest => true,
            });
            if counts {
                *best = Some(row);
            }
        }
        let rows: UInt32Array = best.into_iter().collect();
        let columns: Vec<ArrayRef> =
            self.row.iter().map(|&c| Arc::clone(batch.records().column(c))).collect();
        Ok(Winners {
            keys: keys.keys,
            rows: take_all(&columns, &rows)?,
            times: rows
                .values()
                .iter()
                .filter_map(|&row| times.get(row as usize).copied())
                .collect(),
            numbers: rows,
        })
    }

    /// The event times of a batch; none where they do not count.
    pub(super) fn times<'b>(&self, batch: &'b Batch) -> Result<&'b [i64], OperatorError> {
        self.spec.time.map_or(Ok(&[]), |time| times(batch, time))
    }

    /// The input's columns of keys and their rows.
    pub(super) fn join(&self, keys: &[ArrayRef], rows: &[ArrayRef]) -> Vec<ArrayRef> {
        let column = |column: usize| {
            let key = self.spec.keys.iter().position(|&key| key == column);
            let row = self.row.iter().position(|&row| row == column);
            key.and_then(|at| keys.get(at)).or_else(|| row.and_then(|at| rows.get(at))).cloned()
        };
        (0..self.spec.input.fields().len()).filter_map(column).collect()
    }

    /// Rows as they leave.
    pub(super) fn records(&self, columns: Vec<ArrayRef>) -> Result<RecordBatch, OperatorError> {
        Ok(RecordBatch::try_new(SchemaRef::clone(&self.spec.input), columns)?)
    }
}

fn times(batch: &Batch, column: usize) -> Result<&[i64], OperatorError> {
    let times =
        batch.records().column(column).as_primitive_opt::<TimestampMillisecondType>().ok_or_else(
            || OperatorError::internal("an event time is no timestamp in milliseconds"),
        )?;
    if times.null_count() > 0 {
        return Err(OperatorError::user(
            "a row has no event time (NULL); filter such rows out with WHERE … IS NOT NULL",
        ));
    }
    Ok(times.values())
}
