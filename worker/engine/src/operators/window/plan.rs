//! A window aggregation, compiled: what both halves and stored state agree on.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use weir_state::canonical::{Shape, parts};

use super::slices::{SliceId, Slices};
use super::spec::WindowAggregate;
use crate::OperatorError;
use crate::aggregate::call::Call;
use crate::aggregate::{AggregateCall, InputRows, functions};

/// Rows of a batch that is given out.
const ROWS: usize = 8192;
/// Windows of fewer slices are merged from slices directly.
const SPAN_SLICES: i64 = 12;

/// The compiled aggregation.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) slices: Slices,
    pub(super) time: usize,
    pub(super) keys: Vec<usize>,
    pub(super) key_types: Vec<DataType>,
    pub(super) calls: Vec<Call>,
    /// Counts the rows behind a partial result where no call does, so that rows that are dropped
    /// with one can be told; only ever part of the local half and of what it gives out.
    pub(super) counting: Option<Call>,
    /// The intermediate column that holds the number of rows behind a partial result.
    pub(super) rows_at: usize,
    /// Keys, `$slice_end`, `$visible_from`, partial results, and those of `counting`.
    pub(super) intermediate: SchemaRef,
    pub(super) output: SchemaRef,
    /// Changes when the columns of stored state do.
    pub(super) fingerprint: u64,
    /// Rows of a batch that is given out, at most.
    pub(super) rows: usize,
    /// Windows of at least this many slices are merged from spans of slices.
    pub(super) span_slices: i64,
}

impl Plan {
    pub(super) fn new(spec: &WindowAggregate) -> Result<Self, OperatorError> {
        let slices = Slices::new(spec.window)?;
        let timestamp = DataType::Timestamp(TimeUnit::Millisecond, None);
        if spec.input.fields().get(spec.time).is_none_or(|f| *f.data_type() != timestamp) {
            return Err(OperatorError::user(
                "windows need an event-time column of type TIMESTAMP(3)",
            ));
        }
        let key_fields = spec
            .keys
            .iter()
            .map(|&k| spec.input.fields().get(k).cloned())
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| OperatorError::internal("a key column is not part of the input"))?;
        let key_types = key_fields.iter().map(|f| f.data_type().clone()).collect();
        let calls = spec
            .aggregates
            .iter()
            .map(|call| compile(call, &spec.input))
            .collect::<Result<Vec<_>, _>>()?;

        let mut intermediate: Vec<Arc<Field>> = key_fields.clone();
        intermediate.push(Arc::new(Field::new("$slice_end", DataType::Int64, false)));
        intermediate.push(Arc::new(Field::new("$visible_from", DataType::Int64, false)));
        let mut rows_at = None;
        for call in &calls {
            if call.counts_rows() {
                rows_at = Some(intermediate.len());
            }
            intermediate.extend(partial_fields(call));
        }
        let fingerprint = fingerprint(&intermediate)?;
        let counting = match rows_at {
            Some(_) => None,
            None => Some(compile(&count_of_rows(), &spec.input)?),
        };
        let rows_at = rows_at.unwrap_or(intermediate.len());
        if let Some(call) = &counting {
            intermediate.extend(partial_fields(call));
        }
        let mut output = key_fields;
        for call in &calls {
            output.push(Arc::new(Field::new(call.name(), call.aggregate().output().clone(), true)));
        }
        for name in ["window_start", "window_end", "window_time"] {
            output.push(Arc::new(Field::new(name, timestamp.clone(), false)));
        }
        Ok(Self {
            slices,
            time: spec.time,
            keys: spec.keys.clone(),
            key_types,
            calls,
            counting,
            rows_at,
            fingerprint,
            rows: ROWS,
            span_slices: SPAN_SLICES,
            intermediate: Arc::new(Schema::new(intermediate)),
            output: Arc::new(Schema::new(output)),
        })
    }

    /// Columns of partial results that are kept: all but those of `counting`.
    pub(super) fn partials(&self) -> std::ops::Range<usize> {
        let counting = usize::from(self.counting.is_some());
        self.first_partial()..self.intermediate.fields().len() - counting
    }

    /// The slots of the next batch from `row` on, of `len`.
    pub(super) fn next_slots(&self, row: usize, len: usize) -> Vec<u32> {
        (row as u32..(row + self.rows).min(len) as u32).collect()
    }

    /// Where partial results begin in the intermediate columns.
    pub(super) fn first_partial(&self) -> usize {
        self.keys.len() + 2
    }

    /// A batch for the exchange from keys and partial results of one slice.
    pub(super) fn intermediate(
        &self,
        keys: Vec<ArrayRef>,
        id: SliceId,
        partial: Vec<ArrayRef>,
        rows: usize,
    ) -> Result<RecordBatch, OperatorError> {
        let constant = |value| Arc::new(Int64Array::from(vec![value; rows])) as ArrayRef;
        self.intermediate_with(keys, constant(id.end), constant(id.visible_from), partial)
    }

    /// As [`Plan::intermediate`], of any slices.
    pub(super) fn intermediate_with(
        &self,
        keys: Vec<ArrayRef>,
        ends: ArrayRef,
        visible_from: ArrayRef,
        partial: Vec<ArrayRef>,
    ) -> Result<RecordBatch, OperatorError> {
        let columns = keys.into_iter().chain([ends, visible_from]).chain(partial).collect();
        Ok(RecordBatch::try_new(Arc::clone(&self.intermediate), columns)?)
    }
}

/// A call whose groups keep the values that DISTINCT has seen.
fn compile(call: &AggregateCall, input: &Schema) -> Result<Call, OperatorError> {
    Ok(Call::new(call, input, InputRows::Appended)?.with_own_sets())
}

fn partial_fields(call: &Call) -> impl Iterator<Item = Arc<Field>> {
    call.state().into_iter().map(|field| Arc::new(field.with_nullable(true)))
}

/// `COUNT(*)`, named as nothing in a program is.
fn count_of_rows() -> AggregateCall {
    AggregateCall {
        function: functions::COUNT,
        input: None,
        filter: None,
        distinct: false,
        name: "$rows".to_owned(),
    }
}

/// FNV-1a over names and types: stable, and computed once per plan.
fn fingerprint(fields: &[Arc<Field>]) -> Result<u64, OperatorError> {
    let mut text = String::new();
    for field in fields {
        text += field.name();
        text += &stable_name(field.data_type())?;
    }
    Ok(text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}

/// A type by the tags of the canonical encoding: a library's names may change.
fn stable_name(data_type: &DataType) -> Result<String, OperatorError> {
    if let DataType::List(item) = data_type {
        return Ok(format!(":list{}", stable_name(item.data_type())?));
    }
    Ok(match Shape::of(data_type).map_err(OperatorError::user)? {
        Shape::Word { tag, .. } | Shape::Bytes { tag } => format!(":{tag};"),
        Shape::Wide { scale } => format!(":decimal{scale};"),
        Shape::Nested { tag } => {
            let parts = parts(data_type).into_iter().map(stable_name);
            format!(":{tag}({})", parts.collect::<Result<String, _>>()?)
        }
    })
}
