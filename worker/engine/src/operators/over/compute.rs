//! The functions' results for rows that leave.

use arrow::array::{Array, ArrayRef, Int64Array, UInt32Array, new_null_array};
use arrow::compute::{concat, interleave, take};
use arrow::datatypes::DataType;
use std::sync::Arc;

use super::plan::{Computed, Planned, Reach};
use super::sequence::{Sequence, Span};
use super::whole;
use crate::OperatorError;
use crate::aggregate::call::Call;
use crate::operators::rows::take_all;

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// Rows of frames that are merged at a time.
const TOGETHER: usize = 1 << 16;

/// What is known of the keys of a sequence, before its rows leave or after.
pub(super) struct Known {
    /// Whether there is anything.
    pub(super) is_there: Vec<bool>,
    pub(super) rows: Vec<i64>,
    pub(super) groups: Vec<i64>,
    /// The columns of the table.
    pub(super) columns: Vec<ArrayRef>,
}

/// A function's results for the rows that leave; `known` becomes what is known behind them.
pub(super) fn results(
    planned: &Planned,
    rows: &Sequence,
    known: &Known,
    after: &mut [ArrayRef],
) -> Result<ArrayRef> {
    let column = |column: usize| rows.records.column(column);
    match &planned.kind {
        Computed::RowNumber => Ok(places(rows, known, |span, row| (row - span.leaving) as i64 + 1)),
        Computed::Rank => {
            Ok(places(rows, known, |span, row| (rows.equal[row].0 - span.leaving) as i64 + 1))
        }
        Computed::DenseRank => {
            let mut ranks = Vec::with_capacity(rows.len());
            for (span, before) in rows.spans.iter().zip(&known.groups) {
                let mut rank = *before;
                for row in span.leaving..span.end {
                    rank += i64::from(rows.equal[row].0 == row);
                    ranks.push(rank);
                }
            }
            Ok(Arc::new(Int64Array::from(ranks)))
        }
        Computed::Lag { input, offset, default } => {
            let nothing = new_null_array(&planned.output, 1);
            let default = default.map(column);
            let mut from = Vec::with_capacity(rows.len());
            for span in &rows.spans {
                for row in span.leaving..span.end {
                    from.push(match row.checked_sub(*offset).filter(|row| *row >= span.start) {
                        Some(before) => (0, before),
                        None if default.is_some() => (1, row),
                        None => (1, 0),
                    });
                }
            }
            let sides: [&dyn Array; 2] = [column(*input), default.unwrap_or(&nothing)];
            Ok(interleave(&sides, &from)?)
        }
        Computed::Lead { input, offset, default } => {
            let nothing = new_null_array(&planned.output, 1);
            let default = default.map(column);
            let mut from = Vec::with_capacity(rows.len());
            for span in &rows.spans {
                for row in span.leaving..span.end {
                    from.push(match row.checked_add(*offset).filter(|row| *row < span.end) {
                        Some(behind) => (0, behind),
                        None if default.is_some() => (1, row),
                        None => (1, 0),
                    });
                }
            }
            let sides: [&dyn Array; 2] = [column(*input), default.unwrap_or(&nothing)];
            Ok(interleave(&sides, &from)?)
        }
        Computed::Ntile(parts) => Ok(whole::ntile(rows, *parts)),
        Computed::PercentRank => Ok(whole::percent_rank(rows)),
        Computed::CumeDist => Ok(whole::cume_dist(rows)),
        Computed::Value { input, last, over } => {
            value(column(*input), *last, over, rows, known, after)
        }
        Computed::Aggregate { call, over: Reach::All { state, together } } => {
            let running = Running { call, together: *together, rows };
            running.results(state.clone(), known, after)
        }
        Computed::Aggregate { call, over } => framed(call, over, rows),
    }
}

/// Places of rows behind those that have left before.
fn places(rows: &Sequence, known: &Known, place: impl Fn(&Span, usize) -> i64) -> ArrayRef {
    let mut places = Vec::with_capacity(rows.len());
    for (span, before) in rows.spans.iter().zip(&known.rows) {
        places.extend((span.leaving..span.end).map(|row| before + place(span, row)));
    }
    Arc::new(Int64Array::from(places))
}

/// Per row its frame; of rows that do not leave anything.
fn frames(over: &Reach, rows: &Sequence) -> Result<Vec<(usize, usize)>> {
    if let Reach::Whole(whole) = over {
        return whole.frames(rows);
    }
    let mut frames = vec![(0, 0); rows.slots.len()];
    for span in &rows.spans {
        let leaving = frames.iter_mut().enumerate().take(span.end).skip(span.leaving);
        leaving.for_each(|(row, found)| *found = frame(over, rows, span, row));
    }
    Ok(frames)
}

/// The frame of a row, which reaches a bounded way back.
fn frame(over: &Reach, rows: &Sequence, span: &Span, row: usize) -> (usize, usize) {
    match over {
        Reach::Rows(back) => (row.saturating_sub(*back).max(span.start), row + 1),
        Reach::Time(back) => {
            let from = rows.times[row].saturating_sub(*back);
            let before = rows.times[span.start..row].partition_point(|time| *time < from);
            (span.start + before, rows.equal[row].1)
        }
        Reach::All { together: true, .. } => (span.leaving, rows.equal[row].1),
        Reach::All { together: false, .. } | Reach::Whole(_) => (span.leaving, row + 1),
    }
}

/// The first or last value of frames that is not NULL.
fn value(
    column: &ArrayRef,
    last: bool,
    over: &Reach,
    rows: &Sequence,
    known: &Known,
    after: &mut [ArrayRef],
) -> Result<ArrayRef> {
    let nothing = new_null_array(column.data_type(), 1);
    let state = match over {
        Reach::All { state, .. } => Some(state.start),
        Reach::Rows(_) | Reach::Time(_) | Reach::Whole(_) => None,
    };
    let frames = frames(over, rows)?;
    let before = state.map_or(&nothing, |at| &known.columns[at]);
    // Of each row the next one from it on, or the last one up to it, that has a value.
    let valued = if last { last_valid(column) } else { next_valid(column) };
    let (mut from, mut left) = (Vec::with_capacity(rows.len()), Vec::new());
    for (key, span) in rows.spans.iter().enumerate() {
        let known = state.is_some() && before.is_valid(key);
        let of = |(start, end): (usize, usize)| {
            let own = match last {
                _ if start >= end => None,
                true => valued[end - 1].filter(|row| *row >= start),
                false => valued[start].filter(|row| *row < end),
            };
            match own {
                Some(row) if last || !known => (1, row),
                _ if known => (0, key),
                _ => (2, 0),
            }
        };
        from.extend(frames[span.leaving..span.end].iter().map(|frame| of(*frame)));
        if state.is_some() {
            left.push(of((span.leaving, span.end)));
        }
    }
    let sides: [&dyn Array; 3] = [before, column, &nothing];
    if let Some(at) = state {
        after[at] = interleave(&sides, &left)?;
    }
    Ok(interleave(&sides, &from)?)
}

fn last_valid(column: &ArrayRef) -> Vec<Option<usize>> {
    let mut last = None;
    let of = |row: usize| {
        if column.is_valid(row) {
            last = Some(row);
        }
        last
    };
    (0..column.len()).map(of).collect()
}

fn next_valid(column: &ArrayRef) -> Vec<Option<usize>> {
    let mut next = None;
    let mut found: Vec<Option<usize>> = (0..column.len())
        .rev()
        .map(|row| {
            if column.is_valid(row) {
                next = Some(row);
            }
            next
        })
        .collect();
    found.reverse();
    found
}

/// An aggregate over frames: each is merged from partial results of its rows, those of long ones from
/// blocks of rows; once for neighbours that share it.
fn framed(call: &Call, over: &Reach, rows: &Sequence) -> Result<ArrayRef> {
    let frames = frames(over, rows)?;
    let longest = frames.iter().map(|(start, end)| end.saturating_sub(*start)).max();
    let blocks = Blocks::new(call, rows, longest.unwrap_or_default())?;
    let mut accumulator = call.aggregate().accumulator()?;
    accumulator.grow(rows.len());
    let (mut slots, mut from): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    let (mut slot, mut of_rows) = (0_u32, Vec::with_capacity(rows.len()));
    for span in &rows.spans {
        for row in span.leaving..span.end {
            let (start, end) = frames[row];
            if row > span.leaving && frames[row - 1] == frames[row] {
                of_rows.push(slot - 1);
                continue;
            }
            blocks.cover(start..end, &mut from);
            slots.resize(from.len(), slot);
            if slots.len() >= TOGETHER {
                let taken = UInt32Array::from(std::mem::take(&mut from));
                accumulator.merge(&slots, &take_all(&blocks.partial, &taken)?)?;
                slots.clear();
            }
            of_rows.push(slot);
            slot += 1;
        }
    }
    accumulator.merge(&slots, &take_all(&blocks.partial, &UInt32Array::from(from))?)?;
    accumulator.finish(&of_rows)
}

/// Partial results of rows, then of blocks of [`Blocks::WIDTH`] of them, of as many such blocks, and
/// so on.
struct Blocks {
    partial: Vec<ArrayRef>,
    /// Where those of each level begin.
    levels: Vec<usize>,
}

impl Blocks {
    const WIDTH: usize = 4;
    /// Up to as many rows are merged one by one; in tests fewer, whose frames are short.
    const FEW: usize = if cfg!(test) { 2 } else { 16 };

    fn new(call: &Call, rows: &Sequence, longest: usize) -> Result<Self> {
        let mut level = call.partial(&rows.records)?;
        let (mut levels, mut begin) = (vec![0], rows.slots.len());
        // Where blocks begin is up to batches, and must not be seen: sums of floating-point numbers are
        // rounded, those of DECIMAL overflow for good. Texts and lists would be copied at every level.
        let is_exact = |of: &DataType| of.is_integer() || of.is_temporal();
        let are_exact = level.iter().all(|column| is_exact(column.data_type()));
        if !are_exact || longest <= Self::FEW {
            return Ok(Self { partial: level, levels });
        }
        let mut all: Vec<Vec<ArrayRef>> =
            level.iter().map(|column| vec![Arc::clone(column)]).collect();
        let (mut wide, mut count) = (Self::WIDTH, rows.slots.len());
        while wide <= longest {
            let mut accumulator = call.aggregate().accumulator()?;
            let blocks = count.div_ceil(Self::WIDTH);
            accumulator.grow(blocks);
            let slots: Vec<u32> = (0..count).map(|at| (at / Self::WIDTH) as u32).collect();
            accumulator.merge(&slots, &level)?;
            let slots: Vec<u32> = (0..blocks as u32).collect();
            level = accumulator.export(&slots)?;
            all.iter_mut().zip(&level).for_each(|(all, column)| all.push(Arc::clone(column)));
            levels.push(begin);
            (begin, count, wide) = (begin + blocks, blocks, wide * Self::WIDTH);
        }
        let concat_all = |column: &Vec<ArrayRef>| -> Result<ArrayRef> {
            let parts: Vec<&dyn Array> = column.iter().map(|part| &**part).collect();
            Ok(concat(&parts)?)
        };
        Ok(Self { partial: all.iter().map(concat_all).collect::<Result<_>>()?, levels })
    }

    /// Appends which partial results these rows are made of, in their order.
    fn cover(&self, rows: std::ops::Range<usize>, into: &mut Vec<u32>) {
        let (mut start, mut end) = (rows.start, rows.end);
        let mut behind = Vec::new();
        for (number, begin) in self.levels.iter().enumerate() {
            let at = |place: usize| (begin + place) as u32;
            let is_last = number + 1 == self.levels.len();
            while start < end && (is_last || start % Self::WIDTH != 0) {
                into.push(at(start));
                start += 1;
            }
            while start < end && end % Self::WIDTH != 0 {
                end -= 1;
                behind.push(at(end));
            }
            (start, end) = (start / Self::WIDTH, end / Self::WIDTH);
        }
        into.extend(behind.into_iter().rev());
    }
}

/// An aggregate over all rows up to each.
struct Running<'a> {
    call: &'a Call,
    /// Whether rows that are equal in the order are taken in together.
    together: bool,
    rows: &'a Sequence,
}

impl Running<'_> {
    /// Takes rows in, of every key its next at a time, and looks at the results in between.
    fn results(
        &self,
        state: std::ops::Range<usize>,
        known: &Known,
        after: &mut [ArrayRef],
    ) -> Result<ArrayRef> {
        let rows = self.rows;
        let partial = self.call.partial(&rows.records)?;
        let mut accumulator = self.call.aggregate().accumulator()?;
        accumulator.grow(rows.spans.len());
        let there: Vec<u32> =
            (0..).zip(&known.is_there).filter(|(_, is)| **is).map(|(key, _)| key).collect();
        let columns: Vec<ArrayRef> = known.columns[state.clone()].to_vec();
        accumulator.merge(&there, &take_all(&columns, &UInt32Array::from(there.clone()))?)?;
        // Where the results of each row are among those of all steps.
        let mut place = vec![0_u32; rows.slots.len()];
        let mut next: Vec<usize> = rows.spans.iter().map(|span| span.leaving).collect();
        let (mut found, mut count): (Vec<ArrayRef>, u32) = (Vec::new(), 0);
        let mut active: Vec<u32> = (0..rows.spans.len() as u32).collect();
        loop {
            active.retain(|&key| next[key as usize] < rows.spans[key as usize].end);
            if active.is_empty() {
                break;
            }
            let (mut slots, mut from) = (Vec::new(), Vec::new());
            for &key in &active {
                let row = next[key as usize];
                let end = if self.together { rows.equal[row].1 } else { row + 1 };
                for (row, place) in (row as u32..).zip(&mut place[row..end]) {
                    slots.push(key);
                    from.push(row);
                    *place = count;
                }
                count += 1;
                next[key as usize] = end;
            }
            accumulator.merge(&slots, &take_all(&partial, &UInt32Array::from(from))?)?;
            found.push(accumulator.finish(&active)?);
        }
        let keys: Vec<u32> = (0..rows.spans.len() as u32).collect();
        for (at, column) in state.zip(accumulator.export(&keys)?) {
            after[at] = column;
        }
        let found: Vec<&dyn Array> = found.iter().map(|array| &**array).collect();
        let place: UInt32Array = rows.leaving().map(|row| Some(place[row])).collect();
        Ok(take(&concat(&found)?, &place, None)?)
    }
}
