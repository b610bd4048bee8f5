//! An aggregation over sessions, compiled.
//!
//! A key's sessions are one ordered table: by their start, with `$end`, under `$rows` the number of
//! their rows where these may go, and the partial results of each aggregate. A session that has ended
//! for a row may still be there when that row begins another one at the same time: then the other
//! stands behind it, at the next free place, and `$start` holds when it began.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use weir_state::table::{self, OrderField, TableSpec};

use super::spec::SessionAggregate;
use crate::aggregate::InputRows;
use crate::aggregate::call::Call;
use crate::{Batch, OperatorError};

/// The compiled aggregation.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) spec: SessionAggregate,
    pub(super) calls: Vec<(Call, Range<usize>)>,
    /// The column of the start of sessions that do not stand at it.
    pub(super) start: usize,
    pub(super) sessions: TableSpec,
    pub(super) due: TableSpec,
    pub(super) output: SchemaRef,
}

impl Plan {
    pub(super) fn new(spec: &SessionAggregate) -> Result<Self, OperatorError> {
        let timestamp = DataType::Timestamp(TimeUnit::Millisecond, None);
        if spec.input.fields().get(spec.time).is_none_or(|f| *f.data_type() != timestamp) {
            return Err(OperatorError::user(
                "sessions need an event-time column of type TIMESTAMP(3)",
            ));
        }
        if spec.gap <= 0 {
            return Err(OperatorError::user("the gap of sessions must be longer than nothing"));
        }
        let key_fields = spec
            .keys
            .iter()
            .map(|&k| spec.input.fields().get(k).cloned())
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| OperatorError::internal("a key column is not part of the input"))?;
        let named = |f: &Arc<Field>| table::Field::new(f.name(), f.data_type().clone(), true);
        let keys: Vec<table::Field> = key_fields.iter().map(named).collect();
        let mut columns = vec![table::Field::new("$end", DataType::Int64, false)];
        if spec.input_rows == InputRows::Retracted {
            columns.push(table::Field::new("$rows", DataType::Int64, false));
        }
        let (mut calls, mut output) = (Vec::new(), key_fields);
        for aggregate in &spec.aggregates {
            let call = Call::new(aggregate, &spec.input, spec.input_rows)?;
            let call = match spec.input_rows {
                InputRows::Appended => call.with_own_sets(),
                InputRows::Retracted => call.with_own_values()?,
            };
            let start = columns.len();
            columns.extend(call.state().into_iter().map(|field| {
                table::Field::new(field.name(), field.data_type().clone(), field.is_nullable())
            }));
            output.push(Arc::new(Field::new(call.name(), call.aggregate().output().clone(), true)));
            calls.push((call, start..columns.len()));
        }
        let start = columns.len();
        columns.push(table::Field::new("$start", DataType::Int64, true));
        for name in ["window_start", "window_end", "window_time"] {
            output.push(Arc::new(Field::new(name, timestamp.clone(), false)));
        }
        let order = vec![OrderField::ascending("start", DataType::Int64)];
        Ok(Self {
            spec: spec.clone(),
            calls,
            start,
            sessions: TableSpec::ordered("sessions", keys.clone(), order, columns),
            due: TableSpec::timers("due", keys),
            output: Arc::new(Schema::new(output)),
        })
    }

    /// Whether sessions count their rows.
    pub(super) fn counts_rows(&self) -> bool {
        self.spec.input_rows == InputRows::Retracted
    }

    pub(super) fn keys(&self, batch: &Batch) -> Vec<ArrayRef> {
        let columns = self.spec.keys.iter();
        columns.map(|&key| Arc::clone(batch.records().column(key))).collect()
    }

    /// A batch's event times.
    pub(super) fn times<'a>(&self, batch: &'a Batch) -> Result<&'a [i64], OperatorError> {
        let times = batch.records().column(self.spec.time);
        let times = times.as_primitive::<TimestampMillisecondType>();
        if times.null_count() > 0 {
            return Err(OperatorError::user(
                "a row has no event time (NULL); filter such rows out with WHERE … IS NOT NULL",
            ));
        }
        Ok(times.values())
    }
}
