//! `OVER` by any order: a key's rows are kept in it, and what a batch changes is told.
//!
//! The rows are kept as a Top-N of all ranks keeps them (`operators/rank`). Of each key that a batch
//! touches the results are computed once over the rows before it and once over those behind it; rows
//! whose results are others go and come again. So a batch costs as much as its keys have rows: what
//! a row's results depend on is known of a frame, not of a function's state in the middle.
//!
//! Rows of a key are forgotten together, when none has come or gone for the time to live: if one went
//! before the others, results that were given with it would be taken back as they never were.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_empty_array, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMillisecondType};
use arrow::row::{RowConverter, Rows, SortField};
use weir_state::table::{Groups, Table, TableSpec};

use super::compute::{Known, results};
use super::plan::{self, Planned, Reach, plan_call};
use super::sequence::{Sequence, Span};
use super::spec::CorrectedOver;
use crate::aggregate::InputRows;
use crate::operator::TableKeys;
use crate::operators::rank::changes::{Shown, as_sets};
use crate::operators::rank::spec::{RankFunction, TopN};
use crate::operators::rank::{self, Rank};
use crate::operators::rows::now;
use crate::{Batch, Context, EventTime, Operator, OperatorError, Output, Progress, RowKind};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// Rows of a batch that is given out.
const BATCH: usize = 8_192;

/// The compiled functions.
#[derive(Debug)]
pub(super) struct Plan {
    input: SchemaRef,
    calls: Vec<Planned>,
    /// The types of what running functions would know of rows before; there are none here.
    known: Vec<DataType>,
    /// The column in which frames of time count, and whether NULL comes first in it.
    time: Option<(usize, bool)>,
    pub(super) output: SchemaRef,
}

impl Plan {
    pub(super) fn new(spec: &CorrectedOver) -> Result<Self> {
        let mut known = Vec::new();
        let mut output: Vec<Arc<Field>> = spec.input.fields().iter().cloned().collect();
        let mut calls = Vec::new();
        let rows = plan::Rows { input: &spec.input, order: &spec.order, at_once: false };
        for call in &spec.calls {
            let planned = plan_call(call, rows, &mut known)?;
            output.push(Arc::new(Field::new(&call.name, planned.output.clone(), true)));
            calls.push(planned);
        }
        let counts_time =
            calls.iter().any(|call| matches!(call.kind.reach(), Some(Reach::Time(_))));
        let time = match spec.order.first() {
            Some(first) if counts_time => Some((first.column, first.nulls_first)),
            None if counts_time => {
                return Err(OperatorError::internal("a frame of time without an order"));
            }
            _ => None,
        };
        Ok(Self {
            input: Arc::clone(&spec.input),
            calls,
            known: known.into_iter().map(|field| field.data_type).collect(),
            time,
            output: Arc::new(Schema::new(output)),
        })
    }

    /// Keys' rows with the functions' results.
    fn computed(&self, shown: Shown) -> Result<Vec<ArrayRef>> {
        if shown.ranks.is_empty() {
            let types = self.output.fields().iter().map(|field| field.data_type());
            return Ok(types.map(new_empty_array).collect());
        }
        let rows = self.sequence(shown)?;
        let keys = rows.spans.len();
        let nothing: Vec<ArrayRef> =
            self.known.iter().map(|data_type| new_null_array(data_type, keys)).collect();
        let mut after = nothing.clone();
        let known = Known {
            is_there: vec![false; keys],
            rows: vec![0; keys],
            groups: vec![0; keys],
            columns: nothing,
        };
        let mut columns = rows.records.columns().to_vec();
        for planned in &self.calls {
            columns.push(results(planned, &rows, &known, &mut after)?);
        }
        Ok(columns)
    }

    fn sequence(&self, shown: Shown) -> Result<Sequence> {
        let records = RecordBatch::try_new(Arc::clone(&self.input), shown.columns)?;
        let mut spans = Vec::with_capacity(shown.ends.len());
        // Equal rows share a rank.
        let mut equal = vec![(0, 0); records.num_rows()];
        let mut start = 0;
        for &end in &shown.ends {
            // A key has no rows before its first ones, nor behind its last ones.
            if start < end {
                spans.push(Span { start, leaving: start, end, next: None });
            }
            let mut first = start;
            for row in start..end {
                if row + 1 == end || shown.ranks[row + 1] != shown.ranks[row] {
                    equal[first..=row].fill((first, row + 1));
                    first = row + 1;
                }
            }
            start = end;
        }
        let times = self.times(&records);
        Ok(Sequence {
            slots: (0..records.num_rows() as u32).collect(),
            records,
            spans,
            times,
            equal,
        })
    }

    /// Where frames of time count from; without such frames nothing. NULL is where its rows are.
    fn times(&self, records: &RecordBatch) -> Vec<EventTime> {
        let Some((column, nulls_first)) = self.time else { return vec![0; records.num_rows()] };
        let times = records.column(column).as_primitive::<TimestampMillisecondType>();
        let null = if nulls_first { EventTime::MIN } else { EventTime::MAX };
        times.iter().map(|time| time.unwrap_or(null)).collect()
    }
}

/// The rows, as a Top-N keeps them.
pub(super) fn kept(spec: &CorrectedOver) -> TopN {
    TopN {
        input: Arc::clone(&spec.input),
        input_rows: InputRows::Retracted,
        keys: spec.keys.clone(),
        order: spec.order.clone(),
        function: RankFunction::Rank,
        from: 1,
        to: u64::MAX,
        rank: None,
        window_end: None,
        at_end: false,
        ttl: spec.ttl,
    }
}

/// The tables that it keeps.
pub(super) fn tables(spec: &CorrectedOver) -> Result<Vec<TableSpec>> {
    Plan::new(spec)?;
    rank::tables(&kept(spec))
}

/// `OVER` by any order, of one subtask.
#[derive(Debug)]
pub(super) struct CorrectedRows {
    plan: Plan,
    rows: Rank,
    /// Compares whole rows.
    whole: RowConverter,
}

impl CorrectedRows {
    pub(super) fn new(spec: &CorrectedOver, groups: Groups) -> Result<Self> {
        let plan = Plan::new(spec)?;
        let types = plan.output.fields().iter().map(|f| SortField::new(f.data_type().clone()));
        let whole = RowConverter::new(types.collect())?;
        Ok(Self { rows: Rank::new(&kept(spec), groups)?, plan, whole })
    }

    fn take_in(&mut self, batch: &Batch, now: u32, out: &mut Output) -> Result<()> {
        let Some([before, after]) = self.rows.around(batch, now, true)? else { return Ok(()) };
        let (old_ends, new_ends) = (before.ends.clone(), after.ends.clone());
        let (before, after) = (self.plan.computed(before)?, self.plan.computed(after)?);
        let rows: [Rows; 2] =
            [self.whole.convert_columns(&before)?, self.whole.convert_columns(&after)?];
        let mut found = Vec::new();
        let (mut from, mut start) = (0, 0);
        for (&to, &end) in old_ends.iter().zip(&new_ends) {
            as_sets(from..to, start..end, |side, row| rows[side].row(row).data(), &mut found);
            (from, start) = (to, end);
        }
        for changes in found.chunks(BATCH) {
            let places: Vec<(usize, usize)> =
                changes.iter().map(|&(side, row, _)| (side, row)).collect();
            let columns = before.iter().zip(&after).map(|(before, after)| {
                let sides: [&dyn Array; 2] = [before, after];
                interleave(&sides, &places)
            });
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let records = RecordBatch::try_new(Arc::clone(&self.plan.output), columns)?;
            let kinds: Vec<RowKind> = changes.iter().map(|&(_, _, kind)| kind).collect();
            let inserts = kinds.iter().all(|kind| *kind == RowKind::Insert);
            out.push(Batch::new(records).with_kinds((!inserts).then(|| kinds.into())));
        }
        Ok(())
    }
}

impl Operator for CorrectedRows {
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        self.rows.tables()
    }

    fn keys_of(&mut self, input: usize, batch: &Batch) -> Result<Vec<TableKeys>> {
        self.rows.keys_of(input, batch)
    }

    fn on_batch(
        &mut self,
        cx: &mut Context,
        _input: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress> {
        self.take_in(&batch, now(cx), out)?;
        Ok(Progress::Done)
    }
}
