//! Hands out a source's splits (see `weir_engine::source` for the rule this rests on).
//!
//! Everything assigned before an attempt's `Trigger` was sent belongs to the readers at that
//! cut, because messages to a worker keep their order; everything else is in
//! [`SourceSplits::at_cut`], taken at the moment the `Trigger` is sent.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use weir_checkpoint::{EnumeratorState, OperatorEntry};
use weir_engine::message::Round;
use weir_engine::source::{Assignment, Pending, Split, SplitAssignment};
use weir_protocol::Subtask;
use xxhash_rust::xxh3::xxh3_64;

use crate::master::event::Found;
use crate::master::plan::PlanSource;

/// What is to be told to one reader.
pub(crate) type ToReader = (Subtask, SplitAssignment);

/// How far discovery has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Discovery {
    /// No answer yet.
    Open,
    /// Answered, and will look again.
    Repeats,
    /// Nothing else will ever be found.
    Complete,
}

/// Splits that nobody reads, in order. What is asked of all of them at every turn is kept, since
/// there may be many and each is handed out in a turn of its own.
#[derive(Clone, Debug, Default)]
struct Unassigned {
    splits: VecDeque<Split>,
    /// How many have each lower bound; a source's first splits may have none.
    bounds: BTreeMap<Option<i64>, usize>,
    size: u64,
}

impl Unassigned {
    fn pop_front(&mut self) -> Option<Split> {
        let split = self.splits.pop_front()?;
        self.size -= split.size;
        let bound = bound(&split);
        if let Some(count) = self.bounds.get_mut(&bound) {
            *count -= 1;
            if *count == 0 {
                self.bounds.remove(&bound);
            }
        }
        Some(split)
    }

    /// No row of any of them is below it; absent when that is not known of all.
    fn lower_bound(&self) -> Option<i64> {
        self.bounds.first_key_value().and_then(|(bound, _)| *bound)
    }
}

impl Extend<Split> for Unassigned {
    fn extend<I: IntoIterator<Item = Split>>(&mut self, found: I) {
        for split in found {
            self.size += split.size;
            *self.bounds.entry(bound(&split)).or_default() += 1;
            self.splits.push_back(split);
        }
    }
}

/// A split that was read in part has shown its watermark: no later row is below it.
fn bound(split: &Split) -> Option<i64> {
    split.lower_bound.max(split.watermark)
}

/// One source's splits in one term.
#[derive(Clone, Debug)]
pub(crate) struct SourceSplits {
    source: PlanSource,
    unassigned: Unassigned,
    snapshot: Option<Bytes>,
    /// Given back, and not known to the snapshot yet.
    returned: VecDeque<Split>,
    /// What the enumerator holds the watermark at.
    held: Option<i64>,
    discovery: Discovery,
    /// Readers that asked and got nothing, in the order in which they asked.
    waiting: VecDeque<Subtask>,
    /// Splits each reader was given; eager sources are spread evenly by it.
    given: Vec<u64>,
    /// How often more splits were found in this term.
    round: Round,
    /// Splits that each reader gave back.
    taken_back: Vec<u64>,
    /// What each reader was last told about the rest; empty until readers exist.
    told: Vec<Option<(Pending, Round)>>,
    started: bool,
}

impl SourceSplits {
    /// The source at the beginning of a term: what readers held at the cut comes back first,
    /// in order, then what nobody had read.
    #[must_use]
    pub(crate) fn restore(
        source: PlanSource,
        parallelism: u32,
        stored: Option<&OperatorEntry>,
    ) -> Self {
        let reading = stored.map(|s| s.state.splits.clone()).unwrap_or_default();
        let stored = stored.and_then(|s| s.enumerator.clone()).unwrap_or_default();
        let discovery = match (stored.complete, &stored.snapshot) {
            (true, _) => Discovery::Complete,
            (false, Some(_)) => Discovery::Repeats,
            (false, None) => Discovery::Open,
        };
        let mut unassigned = Unassigned::default();
        unassigned.extend(reading.into_iter().chain(stored.unassigned));
        Self {
            source,
            unassigned,
            snapshot: stored.snapshot.map(|snapshot| snapshot.0),
            returned: stored.returned.into(),
            held: stored.held,
            discovery,
            waiting: VecDeque::new(),
            given: vec![0; parallelism as usize],
            round: Round::default(),
            taken_back: vec![0; parallelism as usize],
            told: vec![None; parallelism as usize],
            started: false,
        }
    }

    /// What the enumerator is made from.
    #[must_use]
    pub(crate) fn snapshot(&self) -> Option<Bytes> {
        self.snapshot.clone()
    }

    /// What was given back and is not known to the snapshot.
    #[must_use]
    pub(crate) fn returned(&self) -> Vec<Split> {
        self.returned.iter().cloned().collect()
    }

    /// Whether there is anything to look for.
    #[must_use]
    pub(crate) fn is_complete(&self) -> bool {
        self.discovery == Discovery::Complete
    }

    /// Every reader is deployed and waits.
    pub(crate) fn start(&mut self) -> Vec<ToReader> {
        self.started = true;
        self.hand_out()
    }

    /// The enumerator has looked. `again` tells whether it will look once more.
    pub(crate) fn discovered(&mut self, found: Found) -> Vec<ToReader> {
        let Found { splits, snapshot, again, taken_back, held } = found;
        // Every reader is told, whoever gets the splits: one that has nothing to read is idle, and
        // must not be taken for so beside those that read what was found now. Before the first
        // answer none is.
        self.round.0 += u32::from(self.discovery != Discovery::Open && !splits.is_empty());
        self.unassigned.extend(splits);
        self.snapshot = Some(snapshot);
        self.returned.drain(..taken_back.min(self.returned.len()));
        self.held = held;
        self.discovery = if again { Discovery::Repeats } else { Discovery::Complete };
        self.hand_out()
    }

    /// A reader has nothing left, and gives splits back. It is told that they were taken: the
    /// cuts that are triggered from here on have them here.
    pub(crate) fn requested(&mut self, subtask: Subtask, returned: Vec<Split>) -> Vec<ToReader> {
        let index = subtask.0 as usize;
        if !self.waiting.contains(&subtask) && index < self.told.len() {
            self.waiting.push_back(subtask);
        }
        if !returned.is_empty()
            && let (Some(told), Some(count)) =
                (self.told.get_mut(index), self.taken_back.get_mut(index))
        {
            // It is owed an answer, even when there is no other news.
            *told = None;
            *count += returned.len() as u64;
            self.returned.extend(returned);
        }
        self.hand_out()
    }

    /// The enumerator's share of a cut, to be taken when `Trigger` is sent.
    #[must_use]
    pub(crate) fn at_cut(&self) -> EnumeratorState {
        EnumeratorState {
            format: 1,
            snapshot: self.snapshot.clone().map(Into::into),
            complete: self.discovery == Discovery::Complete,
            unassigned: self.unassigned.splits.iter().cloned().collect(),
            returned: self.returned(),
            held: self.held,
        }
    }

    /// Bytes or rows of the splits that nobody reads yet.
    #[must_use]
    pub(crate) fn unassigned_size(&self) -> u64 {
        self.unassigned.size
    }

    fn hand_out(&mut self) -> Vec<ToReader> {
        if !self.started {
            return Vec::new();
        }
        let mut batches: Vec<Vec<Split>> = vec![Vec::new(); self.told.len()];
        match self.source.assignment {
            Assignment::Pull => {
                while !self.unassigned.splits.is_empty()
                    && let Some(subtask) = self.waiting.pop_front()
                {
                    let split = self.unassigned.pop_front();
                    if let Some(batch) = batches.get_mut(subtask.0 as usize) {
                        batch.extend(split);
                    }
                }
            }
            Assignment::Eager => {
                while let Some(split) = self.unassigned.pop_front() {
                    let subtask = decide_reader(&split.id, &self.given);
                    if let Some(given) = self.given.get_mut(subtask) {
                        *given += 1;
                    }
                    if let Some(batch) = batches.get_mut(subtask) {
                        batch.push(split);
                    }
                }
            }
        }
        let (pending, round) = (self.pending(), self.round);
        let told = self.told.iter_mut().zip(batches).enumerate();
        told.filter_map(|(subtask, (told, splits))| {
            let changed = told.replace((pending, round)) != Some((pending, round));
            let taken_back = self.taken_back.get(subtask).copied().unwrap_or_default();
            (changed || !splits.is_empty()).then(|| {
                let assignment = SplitAssignment { splits, pending, round, taken_back };
                (Subtask(subtask as u32), assignment)
            })
        })
        .collect()
    }

    /// What is known of the splits that nobody reads.
    fn pending(&self) -> Pending {
        if self.discovery == Discovery::Open {
            return Pending::Unknown;
        }
        // Rows that are known to come of splits that nobody can read on yet.
        let returned = self.returned.iter().filter(|split| split.size > 0);
        let held = returned.map(|split| bound(split).unwrap_or(i64::MIN)).chain(self.held).min();
        if self.unassigned.splits.is_empty() {
            if let Some(held) = held {
                return Pending::Above(held);
            }
            return match self.discovery {
                Discovery::Complete if self.source.bounded => Pending::Ended,
                _ => Pending::None,
            };
        }
        let bound = self.unassigned.lower_bound();
        bound.map_or(Pending::Unknown, |bound| {
            Pending::Above(held.map_or(bound, |held| held.min(bound)))
        })
    }
}

/// The reader of an eager source's split: the one that its id's hash points at, or the next one
/// that has been given fewer, so that partitions are spread evenly.
fn decide_reader(id: &str, given: &[u64]) -> usize {
    let readers = given.len().max(1);
    let start = (xxh3_64(id.as_bytes()) % readers as u64) as usize;
    (0..readers)
        .map(|step| (start + step) % readers)
        .min_by_key(|reader| given.get(*reader).copied().unwrap_or(0))
        .unwrap_or(start)
}

#[cfg(test)]
mod tests;
