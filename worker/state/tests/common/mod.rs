//! What the tests of tables share: segments held in memory, a chain of them as the coordinator
//! keeps it, and a world of subtasks that must agree with a naive model whatever happens.

#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests; each test uses a part")]

pub(crate) mod cached;
pub(crate) mod world;

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use weir_protocol::{Attempt, KeyGroup, KeyGroupRange, Term};
use weir_state::merge::{Compaction, Input};
use weir_state::sorted::{Age, Ages, Stored};
use weir_state::table::rows::Rows;
use weir_state::table::{Encoded, Frozen, Groups, Table, TableSpec};

pub(crate) const GROUPS: u32 = 8;

pub(crate) fn age(attempt: u64) -> Age {
    Age { term: Term(1), attempt: Attempt(attempt) }
}

pub(crate) fn all_groups() -> Groups {
    Groups { range: KeyGroupRange::all(GROUPS), of: GROUPS }
}

pub(crate) fn range(start: u16, end: u16) -> KeyGroupRange {
    KeyGroupRange { start, end }
}

pub(crate) fn groups(start: u16, end: u16) -> Groups {
    Groups { range: range(start, end), of: GROUPS }
}

pub(crate) fn open(bytes: &Bytes) -> Stored {
    Stored::open(Arc::new(bytes.clone()), bytes.len() as u64).unwrap()
}

/// Segments of one table, in one run or several, and which of them are published.
#[derive(Default, Clone)]
pub(crate) struct Chain {
    pub(crate) segments: Vec<(Bytes, KeyGroupRange)>,
    next_id: u128,
}

impl Chain {
    pub(crate) fn id(&mut self) -> u128 {
        self.next_id += 1;
        self.next_id
    }

    /// Encodes and adds what was frozen, if anything.
    pub(crate) fn add(&mut self, frozen: Frozen) {
        let id = self.id();
        self.push(frozen.encode(id).unwrap());
    }

    pub(crate) fn push(&mut self, encoded: Encoded) {
        if encoded.footer.rows > 0 || !open(&encoded.bytes).reader().meta().bounds.is_empty() {
            self.segments.push((encoded.bytes, encoded.footer.range));
        }
    }

    pub(crate) fn inputs(&self) -> Vec<Input> {
        let input =
            |(bytes, range): &(Bytes, KeyGroupRange)| Input { stored: open(bytes), range: *range };
        self.segments.iter().map(input).collect()
    }

    fn ages(bytes: &Bytes) -> Ages {
        open(bytes).reader().footer().ages
    }

    /// Merges the segments of `within` of `count` neighbouring ages from the `first` oldest on,
    /// and whatever else lies between them in age.
    pub(crate) fn compact(
        &mut self,
        table: &TableSpec,
        within: KeyGroupRange,
        first: usize,
        count: usize,
        cut: usize,
    ) {
        let here = |(_, range): &&(Bytes, KeyGroupRange)| range.overlaps(within);
        let mut ages: Vec<Ages> =
            self.segments.iter().filter(here).map(|(b, _)| Self::ages(b)).collect();
        ages.sort_by_key(|ages| ages.hi);
        ages.dedup();
        let Some(mut hull) = ages.iter().copied().skip(first).take(count).reduce(hull) else {
            return;
        };
        while let Some(more) = ages.iter().find(|ages| meets(**ages, hull) && !inside(**ages, hull))
        {
            hull = self::hull(hull, *more);
        }
        let complete = ages.iter().all(|ages| ages.hi >= hull.lo);
        let (inputs, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.segments)
            .into_iter()
            .partition(|(b, range)| range.overlaps(within) && inside(Self::ages(b), hull));
        self.segments = kept;
        // What an input says of groups outside goes on counting for them.
        for (bytes, range) in &inputs {
            for outside in [
                KeyGroupRange { start: range.start, end: within.start.min(range.end) },
                KeyGroupRange { start: within.end.max(range.start), end: range.end },
            ] {
                if !outside.is_empty() {
                    self.segments.push((bytes.clone(), outside));
                }
            }
        }
        let inputs: Vec<Input> =
            inputs.iter().map(|(b, range)| Input { stored: open(b), range: *range }).collect();
        let mut compaction = Compaction::new(table, &inputs, within, complete, cut).unwrap();
        let mut spoken_for = within.start;
        loop {
            let id = self.id();
            let Some(output) = compaction.write_next(id).unwrap() else { break };
            assert_eq!(output.footer.range.start, spoken_for);
            spoken_for = output.footer.range.end;
            self.segments.push((output.bytes, output.footer.range));
        }
        assert_eq!(spoken_for, within.end);
    }

    /// For one group, no two segments speak for the same age.
    pub(crate) fn check_ages(&self) {
        for group in 0..GROUPS as u16 {
            let here = self.segments.iter().filter(|(_, range)| range.contains(KeyGroup(group)));
            let mut ages: Vec<Ages> = here.map(|(b, _)| Self::ages(b)).collect();
            ages.sort_by_key(|ages| ages.hi);
            assert!(ages.windows(2).all(|w| w[0].hi < w[1].lo), "group {group}: {ages:?}");
        }
    }
}

fn hull(a: Ages, b: Ages) -> Ages {
    Ages { lo: a.lo.min(b.lo), hi: a.hi.max(b.hi) }
}

fn meets(a: Ages, b: Ages) -> bool {
    a.lo <= b.hi && b.lo <= a.hi
}

fn inside(a: Ages, b: Ages) -> bool {
    b.lo <= a.lo && a.hi <= b.hi
}

/// The rows of segments as data.
pub(crate) fn rows(spec: &TableSpec, groups: Groups, inputs: &[Input]) -> Vec<RecordBatch> {
    let mut rows = Rows::open(spec, groups, inputs).unwrap();
    std::iter::from_fn(|| rows.next_batch().unwrap()).collect()
}

/// Freezes a table into the chain at an age and has it published.
pub(crate) fn checkpoint(table: &mut impl Table, chain: &mut Chain, age: Age) {
    chain.add(table.freeze(age));
    table.published(age);
}
